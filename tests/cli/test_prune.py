"""``smsotp prune``: what goes, and what stays."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import PurePath
from typing import TYPE_CHECKING

import pytest

import radius_smsotp
from radius_smsotp.cli import prune
from radius_smsotp.model.records import Event
from radius_smsotp.store import open_store
from radius_smsotp.store.transaction import PRUNE_SLICE
from tests.cli.test_courier import queue
from tests.freeradius.test_trail import OLD_EVENTS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.installation import Installation


def add_events(here: Installation, number: int, days: float) -> None:
    """Events that are so many days old."""
    with here.store.write() as tx:
        for _ in range(number):
            time = datetime.now(UTC) - timedelta(days=days)
            tx.add_event(Event("pin-wrong", time, "alice"))


def add_challenge(here: Installation, ended: timedelta) -> str:
    """A challenge that ended so long ago."""
    [one] = queue(here, 1)
    with here.store.write() as tx:
        found = tx.challenge(one)
        assert found is not None
        end = datetime.now(UTC) - ended
        again = replace(found, transaction_id=one[::-1], expires_at=end)
        tx.add_challenge(again)
    return again.transaction_id


def is_there(here: Installation, transaction_id: str) -> bool:
    """Whether a challenge is still in the store."""
    with here.store.read() as tx:
        return tx.challenge(transaction_id) is not None


def test_old_events_go_and_young_ones_stay(here: Installation) -> None:
    add_events(here, 3, days=91)
    add_events(here, 2, days=89)
    assert here.done("prune") == "removed: 3\n"
    assert len(here.events("alice")) == 2
    assert here.done("prune") == "removed: 0\n"


def test_the_option_wins_over_the_settings(here: Installation) -> None:
    here.write(audit={"days": 30})
    add_events(here, 1, days=31)
    add_events(here, 1, days=20)
    add_events(here, 1, days=5)
    assert here.done("prune") == "removed: 1\n"
    assert here.done("prune", "--days", "10") == "removed: 1\n"
    assert len(here.events("alice")) == 1


def test_challenges_stay_for_a_day_after_their_end(here: Installation) -> None:
    old = add_challenge(here, timedelta(days=1, minutes=1))
    young = add_challenge(here, timedelta(hours=23))
    assert here.done("prune") == "removed: 1\n"
    assert not is_there(here, old)
    assert is_there(here, young)


def test_more_than_one_slice_goes_in_one_call(here: Installation) -> None:
    add_events(here, 1234, days=91)
    assert here.done("prune") == "removed: 1234\n"


def test_of_too_many_events_the_oldest_go(here: Installation) -> None:
    """However young, but for those that no figure knows yet."""
    here.write(audit={"events": 1000})
    add_events(here, 1234, days=1)
    add_events(here, 6, days=0)
    before = here.done("stats", "--json")
    assert here.done("prune") == "removed: 240\n"
    assert here.done("prune") == "removed: 0\n"
    assert here.done("stats", "--json") == before
    add_events(here, 1500, days=0)
    assert here.done("prune") == "removed: 994\n"


def of_before(here: Installation) -> None:
    """Make the store one that an older version has made."""
    here.store.close()
    del here.store
    with contextlib.closing(sqlite3.connect(here.store_path)) as db:
        db.execute("PRAGMA auto_vacuum = 0")
        db.execute("VACUUM")


def test_room_that_was_used_goes_back_to_the_system(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slice by slice; a store of before needs to be written anew once, and then does the same."""
    monkeypatch.setattr(prune, "PAUSE", 0)
    for make, told in ((lambda _: None, "given back"), (of_before, "free in the store")):
        make(here)
        add_events(here, 30_000, days=91)
        here.store.close()
        size = here.store_path.stat().st_size
        first, second = here.done("prune").splitlines()
        assert first == "removed: 30000"
        assert re.match(rf"{told}: \d MB", second)
        if make is of_before:
            assert second.endswith("; 'smsotp prune --compact' gives it back")
            assert here.store_path.stat().st_size >= size
            assert re.search(r"given back: \d MB\n$", here.done("prune", "--compact"))
        assert here.store_path.stat().st_size < size / 3
    add_events(here, 30_000, days=91)
    assert "given back" in here.done("prune")


def test_a_login_gets_at_the_store_between_all_slices(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without waiting at all; and a slice is what it does while a login would have to wait."""
    add_events(here, 5_000, days=91)
    login, kept, logins = open_store(here.store.name, 0), [], []

    def log_in() -> None:
        with login.write("alice", durable=True) as tx:
            logins.append(tx.add_event(Event("code-accepted", datetime.now(UTC), "alice")))

    def pause(seconds: float) -> None:
        with login.read() as tx:
            kept.append(tx.figures.kept()[0] - len(logins))
        with ThreadPoolExecutor(1) as another:
            another.submit(log_in).result()
        assert seconds >= 0.01

    monkeypatch.setattr(prune.time, "sleep", pause)
    here.done("prune")
    login.close()
    assert len(logins) >= 5_000 // PRUNE_SLICE
    assert (kept[0], kept[-1]) == (5_000 - PRUNE_SLICE, 0)
    assert max(before - after for before, after in pairwise(kept)) == PRUNE_SLICE


FULL = """
mount -t tmpfs -o size=12m smsotp "$1"
"$2" -m radius_smsotp init "$1" >"$1.log"
"$2" -c "$OLD_EVENTS" "sqlite:///$1/smsotp.db"
dd if=/dev/zero of="$1/filler" 2>>"$1.log" || :
"$2" -m radius_smsotp --config "$1/smsotp.yaml" prune --days 1
ls "$1"
"""


@pytest.mark.server
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk")
def test_a_disk_is_full_that_nobody_else_uses(tmp_path: Path) -> None:
    """To the last octet, with a log that has no room in the file: what is kept back makes some."""
    disk = tmp_path / "disk"
    disk.mkdir()
    here = {
        "OLD_EVENTS": OLD_EVENTS,
        "PYTHONPATH": str(PurePath(radius_smsotp.__file__).parents[1]),
    }
    command = ["unshare", "--mount", "sh", "-euc", FULL, "sh", str(disk), sys.executable]
    told = subprocess.run(
        command, env=os.environ | here, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    stuck, removed, returned, *files = told.stdout.splitlines()
    assert stuck == "the disk is full (SQLITE_FULL)"
    assert int(removed.removeprefix("removed: ")) > 5_000
    assert re.fullmatch(r"given back: \d MB", returned)
    assert "smsotp.db-reserve" in files


@pytest.mark.parametrize("days", ["0", "99999999999999"])
def test_days_that_no_calendar_has_are_wrong_usage(here: Installation, days: str) -> None:
    assert here.run("prune", "--days", days).exit_code == 2


def test_so_are_those_of_the_settings(here: Installation) -> None:
    here.write(audit={"days": 99999999999999})
    assert here.run("prune").exit_code == 3
