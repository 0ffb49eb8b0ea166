"""
``smsotp user import`` and ``export``.

Every line is judged and every PIN hashed before anything is written.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from radius_smsotp.cli import output
from radius_smsotp.cli.site import Site, pass_site
from radius_smsotp.cli.user import account, bulk, sheet
from radius_smsotp.cli.user.bulk import Change
from radius_smsotp.cli.user.sheet import Fault, Line, Sheet
from radius_smsotp.errors import SmsotpError
from radius_smsotp.model.records import Account
from radius_smsotp.settings import whole_file
from radius_smsotp.settings.file import Loaded

NICENESS = 10
"""Of the threads that hash: FreeRADIUS checks PINs on the same processors, and comes first."""

MODE = 0o600
"""Of what is written: it holds numbers, and perhaps PINs."""


NAMED = 20
"""Lines that are named at most of those that have one reason."""


def _titles(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """Title to field."""
    found: dict[str, str] = {}
    for one in given:
        name, equals, title = one.partition("=")
        if name not in account.FIELDS or not equals or not title.strip():
            known = ", ".join(account.FIELDS)
            raise click.BadParameter(
                f"write FIELD=TITLE, as phone=Mobile; a field is one of {known}"
            )
        if title in found or name in found.values():
            raise click.BadParameter(f"'{one}' says it a second time")
        found[title] = name
    return found


def _encoding(ctx: click.Context, param: click.Parameter, name: str | None) -> str | None:
    try:
        return None if name is None else codecs.lookup(name).name
    except LookupError:
        raise click.BadParameter(f"there is no encoding '{name}'") from None


@click.command("import", short_help="Add the accounts of a CSV file.")
@click.argument(
    "file", type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True)
)
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@click.option("--update", is_flag=True, help="Change accounts that are there already.")
@click.option(
    "--keep-going",
    is_flag=True,
    help="Import the good lines; the others go to FILE.rejected.csv, each with its reason.",
)
@click.option(
    "--column",
    "titles",
    metavar="FIELD=TITLE",
    multiple=True,
    callback=_titles,
    help="The title of a column that is not called like its field.",
)
@click.option(
    "--encoding",
    metavar="NAME",
    callback=_encoding,
    help="Of the file.  [default: UTF-8, UTF-16 where it shows, else Windows-1252]",
)
@pass_site
def import_accounts(
    site: Site,
    file: Path,
    dry_run: bool,
    update: bool,
    keep_going: bool,
    titles: Mapping[str, str],
    encoding: str | None,
) -> None:
    """
    Add the accounts of a CSV file; none if a line is faulty.

    The first line names the columns, in any order: name, phone, and if wanted pin, provider,
    enabled (yes or no) and language; others are not read.  A spreadsheet's file is taken as it is,
    separated by comma, semicolon or tab.  An empty field leaves what is there.  Logins go on
    meanwhile.  An import that was interrupted is done by the same command with --update.  - reads
    standard input.

    \b
    Examples:
      smsotp user import staff.csv --dry-run
      smsotp user import staff.csv --update --keep-going
      smsotp user import staff.csv --column name=Login --column phone=Mobile
    """
    with click.open_file(str(file), "rb") as opened:
        found = sheet.read(str(file), opened.read(), titles, encoding)
    for told in found.notes:
        click.echo(output.clean(told), err=True)
    with site.store.read() as tx:
        there = {one.name: one for one, _ in tx.accounts()}
    plans, faults = _plan(found, site.loaded, there, update=update)
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
        leftover = Path("stdin") if str(file) == "-" else file
        leftover = leftover.with_suffix(".rejected.csv")
        if not dry_run:
            whole_file.write(leftover, sheet.rejected(found, faults), MODE)
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
        # Names of a directory are no accounts, whatever was set for them.
        text = sheet.exported(one for one, _ in tx.accounts() if not one.is_bare)
    if str(file) == "-":
        sys.stdout.buffer.write(text.encode())
    else:
        whole_file.write(file, text, MODE)


def _tell(faults: Iterable[Fault]) -> None:
    """Each reason once, with its lines."""
    lines: dict[str, list[int]] = {}
    for fault in faults:
        lines.setdefault(fault.reason, []).append(fault.line.number)
    for reason, found in lines.items():
        click.echo(f"{_named(found)}: {output.clean(reason)}", err=True)


def _named(found: Sequence[int]) -> str:
    """Numbers of lines, as far as there are not too many."""
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f"{'line' if len(found) == 1 else 'lines'} {', '.join(map(str, found[:NAMED]))}{more}"


def _doubt(changes: Mapping[Line, Change], loaded: Loaded) -> int:
    """Name the lines of which `account.doubts` has something to say.  Returns the weak PINs."""
    lines: dict[str, list[int]] = {}
    for line, change in changes.items():
        phone = change.before is None or change.before.phone != change.after.phone
        for doubt in account.doubts(change.after, loaded, phone=phone, pin=change.pin):
            lines.setdefault(doubt, []).append(line.number)
    for doubt, found in sorted(lines.items()):
        click.echo(f"{_named(found)}: {doubt}", err=True)
    return sum(len(found) for doubt, found in lines.items() if doubt.startswith(account.WEAK_PIN))


def _plan(
    found: Sheet, loaded: Loaded, there: Mapping[str, Account], *, update: bool
) -> tuple[dict[Line, Change], list[Fault]]:
    """What each line shall change, and every line that cannot be taken, in the file's order."""
    plans: dict[Line, Change] = {}
    faults: list[Fault] = []
    seen: dict[str, int] = {}
    with output.progress("Reading") as advance:
        for line in found.lines:
            advance(line.number, found.lines[-1].number)
            try:
                fields = _fields(line, found.columns, loaded)
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


def _fields(line: Line, columns: Sequence[str], loaded: Loaded) -> dict[str, Any]:
    """What a line says of an account, its name at least.  Raises ValueError with a sentence."""
    told = sheet.cells(line, columns)
    found = {}
    for name, read in account.FIELDS.items():
        if name != "name" and not told.get(name):
            continue
        try:
            found[name] = read(told[name], loaded)
        except ValueError as error:
            if name == "pin" and told[name].isdecimal():
                more = "if a spreadsheet took its leading zeros, give the column the format Text"
                raise ValueError(f"{error}; {more}") from None
            raise
    return found
