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
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import click

from radius_smsotp.cli import output
from radius_smsotp.cli.site import Site
from radius_smsotp.cli.user import account, bulk
from radius_smsotp.cli.user.bulk import Change
from radius_smsotp.errors import SmsotpError
from radius_smsotp.model.records import Account
from radius_smsotp.settings import whole_file
from radius_smsotp.settings.file import Loaded

NICENESS = 10
"""Of the threads that hash: FreeRADIUS checks PINs on the same processors, and comes first."""


@click.command("import", short_help="Add the accounts of a CSV file.")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@click.option("--update", is_flag=True, help="Change accounts that are there already.")
@click.option(
    "--keep-going",
    is_flag=True,
    help="Import the good lines; the others go to FILE.rejected.csv, each with its reason.",
)
@click.pass_obj
def import_accounts(
    config: Path, file: Path, dry_run: bool, update: bool, keep_going: bool
) -> None:
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
    with Site(config) as site:
        sheet = read(file, site.loaded)
        with site.store.read() as tx:
            there = {one.name: one for one, _ in tx.accounts()}
        plans, faults = _plan(sheet, there, update=update)
        _tell(faults)
        if faults and not keep_going:
            raise SmsotpError(f"{_many(len(faults), 'faulty line')}; nothing was imported")
        changes = [plan for plan in plans if plan.pin is not None or plan.after != plan.before]
        if not dry_run:
            changes = _hashed(changes, site.loaded.values.pin.iterations)
            with output.progress("Importing") as advance:
                skipped = bulk.write(site.store, changes, advance)
            changes = [change for change in changes if change.after.name not in skipped]
            late = [
                Fault(entry.line, f"somebody else has changed '{entry.name}' meanwhile")
                for entry in sheet.entries
                if entry.name in skipped
            ]
            _tell(late)
            faults += late
    added = sum(plan.before is None for plan in changes)
    click.echo(
        f"{'would be ' if dry_run else ''}added: {added}, changed: {len(changes) - added}, "
        f"left as they are: {len(plans) - len(changes)}"
    )
    if faults:
        leftover = file.with_suffix(".rejected.csv")
        if not dry_run:
            write(leftover, rejected(sheet, faults))
        where = "would be in" if dry_run else "mend and import"
        raise SmsotpError(f"{_many(len(faults), 'faulty line')}; {where} {leftover}")


@click.command("export", short_help="Write all accounts to a CSV file.")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True, dir_okay=False))
@click.pass_obj
def export_accounts(config: Path, file: Path) -> None:
    """
    Write all accounts to a CSV file that `import` reads, or to standard output (-).

    PINs are not written: the store has only their hashes.

    \b
    Examples:
      smsotp user export staff.csv
      smsotp user export - | cut -d, -f1
    """
    with Site(config) as site, site.store.read() as tx:
        text = exported(one for one, _ in tx.accounts())
    if str(file) == "-":
        sys.stdout.buffer.write(text.encode())
    else:
        write(file, text)


def _tell(faults: Iterable[Fault]) -> None:
    for fault in faults:
        click.echo(f"line {fault.line.number}: {output.clean(fault.reason)}", err=True)


def _plan(
    sheet: Sheet, there: Mapping[str, Account], *, update: bool
) -> tuple[list[Change], list[Fault]]:
    """What each line shall change, and every line that cannot be taken, in the file's order."""
    plans: list[Change] = []
    faults = list(sheet.faults)
    for entry in sheet.entries:
        before = there.get(entry.name)
        if before is not None and not update:
            reason = f"there is an account '{entry.name}' already (see --update)"
            faults.append(Fault(entry.line, reason))
        elif before is None and (fault := _fault_of_new(entry)):
            faults.append(Fault(entry.line, fault))
        else:
            start = before or Account(entry.name, None)
            after = Account(
                entry.name,
                entry.phone or start.phone,
                start.pin_hash,
                entry.provider or start.provider,
                start.enabled if entry.enabled is None else entry.enabled,
                entry.language or start.language,
            )
            plans.append(Change(before, after, entry.pin))
    return plans, sorted(faults, key=lambda fault: fault.line.number)


def _fault_of_new(entry: Entry) -> str | None:
    """Why there can be no such account, if there is none yet."""
    try:
        account.refuse_lookalike(entry.name)
    except ValueError as error:
        return str(error)
    return "the phone number is missing" if entry.phone is None else None


def _hashed(changes: Sequence[Change], iterations: int) -> list[Change]:
    """The same changes with the PINs hashed, on all processors."""

    def one(change: Change) -> Change:
        if change.pin is None:
            return change
        after = replace(change.after, pin_hash=account.hashed(change.pin, iterations))
        return Change(change.before, after)

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


def _many(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


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


def read(path: Path, loaded: Loaded) -> Sheet:
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
    whole = octets.count(b"\n") + 1
    with output.progress("Reading") as advance:
        for line in lines:
            advance(line.number, whole)
            try:
                entry = _entry(line, columns, loaded)
            except ValueError as error:
                faults.append(Fault(line, str(error)))
                continue
            if entry.name in seen:
                fault = f"the name stands in line {seen[entry.name]} already"
                faults.append(Fault(line, fault))
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
    whole_file.write(path, text, 0o600)


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
