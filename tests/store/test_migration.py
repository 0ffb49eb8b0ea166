"""A store of every version that there ever was becomes one of today, and keeps what is in it."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from radius_smsotp.store import open_store
from radius_smsotp.store.postgres import store as postgres
from radius_smsotp.store.schema import VERSIONS
from tests.store.contract import ALICE, NOW, challenge

if TYPE_CHECKING:
    from pathlib import Path

    from tests.store.postgres_server import PostgresServer

GIVEN_UP = {"device": 2}
"""Table to the version that begins it anew, on purpose: see the words at that version."""

VALUES = {"text": "t{}", "integer": "{}", "bigint": "{}", "double precision": "{}.25"}
ROWS = 3

Rows = dict[str, list[dict[str, Any]]]


class SqliteDatabase:
    """A file, without our store around it."""

    def __init__(self, path: Path) -> None:
        self.url = f"sqlite:///{path}"
        self._path = path

    def make(self, version: int) -> None:
        """Bring it to an earlier version."""
        self._path.touch(0o600)
        with contextlib.closing(sqlite3.connect(self._path, isolation_level=None)) as db:
            for statement in (one for step in VERSIONS[:version] for one in step):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {version}")

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement."""
        with contextlib.closing(sqlite3.connect(self._path, isolation_level=None)) as db:
            return db.execute(sql).fetchall()

    def columns(self) -> dict[str, dict[str, str]]:
        """Table to column to type."""
        tables = self.run("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {
            table: {row[1]: row[2].lower() for row in self.run(f"PRAGMA table_info({table})")}
            for (table,) in tables
        }

    def structure(self) -> object:
        """Everything that can differ between two schemas."""
        tables = {table: self.run(f"PRAGMA table_info({table})") for table in self.columns()}
        indexes = self.run("SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'index'")
        return tables, sorted(indexes, key=repr)


class PostgresDatabase:
    """A database, without our store around it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def make(self, version: int) -> None:
        """Bring it to an earlier version."""
        if version == 0:
            return
        with psycopg.connect(self.url, autocommit=True) as db:
            db.execute(postgres.OWN_TABLES.encode())
            for statement in (one for step in VERSIONS[:version] for one in step):
                db.execute(postgres._dialect(statement).encode())
            db.execute("UPDATE smsotp_schema SET version = %s", [version])

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement."""
        with psycopg.connect(self.url, autocommit=True) as db:
            done = db.execute(sql.encode())
            return done.fetchall() if done.description else []

    def columns(self) -> dict[str, dict[str, str]]:
        """Table to column to type."""
        found: dict[str, dict[str, str]] = {}
        for table, name, kind in self.run(
            "SELECT table_name, column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = 'public' AND table_name NOT IN ('stripe', 'smsotp_schema') "
            "ORDER BY ordinal_position"
        ):
            found.setdefault(table, {})[name] = kind
        return found

    def structure(self) -> object:
        """Everything that can differ between two schemas."""
        columns = self.run(
            "SELECT table_name, column_name, data_type, is_nullable, column_default, is_identity "
            "FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"
        )
        indexes = self.run("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'")
        return columns, sorted(indexes)


Database = SqliteDatabase | PostgresDatabase


def fill(database: Database) -> Rows:
    """Rows in every table, made up from the types of its columns.  Returns them."""
    columns = database.columns()
    for table, kinds in columns.items():
        for number in range(1, ROWS + 1):
            values = (
                f"'{VALUES[kind].format(number)}'"  # a literal of any type
                for kind in kinds.values()
            )
            database.run(f"INSERT INTO {table} ({', '.join(kinds)}) VALUES ({', '.join(values)})")
    return read(database)


def read(database: Database) -> Rows:
    """All rows of all tables."""
    return {
        table: [
            dict(zip(kinds, row, strict=True))
            for row in database.run(f"SELECT {', '.join(kinds)} FROM {table} ORDER BY 1")
        ]
        for table, kinds in database.columns().items()
    }


@pytest.mark.parametrize("version", range(len(VERSIONS) + 1))
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_every_version_comes_forward(
    kind: str, version: int, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    """To the same schema as a new store has; every row stays, in every column that is left."""
    old: Database
    new: Database
    if kind == "sqlite":
        old, new = SqliteDatabase(tmp_path / "old"), SqliteDatabase(tmp_path / "new")
    else:
        old, new = (PostgresDatabase(postgres_server.make_url()) for _ in range(2))
    old.make(version)
    before = fill(old)
    for database in (old, new):
        store = open_store(database.url, 10)
        store.migrate()
        with store.write("alice", durable=True) as tx:
            tx.put_account(ALICE, NOW)
            tx.add_challenge(challenge())
            assert tx.account("alice") == ALICE
            tx.delete_account("alice")
        assert store.inspect()[0].endswith(f"schema {len(VERSIONS)}")
        store.close()
    assert old.structure() == new.structure()
    after = read(old)
    kept = [table for table in before if GIVEN_UP.get(table, 0) <= version and table in after]
    assert version == 0 or len(kept) >= 6
    for table in kept:
        shared = after[table][0].keys() & before[table][0].keys()
        assert shared
        found = [{name: row[name] for name in shared} for row in after[table]]
        for row in before[table]:
            assert {name: row[name] for name in shared} in found, table
