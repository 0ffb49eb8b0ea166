"""What commands print: tables, columns for pipes, JSON for programs; how far a long one is."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import click


class InOrder(click.Group):
    """A group whose help lists commands in the order in which they were added to it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Not by their letters: what is done each day stands first."""
        return list(self.commands)


def clean(value: object) -> str:
    """
    One line that no terminal takes for a command.

    User names and stations come from whoever sends a request, replies from gateways.
    """
    line = " ".join(str(value).splitlines())
    return "".join(char if char.isprintable() else "?" for char in line)


def table(
    titles: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    empty: str,
    numbers: Sequence[str] = (),
    sentences: Sequence[str] = (),
    spare: Sequence[str] = (),
) -> None:
    """
    Print rows under their headings: as wide as the terminal, and whole into a pipe.

    Args:
        empty: The sentence instead, if there are no rows.
        numbers, sentences, spare: Headings, see `table.Grid`.
    """
    cells = [[clean(_shown(value)) for value in row] for row in rows]
    if not cells:
        click.echo(empty, err=not sys.stdout.isatty())
        return
    from radius_smsotp.cli.table import RULE, Grid  # noqa: PLC0415  # what prints none starts sooner

    grid = Grid(titles, cells, numbers, sentences, spare)
    width = _columns()
    lines = grid.plain() if width is None else grid.fitted(width)
    try:
        RULE.encode(sys.stdout.encoding)
    except UnicodeEncodeError:  # a terminal that is set to Latin-1, say
        lines = [line.replace(RULE, "-") for line in lines]
    for line in lines:
        click.echo(line)


def record(pairs: Sequence[tuple[str, object]]) -> None:
    """Print what there is to say of one thing, a line for each title and value."""
    from radius_smsotp.cli.table import block  # noqa: PLC0415  # as above

    for line in block([(title, clean(_shown(value))) for title, value in pairs], _columns()):
        click.echo(line)


def _columns() -> int | None:
    """Of the terminal, None where it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def styled(text: str, colour: str) -> str:
    """Text in colour where that is wanted: not in a pipe, and not if NO_COLOR is set."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return click.style(text, fg=colour)


def wrapped(text: str, indent: str) -> str:
    """Text in lines as long as the terminal, all of them indented; no word is cut."""
    from radius_smsotp.cli.table import folded  # noqa: PLC0415  # as above

    room = max(shutil.get_terminal_size().columns - len(indent), 1)
    return "\n".join(f"{indent}{line}" for line in folded(text, room))


json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")
"""Of every command that can `as_json` what it prints."""


def listing(
    records: Sequence[Mapping[str, Any]],
    columns: Mapping[str, Any],
    *,
    for_programs: bool,
    empty: str = "",
    **kinds: Sequence[str],
) -> None:
    """
    Print records as JSON, or as a `table`.

    Args:
        columns: Heading to the key of what stands below it, or to what makes it of a record.
        kinds: Which of them are `numbers`, `sentences` or `spare`, see `table.Grid`.
    """
    if for_programs:
        as_json(records)
        return
    rows = [
        [record[of] if isinstance(of, str) else of(record) for of in columns.values()]
        for record in records
    ]
    table([*columns], rows, empty=empty, **kinds)


def as_json(value: Any, indent: int | None = 2) -> None:
    """Print JSON.  ASCII only: a letter that steers a terminal stays a number."""
    click.echo(json.dumps(value, indent=indent, default=iso))


def fields(record: object, *names: str) -> dict[str, Any]:
    """Some attributes of a record, for JSON."""
    return {name: getattr(record, name) for name in names}


def many(number: int, thing: str) -> str:
    """A number of things: "1 account", "2 accounts"."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def iso(moment: datetime) -> str:
    """A time for programs: "2026-11-23T10:02:11.250+00:00"."""
    return moment.isoformat(timespec="milliseconds")


def _shown(value: object) -> object:
    return "" if value is None else local(value) if isinstance(value, datetime) else value


def local(moment: datetime, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """
    A time for people, in the zone of this machine: "2026-11-23 11:02:11 CET".

    In the hour that comes twice, when clocks go back, with its offset as well: some zones have one
    name for both.
    """
    here = moment.astimezone()
    clock = here.replace(tzinfo=None)
    offsets = {clock.replace(fold=fold).astimezone().utcoffset() for fold in (0, 1)}
    told = f"{here:{form} %Z}"
    return told if len(offsets) == 1 else f"{told} ({here.isoformat(timespec='minutes')[16:]})"


def span(seconds: float) -> str:
    """A length of time in its two largest units: "4 min 10 s"."""
    whole = max(0, round(seconds))
    units = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    parts = []
    for size, name in units:
        number, whole = divmod(whole, size)
        if number:
            parts.append(f"{number} {name}")
    return " ".join(parts[:2]) or "0 s"


QUIET_SECONDS = 2.0
"""Where nothing is drawn, nothing is said of what takes no longer."""

LINE_SECONDS = 60.0
"""How often a line says how far it is, where nothing is drawn."""

RATE_SECONDS = 30.0
"""The time to go is reckoned from so long a stretch: hashing is as steady as the machine."""


def octets(number: int) -> str:
    """An amount of data, as 1.2 MB."""
    amount, unit = float(number), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            break
        amount /= 1000
    return f"{number} B" if unit == "B" else f"{amount:.1f} {unit}"


@contextlib.contextmanager
def progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """
    Show how far a piece of work is: a bar on a terminal, else a line now and then.

    Yields:
        What is told that so much is done, of so much.
    """
    # On one that cannot go back ("dumb"), each state of a bar would stay, or leave an empty line.
    if not sys.stderr.isatty() or os.environ.get("TERM", "dumb") in {"dumb", "unknown"}:
        yield _lines(title)
        return
    from rich.console import Console  # noqa: PLC0415  # slow to import, and of no use in a pipe
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("to go"),
        console=Console(stderr=True),
        transient=True,
        speed_estimate_period=RATE_SECONDS,
    ) as bars:
        # A bar is there from the first step on, and no sooner.
        task = bars.add_task(title, visible=False)
        yield lambda done, whole: bars.update(task, completed=done, total=whole, visible=True)


def _lines(title: str) -> Callable[[int, int], None]:
    """What says how far it is where nothing can be drawn."""
    due = time.monotonic() + QUIET_SECONDS
    first: tuple[float, int] | None = None

    def tell(done: int, whole: int) -> None:
        nonlocal due, first
        now = time.monotonic()
        # What came before the first step was none of the work.
        begun, before = first = first or (now, done)
        if now >= due and before < done < whole:
            due = now + LINE_SECONDS
            left = (now - begun) / (done - before) * (whole - done)
            click.echo(f"{title}: {done:,} of {whole:,}, {span(left)} to go", err=True)

    return tell
