"""``smsotp user export-data`` and ``erase``: what is kept of one person, and its end."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from datetime import datetime, timezone
from itertools import starmap
from typing import Any

import click

from radius_smsotp.cli import output, results
from radius_smsotp.cli.results import Results
from radius_smsotp.cli.site import Site, pass_site
from radius_smsotp.cli.statistics import figures
from radius_smsotp.cli.user import account
from radius_smsotp.errors import SmsotpError
from radius_smsotp.model import code, ways
from radius_smsotp.model import pin as pins
from radius_smsotp.model.ways import Way
from radius_smsotp.settings.keyring import Keyring
from radius_smsotp.store import insist, statistics

Rows = list[tuple[str, dict[str, Any]]]

TABLES = {
    "account": "account",
    "lockout": "failures",
    "station": "stations",
    "device": "devices",
    "emergency": "emergency_codes",
    "challenge": "challenges",
    "message": "messages",
    "attempt": "attempts",
    "event": "events",
    "tally": "tallies",
}
"""Table of the store to what its rows are, in the order in which they are told."""

HIDDEN = {"pin_hash", "batch", "key_id", "answered", "spent", "lease_owner", "lease_until"}
"""Columns that say nothing of the person: keys, hashes, and who sends."""


@click.command("export-data", short_help="Print all that is kept of one person, as JSON.")
@account.name_argument
@pass_site
def export_data(site: Site, name: str) -> None:
    """
    Print all that is kept of one person, as JSON: account, failures, stations, devices, challenges,
    messages, events.

    Numbers are whole, those of messages too.  PINs and codes are in nothing that is kept; of a PIN
    it says how its hash was made.  What FreeRADIUS itself keeps (its log, radacct, detail) is not
    in it.

    \b
    Example:
      smsotp user export-data alice >alice.json
    """
    rows = _rows(site, name)
    key_ids = _key_ids(rows)
    found: dict[str, Any] = {"name": name, "time": datetime.now(timezone.utc)}
    for table, title in TABLES.items():
        found[title] = [_told(table, row) for at, row in rows if at == table]
    for told in found["messages"]:
        reached = _addresses(told, key_ids, site.keys)
        told["phone"] = reached.get(told["way"])
        told["ways"] = [*map(str, starmap(Way, reached.items()))]
        del told["sealed_phone"]
    output.as_json(found)


@click.command(short_help="Erase all that is kept of persons.")
@account.names_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@results.told
@pass_site
def erase(site: Site, told: Results, names: tuple[str, ...], yes: bool) -> None:
    """
    Erase all that is kept of persons: the account, what is open, and what has happened.

    It is as if there had never been anybody of that name: nothing brings it back but a backup.  The
    figures of 'smsotp stats' stay, without the name; so does an event that somebody was erased.  A
    directory that knows the name lets it in as before: 'smsotp user disable' keeps it out.

    \b
    Example:
      smsotp user erase alice --yes
    """
    there = told.each(names, lambda name: _rows(site, name))
    question = "Erase all that is kept of {}, for good?"
    account.ask_to(question, there, "nothing was erased", yes=yes)
    # Events that go were counted before.
    now, keys = datetime.now(timezone.utc), site.keys
    figures.bring_forward(site.store, now)
    counted = statistics.start(statistics.slot(now - figures.SETTLED))

    def remove(name: str) -> dict[str, int]:
        with site.store.write(name, durable=True) as tx:
            tags = _number_tags([*tx.kept(name, [])], keys)
            gone = tx.erase(name, tags, counted)
            tx.add_event(account.event("account-erased", ""))
            return {TABLES[one]: gone[one] for one in TABLES if gone.get(one)}

    def one(name: str) -> None:
        gone = insist(remove, name)
        counts = ", ".join(f"{what}: {number}" for what, number in gone.items())
        told.add(name, "erased", f"{name}: erased ({counts})", rows=gone)

    # What is deleted is in the log of the store still, until that is emptied.
    with site.store.room():
        told.each(there, one)


def _rows(site: Site, name: str) -> Rows:
    """All rows about a name.  Raises SmsotpError if there is none."""
    keys = site.keys
    with site.store.read() as tx:
        tags = _number_tags([*tx.kept(name, [])], keys)
        found = list(tx.kept(name, tags))
    if not found:
        raise SmsotpError(f"nothing is kept of '{output.clean(name)}'")
    return found


def _key_ids(rows: Rows) -> dict[str, str]:
    """Challenge to the key that it hangs on."""
    found = (row for table, row in rows if table == "challenge")
    return {row["transaction_id"]: row["key_id"] for row in found}


def _number_tags(rows: Rows, keys: Keyring) -> set[str]:
    """The names under which messages to this person's numbers are counted."""
    key_ids = _key_ids(rows)
    numbers: set[str | None] = set()
    for table, row in rows:
        if table == "message":
            numbers |= {*_addresses(row, key_ids, keys).values()}
        elif table == "account":
            numbers |= {row["phone"], row["override"]}
            numbers |= {ways.of(one).address for one in row["ways"].split()}
    return {code.number_tag(keys.oldest_secret, number) for number in numbers if number}


def _addresses(row: Mapping[str, Any], key_ids: Mapping[str, str], keys: Keyring) -> dict[str, str]:
    """Where a message went, and might have gone, by way; as far as its key is there."""
    transaction_id, found = row["transaction_id"], {}
    key = keys.get(key_ids.get(transaction_id, ""))
    sealed = [f"{row['way']}:{row['sealed_phone']}", *row["ways"].split()]
    for way, _, octets in (one.partition(":") for one in sealed if key):
        with contextlib.suppress(ValueError):
            found[way] = code.unseal(key or b"", code.nonce(transaction_id, way), octets)
    return found


def _told(table: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row, in the words of whoever reads it."""
    told = {column: value for column, value in row.items() if column not in HIDDEN}
    for column, value in told.items():
        if column in SWITCHES:
            told[column] = bool(value)
        elif column in TIMES and value is not None:
            told[column] = datetime.fromtimestamp(value, timezone.utc)
    if table == "event":
        told["detail"] = json.loads(row["detail"])
    if table == "account":
        told["ways"] = row["ways"].split()
        pin_hash = row["pin_hash"]
        rounds = None if pin_hash is None else pins.iterations(pin_hash)
        told["pin"] = None if rounds is None else f"a sealed hash of {rounds} rounds"
    return told


SWITCHES = {"enabled", "gone", "emergency"}

TIMES = {
    *("created_at", "changed_at", "override_until", "last_failure_at", "locked_until", "seen_at"),
    *("expires_at", "made_at", "not_before", "time"),
}
"""Columns that hold seconds since 1970."""
