"""One grammar for all templates, whoever fills them in; and REGEXP, as privacyIDEA has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from radius_smsotp.errors import ConfigurationError
from radius_smsotp.model.text import compose, fill
from radius_smsotp.providers import Message, Surroundings, build
from radius_smsotp.providers.contract import soon
from radius_smsotp.providers.template import PLACEHOLDERS, Regexp, rewrite, values
from radius_smsotp.settings import file
from tests.providers.gateway import Gateway
from tests.providers.peers import make_certificate, starting
from tests.providers.smtp.mail_server import MailServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SENT = Message("0123456789abcdef" * 2, "+491701234567", "739154 {code} <otp> & {{x}}", "739154")

OF_ANY_TEXT = {
    "Code: {code}": "Code: 739154",
    "{otp}{code}": "739154739154",
    "{otp} {{otp}} {{{otp}}} {{}} {{x}}": "739154 {otp} {739154} {} {x}",
    "<otp> <code> <b> <otp >": "739154 739154 <b> <otp >",
    "<code>{code}</code> <otp>": "<code>739154</code> 739154",
    '{{"a": {{"b": "{code}"}}}}': '{"a": {"b": "739154"}}',
    "{code}: 100 % & $1 ${{x}} \\1 +?#": "739154: 100 % & $1 ${x} \\1 +?#",
}
OF_THE_MESSAGE = {
    "{message}|<message>": f"{SENT.text}|{SENT.text}",
    "{transaction_id} <transaction_id>": f"{SENT.transaction_id} <transaction_id>",
}
OF_THE_NUMBER = {
    "{phone} {phone_digits} <phone>": "+491701234567 491701234567 +491701234567",
    "<sms><phone>{phone}</phone><x/></sms>": "<sms><phone>+491701234567</phone><x/></sms>",
}

FAULTS = {
    "{fone}": ("{fone}AT is no placeholder here", "did you mean {phone}?"),
    "{mesage} {fone}": ("{mesage}AT is no placeholder here", "did you mean {message}?"),
    "{0}": (
        "{0}AT is no placeholder here",
        f"known: {', '.join(f'{{{one}}}' for one in PLACEHOLDERS)}",
    ),
    '{"a": "{phone}"}': ("a brace stands aloneAT", "write a brace that is meant as such twice"),
    "{phone!r}": ("a brace stands aloneAT", "write a brace that is meant as such twice"),
    "100 }": ("a brace stands aloneAT", "write a brace that is meant as such twice"),
}


@dataclass(frozen=True)
class Place:
    """
    Where the settings of a provider take a template.

    Attributes:
        provider: Its settings with a template; HTTP and MAIL stand for the gateways' addresses.
        read: What the gateway found there, in what has come to it.
        path: Of the setting.
        where: What else tells the place, in an error.
    """

    name: str
    provider: Callable[[str], dict[str, Any]]
    read: Callable[[Any], str]
    path: str
    where: str = ""


def http(**settings: Any) -> dict[str, Any]:
    """Settings of provider ``http`` that lack nothing."""
    keys = {"sms_phonenumber_key": "to", "sms_text_key": "text"}
    return {"type": "http", "url": "HTTP", **keys, **settings}


def mail(**settings: Any) -> dict[str, Any]:
    """Settings of provider ``smtp`` that lack nothing."""
    return {"type": "smtp", "mailserver": "MAIL", "mailto": "sms@example.org", **settings}


def script(**settings: Any) -> dict[str, Any]:
    """Settings of provider ``script`` that lack nothing."""
    return {"type": "script", "script": "program", "arguments": ["{phone}"], **settings}


def in_url(template: str) -> str:
    """The template as an address has it; what is filled in is escaped by the provider."""
    return quote(template, safe="{}<>/")


PLACES = (
    Place(
        "http query",
        lambda text: http(parameter={"a": text}),
        lambda sent: sent.query["a"][0],
        "parameter",
        " at a",
    ),
    Place(
        "http form",
        lambda text: http(http_method="POST", parameter={"a": [{"b": text}]}),
        lambda sent: sent.form["a[0][b]"][0],
        "parameter",
        " at a.0.b",
    ),
    Place(
        "http json",
        lambda text: http(http_method="POST", send_data_as_json=True, parameter={"a": {"b": text}}),
        lambda sent: sent.json["a"]["b"],
        "parameter",
        " at a.b",
    ),
    Place(
        "http header",
        lambda text: http(headers={"X-A": text}),
        lambda sent: sent.headers["x-a"],
        "headers",
        " at X-A",
    ),
    Place(
        "http path",
        lambda text: http(url=f"HTTP/{in_url(text)}"),
        lambda sent: unquote(sent.path[1:]),
        "url",
    ),
    Place(
        "http query of the url",
        lambda text: http(url=f"HTTP/?a={in_url(text)}"),
        lambda sent: sent.query["a"][0],
        "url",
    ),
    Place(
        "smtp subject",
        lambda text: mail(subject=text),
        lambda sent: sent.parsed["Subject"],
        "subject",
    ),
    Place("smtp body", lambda text: mail(body=text), lambda sent: sent.text, "body"),
    Place(
        "script environment",
        lambda text: script(environment={"A": text}),
        lambda sent: sent[1],
        "environment.A",
    ),
)
ARGUMENTS = Place(
    "script arguments",
    lambda text: script(arguments=["{phone}", text]),
    lambda sent: sent[0],
    "arguments.1",
)
"""Of this one any user of the host can read the text: it takes a number only."""


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with Gateway() as running:
        yield running


@pytest.fixture(scope="module")
def mail_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    with starting(MailServer) as start:
        yield start(make_certificate(tmp_path_factory.mktemp("certificate")))


@pytest.fixture
def load(
    tmp_path: Path, gateway: Gateway, mail_server: MailServer
) -> Callable[[dict[str, Any]], file.Loaded]:
    """Reads the settings of one provider out of a file, as every program does."""

    def loaded(provider: dict[str, Any]) -> file.Loaded:
        written = yaml.safe_dump({"providers": {"one": provider}}, width=10_000)
        written = written.replace("HTTP", gateway.url, 1) if "url" in provider else written
        written = written.replace("MAIL", f"127.0.0.1:{mail_server.port}")
        path = tmp_path / "smsotp.yaml"
        path.write_text(written, "utf-8")
        return file.load(path)

    return loaded


@pytest.mark.parametrize(
    ("place", "templates"),
    [(place, OF_ANY_TEXT | OF_THE_MESSAGE | OF_THE_NUMBER) for place in PLACES]
    + [(ARGUMENTS, OF_THE_NUMBER)],
    ids=[one.name for one in (*PLACES, ARGUMENTS)],
)
def test_the_same_template_is_the_same_text_everywhere(
    place: Place,
    templates: dict[str, str],
    load: Callable[[dict[str, Any]], file.Loaded],
    tmp_path: Path,
    gateway: Gateway,
    mail_server: MailServer,
) -> None:
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\nprintf "%s\\0%s" "$2" "$A" >{tmp_path}/sent\n')
    program.chmod(0o755)
    for template, expected in templates.items():
        settings = load(place.provider(template)).providers["one"]
        provider = build("one", settings, Surroundings(tmp_path, {}, tmp_path))
        provider.send(SENT, soon())
        provider.close()
        if settings.type == "script":
            found: Any = (tmp_path / "sent").read_text().split("\0")
        else:
            found = gateway.requests[-1] if settings.type == "http" else mail_server.mails[-1]
        assert place.read(found) == expected, template


def test_it_is_the_same_in_the_texts_of_the_settings_too() -> None:
    """They know the code alone, and whatever the settings say of them."""
    for template, expected in OF_ANY_TEXT.items():
        assert compose(template, {"code": SENT.code}) == expected


@pytest.mark.parametrize("place", [*PLACES, ARGUMENTS], ids=lambda place: place.name)
def test_the_same_fault_is_told_alike_everywhere(
    place: Place, load: Callable[[dict[str, Any]], file.Loaded]
) -> None:
    """With the path of the setting, and what is to be done."""
    for template, (fault, remedy) in FAULTS.items():
        with pytest.raises(ConfigurationError) as caught:
            load(place.provider(template))
        [problem] = caught.value.problems
        assert problem.path.startswith("smsotp.yaml, line ")
        assert problem.path.endswith(f": providers.one.{place.path}")
        # In an address, what is no placeholder is written with per cent signs.
        quoted = "url" in place.path and "alone" in fault
        assert quoted or problem.fault == fault.replace("AT", place.where)
        assert problem.remedy == remedy


def test_what_is_filled_in_is_not_filled_in_again() -> None:
    assert fill("{message}", values(SENT)) == SENT.text


def test_a_text_that_no_encoding_can_write_becomes_one_that_can() -> None:
    """In every message: an encoder's error would quote the text."""
    assert Message("0" * 32, "+491701234567", "a\ud800", "1").text == "a?"


@pytest.mark.parametrize(
    ("regexp", "number"),
    [
        (r"/^\+/00/", "00491701234567"),
        (r"/[\+/]//", "491701234567"),
        (r"/^\+49(.*)/0\1/", "01701234567"),
        (None, "+491701234567"),
    ],
)
def test_a_regexp_rewrites_the_number(regexp: str | None, number: str) -> None:
    assert rewrite(regexp, SENT.phone) == number
    assert values(SENT, regexp)["phone"] == number
    assert values(SENT, regexp)["phone_digits"] == number.lstrip("+")
    if regexp:
        assert TypeAdapter(Regexp).validate_python(regexp) == regexp


@pytest.mark.parametrize("regexp", ["^0", "/0/49", "/(/x/", r"/^/\2/"])
def test_a_regexp_that_cannot_be_used_is_refused(regexp: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Regexp).validate_python(regexp)
