"""
How many events there were, by the quarter of an hour.

Events are removed after a while, and there may be millions of them.  So what is over is counted
once, into the table ``figure``; the table ``counted`` says up to where.  No login does that: it
is done by whoever wants the figures (see `radius_smsotp.cli.statistics.figures`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from typing import NamedTuple

from radius_smsotp.model.records import Event
from radius_smsotp.store.rows import EVENT, Connection, moment

COLUMNS = ("slot", "kind", "reason", "provider", "bucket")

EVER = 0
"""The slot into which those move that are too old to be told apart."""


class FigureStatements:
    """The part of a transaction that counts events.  Slots are those of `store.statistics`."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def counted_until(self) -> int | None:
        """The first slot whose events were not counted yet; None if none ever were."""
        row = self._db.execute("SELECT max(until) FROM counted").fetchone()
        return None if row[0] is None else int(row[0])

    def next_slot(self, since: int) -> int | None:
        """The first slot from there on in which something happened."""
        sql = "SELECT min(time) FROM event WHERE time >= ?"
        [time] = self._db.execute(sql, (since * SLOT_SECONDS,)).fetchone()
        return None if time is None else int(time) // SLOT_SECONDS

    def count_events(self, since: int, until: int | None = None) -> dict[Cell, Count]:
        """Count the events from slot `since` on, to before `until`."""
        end = "" if until is None else "AND time < ?"
        values = [one * SLOT_SECONDS for one in (since, until) if one is not None]
        sql = f"SELECT time, kind, detail FROM event WHERE time >= ? {end}"  # constants
        found: dict[Cell, Count] = {}
        nothing = Count()
        for time, kind, detail in self._db.execute(sql, values):
            number = int(time) // SLOT_SECONDS
            told = json.loads(detail) if detail != "{}" else {}
            one, seconds = cell(number, kind, told)
            events = int(told.get("more", 1))  # a line may stand for several, see `store.trail`
            found[one] = found.get(one, nothing).plus(events, seconds)
        return found

    def recent(self, kind: str, since: datetime) -> list[Event]:
        """The events of a kind since then, in the order in which they happened."""
        sql = f"SELECT {EVENT.selected} FROM event WHERE time >= ? AND kind = ? ORDER BY id"
        return [EVENT.read(row) for row in self._db.execute(sql, (since.timestamp(), kind))]

    def kept(self) -> tuple[int, datetime | None]:
        """How many events are in the store, and the time of the one that was written first."""
        [number] = self._db.execute("SELECT count(*) FROM event").fetchone()
        row = self._db.execute("SELECT time FROM event ORDER BY id LIMIT 1").fetchone()
        return int(number), None if row is None else moment(row[0])

    def event_beyond(self, most: int, before: datetime) -> int:
        """
        The number of the last event that goes so that at most so many stay; 0 if none has to.

        Args:
            before: What is younger stays, however many there are: it was not counted yet.
        """
        sql = (
            "SELECT id FROM event WHERE time < ? AND id <= "
            "(SELECT id FROM event ORDER BY id DESC LIMIT 1 OFFSET ?) ORDER BY id DESC LIMIT 1"
        )
        row = self._db.execute(sql, (before.timestamp(), most)).fetchone()
        return 0 if row is None else int(row[0])

    def add(self, counts: dict[Cell, Count], since: int | None, until: int) -> bool:
        """
        Store counts of the slots from `since` to before `until`.

        Args:
            since: As `counted_until` was.

        Returns:
            False, and nothing is stored, if somebody else was faster.
        """
        if self.counted_until() != since:
            return False
        self._put(counts.items())
        self._set_counted(until)
        return True

    def take_back(self, since: int) -> None:
        """
        Have the slots from `since` on counted later: they were not over, a clock was ahead.

        Not if events of theirs are gone: then it is the clock of now that is behind.
        """
        there, nothing = self.count_events(since), Count()
        kept = (there.get(one, nothing).events >= count.events for one, count in self.sums(since))
        if (self.counted_until() or 0) > since and all(kept):
            self._db.execute("DELETE FROM figure WHERE slot >= ?", (since,))
            self._set_counted(since)

    def sums(self, since: int = EVER, until: int | None = None) -> Iterator[tuple[Cell, Count]]:
        """What was counted from `since` on, slot by slot."""
        end = "" if until is None else "AND slot < ?"
        sql = f"SELECT {', '.join(COLUMNS)}, events, seconds FROM figure WHERE slot >= ? {end}"
        for *key, events, seconds in self._db.execute(sql, (since, *([until] if until else []))):
            yield Cell(*key), Count(int(events), float(seconds))

    def totals(self) -> Iterator[tuple[Cell, Count]]:
        """What was ever counted, all slots as one."""
        kind = ", ".join(COLUMNS[1:])
        sql = f"SELECT {kind}, sum(events), sum(seconds) FROM figure GROUP BY {kind}"
        for *key, events, seconds in self._db.execute(sql):
            yield Cell(EVER, *key), Count(int(events), float(seconds))

    def fold(self, before: int, most: int) -> int:
        """
        Move at most so many counts of slots before this one into `EVER`, where totals keep them.

        Returns:
            How many rows went; 0 when there is nothing left to move.
        """
        named = ", ".join(COLUMNS)
        sql = (
            f"SELECT {named}, events, seconds FROM figure WHERE slot > {EVER} AND slot < ? "
            "ORDER BY slot LIMIT ?"
        )
        old = self._db.execute(sql, (before, most)).fetchall()
        merged: dict[Cell, Count] = {}
        for *key, events, seconds in old:
            one = Cell(*key)._replace(slot=EVER)
            merged[one] = merged.get(one, Count()).plus(int(events), float(seconds))
        self._put(merged.items())
        match = " AND ".join(f"{name} = ?" for name in COLUMNS)
        if old:
            sql = f"DELETE FROM figure WHERE {match}"  # constants only
            self._db.executemany(sql, [tuple(row[:5]) for row in old])
        return len(old)

    def _set_counted(self, until: int) -> None:
        self._db.execute("DELETE FROM counted")
        self._db.execute("INSERT INTO counted (until) VALUES (?)", (until,))

    def _put(self, counts: Iterable[tuple[Cell, Count]]) -> None:
        rows = [(*one, count.events, count.seconds) for one, count in counts]
        if rows:
            self._db.executemany(
                f"INSERT INTO figure ({', '.join(COLUMNS)}, events, seconds) "
                f"VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT ({', '.join(COLUMNS)}) DO UPDATE SET "
                "events = figure.events + excluded.events, "
                "seconds = figure.seconds + excluded.seconds",
                rows,
            )


SLOT_SECONDS = 900
"""Events are counted by the quarter of an hour: days of every time zone begin with one."""

BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds up to which a message that a provider took belongs to each bucket of latency."""

ARRIVAL_BOUNDS = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 3600.0)
"""The same for how long after that the network says that it has arrived."""

TIMED = {"sms-accepted": BOUNDS, "sms-delivered": ARRIVAL_BOUNDS}
"""Kinds of event whose seconds are counted, to the bounds of their buckets."""

UNTIMED = -1
"""The bucket of events that took no time."""


class Cell(NamedTuple):
    """What is counted together.  `reason` and `provider` are "" where an event has none."""

    slot: int
    kind: str
    reason: str = ""
    provider: str = ""
    bucket: int = UNTIMED


class Count(NamedTuple):
    """How many events, and how many seconds they took all together."""

    events: int = 0
    seconds: float = 0.0

    def plus(self, events: int, seconds: float) -> Count:
        """One more count on top."""
        return Count(self.events + events, self.seconds + seconds)


def slot(time: datetime) -> int:
    """The quarter of an hour that a time lies in, counted from 1970."""
    return int(time.timestamp()) // SLOT_SECONDS


def start(number: int) -> datetime:
    """When a slot begins."""
    return datetime.fromtimestamp(number * SLOT_SECONDS, timezone.utc)


COUNTED_BY = ("reason", "provider", "seconds", "more")
"""What of an event's detail matters to how it is counted."""


def cell(number: int, kind: str, detail: Mapping[str, str | int | float]) -> tuple[Cell, float]:
    """Where an event is counted, and its seconds."""
    seconds, bucket = 0.0, UNTIMED
    if kind in TIMED and "seconds" in detail:
        seconds = float(detail["seconds"])
        bucket = sum(seconds > bound for bound in TIMED[kind])
    reason = str(detail.get("reason", ""))
    return Cell(number, kind, reason, str(detail.get("provider", "")), bucket), seconds
