"""What a big store costs: as many accounts as a large university, or a country's tax office."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from radius_smsotp.model.records import Account
from radius_smsotp.store import rows
from tests.measure.bench import load
from tests.measure.bench.logins import BUSY, NO_WAIT
from tests.measure.bench.servers import Server
from tests.measure.bench.table import Row, compared, medians
from tests.store.samples import challenge, event, message
from tests.support.site import PHONE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from radius_smsotp.store import Store
    from tests.measure.bench.extent import Extent

STRIDE = 7919
"""A prime: so far apart are accounts that log in one after the other, all over the store."""

SLICES = 200
"""Of a clean-up, at most."""

PAUSE = 0.02
"""Seconds between two of them, as `smsotp prune` rests."""

PAST = timedelta(days=3)
"""How long ago the challenges and events were that fill a store."""


def measure(folder: Path, extent: Extent) -> Iterator[Row]:
    """Rows for stores of each size, the smallest for comparison."""
    smallest = extent.sizes[0]
    cost: dict[int, list[list[float]]] = {size: [] for size in extent.sizes}
    ready: dict[int, list[list[float]]] = {size: [] for size in extent.sizes}
    octets: dict[int, float] = {}
    holds: dict[int, list[float]] = {}
    with ExitStack() as stack:
        servers = {}
        for size in extent.sizes:
            server = Server(folder / str(size), **NO_WAIT)
            fill(server, size)
            octets[size] = (folder / str(size) / "smsotp.db").stat().st_size
            stack.enter_context(server)
            servers[size] = server, _names(size)
            ready[size].append([server.ready_after])
        for _ in range(extent.rounds):
            for size, (server, names) in servers.items():
                done = asyncio.run(load.log_in(server, names, BUSY, extent.seconds))
                cost[size].append([done.cpu / done.logins])
        for size, (server, _) in servers.items():
            holds[size] = _clean_up(server.site.store)
    for size in extent.sizes[1:]:
        what = f"CPU of radiusd a login, {size:,} accounts, past challenges and events, µs"
        yield compared(what, cost[size], cost[smallest], f"{smallest:,}", 1e6)
    for size in extent.sizes[1:]:
        what = f"radiusd is ready after, {size:,} accounts, ms"
        yield compared(what, ready[size], ready[smallest], f"{smallest:,}", 1e3)
    several = " / ".join(f"{size:,}" for size in extent.sizes)
    yield Row(
        f"a clean-up holds the store at a stretch, {several} accounts, p50 / longest, ms",
        ", ".join(medians([holds[size]], 1e3) for size in extent.sizes),
    )
    yield Row(
        f"size of the store, {several} accounts, MB",
        medians([list(octets.values())], 1e-6),
    )


def fill(server: Server, size: int) -> None:
    """
    Put so many accounts, past challenges and past events into a store.

    One of each is written by the store; the others are copies of it with a name, a number, a
    seal, an id and a time of their own.
    """
    server.add(["user0"])
    keys = server.keys
    then = datetime.now(UTC) - PAST
    one = replace(
        challenge(), account="user0", state="spent", created_at=then, expires_at=then + PAST / 1000
    )
    with server.site.store.write() as tx:
        first = tx.account("user0")
        assert first
        assert first.pin_hash
        opened = keys.open_pin("user0", first.pin_hash)
        assert opened
        tx.put_account(Account("template", PHONE), then)
        tx.add_challenge(one)
        tx.add_message(message(state="accepted"))
        tx.add_event(event("code-accepted", account="user0", time=then))
    server.site.store.close()
    own = {
        "name": "'user' || n",
        "account": "'user' || n",
        "pin_hash": "sealed('user' || n)",
        "phone": "'+49170' || printf('%07d', n)",
        "transaction_id": "lower(hex(randomblob(16)))",
        "time": "time + n * 0.05",
        "created_at": "created_at + n * 0.05",
        "expires_at": "expires_at + n * 0.05",
    }
    numbers = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers LIMIT ?)"
    db = sqlite3.connect(server.site.folder / "smsotp.db")
    db.create_function("sealed", 1, lambda name: keys.seal_pin(name, opened))
    for table in ("account", "challenge", "event"):
        columns = getattr(rows, table.upper()).columns
        names, copied = ", ".join(columns), ", ".join(own.get(name, name) for name in columns)
        key, value = ("name", "user0") if table == "account" else ("account", "user0")
        db.execute(
            f"{numbers} INSERT INTO {table} ({names}) "
            f"SELECT {copied} FROM {table}, numbers WHERE {table}.{key} = ?",
            (size - 1, value),
        )
    names = rows.MESSAGE.columns[1:]
    db.execute(
        f"INSERT INTO message (transaction_id, {', '.join(names)}) "
        f"SELECT challenge.transaction_id, {', '.join(f'message.{name}' for name in names)} "
        "FROM challenge, message WHERE challenge.transaction_id <> message.transaction_id"
    )
    db.commit()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def _names(size: int) -> Iterator[str]:
    """Every account, one far from the other."""
    return (f"user{number * STRIDE % size}" for number in itertools.count())


def _clean_up(store: Store) -> list[float]:
    """Remove what is past, slice by slice.  Returns median and longest time of one, seconds."""
    now = datetime.now(UTC)
    times = []
    for _ in range(SLICES):
        began = time.perf_counter()
        with store.write() as tx:
            gone = tx.prune(now - PAST / 2, now - PAST / 2, now)
        times.append(time.perf_counter() - began)
        if not gone:
            break
        time.sleep(PAUSE)
    return percentiles(times)


def percentiles(seconds: Sequence[float]) -> list[float]:
    """The median, and the longest."""
    ordered = sorted(seconds)
    return [ordered[len(ordered) // 2], ordered[-1]]
