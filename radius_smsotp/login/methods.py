"""
Methods in turn: clients that try one after the other with what was typed once.

FortiGate's ``auto``, say, sends MS-CHAPv2, CHAP, MS-CHAP and PAP: one typing error in four
requests.  What was typed does not show in the first three, so it may as well be four guesses.
Hence the bounds: who can choose the method has that advantage for a few failures in a row only, and
a device in its tunnel, which always can, has it never.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from radius_smsotp.login.request import Request

TOGETHER = timedelta(seconds=10)
"""In which the methods come; FreeRADIUS holds each rejection back for a second unless set."""

FEW = 3
"""Failures in a row, counted so, of which each may be one of several methods."""

KEPT = 1024
"""Places that are remembered: those of the last failures."""


class Methods:
    """What failed lately, by which methods, as one process has seen it."""

    def __init__(self) -> None:
        self._tried: dict[tuple[str, str, str], tuple[datetime, frozenset[str]]] = {}

    def is_counted(self, request: Request, failures: int, now: datetime) -> bool:
        """
        Note a first factor that was wrong.

        Args:
            failures: In a row, this one not among them.

        Returns:
            Whether it has been counted before, when it came by another method.
        """
        if request.tunnelled:
            return False
        place = (request.account, request.client.name, request.client.station)
        begun, tried = self._tried.pop(place, (now, frozenset[str]()))
        counted = (
            bool(tried)
            and request.method not in tried
            and timedelta() <= now - begun < TOGETHER
            and failures <= FEW
        )
        if not counted:
            begun, tried = now, frozenset()
        self._tried[place] = (begun, tried | {request.method})
        if len(self._tried) > KEPT:
            del self._tried[next(iter(self._tried))]
        return counted
