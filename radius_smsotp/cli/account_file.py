"""
Accounts as a CSV file: a header with the names of the columns in any order, a line each.

UTF-8 with or without byte order mark, separated by ``,`` or ``;`` (what spreadsheets write where
the comma is the decimal sign).
"""

from __future__ import annotations

import csv
import difflib
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from radius_smsotp.cli import account, output
from radius_smsotp.errors import SmsotpError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from radius_smsotp.cli.output import Progress
    from radius_smsotp.core.model import Account
    from radius_smsotp.settings_file import Loaded

COLUMNS = ("name", "phone", "pin", "provider", "enabled", "language")
REASON = "reason"
"""The column that a file of rejected lines has besides, and that is not read."""

SWITCHES = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it stands in the file."""

    number: int
    cells: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a line says of an account; None where its field is empty or there is no such column."""

    line: Line
    name: str
    phone: str | None = field(repr=False)
    pin: str | None = field(repr=False)
    provider: str | None
    enabled: bool | None
    language: str | None


@dataclass(frozen=True, slots=True)
class Fault:
    """A line that cannot be taken.  `reason` holds neither PIN nor number."""

    line: Line
    reason: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """A whole file."""

    header: tuple[str, ...]
    delimiter: str
    entries: tuple[Entry, ...]
    faults: tuple[Fault, ...]


def read(path: Path, loaded: Loaded, progress: Progress) -> Sheet:
    """
    Read a file, every line of it.

    Raises:
        SmsotpError: It is no such file at all: not UTF-8, or without a header.
        OSError: It cannot be read.
    """
    octets = path.read_bytes()
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = octets.count(b"\n", 0, error.start) + 1
        raise SmsotpError(f"{path}, line {number}: is not UTF-8; save the file as UTF-8") from None
    delimiter = ";" if ";" in text.partition("\n")[0] else ","
    lines = _lines(path, text, delimiter)
    header = next(lines, Line(1, ()))
    columns = _columns(path, header)
    entries: list[Entry] = []
    faults: list[Fault] = []
    seen: dict[str, int] = {}
    advance = progress.stage("Reading", octets.count(b"\n"))
    for line in lines:
        advance(1)
        try:
            entry = _entry(line, columns, loaded)
        except ValueError as error:
            faults.append(Fault(line, str(error)))
            continue
        if entry.name in seen:
            faults.append(Fault(line, f"the name stands in line {seen[entry.name]} already"))
            continue
        seen[entry.name] = line.number
        entries.append(entry)
    return Sheet(header.cells, delimiter, tuple(entries), tuple(faults))


def rejected(sheet: Sheet, faults: Iterable[Fault]) -> str:
    """Lines as they were, each with its reason: a file that can be mended and read again."""
    kept = [at for at, title in enumerate(sheet.header) if _plain(title) != REASON]
    rows = [[*(sheet.header[at] for at in kept), REASON]]
    for fault in faults:
        cells, width = fault.line.cells, len(sheet.header)
        padded = cells + ("",) * (width - len(cells))
        rows.append([*(padded[at] for at in kept), fault.reason, *cells[width:]])
    return _text(rows, sheet.delimiter)


def exported(accounts: Iterable[Account]) -> str:
    """Accounts without their PINs."""
    rows = [
        (
            one.name,
            one.phone or "",
            one.provider or "",
            "yes" if one.enabled else "no",
            one.language or "",
        )
        for one in accounts
    ]
    return _text([[name for name in COLUMNS if name != "pin"], *rows], ",")


def write(path: Path, text: str) -> None:
    """Write a file that nobody else may read: it holds numbers, and perhaps PINs."""
    output.write(path, text, 0o600)


def _lines(path: Path, text: str, delimiter: str) -> Iterator[Line]:
    """The lines that hold anything, the header first."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    start = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield Line(start, tuple(cells))
            # A quoted field may hold line breaks: the number is that of the first line.
            start = reader.line_num + 1
    except csv.Error as error:
        raise SmsotpError(f"{path}, line {start}: {error}") from None


def _columns(path: Path, header: Line) -> tuple[str, ...]:
    """What each column is, with every unknown one named."""
    if len(header.cells) == 1 and "\t" in header.cells[0]:
        fault = "the columns are separated by tabs; separate them by commas or semicolons"
        raise SmsotpError(f"{path}, line {header.number}: {fault}")
    columns = tuple(_plain(title) for title in header.cells)
    faults = []
    for position, title in enumerate(columns, 1):
        # The title is not repeated: in a file without header it is somebody's number.
        if title not in (*COLUMNS, REASON):
            near = difflib.get_close_matches(title, COLUMNS, 1)
            meant = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(COLUMNS)}"
            faults.append(f"the title of column {position} is unknown; {meant}")
        elif title in columns[: position - 1]:
            faults.append(f"column {position} has the title of one before it")
    if "name" not in columns:
        faults.append("the column 'name' is missing; the first line names the columns")
    if faults:
        raise SmsotpError("\n".join(f"{path}, line {header.number}: {fault}" for fault in faults))
    return columns


def _entry(line: Line, columns: Sequence[str], loaded: Loaded) -> Entry:
    """Read one line.  Raises ValueError with a sentence."""
    if len(line.cells) != len(columns):
        raise ValueError(f"has {len(line.cells)} fields, the header has {len(columns)}")
    cells = dict(zip(columns, line.cells, strict=True))
    # A PIN is taken as it is: a blank may be part of it.
    pin = cells.pop("pin", "")
    told = {column: cell.strip() for column, cell in cells.items()}
    number, provider, enabled, language = (
        told.get(key, "") for key in ("phone", "provider", "enabled", "language")
    )
    return Entry(
        line,
        account.read_name(told["name"]),
        account.read_phone(number, loaded.values.country) if number else None,
        account.read_pin(pin) if pin else None,
        account.read_provider(provider, loaded.providers) if provider else None,
        _switch(enabled) if enabled else None,
        account.read_language(language, loaded.languages) if language else None,
    )


def _switch(text: str) -> bool:
    if text.lower() not in SWITCHES:
        raise ValueError(f"'enabled' is not one of {', '.join(SWITCHES)}")
    return SWITCHES[text.lower()]


def _text(rows: Iterable[Sequence[str]], delimiter: str) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _plain(title: str) -> str:
    return title.strip().lower()
