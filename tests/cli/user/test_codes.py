"""``smsotp user code`` and ``codes``: emergency codes are made and shown once, listed, revoked."""

from __future__ import annotations

import json
import re
import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.login.answers import Accepted
from tests.cli.installation import remember
from tests.support.site import kind

if TYPE_CHECKING:
    from tests.cli.installation import Installation

PIN = "geheim"


@pytest.fixture
def alice(here: Installation) -> Installation:
    """An installation with the account alice, who reads German."""
    options = ("--phone", "+491701234567", "--language", "de", "--pin-stdin")
    here.done("user", "add", "alice", *options, stdin=f"{PIN}\n")
    return here


def shown(text: str) -> list[str]:
    """The codes in what was printed."""
    found = re.findall(r"\b(\d{5}) ?(\d{5})\b", text)
    return [first + second for first, second in found]


def test_they_are_shown_once_and_let_in(alice: Installation) -> None:
    """Valid for a day, as long as nothing else is said; the trail says who has made them."""
    text = alice.done("user", "code", "alice")
    until = datetime.now(UTC).astimezone() + timedelta(days=1)
    assert f"alice: 1 emergency code, valid until {until:%Y-%m-%d}" in text
    [code] = shown(text)
    node = alice.node()
    assert node.second(node.challenge("alice", PIN), code) == Accepted()
    last = alice.events("alice")[1]
    assert last.kind == "codes-made"
    assert last.detail.pop("by")
    assert last.detail == {"codes": 1, "uses": 1, "hours": 24}
    told = alice.done("trace", "alice")
    assert "codes: 1, logins each: 1, for 24 hours, by " in told
    assert "an emergency code was right: logged in (number 1, " in told
    everything = told + alice.done("user", "show", "alice") + alice.done("user", "codes", "alice")
    assert shown(everything) == []


def test_new_ones_end_those_of_before_and_forget_devices(alice: Installation) -> None:
    """The list may be in the lost bag, the phone may be a device that is remembered."""
    remember(alice)
    [first] = json.loads(alice.done("user", "code", "alice", "--count", "3", "--json"))["results"]
    assert (first["name"], first["uses"], first["ended"]) == ("alice", 1, 0)
    assert len(set(first["codes"])) == 3
    assert "no device is remembered" in alice.done("user", "devices", "alice")
    text = alice.done("user", "code", "alice", "--uses", "2", "--for", "90m")
    assert "each for 2 logins" in text
    assert "worthless from now on: 3 made before" in text
    node = alice.node()
    challenged = node.challenge("alice", PIN)
    assert node.second(challenged, first["codes"][0]) != Accepted()
    assert node.second(challenged, *shown(text)) == Accepted()


def test_the_page_is_for_its_user_alone(alice: Installation) -> None:
    """In the user's language, nothing shown on the screen, and nobody else may read it."""
    page = alice.folder / "alice.html"
    text = alice.done("user", "code", "alice", "--count", "10", "--page", str(page))
    assert shown(text) == []
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    html = page.read_text("utf-8")
    assert "Bitte geben Sie einen Ihrer Notfallcodes ein (10 Ziffern)." in html
    assert '<html lang="de">' in html
    halves = re.findall(r'<span class="half">(\d{5})</span>', html)
    codes = [first + second for first, second in zip(halves[::2], halves[1::2], strict=True)]
    assert len(codes) == 10
    node = alice.node()
    assert node.second(node.challenge("alice", PIN), codes[7]) == Accepted()
    # One that cannot be written leaves those that are there.
    result = alice.run("user", "code", "alice", "--page", str(alice.folder / "none" / "a.html"))
    assert result.exit_code == 1
    assert node.second(node.challenge("alice", PIN), codes[8]) == Accepted()


def test_they_are_listed_by_number_and_revoked(alice: Installation) -> None:
    """One alone, or all: then the next login has an SMS again."""
    [made] = json.loads(alice.done("user", "code", "alice", "--count", "2", "--json"))["results"]
    assert alice.done("user", "codes", "alice", "--revoke", "1") == (
        "alice: emergency codes revoked: 1\n"
    )
    first, second = json.loads(alice.done("user", "codes", "alice", "--json"))
    assert (first["number"], first["uses"], second["uses"]) == (1, 0, 1)
    assert second["until"] == made["until"]
    result = alice.run("user", "codes", "alice", "--revoke", "1")
    assert (result.exit_code, "no emergency code 1 is valid" in result.output) == (1, True)
    node = alice.node()
    challenged = node.challenge("alice", PIN)
    assert node.second(challenged, made["codes"][0]) != Accepted()
    alice.done("user", "codes", "alice", "--revoke-all")
    assert kind(node.second(challenged, made["codes"][1])) == "rejected"
    assert alice.events("alice")[-2].detail["numbers"] == "2"
    assert "no emergency code is valid" in alice.done("user", "codes", "alice")
    assert "***67" in node.challenge("alice", PIN).text
    both = alice.run("user", "codes", "alice", "--revoke", "1", "--revoke-all")
    assert both.exit_code == 2


def test_who_cannot_log_in_all_the_same_is_told(alice: Installation) -> None:
    """And a name that nobody knows is refused, unless a directory is said to."""
    alice.done("user", "disable", "alice")
    assert "alice is disabled: 'smsotp user enable alice'" in alice.done("user", "code", "alice")
    for command in ("code", "codes"):
        result = alice.run("user", command, "carol")
        assert (result.exit_code, "there is no account 'carol'" in result.output) == (1, True)
    assert shown(alice.done("user", "code", "carol", "--elsewhere"))
    assert "1" in alice.done("user", "codes", "carol")


@pytest.mark.parametrize(
    ("option", "text", "fault"),
    [
        ("--for", "tomorrow", "is no length of time; write it as"),
        ("--for", "93d", "it is not between 1 minute and 92 days"),
        ("--for", "999999w", "it is not between 1 minute and 92 days"),
        ("--for", "0m", "it is not between"),
        ("--count", "51", "is not in the range 1<=x<=50"),
        ("--uses", "0", "is not in the range"),
    ],
)
def test_what_makes_no_sense_is_wrong_usage(
    alice: Installation, option: str, text: str, fault: str
) -> None:
    """With what may be written instead; nothing is made."""
    result = alice.run("user", "code", "alice", option, text)
    assert result.exit_code == 2
    assert fault in " ".join(result.output.split())
    assert [event.kind for event in alice.events("alice")] == ["account-added"]


def test_a_key_that_they_need_stays(alice: Installation) -> None:
    """It is counted what hangs on it; --cancel ends them."""
    alice.done("user", "code", "alice", "--count", "4")
    keys = json.loads(alice.done("key", "list", "--json"))
    assert {one["id"][0]: one["emergency_codes"] for one in keys} == {"p": 0, "k": 4}
    [old] = (one["id"] for one in keys if one["id"][0] == "k")
    rotated = alice.done("key", "rotate", "--in", "1")
    until = datetime.now(UTC).astimezone() + timedelta(days=1)
    assert f"From {until:%Y-%m-%d}" in rotated
    path = alice.folder / "key"
    path.write_text(re.sub(r" \d{4}-\S+", "", path.read_text()))
    result = alice.run("key", "retire", old)
    assert result.exit_code == 1
    assert "emergency codes of 1 account hang on it, as those of alice" in result.output
    alice.done("key", "retire", old, "--cancel")
    assert "no emergency code is valid" in alice.done("user", "codes", "alice")
