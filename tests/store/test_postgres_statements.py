"""Statements, many in one way there and back: what is kept at the server, and what fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from radius_smsotp.errors import StoreError
from radius_smsotp.store.postgres import statements
from radius_smsotp.store.postgres.pool import CONNECTIONS
from tests.store.samples import NOW

if TYPE_CHECKING:
    from radius_smsotp.store import Store

KEPT = "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'smsotp%'"


def answer(store: Store, sql: str, *values: Any) -> list[Any]:
    """The rows that a statement finds."""
    with store.read() as tx:
        return list(tx._db.execute(sql, values))


def test_none_after_one_that_fails_is_run(postgres_store: Store) -> None:
    """Nor taken for one that the server knows from then on."""

    def fail() -> None:
        with postgres_store.write() as tx:
            tx._db.executemany("INSERT INTO tally VALUES (?, ?, ?)", [("all", 1, 1)] * 2)

    with pytest.raises(StoreError):
        fail()

    def fail_later() -> None:
        with postgres_store.write() as tx:
            tx._db.execute("INSERT INTO tally VALUES (?, ?, ?)", ("all", "?", 1))
            tx.add_key("fingerprint", "key", NOW)

    with pytest.raises(StoreError):
        fail_later()
    with postgres_store.write() as tx:
        tx.add_key("fingerprint", "key", NOW)
    with postgres_store.read() as tx:
        assert tx.known_keys() == {"fingerprint": "key"}
    assert answer(postgres_store, "SELECT * FROM tally") == []


def test_one_whose_table_has_changed_works_the_next_time(
    postgres_store: Store, postgres_url: str
) -> None:
    """What the server keeps of it is not that any more, for each connection, which take turns."""
    rows = "SELECT * FROM server"
    with postgres_store.write() as tx:
        tx.put_server("here", NOW)
    for _ in range(CONNECTIONS):
        assert len(answer(postgres_store, rows)[0]) == 2
    with psycopg.connect(postgres_url, autocommit=True) as db:
        db.execute("ALTER TABLE server ADD COLUMN more TEXT")
    failed = 0
    for _ in range(2 * CONNECTIONS):
        try:
            answer(postgres_store, rows)
        except StoreError:
            failed += 1
    assert 0 < failed <= CONNECTIONS
    [row] = answer(postgres_store, rows)
    assert (row["place"], row["more"]) == ("here", None)


def test_those_of_any_length_do_not_fill_the_server(
    postgres_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps so many and no more; the others work all the same."""
    monkeypatch.setattr(statements, "PREPARED_MOST", 10)
    for number in range(1, 30):
        names = [f"user{one}" for one in range(number)]
        with postgres_store.read() as tx:
            assert tx.accounts_named(names) == {}
    assert 0 < answer(postgres_store, KEPT)[0][0] <= 10
