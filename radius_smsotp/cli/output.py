"""What commands print: tables, columns for pipes, JSON for programs; how far a long one is."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import click


def clean(value: object) -> str:
    """
    One line that no terminal takes for a command.

    User names and stations come from whoever sends a request, replies from gateways.
    """
    line = " ".join(str(value).splitlines())
    return "".join(char if char.isprintable() else "?" for char in line)


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    empty: str,
    numbers: Collection[int] = (),
    whole: Collection[int] = (),
) -> None:
    """
    Print rows under their headings; columns that line up where it goes into a pipe.

    On a terminal that is too narrow for that each value gets a line of its own.

    Args:
        empty: The sentence instead, if there are no rows.
        numbers: Which columns hold numbers, and are set flush right.
        whole: Which other columns hold what is copied, and is never broken.
    """
    cells = [[clean(_shown(value)) for value in row] for row in rows]
    if not cells:
        click.echo(empty, err=not sys.stdout.isatty())
    elif sys.stdout.isatty():
        _for_a_terminal(columns, cells, numbers, whole)
    else:
        widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
        for line in (columns, *cells):
            padded = (
                cell.rjust(width) if at in numbers else cell.ljust(width)
                for at, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            click.echo("  ".join(padded).rstrip())


EDGES, BETWEEN = 2, 3
"""Columns of a terminal that a table takes outside its cells: at both ends, between two of them."""


def _for_a_terminal(
    columns: Sequence[str],
    cells: Sequence[Sequence[str]],
    numbers: Collection[int],
    whole: Collection[int],
) -> None:
    from rich import box  # noqa: PLC0415  # slow to import, and of no use in a pipe
    from rich.cells import cell_len  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    grid = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for at, column in enumerate(grid.columns):
        # A value that is cut off could be neither read nor copied.
        column.overflow = "fold"
        column.no_wrap = at in numbers or at in whole
        if at in numbers:
            column.justify = "right"
        # A heading is broken between its words, if at all.
        parts = columns[at].split()
        if column.no_wrap:
            parts = [columns[at], *(row[at] for row in cells)]
        column.min_width = max(map(cell_len, parts), default=1)
    for row in cells:
        grid.add_row(*map(Text, row))
    console = Console(highlight=False)
    least = sum(column.min_width or 0 for column in grid.columns)
    if least + EDGES + BETWEEN * (len(columns) - 1) <= console.width:
        console.print(grid)
    else:
        _one_below_the_other(columns, cells)


def _one_below_the_other(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """Rows that are too long for the terminal: a line for each value, a blank one between rows."""
    width = max(map(len, columns))
    for at, row in enumerate(cells):
        if at:
            click.echo()
        for title, cell in zip(columns, row, strict=True):
            if cell:
                click.echo(f"{title:<{width}}  {cell}" if title else cell)


def styled(text: str, colour: str) -> str:
    """Text in colour where that is wanted: not in a pipe, and not if NO_COLOR is set."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return click.style(text, fg=colour)


def wrapped(text: str, indent: str) -> str:
    """Text in lines as long as the terminal, all of them indented; no word is cut."""
    return textwrap.fill(
        text,
        shutil.get_terminal_size().columns,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")
"""Of every command that can `as_json` what it prints."""


def listing(
    records: Sequence[Mapping[str, Any]],
    columns: Mapping[str, Any],
    *,
    for_programs: bool,
    empty: str = "",
    whole: Collection[int] = (),
) -> None:
    """
    Print records as JSON, or as a `table`.

    Args:
        columns: Heading to the key of what stands below it, or to what makes it of a record.
    """
    if for_programs:
        as_json(records)
        return
    rows = [
        [record[of] if isinstance(of, str) else of(record) for of in columns.values()]
        for record in records
    ]
    table([*columns], rows, empty=empty, whole=whole)


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


def local(moment: datetime) -> str:
    """A time for people, in the zone of this machine: "2026-11-23 11:02:11"."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


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
    if not sys.stderr.isatty():
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
