"""``smsotp user ensure``, several names a command, and what ``--json`` says of what was done."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.installation import remember
from tests.support.site import pap

if TYPE_CHECKING:
    from tests.cli.installation import Installation

PHONE, OTHER = "+491701234567", "+491707654321"


def told(here: Installation, *arguments: str, code: int = 0, stdin: str = "") -> dict[str, Any]:
    """What a command says to programs: one object, on standard output."""
    result = here.run("user", *arguments, "--json", stdin=stdin)
    assert result.exit_code == code, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    assert list(found) == ["changed", "results", "notes", "error"]
    return found


def results(here: Installation, *arguments: str, code: int = 0) -> list[tuple[str, str]]:
    """Names and results of a command."""
    return [(one["name"], one["result"]) for one in told(here, *arguments, code=code)["results"]]


class TestEnsure:
    def test_the_same_a_second_time_changes_nothing(self, here: Installation) -> None:
        """Nor is there an event, a device forgotten or a hash made anew, even with a PIN."""
        same = ("ensure", "Alice", "--phone", PHONE, "--pin-stdin", "--language", "de")
        first = told(here, *same, stdin="geheim\n")
        assert (first["changed"], first["error"]) == (True, None)
        fields = ["phone", "pin", "language"]
        assert first["results"] == [{"name": "alice", "result": "added", "fields": fields}]
        remember(here)
        before, trail = here.account("alice"), here.events()
        second = told(here, *same, stdin="geheim\n")
        assert second == {
            "changed": False,
            "results": [{"name": "alice", "result": "ok"}],
            "notes": [],
            "error": None,
        }
        assert here.done("user", *same, stdin="geheim\n") == "alice: ok\n"
        assert (here.account("alice"), here.events()) == (before, trail)
        assert "02-00-00-00-00-01" in here.done("user", "devices", "alice")

    def test_what_differs_is_changed_and_named_and_the_rest_stays(self, here: Installation) -> None:
        here.done("user", "ensure", "alice", "--phone", PHONE, "--pin", "geheim")
        assert here.done("user", "ensure", "alice", "--phone", OTHER, "--provider", "demo") == (
            "alice: changed (phone, provider)\n"
        )
        changed = "alice: changed (pin)\n"
        assert here.done("user", "ensure", "alice", "--pin-stdin", stdin="neu!\n") == changed
        assert pap(here.pin_hash(), "neu!")
        assert here.done("user", "ensure", "alice", "--no-pin", "--no-provider") == (
            "alice: changed (pin, provider)\n"
        )
        assert here.done("user", "ensure", "alice", "--no-pin") == "alice: ok\n"

    def test_a_pin_whose_key_is_gone_is_set_anew(self, here: Installation) -> None:
        here.done("user", "ensure", "alice", "--phone", PHONE, "--pin", "geheim")
        with here.store.write() as tx:
            found = tx.account("alice")
            assert found is not None
            assert found.pin_hash is not None
            tx.exchange_pin_hash("alice", found.pin_hash, f"gone{found.pin_hash}")
        assert "changed (pin)" in here.done("user", "ensure", "alice", "--pin", "geheim")
        assert pap(here.pin_hash(), "geheim")

    def test_the_state_is_one_of_three(self, here: Installation) -> None:
        new = ("ensure", "alice", "--phone", PHONE, "--state", "disabled")
        assert results(here, *new) == [("alice", "added")]
        found = here.account("alice")
        assert found is not None
        assert not found.enabled
        assert results(here, *new) == [("alice", "ok")]
        on = here.done("user", "ensure", "alice", "--state", "enabled")
        assert on == "alice: changed (enabled)\n"
        assert results(here, "ensure", "alice", "--state", "absent") == [("alice", "deleted")]
        assert results(here, "ensure", "alice", "--state", "absent") == [("alice", "ok")]
        assert here.run("user", *new[:-1], "absent").exit_code == 2

    def test_a_new_account_needs_a_number(self, here: Installation) -> None:
        """And a name of a directory is one whose account stays there."""
        found = told(here, "ensure", "carol", "--language", "de", code=1)
        assert found["error"].startswith("there is no account 'carol'")
        assert found["error"].endswith("a new account needs --phone")
        assert (found["changed"], found["results"]) == (False, [])
        directory = ("ensure", "carol", "--language", "de", "--elsewhere")
        assert results(here, *directory) == [("carol", "changed")]
        assert results(here, *directory) == [("carol", "ok")]
        carol = here.account("carol")
        assert carol is not None
        assert carol.is_bare
        named = told(here, *directory, "--phone", PHONE, code=1)
        assert "has no account here" in named["error"]
        assert results(here, "ensure", "carol", "--phone", PHONE) == [("carol", "added")]
        assert here.kinds("carol") == ["account-changed", "account-added"]

    def test_a_number_for_a_time_is_the_same_until_its_end(self, here: Installation) -> None:
        here.done("user", "add", "alice", "--phone", PHONE)
        spare = ("ensure", "alice", "--phone", OTHER, "--until", "tomorrow")
        first = told(here, *spare)
        assert first["results"][0]["fields"] == ["override"]
        assert first["notes"][0].startswith("alice: ***21 goes before any other number until")
        assert results(here, *spare) == [("alice", "ok")]

    def test_a_dry_run_says_what_would_happen(self, here: Installation) -> None:
        new = ("user", "ensure", "alice", "--phone", PHONE, "--pin", "geheim", "--dry-run")
        assert here.done(*new).startswith("alice: would be added\n")
        assert here.account("alice") is None
        here.done(*new[:-1])
        assert here.done(*new) == "alice: ok\n"
        dry = told(here, "ensure", "alice", "--phone", OTHER, "--dry-run")
        assert (dry["changed"], dry["results"][0]["result"]) == (True, "changed")
        assert "deleted" in here.done("user", "ensure", "alice", "--state", "absent", "--dry-run")
        found = here.account("alice")
        assert found is not None
        assert found.phone == PHONE

    def test_wrong_usage_is_told_as_well(self, here: Installation) -> None:
        found = told(here, "ensure", "alice", "--phone", "0170 1234567", code=2)
        assert "the phone number has no country code" in found["error"]
        assert PHONE[3:] not in found["error"].replace(PHONE, "")


class TestSeveralNames:
    @pytest.fixture(autouse=True)
    def _accounts(self, here: Installation) -> None:
        for name in ("alice", "bob"):
            here.done("user", "add", name, "--phone", PHONE)

    def test_what_is_against_one_is_not_against_the_others(self, here: Installation) -> None:
        result = here.run("user", "disable", "alice", "nobody", "bob", "alice")
        assert result.exit_code == 1
        assert result.stdout == "alice: disabled\nbob: disabled\n"
        assert result.stderr.startswith("smsotp: there is no account 'nobody'")
        found = told(here, "enable", "alice", "nobody", "bob", code=1)
        assert (found["changed"], found["error"]) == (True, None)
        assert [one["result"] for one in found["results"]] == ["enabled", "failed", "enabled"]
        assert found["results"][1]["error"] in result.stderr

    def test_what_is_so_already_is_ok(self, here: Installation) -> None:
        assert results(here, "enable", "alice", "bob") == [("alice", "ok"), ("bob", "ok")]
        assert results(here, "unlock", "alice", "bob") == [("alice", "ok"), ("bob", "ok")]
        assert told(here, "disable", "bob")["changed"] is True
        assert told(here, "disable", "bob")["changed"] is False
        assert here.done("user", "disable", "bob") == "bob: was disabled already\n"

    def test_a_name_that_cannot_be_one_stops_all(self, here: Installation) -> None:
        assert here.run("user", "disable", "alice", "a\nb").exit_code == 2
        assert [one.kind for one in here.events("alice")] == ["account-added"]

    def test_they_are_shown_one_after_the_other(self, here: Installation) -> None:
        result = here.run("user", "show", "alice", "nobody", "bob")
        assert result.exit_code == 1
        first, second = result.stdout.split("\n\n")
        assert "Name                alice" in first
        assert "Name                bob" in second
        decoder, shown = json.JSONDecoder(), here.done("user", "show", "alice", "bob", "--json")
        alice, end = decoder.raw_decode(shown)
        bob, _ = decoder.raw_decode(shown[end:].lstrip())
        assert (alice["name"], bob["name"], bob["phone"]) == ("alice", "bob", PHONE)

    def test_they_are_deleted_and_erased(self, here: Installation) -> None:
        assert here.run("user", "delete", "alice", "bob").exit_code == 2
        assert here.account("alice") is not None
        deleted = results(here, "delete", "nobody", "alice", "--yes", code=1)
        assert deleted == [("nobody", "failed"), ("alice", "deleted")]
        erased = told(here, "erase", "bob", "nobody", "alice", "--yes", code=1)
        by_name = {one["name"]: one for one in erased["results"]}
        assert by_name["bob"]["rows"] == {"account": 1, "events": 1}
        assert by_name["alice"]["rows"] == {"events": 2}
        assert by_name["nobody"]["result"] == "failed"

    def test_their_codes_stand_in_one_table(self, here: Installation) -> None:
        for name in ("alice", "bob"):
            here.done("user", "code", name)
        heading, *rows = here.done("user", "codes", "alice", "bob").splitlines()
        assert heading.split()[:2] == ["Account", "Number"]
        assert [row.split()[0] for row in rows] == ["alice", "bob"]
        assert here.run("user", "codes", "alice", "bob", "--revoke", "1").exit_code == 2
        assert results(here, "codes", "alice", "bob", "--revoke-all") == [
            ("alice", "revoked"),
            ("bob", "revoked"),
        ]
        assert results(here, "codes", "alice", "--revoke-all") == [("alice", "ok")]

    def test_devices_that_are_forgotten_are_counted(self, here: Installation) -> None:
        remember(here)
        forgotten = told(here, "devices", "alice", "--forget-all")
        assert forgotten["results"] == [{"name": "alice", "result": "forgotten", "devices": 1}]
        assert results(here, "devices", "alice", "--forget-all") == [("alice", "ok")]


def test_a_store_that_cannot_be_used_is_the_fault_of_no_name(here: Installation) -> None:
    """It is told once; the exit code is that of settings that cannot be used."""
    here.store_path.unlink()
    found = told(here, "disable", "alice", "bob", code=3)
    assert found["results"] == []
    assert "is not there" in found["error"]


def test_the_help_has_what_is_done_each_day_first(here: Installation) -> None:
    told = here.done("user", "--help").partition("Commands:\n")[2]
    names = [line.split()[0] for line in told.splitlines() if line.startswith("  ")]
    places = {name: at for at, name in enumerate(names)}
    assert places["list"] < places["unlock"] < places["code"] < places["import"] < places["erase"]
