"""``smsotp user export-data`` and ``erase``; and what names of a directory take, on both stores."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.login.answers import Accepted
from radius_smsotp.model.records import Account, Lockout
from radius_smsotp.store import open_store
from tests.cli.installation import Installation, remember
from tests.support.site import events

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


PIN = "geheim"
PHONE, SPARE = "+491701234567", "+491707777777"


@pytest.fixture
def here(tmp_path: Path, store_url: str) -> Iterator[Installation]:
    """An installation with alice, who has logged in, and alice2."""
    one = Installation(tmp_path / "site", "--store", store_url)
    one.store = open_store(store_url)
    for name in ("alice", "alice2"):
        one.done("user", "add", name, "--phone", PHONE, "--pin-stdin", stdin=f"{PIN}\n")
    node = one.node()
    for name in ("alice", "alice2"):
        challenged = node.challenge(name, PIN)
        assert node.second(challenged, node.code(challenged), name) == Accepted()
    yield one
    one.close()


def test_all_that_is_kept_is_told_and_then_nothing_is(here: Installation) -> None:
    """The other one's stays, and so do the figures; the name may be used anew."""
    made = json.loads(here.done("user", "code", "alice", "--count", "2", "--json"))
    [code, _] = made["results"][0]["codes"]
    assert here.nodes[0].first("alice", PIN + code) == Accepted()
    remember(here)
    found = json.loads(here.done("user", "export-data", "alice"))
    [own] = found["account"]
    assert (own["name"], own["phone"], own["enabled"]) == ("alice", PHONE, True)
    assert own["pin"] == "a sealed hash of 10000 rounds"
    for title in ("stations", "devices", "emergency_codes", "attempts"):
        assert len(found[title]) == 1, title
    assert [one["emergency"] for one in found["challenges"]] == [False, True]
    assert [one["phone"] for one in found["messages"]] == [PHONE]
    kinds = ["account-added", "challenge-opened", "sms-accepted", "code-accepted"]
    more = ["codes-made", "challenge-opened", "code-accepted"]
    assert [one["kind"] for one in found["events"]] == [*kinds, *more]
    assert datetime.fromisoformat(found["events"][0]["time"]).tzinfo is not None
    secret = ("pin_hash", "batch", "key_id", "sealed_phone")
    assert not [word for word in secret if word in json.dumps(found)]
    other = json.loads(here.done("user", "export-data", "alice2"))
    figures = here.done("stats", "--json")
    assert here.run("user", "erase", "alice").exit_code == 2  # nobody to ask
    told = here.done("user", "erase", "alice", "--yes")
    assert told.startswith("alice: erased (account: 1, stations: 1, devices: 1, emergency_codes: 1")
    for command in ("export-data", "erase", "show", "code", "disable"):
        result = here.run("user", command, "alice")
        assert result.exit_code == 1
        assert "nothing is kept of" in result.output or "there is no account" in result.output
    again = json.loads(here.done("user", "export-data", "alice2"))
    del again["time"], other["time"]
    # The number, and so what was sent to it, is of both.
    del again["tallies"], other["tallies"]
    assert again == other
    assert here.done("stats", "--json") == figures
    [erased] = [one for one in events(here.store, "") if one.kind == "account-erased"]
    assert set(erased.detail) == {"by"}
    here.done("user", "add", "alice", "--phone", PHONE, "--no-pin")


def test_a_name_of_a_directory_is_kept_by_what_is_said_of_it(here: Installation) -> None:
    """Not by a typing error; PIN and number need an account, but for a number that ends."""
    result = here.run("user", "disable", "carol")
    assert (result.exit_code, "--elsewhere" in result.output) == (1, True)
    here.done("user", "disable", "carol", "--elsewhere")
    for options in (("--phone", SPARE), ("--pin", "2580")):
        result = here.run("user", "set", "carol", *options)
        assert (result.exit_code, "has no account here" in result.output) == (1, True)
    here.done("user", "set", "carol", "--language", "de")
    told = here.done("user", "set", "carol", "--phone", SPARE, "--until", "3d")
    assert "carol: ***77 goes before any other number until" in told
    [carol] = json.loads(here.done("user", "list", "carol", "--json"))
    assert (carol["elsewhere"], carol["enabled"], carol["override"]) == (True, False, SPARE)
    assert "then elsewhere" in here.done("user", "show", "carol")
    assert "carol" not in here.done("user", "export", "-")
    # What was said of it stays when it gets an account.
    here.done("user", "add", "carol", "--phone", PHONE, "--no-pin")
    account = here.account("carol")
    assert account is not None
    assert (account.phone, account.override, account.enabled) == (PHONE, SPARE, False)


def test_a_number_for_a_time_moves_and_ends(here: Installation) -> None:
    """Codes under way end, and devices are forgotten, as with any other number."""
    remember(here)
    for options in (("--until", "2d"), ("--phone", SPARE, "--until", "93d")):
        assert here.run("user", "set", "alice", *options).exit_code == 2
    here.done("user", "set", "alice", "--phone", SPARE, "--until", "2d")
    assert "no device is remembered" in here.done("user", "devices", "alice")
    assert here.events("alice")[-2].detail["fields"] == "override"
    here.done("user", "set", "alice", "--until", "2h")
    account = here.account("alice")
    assert account is not None
    assert account.phone == PHONE
    assert account.override_until is not None
    assert account.override_until < datetime.now(UTC) + timedelta(hours=3)
    assert f"{SPARE} until" in here.done("user", "list", "alice")
    # Another number of the account's own does not count yet.
    told = here.done("user", "set", "alice", "--phone", "+491709999999")
    assert "alice: ***77 goes before any other number until" in told
    told = here.done("user", "set", "alice", "--until", "now")
    assert "the number for a time counts no more" in told
    assert SPARE not in here.done("user", "list", "alice")


def test_names_from_elsewhere_stand_among_the_accounts(here: Installation) -> None:
    """With their lock-out, in the order of names."""
    now = datetime.now(UTC)
    with here.store.write() as tx:
        tx.put_lockout("albert", Lockout(10, now, now + timedelta(minutes=10)))
        tx.put_account(Account("zoe", None), now)
    names = [one["name"] for one in json.loads(here.done("user", "list", "--json"))]
    assert names == ["albert", "alice", "alice2", "zoe"]
    [locked] = json.loads(here.done("user", "list", "--state", "locked", "--json"))
    assert locked["name"] == "albert"
    here.done("user", "unlock", "albert")
    assert json.loads(here.done("user", "list", "--state", "locked", "--json")) == []
    assert "elsewhere" in here.done("user", "show", "albert")
