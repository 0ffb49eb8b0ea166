"""A pooler between us and the database, as many sites have one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from radius_smsotp.model.records import Lockout
from radius_smsotp.store import open_store
from tests.store.contract_whole import WholeContract
from tests.store.pooler import Pooler
from tests.store.samples import NOW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.store.postgres_server import PostgresServer

SIZE = 4
"""Connections that all clients of a database share."""


@pytest.fixture(scope="module")
def pooler(postgres_server: PostgresServer) -> Iterator[Pooler]:
    """One that changes connections between two transactions."""
    with Pooler(postgres_server, "transaction", SIZE) as one:
        yield one


class TestContract(WholeContract):
    """The promises of a store hold, although each transaction may meet another connection."""

    HASTE = 1.0

    @pytest.fixture
    def make_url(self, pooler: Pooler, postgres_server: PostgresServer) -> Callable[[], str]:
        return lambda: pooler.url(postgres_server.make_url())

    @pytest.fixture
    def new_url(self, pooler: Pooler, postgres_server: PostgresServer) -> Callable[[], str]:
        return lambda: pooler.url(postgres_server.make_url(store=True))


def test_check_names_it(pooler: Pooler, postgres_server: PostgresServer) -> None:
    """Whoever looks for a slow way sees that there is one."""
    told = []
    for way in (lambda url: url, pooler.url):
        store = open_store(way(postgres_server.make_url()), 5)
        store.migrate()
        told.append("behind a pooler" in store.inspect()[0])
        store.close()
    assert told == [False, True]


def test_others_have_no_settings_of_ours(pooler: Pooler, postgres_server: PostgresServer) -> None:
    """A commit of theirs that must last would not, if ours had said so for the connection."""
    url = pooler.url(postgres_server.make_url())
    store = open_store(url, 5)
    store.migrate()
    for _ in range(2 * SIZE):
        with store.write("alice", durable=True) as tx:
            tx.put_lockout("alice", Lockout(1, NOW))
    found = set()
    for _ in range(2 * SIZE):
        with psycopg.connect(url, autocommit=True) as db:
            found.add((*db.execute("SHOW synchronous_commit"), *db.execute("SHOW lock_timeout")))
    store.close()
    assert found == {(("on",), ("0",))}
