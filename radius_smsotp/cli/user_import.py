"""
``smsotp user import`` and ``export``.

Every line is judged and every PIN hashed before anything is written; then all accounts become
valid in one moment, see `user_batch`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from radius_smsotp.cli import account, account_file, output, user_batch
from radius_smsotp.cli.account_file import Fault
from radius_smsotp.cli.output import Progress
from radius_smsotp.cli.site import Site
from radius_smsotp.cli.user_batch import Change
from radius_smsotp.core.model import Account
from radius_smsotp.errors import SmsotpError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from radius_smsotp.cli.account_file import Entry, Sheet

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
        if not dry_run and not user_batch.tidy(site.store):
            raise SmsotpError("another import is under way; try again when it has ended")
        with Progress() as progress:
            sheet = account_file.read(file, site.loaded, progress)
        with site.store.read() as tx:
            there = {one.name: one for one, _ in tx.accounts()}
            newest = tx.staging.newest_change()
        plans, faults = _plan(sheet, there, update=update)
        for fault in faults:
            click.echo(f"line {fault.line.number}: {output.clean(fault.reason)}", err=True)
        if faults and not keep_going:
            raise SmsotpError(f"{_many(len(faults), 'faulty line')}; nothing was imported")
        changes = [plan for plan in plans if plan.pin is not None or plan.after != plan.before]
        if not dry_run:
            with Progress() as progress:
                changes = _hashed(changes, site.loaded.values.pin.iterations, progress)
                total = len(changes)
                stage = progress.stage("Laying ready", total)
                land = progress.stage("Importing", total)
                user_batch.write(site.store, changes, newest, stage, land)
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


def _hashed(changes: Sequence[Change], iterations: int, progress: Progress) -> list[Change]:
    """The same changes with the PINs hashed, on all processors."""
    pins = [change.pin for change in changes if change.pin is not None]
    advance = progress.stage("Hashing PINs", len(pins))

    def one(change: Change) -> Change:
        if change.pin is None:
            return change
        after = replace(change.after, pin_hash=account.hashed(change.pin, iterations))
        advance(1)
        return Change(change.before, after)

    # Threads do: hashlib lets go of Python's lock while it hashes.
    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)), initializer=_step_back)
    try:
        return list(pool.map(one, changes))
    finally:
        pool.shutdown(cancel_futures=True)


def _step_back() -> None:
    """Let everybody else come first.  Linux has a niceness for each thread."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def _many(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
