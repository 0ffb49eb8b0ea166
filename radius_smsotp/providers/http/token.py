"""
A token for an API that wants to be logged in to first: OAuth 2 client credentials, or a way of its
own.

It is fetched when the first message needs it, kept in memory until it expires, and never written
anywhere.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone

from radius_smsotp.errors import Busy, DeliveryError, Refused, Unavailable, Unknown
from radius_smsotp.providers.http.answer import Answer, Condition, Rules, judge
from radius_smsotp.providers.http.request import Request

EARLY = 0.1
"""Part of its life that a token is given up before its end: clocks differ, and messages travel."""


@dataclass(frozen=True, slots=True)
class Source:
    """
    Where tokens come from.

    Attributes:
        request: What to send.
        exchange: Sends a request, until `time.monotonic()` seconds.
        quote: Makes a text fit to be told, in that many characters.
        path: Where the token stands in the answer.
        expires: Where its seconds of life stand there.
        lifetime: The seconds, where the answer does not say.
    """

    request: Request = field(repr=False)
    exchange: Callable[[Request, float], Answer]
    quote: Callable[[str, int], str]
    path: Condition
    expires: Condition
    lifetime: float


class Token:
    """The one that is valid now.  Used by several threads at once, of which one fetches it."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._value = ""
        self._until = 0.0

    @property
    def value(self) -> str:
        """The last one, "" if there was none: what must not be told."""
        return self._value

    def get(self, limit: float, refused: str = "") -> str:
        """
        The token.

        Args:
            limit: `time.monotonic()` seconds.
            refused: One that the gateway does not take any more.

        Raises:
            Refused: The gateway gives none: every message would end like this.
            Unavailable: It gives none now.
        """
        if not self._lock.acquire(timeout=max(limit - time.monotonic(), 0)):
            raise Unavailable("no token: another message was waiting for it all the time")
        try:
            if time.monotonic() >= self._until or self._value == refused:
                self._fetch(limit)
            return self._value
        finally:
            self._lock.release()

    def _fetch(self, limit: float) -> None:
        self._until = 0.0
        fault: DeliveryError | None
        try:
            fault = self._take(self._source.exchange(self._source.request, limit))
        except (Unknown, Unavailable) as error:
            # Whatever became of that request, the message itself was not sent.
            fault = Unavailable(f"no token: {error}")
        if fault:
            raise fault

    def _take(self, answer: Answer) -> DeliveryError | None:
        """Keep the token of an answer, or say why there is none."""
        source = self._source
        verdict = judge(answer, Rules(), source.quote, datetime.now(timezone.utc))
        if isinstance(verdict, Refused):
            return Refused(f"no token: {verdict}", out_of_order=True)
        if isinstance(verdict, Busy):
            return Busy(f"no token: {verdict}", verdict.retry_after)
        if isinstance(verdict, DeliveryError):
            return Unavailable(f"no token: {verdict}")
        try:
            document = json.loads(answer.body)
        except (ValueError, RecursionError):
            document = None
        found = source.path.find(document)
        if not isinstance(found, str) or not found:
            # The answer is not quoted: the token may stand somewhere else in it.
            path = ".".join(source.path.path)
            fault = f"no token: the gateway answered {answer.status}, and there is none at {path}"
            return Refused(f"{fault}; mend token_json", out_of_order=True)
        seconds = source.expires.find(document)
        try:
            lifetime = max(float(seconds), 0.0)
        except (TypeError, ValueError):
            lifetime = source.lifetime
        self._value = found
        self._until = time.monotonic() + lifetime * (1 - EARLY)
        return None
