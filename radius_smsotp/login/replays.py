"""
Codes that were accepted here, whatever the store says of them.

A database whose standby is behind loses in a fail-over what it has acknowledged last, and codes
that were spent would be good again.  A server that let somebody in with one knows better, for as
long as the code is valid: in memory, and in a file beside the settings, which outlasts a restart.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from radius_smsotp.model.records import EmergencyCodes, Known
from radius_smsotp.settings import whole_file

log = logging.getLogger(__name__)

SPARE_LINES = 1000
"""Of codes that are over; after more, they are forgotten, and the file is written anew."""


class Use(NamedTuple):
    """
    A code that somebody was let in with.

    Attributes:
        code: Of which challenge (its transaction id), or which emergency code (`of_emergency`).
        left: How often it may still be used.
        until: When it ends by itself.
    """

    code: str
    left: int
    until: datetime


def of_emergency(codes: EmergencyCodes, number: int) -> Use:
    """The use of an emergency code, counted already."""
    return Use(_name(codes, number), codes.uses[number - 1], codes.expires_at)


class Replays:
    """
    What this server has accepted.

    Args:
        path: Where that is kept; None: the store forgets nothing, so nothing is.
        now: Aware UTC.
    """

    def __init__(self, path: Path | None, now: datetime) -> None:
        self._is_wanted = path is not None
        self._path = path
        self._lock = threading.Lock()
        self._lines, self._most = 0, SPARE_LINES
        self._uses: dict[str, Use] = {}
        if path is not None:
            self._load(path, now)

    def add(self, uses: Iterable[Use], now: datetime) -> None:
        """Somebody is let in with these: before they hear of it."""
        new = {use.code: use for use in uses}
        if not (new and self._is_wanted):
            return
        with self._lock:
            self._uses |= new
            self._lines += len(new)
            if self._lines < self._most:
                self._write("".join(map(_line, new.values())))
            else:
                self._uses = {code: use for code, use in self._uses.items() if use.until > now}
                self._lines = len(self._uses)
                self._most = 2 * self._lines + SPARE_LINES
                self._write("".join(map(_line, self._uses.values())), whole=True)

    def correct(self, known: Known) -> Known:
        """What a store knows, and what we know better."""
        if not self._uses:
            return known
        with self._lock:
            challenges = tuple(
                replace(one, state="spent") if one.transaction_id in self._uses else one
                for one in known.challenges
            )
            codes = known.emergency
            if codes is not None:
                uses = tuple(
                    min(left, self._uses[code].left) if code in self._uses else left
                    for number, left in enumerate(codes.uses, 1)
                    for code in [_name(codes, number)]
                )
                codes = replace(codes, uses=uses)
        return replace(known, challenges=challenges, emergency=codes)

    def alive(self, now: datetime) -> list[str]:
        """The challenges among them whose codes would still be valid."""
        with self._lock:
            return [one.code for one in self._uses.values() if one.until > now and not one.left]

    def _load(self, path: Path, now: datetime) -> None:
        try:
            lines = path.read_text(encoding="ascii").splitlines(keepends=True)
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError) as error:
            log.warning("%s cannot be read (%s)", path, type(error).__name__)
            return
        uses = filter(None, map(_use, lines))
        self._uses = {use.code: use for use in uses if use.until > now}
        self._lines = len(self._uses)
        self._write("".join(map(_line, self._uses.values())), whole=True)

    def _write(self, text: str, *, whole: bool = False) -> None:
        """To the file; without one, what is in memory counts."""
        if self._path is None:
            return
        try:
            if whole:
                whole_file.write(self._path, text, 0o600)
            else:
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
                with os.fdopen(os.open(self._path, flags, 0o600), "a", encoding="ascii") as file:
                    file.write(text)
        except OSError as error:
            # Once: it is the folder's fault, and stays so.
            log.warning(
                "%s cannot be written (%s): after a restart and a fail-over, codes of before may "
                "count again",
                self._path,
                error.strerror,
            )
            self._path = None


def _name(codes: EmergencyCodes, number: int) -> str:
    return f"{codes.batch}-{number}"


def _line(use: Use) -> str:
    return f"{use.code} {use.left} {use.until.timestamp():.0f}\n"


def _use(line: str) -> Use | None:
    try:
        code, left, until = line.split()
        if not line.endswith("\n"):  # a crash while it was written
            return None
        return Use(code, int(left), datetime.fromtimestamp(int(until), timezone.utc))
    except ValueError:
        return None
