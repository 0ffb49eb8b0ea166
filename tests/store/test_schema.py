"""The schema, version by version."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.model.records import Asker
from radius_smsotp.store import open_store, rows, sqlite
from radius_smsotp.store.schema import VERSIONS
from tests.store.samples import ALICE, HERE, NOW, challenge, device, message

if TYPE_CHECKING:
    from pathlib import Path

FINGERPRINTS = (
    "5ded90c67f7785bd",
    "6cb9b02d49a970a5",
    "78e5818dd44468e7",
    "e57899f84f357ffb",
    "6b042f022815c0bb",
    "b231b1bdab3e624a",
    "ac65e3084f67867d",
    "1f91484ea7c6ce73",
    "e3b0c44298fc1c14",
    "53097a2eeba2c223",
    "3a67dcbf133d31ed",
    "3d0efcf8fd0e450d",
    "aabf4cb6a0729a59",
    "b33acbee4909991e",
    "8faa9e7d72cabd24",
)
"""Of each version that was ever released.  A store may be of any of them: they never change."""


def fingerprint(statements: tuple[str, ...]) -> str:
    """What changes when a statement does, layout aside."""
    text = ";".join(" ".join(statement.split()) for statement in statements)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def columns(path: Path, table: str) -> list[str]:
    """The columns of a table."""
    db = sqlite3.connect(path)
    found = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    db.close()
    return found


def version(path: Path) -> int:
    """The version that a store says it has."""
    db = sqlite3.connect(path)
    found = db.execute("PRAGMA user_version").fetchone()[0]
    db.close()
    return int(found)


def test_a_version_never_changes_once_it_was_there() -> None:
    """A change of the schema is a new entry; mending an old one would leave stores behind."""
    assert tuple(map(fingerprint, VERSIONS)) == FINGERPRINTS


def test_a_new_store_is_of_the_newest_version(tmp_path: Path) -> None:
    """All steps are taken at once."""
    store = open_store(f"sqlite:///{tmp_path}/db")
    store.migrate()
    store.close()
    assert version(tmp_path / "db") == len(VERSIONS)


RECORDS = (
    *("account", "lockout", "decoy", "station", "challenge", "message", "attempt", "device"),
    "emergency",
)


@pytest.mark.parametrize("table", [*RECORDS, "event"])
def test_what_is_read_and_written_are_columns(tmp_path: Path, table: str) -> None:
    """The lists in `rows` and the tables agree."""
    store = open_store(f"sqlite:///{tmp_path}/db")
    store.migrate()
    store.close()
    assert set(getattr(rows, table.upper()).columns) <= set(columns(tmp_path / "db", table))


def test_a_store_of_an_earlier_version_takes_the_missing_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in it stays."""
    store = open_store(f"sqlite:///{tmp_path}/db")
    store.migrate()
    with store.write() as tx:
        tx.put_account(ALICE, NOW)
    store.close()
    step = ("ALTER TABLE account ADD COLUMN note TEXT", "CREATE TABLE later (x INTEGER)")
    monkeypatch.setattr(sqlite, "VERSIONS", (*VERSIONS, step))
    store.migrate()
    with store.read() as tx:
        assert tx.account("alice") == ALICE
    store.close()
    assert "note" in columns(tmp_path / "db", "account")
    assert version(tmp_path / "db") == len(VERSIONS) + 1


def test_from_version_1_all_comes_along_but_remembered_devices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They say neither SSID nor number: each needs a code once more, and is remembered again."""
    store = open_store(f"sqlite:///{tmp_path}/db")
    with monkeypatch.context() as earlier:
        earlier.setattr(sqlite, "VERSIONS", VERSIONS[:1])
        store.migrate()
    store.close()
    # What is in the last columns was not kept then.
    now = NOW.timestamp()
    account = (*rows.ACCOUNT.values(ALICE)[:5], now, now)
    _, _, *queued = rows.MESSAGE.values(message())
    state, *sealed, provider, _, owner, until = queued[:-4]
    login = (*rows.CHALLENGE.values(challenge())[:-3], state, *sealed, 1, provider, owner, until)
    old = ("alice", HERE.name, HERE.station, device().expires_at.timestamp())
    db = sqlite3.connect(tmp_path / "db")
    for table, row in (("account", account), ("challenge", login), ("device", old)):
        db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
    db.commit()
    db.close()
    store.migrate()
    with store.write() as tx:
        assert tx.account("alice") == replace(ALICE, language=None)
        assert tx.open_challenges(NOW) == [(replace(challenge(), language=""), message())]
        assert tx.devices("alice", NOW) == []
        tx.remember_device(device())
        assert tx.known(Asker("alice", HERE), NOW).device == device()
    store.close()
    assert version(tmp_path / "db") == len(VERSIONS)


def test_a_step_that_fails_leaves_the_version_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it or nothing: no store stands between two versions."""
    store = open_store(f"sqlite:///{tmp_path}/db")
    store.migrate()
    store.close()
    step = ("CREATE TABLE later (x INTEGER)", "CREATE TABLE account (x INTEGER)")
    monkeypatch.setattr(sqlite, "VERSIONS", (*VERSIONS, step))
    with pytest.raises(Exception, match="store"):
        store.migrate()
    assert columns(tmp_path / "db", "later") == []
    assert version(tmp_path / "db") == len(VERSIONS)
    monkeypatch.undo()
    store.migrate()
    with store.write() as tx:
        tx.add_challenge(challenge())
    store.close()


def test_no_column_holds_a_code_or_a_pin() -> None:
    """Number and PIN hash stand with the account, imported or not; elsewhere they are sealed."""
    for statement in chain(*VERSIONS):
        table = re.search(r"CREATE TABLE (\w+)", statement)
        if table and table[1] not in {"account", "staged_account"}:
            assert not re.search(r"\b(code|pin|pin_hash|phone|password)\b", statement)
