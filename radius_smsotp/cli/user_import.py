"""
``smsotp user import`` and ``export``.

All or nothing, although nobody may wait long for the store: every line is judged and every PIN
hashed before anything is written; then short slices are written, with pauses for everybody
else; if one of them fails, those before it are undone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from radius_smsotp.cli import account, account_file, output
from radius_smsotp.cli.account_file import Fault
from radius_smsotp.cli.site import Site
from radius_smsotp.core.model import Account
from radius_smsotp.errors import SmsotpError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from radius_smsotp.cli.account_file import Sheet
    from radius_smsotp.store import Store
    from radius_smsotp.store.transaction import Transaction

SLICE = 100
"""Accounts in one transaction, which then takes a few milliseconds."""

PAUSE = 0.02
"""Seconds between two slices: longer than one takes, so that whoever waits gets in."""


@dataclass(frozen=True, slots=True)
class Change:
    """An account as it was, None if it is new, as it shall be, and a PIN still to be hashed."""

    before: Account | None
    after: Account
    pin: str | None = field(default=None, repr=False)


@click.command("import")
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
    Add the accounts of a CSV file: all of them, or none if a line is faulty.

    The first line names the columns, in any order: name, phone, and if wanted pin, provider,
    enabled (yes or no) and language.  UTF-8, separated by comma or semicolon.  An empty field
    leaves what is there.

    \b
    Examples:
      smsotp user import staff.csv --dry-run
      smsotp user import staff.csv --update --keep-going
    """
    with Site(config) as site:
        sheet = account_file.read(file, site.loaded)
        with site.store.read() as tx:
            there = {one.name: one for one, _ in tx.accounts()}
        plans, faults = _plan(sheet, there, update=update)
        for fault in faults:
            click.echo(f"line {fault.line.number}: {output.clean(fault.reason)}", err=True)
        if faults and not keep_going:
            raise SmsotpError(f"{_many(len(faults), 'faulty line')}; nothing was imported")
        changes = [plan for plan in plans if plan.pin is not None or plan.after != plan.before]
        if not dry_run:
            _write(site.store, _hashed(changes, site.loaded.values.pin.iterations))
    added = sum(plan.before is None for plan in changes)
    click.echo(
        f"{'would be ' if dry_run else ''}added: {added}, changed: {len(changes) - added}, "
        f"left as they are: {len(plans) - len(changes)}"
    )
    if faults:
        rejected = file.with_suffix(".rejected.csv")
        if not dry_run:
            account_file.write(rejected, account_file.rejected(sheet, faults))
        where = "would be in" if dry_run else "mend and import"
        raise SmsotpError(f"{_many(len(faults), 'faulty line')}; {where} {rejected}")


@click.command("export")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
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
        text = account_file.exported(one for one, _ in tx.accounts())
    if str(file) == "-":
        sys.stdout.buffer.write(text.encode())
    else:
        account_file.write(file, text)


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
        elif before is None and entry.phone is None:
            faults.append(Fault(entry.line, "the phone number is missing"))
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


def _hashed(changes: Sequence[Change], iterations: int) -> list[Change]:
    """The same changes with the PINs hashed, on all processors."""

    def one(change: Change) -> Change:
        if change.pin is None:
            return change
        after = replace(change.after, pin_hash=account.hashed(change.pin, iterations))
        return Change(change.before, after)

    # Threads do: hashlib lets go of Python's lock while it hashes.
    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))
    try:
        with output.progress("Hashing PINs") as advance:
            done = []
            for change in pool.map(one, changes):
                done.append(change)
                advance(len(done), len(changes))
        return done
    finally:
        pool.shutdown(cancel_futures=True)


def _write(store: Store, changes: Sequence[Change]) -> None:
    """Write all changes, or none."""
    done: list[Change] = []
    with _undisturbed():
        try:
            for start in range(0, len(changes), SLICE):
                part = changes[start : start + SLICE]
                last = start + SLICE >= len(changes)
                # The last one takes those before it to the disk as well.
                names = (change.after.name for change in part)
                with store.write(*names, durable=last) as tx:
                    for change in part:
                        _apply(tx, change)
                done += part
                time.sleep(PAUSE)
        except SmsotpError as error:
            left = _undo(store, done)
            end = f"all but these was undone: {', '.join(left)}" if left else "nothing was imported"
            raise SmsotpError(f"{error}; {end}") from None


def _undo(store: Store, done: Sequence[Change]) -> list[str]:
    """Bring back what was there before.  Returns the accounts for which that failed."""
    left: list[str] = []
    for start in range(0, len(done), SLICE):
        part = done[start : start + SLICE]
        try:
            names = (change.after.name for change in part)
            with store.write(*names, durable=True) as tx:
                for change in part:
                    if change.before is None:
                        account.remove(tx, change.after.name)
                    else:
                        _apply(tx, Change(change.after, change.before))
        except SmsotpError:
            left += [change.after.name for change in part]
        time.sleep(PAUSE)
    return left


def _apply(tx: Transaction, change: Change) -> None:
    if tx.account(change.after.name) != change.before:
        raise SmsotpError(f"somebody else has changed '{change.after.name}' meanwhile")
    account.save(tx, change.before, change.after)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """No signal ends the program half way through the writing, which takes a moment only."""
    kinds = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(kind, signal.SIG_IGN) for kind in kinds]
    try:
        yield
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)


def _many(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
