"""What the YAML file may hold."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from radius_smsotp.model import pin
from radius_smsotp.model.identity import Destinations
from radius_smsotp.settings import schema
from radius_smsotp.settings.schema import Settings
from radius_smsotp.settings.section import Section

SECTIONS = [
    one
    for one in vars(schema).values()
    if isinstance(one, type) and issubclass(one, Section) and one is not Section
]


def fault(section: str | None, **values: Any) -> str:
    """What is said of these values in a section, or at the top."""
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(values if section is None else {section: values})
    [item] = caught.value.errors(include_url=False)
    return f"{'.'.join(map(str, item['loc']))}: {item['msg']}"


def test_an_empty_file_holds_the_defaults_of_the_design() -> None:
    """What an administrator need not write."""
    values = Settings()
    assert values.code.model_dump() == {"digits": 6, "lifetime": 300, "guesses": 3}
    assert values.pin.iterations == 10_000
    assert values.pin.shortest == 4
    assert values.lockout.model_dump() == {"failures": 10, "minutes": 15}
    assert values.limits.model_dump() == {
        "cooldown": 60,
        "per_account_hour": 6,
        "per_number_hour": 6,
        "per_client_hour": 0,
        "per_day": 5000,
        "countries": (),
        "refused": (),
        "special": (),
    }
    assert (values.delivery.wait, values.delivery.wait_share) == (1.0, 0.25)
    assert (values.delivery.courier, values.delivery.threads) == ("internal", 64)
    assert (values.challenge.style, values.challenge.resend) == ("challenge", "r")
    assert values.remember.hours == 0
    assert values.key_file == Path("key")


@pytest.mark.parametrize("section", SECTIONS, ids=lambda one: one.__name__)
def test_every_setting_is_described(section: type[BaseModel]) -> None:
    """The descriptions are what the documents print; a part has a docstring instead."""
    assert section.__doc__
    for name, field in section.model_fields.items():
        is_part = isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        assert field.description or is_part, name


@pytest.mark.parametrize("section", SECTIONS, ids=lambda one: one.__name__)
def test_no_part_takes_what_it_does_not_know(section: type[BaseModel]) -> None:
    """A misspelt setting would silently do nothing."""
    with pytest.raises(ValidationError, match="extra_forbidden"):
        section.model_validate({"digitz": 1})


def test_settings_never_change() -> None:
    """A reload makes new ones."""
    values = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        values.code.digits = 8  # type: ignore[misc]


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("code", {"digits": 5}),  # RFC 4226 section 4, requirement R4: at least 6
        ("code", {"digits": 10}),  # 31 bits hold no ten digits
        ("code", {"lifetime": 29}),
        ("code", {"guesses": 0}),
        ("limits", {"cooldown": -1}),
        ("delivery", {"wait": 10.1}),
        ("delivery", {"wait": float("nan")}),
        ("delivery", {"wait_share": 1.1}),
        ("delivery", {"threads": 0}),
        ("delivery", {"prefixes": {"+43": []}}),
        ("delivery", {"prefixes": {"DE": ["demo"]}}),
        ("lockout", {"failures": 0}),
        ("pin", {"iterations": 0}),
        ("pin", {"shortest": 0}),
        ("pin", {"shortest": pin.LONGEST + 1}),
        ("audit", {"days": 0}),
        ("remember", {"hours": -1}),
        ("challenge", {"style": "sms"}),
        ("delivery", {"courier": "none"}),
        ("delivery", {"unknown": "ignore"}),
    ],
)
def test_what_makes_no_sense_is_refused(section: str, values: dict[str, Any]) -> None:
    """By the name of the setting."""
    assert fault(section, **values).startswith(f"{section}.{next(iter(values))}")


@pytest.mark.parametrize("section", SECTIONS, ids=lambda one: one.__name__)
def test_every_number_has_bounds(section: type[BaseModel]) -> None:
    """A number without any could be negative, or not a number at all."""
    for name, field in section.model_fields.items():
        kinds = {field.annotation, *typing.get_args(field.annotation)}
        if kinds & {int, float}:
            assert any(hasattr(one, "ge") for one in field.metadata), name


class TestTexts:
    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("Your code", "{code} is missing"),
            ("{code} {phone}", "{phone} is no placeholder here"),
            ("{code} {}", "a brace that is meant as such twice"),
            ("{code} {0}", "{0} is no placeholder here"),
            ("{code.__class__}", "a brace that is meant as such twice"),
            ("{code} }", "a brace that is meant as such twice"),
            ("{code", "a brace that is meant as such twice"),
            ("{{code}}", "{code} is missing"),
            ("{code!r}", "a brace that is meant as such twice"),
            ("{code:>9}", "a brace that is meant as such twice"),
            ("{code:{minutes}}", "a brace that is meant as such twice"),
        ],
    )
    def test_a_message_that_could_not_be_filled_in_is_refused(
        self, text: str, complaint: str
    ) -> None:
        """Whatever passes here is filled in; no SMS without its code ever leaves."""
        assert complaint in fault(None, message=text)
        assert fault(None, message=text).startswith("message: ")

    def test_a_complaint_names_what_is_known(self) -> None:
        """So that nobody has to look it up."""
        assert "known: {code}, {otp}, {minutes}, {name}" in fault(None, message="{code} {x}")
        assert "known: none" in fault("texts", failed="{x}")

    def test_doubled_braces_are_braces(self) -> None:
        """As in the text that is filled in."""
        assert Settings(message="{{{code}}}").message == "{{{code}}}"

    def test_a_prompt_knows_its_own_placeholders(self) -> None:
        """The code is none of them."""
        assert "{code} is no placeholder here" in fault("challenge", prompt="{code}")
        prompt = "{phone_hint} {digits} {minutes} {resend}"
        assert Settings(challenge={"prompt": prompt}).challenge.prompt == prompt  # type: ignore[arg-type]


class TestCountries:
    @pytest.mark.parametrize(
        ("written", "prefixes"),
        [
            (["+49", "+43"], ("+49", "+43")),
            (["49", 43], ("+49", "+43")),
            (["0049", "00 43"], ("+49", "+43")),
            ("+49", ("+49",)),
            (49, ("+49",)),
            ([], ()),
        ],
    )
    def test_prefixes_may_be_written_as_people_do(
        self, written: Any, prefixes: tuple[str, ...]
    ) -> None:
        """With plus sign, with zeros, as a number; one needs no list."""
        for name in ("countries", "refused", "special"):
            values = Settings.model_validate({"limits": {name: written}})
            assert getattr(values.limits, name) == prefixes

    def test_countries_may_be_named_by_their_codes(self) -> None:
        """Which tells those apart that share a prefix."""
        values = Settings.model_validate({"limits": {"countries": ["DE", "+43", "NO"]}})
        assert values.limits.destinations == Destinations(("DE", "+43", "NO"))

    @pytest.mark.parametrize("written", ["", "+", "+0", "49x", "²", None, True, "de", "UK"])
    def test_what_is_neither_prefix_nor_country_is_refused(self, written: Any) -> None:
        """It would silently let no message leave.  False is what YAML makes of NO."""
        told = fault("limits", countries=[written])
        assert told.endswith('; write it as "+49" or "DE", in quotes')
        for name in ("refused", "special"):
            for wrong in (written, "DE"):
                assert fault("limits", **{name: [wrong]}).endswith('; write it as "+49"')

    def test_a_country_has_a_numbering_plan(self) -> None:
        """ "UK" is none: it would leave all national numbers unreadable."""
        assert Settings(country="GB").country == "GB"
        for wrong in ("UK", "de", "DEU", "49"):
            assert 'as "DE"' in fault(None, country=wrong)


def test_passwords_do_not_show() -> None:
    """Providers and mail servers are kept as they were written; repr() leaves them out."""
    written = {"a": {"type": "http", "password": "s3cret"}}
    assert "s3cret" not in repr(Settings(providers=written, smtp_servers=written))
