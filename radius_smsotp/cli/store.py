"""``smsotp store``: all that is kept, as a whole."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import click

from radius_smsotp.cli import output, results
from radius_smsotp.cli.results import Results
from radius_smsotp.cli.site import PATIENCE, Site, pass_site
from radius_smsotp.cli.user.account import event
from radius_smsotp.errors import ConfigurationError, Problem, SmsotpError, freeradius_user
from radius_smsotp.settings import file
from radius_smsotp.store import Store, open_store, transfer

NAMES = {
    "account": "accounts",
    "lockout": "lock-outs",
    "challenge": "challenges",
    "tally": "counts of messages",
    "device": "devices",
    "event": "events",
    "breaker": "states of providers",
}
"""Table to what people call its rows."""


@click.group()
def store() -> None:
    """
    The store: copy all that is kept, or put it back.

    \b
    Examples:
      smsotp store copy sqlite:////srv/smsotp.db postgresql://smsotp@db/smsotp
      smsotp store restored
    """


@store.command(short_help="Copy a store: a backup, or a move.")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--overwrite", is_flag=True, help="Replace what is in TO.")
@results.told
def copy(told: Results, source: str, target: str, overwrite: bool) -> None:
    """
    Copy everything in the store FROM into the store TO: all of it, or nothing.

    FROM is as it was at one moment; it may be in use, and no login waits.  TO is made if it is
    not there.  Challenges that are open end in TO: a code that is spent in one store would count in
    the other.  Both are written as the setting 'store' is.  A password does not belong on a
    command line, where others can see it: see 'PostgreSQL' in docs/how-to/postgresql.rst.

    \b
    Examples:
      smsotp store copy sqlite:////srv/smsotp.db sqlite:////root/backup.db
      smsotp store copy sqlite:////srv/smsotp.db postgresql://smsotp@db/smsotp
    """
    urls = (file.absolute_store(url, Path.cwd()) for url in (source, target))
    here, there = (open_store(url, PATIENCE) for url in urls)
    if here.name == there.name:
        raise SmsotpError("FROM and TO are the same store")
    if not here.exists():
        remedy = "see 'store' in the settings"
        raise ConfigurationError([Problem(here.name, "is not there", remedy)])
    if there.folder is not None and not there.folder.is_dir():
        remedy = f"mkdir {there.folder}"
        raise ConfigurationError([Problem(there.name, "its folder is not there", remedy)])
    here.migrate()
    _make(there, _keeper(here))
    try:
        with output.progress("Copying") as advance:
            counts = transfer.copy(here, there, advance, overwrite=overwrite)
    except transfer.NotEmptyError as error:
        raise SmsotpError(f"{error}; --overwrite replaces what is there") from None
    finally:
        here.close()
        there.close()
    # Figures come along, and are nobody's question.
    copied = {name: counts[table] for table, name in NAMES.items()}
    line = ", ".join(f"{name}: {number}" for name, number in copied.items())
    told.add(there.name, "copied", line, rows=copied)


@store.command(short_help="Say that the store was restored.")
@results.told
@pass_site
def restored(site: Site, told: Results) -> None:
    """
    End the challenges that are open in a store that was put back: their codes may be spent.  So do
    emergency codes.

    A SQLite file that is put back alone is known by itself.  Not known is a database of PostgreSQL,
    or a folder, disk or machine that is put back as a whole: call this before FreeRADIUS starts.

    \b
    Example:
      smsotp store restored
    """
    with site.store.write(durable=True) as tx:
        number = tx.end_challenges()
        tx.add_event(event("store-restored", ""))
    told.add(site.store.name, "restored", f"open challenges ended: {number}", challenges=number)


def _keeper(source: Store) -> tuple[int, int]:
    """User and group that a new file shall belong to: those of the old one, or FreeRADIUS's."""
    path = source.name.removeprefix("sqlite://")
    if path != source.name:
        found = Path(path).stat()
        return found.st_uid, found.st_gid
    user = freeradius_user()
    return (user.pw_uid, user.pw_gid) if user else (os.getuid(), os.getgid())


def _make(target: Store, keeper: tuple[int, int]) -> None:
    """Make the target, or bring its schema forward."""
    is_new = not target.exists()
    target.migrate()
    path = target.name.removeprefix("sqlite://")
    if is_new and path != target.name and os.geteuid() == 0:
        target.close()
        for one in (path, f"{path}-mark", f"{path}-reserve"):
            with contextlib.suppress(FileNotFoundError):  # there was no room for the last one
                os.chown(one, *keeper)
