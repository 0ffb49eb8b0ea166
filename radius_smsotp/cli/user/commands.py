"""``smsotp user``: accounts.  FreeRADIUS reads them at every request, so changes act at once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

import click

from radius_smsotp.cli import completion, output
from radius_smsotp.cli.site import Site, pass_site
from radius_smsotp.cli.user import account, sessions
from radius_smsotp.cli.user.codes import list_codes, make_codes
from radius_smsotp.cli.user.import_file import export_accounts, import_accounts
from radius_smsotp.errors import SmsotpError
from radius_smsotp.model import lockout
from radius_smsotp.model import pin as pins
from radius_smsotp.model.identity import fold_name, normalise_station
from radius_smsotp.model.records import Account, Lockout, Station


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
    new = Account(
        name,
        account.option(site.loaded, "phone", account.ask_phone(phone)),
        provider=account.option(site.loaded, "provider", provider),
        language=account.option(site.loaded, "language", language),
    )
    with site.store.read() as tx:
        _refuse_if_known(tx.account(name))
    chosen = _pin(site, **pin, ask=True)
    new = replace(new, pin_hash=_hashed(site, name, chosen))
    with site.store.write(name, durable=True) as tx:
        _refuse_if_known(tx.account(name))
        account.save(tx, None, new)
    click.echo(f"{name}: added")
    _doubt(site, new, phone=True, pin=chosen)
    if chosen is None:
        click.echo(f"{name} has no PIN: FreeRADIUS must check the first factor elsewhere")


@user.command("set")
@_fields
@click.option("--no-provider", is_flag=True, help="Providers as in delivery.order.")
@click.option("--no-language", is_flag=True, help="The language of the client.")
def set_(
    site: Site,
    name: str,
    phone: str | None,
    provider: str | None,
    language: str | None,
    no_provider: bool,
    no_language: bool,
    **pin: Any,
) -> None:
    """
    Change an account.

    Codes that are under way become worthless.  With another phone number or PIN, remembered
    devices are forgotten.

    \b
    Examples:
      smsotp user set alice --phone +491707654321
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
    if not fields and not has_pin:
        raise click.UsageError("there is nothing to change; name at least one option")
    with site.store.read() as tx:
        account.known(tx, name)
    chosen = _pin(site, **pin, ask=False)
    if has_pin:
        fields["pin_hash"] = _hashed(site, name, chosen)
    changed = _change(site, name, **fields)
    click.echo(f"{name}: changed")
    _doubt(site, changed, phone="phone" in fields, pin=chosen)


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
        account.known(tx, name)
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("there is no terminal to ask on; say --yes")
        if not click.confirm(f"Delete {output.clean(name)}?"):
            raise SmsotpError("nothing was deleted")
    with site.store.write(name, durable=True) as tx:
        account.known(tx, name)
        account.remove(tx, name)
    click.echo(f"{name}: deleted")


@user.command()
@account.name_argument
@pass_site
def enable(site: Site, name: str) -> None:
    """
    Let a disabled account log in again.

    \b
    Example:
      smsotp user enable alice
    """
    _change(site, name, enabled=True)
    click.echo(f"{name}: enabled")


@user.command()
@account.name_argument
@pass_site
def disable(site: Site, name: str) -> None:
    """
    Let an account log in no more.

    A session that is open already stays open: FreeRADIUS is only asked at the login.

    \b
    Example:
      smsotp user disable alice
    """
    _change(site, name, enabled=False)
    click.echo(f"{name}: disabled")


@user.command()
@account.name_argument
@pass_site
def unlock(site: Site, name: str) -> None:
    """
    End a lock-out, and forget the wrong PINs and codes so far.

    \b
    Example:
      smsotp user unlock alice
    """
    with site.store.write(name, durable=True) as tx:
        # A lock-out may belong to a name that only LDAP knows.
        if not tx.clear_lockout(name) | tx.unlock_stations(name):
            account.known(tx, name)
            click.echo(f"{name}: was not locked")
            return
        tx.add_event(account.event("account-unlocked", name))
    click.echo(f"{name}: unlocked")


def _change(site: Site, name: str, **fields: Any) -> Account:
    with site.store.write(name, durable=True) as tx:
        before = account.known(tx, name)
        after = replace(before, **fields)
        if after != before:
            account.save(tx, before, after)
    return after


def _doubt(site: Site, one: Account, *, phone: bool, pin: str | None) -> None:
    """See `account.doubts`."""
    for doubt in account.doubts(one, site.loaded, phone=phone, pin=pin):
        click.echo(f"{one.name}: {doubt}")


def _refuse_if_known(found: Account | None) -> None:
    if found is not None:
        remedy = f"change it with 'smsotp user set {found.name}'"
        raise SmsotpError(f"there is an account '{found.name}' already; {remedy}")


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


@click.command("list", short_help="List accounts: all, or by name or state.")
@click.argument("pattern", required=False, default="*")
@click.option(
    "--state",
    type=click.Choice(["enabled", "disabled", "locked"]),
    help="Only those that can log in, are disabled, or are locked out at the moment.",
)
@output.json_option
@pass_site
def list_accounts(site: Site, pattern: str, state: str | None, as_json: bool) -> None:
    """
    List the accounts; with PATTERN, those whose name is like it.

    In PATTERN, * stands for any letters and ? for one; it needs quotes, or the shell looks for
    files of such names.

    \b
    Examples:
      smsotp user list
      smsotp user list "ext-*"
      smsotp user list --state locked
      smsotp user list --json | jq -r '.[] | select(.pin | not) | .name'
    """
    now = datetime.now(UTC)
    like = fold_name(pattern)
    with site.store.read() as tx:
        stations: dict[str, list[Station]] = {}
        for one in tx.locked_stations(now):
            stations.setdefault(one.account, []).append(one)
        records = [
            _record(one, counted, stations.get(one.name, []), now)
            for one, counted in tx.accounts()
            if fnmatchcase(one.name, like)
        ]
    columns = {
        "Name": "name",
        "Phone": lambda one: one["phone"] or "none",
        "PIN": lambda one: "yes" if one["pin"] else "no",
        "Provider": "provider",
        "Language": "language",
        "State": _state_in_words,
    }
    found = [one for one in records if state in {None, _state(one)}]
    none = "There is no account yet; add one with 'smsotp user add'."
    if like != "*" or state:
        none = "There is no such account."
    output.listing(found, columns, for_programs=as_json, empty=none)


@click.command()
@account.name_argument
@output.json_option
@pass_site
def show(site: Site, name: str, as_json: bool) -> None:
    """
    Show one account.

    \b
    Examples:
      smsotp user show alice
      smsotp user show alice --json
    """
    now = datetime.now(UTC)
    with site.store.read() as tx:
        one = account.known(tx, name)
        counted = tx.lockout(name)
        stations = tx.locked_stations(now, name)
        devices = tx.devices(name, now)
        running = tx.open_challenges(now, name)
        known = sessions.paired(tx.events(name, sessions.RECENT))
    record = _record(one, counted, stations, now)
    if as_json:
        more: dict[str, Any] = {"devices": len(devices), "open_challenges": len(running)}
        more["sessions"] = [asdict(session) for session in known]
        output.as_json(record | more)
        return
    kept = "no"
    if one.pin_hash:
        seal = f"sealed with {by}" if (by := pins.sealed_with(one.pin_hash)) else "not sealed"
        kept = f"yes, {pins.iterations(one.pin_hash)} rounds, {seal}"
    for title, value in (
        ("Name", name),
        ("Phone", one.phone or "none"),
        ("PIN", kept),
        ("Provider", one.provider or "as in delivery.order"),
        ("Language", one.language or "as the client's"),
        ("State", _state_in_words(record)),
        *(
            ("Locked station", f"{at['station']} at {at['client']} until {output.local(until)}")
            for at in record["locked_stations"]
            if (until := at["until"]) is not None
        ),
        ("Failures in a row", counted.failures),
        ("Remembered devices", len(devices)),
        ("Open challenges", len(running)),
        *(("Session", sessions.told(session)) for session in known[-sessions.SHOWN :]),
    ):
        click.echo(f"{title:<18}  {output.clean(value)}")


def _record(
    one: Account, counted: Lockout, stations: Sequence[Station], now: datetime
) -> dict[str, Any]:
    locked = lockout.is_locked(counted, now)
    return {
        "name": one.name,
        "phone": one.phone,
        "pin": one.pin_hash is not None,
        **output.fields(one, "provider", "language", "enabled"),
        "failures": counted.failures,
        "locked_until": counted.locked_until if locked else None,
        "locked_stations": [
            output.fields(one, "station", "client") | {"until": one.lockout.locked_until}
            for one in stations
        ],
    }


def _state(record: Mapping[str, Any]) -> str:
    """Whether the account can log in: ``enabled``, ``disabled`` or ``locked``, one of them."""
    if not record["enabled"]:
        return "disabled"
    return "locked" if record["locked_until"] else "enabled"


def _state_in_words(record: Mapping[str, Any]) -> str:
    state, stations = _state(record), len(record["locked_stations"])
    if state == "locked":
        return f"locked until {output.local(record['locked_until'])}"
    # A station from which the account has logged in has a lock-out of its own.
    return f"{state}; stations locked: {stations}" if state == "enabled" and stations else state


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


OTHERS = (show, list_accounts, make_codes, list_codes, devices, import_accounts, export_accounts)
for command in OTHERS:
    user.add_command(command)
