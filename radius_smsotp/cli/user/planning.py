"""
What a file of accounts shall change, for ``smsotp user import`` and ``sync``.

Every line is judged and every PIN compared and hashed before anything is written.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from radius_smsotp.cli import output
from radius_smsotp.cli.results import Results
from radius_smsotp.cli.site import Site
from radius_smsotp.cli.user import account, sheet
from radius_smsotp.cli.user.bulk import Change
from radius_smsotp.cli.user.sheet import Fault, Line, Sheet
from radius_smsotp.model.records import Account
from radius_smsotp.settings.file import Loaded

NICENESS = 10
"""Of the threads that hash: FreeRADIUS checks PINs on the same processors, and comes first."""

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


def file_options(command: Callable[..., None]) -> Callable[..., None]:
    """A CSV file on the command line, and how it is to be read."""
    for option in (
        click.option("--dry-run", is_flag=True, help="Only say what each line would do."),
        click.option(
            "--encoding",
            metavar="NAME",
            callback=_encoding,
            help="Of the file.  [default: UTF-8, UTF-16 where it shows, else Windows-1252]",
        ),
        click.option(
            "--column",
            "titles",
            metavar="FIELD=TITLE",
            multiple=True,
            callback=_titles,
            help="The title of a column that is not called like its field.",
        ),
        click.argument(
            "file", type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True)
        ),
    ):
        command = option(command)
    return command


@dataclass
class Plan:
    """
    What a file shall change.

    Attributes:
        there: Accounts as they are, by name.
        lines: What each line shall change, in the file's order.
        faults: Lines that cannot be taken, and why.
    """

    sheet: Sheet
    there: Mapping[str, Account]
    lines: dict[Line, Change]
    faults: list[Fault]

    @property
    def changes(self) -> dict[Line, Change]:
        """Those of the lines after which something is not as before."""
        return {line: one for line, one in self.lines.items() if one.after != one.before}


def read(
    site: Site,
    told: Results,
    file: Path,
    titles: Mapping[str, str],
    encoding: str | None,
    decide: Callable[[Account | None, dict[str, Any]], dict[str, Any]],
) -> Plan:
    """
    Read a file, and say what is to be said of it.  PINs are not hashed yet: see `hash_pins`.

    Args:
        file: Its path; - is standard input.
        decide: Account, None for one that is new, and what a line says of it, to what becomes of
            it.  Raises ValueError with a sentence.

    Raises:
        SmsotpError: It is no such file at all.
    """
    with click.open_file(str(file), "rb") as opened:
        found = sheet.read(str(file), opened.read(), titles, encoding)
    for note in found.notes:
        told.note(output.clean(note), err=True)
    with site.store.read() as tx:
        there = {one.name: one for one, _ in tx.accounts()}
    plan = Plan(found, there, {}, [])
    seen: dict[str, int] = {}
    with output.progress("Reading") as advance:
        for line in found.lines:
            advance(line.number, found.lines[-1].number)
            try:
                fields = _fields(line, found.columns, site.loaded)
                _refuse_repeated(fields["name"], line.number, seen)
                plan.lines[line] = _change(fields, there, decide)
            except ValueError as error:
                plan.faults.append(Fault(line, str(error)))
    tell(told, plan.faults)
    return plan


def tell(told: Results, faults: Iterable[Fault]) -> None:
    """Each reason once, with its lines."""
    lines: dict[str, list[int]] = {}
    for fault in faults:
        number = fault.line.number
        lines.setdefault(fault.reason, []).append(number)
        told.record(f"line {number}", "failed", error=fault.reason, line=number)
    if not told.for_programs:
        for reason, found in lines.items():
            click.echo(f"{_named(found)}: {output.clean(reason)}", err=True)


def tell_changes(told: Results, changes: Mapping[Line, Change], *, dry_run: bool) -> None:
    """What each line does; for people only of a dry run."""
    for line, one in changes.items():
        name, fields = one.after.name, one.fields
        result = "added" if one.is_new else "changed"
        told.record(name, result, fields=fields, line=line.number)
        if dry_run and not told.for_programs:
            shown = "" if one.is_new else f" ({', '.join(fields)})"
            click.echo(f"line {line.number}: {name} would be {result}{shown}")


def late(name: str) -> str:
    """Why a change was not written that was planned."""
    return f"somebody else has changed '{name}' meanwhile"


def _named(found: Sequence[int]) -> str:
    """Numbers of lines, as far as there are not too many."""
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f"{'line' if len(found) == 1 else 'lines'} {', '.join(map(str, found[:NAMED]))}{more}"


def doubt(told: Results, changes: Mapping[Line, Change], loaded: Loaded) -> int:
    """Name the lines of which `account.doubts` has something to say.  Returns the weak PINs."""
    lines: dict[str, list[int]] = {}
    for line, change in changes.items():
        phone = "phone" in change.fields
        for doubt in account.doubts(change.after, loaded, phone=phone, pin=change.pin):
            lines.setdefault(doubt, []).append(line.number)
    for doubt, found in sorted(lines.items()):
        told.note(f"{_named(found)}: {doubt}", err=True)
    return sum(len(found) for doubt, found in lines.items() if doubt.startswith(account.WEAK_PIN))


def _refuse_repeated(name: str, line: int, seen: dict[str, int]) -> None:
    if name in seen:
        raise ValueError(f"the name stands in line {seen[name]} already")
    seen[name] = line


def _change(
    fields: dict[str, Any],
    there: Mapping[str, Account],
    decide: Callable[[Account | None, dict[str, Any]], dict[str, Any]],
) -> Change:
    """What a line's fields shall change.  Raises ValueError with a sentence."""
    name, pin = fields["name"], fields.pop("pin", None)
    before = there.get(name)
    if "enabled" in fields:
        fields["gone"] = False
    if before is None or before.is_bare:
        account.refuse_lookalike(name)
        if "phone" not in fields:
            raise ValueError("the phone number is missing")
        fields = decide(None, fields)
    else:
        fields = decide(before, fields)
    return Change(before, replace(before or Account(name, None), **fields), pin)


def hash_pins(site: Site, plan: Plan, *, dry_run: bool) -> None:
    """
    Hash the PINs of a plan that are not the accounts' already, on all processors.

    Args:
        dry_run: Hash nothing; what would be hashed has an empty hash.
    """
    due = {line: one for line, one in plan.lines.items() if one.pin is not None}
    if not due:
        return
    iterations, keys = site.loaded.values.pin.iterations, site.keys

    def one(change: Change) -> Change:
        pin = change.pin
        assert pin is not None  # noqa: S101  # for mypy: of no other is there anything due
        if change.before is not None and account.is_pin_of(change.before, pin, keys):
            return replace(change, pin=None)
        name = change.after.name
        made = "" if dry_run else account.hashed(name, pin, iterations, keys)
        return replace(change, after=replace(change.after, pin_hash=made))

    # Threads do: hashlib lets go of Python's lock while it hashes.
    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)), initializer=_step_back)
    try:
        with output.progress("Hashing PINs") as advance:
            for number, (line, change) in enumerate(
                zip(due, pool.map(one, due.values()), strict=True), 1
            ):
                plan.lines[line] = change
                advance(number, len(due))
    finally:
        pool.shutdown(cancel_futures=True)


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
