"""CSV files of accounts, as spreadsheets write them and read them."""

from __future__ import annotations

import codecs
import csv
import difflib
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from radius_smsotp.cli.user import account
from radius_smsotp.errors import SmsotpError
from radius_smsotp.model.records import Account

REASON = "reason"
"""The column that a file of rejected lines has besides, and that is not read."""

MARK = "\ufeff"
"""Before a text that Excel shall read as UTF-8, and behind which it writes such."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it stands in the file."""

    number: int
    cells: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Fault:
    """A line that cannot be taken.  `reason` holds neither PIN nor number."""

    line: Line
    reason: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """
    A whole file.

    Attributes:
        header: The titles as they stand there.
        columns: What each column is, a name of `account.FIELDS`; "" is not read.
        notes: What is to be said of how it was read.
    """

    header: tuple[str, ...]
    columns: tuple[str, ...]
    delimiter: str
    lines: tuple[Line, ...]
    mark: str
    notes: tuple[str, ...]


def read(
    name: str, octets: bytes, titles: Mapping[str, str] | None = None, encoding: str | None = None
) -> Sheet:
    """
    Read a file.

    Args:
        name: For errors.
        titles: Title to the field that it stands for, beside those of `account.FIELDS` themselves.
        encoding: Otherwise UTF-8, UTF-16 where it shows, or else Windows-1252.

    Raises:
        SmsotpError: It is no such file at all: of another encoding, or without a header.
    """
    text, notes = _decoded(name, octets, encoding)
    mark = MARK if text.startswith(MARK) else ""
    text = text.removeprefix(MARK)
    start = 1
    # Excel's own way to say it, in the first line.
    if told := re.match(r'"?sep=(.)"?[ \t,;]*\r?\n', text, re.IGNORECASE):
        delimiter, text, start = told[1], text[told.end() :], 2
    else:
        first = text.lstrip("\r\n").partition("\n")[0]
        delimiter = max(",;\t", key=first.count)
    lines = _lines(name, text, delimiter, start)
    header = next(lines, Line(start, ()))
    width = len(_without_empty(header.cells, 0))
    header = Line(header.number, header.cells[:width])
    columns, more = _columns(name, header, titles or {})
    whole = tuple(Line(one.number, _without_empty(one.cells, width)) for one in lines)
    return Sheet(header.cells, columns, delimiter, whole, mark, (*notes, *more))


def rejected(sheet: Sheet, faults: Iterable[Fault]) -> str:
    """Lines as they were, each with its reason: a file that can be mended and read again."""
    kept = [at for at, title in enumerate(sheet.header) if _plain(title) != REASON]
    rows = [[*(sheet.header[at] for at in kept), REASON]]
    for fault in faults:
        cells, width = fault.line.cells, len(sheet.header)
        padded = cells + ("",) * (width - len(cells))
        rows.append([*(padded[at] for at in kept), fault.reason, *cells[width:]])
    return sheet.mark + _text(rows, sheet.delimiter)


def exported(accounts: Iterable[Account]) -> str:
    """Accounts without their PINs; their other ways, if anybody has some."""
    rows = [
        [
            *(one.name, one.phone, one.provider, "yes" if one.enabled else "no", one.language),
            "; ".join(one.ways),
        ]
        for one in accounts
    ]
    columns = [name for name in account.FIELDS if name != "pin"]
    if not any(row[-1] for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    guarded = [[_guarded(cell) for cell in row] for row in rows]
    return _text([columns, *guarded], ",")


FORMULA = re.compile(r"'*(?!\+\d+$)[=+\-@\t\r\n]")
"""
How a field begins that a spreadsheet takes for a formula, or one that was guarded against that
(OWASP, "CSV Injection"); a phone number is none.
"""

ROUNDED = re.compile(r"[0-9](?:[.,][0-9]+)?E\+?[0-9]+", re.IGNORECASE)
"""How a spreadsheet writes a long number: the rest of its digits is gone."""


def cells(line: Line, columns: Sequence[str]) -> dict[str, str]:
    """
    What a line says, by the fields that it has.

    Raises:
        ValueError: With a sentence, which holds nothing of it.
    """
    if len(line.cells) != len(columns):
        raise ValueError(f"has {len(line.cells)} fields, the header has {len(columns)}")
    found = {}
    for name, cell in zip(columns, line.cells, strict=True):
        # A PIN is taken as it is: a blank may be part of it.
        found[name] = cell if name == "pin" else _unguarded(cell.strip())
        if name and ROUNDED.fullmatch(found[name].strip()):
            fault = f"a spreadsheet has rounded the {name} (…E+…)"
            raise ValueError(f"{fault}; give its column the format Text, and write it again")
    return found


def _decoded(name: str, octets: bytes, encoding: str | None) -> tuple[str, list[str]]:
    """The text, with the mark before it if there is one, and what is to be said of it."""
    guessed = encoding or "utf-8"
    if encoding is None and octets[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        # Keeps the mark.
        guessed = "utf-16-le" if octets[:2] == codecs.BOM_UTF16_LE else "utf-16-be"
    elif encoding is None and 0 in octets[:2]:
        guessed = "utf-16-be" if octets[0] == 0 else "utf-16-le"
    try:
        return octets.decode(guessed), []
    except UnicodeDecodeError as error:
        number = octets.count(b"\n", 0, error.start) + 1
        try:
            if guessed != "utf-8" or encoding is not None:
                raise
            text = octets.decode("cp1252")
        except UnicodeDecodeError:
            fault = f"{name}, line {number}: is not {guessed.upper()}"
            raise SmsotpError(f"{fault}; save it as UTF-8, or give its --encoding") from None
        told = "is not UTF-8, and read as Windows-1252; if that spoils names, give its --encoding"
        return text, [f"line {number}: {told}"]


def _guarded(value: str | None) -> str | None:
    """A field that is text to a spreadsheet, and to `import` what it was."""
    return f"'{value}" if value and FORMULA.match(value) else value


def _unguarded(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def _lines(name: str, text: str, delimiter: str, start: int) -> Iterator[Line]:
    """The lines that hold anything, the header first."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    before = start - 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield Line(start, tuple(cells))
            # A quoted field may hold line breaks: the number is that of the first line.
            start = before + reader.line_num + 1
    except csv.Error as error:
        raise SmsotpError(f"{name}, line {start}: {error}") from None


def _without_empty(cells: tuple[str, ...], width: int) -> tuple[str, ...]:
    """Cells without the empty ones at the end, of which spreadsheets write as many as they like."""
    while len(cells) > width and not cells[-1].strip():
        cells = cells[:-1]
    return cells


def _columns(
    name: str, header: Line, titles: Mapping[str, str]
) -> tuple[tuple[str, ...], list[str]]:
    """What each column is, and those that are not read; every fault of them is named."""
    meant = {_plain(title): field for title, field in titles.items()}
    found = [_plain(title) for title in header.cells]
    where = f"{name}, line {header.number}"
    faults = [
        f"there is no column '{title}' for {field}"
        for title, field in titles.items()
        if _plain(title) not in found
    ]
    fields = [
        meant.get(title, title if title in account.FIELDS and title not in meant.values() else "")
        for title in found
    ]
    # In a file without a header a title is somebody's number: it is not repeated.
    is_header = "name" in fields
    notes = []
    for position, (title, known) in enumerate(zip(found, fields, strict=True), 1):
        if known and known in fields[: position - 1]:
            faults.append(f"column {position} has the title of one before it")
        if known or title in {REASON, ""}:
            continue
        near = difflib.get_close_matches(title, account.FIELDS, 1)
        if near and near[0] not in fields and title not in account.FIELDS:
            told = f"the title of column {position} is unknown; did you mean '{near[0]}'?"
            faults.append(f"{told}  Else leave it out, or give --column {near[0]}=TITLE")
        elif is_header:
            notes.append(f"column {position} ('{title}') is not read")
    if not is_header:
        told = f"the first line names the columns: {', '.join(account.FIELDS)}"
        told += "; or give --column name=TITLE"
        faults.append(f"the column 'name' is missing; {told}")
    if faults:
        raise SmsotpError("\n".join(f"{where}: {fault}" for fault in faults))
    return tuple(fields), [f"line {header.number}: {note}" for note in notes]


def _text(rows: Iterable[Sequence[str | None]], delimiter: str) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _plain(title: str) -> str:
    return title.strip().lower()
