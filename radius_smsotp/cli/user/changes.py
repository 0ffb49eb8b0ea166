"""``smsotp user add``, ``set`` and ``ensure``: one account, as it shall be."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import click

from radius_smsotp.cli import completion, output, results, when
from radius_smsotp.cli.results import Results
from radius_smsotp.cli.site import Site, pass_site
from radius_smsotp.cli.user import account
from radius_smsotp.errors import SmsotpError
from radius_smsotp.model import pin as pins
from radius_smsotp.model.records import Account
from radius_smsotp.store.transaction import Transaction

Command = Callable[..., None]

LONGEST_OVERRIDE = timedelta(days=92)
"""A quarter of a year: a number for longer is the account's."""

SAME = "The same PIN again"


def _options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one decorator, in the order of the help."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_fields = _options(
    account.name_argument,
    click.option("--phone", metavar="NUMBER", help="Where the codes go, as +491701234567."),
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
        "--language", metavar="TAG", help="What this person reads, as de; see 'smsotp language'."
    ),
    click.option(
        "--way",
        "ways",
        metavar="WORD=ADDRESS",
        multiple=True,
        callback=lambda _context, _option, given: ",".join(given) or None,
        help="Another way, as mail=alice@example.org, or as call for the number; several in their "
        "order.  Words are those of the setting 'ways'.",
    ),
)
"""What an account is made of."""

_more_fields = _options(
    _fields,
    click.option(
        "--until",
        callback=when.end_of(LONGEST_OVERRIDE),
        metavar="WHEN",
        help="The number counts for a time only, before any other: 12h, friday, 2026-12-04.",
    ),
    click.option("--no-provider", is_flag=True, help="Providers as in delivery.order."),
    click.option("--no-language", is_flag=True, help="The language of the client."),
    click.option("--no-ways", is_flag=True, help="SMS alone."),
    account.elsewhere_option,
)
"""The same for one that is there."""


@click.command()
@_fields
@results.told
@pass_site
def add(site: Site, told: Results, /, name: str, phone: str | None, **options: Any) -> None:
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
    fields = _read(site, {**options, "phone": account.ask_phone(phone)})
    with site.store.read() as tx:
        _not_known(tx, name)
    chosen = _pin(site, options, ask=True)
    if chosen is not None:
        fields["pin_hash"] = _hashed(site, name, chosen)
    with site.store.write(name, durable=True) as tx:
        new = replace(_not_known(tx, name), **fields)
        account.save(tx, None, new)
    told.add(name, "added")
    _doubt(site, told, new, phone=True, pin=chosen)


@click.command("set")
@_more_fields
@click.option("--name", "new_name", metavar="NEW", help="Another name, with all that is kept.")
@results.told
@pass_site
def set_(site: Site, told: Results, /, name: str, new_name: str | None, **options: Any) -> None:
    """
    Change an account.

    Codes that are under way become worthless.  With another phone number or PIN, remembered
    devices are forgotten.

    With --until the number goes before the account's own, and before the one that LDAP, SQL or a
    users file gives, and ends by itself; '--until now' ends it at once.

    With --name all that is kept goes along: PIN, failures, devices, what has happened.  Emergency
    codes end.  A directory that knows the name has to be told as well.

    \b
    Examples:
      smsotp user set alice --phone +491707654321
      smsotp user set alice --phone +491707654321 --until friday
      smsotp user set alice --pin-stdin
      smsotp user set alice --way mail=alice@example.org --way call
      smsotp user set alice --name alice.smith
    """
    if new_name is None and not _says_anything(options):
        raise click.UsageError("there is nothing to change; name at least one option")
    if new_name is not None:
        with account.faults_of("--name"):
            new_name = account.read_name(new_name)
            account.refuse_lookalike(new_name)
    _bring(site, told, name, options, new_name=new_name)


@click.command(short_help="Have an account as it shall be: for scripts.")
@_more_fields
@click.option(
    "--state",
    type=click.Choice(["enabled", "disabled", "absent"]),
    help="Whether it may log in, or be there at all.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@results.told
@pass_site
def ensure(
    site: Site, told: Results, /, name: str, state: str | None, dry_run: bool, **options: Any
) -> None:
    """
    Add an account, or change it to what is said, as far as it is not so already.

    What is not said stays as it is; a new account needs --phone.  A PIN that is the account's
    already changes nothing.  Says 'ok', 'added', 'changed' or 'deleted', and exits with 0 for each.

    \b
    Examples:
      smsotp user ensure alice --phone +491701234567 --language de --json
      smsotp user ensure alice --state disabled
      smsotp user ensure bob --state absent
    """
    if state != "absent":
        enabled = None if state is None else state == "enabled"
        _bring(site, told, name, options, enabled=enabled, add=True, dry_run=dry_run)
        return
    if _says_anything(options):
        raise click.UsageError("what shall be absent has no other option")
    with site.store.read() as tx:
        there = tx.account(name) is not None
    if there and not dry_run:
        with site.store.write(name, durable=True) as tx:
            account.remove(tx, name)
    if there:
        told.add(name, "deleted", f"{name}: {'would be ' if dry_run else ''}deleted")
    else:
        told.add(name, "ok")


def _bring(
    site: Site,
    told: Results,
    name: str,
    options: dict[str, Any],
    *,
    new_name: str | None = None,
    enabled: bool | None = None,
    add: bool = False,
    dry_run: bool = False,
) -> None:
    """
    Change an account to what options say.

    Args:
        enabled: Whether it shall be; None: as it is.
        add: It may be new.
    """
    fields = _read(site, options)
    if enabled is not None:
        fields |= {"enabled": enabled, "gone": False}
    until, elsewhere = options["until"], options["elsewhere"]
    may_add = add and until is None and not elsewhere and "phone" in fields

    def find(tx: Transaction) -> tuple[Account, bool]:
        """What there is, and whether it becomes an account of ours now."""
        found = tx.account(name) or Account(name, None)
        if may_add and found.is_bare:
            return found, True
        return _known(tx, name, elsewhere=elsewhere, add=add), False

    with site.store.read() as tx:
        before, is_new = find(tx)
    if is_new:
        with account.faults_of("NAME"):
            account.refuse_lookalike(name)
    elif until is not None:
        fields = _overriding(before, fields, until)
    elif before.is_bare and (_has_pin(options) or "phone" in fields):
        remedy = f"say --until when the number counts, or give it an account with 'user add {name}'"
        raise SmsotpError(f"'{name}' is known elsewhere, and has no account here; {remedy}")
    chosen = _pin(site, options, ask=False)
    if _has_pin(options) and not (chosen and account.is_pin_of(before, chosen, site.keys)):
        fields["pin_hash"] = _hashed(site, name, chosen)
    after, ended = replace(before, **fields), 0
    if not dry_run:
        names = {name, new_name or name}
        keys = site.keys if len(names) > 1 else None
        with site.store.write(*names, durable=True) as tx:
            # It may have changed in the time that hashing takes.
            before, is_new = find(tx)
            after = replace(before, **fields)
            if after != before:
                account.save(tx, before, after)
            if keys is not None:
                ended = account.rename(tx, after, str(new_name), keys)
    changed = account.differing(before, after)
    changed += ["name"] if new_name not in {None, name} else []
    _say(told, name, changed, "added" if is_new else "changed", dry_run=dry_run)
    if ended:
        told.note(f"{new_name}: worthless from now on: {output.many(ended, 'emergency code')}")
    if until is not None or ("phone" in fields and after.overridden(datetime.now(timezone.utc))):
        told.note(f"{name}: {account.override_told(after)}")
    _doubt(site, told, after, phone="phone" in fields, pin=chosen, new=is_new)


def _say(told: Results, name: str, fields: list[str], result: str, *, dry_run: bool) -> None:
    """In which fields an account was changed, or added; or that all was so already."""
    if not fields:
        told.add(name, "ok")
        return
    shown = f"would be {result}" if dry_run else result
    shown += f" ({', '.join(fields)})" if result == "changed" else ""
    told.add(name, result, f"{name}: {shown}", fields=fields)


def _read(site: Site, options: dict[str, Any]) -> dict[str, Any]:
    """What options say of number, provider, language and other ways, for an account."""
    found: dict[str, Any] = {}
    for field in ("phone", "provider", "language", "ways"):
        text, none = options[field], options.get(f"no_{field}", False)
        if none and text is not None:
            given = "way" if field == "ways" else field
            raise click.UsageError(f"--{given} and --no-{field} exclude each other")
        if none or text is not None:
            found[field] = account.option(site.loaded, field, text)
    if "ways" in found:
        found["ways"] = found["ways"] or ()
    return found


def _overriding(before: Account, fields: dict[str, Any], until: datetime) -> dict[str, Any]:
    """The fields of a number for a time; without one the end that is there is moved."""
    number = fields.pop("phone", before.override)
    if number is None:
        raise click.UsageError("--until says how long a number counts; name it with --phone")
    return fields | {"override": number, "override_until": until}


def _known(tx: Transaction, name: str, *, elsewhere: bool, add: bool) -> Account:
    """The account that is to be changed.  Raises SmsotpError if there is none."""
    try:
        return account.known(tx, name, elsewhere=elsewhere)
    except SmsotpError as error:
        if not add:
            raise
        raise SmsotpError(f"{error}; a new account needs --phone") from None


def _not_known(tx: Transaction, name: str) -> Account:
    """What there is of a name without account, which may be known elsewhere, and disabled here."""
    found = tx.account(name) or Account(name, None)
    if not found.is_bare:
        remedy = f"change it with 'smsotp user set {name}'"
        raise SmsotpError(f"there is an account '{name}' already; {remedy}")
    return found


def _doubt(
    site: Site, told: Results, one: Account, *, phone: bool, pin: str | None, new: bool = True
) -> None:
    """See `account.doubts`."""
    for doubt in account.doubts(one, site.loaded, phone=phone, pin=pin):
        told.note(f"{one.name}: {doubt}")
    if new and one.pin_hash is None:
        told.note(f"{one.name} has no PIN: FreeRADIUS must check the first factor elsewhere")


def _says_anything(options: dict[str, Any]) -> bool:
    """Whether options name anything that an account is made of."""
    return any(options[one] not in {None, False} for one in options.keys() - {"elsewhere"})


def _has_pin(options: dict[str, Any]) -> bool:
    """Whether options say anything of a PIN, if only that there shall be none."""
    return options["pin"] is not None or options["pin_stdin"] or options["no_pin"]


def _pin(site: Site, options: dict[str, Any], *, ask: bool) -> str | None:
    """
    The PIN that the options mean, None for no PIN.

    Args:
        ask: Whether to ask for one on a terminal if no option says anything.
    """
    given, from_stdin, none = options["pin"], options["pin_stdin"], options["no_pin"]
    if (given is not None) + from_stdin + none > 1:
        raise click.UsageError("--pin, --pin-stdin and --no-pin exclude each other")
    terminal = sys.stdin.isatty()
    if none or (given is None and not from_stdin and not (ask and terminal)):
        return None
    if given is None and terminal:
        given = click.prompt("PIN", hide_input=True, confirmation_prompt=SAME, err=True)
    elif given is None:
        line = sys.stdin.buffer.readline()
        given = pins.decode(line.removesuffix(b"\n").removesuffix(b"\r"))
    with account.faults_of("--pin"):
        return account.read_pin(str(given), site.loaded)


def _hashed(site: Site, name: str, pin: str | None) -> str | None:
    rounds = site.loaded.values.pin.iterations
    return None if pin is None else account.hashed(name, pin, rounds, site.keys)
