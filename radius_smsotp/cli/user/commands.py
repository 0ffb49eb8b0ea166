"""``smsotp user``: accounts.  FreeRADIUS reads them at every request, so changes act at once."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from radius_smsotp.cli import completion, output, when
from radius_smsotp.cli.site import Site, pass_site
from radius_smsotp.cli.user import account
from radius_smsotp.cli.user.codes import list_codes, make_codes
from radius_smsotp.cli.user.import_file import export_accounts, import_accounts
from radius_smsotp.cli.user.listing import list_accounts, show
from radius_smsotp.cli.user.person import erase, export_data
from radius_smsotp.errors import SmsotpError
from radius_smsotp.model import pin as pins
from radius_smsotp.model.identity import normalise_station
from radius_smsotp.model.records import Account
from radius_smsotp.store.transaction import Transaction


@click.group()
def user() -> None:
    """
    Accounts: who may log in, and where the codes go.

    \b
    Examples:
      smsotp user add alice --phone +491701234567
      smsotp user list
      smsotp user import staff.csv
    """


def _fields(command: Callable[..., None]) -> Callable[..., None]:
    """What an account is made of, as options."""
    for option in reversed(
        (
            account.name_argument,
            click.option("--phone", metavar="NUMBER", help="Where the codes go, as +491701234567."),
            click.option(
                "--pin",
                "given",
                metavar="PIN",
                help="The PIN.  Every user of this machine can see it in the process list.",
            ),
            click.option(
                "--pin-stdin",
                "from_stdin",
                is_flag=True,
                help="Read the PIN from standard input; on a terminal it is asked for twice, "
                "hidden.",
            ),
            click.option(
                "--no-pin",
                "none",
                is_flag=True,
                help="No PIN: FreeRADIUS checks the first factor elsewhere (LDAP, SQL, …).",
            ),
            click.option(
                "--provider",
                metavar="NAME",
                help="The provider that is tried first for this account.",
                shell_complete=completion.providers,
            ),
            click.option(
                "--language",
                metavar="TAG",
                help="What this person reads, as de; see 'smsotp language'.",
            ),
            pass_site,
        )
    ):
        command = option(command)
    return command


LONGEST_OVERRIDE = timedelta(days=92)
"""A quarter of a year: a number for longer is the account's."""


@user.command()
@_fields
def add(
    site: Site, name: str, phone: str | None, provider: str | None, language: str | None, **pin: Any
) -> None:
    """
    Add an account.

    What is missing is asked for on a terminal.  Elsewhere --phone must be given, and without
    one of the PIN options the account gets none.

    A number is taken in any writing with its country code behind + or 00; without one if the
    setting 'country' is there.  Letters, extensions, numbers that no country uses, and those that
    'limits' let no message go to are refused.

    \b
    Examples:
      smsotp user add alice --phone +491701234567
      openssl rand -hex 4 | smsotp user add bob --phone +491707654321 --pin-stdin
    """
    with account.faults_of("NAME"):
        account.refuse_lookalike(name)
    fields = {
        "phone": account.option(site.loaded, "phone", account.ask_phone(phone)),
        "provider": account.option(site.loaded, "provider", provider),
        "language": account.option(site.loaded, "language", language),
    }
    with site.store.read() as tx:
        _not_known(tx, name)
    chosen = _pin(site, **pin, ask=True)
    pin_hash = _hashed(site, name, chosen)
    with site.store.write(name, durable=True) as tx:
        new = replace(_not_known(tx, name), pin_hash=pin_hash, **fields)
        account.save(tx, None, new)
    click.echo(f"{name}: added")
    _doubt(site, new, phone=True, pin=chosen)
    if chosen is None:
        click.echo(f"{name} has no PIN: FreeRADIUS must check the first factor elsewhere")


@user.command("set")
@_fields
@click.option(
    "--until",
    callback=when.end_of(LONGEST_OVERRIDE),
    metavar="WHEN",
    help="The number counts for a time only, before any other: 12h, friday, 2026-12-04.",
)
@click.option("--no-provider", is_flag=True, help="Providers as in delivery.order.")
@click.option("--no-language", is_flag=True, help="The language of the client.")
@account.elsewhere_option
def set_(
    site: Site,
    name: str,
    phone: str | None,
    provider: str | None,
    language: str | None,
    until: datetime | None,
    no_provider: bool,
    no_language: bool,
    elsewhere: bool,
    **pin: Any,
) -> None:
    """
    Change an account.

    Codes that are under way become worthless.  With another phone number or PIN, remembered
    devices are forgotten.

    With --until the number goes before the account's own, and before the one that LDAP, SQL or a
    users file gives, and ends by itself; '--until now' ends it at once.

    \b
    Examples:
      smsotp user set alice --phone +491707654321
      smsotp user set alice --phone +491707654321 --until friday
      smsotp user set alice --pin-stdin
      smsotp user set alice --provider backup
    """
    given = {"phone": phone, "provider": provider, "language": language}
    removed = {"provider": no_provider, "language": no_language}
    for field, none in removed.items():
        if none and given[field] is not None:
            raise click.UsageError(f"--{field} and --no-{field} exclude each other")
    fields = {
        field: account.option(site.loaded, field, text)
        for field, text in given.items()
        if text is not None or removed.get(field)
    }
    has_pin = any(value not in {None, False} for value in pin.values())
    if not fields and not has_pin and until is None:
        raise click.UsageError("there is nothing to change; name at least one option")
    with site.store.read() as tx:
        before = account.known(tx, name, elsewhere=elsewhere)
    if until is not None:
        # Else the end that is there is moved.
        fields = {"override": before.override} | fields | {"override_until": until}
        if phone is not None:
            fields["override"] = fields.pop("phone")
        if fields["override"] is None:
            raise click.UsageError("--until says how long a number counts; name it with --phone")
    elif before.is_bare and (has_pin or phone is not None):
        remedy = f"say --until when the number counts, or give it an account with 'user add {name}'"
        raise SmsotpError(f"'{name}' is known elsewhere, and has no account here; {remedy}")
    chosen = _pin(site, **pin, ask=False)
    if has_pin:
        fields["pin_hash"] = _hashed(site, name, chosen)
    changed = _change(site, name, elsewhere, **fields)
    click.echo(f"{name}: changed")
    if until is not None or (phone is not None and changed.overridden(datetime.now(UTC))):
        click.echo(f"{name}: {account.override_told(changed)}")
    _doubt(site, changed, phone=phone is not None, pin=chosen)


@user.command()
@account.name_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_site
def delete(site: Site, name: str, yes: bool) -> None:
    """
    Delete an account, its lock-out and its remembered devices.

    The audit trail keeps what happened.  To keep somebody out for a while, disable the
    account instead.

    \b
    Example:
      smsotp user delete alice --yes
    """
    with site.store.read() as tx:
        account.own(tx, name)
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("there is no terminal to ask on; say --yes")
        if not click.confirm(f"Delete {output.clean(name)}?"):
            raise SmsotpError("nothing was deleted")
    with site.store.write(name, durable=True) as tx:
        account.own(tx, name)
        account.remove(tx, name)
    click.echo(f"{name}: deleted")


@user.command()
@account.name_argument
@account.elsewhere_option
@pass_site
def enable(site: Site, name: str, elsewhere: bool) -> None:
    """
    Let a disabled account log in again.

    \b
    Example:
      smsotp user enable alice
    """
    _change(site, name, elsewhere, enabled=True)
    click.echo(f"{name}: enabled")


@user.command()
@account.name_argument
@account.elsewhere_option
@pass_site
def disable(site: Site, name: str, elsewhere: bool) -> None:
    """
    Let an account log in no more.

    So it is with a name that only LDAP, SQL or a users file knows: it is refused here.  A session
    that is open already stays open: FreeRADIUS is only asked at the login.

    \b
    Example:
      smsotp user disable alice
    """
    _change(site, name, elsewhere, enabled=False)
    click.echo(f"{name}: disabled")


@user.command()
@account.name_argument
@pass_site
def unlock(site: Site, name: str) -> None:
    """
    End a lock-out, and forget the wrong PINs and codes so far.

    A device that gets no messages for its stored password gets them again.

    \b
    Example:
      smsotp user unlock alice
    """
    with site.store.write(name, durable=True) as tx:
        # A lock-out may belong to a name that only LDAP knows.
        ended = tx.clear_lockout(name) | tx.unlock_stations(name)
        if not ended | tx.forget_unanswered(name, datetime.now(UTC)):
            account.known(tx, name)
            click.echo(f"{name}: was not locked")
            return
        tx.add_event(account.event("account-unlocked", name))
    click.echo(f"{name}: unlocked")


def _change(site: Site, name: str, elsewhere: bool, **fields: Any) -> Account:
    with site.store.write(name, durable=True) as tx:
        before = account.known(tx, name, elsewhere=elsewhere)
        after = replace(before, **fields)
        if after != before:
            account.save(tx, before, after)
    return after


def _doubt(site: Site, one: Account, *, phone: bool, pin: str | None) -> None:
    """See `account.doubts`."""
    for doubt in account.doubts(one, site.loaded, phone=phone, pin=pin):
        click.echo(f"{one.name}: {doubt}")


def _not_known(tx: Transaction, name: str) -> Account:
    """What there is of a name without account, which may be known elsewhere, and disabled here."""
    found = tx.account(name) or Account(name, None)
    if not found.is_bare:
        remedy = f"change it with 'smsotp user set {name}'"
        raise SmsotpError(f"there is an account '{name}' already; {remedy}")
    return found


def _pin(site: Site, given: str | None, from_stdin: bool, none: bool, *, ask: bool) -> str | None:
    """
    The PIN that the options mean, None for no PIN.

    Args:
        ask: Whether to ask for one on a terminal if no option says anything.
    """
    if (given is not None) + from_stdin + none > 1:
        raise click.UsageError("--pin, --pin-stdin and --no-pin exclude each other")
    terminal = sys.stdin.isatty()
    if none or (given is None and not from_stdin and not (ask and terminal)):
        return None
    if given is None and terminal:
        given = click.prompt("PIN", hide_input=True, confirmation_prompt="The same PIN again")
    elif given is None:
        line = sys.stdin.buffer.readline()
        given = pins.decode(line.removesuffix(b"\n").removesuffix(b"\r"))
    with account.faults_of("--pin"):
        return account.read_pin(str(given), site.loaded)


def _hashed(site: Site, name: str, pin: str | None) -> str | None:
    rounds = site.loaded.values.pin.iterations
    return None if pin is None else account.hashed(name, pin, rounds, site.keys)


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
    if sum((forget is not None, forget_all, as_json)) > 1:
        raise click.UsageError("--forget, --forget-all and --json exclude each other")
    if forget is not None or forget_all:
        station = None if forget is None else normalise_station(forget)
        with site.store.write(name, durable=True) as tx:
            number = tx.forget_devices(name, station)
            if number:
                tx.add_event(account.devices_forgotten(name, number, station or ""))
        if station is not None and not number:
            known = f"'smsotp user devices {name}' names all"
            raise SmsotpError(f"{name}: no device '{station}' is remembered; {known}")
        click.echo(f"{name}: devices forgotten: {number}")
        return
    with site.store.read() as tx:
        found = tx.devices(name, datetime.now(UTC))
    names = ("station", "ssid", "client")
    records = [output.fields(one, *names) | {"until": one.expires_at} for one in found]
    columns = {"Device": "station", "SSID": "ssid", "Client": "client", "Until": "until"}
    none = f"{name}: no device is remembered"
    output.listing(records, columns, for_programs=as_json, empty=none)


OTHERS = (
    *(show, list_accounts, make_codes, list_codes, devices, import_accounts, export_accounts),
    *(export_data, erase),
)
for command in OTHERS:
    user.add_command(command)
