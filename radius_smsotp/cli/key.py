"""``smsotp key``: what codes are derived from."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import click

from radius_smsotp.cli import output
from radius_smsotp.cli.site import Site, acting_as, pass_site
from radius_smsotp.errors import SmsotpError
from radius_smsotp.model.records import Challenge
from radius_smsotp.server import introduce
from radius_smsotp.settings import keyring
from radius_smsotp.settings.keyring import Keyring

NOTICE = timedelta(seconds=10)
"""Every process of a host has read the new key by then: they look each second."""

LONGEST_NOTICE = 60 * 24 * 365
"""Minutes: a slip of the keyboard, beyond that."""


@click.group()
def key() -> None:
    """
    Keys: what codes are derived from.

    \b
    Example:
      smsotp key rotate
    """


@key.command("list", short_help="List the keys, newest first.")
@output.json_option
@pass_site
def list_keys(site: Site, as_json: bool) -> None:
    """
    List the keys, newest first, and how many open challenges hang on each.  No secret is shown.

    \b
    Examples:
      smsotp key list
      smsotp key list --json
    """
    keys = keyring.read(site.loaded.key_path)
    needed = Counter(one.key_id for one in _open(site))
    records = [
        {"id": one, "state": _state(keys, one)[0], "open_challenges": needed[one]}
        for one in keys.keys
    ]
    columns = {
        "Key": "id",
        "State": lambda one: " ".join(_state(keys, one["id"])),
        "Open challenges": "open_challenges",
    }
    output.listing(records, columns, for_programs=as_json, whole=[0])


@key.command()
@click.option(
    "--in",
    "minutes",
    type=click.IntRange(1, LONGEST_NOTICE),
    metavar="MINUTES",
    help="When the new key takes over: time to copy the file.  [default: in 10 seconds]",
)
@pass_site
def rotate(site: Site, minutes: int | None) -> None:
    """
    Make a new key, for the challenges to come.  Those that run end under the old one.

    With several servers the key file must be on all of them before the new key takes over: give
    yourself time with --in, and copy it.

    \b
    Examples:
      smsotp key rotate
      smsotp key rotate --in 60
    """
    with acting_as(site.owner):
        path = site.loaded.key_path
        keys = keyring.read(path)
        if keys.waiting is not None:
            waiting, until = keys.waiting
            raise SmsotpError(f"{waiting} is waiting already, until {output.local(until)}")
        introduce(keys, site.loaded, site.store)
        begins = datetime.now(UTC) + (timedelta(minutes=minutes) if minutes else NOTICE)
        made = keyring.add(path, begins)
        introduce(keyring.read(path), site.loaded, site.store)
        lifetime = site.loaded.values.code.lifetime
    click.echo(f"{made}: signs new challenges from {output.local(begins)} on")
    if minutes:
        click.echo(f"Copy {path} to every other server before that.")
    unused = output.local(begins + timedelta(seconds=lifetime))
    click.echo(f"From {unused} on the old one may go: smsotp key retire {keys.current}")


@key.command()
@click.argument("key_id", metavar="ID")
@click.option("--cancel", is_flag=True, help="End the open challenges that hang on it.")
@pass_site
def retire(site: Site, key_id: str, cancel: bool) -> None:
    """
    Remove a key that signs no more.

    Where a key has become known to others: rotate, then retire it with --cancel.  The store knows
    it no more: a server that has no other one does not start.

    \b
    Examples:
      smsotp key retire k20260301-77e1b0d4
      smsotp key retire k20260301-77e1b0d4 --cancel
    """
    with acting_as(site.owner):
        path = site.loaded.key_path
        keys = keyring.read(path)
        introduce(keys, site.loaded, site.store)
        with site.store.read() as tx:
            known = set(tx.known_keys().values())
        if keys.get(key_id) is None and key_id not in known:
            raise SmsotpError(f"there is no key '{key_id}'; see 'smsotp key list'")
        if key_id == keys.current:
            raise SmsotpError(f"{key_id} signs new challenges; first 'smsotp key rotate'")
        needing = [one for one in _open(site) if one.key_id == key_id]
        if needing and not cancel:
            challenges = output.many(len(needing), "open challenge")
            verb = "needs" if len(needing) == 1 else "need"
            raise SmsotpError(f"{challenges} still {verb} it; wait, or end them with --cancel")
        keyring.remove(path, key_id)
        accounts = {one.account for one in needing}
        with site.store.write(*accounts, durable=True) as tx:
            tx.forget_key(key_id)
            for one in needing:
                tx.save_answer(replace(one, state="cancelled"))
    click.echo(f"{key_id}: retired")


def _open(site: Site) -> list[Challenge]:
    with site.store.read() as tx:
        return [one for one, _ in tx.open_challenges(datetime.now(UTC))]


def _state(keys: Keyring, key_id: str) -> tuple[str, ...]:
    if key_id == keys.current:
        return ("signs",)
    if keys.waiting is not None and key_id == keys.waiting[0]:
        return ("waits", f"until {output.local(keys.waiting[1])}")
    return ("old",)
