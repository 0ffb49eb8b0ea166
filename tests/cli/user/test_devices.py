"""``smsotp user devices``: remembered devices are shown, and forgotten."""

from __future__ import annotations

import json
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
    """An installation with the account alice."""
    options = ("--phone", "+491701234567", "--pin-stdin")
    here.done("user", "add", "alice", *options, stdin=f"{PIN}\n")
    return here


class TestList:
    def test_they_are_listed_with_place_and_end(self, alice: Installation) -> None:
        remember(alice)
        remember(alice, client="vpn", ssid="", station="192.0.2.7")
        head, *lines = alice.done("user", "devices", "alice").splitlines()
        assert head.split() == ["Device", "SSID", "Client", "Until"]
        until = f"{datetime.now() + timedelta(hours=5):%Y-%m-%d}"  # noqa: DTZ005  # as it is shown
        assert [line.split()[:-2] for line in lines] == [
            ["192.0.2.7", "vpn", until],
            ["02-00-00-00-00-01", "Office", "wifi", until],
        ]

    def test_json_holds_the_same(self, alice: Installation) -> None:
        remember(alice)
        [record] = json.loads(alice.done("user", "devices", "alice", "--json"))
        until = datetime.fromisoformat(record.pop("until"))
        assert until > datetime.now(UTC) + timedelta(hours=4)
        assert record == {"station": "02-00-00-00-00-01", "ssid": "Office", "client": "wifi"}

    def test_one_whose_time_is_over_is_not_listed(self, alice: Installation) -> None:
        remember(alice, hours=-1)
        assert "no device is remembered" in alice.done("user", "devices", "alice")
        assert json.loads(alice.done("user", "devices", "alice", "--json")) == []

    def test_prune_removes_it(self, alice: Installation) -> None:
        remember(alice)
        remember(alice, hours=-1, ssid="Guests")
        assert alice.done("prune") == "removed: 1\n"
        assert len(json.loads(alice.done("user", "devices", "alice", "--json"))) == 1


class TestForget:
    @pytest.mark.parametrize("writing", ["02:00:00:00:00:01", "0200.0000.0001", "020000000001"])
    def test_one_in_whatever_writing(self, alice: Installation, writing: str) -> None:
        remember(alice)
        remember(alice, station="02-00-00-00-00-02")
        shown = alice.done("user", "devices", "alice", "--forget", writing)
        assert shown == "alice: devices forgotten: 1\n"
        [left] = json.loads(alice.done("user", "devices", "alice", "--json"))
        assert left["station"] == "02-00-00-00-00-02"
        last = alice.events("alice")[-1]
        assert (last.kind, last.station) == ("device-forgotten", "02-00-00-00-00-01")
        assert last.detail["devices"] == 1

    def test_all(self, alice: Installation) -> None:
        remember(alice)
        remember(alice, ssid="Guests")
        shown = alice.done("user", "devices", "alice", "--forget-all")
        assert shown == "alice: devices forgotten: 2\n"
        assert "no device is remembered" in alice.done("user", "devices", "alice")
        assert "devices: 2, by " in alice.done("trace", "alice")

    def test_one_that_is_not_there_is_an_error_and_no_event(self, alice: Installation) -> None:
        remember(alice)
        result = alice.run("user", "devices", "alice", "--forget", "02-00-00-00-00-99")
        assert result.exit_code == 1
        assert "no device '02-00-00-00-00-99' is remembered" in result.output
        assert alice.events("alice")[-1].kind == "account-added"

    def test_none_at_all_are_forgotten_without_an_event(self, alice: Installation) -> None:
        shown = alice.done("user", "devices", "alice", "--forget-all")
        assert shown == "alice: devices forgotten: 0\n"
        assert alice.events("alice")[-1].kind == "account-added"

    def test_both_at_once_is_wrong_usage(self, alice: Installation) -> None:
        result = alice.run("user", "devices", "alice", "--forget", "x", "--forget-all")
        assert result.exit_code == 2
        assert "exclude each other" in result.output

    def test_the_device_then_needs_a_code(self, alice: Installation) -> None:
        alice.write(remember={"hours": 1}, limits={"cooldown": 0})
        node = alice.node()
        challenged = node.challenge("alice", PIN)
        node.second(challenged, node.code(challenged))
        assert node.first("alice", PIN) == Accepted()
        alice.done("user", "devices", "alice", "--forget-all")
        assert kind(node.first("alice", PIN)) == "challenged"


def test_disabling_the_account_forgets_them(alice: Installation) -> None:
    """For good: enabling it again brings none back."""
    remember(alice)
    alice.done("user", "disable", "alice")
    alice.done("user", "enable", "alice")
    assert "no device is remembered" in alice.done("user", "devices", "alice")
    kinds = [event.kind for event in alice.events("alice")]
    assert kinds[1:] == ["account-changed", "device-forgotten", "account-changed"]


def test_an_import_with_another_number_forgets_them(alice: Installation) -> None:
    """As `smsotp user set` does."""
    remember(alice)
    sheet = alice.folder / "staff.csv"
    sheet.write_text("name,phone\nalice,+491707654321\n")
    alice.done("user", "import", str(sheet), "--update")
    assert "no device is remembered" in alice.done("user", "devices", "alice")
