"""What is going on, and for how long still: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import click

from radius_smsotp.cli import output

if TYPE_CHECKING:
    from collections.abc import Callable

QUIET_SECONDS = 2.0
"""Where nothing is drawn, nothing is said of what takes no longer."""

LINE_SECONDS = 60.0
"""How often a line says how far it is, where nothing is drawn."""

RATE_SECONDS = 30.0
"""The time to go is reckoned from so long a stretch: hashing is as steady as the machine."""


class Progress:
    """Stages of one piece of work, one after the other or several at once."""

    def __init__(self) -> None:
        self._bars: Any = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._bars = _bars()
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def stage(self, title: str, total: int) -> Callable[[int], None]:
        """Begin a stage.  Returns what is told of so much more that is done, by any thread."""
        if self._bars is None:
            return _Lines(title, total, self._lock).advance
        # A bar is there from the first step of its stage on, and no sooner.
        bars, task = self._bars, self._bars.add_task(title, total=total, start=False, visible=False)

        def advance(number: int) -> None:
            with self._lock:
                if not bars.tasks[task].started:
                    bars.start_task(task)
                    bars.update(task, visible=True)
            bars.advance(task, number)

        return advance


class _Lines:
    """One stage where nothing can be drawn."""

    def __init__(self, title: str, total: int, lock: threading.Lock) -> None:
        self._title, self._total, self._lock = title, total, lock
        self._done = 0
        self._begun: float | None = None
        self._due = 0.0

    def advance(self, number: int) -> None:
        now = time.monotonic()
        with self._lock:
            if self._begun is None:
                self._begun, self._due = now, now + QUIET_SECONDS
            self._done += number
            if now < self._due or self._done >= self._total:
                return
            self._due = now + LINE_SECONDS
            left = (now - self._begun) / self._done * (self._total - self._done)
        done = f"{self._done:,} of {self._total:,}"
        click.echo(f"{self._title}: {done}, {output.span(left)} to go", err=True)


def _bars() -> Any:
    from rich.console import Console  # noqa: PLC0415  # slow to import, and of no use in a pipe
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("to go"),
        console=Console(stderr=True),
        transient=True,
        speed_estimate_period=RATE_SECONDS,
    )
