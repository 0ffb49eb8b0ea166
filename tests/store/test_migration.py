"""A store of every version that there ever was becomes one of today, and keeps what is in it."""

from __future__ import annotations

import contextlib
import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from radius_smsotp.model.records import Asker, Client, Station
from radius_smsotp.store import open_store
from radius_smsotp.store.postgres import store as postgres
from radius_smsotp.store.schema import VERSIONS
from tests.store.samples import ALICE, NOW, challenge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.store.postgres_server import PostgresServer

GIVEN_UP = {"device": 2}
"""Table to the version that begins it anew, on purpose: see the words at that version."""

GONE = {"batch", "staged_account"}
"""Tables whose rows go elsewhere: see `test_an_import_that_counts_moves_into_its_place`."""

STRIPES_GONE = 7
"""The version from which on PostgreSQL's own locks do what the rows of a table did before."""

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
    """A database, without our store around it; looked at through one connection."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._db = psycopg.connect(url, autocommit=True)

    def close(self) -> None:
        """End the connection."""
        self._db.close()

    def make(self, version: int) -> None:
        """Bring it to an earlier version."""
        if version == 0:
            return
        with self._db.transaction():
            self._db.execute(postgres.OWN_TABLE.encode())
            if version < STRIPES_GONE:
                self._db.execute("CREATE TABLE stripe (number INTEGER PRIMARY KEY)")
            for statement in (one for step in VERSIONS[:version] for one in step):
                self._db.execute(postgres._dialect(statement).encode())
            self._db.execute("UPDATE smsotp_schema SET version = %s", [version])

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement."""
        done = self._db.execute(sql.encode())
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
        if table in GONE:
            continue
        rows = []
        for number in range(1, ROWS + 1):
            values = (
                f"'{VALUES[kind].format(number)}'"  # a literal of any type
                for kind in kinds.values()
            )
            rows.append(f"({', '.join(values)})")
        database.run(f"INSERT INTO {table} ({', '.join(kinds)}) VALUES {', '.join(rows)}")
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


@pytest.fixture(params=["sqlite", "postgresql"], scope="module")
def kind(request: pytest.FixtureRequest) -> str:
    """Of the store."""
    name: str = request.param
    return name


@contextlib.contextmanager
def made(kind: str, path: Path, server: PostgresServer) -> Iterator[Database]:
    """An empty database; if it is a file, there."""
    if kind == "sqlite":
        yield SqliteDatabase(path)
    else:
        with contextlib.closing(PostgresDatabase(server.make_url())) as one:
            yield one


@pytest.fixture
def database(kind: str, tmp_path: Path, postgres_server: PostgresServer) -> Iterator[Database]:
    """An empty one."""
    with made(kind, tmp_path / "store", postgres_server) as one:
        yield one


@pytest.fixture(scope="module")
def newest(
    kind: str, tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> object:
    """The structure of a new store."""
    with made(kind, tmp_path_factory.mktemp("new") / "store", postgres_server) as one:
        come_forward(one)
        return one.structure()


def come_forward(database: Database) -> None:
    """Make it a store of today, which works."""
    store = open_store(database.url, 10)
    store.migrate()
    with store.write("alice", durable=True) as tx:
        tx.put_account(ALICE, NOW)
        tx.add_challenge(challenge())
        assert tx.account("alice") == ALICE
        tx.delete_account("alice")
    assert store.inspect()[0].endswith(f"schema {len(VERSIONS)}")
    store.close()


@pytest.mark.parametrize("version", range(len(VERSIONS) + 1))
def test_every_version_comes_forward(database: Database, newest: object, version: int) -> None:
    """To the same schema as a new store has; every row stays, in every column that is left."""
    database.make(version)
    before = fill(database)
    come_forward(database)
    assert database.structure() == newest
    after = read(database)
    kept = [table for table in before if GIVEN_UP.get(table, 0) <= version and table in after]
    assert version == 0 or len(kept) >= 6
    for table in kept:
        shared = after[table][0].keys() & before[table][0].keys()
        assert shared
        found = [{name: row[name] for name in shared} for row in after[table]]
        for row in before[table]:
            assert {name: row[name] for name in shared} in found, table


IMPORTS = """
INSERT INTO account (name, phone, pin_hash, provider, enabled, created_at, changed_at, language)
    VALUES ('alice', '+491', 'old', 'demo', 1, 10, 20, 'de'),
    ('carol', '+493', NULL, NULL, 1, 10, 20, NULL);
INSERT INTO device (account, client, ssid, station, number_tag, expires_at)
    VALUES ('alice', 'wifi', 'Office', '02-01', 'tag', 9e9),
    ('alice', 'wifi', 'Office', '02-02', 'tag', 9e9), ('carol', 'vpn', '', '02-03', 'tag', 9e9);
INSERT INTO challenge (transaction_id, account, client, station, key_id, digits, phone_hint,
        created_at, expires_at, guesses_left, state, delivery_state, route, sealed_phone, template,
        sends)
    VALUES ('a1', 'alice', 'vpn', '', 'k1', 6, '', 1, 9e9, 3, 'open', 'accepted', '', '', '', 1),
    ('a2', 'alice', 'vpn', '', 'k1', 6, '', 1, 9e9, 3, 'spent', 'accepted', '', '', '', 1),
    ('c1', 'carol', 'vpn', '', 'k1', 6, '', 1, 9e9, 3, 'open', 'accepted', '', '', '', 1);
INSERT INTO batch (name, valid, newest, touched_at)
    VALUES ('here:1:aa', 1, 20, 100.5), ('here:2:bb', 1, 20, 200.5), ('here:3:cc', 0, 20, 300.5);
INSERT INTO staged_account
        (batch, name, phone, pin_hash, provider, enabled, language, kind, detail, forget)
    VALUES ('here:1:aa', 'alice', '+431', 'new', NULL, 0, 'en', 'account-changed',
        '{"fields": "phone, pin, disabled", "by": "root"}', 1),
    ('here:1:aa', 'bob', '+432', NULL, NULL, 1, NULL, 'account-added', '{"by": "root"}', 0),
    ('here:1:aa', 'dora', '+434', NULL, NULL, 1, NULL, 'account-added', '{"by": "root"}', 0),
    ('here:2:bb', 'dora', '+444', NULL, NULL, 1, NULL, 'account-added', '{"by": "ann"}', 0),
    ('here:3:cc', 'carol', '+493', NULL, NULL, 0, NULL, 'account-changed',
        '{"fields": "disabled", "by": "root"}', 1),
    ('here:3:cc', 'erin', '+495', NULL, NULL, 1, NULL, 'account-added', '{"by": "root"}', 0);
"""
"""Of schema 6: two imports that count and are not in their place yet, and one that does not."""


def test_an_import_that_counts_moves_into_its_place(database: Database) -> None:
    """With all that follows from a change; one that was killed before leaves nothing, as ever."""
    old = database
    old.make(6)
    for statement in filter(str.strip, IMPORTS.split(";\n")):
        old.run(statement)
    store = open_store(old.url, 10)
    store.migrate()
    sql = "SELECT name, phone, pin_hash, provider, enabled, language, created_at, changed_at"
    assert old.run(f"{sql} FROM account ORDER BY name") == [
        ("alice", "+431", "new", None, 0, "en", 10.0, 100.5),
        ("bob", "+432", None, None, 1, None, 100.5, 100.5),
        ("carol", "+493", None, None, 1, None, 10.0, 20.0),
        ("dora", "+444", None, None, 1, None, 200.5, 200.5),
    ]
    assert old.run("SELECT account FROM device") == [("carol",)]
    states = [("a1", "cancelled"), ("a2", "spent"), ("c1", "open")]
    assert old.run("SELECT transaction_id, state FROM challenge ORDER BY 1") == states
    assert sorted(old.run("SELECT time, kind, account, detail FROM event")) == [
        (100.5, "account-added", "bob", '{"by": "root"}'),
        (100.5, "account-changed", "alice", '{"fields": "phone, pin, disabled", "by": "root"}'),
        (100.5, "device-forgotten", "alice", '{"devices": 2, "by": "root"}'),
        (200.5, "account-added", "dora", '{"by": "ann"}'),
    ]
    with store.read() as tx:
        assert [one.kind for one in tx.events("alice", 9)] == [
            "device-forgotten",
            "account-changed",
        ]
    store.close()
    assert not GONE & old.columns().keys()


BEFORE_MESSAGES = """
INSERT INTO challenge (transaction_id, account, client, station, key_id, digits, phone_hint,
        created_at, expires_at, guesses_left, state, delivery_state, route, sealed_phone, template,
        sends, provider, lease_owner, lease_until, answered, language)
    VALUES ('a1', 'alice', 'vpn', '02', 'k1', 6, '***67', 1, 9e9, 3, 'open', 'queued', 'a b',
        '00ff', '{code}', 2, NULL, 'here:1:aa', 50.5, 'tag', 'de'),
    ('a2', 'alice', 'vpn', '', 'k1', 6, '***67', 2, 9e9, 3, 'open', 'accepted', '', '00', '{code}',
        1, 'b', NULL, NULL, '', '');
INSERT INTO lockout (account, failures, last_failure_at, locked_until)
    VALUES ('alice', 2, 60, NULL),
    ('alice\nvpn\n192.0.2.7', 10, 70, 80.5), ('alice\nwi fi\n02-01', 0, 90, NULL),
    ('\n17', 1, 95, NULL);
"""
"""Schema 6: a challenge's message in its row, stations and refusals of nobody among lock-outs."""


def test_messages_and_stations_become_rows_of_their_own(database: Database) -> None:
    """A login that is open goes on, its message is sent, and a station is as known as before."""
    database.make(6)
    for statement in BEFORE_MESSAGES.split(";\n")[:-1]:
        database.run(statement)
    store = open_store(database.url, 10)
    store.migrate()
    now = datetime.fromtimestamp(100, UTC)
    with store.read() as tx:
        (newer, taken), (older, waiting) = tx.open_challenges(now, "alice")
        assert (older.transaction_id, older.answered, older.language) == ("a1", "tag", "de")
        assert (waiting.number, waiting.state, waiting.route) == (2, "queued", ("a", "b"))
        assert (waiting.lease_owner, waiting.sealed_phone) == ("here:1:aa", "00ff")
        assert waiting.lease_until == datetime.fromtimestamp(50.5, UTC)
        assert (newer.transaction_id, taken.number, taken.provider) == ("a2", 1, "b")
        assert tx.unsent(now, 10) == [(older, waiting)]
        assert tx.lockout("alice").failures == 2
        known = {
            place: tx.known(Asker("alice", Client(*place.split("|"))), now).station
            for place in ("vpn||192.0.2.7", "wi fi||02-01", "vpn||02-01")
        }
    store.close()
    seen = datetime.fromtimestamp(70, UTC)
    until = datetime.fromtimestamp(80.5, UTC)
    assert known["vpn||192.0.2.7"] == Station("alice", "vpn", "192.0.2.7", seen, 10, seen, until)
    assert known["wi fi||02-01"] is not None
    assert known["wi fi||02-01"].seen_at == datetime.fromtimestamp(90, UTC)
    assert known["vpn||02-01"] is None
    assert database.run("SELECT account FROM lockout") == [("alice",)]
