"""
How a user fares while somebody floods the server with first steps of made-up names.

    python -m tests.measure.noise [--seconds S] [--rounds N] [--station] [RATE...]

One user logs in whole every two seconds, through the same client as the noise.  That names no
station, nor does the user's login, unless it is to; who is refused tries again at once.  Rates are
requests a second; without any it is tried with 12, 25, 100 and 400.
"""

from __future__ import annotations

import argparse
import random
import socket
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support import radius
from tests.support.freeradius import Site
from tests.support.radius import SECRET, NoReplyError
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.freeradius import Radiusd

RATES = (12, 25, 100, 400)
EVERY = 2.0
"""Seconds between two logins of the user."""

SOCKETS = 64
"""By turns: FreeRADIUS tells a packet that is sent again by port and identifier."""

NEVER = 1_000_000_000
LIMITS = {"cooldown": 0} | dict.fromkeys(
    ("per_account_hour", "per_number_hour", "per_client_hour", "per_day"), NEVER
)


class Noise:
    """
    First steps of made-up names, at a fixed rate, whether they are answered or not.

    Args:
        station: `Calling-Station-Id` of the request of this number; "" for none.

    Attributes:
        replies: How often which kind of reply has come.
        took: Seconds that each of them took.
    """

    def __init__(
        self, port: int, rate: float, station: Callable[[int], str] = lambda _: ""
    ) -> None:
        self.sent = 0
        self.replies: Counter[str] = Counter()
        self.took: list[float] = []
        self._port, self._rate, self._station = port, rate, station
        self._dice = random.Random(14)
        self._ending = threading.Event()
        self._sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(SOCKETS)]
        self._since: dict[tuple[int, int], float] = {}
        for one in self._sockets:
            one.connect(("127.0.0.1", port))
            one.setblocking(False)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Noise:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        self._drain()
        for one in self._sockets:
            one.close()

    def _run(self) -> None:
        begun = time.perf_counter()
        while not self._ending.is_set():
            due = begun + self.sent / self._rate
            pause = due - time.perf_counter()
            if pause > 0:
                self._drain()
                time.sleep(min(pause, 0.05))
                continue
            self._send()

    def _send(self) -> None:
        line, identifier = self.sent % SOCKETS, self.sent // SOCKETS % 256
        pairs = [
            (radius.USER_NAME, f"user{self._dice.randrange(10**9)}".encode()),
            (radius.USER_PASSWORD, f"{self._dice.randrange(10**6):06}".encode()),
        ]
        if station := self._station(self.sent):
            pairs.append((radius.CALLING_STATION_ID, station.encode()))
        packet = radius.access_request(SECRET.encode(), pairs, identifier=identifier)
        self._since[line, identifier] = time.perf_counter()
        self._sockets[line].send(packet)
        self.sent += 1

    def _drain(self) -> None:
        """Take what has come."""
        for line, one in enumerate(self._sockets):
            while True:
                try:
                    packet = one.recv(4096)
                except OSError:
                    break
                self.replies[radius.KINDS[packet[0]]] += 1
                since = self._since.pop((line, packet[1]), None)
                if since is not None:
                    self.took.append(time.perf_counter() - since)


@dataclass
class Login:
    """One login of the user: seconds that each step took, tries, and what has gone wrong."""

    first: float = 0.0
    second: float = 0.0
    fault: str = ""
    tries: int = 1


@dataclass
class Result:
    """
    What came of it.

    Attributes:
        logins: During the noise.
        after: The first one after it.
        threads: Of FreeRADIUS, at the most.
    """

    rate: float
    sent: int = 0
    answered: int = 0
    logins: list[Login] = field(default_factory=list)
    after: Login = field(default_factory=Login)
    threads: int = 0
    seconds: float = 0.0
    took: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        good = [one for one in self.logins if not one.fault]
        firsts, seconds = ([one.first for one in good], [one.second for one in good])
        tries = sum(one.tries > 1 for one in good)
        faults = Counter(one.fault for one in self.logins if one.fault)
        noise = sorted(self.took)
        half = noise[len(noise) // 2] if noise else 0.0
        first, second = max(firsts, default=0.0), max(seconds, default=0.0)
        after = self.after
        return (
            f"{self.rate:5.0f}/s: {len(good)} of {len(self.logins)} logins, {tries} of them at the "
            f"second try, first step at most {first:.3f} s, second {second:.3f} s; afterwards "
            f"{after.first:.3f} s, try {after.tries} {after.fault}; noise answered {self.answered} "
            f"of {self.sent}, median {half:.3f} s; {self.threads} threads; CPU {self.seconds:.0%}"
            + (f"; faults: {dict(faults)}" if faults else "")
        )


TRIES = 3


def log_in(site: Site, radiusd: Radiusd, station: str = "", name: str = "alice") -> Login:
    """One login, whole."""
    tries = 0
    try:
        while True:
            begun = time.perf_counter()
            asked = radiusd.client.ask(name, PIN, station=station)
            first = time.perf_counter() - begun
            tries += 1
            if asked.kind == "Access-Challenge":
                break
            if tries == TRIES:
                return Login(first, fault=f"first step: {asked.message}", tries=tries)
        code = site.code(asked.state)
        begun = time.perf_counter()
        got = radiusd.client.ask(name, code, asked.state, station=station)
        second = time.perf_counter() - begun
    except NoReplyError:
        return Login(fault="no reply")
    return Login(
        first, second, "" if got.kind == "Access-Accept" else f"second step: {got.message}"
    )


def live(
    site: Site,
    radiusd: Radiusd,
    rate: float,
    seconds: float,
    noise_station: Callable[[int], str] = lambda _: "",
    station: str = "",
) -> Result:
    """Log in every `EVERY` seconds, `seconds` long, through the noise, and once after it."""
    assert radiusd.process is not None
    process = Path("/proc") / str(radiusd.process.pid)
    result = Result(rate)
    spent, start = _cpu(process), time.perf_counter()
    with Noise(radiusd.port, rate, noise_station) as noise:
        begun = time.perf_counter()
        time.sleep(EVERY / 2)
        while (now := time.perf_counter()) < begun + seconds:
            result.logins.append(log_in(site, radiusd, station))
            result.threads = max(result.threads, len(list((process / "task").iterdir())))
            time.sleep(max(0.0, now + EVERY - time.perf_counter()))
    result.seconds = (_cpu(process) - spent) / (time.perf_counter() - start)
    result.after = log_in(site, radiusd, station)
    result.sent, result.took = noise.sent, noise.took
    result.answered = sum(noise.replies.values())
    return result


def _cpu(process: Path) -> float:
    """Seconds of CPU that a process has used."""
    fields = (process / "stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def main() -> None:
    """Try all rates, each on a server of its own, and print what came of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("rates", metavar="RATE", nargs="*", type=float, default=RATES)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--station", action="store_true", help="the user's, who was there before")
    chosen = parser.parse_args()
    for rate in chosen.rates:
        with tempfile.TemporaryDirectory() as name:
            site = Site(Path(name), pin={"iterations": chosen.rounds}, limits=LIMITS)
            site.add("alice", rounds=chosen.rounds)
            try:
                radiusd = site.start()
                station = "192.0.2.7" if chosen.station else ""
                log_in(site, radiusd, station)
                print(live(site, radiusd, rate, chosen.seconds, station=station), flush=True)
                said = [line for line in radiusd.log().splitlines() if "smsotp: " in line]
                print(*said, sep="\n", end="\n" * bool(said))
            finally:
                site.close()


if __name__ == "__main__":
    main()
