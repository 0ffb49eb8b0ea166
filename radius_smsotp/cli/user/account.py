"""An account as the administrator writes it, and what a change of it brings about."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import secrets
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import click

from radius_smsotp.cli import completion, output
from radius_smsotp.errors import SmsotpError
from radius_smsotp.model import identity, ways
from radius_smsotp.model import pin as pins
from radius_smsotp.model.identity import fold_name
from radius_smsotp.model.records import Account, Event
from radius_smsotp.settings.file import Loaded
from radius_smsotp.settings.keyring import Keyring
from radius_smsotp.store.transaction import Transaction

NAME_OCTETS = 253
"""RFC 2865 section 5: what an attribute holds at most."""


@contextlib.contextmanager
def faults_of(option: str | None = None) -> Iterator[None]:
    """Put a ValueError down to an option; by default to the parameter that is being read."""
    try:
        yield
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


@faults_of()
def _name_of_argument(ctx: click.Context, param: click.Parameter, value: str) -> str:
    return read_name(value)


name_argument = click.argument(
    "name", callback=_name_of_argument, shell_complete=completion.accounts
)
"""A user name on the command line, folded."""


@faults_of()
def _names_of_argument(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    return tuple(map(read_name, values))


names_argument = click.argument(
    "names",
    nargs=-1,
    required=True,
    metavar="NAME...",
    callback=_names_of_argument,
    shell_complete=completion.accounts,
)
"""Several of them."""


def read_name(text: str) -> str:
    """The key of an account.  Raises ValueError with a sentence."""
    _refuse_controls("the name", text)  # what is blank among them would be none afterwards
    name = fold_name(text)
    _refuse_unsendable("the name", name, NAME_OCTETS)
    return name


def refuse_lookalike(name: str) -> None:
    """
    Raise ValueError for a name that looks like another one, for accounts to come.

    It was pasted, mostly: nobody types characters at a login that are not seen (Cf: of no width, or
    steering others; RFC 8265 section 3.1 has none of them).
    """
    if any(unicodedata.category(char) == "Cf" for char in name):
        raise ValueError("the name holds a character that is not seen")


def ask_phone(given: str | None) -> str:
    """
    The number of an option, or else what is typed on a terminal.

    Raises:
        click.UsageError: There is neither.
    """
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise click.UsageError("Missing option '--phone'.")
    return str(click.prompt("Phone number, as +491701234567", err=True))


def ask_to(question: str, names: Sequence[str], undone: str, *, yes: bool) -> None:
    """
    Ask before something is done to accounts.

    Args:
        question: With {} for their names.
        yes: There is no need to.

    Raises:
        SmsotpError: The answer is no: `undone`.
        click.UsageError: Nobody can be asked.
    """
    if yes or not names:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask on; say --yes")
    if not click.confirm(question.replace("{}", output.clean(", ".join(names))), err=True):
        raise SmsotpError(undone)


def read_phone(text: str, loaded: Loaded) -> str:
    """
    A number in E.164 that messages may go to.

    Raises:
        ValueError: With a sentence, which does not hold the number.
    """
    try:
        phone = identity.normalise_number(text, loaded.values.country)
    except ValueError as error:
        raise ValueError(f"the phone number {error}") from None
    if found := identity.obstacle(phone, loaded.values.limits.destinations):
        raise ValueError(f"the phone number {identity.tell_obstacle(phone, found)}")
    return phone


def doubts(one: Account, loaded: Loaded, *, phone: bool, pin: str | None) -> Iterator[str]:
    """
    What is to be said of an account that is taken all the same.

    Args:
        phone: Whether the number is new.
        pin: The PIN, if that is new.
    """
    if phone and one.phone is not None and identity.number_kind(one.phone) == "landline":
        yield "the phone number is a landline, which messages hardly ever reach"
    if pin is not None and (weakness := pins.weakness(pin, one.name, one.phone)):
        yield f"{WEAK_PIN} {weakness}, which is guessed first"
    if pin is not None and _is_password(pin) and loaded.values.pin.iterations < PASSWORD_ROUNDS:
        yield f"a password rather than a PIN: for those set pin.iterations to {PASSWORD_ROUNDS}"


WEAK_PIN = "the PIN is"
"""How the sentence of `doubts` about a PIN begins."""


def read_pin(text: str, loaded: Loaded) -> str:
    """A PIN that clients can send.  Raises ValueError with a sentence, which does not hold it."""
    pin, shortest = pins.normalise(text), loaded.values.pin.shortest
    _refuse_unsendable("the PIN", pin, pins.LONGEST)
    if len(pin) < shortest:
        raise ValueError(f"the PIN is shorter than {shortest} characters (pin.shortest)")
    return pin


def read_provider(text: str, loaded: Loaded) -> str:
    """The name of a provider in the settings.  Raises ValueError with a sentence."""
    if text not in loaded.providers:
        raise ValueError(f"the provider '{text}' is not one of {', '.join(loaded.providers)}")
    return text


def read_language(text: str, loaded: Loaded) -> str:
    """A language that there are texts in.  Raises ValueError with a sentence."""
    tag, known = identity.fold_language(text), loaded.languages
    if not identity.TAG.fullmatch(tag) or not identity.choose_language(tag, known):
        raise ValueError(f"the language '{text}' is not one of {', '.join(sorted(known))}")
    return tag


def read_ways(text: str, loaded: Loaded) -> tuple[str, ...]:
    """
    Other ways to a person, with commas or semicolons between them; see `model.ways`.

    Raises:
        ValueError: With a sentence, which holds no address.
    """
    found: dict[str, str] = {}
    for one in re.split("[,;]", text):
        way = ways.read(one, loaded.way_kinds, loaded.values.country)
        if way.word in found:
            raise ValueError(f"the way '{way.word}' is given twice")
        if loaded.way_kinds[way.word] == "phone" and way.address:
            read_phone(way.address, loaded)  # limits let messages go there
        found[way.word] = str(way)
    return tuple(found.values())


YES = """yes true 1 on y x ja wahr j oui vrai si sí verdadero vero sim verdadeiro waar tak prawda
ano pravda да истина"""
NO = """no false 0 off n nein falsch non faux falso não nee onwaar nie fałsz ne nepravda нет ложь"""
"""As people and spreadsheets write them in the languages that come along."""


def read_switch(text: str) -> bool:
    """Whether an account is enabled.  Raises ValueError with a sentence."""
    folded = unicodedata.normalize("NFC", text).lower()
    if folded not in {*YES.split(), *NO.split()}:
        raise ValueError("'enabled' is neither yes nor no")
    return folded in YES.split()


FIELDS: Mapping[str, Callable[[str, Loaded], Any]] = {
    "name": lambda text, _: read_name(text),
    "phone": read_phone,
    "pin": read_pin,
    "provider": read_provider,
    "enabled": lambda text, _: read_switch(text),
    "language": read_language,
    "ways": read_ways,
}
"""What an account is made of, each with what reads it."""


def option(loaded: Loaded, field: str, text: str | None) -> Any:
    """What follows the option of a field, None if it was not given.  Raises BadParameter."""
    with faults_of("--way" if field == "ways" else f"--{field}"):
        return None if text is None else FIELDS[field](text, loaded)


def hashed(name: str, pin: str, iterations: int, keys: Keyring) -> str:
    """The sealed hash of an account's PIN, with a salt of its own.  Takes a while, on purpose."""
    made = pins.digest(pin, secrets.token_bytes(pins.SALT_OCTETS), iterations)
    return keys.seal_pin(name, made)


def is_pin_of(one: Account, pin: str, keys: Keyring) -> bool:
    """Whether it is the account's PIN already.  Takes as long as `hashed`."""
    opened = None if one.pin_hash is None else keys.open_pin(one.name, one.pin_hash)
    return opened is not None and pins.is_hash_of(opened, pin)


def _is_password(pin: str) -> bool:
    """Whether it may be meant as one (NIST SP 800-63B section 5.1.1.1: at least 8 characters)."""
    return len(pin) >= 8 and not pin.isdecimal()


PASSWORD_ROUNDS = 210_000
"""OWASP Password Storage Cheat Sheet, PBKDF2-HMAC-SHA512: what may be somewhere else's password
too shall not be found even by who has store and key."""


elsewhere_option = click.option(
    "--elsewhere",
    is_flag=True,
    help="LDAP, SQL or a users file knows this name, though nothing is known of it here yet.",
)
"""Of every command that takes a name of a directory."""


NO_ACCOUNT = "there is no account '{}'; 'smsotp user list' names all"


def own(tx: Transaction, name: str) -> Account:
    """The account of ours of that name.  Raises SmsotpError if there is none."""
    found = tx.account(name)
    if found is None:
        raise SmsotpError(NO_ACCOUNT.replace("{}", name))
    return found


def known(tx: Transaction, name: str, *, elsewhere: bool | None = None) -> Account:
    """
    The account of that name; a bare one for a name that LDAP, SQL or a users file knows.

    Args:
        elsewhere: As in `refuse_unknown`.

    Raises:
        SmsotpError: As there.
    """
    found = tx.account(name)
    if found is None:
        refuse_unknown(tx, name, elsewhere=elsewhere)
    return found or Account(name, None)


def refuse_unknown(tx: Transaction, name: str, *, elsewhere: bool | None = None) -> None:
    """
    Raise SmsotpError for a name that is no account of ours, and was never seen as one.

    Args:
        elsewhere: Whoever types it says that a directory knows it; None if that would not help.
    """
    if elsewhere or tx.is_known(name):
        return
    told = NO_ACCOUNT.replace("{}", name)
    if elsewhere is not None:
        told += "; if LDAP, SQL or a users file knows it, though it was never here, add --elsewhere"
    raise SmsotpError(told)


def override_told(one: Account) -> str:
    """For how long the number of the helpdesk counts."""
    if (
        one.override is None
        or one.override_until is None
        or not one.overridden(datetime.now(timezone.utc))
    ):
        return "the number for a time counts no more"
    hint, until = identity.mask_number(one.override), output.local(one.override_until)
    return f"{hint} goes before any other number until {until}"


def save(tx: Transaction, before: Account | None, after: Account, *, devices: bool = True) -> None:
    """
    Add or change an account, with all that follows from it.

    Codes under way are worthless afterwards: they may have gone to a number that is not
    the user's any more.  A device is remembered for its PIN and number, and as long as the
    account is enabled.

    Args:
        devices: Whether it may have any.
    """
    tx.put_account(after, datetime.now(timezone.utc))
    if before is None or (before.is_bare and not after.is_bare):
        tx.add_event(event("account-added", after.name))
        return
    fields = differing(before, after)
    tx.add_event(event("account-changed", after.name, ", ".join(fields)))
    tx.cancel_challenges(after.name)
    if devices and ({"phone", "override", "pin"} & {*fields} or not after.enabled):
        number = tx.forget_devices(after.name)
        if number:
            tx.add_event(devices_forgotten(after.name, number))


def differing(before: Account, after: Account) -> list[str]:
    """What a change changes, as the trail names it."""
    fields: dict[str, Callable[[Account], object]] = {
        "phone": lambda one: one.phone,
        "override": lambda one: (one.override, one.override_until),
        "pin": lambda one: one.pin_hash,
        "provider": lambda one: one.provider,
        "language": lambda one: one.language,
        "ways": lambda one: one.ways,
        # Who was disabled by a sync, and is by hand, stays so whatever its next file says.
        "enabled" if after.enabled else "disabled": lambda one: (one.enabled, one.gone),
    }
    return [name for name, read in fields.items() if read(before) != read(after)]


def rename(tx: Transaction, before: Account, name: str, keys: Keyring) -> int:
    """
    Give an account another name, with all that is kept of it; emergency codes hang on the old one.

    Returns:
        How many of those were still valid.

    Raises:
        SmsotpError: Something is kept of that name, or the PIN's key is not here.
    """
    if tx.is_known(name):
        remedy = f"'smsotp user erase {name}' frees the name"
        raise SmsotpError(f"something is kept of '{name}' already; {remedy}")
    after = replace(before, name=name)
    if before.pin_hash is not None:
        opened = keys.open_pin(before.name, before.pin_hash)
        if opened is None:
            told = f"the PIN of '{before.name}' is sealed with a key that is not here"
            raise SmsotpError(f"{told}; see 'smsotp check'")
        after = replace(after, pin_hash=keys.seal_pin(name, opened))
    codes, now = tx.emergency(before.name), datetime.now(timezone.utc)
    tx.rename(before.name, name)
    if tx.account(name) is not None:
        tx.put_account(after, now)
    one = event("account-renamed", name)
    tx.add_event(replace(one, detail={"was": before.name, **one.detail}))
    return len(codes.left(now)) if codes else 0


def remove(tx: Transaction, name: str) -> bool:
    """Delete an account, with all that follows from it.  Returns whether it was there."""
    if not tx.delete_account(name):
        return False
    tx.add_event(event("account-deleted", name))
    return True


def event(kind: str, name: str, fields: str = "") -> Event:
    """A line of the audit trail, with who did it."""
    detail: dict[str, str | int | float] = {"fields": fields} if fields else {}
    detail["by"] = os.environ.get("SUDO_USER") or _login_name()
    return Event(kind, datetime.now(timezone.utc), name, detail=detail)


def devices_forgotten(name: str, number: int, station: str = "") -> Event:
    """The event that devices were forgotten: one, wherever it was, or all."""
    one = event("device-forgotten", name)
    return replace(one, station=station, detail={"devices": number, **one.detail})


def _login_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # containers run under numbers that have no name
        return str(os.getuid())


def _refuse_unsendable(what: str, text: str, longest: int) -> None:
    """Raise ValueError for what no attribute of RADIUS can hold."""
    if not text:
        raise ValueError(f"{what} is empty")
    _refuse_controls(what, text)
    if len(text.encode()) > longest:
        raise ValueError(f"{what} is longer than {longest} octets, which RADIUS cannot carry")


def _refuse_controls(what: str, text: str) -> None:
    # Cc: control characters, NUL among them; Cs: octets of the command line that are not UTF-8.
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in text):
        raise ValueError(f"{what} holds a control character, or one that is not UTF-8")
