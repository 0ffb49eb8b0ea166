"""
The hosts of a database: which of them lets us in now, and what each of the others says.

A host that has vanished says nothing at all, and keeps whoever asks it waiting.  So they are asked
side by side: each a moment after the one before, or as soon as that has said no (RFC 8305, section
5).  The one that let us in last comes first; last, if it was of no use then: a primary that others
have replaced, and that nobody could tell so, lets everybody in and keeps nothing.
"""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

import psycopg

DELAY_SECONDS = 0.25
"""Before the next one is asked as well: RFC 8305, section 8, "Connection Attempt Delay"."""

DEFAULT_PORT = "5432"


class _Closable(Protocol):
    def close(self) -> object:
        """Let go of it."""


C = TypeVar("C", bound=_Closable)


class Hosts:
    """
    Those of one URL.

    Args:
        given: Parameters of libpq; ``host``, ``hostaddr`` and ``port`` may be lists.
        told: What an error says, for people.

    Attributes:
        failure: Why nobody let us in at the last attempt; "" if somebody did.
    """

    def __init__(self, given: Mapping[str, Any], told: Callable[[psycopg.Error], str]) -> None:
        self.failure = ""
        self._told = told
        self._each = _single(given)
        self._last: dict[str, Any] | None = None
        self._is_doubtful = False

    def connect(self, connect: Callable[..., C]) -> C:
        """
        The first connection that is made; the others are closed.

        Args:
            connect: Called with the parameters of one address, in a thread of its own.

        Raises:
            psycopg.Error: None; what the last one has failed with.
        """
        waiting = [one for host in self._each for one in _addresses(host)]
        waiting.sort(key=lambda one: (one == self._last) == self._is_doubtful)
        if len(waiting) == 1:
            return self._alone(connect, waiting[0])
        race = _Race(connect)
        failures: dict[str, str] = {}
        error: psycopg.Error | None = None
        while waiting or race.running:
            if waiting:
                race.start(waiting.pop(0))
            ended = race.ended(DELAY_SECONDS if waiting else None)
            if ended is None:
                continue
            one, found = ended
            if not isinstance(found, psycopg.Error):
                race.decide()
                self._last, self._is_doubtful, self.failure = one, False, ""
                return found
            error = found
            failures.setdefault(_place(one), self._told(found))
        self.failure = "; ".join(f"{place}: {why}" for place, why in failures.items())
        assert error is not None  # noqa: S101  # there is one address at least
        raise error

    def doubt(self) -> None:
        """The one that let us in last is of no use: from now on it is asked behind the others."""
        self._is_doubtful = True

    def _alone(self, connect: Callable[..., C], one: dict[str, Any]) -> C:
        try:
            made = connect(**one)
        except psycopg.Error as error:
            self.failure = self._told(error)
            raise
        self.failure = ""
        return made


class _Race(Generic[C]):
    """
    Attempts to connect, side by side.

    Attributes:
        running: How many there are that nobody has heard the end of.
    """

    def __init__(self, connect: Callable[..., C]) -> None:
        self.running = 0
        self._connect = connect
        self._ended: queue.SimpleQueue[tuple[dict[str, Any], C | psycopg.Error]]
        self._ended = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._is_decided = False

    def start(self, one: dict[str, Any]) -> None:
        """Begin another one.  It is bounded by libpq's ``connect_timeout``."""
        self.running += 1
        target = self._try
        threading.Thread(target=target, args=(one,), name="smsotp-connect", daemon=True).start()

    def ended(self, seconds: float | None) -> tuple[dict[str, Any], C | psycopg.Error] | None:
        """The next one that has come to its end, and what that was; None if the time is up."""
        try:
            found = self._ended.get(timeout=seconds)
        except queue.Empty:
            return None
        self.running -= 1
        return found

    def decide(self) -> None:
        """There is a winner: whatever is made besides, or from now on, is closed."""
        with self._lock:
            self._is_decided = True
            while not self._ended.empty():
                _, found = self._ended.get()
                if not isinstance(found, psycopg.Error):
                    found.close()

    def _try(self, one: dict[str, Any]) -> None:
        try:
            found: C | psycopg.Error = self._connect(**one)
        except psycopg.Error as error:
            found = error
        with self._lock:
            if not self._is_decided:
                self._ended.put((one, found))
            elif not isinstance(found, psycopg.Error):
                found.close()


def _single(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Parameters of libpq for each of the hosts (PostgreSQL 34.1.1.3: lists, by their places)."""
    lists = {name: str(given[name]).split(",") for name in ("host", "hostaddr") if given.get(name)}
    number = max(map(len, lists.values()), default=1)
    if number == 1:
        return [dict(given)]
    ports = str(given.get("port") or DEFAULT_PORT).split(",")
    lists["port"] = ports * number if len(ports) == 1 else ports
    return [
        {**given, **{name: values[at] for name, values in lists.items() if at < len(values)}}
        for at in range(number)
    ]


def _addresses(one: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The same for each address of a name; the name stays, for its certificate."""
    host = str(one.get("host") or "")
    if one.get("hostaddr") or not host or host.startswith(("/", "@")):
        return [dict(one)]
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return [dict(one)]  # libpq says it in its own words
    addresses = dict.fromkeys(str(address[0]) for *_, address in found)
    return [{**one, "hostaddr": address} for address in addresses]


def _place(one: Mapping[str, Any]) -> str:
    host = str(one.get("host") or one.get("hostaddr") or "")
    port = str(one.get("port") or DEFAULT_PORT)
    return host if host.startswith("/") or port == DEFAULT_PORT else f"{host}:{port}"
