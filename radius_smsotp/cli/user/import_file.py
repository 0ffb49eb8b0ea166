"""``smsotp user import`` and ``export``: accounts in CSV files."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from radius_smsotp.cli import output, results
from radius_smsotp.cli.results import Results
from radius_smsotp.cli.site import Site, pass_site
from radius_smsotp.cli.user import bulk, planning, sheet
from radius_smsotp.cli.user.sheet import Fault
from radius_smsotp.errors import SmsotpError
from radius_smsotp.model.records import Account
from radius_smsotp.settings import whole_file

MODE = 0o600
"""Of what is written: it holds numbers, and perhaps PINs."""

AGAIN = "the same file with --update imports the others"


@click.command("import", short_help="Add the accounts of a CSV file.")
@planning.file_options
@click.option("--update", is_flag=True, help="Change accounts that are there already.")
@click.option(
    "--keep-going",
    is_flag=True,
    help="Import the good lines; the others go to FILE.rejected.csv, each with its reason.",
)
@results.told
@pass_site
def import_accounts(
    site: Site,
    told: Results,
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
    enabled (yes or no), language and ways (as mail=alice@example.org; call); others are not read.
    A spreadsheet's file is taken as it is, separated by comma, semicolon or tab.  An empty field
    leaves what is there.  Logins go on meanwhile.  An import that was interrupted is done by the
    same command with --update.  - reads standard input.

    \b
    Examples:
      smsotp user import staff.csv --dry-run
      smsotp user import staff.csv --update --keep-going
      smsotp user import staff.csv --column name=Login --column phone=Mobile
    """

    def decide(before: Account | None, fields: dict[str, Any]) -> dict[str, Any]:
        if before is not None and not update:
            raise ValueError(f"there is an account '{before.name}' already (see --update)")
        return fields

    plan = planning.read(site, told, file, titles, encoding, decide)
    if plan.faults and not keep_going:
        faults = output.many(len(plan.faults), "faulty line")
        raise SmsotpError(f"{faults}; nothing was imported")
    planning.hash_pins(site, plan, dry_run=dry_run)
    changes = plan.changes
    weak = planning.doubt(told, changes, site.loaded)
    if not dry_run:
        with output.progress("Importing") as advance:
            skipped = bulk.write(site.store, [*changes.values()], advance, AGAIN)
        late = [
            Fault(line, planning.late(change.after.name))
            for line, change in changes.items()
            if change.after.name in skipped
        ]
        planning.tell(told, late)
        plan.faults.extend(late)
        for fault in late:
            del changes[fault.line]
    planning.tell_changes(told, changes, dry_run=dry_run)
    added = sum(change.is_new for change in changes.values())
    told.note(
        f"{'would be ' if dry_run else ''}added: {added}, changed: {len(changes) - added}, "
        f"left as they are: {len(plan.lines) - len(changes)}"
        f"{f', weak PINs: {weak}' if weak else ''}"
    )
    if plan.faults:
        leftover = Path("stdin") if str(file) == "-" else file
        leftover = leftover.with_suffix(".rejected.csv")
        if not dry_run:
            whole_file.write(leftover, sheet.rejected(plan.sheet, plan.faults), MODE)
        where = "would be in" if dry_run else "mend and import"
        raise SmsotpError(f"{output.many(len(plan.faults), 'faulty line')}; {where} {leftover}")


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
