"""
What a login costs within the module, part by part, without FreeRADIUS around it.

The hooks run in a process of their own, with a `radiusd` that is a stand-in, and are called as
FreeRADIUS calls them.  CPU time is counted, not what the clock says: nobody waits here.
"""

from __future__ import annotations

import itertools
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radius_smsotp.model import code
from radius_smsotp.settings import keyring
from tests.measure.bench.servers import CLIENT, LIMITS
from tests.measure.bench.table import Row, medians
from tests.support.freeradius import Site
from tests.support.radiusd import Radiusd
from tests.support.site import PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.measure.bench.extent import Extent

WARM_UP = 50
PARTS = ("authorize", "first", "second", "store", "delivery")
COUNTS = ("statements", "transactions", "syncs")

spent: Counter[str] = Counter()
"""Seconds of CPU by part of the login; statements, transactions and syncs by number."""


class Connection(sqlite3.Connection):
    """One that counts what passes through it."""

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        """See `sqlite3`."""
        kind = "transactions" if sql.startswith("BEGIN") else "statements"
        spent[kind] += sql != "COMMIT"
        return timed("store", super().execute, sql, *values)


def timed(part: str, work: Callable[..., Any], *arguments: Any) -> Any:
    """Call `work`, and note the CPU that this thread has spent."""
    began = time.thread_time()
    try:
        return work(*arguments)
    finally:
        spent[part] += time.thread_time() - began


def measure(folder: Path, extent: Extent) -> Iterator[Row]:
    """Rows of CPU and of numbers a login."""
    found = []
    for turn in range(extent.rounds):
        command = [sys.executable, "-m", "tests.measure.bench.inside", folder / str(turn)]
        done = subprocess.run(
            [*command, str(extent.inside)], check=True, capture_output=True, timeout=300
        )
        found.append(json.loads(done.stdout))
    yield Row(
        "CPU of the module a login, µs: authorize / first step / second step",
        medians([[one[part] for part in PARTS[:3]] for one in found], 1e6),
    )
    yield Row(
        "of these in the store; and of courier threads, µs",
        medians([[one[part] for part in PARTS[3:]] for one in found], 1e6),
    )
    yield Row(
        "statements / transactions / syncs a login",
        medians([[one[part] for part in COUNTS] for one in found]),
    )


def main(folder: Path, logins: int) -> None:
    """Let users log in one after the other, and print what a login has cost on average."""
    folder.mkdir()
    site = Site(folder, limits=LIMITS, delivery={"wait": 0}, pin={"iterations": 1})
    names = [f"user{number}" for number in range(WARM_UP)]
    for name in names:
        site.add(name, rounds=1)
    key = keyring.read(folder / "key").secret
    radiusd = Radiusd(site.settings_path)
    connect, sync = sqlite3.connect, os.fdatasync
    aside = connect(site.store_path)

    def delivered() -> int:
        """How many messages the store knows as taken; who asks is not counted."""
        [(found,)] = aside.execute("SELECT count(*) FROM event WHERE kind = 'sms-accepted'")
        return int(found)

    sqlite3.connect = lambda *a, **k: connect(*a, factory=Connection, **k)  # type: ignore[assignment]

    def count_sync(handle: Any) -> None:
        spent["syncs"] += 1
        timed("store", sync, handle)

    os.fdatasync = count_sync
    hooks = radiusd.load()
    assert hooks.instantiate(None) == 0
    crowd = itertools.cycle(names)
    for _ in range(WARM_UP):
        log_in(hooks, radiusd, key, next(crowd))
    # What the other threads do is counted too: messages, to what is written of them.
    eventually(lambda: delivered() == WARM_UP)
    spent.clear()
    own, everyone = time.thread_time(), time.process_time()
    for _ in range(logins):
        log_in(hooks, radiusd, key, next(crowd))
    own = time.thread_time() - own
    eventually(lambda: len(list(site.outbox.glob("*.json"))) == logins + WARM_UP)
    spent["delivery"] = time.process_time() - everyone - own
    eventually(lambda: delivered() == logins + WARM_UP)
    print(json.dumps({part: spent[part] / logins for part in (*PARTS, *COUNTS)}))
    aside.close()
    hooks.detach(None)
    site.close()


def log_in(hooks: Any, radiusd: Any, key: bytes, name: str) -> None:
    """One login, as the policy calls the hooks."""
    request = (("User-Name", name), ("NAS-IP-Address", "127.0.0.1"), ("SMSOTP-Client", CLIENT))
    first: dict[str, Any] = {"request": (*request, ("User-Password", PIN)), "config": ()}
    status, updates = timed("authorize", hooks.authorize, first)
    assert status == radiusd.RLM_MODULE_UPDATED, updates
    first["config"] = tuple((attribute, value) for attribute, _, value in updates["config"])
    status, updates = timed("first", hooks.authenticate, first)
    assert status == radiusd.RLM_MODULE_HANDLED, updates
    state = {attribute: value for attribute, _, value in updates["reply"]}["State"]
    answer = ("User-Password", code.derive(key, state, 6)), ("State", f"0x{state.encode().hex()}")
    second = {"request": (*request, *answer), "config": (("SMSOTP-Step", "code"),)}
    status, updates = timed("second", hooks.authenticate, second)
    assert status == radiusd.RLM_MODULE_OK, updates


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
