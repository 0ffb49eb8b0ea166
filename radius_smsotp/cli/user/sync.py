"""``smsotp user sync``: the accounts are those of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import click

from radius_smsotp.cli import output, results
from radius_smsotp.cli.results import Results
from radius_smsotp.cli.site import Site, pass_site
from radius_smsotp.cli.user import bulk, planning
from radius_smsotp.cli.user.bulk import Change
from radius_smsotp.errors import SmsotpError
from radius_smsotp.model.identity import fold_name
from radius_smsotp.model.records import Account

MOST = 10
"""Per cent: a file of which more is missing is rather cut off than that of a site that shrinks."""


@click.command("sync", short_help="Add, change and disable accounts, as a CSV file has them.")
@planning.file_options
@click.option(
    "--keep",
    metavar="PATTERN",
    multiple=True,
    help="Names that the file need not have, as 'ext-*'; may be given several times.",
)
@click.option(
    "--most",
    type=click.IntRange(0, 100),
    default=MOST,
    show_default=True,
    metavar="PERCENT",
    help="Of the enabled accounts, how many may be disabled at once; one always, all with 100.",
)
@results.told
@pass_site
def sync_accounts(
    site: Site,
    told: Results,
    file: Path,
    dry_run: bool,
    keep: tuple[str, ...],
    most: int,
    titles: Mapping[str, str],
    encoding: str | None,
) -> None:
    """
    Bring the accounts to what a CSV file says: add, change, and disable those that it names no
    more.  Nothing is done if a line is faulty, or if too many would be disabled.

    The file is as for 'import', and an empty field leaves what is there.  Who was disabled by a
    sync is enabled by the next one that names them; who was disabled by hand stays so, unless the
    column 'enabled' says yes.  Names that only LDAP, SQL or a users file knows are left alone.  A
    sync that was interrupted is done by the same command.  - reads standard input.

    \b
    Examples:
      smsotp user sync staff.csv --dry-run
      smsotp user sync staff.csv --keep "ext-*"
    """
    plan = planning.read(site, told, file, titles, encoding, _back)
    if plan.faults:
        faults = output.many(len(plan.faults), "faulty line")
        raise SmsotpError(f"{faults}; nothing was changed")
    kept = [fold_name(pattern) for pattern in keep]
    named = {change.after.name for change in plan.lines.values()}
    enabled = [
        one
        for one in plan.there.values()
        if one.enabled
        and not one.is_bare
        and (one.name in named or not any(fnmatchcase(one.name, like) for like in kept))
    ]
    missing = [one for one in enabled if one.name not in named]
    is_refused = _are_too_many(len(missing), len(enabled), most)
    if is_refused and not dry_run:
        raise SmsotpError(_refusal(missing, enabled, most))
    planning.hash_pins(site, plan, dry_run=dry_run)
    changes = plan.changes
    gone = [Change(one, replace(one, enabled=False, gone=True)) for one in missing]
    weak = planning.doubt(told, changes, site.loaded)
    skipped = set()
    if not dry_run:
        again = "the same command does the others"
        with output.progress("Writing") as advance:
            skipped = bulk.write(site.store, [*changes.values(), *gone], advance, again)
    changes = {line: one for line, one in changes.items() if one.after.name not in skipped}
    planning.tell_changes(told, changes, dry_run=dry_run)
    word = "would be disabled" if dry_run else "disabled"
    for name in [one.name for one in missing if one.name not in skipped]:
        told.add(name, "disabled", f"{name}: {word}: no line names it")
    for name in sorted(skipped):
        told.fail(name, planning.late(name))
    added = sum(change.is_new for change in changes.values())
    told.note(
        f"{'would be ' if dry_run else ''}added: {added}, changed: {len(changes) - added}, "
        f"disabled: {sum(one.name not in skipped for one in missing)}, "
        f"left as they are: {len(plan.lines) - len(changes)}"
        f"{f', weak PINs: {weak}' if weak else ''}"
    )
    if is_refused:
        raise SmsotpError(_refusal(missing, enabled, most))


def _back(before: Account | None, fields: dict[str, Any]) -> dict[str, Any]:
    """What a line says of an account; who was gone, and is in the file again, is enabled."""
    if before is not None and before.gone:
        return {"enabled": True, **fields, "gone": False}
    return fields


def _are_too_many(missing: int, enabled: int, most: int) -> bool:
    if most == 100:  # per cent: then it is meant
        return False
    return missing > 0 and (missing == enabled or missing > max(1, enabled * most // 100))


def _refusal(missing: list[Account], enabled: list[Account], most: int) -> str:
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    found = f"the file does not name {missing[0].name}{more}, of {len(enabled)} enabled accounts"
    remedy = "nothing was changed; if it is whole, say how many per cent may go with --most"
    return f"{found}, and --most is {most}; {remedy}"
