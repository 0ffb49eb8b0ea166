"""``smsotp user list`` and ``show``: those accounts that are asked for, on both stores."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.model.records import Event, Lockout
from radius_smsotp.store import open_store
from tests.cli.installation import Installation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def crowd(tmp_path: Path, store_url: str) -> Iterator[Installation]:
    """Accounts in every state, among them one that is both disabled and locked out."""
    one = Installation(tmp_path / "crowd", "--store", store_url)
    for name in ("alice", "Ext-Bob", "ext-carol", "ext_dave"):
        one.done("user", "add", name, "--phone", "+491701234567")
    one.done("user", "disable", "ext-carol")
    now = datetime.now(UTC)
    store = open_store(store_url)
    with store.write() as tx:
        tx.put_lockout("ext-carol", Lockout(10, now, now + timedelta(minutes=10)))
        tx.put_lockout("ext_dave", Lockout(10, now, now + timedelta(minutes=10)))
        tx.put_lockout("alice", Lockout(10, now, now - timedelta(minutes=1)))
    store.close()
    yield one
    one.close()


def test_pattern_and_state_leave_the_accounts_that_fit_both(crowd: Installation) -> None:
    for asked, names in (
        (["*"], ["alice", "ext-bob", "ext-carol", "ext_dave"]),
        (["EXT-*"], ["ext-bob", "ext-carol"]),
        (["ext?*e"], ["ext_dave"]),
        (["alice"], ["alice"]),
        (["lic"], []),
        (["--state", "enabled"], ["alice", "ext-bob"]),
        (["--state", "disabled"], ["ext-carol"]),
        (["--state", "locked"], ["ext_dave"]),
        (["ext-*", "--state", "locked"], []),
    ):
        found = json.loads(crowd.done("user", "list", *asked, "--json"))
        assert [one["name"] for one in found] == names, asked


def test_nobody_is_told_to_add_an_account_where_some_do_not_fit(here: Installation) -> None:
    for asked in (["zoe"], ["--state", "locked"]):
        assert here.run("user", "list", *asked).output == "There is no such account.\n"
    assert "There is no account yet" in here.run("user", "list").output


def test_why_a_directory_has_refused_is_shown_until_it_lets_in(
    crowd: Installation, store_url: str
) -> None:
    """The helpdesk looks at one place, whoever has refused."""

    def happens(kind: str, **detail: str) -> str:
        store = open_store(store_url)
        with store.write() as tx:
            tx.add_event(Event(kind, datetime.now(UTC), "alice", detail=detail))
        store.close()
        return crowd.done("user", "show", "alice")

    assert "Last refused" not in crowd.done("user", "show", "alice")
    told = happens("login-refused", reason="domain-hours")
    told = happens("pin-wrong")
    [line] = [one for one in told.splitlines() if one.startswith("Last refused")]
    assert line.endswith(": the domain lets the account in at other hours only")
    shown = json.loads(crowd.done("user", "show", "alice", "--json"))
    assert shown["refused"]["reason"] == "domain-hours"
    assert "Last refused" not in happens("challenge-opened")
