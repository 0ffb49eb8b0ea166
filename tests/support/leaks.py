"""
Searches everything that a test run wrote for what must not be there.

A site is a folder with settings, key and store.  What is secret in it is known: the code of
each of its challenges, the numbers, the PINs that the tests gave to accounts, the keys, the
passwords of its gateways and the shared secret.  Where each of them belongs is known too;
everywhere else it is a leak.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, SecretStr

from radius_smsotp.errors import ConfigurationError
from radius_smsotp.model import code
from radius_smsotp.settings import file, keyring

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PINS: dict[Path, set[str]] = {}
"""Every PIN that an account of a site had, by the folder of the site."""

SHORTEST = 6
"""Characters of a PIN or password that is looked for within words too."""

SHARED = "testing123"
"""With the RADIUS clients of the tests."""

STORE = b"SQLite format 3"
"""How a store begins, and a backup of one: the numbers of accounts are in both."""

EXAMPLE = b" as +491701234567"
"""What a sentence about a bad number ends with; it is alice's number too."""

FEW = 50

TOKEN = re.compile(rb"[0-9A-Za-z]+")


@dataclass
class Secrets:
    """
    What a site must keep to itself.

    Attributes:
        words: Codes and short PINs; within a longer word they are chance.
        others: Looked for everywhere.
    """

    words: set[bytes] = field(default_factory=set)
    numbers: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=set)


def note_pin(site: Path, text: str | None) -> None:
    """A test gives an account of a site this PIN."""
    if text:
        PINS.setdefault(site, set()).add(text)


def sites(folder: Path) -> list[Path]:
    """Every site below a folder that is whole enough to be searched."""
    found = (path.parent for path in sorted(folder.rglob("smsotp.yaml")))
    return [one for one in found if (one / "key").is_file() and (one / "smsotp.db").is_file()]


def search(site: Path) -> list[str]:
    """What leaked into which file of a site, one sentence each; no secret is in them."""
    secrets = _secrets(site)
    leaks = []
    for path in sorted(site.rglob("*")):
        if path.is_file() and not path.is_symlink() and not _is_place_of_secrets(site, path):
            octets = path.read_bytes()
            if not octets.strip(b"\0"):
                continue  # room that the store keeps
            store = path.name.startswith("smsotp.db") or octets.startswith(STORE)
            leaks += _leaks(str(path), octets, secrets, numbers=not store)
    for table, text in _tables(site / "smsotp.db"):
        where = f"{site}/smsotp.db, table {table}"
        leaks += _leaks(where, text.encode(), secrets, numbers=table != "account")
    return leaks


def _is_place_of_secrets(site: Path, path: Path) -> bool:
    """Settings, key, lists of accounts, configuration of servers, and what took an SMS."""
    inside = path.relative_to(site).parts
    if (site / inside[0] / "clients.conf").is_file():
        return inside[1] not in {"log", "run"}
    if path.suffix in {".conf", ".csv"} or path.name == "servers":
        return True
    return inside[0].startswith(("smsotp.yaml", "key", "outbox"))


def _leaks(where: str, octets: bytes, secrets: Secrets, *, numbers: bool) -> Iterator[str]:
    # To look for each of a few is quicker than to take everything apart.
    near = len(secrets.words) > FEW or any(word in octets for word in secrets.words)
    if near and secrets.words & set(TOKEN.findall(octets)):
        yield f"{where}: a code or PIN"
    kinds: list[tuple[str, Iterable[str]]] = [("a PIN, key or password", secrets.others)]
    if numbers and _holds_number(octets.replace(EXAMPLE, b""), secrets.numbers):
        yield f"{where}: a whole number"
    for kind, values in kinds:
        if any(value.encode() in octets for value in values):
            yield f"{where}: {kind}"


def _holds_number(octets: bytes, numbers: set[str]) -> bool:
    """Whether one of many numbers is in there: each run of digits is looked at, not each number."""
    lengths = sorted({len(number) for number in numbers})
    return any(
        run[at : at + length] in numbers
        for found in re.finditer(rb"[0-9]{%d,}" % (lengths[0] if lengths else 99), octets)
        for run in (found[0].decode(),)
        for length in lengths
        for at in range(len(run) - length + 1)
    )


def _secrets(site: Path) -> Secrets:
    pins = PINS.get(site, set())
    found = Secrets(others={SHARED, *(text for text in pins if len(text) >= SHORTEST)})
    found.words = {text.encode() for text in pins if len(text) < SHORTEST}
    keys: dict[str, bytes] = {}
    try:
        keys = dict(keyring.read(site / "key").pin_keys)
        for provider in file.load(site / "smsotp.yaml").providers.values():
            found.others |= {text for text in _passwords(provider) if len(text) >= SHORTEST}
    except ConfigurationError:
        pass  # a test of faults: what is left of the site is searched all the same
    found.others |= {secret.hex() for secret in keys.values()}
    with contextlib.closing(_opened(site / "smsotp.db")) as db:
        for (phone,) in _rows(db, "SELECT phone FROM account WHERE phone IS NOT NULL"):
            found.numbers.add(phone.lstrip("+"))
        sql = "SELECT transaction_id, key_id, digits, sealed_phone FROM challenge JOIN message"
        for transaction_id, key_id, digits, sealed in _rows(db, f"{sql} USING (transaction_id)"):
            key = keys.get(key_id)
            if key is not None:
                found.words.add(code.derive(key, transaction_id, digits).encode())
                with contextlib.suppress(ValueError):  # a test gave its id to another key
                    found.numbers.add(code.unseal(key, transaction_id, sealed).lstrip("+"))
    return found


def _passwords(value: Any) -> Iterator[str]:
    """Every secret in the settings of a provider."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _passwords(getattr(value, name))
    elif isinstance(value, dict):
        for one in value.values():
            yield from _passwords(one)


def _tables(path: Path) -> Iterator[tuple[str, str]]:
    """The text of every table.  Numbers are none: a time has six digits behind its point."""
    with contextlib.closing(_opened(path)) as db:
        for (table,) in _rows(db, "SELECT name FROM sqlite_master WHERE type = 'table'"):
            cells = (cell for row in _rows(db, f"SELECT * FROM {table}") for cell in row)
            yield table, "\n".join(str(cell) for cell in cells if isinstance(cell, str | bytes))


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)


def _rows(db: sqlite3.Connection, sql: str) -> list[tuple[Any, ...]]:
    """What a statement finds; nothing in a file that a test has damaged."""
    try:
        return db.execute(sql).fetchall()
    except sqlite3.Error:
        return []
