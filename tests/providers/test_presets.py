"""The presets: each loads, and each HTTP one sends what the gateway's description prescribes."""

from __future__ import annotations

import base64
import json
import re
import textwrap
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml

from radius_smsotp.errors import Busy, DeliveryError, Refused
from radius_smsotp.providers import Surroundings, build, module, presets
from radius_smsotp.providers.contract import message, soon
from radius_smsotp.providers.http.provider import Settings
from radius_smsotp.providers.http.request import leaves
from radius_smsotp.providers.http.signing import SIGNERS
from tests.providers.descriptions import HTTP, RUSSIAN, TEXT, Described
from tests.providers.recorder import Answer, RecordingGateway, Taken

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from radius_smsotp.providers import Provider, ProviderSettings

NO_DESCRIPTION = {"sendsms.de"}
"""HTTP presets of gateways whose description is not public."""


def blanks(name: str) -> list[str]:
    """The words of a preset that have to be replaced: ``YOUR-API-KEY``."""
    lines = (one for one in presets.text(name).splitlines() if not one.lstrip().startswith("#"))
    return sorted(set(re.findall(r"YOUR-[A-Z]+(?:-[A-Z]+)*", "\n".join(lines))))


def sources(name: str) -> list[str]:
    """The descriptions that a preset follows: title and addresses; each with its day."""
    text = textwrap.dedent(presets.text(name))
    found = re.findall(r"^# Source, read (\d{4}-\d\d-\d\d): (.*(?:\n#   .*)*)", text, re.M)
    assert len(found) == text.count("# Source")
    assert all(date.fromisoformat(day) for day, _ in found)
    return [re.sub(r"\n#   ", " ", source) for _, source in found]


def filled(name: str) -> dict[str, Any]:
    """The settings of a preset, with each blank filled in: YOUR-API-KEY with "api-key"."""
    text = re.sub(
        # The longest first: YOUR-TOKEN-ID is not YOUR-TOKEN with something behind it.
        "|".join(sorted(blanks(name), key=len, reverse=True)),
        lambda blank: blank[0].removeprefix("YOUR-").lower(),
        "providers:\n" + presets.text(name),
    )
    settings: dict[str, Any] = yaml.safe_load(text)["providers"][name]
    return settings


def load(settings: dict[str, Any]) -> ProviderSettings:
    return module(settings["type"]).Settings.model_validate(settings)


@pytest.fixture
def gateway() -> Iterator[RecordingGateway]:
    with RecordingGateway() as one:
        yield one


@pytest.fixture
def provider(request: pytest.FixtureRequest, gateway: RecordingGateway, tmp_path: Path) -> Any:
    settings = filled(request.param)
    if settings.get("auth") in SIGNERS:
        # The host is signed too, and may be what an emulator is told.
        host = {"Host": urlsplit(settings["url"]).netloc}
        settings["headers"] = host | settings.get("headers", {})
    for one in (settings, settings.get("token", {})):
        if "url" in one:
            one["url"] = re.sub(r"^https?://[^/]+", f"http://{gateway.address}", one["url"])
    built = build(request.param, load(settings), Surroundings(tmp_path, {}, tmp_path))
    yield built
    built.close()


@pytest.mark.parametrize("name", presets.names())
class TestEveryPreset:
    def test_it_loads_once_it_is_filled_in(self, name: str, tmp_path: Path) -> None:
        provider = build(name, load(filled(name)), Surroundings(tmp_path, {}, tmp_path))
        assert provider.name == name
        provider.close()

    def test_it_holds_one_provider_of_its_own_name(self, name: str) -> None:
        document = yaml.safe_load("providers:\n" + presets.text(name))
        assert list(document) == ["providers"]
        assert list(document["providers"]) == [name]

    def test_its_comments_say_what_to_fill_in(self, name: str) -> None:
        comments = "".join(
            line for line in presets.text(name).splitlines() if line.lstrip().startswith("#")
        )
        if name in NO_DESCRIPTION:
            return
        for blank in blanks(name):
            assert blank in comments

    def test_its_lines_fit_the_screen(self, name: str) -> None:
        for line in presets.text(name).splitlines():
            assert len(line) <= 100 or "https://" in line

    def test_a_gateway_is_named_with_its_source(self, name: str) -> None:
        if filled(name)["type"] in ("http", "sipgate", "smpp"):
            assert sources(name)
        for source in sources(name):
            assert "https://" in source


def test_no_test_of_success_is_one_that_refusals_pass() -> None:
    for name in HTTP:
        settings = load(filled(name))
        assert isinstance(settings, Settings)
        assert settings.rules().loose() is None, name


def test_every_http_preset_is_compared_with_its_description() -> None:
    http = {name for name in presets.names() if filled(name)["type"] == "http"}
    assert http == HTTP.keys() | NO_DESCRIPTION


def test_there_is_no_preset_of_another_name() -> None:
    with pytest.raises(KeyError):
        presets.text("../__init__")


@pytest.mark.parametrize(
    ("provider", "described"), HTTP.items(), ids=list(HTTP), indirect=["provider"]
)
class TestHttp:
    @pytest.fixture(autouse=True)
    def log_in(self, described: Described, gateway: RecordingGateway) -> None:
        if described.login:
            gateway.answers[described.login.path] = described.login.answer

    def sent(self, gateway: RecordingGateway, described: Described) -> Taken:
        """The last message, after a look at what came before it."""
        *before, taken = gateway.requests
        logins = [(described.login.path, described.login.json)] if described.login else []
        assert [(one.path, json.loads(one.body)) for one in before] == logins
        return taken

    def test_the_request_is_the_one_that_is_described(
        self, provider: Provider, described: Described, gateway: RecordingGateway
    ) -> None:
        gateway.answer = described.accepts
        receipt = provider.send(message(), soon())
        taken = self.sent(gateway, described)
        assert (taken.method, taken.path) == (described.method, described.path)
        assert dict(parse_qsl(taken.query, strict_parsing=bool(taken.query))) == described.query
        if described.json is not None:
            kind = described.headers.get("content-type", "application/json")
            assert taken.headers["content-type"] == kind
            assert json.loads(taken.body) == described.json
        elif described.form is not None:
            assert taken.headers["content-type"] == "application/x-www-form-urlencoded"
            assert dict(parse_qsl(taken.body, strict_parsing=True)) == described.form
        else:
            assert taken.body == ""
        for name, expected in described.headers.items():
            found = taken.headers[name]
            assert found == expected or re.fullmatch(expected, found), f"{name}: {found}"
        if described.basic is not None:
            basic = base64.b64encode(described.basic.encode()).decode()
            assert taken.headers["authorization"] == f"Basic {basic}"
        assert receipt.message_id == described.message_id

    def test_a_text_that_needs_ucs2_arrives_whole(
        self, provider: Provider, described: Described, gateway: RecordingGateway
    ) -> None:
        """With what tells the gateway so, where it has to be told."""
        gateway.answer = described.accepts
        provider.send(message(text=RUSSIAN), soon())
        taken = self.sent(gateway, described)
        as_described = described.json or described.form or described.query
        expected = {
            name: RUSSIAN if value == TEXT else value for name, value in leaves(as_described)
        }
        changed = expected | (described.ucs2 or {})
        expected = {name: value for name, value in changed.items() if value is not None}
        body = taken.body if described.form else taken.query
        found = json.loads(taken.body) if described.json else dict(parse_qsl(body))
        assert dict(leaves(found)) == expected

    def test_every_answer_that_refuses_is_refused(
        self, provider: Provider, described: Described, gateway: RecordingGateway
    ) -> None:
        for answer in described.refuses:
            gateway.answer = answer
            with pytest.raises(Refused):
                provider.send(message(), soon())

    def test_a_gateway_that_has_no_room_now_is_busy(
        self, provider: Provider, described: Described, gateway: RecordingGateway
    ) -> None:
        told = [Answer(status, "Temporal failure, try again later.") for status in (429, 503)]
        for answer in [*told, *([Answer(200, described.busy)] if described.busy else [])]:
            gateway.answer = answer
            with pytest.raises(Busy):
                provider.send(message(), soon())

    def test_an_answer_of_something_else_is_not_taken_for_a_success(
        self, provider: Provider, described: Described, gateway: RecordingGateway
    ) -> None:
        if described.accepts.body == "":
            return
        gateway.answer = Answer(200, "<html><title>Welcome to the hotel Wi-Fi</title></html>")
        with pytest.raises(DeliveryError):
            provider.send(message(), soon())
