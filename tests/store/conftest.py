"""A store in PostgreSQL, for the tests of that store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from radius_smsotp.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from radius_smsotp.store import Store
    from tests.store.postgres_server import PostgresServer


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest, postgres_server: PostgresServer) -> str:
    """That of `postgres_store`, or an empty database."""
    return postgres_server.make_url(store="postgres_store" in request.fixturenames)


@pytest.fixture
def postgres_store(postgres_url: str) -> Iterator[Store]:
    """A store in it."""
    one = open_store(postgres_url, patience=5)
    one.migrate()
    yield one
    one.close()


@pytest.fixture
def beside(postgres_store: Store, postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A session of somebody else on the same database, once the store is there."""
    with psycopg.connect(postgres_url, autocommit=True) as db:
        yield db
