"""Logins that are refused without end: what they leave, and that what is written shows nothing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.login.request import Round
from radius_smsotp.store import sqlite
from radius_smsotp.store.trail import LINES
from radius_smsotp.store.transaction import Transaction
from tests.support.site import request

if TYPE_CHECKING:
    import sqlite3

    from tests.support.site import Site

OF_CLIENT, OF_NAME = LINES[1:]


class Writes:
    """A connection that counts the tables which are written through it."""

    def __init__(self, connection: Any, tables: Counter[str]) -> None:
        self._connection, self._tables = connection, tables

    def execute(self, sql: str, parameters: Any = ()) -> Any:
        if sql.startswith("INSERT INTO "):
            self._tables[sql.split()[2]] += 1
        return self._connection.execute(sql, parameters)


def test_the_same_is_written_for_who_is_known_and_who_is_not(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong PIN, a locked account, a name that is none: a line for each, and later for none."""
    node = site.node(lockout={"failures": 5, "minutes": 15})
    written: Counter[str] = Counter()

    def counted(connection: sqlite3.Connection, **more: Any) -> Transaction:
        return Transaction(Writes(connection, written), **more)

    def tables(user: str) -> Counter[str]:
        written.clear()
        node.first(user, "wrong")
        return Counter({name.replace("decoy", "lockout"): one for name, one in written.items()})

    for _ in range(5):
        node.first("bob", "wrong")
    monkeypatch.setattr(sqlite, "Transaction", counted)
    for user in ("alice", "nobody", "bob"):
        assert tables(user) == {"event": 1, "lockout": 1}, user
    for number in range(OF_CLIENT):
        node.first(f"made-up{number}", "wrong")
    for user in ("alice", "nobody", "bob"):
        assert tables(user) == {"lockout": 1}, user


@pytest.mark.parametrize("user", ["alice", "nobody"])
def test_so_it_is_for_answers_with_a_state_that_is_none(
    site: Site, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    """Of one name some leave a line each, and the others nothing until the minute is over."""
    node, written = site.node(), Counter[str]()
    monkeypatch.setattr(
        sqlite, "Transaction", lambda db, **more: Transaction(Writes(db, written), **more)
    )
    for number in range(100):
        node.service.answer(request(user, "123456", transaction_id=f"{number:032x}"))
    assert written == {"event": OF_NAME}


def test_the_log_tells_of_a_device_as_often_as_the_trail(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """What is no EAP of ours costs its sender nothing either, and a log fills a disk as well."""
    node, broken = site.node(), Round(None, fault="sends what is no EAP packet")
    for _ in range(100):
        node.service.malformed(request(eap=broken))
    assert len(node.events()) == OF_NAME
    assert caplog.messages == ["the device of 'alice' sends what is no EAP packet"] * OF_NAME
