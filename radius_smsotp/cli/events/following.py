"""Events as they come, each once, from a place that can be kept."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from radius_smsotp.errors import SmsotpError
from radius_smsotp.model.records import Event
from radius_smsotp.settings import whole_file
from radius_smsotp.store.history import LATE, Wanted
from radius_smsotp.store.transaction import Transaction

EVERYTHING = Wanted()

PAGE = 500
"""Events that are read at once."""


class Place:
    """
    How far the events of a store were seen.

    Args:
        number: The highest number that was.
        seen: Those that were, of the `LATE` up to it: others may still come.
    """

    def __init__(self, number: int, seen: Iterable[int] = ()) -> None:
        self.number, self.seen = number, set(seen)

    @classmethod
    def now(cls, tx: Transaction) -> Place:
        """Behind all that there is."""
        newest = tx.history.newest()
        return cls(newest, tx.history.numbers(newest - LATE, LATE))

    def fresh(self, tx: Transaction, wanted: Wanted = EVERYTHING) -> Iterator[tuple[int, Event]]:
        """Events that were not seen yet, as each is taken; then it was."""
        if (newest := tx.history.newest()) < self.number:
            # Another store, or an older copy of this one: its numbers begin anew.
            there = self.now(tx)
            self.number, self.seen = there.number, there.seen
        there_are = tx.history.numbers(self.number - LATE, LATE + 1)
        # Mostly there is nothing new, and no event has to be read for that.
        reached = next((one for one in there_are if one not in self.seen), newest + 1) - 1
        while page := tx.history.after(reached, wanted, PAGE):
            reached = page[-1][0]
            for number, event in page:
                if number not in self.seen:
                    yield number, event
                    self.saw(number)
        self.number = max(self.number, newest)

    def saw(self, number: int) -> None:
        """An event is done with."""
        self.seen.add(number)
        self.number = max(self.number, number)
        if len(self.seen) > 2 * LATE:
            self.seen = {one for one in self.seen if one > self.number - LATE}


class Bookmark:
    """
    A file that keeps a place, for one process at a time.

    Raises:
        SmsotpError: Another process has it.
        OSError: It cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: IO[bytes] = path.with_name(f"{path.name}.lock").open("ab")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise SmsotpError(f"another process writes the events already ({path})") from None

    def place(self) -> Place | None:
        """Where it was ended; None at the first time."""
        try:
            kept = json.loads(self._path.read_text(encoding="ascii"))
            return Place(int(kept["number"]), map(int, kept["seen"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise SmsotpError(f"{self._path} says no place; remove it to begin anew") from None

    def keep(self, place: Place) -> None:
        """Go on there the next time, whatever happens to this process or machine."""
        seen = sorted(one for one in place.seen if one > place.number - LATE)
        text = json.dumps({"number": place.number, "seen": seen})
        whole_file.write(self._path, text, 0o600, durable=True)

    def close(self) -> None:
        """Let another process have it."""
        self._lock.close()
