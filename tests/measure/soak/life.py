"""Two servers, one store, two gateways, and what happens to them in the course of time."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.freeradius.malformed import complaints
from tests.measure.soak import gauge
from tests.measure.soak.people import DIGITS, People
from tests.providers.gateway import Gateway, answers, stall
from tests.support.freeradius import Radiusd, Site
from tests.support.radius import RadiusClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.providers.gateway import Behaviour

NAMES = [f"user{number}" for number in range(60)]

PACE = 0.02
"""Seconds between two acts, each of one to three requests: a busy morning of a big company."""

CHAPTER_SECONDS = 30.0
MOST_CHAPTERS, FEWEST_CHAPTERS = 60, 12
"""In so many steps the time passes: after each something happens, and everything is looked at."""

FEWEST_ACTS = 40
"""In each of them, however long that takes where others are at work."""

RESTART_EACH, SETTINGS_EACH, PRUNE_EACH = 6, 4, 3
"""Chapters."""

KEPT = 4
"""Chapters that events and ended challenges are kept, in place of months: else there would be
nothing to prune."""

FAULTY: dict[str, Behaviour] = {
    "works": answers(200, "ID: 4711"),
    "is down": answers(503, "maintenance"),
    "works again": answers(200, "ID: 4711"),
    "refuses": answers(200, "ERR: no credit"),
    "hangs": stall,
}
"""What the first gateway does, by turns; the second one always works."""


class Life:
    """From the start to the end of a `with` block."""

    def __init__(self, folder: Path) -> None:
        self._ending = contextlib.ExitStack()
        self._gateways = [self._ending.enter_context(Gateway(FAULTY["works"])) for _ in range(2)]
        self.site = Site(folder, **self._settings())
        self._ending.callback(self.site.close)
        for number, name in enumerate(NAMES):
            self.site.add(name, f"+49170{number:07}")
        self.readings: list[gauge.Reading] = []
        self.pruned = self.restarts = self.seconds = 0
        self.cpu = 0.0
        self._restarting: threading.Thread | None = None
        self._servers: list[Radiusd] = []
        self.people = People(self.site, NAMES)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.push(self._ending)
            self._servers = [self.site.start(name) for name in ("raddb1", "raddb2")]
            self._ending = stack.pop_all()
        self.people.clients = [RadiusClient(server.port, patience=2) for server in self._servers]
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    def pass_time(self, seconds: float, said: Callable[[str], object]) -> None:
        """Let so much time pass."""
        began = time.monotonic()
        fitting = round(seconds / CHAPTER_SECONDS)
        chapters = min(max(fitting, FEWEST_CHAPTERS), MOST_CHAPTERS)
        chapter = seconds / chapters
        for number in range(1, chapters + 1):
            state = self._happen(number, timedelta(seconds=chapter))
            acts = 0
            while acts < FEWEST_ACTS or time.monotonic() < began + number * chapter:
                self.people.act()
                acts += 1
                time.sleep(PACE)
            self.readings.append(gauge.read(self._first().pid, self.site.folder / "smsotp.db"))
            if number % (chapters // 12) == 0:
                now = self.readings[-1]
                said(
                    f"{time.monotonic() - began:7.0f} s  {now.memory:6.1f} MiB  {now.threads:3} "
                    f"threads  {now.files:3} files  store {now.store:5.2f} MiB  "
                    f"{self.people.acts['… accepted']:,} logins; the first gateway {state}"
                )
        if self._restarting is not None:
            self._restarting.join()
        self.seconds = round(time.monotonic() - began)
        self.cpu = self._cpu()

    def summary(self) -> list[str]:
        """What it was like, in lines."""
        first, _, _, last = gauge.quarters(self.readings)
        acts = sorted(self.people.acts.items(), key=lambda pair: -pair[1])
        return [
            f"{self.seconds} s; the first server took {self.cpu / self.seconds:.0%} of a core",
            *(f"  {number:>8,}  {act}" for act, number in acts),
            f"  {self.restarts:>8,}  restarts of the second server",
            f"  {self.pruned:>8,}  rows pruned",
            f"  {self.people.retried:>8,}  requests sent again, to the other server",
            *(
                f"  {name:<8} {getattr(first, name):7.2f} in the first quarter, "
                f"{getattr(last, name):7.2f} in the last"
                for name in ("memory", "threads", "files", "store")
            ),
        ]

    def faults(self, may_grow: gauge.Reading = gauge.MAY_GROW) -> list[str]:
        """What should not have been, one sentence each."""
        logs = [line for server in self._servers for line in complaints(server)]
        grown = gauge.grown(self.readings, may_grow)
        return [*self.people.faults[:20], *grown, *logs[:20]]

    def _happen(self, number: int, chapter: timedelta) -> str:
        """What happens before a chapter.  Returns what the first gateway does."""
        state = list(FAULTY)[number % len(FAULTY)]
        self._gateways[0].behave = FAULTY[state]
        for gateway in self._gateways:
            gateway.requests.clear()
        if number % SETTINGS_EACH == 0:
            self.site.write(**self._settings(lifetime=300 + number))
        if number % PRUNE_EACH == 0:
            self._prune(datetime.now(UTC) - KEPT * chapter)
        if number % RESTART_EACH == 0:
            if self._restarting is not None:
                self._restarting.join()
            self._restarting = threading.Thread(target=self._restart)
            self._restarting.start()
        return state

    def _restart(self) -> None:
        """Users go on meanwhile, and find the second server gone."""
        status = self._servers[1].stop()
        if status != 0:
            self.people.faults.append(f"the second server ended with {status}")
        time.sleep(1)
        self._servers[1].start()
        self.restarts += 1

    def _prune(self, before: datetime) -> None:
        """With the command, and then once more with days of minutes."""
        command = [sys.executable, "-m", "radius_smsotp", "--config", self.site.settings_path]
        subprocess.run([*command, "prune"], check=True, capture_output=True, timeout=60)
        while True:
            with self.site.store.write() as tx:
                gone = tx.prune(before, before, datetime.now(UTC))
            if not gone:
                return
            self.pruned += gone

    def _first(self) -> subprocess.Popen[bytes]:
        process = self._servers[0].process
        assert process is not None
        assert process.poll() is None, "the first server has ended"
        return process

    def _cpu(self) -> float:
        """Seconds of CPU that the first server has spent."""
        stat = Path(f"/proc/{self._first().pid}/stat").read_text(encoding="ascii")
        # proc(5): utime and stime are fields 14 and 15; the name in field 2 may hold blanks.
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _settings(self, lifetime: int = 300) -> dict[str, Any]:
        providers = {
            name: {
                "type": "http",
                "url": gateway.url,
                "parameter": {"to": "{phone}", "text": "{message}"},
                "return_success": "ID",
                "timeout": 2,
            }
            for name, gateway in zip(("first", "second"), self._gateways, strict=True)
        }
        return {
            "providers": providers,
            "code": {"digits": DIGITS, "lifetime": lifetime},
            "lockout": {"failures": 1_000_000},
            "delivery": {"wait": 0.2, "threads": 8},
            "limits": dict.fromkeys(
                ("cooldown", "per_account_hour", "per_number_hour", "per_day"), 0
            ),
        }
