"""The section ``ways``: which providers carry what, and what does not fit together."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.errors import ConfigurationError
from radius_smsotp.settings import file

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = {"type": "folder", "path": "outbox"}
MAIL = {"type": "smtp", "mailserver": "mail.example.org", "mailto": "{email}"}
GATEWAY = {"type": "http", "url": "https://gw.example.org/?to={phone}&text={message}"}
VOICE = {"type": "http", "url": "https://gw.example.org/?to={phone}&say={message_spoken}"}


def load(folder: Path, **sections: Any) -> file.Loaded:
    values = {"providers": {"demo": FOLDER, "office": MAIL, "voice": VOICE}, **sections}
    path = folder / "smsotp.yaml"
    path.write_text(json.dumps(values))
    return file.load(path)


WAYS = {"mail": {"address": "email", "order": ["office"]}, "call": {"order": ["voice"]}}


def test_who_carries_another_way_carries_no_sms(tmp_path: Path) -> None:
    """Unless delivery.order says so."""
    loaded = load(tmp_path, ways=WAYS)
    assert loaded.order == ("demo",)
    assert loaded.route("+491701234567") == ("demo",)
    assert loaded.route("+491701234567", "call") == ("voice",)
    assert loaded.route("alice@example.org", "mail") == ("office",)
    both = load(tmp_path, ways=WAYS, delivery={"order": ["demo", "voice"]})
    assert both.order == ("demo", "voice")


def test_a_way_without_providers_has_those_of_sms(tmp_path: Path) -> None:
    prefixes = {"+43": ["demo", "voice"]}
    loaded = load(
        tmp_path, ways={**WAYS, "second": {}}, delivery={"order": ["demo"], "prefixes": prefixes}
    )
    assert loaded.route("+491701234567", "second") == ("demo",)
    assert loaded.route("+436641234567", "second") == ("demo", "voice")


@pytest.mark.parametrize(
    ("sections", "fault"),
    [
        (
            {"ways": {"mail": {"address": "email", "order": ["voice"]}}},
            "ways.mail.order: 'voice' has no place for the address; write {email} there",
        ),
        (
            {"ways": {**WAYS, "call": {"order": ["office"]}}},
            "ways.call.order: 'office' sends to {email}; name it in `ways`",
        ),
        ({}, "delivery.order: 'office' sends to {email}"),
        (
            {"ways": WAYS, "delivery": {"order": ["office"]}},
            "delivery.order: 'office' sends to {email}",
        ),
        (
            {"ways": {**WAYS, "call": {"order": ["vioce"]}}},
            "ways.call.order: 'vioce' is not among the providers",
        ),
        ({"ways": {"mail": {"address": "email"}}}, "ways.mail: a mail needs providers of its own"),
        (
            {"ways": {"mail": {**WAYS["mail"], "everyone": True}}},
            "ways.mail: not everyone has a mail address here",
        ),
        ({"ways": {"sms": {}}}, "is no word for a way"),
        ({"ways": {"by mail": {}}}, "is no word for a way"),
        (
            {"texts": {"digits_spoken": "zero one"}},
            "texts.digits_spoken: is not ten words, one for each digit from 0",
        ),
        ({"texts": {"spoken": "Your code."}}, "texts.spoken: {code_spoken} is missing"),
    ],
)
def test_what_does_not_fit_together_is_said(
    tmp_path: Path, sections: dict[str, Any], fault: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, **sections)
    assert fault in "\n".join(map(str, caught.value.problems))


def test_without_ways_an_answer_asks_for_none(tmp_path: Path) -> None:
    plain = load(tmp_path, providers={"demo": FOLDER})
    assert plain.for_client("vpn", "").login.ways == frozenset()
    ways = load(tmp_path, ways=WAYS).for_client("vpn", "").login.ways
    assert ways == {"sms", "mail", "call"}
