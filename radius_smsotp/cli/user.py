"""``smsotp user``: accounts.  FreeRADIUS reads them at every request, so changes act at once."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from radius_smsotp.cli import account, completion, output
from radius_smsotp.cli.site import Site
from radius_smsotp.cli.user_devices import devices
from radius_smsotp.cli.user_import import export_accounts, import_accounts
from radius_smsotp.cli.user_show import list_accounts, show
from radius_smsotp.core import pin as pins
from radius_smsotp.core.model import Account
from radius_smsotp.errors import SmsotpError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


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


for command in (show, list_accounts, devices, import_accounts, export_accounts):
    user.add_command(command)


def _fields() -> Callable[[Callable[..., None]], Callable[..., None]]:
    """What an account is made of, as options."""
    options = (
        account.name_argument,
        click.option(
            "--phone",
            "number",
            metavar="NUMBER",
            help="Where the codes go, as +491701234567.",
        ),
        click.option(
            "--pin",
            metavar="PIN",
            help="The PIN.  Every user of this machine can see it in the process list.",
        ),
        click.option(
            "--pin-stdin",
            is_flag=True,
            help="Read the PIN from standard input; on a terminal it is asked for twice, hidden.",
        ),
        click.option(
            "--no-pin",
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
        click.pass_obj,
    )

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@user.command()
@_fields()
def add(
    config: Path,
    name: str,
    number: str | None,
    pin: str | None,
    pin_stdin: bool,
    no_pin: bool,
    provider: str | None,
    language: str | None,
) -> None:
    """
    Add an account.

    What is missing is asked for on a terminal.  Elsewhere --phone must be given, and without
    one of the PIN options the account gets none.

    \b
    Examples:
      smsotp user add alice --phone +491701234567
      openssl rand -hex 4 | smsotp user add bob --phone +491707654321 --pin-stdin
    """
    try:
        account.refuse_lookalike(name)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="NAME") from None
    with Site(config) as site:
        new = Account(
            name,
            _number(site, account.ask_phone(number)),
            provider=_provider(site, provider),
            language=account.language_option(site.loaded, language),
        )
        with site.store.read() as tx:
            _refuse_if_known(tx.account(name))
        chosen = _pin(pin, pin_stdin, no_pin, ask=True)
        new = replace(new, pin_hash=_hashed(site, chosen))
        with site.store.write(name, durable=True) as tx:
            _refuse_if_known(tx.account(name))
            account.save(tx, None, new)
    click.echo(f"{name}: added")
    if chosen is None:
        click.echo(f"{name} has no PIN: FreeRADIUS must check the first factor elsewhere")


@user.command("set")
@_fields()
@click.option("--no-provider", is_flag=True, help="Providers as in delivery.order.")
@click.option("--no-language", is_flag=True, help="The language of the client.")
def set_(
    config: Path,
    name: str,
    number: str | None,
    pin: str | None,
    pin_stdin: bool,
    no_pin: bool,
    provider: str | None,
    language: str | None,
    no_provider: bool,
    no_language: bool,
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
    if provider is not None and no_provider:
        raise click.UsageError("--provider and --no-provider exclude each other")
    if language is not None and no_language:
        raise click.UsageError("--language and --no-language exclude each other")
    given = any(value is not None for value in (number, pin, provider, language))
    if not any((given, pin_stdin, no_pin, no_provider, no_language)):
        raise click.UsageError("there is nothing to change; name at least one option")
    with Site(config) as site:
        fields: dict[str, Any] = {}
        if number is not None:
            fields["phone"] = _number(site, number)
        if provider is not None or no_provider:
            fields["provider"] = _provider(site, provider)
        if language is not None or no_language:
            fields["language"] = account.language_option(site.loaded, language)
        with site.store.read() as tx:
            account.known(tx, name)
        if pin is not None or pin_stdin or no_pin:
            fields["pin_hash"] = _hashed(site, _pin(pin, pin_stdin, no_pin, ask=False))
        _change(site, name, **fields)
    click.echo(f"{name}: changed")


@user.command()
@account.name_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def delete(config: Path, name: str, yes: bool) -> None:
    """
    Delete an account, its lock-out and its remembered devices.

    The audit trail keeps what happened.  To keep somebody out for a while, disable the
    account instead.

    \b
    Example:
      smsotp user delete alice --yes
    """
    with Site(config) as site:
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
@click.pass_obj
def enable(config: Path, name: str) -> None:
    """
    Let a disabled account log in again.

    \b
    Example:
      smsotp user enable alice
    """
    with Site(config) as site:
        _change(site, name, enabled=True)
    click.echo(f"{name}: enabled")


@user.command()
@account.name_argument
@click.pass_obj
def disable(config: Path, name: str) -> None:
    """
    Let an account log in no more.

    A session that is open already stays open: FreeRADIUS is only asked at the login.

    \b
    Example:
      smsotp user disable alice
    """
    with Site(config) as site:
        _change(site, name, enabled=False)
    click.echo(f"{name}: disabled")


@user.command()
@account.name_argument
@click.pass_obj
def unlock(config: Path, name: str) -> None:
    """
    End a lock-out, and forget the wrong PINs and codes so far.

    \b
    Example:
      smsotp user unlock alice
    """
    with Site(config) as site, site.store.write(name, durable=True) as tx:
        # A lock-out may belong to a name that only LDAP knows.
        if not tx.clear_lockout(name) | tx.clear_stations(name):
            account.known(tx, name)
            click.echo(f"{name}: was not locked")
            return
        tx.add_event(account.event("account-unlocked", name))
    click.echo(f"{name}: unlocked")


def _change(site: Site, name: str, **fields: Any) -> None:
    with site.store.write(name, durable=True) as tx:
        before = account.known(tx, name)
        after = replace(before, **fields)
        if after != before:
            account.save(tx, before, after)


def _refuse_if_known(found: Account | None) -> None:
    if found is not None:
        remedy = f"change it with 'smsotp user set {found.name}'"
        raise SmsotpError(f"there is an account '{found.name}' already; {remedy}")


def _number(site: Site, text: str) -> str:
    try:
        return account.read_phone(text, site.loaded.values.country)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--phone") from None


def _provider(site: Site, text: str | None) -> str | None:
    try:
        return None if text is None else account.read_provider(text, site.loaded.providers)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--provider") from None


def _pin(given: str | None, from_stdin: bool, none: bool, *, ask: bool) -> str | None:
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
    try:
        return account.read_pin(str(given))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--pin") from None


def _hashed(site: Site, pin: str | None) -> str | None:
    return None if pin is None else account.hashed(pin, site.loaded.values.pin.iterations)
