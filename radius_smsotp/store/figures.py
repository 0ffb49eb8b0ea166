"""
How many events there were, by the quarter of an hour.

Events are removed after a while, and there may be millions of them.  So what is over is counted
once, into the table ``figure``; the table ``counted`` says up to where.  No login does that: it
is done by whoever wants the figures (see `radius_smsotp.census`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from radius_smsotp.core import figures
from radius_smsotp.core.figures import Cell, Count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from radius_smsotp.store.rows import Connection

COLUMNS = ("slot", "kind", "reason", "provider", "bucket")

EVER = 0
"""The slot into which those move that are too old to be told apart."""


class FigureStatements:
    """The part of a transaction that counts events.  Slots are those of `core.figures`."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def counted_until(self) -> int | None:
        """The first slot whose events were not counted yet; None if none ever were."""
        row = self._db.execute("SELECT max(until) FROM counted").fetchone()
        return None if row[0] is None else int(row[0])

    def next_slot(self, since: int) -> int | None:
        """The first slot from there on in which something happened."""
        sql = "SELECT min(time) FROM event WHERE time >= ?"
        [time] = self._db.execute(sql, (since * figures.SLOT_SECONDS,)).fetchone()
        return None if time is None else int(time) // figures.SLOT_SECONDS

    def count_events(self, since: int, until: int | None = None) -> dict[Cell, Count]:
        """Count the events from slot `since` on, to before `until`."""
        end = "" if until is None else "AND time < ?"
        values = [since * figures.SLOT_SECONDS]
        values += [] if until is None else [until * figures.SLOT_SECONDS]
        sql = f"SELECT time, kind, detail FROM event WHERE time >= ? {end}"  # noqa: S608  # constants
        found: dict[Cell, Count] = {}
        nothing = Count()
        for time, kind, detail in self._db.execute(sql, values):
            number = int(time) // figures.SLOT_SECONDS
            one, seconds = figures.cell(number, kind, json.loads(detail) if detail != "{}" else {})
            found[one] = found.get(one, nothing).plus(1, seconds)
        return found

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

    def take_back(self, counted: int, since: int) -> bool:
        """
        Have the slots from `since` on counted once more, later.

        Args:
            counted: As `counted_until` was.

        Returns:
            False, and nothing is changed, if somebody else was faster, or if not all of their
            events are there any more.
        """
        if self.counted_until() != counted:
            return False
        there, nothing = self.count_events(since, counted), Count()
        if any(there.get(one, nothing).events < count.events for one, count in self.sums(since)):
            return False
        self._db.execute("DELETE FROM figure WHERE slot >= ?", (since,))
        self._set_counted(since)
        return True

    def sums(self, since: int = EVER, until: int | None = None) -> Iterator[tuple[Cell, Count]]:
        """What was counted from `since` on, slot by slot."""
        end = "" if until is None else "AND slot < ?"
        sql = f"SELECT {', '.join(COLUMNS)}, events, seconds FROM figure WHERE slot >= ? {end}"  # noqa: S608
        for *key, events, seconds in self._db.execute(sql, (since, *([until] if until else []))):
            yield Cell(*key), Count(int(events), float(seconds))

    def totals(self) -> Iterator[tuple[Cell, Count]]:
        """What was ever counted, all slots as one."""
        kind = ", ".join(COLUMNS[1:])
        sql = f"SELECT {kind}, sum(events), sum(seconds) FROM figure GROUP BY {kind}"  # noqa: S608
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
            f"SELECT {named}, events, seconds FROM figure WHERE slot > {EVER} AND slot < ? "  # noqa: S608
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
            sql = f"DELETE FROM figure WHERE {match}"  # noqa: S608  # constants only
            self._db.executemany(sql, [tuple(row[:5]) for row in old])
        return len(old)

    def _set_counted(self, until: int) -> None:
        self._db.execute("DELETE FROM counted")
        self._db.execute("INSERT INTO counted (until) VALUES (?)", (until,))

    def _put(self, counts: Iterable[tuple[Cell, Count]]) -> None:
        rows = [(*one, count.events, count.seconds) for one, count in counts]
        if rows:
            self._db.executemany(
                f"INSERT INTO figure ({', '.join(COLUMNS)}, events, seconds) "  # noqa: S608
                f"VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT ({', '.join(COLUMNS)}) DO UPDATE SET "
                "events = figure.events + excluded.events, "
                "seconds = figure.seconds + excluded.seconds",
                rows,
            )
