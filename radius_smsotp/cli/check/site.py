"""What is wrong with settings, key, store and providers."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from radius_smsotp.cli import output
from radius_smsotp.cli.check import gateways, host
from radius_smsotp.cli.check.finding import GATEWAYS, SETTINGS, SITE, Finding
from radius_smsotp.cli.site import BRING_BACK, PATIENCE
from radius_smsotp.delivery import compose
from radius_smsotp.delivery.chain import Chain
from radius_smsotp.errors import ConfigurationError, StoreError
from radius_smsotp.model import identity, pin, text
from radius_smsotp.model.records import Account, Event
from radius_smsotp.raddb import freeradius
from radius_smsotp.server import strange_key
from radius_smsotp.settings import file, keyring, last_good, policy
from radius_smsotp.settings.file import Loaded
from radius_smsotp.settings.keyring import Keyring
from radius_smsotp.store import Store, open_store

error, errors, note, warning = SITE.error, SITE.errors, SITE.note, SITE.warning

FEW_ROUNDS = 10_000
"""PBKDF2 rounds below which a stolen store with its key gives PINs away too easily (NIST SP 800-63B
section 5.1.1.2: "typically at least 10,000")."""

STORE = "Without the store every login is refused."

NAMED = 5
"""Accounts that a finding names at most."""

UNPRUNED_DAYS = 3
"""So long after its day an event may still be there: a timer may have missed two."""

LATELY = timedelta(hours=1)
"""For so long noise is worth a word."""

NEAR = 0.1
"""Part of audit.events that is worth a word, below it and above."""

UNSENT_AFTER = timedelta(seconds=10)
"""A message that nobody has taken up for so long is one that nobody looks for."""


def findings(config: Path) -> list[Finding]:
    """Everything there is to say, as far as the settings can be read."""
    try:
        loaded = file.load(config)
    except ConfigurationError as raised:
        why = "FreeRADIUS goes on with the settings from before, but does not start any more."
        if kept := last_good.load(config):
            why = f"FreeRADIUS goes on, and starts, with those of {kept[1]:%c}, which worked."
        return SETTINGS.errors(raised, why)
    found = [*_settings(loaded), *_limits(loaded), *client_findings(loaded), *_key(loaded)]
    try:
        store = open_store(loaded.store_url, PATIENCE)
    except ConfigurationError as raised:
        return found + errors(raised, STORE)
    accounts: list[Account] = []
    found += _store(loaded, store, accounts)
    texts = _texts(loaded, accounts)
    found += _messages(loaded, texts)
    found += gateways.findings(loaded, texts.values())
    found += _replies(loaded, accounts)
    found += _accounts(loaded, accounts)
    try:
        chain = Chain(loaded, store, lambda: datetime.now(timezone.utc))
    except ConfigurationError as raised:
        store.close()
        return found + GATEWAYS.errors(raised, "FreeRADIUS does not start with it.")
    why = "Messages do not leave this way: the next provider sends them, if there is one."
    found += [GATEWAYS.error(one.path, one.fault, one.remedy, why=why) for one in chain.check()]
    why = "Whoever is on the way reads codes, or sends messages at your expense."
    found += [
        GATEWAYS.warning(loaded.place(one.path), one.fault, one.remedy, why=why)
        for one in chain.weaknesses()
    ]
    chain.close()
    store.close()
    return found


def _settings(loaded: Loaded) -> Iterator[Finding]:
    name = loaded.path.name
    for path in (loaded.path, *loaded.secret_files):
        if path.stat().st_mode & stat.S_IROTH:
            fault = "can be read by everybody, and may hold passwords"
            why = "Whoever is on this machine can send messages at your expense."
            where = name if path == loaded.path else str(path)
            yield warning(where, fault, f"chmod o= {path}", why=why)
    for number, line in enumerate(loaded.path.read_text(encoding="utf-8").splitlines(), 1):
        blank = re.search(r"YOUR-[A-Z-]*[A-Z]", line)
        if blank and not line.lstrip().startswith("#"):
            remedy = "write your own; the comment above it says where to find it"
            fault = f"{blank[0]} is still to be filled in"
            why = "The gateway takes no messages from us."
            level = warning if _is_idle(loaded, number) else error
            yield level(f"{name}, line {number}", fault, remedy, why=why)
    if loaded.values.pin.iterations < FEW_ROUNDS:
        fault = f"{loaded.values.pin.iterations} rounds are few"
        remedy = f"take {FEW_ROUNDS} or more"
        why = "Who steals the store, and the key file as well, finds PINs by trying them all."
        yield warning(loaded.place("pin.iterations"), fault, remedy, why=why)
    if loaded.values.pin.shortest < pin.SHORTEST:
        shortest = output.many(loaded.values.pin.shortest, "character")
        fault = f"PINs of {shortest} may be chosen"
        lockout = loaded.values.lockout
        tried = lockout.failures * timedelta(days=1) // timedelta(minutes=lockout.minutes)
        why = f"The lock-out lets {tried} of them be tried in a day."
        remedy = f"take {pin.SHORTEST} or more"
        yield warning(loaded.place("pin.shortest"), fault, remedy, why=why)
    if loaded.values.pin.iterations > FEW_ROUNDS:
        rounds = loaded.values.pin.iterations
        fault = f"{rounds} rounds, as passwords should have; {FEW_ROUNDS} do for PINs"
        yield note(loaded.place("pin.iterations"), fault)
    folders = [one for one in loaded.order if loaded.providers[one].type == "folder"]
    if len(folders) == len(loaded.order):
        fault = "no SMS is sent: all of them only write files"
        why = "Users wait for a code in vain."
        remedy = "add one; see 'smsotp provider preset'"
        yield warning(f"{name}: providers", fault, remedy, why=why)
        folders = []
    for one in folders:
        fault = "sends no SMS: it writes messages, codes and all, into files"
        remedy = "remove it, or name the others in delivery.order"
        why = "When its turn comes, the user waits in vain, and who reads the folder has the code."
        yield warning(loaded.place(f"providers.{one}"), fault, remedy, why=why)


def _is_idle(loaded: Loaded, line: int) -> bool:
    """Whether a line is of a provider that nobody's messages go through, but an account's own."""
    begins = {
        at.line: name
        for name in loaded.providers
        if (at := loaded.written.place(f"providers.{name}")) is not None
    }
    name = begins[max(begins)] if (begins := {a: b for a, b in begins.items() if a <= line}) else ""
    routes = [
        *loaded.values.delivery.prefixes.values(),
        *(w.order for w in loaded.values.ways.values()),
    ]
    return bool(name) and name not in {*loaded.order, *(one for route in routes for one in route)}


def _limits(loaded: Loaded) -> Iterator[Finding]:
    """Whether messages without end may be sent."""
    limits = loaded.values.limits
    bounds = {
        "cooldown": (limits.cooldown, "each repetition of a first step sends another message", 60),
        "per_account_hour": (
            # Where one of the two holds, there is an end.
            limits.per_account_hour or limits.per_number_hour,
            "nor has per_number_hour a limit: one account may be sent messages without end",
            6,
        ),
        "per_day": (limits.per_day, "all together may be sent messages without end", 5000),
    }
    why = (
        "A device that tries its stored PIN again and again, or a thief of one, spends your money."
    )
    for name, (limit, fault, usual) in bounds.items():
        if not limit:
            remedy = f"write {usual}, or what fits"
            yield warning(
                loaded.place(f"limits.{name}"), f"0 is no limit: {fault}", remedy, why=why
            )


def _keys(loaded: Loaded) -> Keyring | None:
    """The keys; None if they cannot be used, which is said elsewhere."""
    try:
        return keyring.read(loaded.key_path)
    except ConfigurationError:
        return None


def _key(loaded: Loaded) -> list[Finding]:
    try:
        keyring.read(loaded.key_path)
    except ConfigurationError as raised:
        return errors(raised, "Without the key no code can be made or known: every login fails.")
    return []


def _known_keys(loaded: Loaded, store: Store) -> list[Finding]:
    """Whether this server has the keys that the store is used with."""
    keys = _keys(loaded)
    if keys is None:
        return []
    ours = keys.fingerprints
    with store.read() as tx:
        known = tx.known_keys()
    lacking = {one: key_id for one, key_id in known.items() if one not in ours}
    if not lacking:
        return []
    why = "FreeRADIUS does not start: it would take right codes for wrong ones."
    if len(lacking) == len(known):
        return errors(ConfigurationError([strange_key(loaded, known)]), why)
    why = "Codes that another server makes with it, and PINs that it seals, do not count here."
    return [
        warning(
            f"key_file ({loaded.key_path})",
            f"the store is used with another key too: {key_id}",
            f"copy the key file from there; if no server has it: 'smsotp key retire {key_id}'",
            why=why,
        )
        for key_id in lacking.values()
    ]


def _store(loaded: Loaded, store: Store, accounts: list[Account]) -> list[Finding]:
    """Look whether the store can be read and written; fill in the accounts."""
    try:
        if not store.exists():
            remedy = f"{BRING_BACK}, or make a new one: 'smsotp init {loaded.path.parent}'"
            return [error(f"store ({store.name})", "is not there", remedy, why=STORE)]
        store.migrate()
        text, doubts = store.inspect()
        place = loaded.place("store").removesuffix("store")
        found = [note("store", text)]
        found += [warning(f"{place}{one.path}", one.fault, one.remedy) for one in doubts]
        found += _known_keys(loaded, store)
        if store.folder is not None:
            found += host.disk_findings(store.folder)
        now = datetime.now(timezone.utc)
        with store.read() as tx:
            accounts += [one for one, _ in tx.accounts()]
            found += _trail(loaded, *tx.figures.kept(), now)
            found += _noise(tx.figures.recent("noise", now - LATELY))
            servers = tx.servers()
            late, queued = now - UNSENT_AFTER, tx.unsent(now, 1000)
        if len(servers) > 1:
            seen = (f"{place} ({at.astimezone():%Y-%m-%d})" for place, at in servers.items())
            found.append(note("servers", f"last seen: {', '.join(seen)}"))
        # One that nobody has held yet waits since it was made.
        waits = [max(one.created_at, message.lease_until or late) for one, message in queued]
        waiting = sum(since <= late for since in waits)
    except ConfigurationError as raised:
        return errors(raised, STORE)
    except StoreError as raised:
        return [error(f"store ({store.name})", str(raised), "free or restore it", why=STORE)]
    if waiting:
        external = loaded.values.delivery.courier == "external"
        remedy = "start 'smsotp courier'" if external else "start FreeRADIUS"
        verb = "waits" if waiting == 1 else "wait"
        fault = f"{output.many(waiting, 'message')} {verb}, and nobody sends them"
        why = "Their users wait for a code in vain."
        return [*found, error("store", fault, remedy, why=why)]
    return found


def _noise(told: Sequence[Event]) -> Iterator[Finding]:
    """Clients that send wrong PINs or made-up names in numbers."""
    for client in sorted({one.client for one in told}):
        own = [one for one in told if one.client == client]
        failures, held = (
            sum(int(one.detail.get(name, 0)) for one in own) for name in ("failures", "held")
        )
        stations = sorted({one.station for one in own} - {""})
        where = f", from {', '.join(stations[:NAMED])}" if stations else ""
        fault = (
            f"{failures:,} wrong PINs or unknown names in an hour, {held:,} not looked at{where}"
        )
        remedy = "find out who is behind it, and stop it there"
        why = "Users behind it wait longer, or have to try twice; others do not notice."
        yield warning(f"client {client}", fault, remedy, why=why)


def _trail(
    loaded: Loaded, number: int, oldest: datetime | None, now: datetime
) -> Iterator[Finding]:
    """Whether the audit trail is cleaned up, and has room for as many days as it shall."""
    audit, path = loaded.values.audit, f"{loaded.path.name}: audit"
    if oldest is None:
        return
    kept = (now - oldest).days
    if kept > audit.days + UNPRUNED_DAYS or number > audit.events * (1 + NEAR):
        fault = f"nobody cleans up: {number:,} events, the oldest {output.many(kept, 'day')} old"
        timer = "smsotp-prune.timer"
        install = f"smsotp init {loaded.path.parent} --units /etc/systemd/system, then "
        enable = f"{'' if freeradius.has_unit(timer) else install}systemctl enable --now {timer}"
        remedy = f"let 'smsotp prune' run once a day: {enable}"
        why = "The store grows until the disk is full, and then every login is refused."
        yield warning(path, fault, remedy, why=why)
    elif number > audit.events * (1 - NEAR):
        fault = f"{number:,} of {audit.events:,} events, the oldest {output.many(kept, 'day')} old"
        remedy = "raise audit.events, or find out with 'smsotp stats' what there is so much of"
        why = "'smsotp prune' removes the oldest of them, although audit.days is not over."
        yield warning(path, fault, remedy, why=why)


def _effective(loaded: Loaded, accounts: list[Account]) -> Iterator[policy.Found]:
    """What may hold for a login, in all languages that are spoken."""
    values = loaded.values
    wanted = {identity.choose_language(one.language or "", loaded.languages) for one in accounts}
    places = [
        ("", ""),
        *((key, ssid) for key, own in values.clients.items() for ssid in ("", *own.ssids)),
    ]
    for tag in ("", *values.languages, *sorted(wanted)):
        for client, ssid in places:
            yield policy.effective(values, client, "", ssid, tag)


def _templates(loaded: Loaded, accounts: list[Account]) -> dict[str, str]:
    """The messages that logins may send, by where they stand."""
    found = {}
    for effective in _effective(loaded, accounts):
        one = effective["message",]
        where = one.source
        if not where.endswith("message"):
            where = "message" if where == policy.DEFAULT else f"message, {where}"
        found[where] = one.value
    return found


def _replies(loaded: Loaded, accounts: list[Account]) -> Iterator[Finding]:
    """What users read that does not fit into a reply."""
    code, most, told = loaded.values.code, text.REPLY_MESSAGE_OCTETS, set[str]()
    minutes = text.whole_minutes(timedelta(seconds=code.lifetime))
    values = {"phone_hint": "***67", "digits": code.digits, "minutes": minutes, "guesses": 1}
    for effective in _effective(loaded, accounts):
        values["resend"] = effective["resend",].value
        octets = {
            name: len(text.fill(one.value, values).encode())
            for name, one in effective.items()
            if name == ("prompt",) or name[0] == "texts"
        }
        first = max((("texts", one) for one in BEFORE_PROMPT), key=octets.__getitem__)
        together = octets[first] + octets["prompt",]
        found = [(name, size, "") for name, size in octets.items() if size > most]
        if together > most and octets["prompt",] <= most:
            longer = max((first, ("prompt",)), key=octets.__getitem__)
            found.append((longer, together, f", texts.{first[1]} and the prompt together"))
        for name, size, beside in found:
            path = effective[name].source
            if path not in told:
                told.add(path)
                fault = f"{size} octets{beside}: a reply holds {most}"
                why = "Users read it cut short; the number, and how long the code is, stay in it."
                remedy = f"make it shorter by {size - most}"
                yield warning(loaded.place(path), fault, remedy, why=why)


def _texts(loaded: Loaded, accounts: list[Account]) -> dict[str, str]:
    """Every SMS that logins may send, at its longest, by where it is written."""
    name = max((one.name for one in accounts), key=len, default="name")
    code = loaded.values.code
    lifetime = timedelta(seconds=code.lifetime)
    return {
        path: compose.text(template, "0" * code.digits, lifetime, name, loaded.values.sms)
        for path, template in _templates(loaded, accounts).items()
    }


def _messages(loaded: Loaded, texts: dict[str, str]) -> Iterator[Finding]:
    """How many SMS the texts need, and in which alphabet; each more costs, and comes later."""
    for path, whole in texts.items():
        where = f"{loaded.path.name}: {path}"
        alphabet = text.alphabet(whole)
        if len(text.split(whole)) == 1:
            yield note(where, text.extent(whole))
            continue
        fault = f"{text.extent(whole)} each time: one takes {alphabet.alone}"
        remedy = "shorten it"
        if alphabet is text.Alphabet.UCS2:
            strange = sorted({char for char in whole if text.alphabet(char) is alphabet})
            fault += f" if it holds {' '.join(strange)}"
            remedy = "do without these letters, or set sms.transliterate, or shorten it"
        why = "Each part is paid for, and the last one to arrive is when it can be read."
        yield warning(where, fault, remedy, why=why)


def _accounts(loaded: Loaded, accounts: list[Account]) -> Iterator[Finding]:
    """Accounts that cannot log in as they are, or that a thief of the store could."""
    may = loaded.values.limits.destinations
    refused: list[str] = []
    barred: dict[str, list[str]] = {}
    for one in accounts:
        if one.phone is None:
            continue
        told = f"{one.name} ({identity.mask_number(one.phone)})"
        if _is_refused(one.phone):
            refused.append(told)
        if found := identity.obstacle(one.phone, may):
            barred.setdefault(identity.tell_obstacle(one.phone, found), []).append(told)
    weak = [one for one in accounts if one.pin_hash and pin.iterations(one.pin_hash) < FEW_ROUNDS]
    keys = _keys(loaded)
    foreign = [
        one.name for one in accounts if keys and one.pin_hash and not keys.has_pin_key(one.pin_hash)
    ]
    if foreign:
        verb = "has a PIN" if len(foreign) == 1 else "have PINs"
        fault = f"{output.many(len(foreign), 'account')} {verb} sealed with a key that is not here"
        remedy = "copy the key file from where it is; if it is lost, set these PINs again"
        why = "They cannot log in at this server."
        yield error("store", f"{fault}: {_named(foreign)}", remedy, why=why)
    plain = [one for one in accounts if one.pin_hash and not pin.sealed_with(one.pin_hash)]
    counts = (
        (
            sum(one.phone is None and not one.is_bare for one in accounts),
            "no phone number: no code can be sent",
            "see 'smsotp user list'; 'smsotp user set NAME --phone …'",
            "They cannot log in, unless SMSOTP-Phone comes from elsewhere.",
        ),
        (
            len(refused),
            f"a phone number that would be refused today: {_named(refused)}",
            "correct it: 'smsotp user set NAME --phone …'",
            "Their codes go there as before: to somebody else maybe, or to nobody.",
        ),
        *(
            (
                len(names),
                f"a phone number that {sentence.partition('; ')[0]}: {_named(names)}",
                sentence.partition("; ")[2],
                "They cannot log in.",
            )
            for sentence, names in sorted(barred.items())
        ),
        (
            sum(one.pin_hash is None for one in accounts),
            "no PIN: FreeRADIUS must check the first factor elsewhere",
            "else 'smsotp user set NAME --pin-stdin'",
            "With pap as first factor, they cannot log in.",
        ),
        (
            sum(one.provider not in {None, *loaded.providers} for one in accounts),
            "a provider that is not in the settings any more",
            "'smsotp user set NAME --no-provider'",
            "Their messages go through delivery.order, as everybody's do.",
        ),
        (
            len(weak),
            f"a PIN of fewer than {FEW_ROUNDS} rounds",
            "they are renewed at their next login with more; or set these PINs again",
            "Who steals the store, and the key file as well, finds them by trying.",
        ),
        (
            len(plain),
            "a PIN hash that is not sealed",
            f"'smsotp init {loaded.path.parent}' seals it",
            "Who steals the store finds the PIN by trying, without the key file.",
        ),
    )
    for number, lack, remedy, why in counts:
        if number:
            verb = "has" if number == 1 else "have"
            fault = f"{output.many(number, 'account')} {verb} {lack}"
            yield warning("store", fault, remedy, why=why)


def _named(names: list[str]) -> str:
    """Some of many accounts."""
    return ", ".join([*names[:NAMED], "…"] if len(names) > NAMED else names)


def _is_refused(phone: str) -> bool:
    """Whether a number of before would be none today, or another one."""
    try:
        return identity.normalise_number(phone) != phone
    except ValueError:
        return True


CLIENT_PATIENCE = 3.0
"""Seconds after which clients ask again or give up: radclient and pam_radius_auth; others, such as
Cisco IOS and FortiOS, take 5."""


BEFORE_PROMPT = ("wrong_code", "resent", "resend_denied")
"""Texts that stand before the prompt."""

BOTH_ORDERS = {"{pin}{code}", "{code}{pin}"}


def waits(loaded: Loaded) -> dict[str, float]:
    """How long the first step may wait for a verdict, seconds, by the path of the setting."""
    return _written(loaded, "delivery", "wait")


def _written(loaded: Loaded, section: str, name: str) -> dict[str, Any]:
    """A setting of which a client may have its own, for all and wherever else it is written."""
    found = {f"{section}.{name}": getattr(getattr(loaded.values, section), name)}
    return found | {
        f"{path}.{name}": getattr(own, name)
        for path, own in policy.scopes(loaded.values)
        if name in own.model_fields_set
    }


def _unasked(loaded: Loaded) -> Iterator[Finding]:
    """Clients that are said to check the first factor, and what a login there is worth then."""
    values = loaded.values
    lockout, limits, code = values.lockout, values.limits, values.code
    tries = lockout.failures * timedelta(days=1) // timedelta(minutes=lockout.minutes)
    if limits.per_account_hour:
        tries = min(tries, 24 * limits.per_account_hour * code.guesses)
    for key, own in values.clients.items():
        if own.first_factor_by_client:
            fault = "a code alone lets in, and anybody's name has one sent"
            remedy = f"let nobody get to client {key} who has not passed its own check, nor know "
            remedy += "its secret; have it sign (require_message_authenticator = yes)"
            if not limits.per_client_hour:
                remedy += "; set limits.per_client_hour"
            chance = 10**code.digits // tries
            why = f"Who gets past that guesses a code with a chance of 1 : {chance:,} a day, for "
            why += "each account."
            place = loaded.place(f"clients.{key}.{policy.TRIGGERS}")
            yield warning(place, fault, remedy, why=why)


def client_findings(loaded: Loaded) -> Iterator[Finding]:
    """Waits that many clients do not sit out, and passwords that could be read in two ways."""
    yield from _unasked(loaded)
    for path, read_as in _written(loaded, "challenge", "forms").items():
        if {*read_as} >= BOTH_ORDERS:
            fault = f"PINs of digits are read as {min(BOTH_ORDERS, key=read_as.index)} only"
            remedy = 'put something between one of them, as "{code},{pin}"'
            why = "The other order is refused, and costs a guess: one password is one guess."
            yield warning(loaded.place(path), fault, remedy, why=why)
    for path, seconds in waits(loaded).items():
        if seconds > CLIENT_PATIENCE:
            fault = f"many clients ask again or give up after {CLIENT_PATIENCE:.0f} s"
            remedy = f"take less than {seconds:g}, or raise the clients' timeout above it"
            why = "The user sees a failed login, and the SMS comes all the same."
            yield warning(f"{loaded.path.name}: {path}", fault, remedy, why=why)
