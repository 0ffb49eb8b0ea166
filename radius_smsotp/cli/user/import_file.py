"""
``smsotp user import`` and ``export``.

Every line is judged and every PIN hashed before anything is written.
"""

from __future__ import annotations

import contextlib
import csv
import difflib
import io
import os
import re
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from radius_smsotp.cli import output
from radius_smsotp.cli.site import Site, pass_site
from radius_smsotp.cli.user import account, bulk
from radius_smsotp.cli.user.bulk import Change
from radius_smsotp.errors import SmsotpError
from radius_smsotp.model.records import Account
from radius_smsotp.settings import whole_file
from radius_smsotp.settings.file import Loaded

NICENESS = 10
"""Of the threads that hash: FreeRADIUS checks PINs on the same processors, and comes first."""

MODE = 0o600
"""Of what is written: it holds numbers, and perhaps PINs."""


DOUBTED = 20
"""Lines that are named at most of those that are doubtful for one reason."""


@click.command("import", short_help="Add the accounts of a CSV file.")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@click.option("--update", is_flag=True, help="Change accounts that are there already.")
@click.option(
    "--keep-going",
    is_flag=True,
    help="Import the good lines; the others go to FILE.rejected.csv, each with its reason.",
)
@pass_site
def import_accounts(site: Site, file: Path, dry_run: bool, update: bool, keep_going: bool) -> None:
    """
    Add the accounts of a CSV file; none if a line is faulty.

    The first line names the columns, in any order: name, phone, and if wanted pin, provider,
    enabled (yes or no) and language.  UTF-8, separated by comma or semicolon.  An empty field
    leaves what is there.  Logins go on meanwhile.  An import that was interrupted is done by the
    same command with --update.

    \b
    Examples:
      smsotp user import staff.csv --dry-run
      smsotp user import staff.csv --update --keep-going
    """
    sheet = read(file)
    with site.store.read() as tx:
        there = {one.name: one for one, _ in tx.accounts()}
    plans, faults = _plan(sheet, site.loaded, there, update=update)
    _tell(faults)
    if faults and not keep_going:
        raise SmsotpError(f"{output.many(len(faults), 'faulty line')}; nothing was imported")
    changes = {
        line: plan
        for line, plan in plans.items()
        if plan.pin is not None or plan.after != plan.before
    }
    weak = _doubt(changes, site.loaded)
    if not dry_run:
        hashed = _hashed([*changes.values()], site)
        with output.progress("Importing") as advance:
            skipped = bulk.write(site.store, hashed, advance)
        late = [
            Fault(line, f"somebody else has changed '{change.after.name}' meanwhile")
            for line, change in changes.items()
            if change.after.name in skipped
        ]
        _tell(late)
        faults += late
        for fault in late:
            del changes[fault.line]
    added = sum(plan.before is None for plan in changes.values())
    click.echo(
        f"{'would be ' if dry_run else ''}added: {added}, changed: {len(changes) - added}, "
        f"left as they are: {len(plans) - len(changes)}{f', weak PINs: {weak}' if weak else ''}"
    )
    if faults:
        leftover = file.with_suffix(".rejected.csv")
        if not dry_run:
            whole_file.write(leftover, rejected(sheet, faults), MODE)
        where = "would be in" if dry_run else "mend and import"
        raise SmsotpError(f"{output.many(len(faults), 'faulty line')}; {where} {leftover}")


@click.command("export", short_help="Write all accounts to a CSV file.")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True, dir_okay=False))
@pass_site
def export_accounts(site: Site, file: Path) -> None:
    """
    Write all accounts to a CSV file that `import` reads, or to standard output (-).

    PINs are not written: the store has only their hashes.

    \b
    Examples:
      smsotp user export staff.csv
      smsotp user export - | cut -d, -f1
    """
    with site.store.read() as tx:
        text = exported(one for one, _ in tx.accounts())
    if str(file) == "-":
        sys.stdout.buffer.write(text.encode())
    else:
        whole_file.write(file, text, MODE)


def _tell(faults: Iterable[Fault]) -> None:
    for fault in faults:
        click.echo(f"line {fault.line.number}: {output.clean(fault.reason)}", err=True)


def _doubt(changes: Mapping[Line, Change], loaded: Loaded) -> int:
    """Name the lines of which `account.doubts` has something to say.  Returns the weak PINs."""
    lines: dict[str, list[int]] = {}
    for line, change in changes.items():
        phone = change.before is None or change.before.phone != change.after.phone
        for doubt in account.doubts(change.after, loaded, phone=phone, pin=change.pin):
            lines.setdefault(doubt, []).append(line.number)
    for doubt, found in sorted(lines.items()):
        named = ", ".join(map(str, found[:DOUBTED]))
        more = f" and {len(found) - DOUBTED} more" if len(found) > DOUBTED else ""
        where = "line" if len(found) == 1 else "lines"
        click.echo(f"{where} {named}{more}: {doubt}", err=True)
    return sum(len(found) for doubt, found in lines.items() if doubt.startswith(account.WEAK_PIN))


def _plan(
    sheet: Sheet, loaded: Loaded, there: Mapping[str, Account], *, update: bool
) -> tuple[dict[Line, Change], list[Fault]]:
    """What each line shall change, and every line that cannot be taken, in the file's order."""
    plans: dict[Line, Change] = {}
    faults: list[Fault] = []
    seen: dict[str, int] = {}
    with output.progress("Reading") as advance:
        for line in sheet.lines:
            advance(line.number, sheet.lines[-1].number)
            try:
                fields = _fields(line, sheet.columns, loaded)
                _refuse_repeated(fields["name"], line.number, seen)
                plans[line] = _change(fields, there, update=update)
            except ValueError as error:
                faults.append(Fault(line, str(error)))
    return plans, faults


def _refuse_repeated(name: str, line: int, seen: dict[str, int]) -> None:
    if name in seen:
        raise ValueError(f"the name stands in line {seen[name]} already")
    seen[name] = line


def _change(fields: dict[str, Any], there: Mapping[str, Account], *, update: bool) -> Change:
    """What a line's fields shall change.  Raises ValueError with a sentence."""
    name, pin = fields["name"], fields.pop("pin", None)
    before = there.get(name)
    if before is None:
        account.refuse_lookalike(name)
        if "phone" not in fields:
            raise ValueError("the phone number is missing")
    elif not update:
        raise ValueError(f"there is an account '{name}' already (see --update)")
    return Change(before, replace(before or Account(name, None), **fields), pin)


def _hashed(changes: Sequence[Change], site: Site) -> list[Change]:
    """The same changes with the PINs hashed, on all processors."""
    if all(change.pin is None for change in changes):
        return [*changes]
    iterations, keys = site.loaded.values.pin.iterations, site.keys

    def one(change: Change) -> Change:
        if change.pin is None:
            return change
        pin_hash = account.hashed(change.after.name, change.pin, iterations, keys)
        return Change(change.before, replace(change.after, pin_hash=pin_hash))

    # Threads do: hashlib lets go of Python's lock while it hashes.
    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)), initializer=_step_back)
    hashed: list[Change] = []
    try:
        with output.progress("Hashing PINs") as advance:
            for change in pool.map(one, changes):
                hashed.append(change)
                advance(len(hashed), len(changes))
    finally:
        pool.shutdown(cancel_futures=True)
    return hashed


def _step_back() -> None:
    """Let everybody else come first.  Linux has a niceness for each thread."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


REASON = "reason"
"""The column that a file of rejected lines has besides, and that is not read."""


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
    """A whole file: its lines, and what stands in each column of them."""

    header: tuple[str, ...]
    columns: tuple[str, ...]
    delimiter: str
    lines: tuple[Line, ...]


def read(path: Path) -> Sheet:
    """
    Read a file.

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
    return Sheet(header.cells, _columns(path, header), delimiter, tuple(lines))


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
    rows = (
        (one.name, one.phone, one.provider, "yes" if one.enabled else "no", one.language)
        for one in accounts
    )
    guarded = [[_guarded(cell) for cell in row] for row in rows]
    return _text([[name for name in account.FIELDS if name != "pin"], *guarded], ",")


FORMULA = re.compile(r"'*(?!\+\d+$)[=+\-@\t\r\n]")
"""
How a field begins that a spreadsheet takes for a formula, or one that was guarded against that
(OWASP, "CSV Injection"); a phone number is none.
"""


def _guarded(value: str | None) -> str | None:
    """A field that is text to a spreadsheet, and to `import` what it was."""
    return f"'{value}" if value and FORMULA.match(value) else value


def _unguarded(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


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
        if title not in (*account.FIELDS, REASON):
            near = difflib.get_close_matches(title, account.FIELDS, 1)
            meant = (
                f"did you mean '{near[0]}'?" if near else f"known are {', '.join(account.FIELDS)}"
            )
            faults.append(f"the title of column {position} is unknown; {meant}")
        elif title in columns[: position - 1]:
            faults.append(f"column {position} has the title of one before it")
    if "name" not in columns:
        faults.append("the column 'name' is missing; the first line names the columns")
    if faults:
        raise SmsotpError("\n".join(f"{path}, line {header.number}: {fault}" for fault in faults))
    return columns


def _fields(line: Line, columns: Sequence[str], loaded: Loaded) -> dict[str, Any]:
    """What a line says of an account, its name at least.  Raises ValueError with a sentence."""
    if len(line.cells) != len(columns):
        raise ValueError(f"has {len(line.cells)} fields, the header has {len(columns)}")
    cells = dict(zip(columns, line.cells, strict=True))
    # A PIN is taken as it is: a blank may be part of it.
    told = {
        name: cell if name == "pin" else _unguarded(cell.strip()) for name, cell in cells.items()
    }
    return {
        name: read(told[name], loaded)
        for name, read in account.FIELDS.items()
        if name == "name" or told.get(name)
    }


def _text(rows: Iterable[Sequence[str | None]], delimiter: str) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _plain(title: str) -> str:
    return title.strip().lower()
