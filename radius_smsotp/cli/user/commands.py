"""``smsotp user``: accounts.  FreeRADIUS reads them at every request, so changes act at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import click

from radius_smsotp.cli import output, results
from radius_smsotp.cli.output import InOrder
from radius_smsotp.cli.results import Results
from radius_smsotp.cli.site import Site, pass_site
from radius_smsotp.cli.user import account
from radius_smsotp.cli.user.changes import add, ensure, set_
from radius_smsotp.cli.user.codes import list_codes, make_codes
from radius_smsotp.cli.user.import_file import export_accounts, import_accounts
from radius_smsotp.cli.user.listing import list_accounts, show
from radius_smsotp.cli.user.person import erase, export_data
from radius_smsotp.cli.user.sync import sync_accounts
from radius_smsotp.errors import SmsotpError
from radius_smsotp.model.identity import normalise_station


@click.group(cls=InOrder)
def user() -> None:
    """
    Accounts: who may log in, and where the codes go.

    \b
    Examples:
      smsotp user add alice --phone +491701234567
      smsotp user list
      smsotp user import staff.csv
    """


@click.command(short_help="Delete accounts.")
@account.names_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@results.told
@pass_site
def delete(site: Site, told: Results, names: tuple[str, ...], yes: bool) -> None:
    """
    Delete accounts, their lock-outs and their remembered devices.

    The audit trail keeps what happened.  To keep somebody out for a while, disable the
    account instead.

    \b
    Examples:
      smsotp user delete alice --yes
      smsotp user delete alice bob --yes
    """

    def look(name: str) -> None:
        with site.store.read() as tx:
            account.own(tx, name)

    def remove(name: str) -> None:
        with site.store.write(name, durable=True) as tx:
            account.own(tx, name)
            account.remove(tx, name)
        told.add(name, "deleted")

    there = told.each(names, look)
    account.ask_to("Delete {}?", there, "nothing was deleted", yes=yes)
    told.each(there, remove)


@click.command(short_help="Let disabled accounts log in again.")
@account.names_argument
@account.elsewhere_option
@results.told
@pass_site
def enable(site: Site, told: Results, names: tuple[str, ...], elsewhere: bool) -> None:
    """
    Let disabled accounts log in again.

    \b
    Example:
      smsotp user enable alice
    """
    told.each(names, lambda name: _switch(site, told, name, on=True, elsewhere=elsewhere))


@click.command(short_help="Let accounts log in no more.")
@account.names_argument
@account.elsewhere_option
@results.told
@pass_site
def disable(site: Site, told: Results, names: tuple[str, ...], elsewhere: bool) -> None:
    """
    Let accounts log in no more.

    So it is with a name that only LDAP, SQL or a users file knows: it is refused here.  A session
    that is open already stays open: FreeRADIUS is only asked at the login.

    \b
    Examples:
      smsotp user disable alice
      smsotp user disable alice bob
    """
    told.each(names, lambda name: _switch(site, told, name, on=False, elsewhere=elsewhere))


def _switch(site: Site, told: Results, name: str, *, on: bool, elsewhere: bool) -> None:
    with site.store.write(name, durable=True) as tx:
        before = account.known(tx, name, elsewhere=elsewhere)
        after = replace(before, enabled=on, gone=False)
        if after != before:
            account.save(tx, before, after)
    word = "enabled" if on else "disabled"
    if after == before:
        told.add(name, "ok", f"{name}: was {word} already")
    else:
        told.add(name, word)


@click.command(short_help="End lock-outs.")
@account.names_argument
@results.told
@pass_site
def unlock(site: Site, told: Results, names: tuple[str, ...]) -> None:
    """
    End lock-outs, and forget the wrong PINs and codes so far.

    A device that gets no messages for its stored password gets them again.

    \b
    Example:
      smsotp user unlock alice
    """

    def one(name: str) -> None:
        with site.store.write(name, durable=True) as tx:
            # A lock-out may belong to a name that only LDAP knows.
            ended = tx.clear_lockout(name) | tx.unlock_stations(name)
            if not ended | tx.forget_unanswered(name, datetime.now(timezone.utc)):
                account.known(tx, name)
                told.add(name, "ok", f"{name}: was not locked")
                return
            tx.add_event(account.event("account-unlocked", name))
        told.add(name, "unlocked")

    told.each(names, one)


@click.command(short_help="List remembered devices, or forget them.")
@account.name_argument
@click.option(
    "--forget", metavar="STATION", help="Forget this one, in any writing: it needs a code again."
)
@click.option("--forget-all", is_flag=True, help="Forget all of them.")
@output.json_option
@pass_site
def devices(site: Site, name: str, forget: str | None, forget_all: bool, as_json: bool) -> None:
    """
    List the devices that need no code for a while (see remember.hours), or forget them.

    \b
    Examples:
      smsotp user devices alice
      smsotp user devices alice --forget 02:00:00:00:00:01
      smsotp user devices alice --forget-all
    """
    if forget is not None and forget_all:
        raise click.UsageError("--forget and --forget-all exclude each other")
    if forget is not None or forget_all:
        with Results(for_programs=as_json) as told:
            number = _forget(site, name, None if forget is None else normalise_station(forget))
            line = f"{name}: devices forgotten: {number}"
            told.add(name, "forgotten" if number else "ok", line, devices=number)
        return
    with site.store.read() as tx:
        found = tx.devices(name, datetime.now(timezone.utc))
    names = ("station", "ssid", "client")
    records = [output.fields(one, *names) | {"until": one.expires_at} for one in found]
    columns = {"Device": "station", "SSID": "ssid", "Client": "client", "Until": "until"}
    none = f"{name}: no device is remembered"
    output.listing(records, columns, for_programs=as_json, empty=none)


def _forget(site: Site, name: str, station: str | None) -> int:
    """Forget one device, or all.  Returns how many.  Raises SmsotpError if there is no such one."""
    with site.store.write(name, durable=True) as tx:
        number = tx.forget_devices(name, station)
        if number:
            tx.add_event(account.devices_forgotten(name, number, station or ""))
    if station is not None and not number:
        known = f"'smsotp user devices {name}' names all"
        raise SmsotpError(f"{name}: no device '{station}' is remembered; {known}")
    return number


# What is done each day stands first in the help, what is done once a year last.
for command in (
    *(list_accounts, show, add, set_, unlock, disable, enable, make_codes, list_codes, devices),
    *(delete, import_accounts, export_accounts, sync_accounts, ensure, export_data, erase),
):
    user.add_command(command)
