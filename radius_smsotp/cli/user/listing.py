"""``smsotp user list`` and ``show``: who there is, ours or from elsewhere, and who may log in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from typing import Any

import click

from radius_smsotp.cli import output
from radius_smsotp.cli.results import Results
from radius_smsotp.cli.site import Site, pass_site
from radius_smsotp.cli.user import account, sessions
from radius_smsotp.model import events, lockout
from radius_smsotp.model import pin as pins
from radius_smsotp.model.identity import fold_name
from radius_smsotp.model.records import Account, EmergencyCodes, Event, Lockout, Station

REFUSED = "login-refused"
LET_ON = {"challenge-opened", "code-accepted", "device-accepted"}
"""Events after which a refusal before them is over."""


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

    Names that LDAP, SQL or a users file knows are among them as far as there is something here to
    tell: failures, stations, devices, emergency codes, or what was set for them.

    In PATTERN, * stands for any letters and ? for one; it needs quotes, or the shell looks for
    files of such names.

    \b
    Examples:
      smsotp user list
      smsotp user list "ext-*"
      smsotp user list --state locked
      smsotp user list --json | jq -r '.[] | select(.pin | not) | .name'
    """
    now = datetime.now(timezone.utc)
    like = fold_name(pattern)
    with site.store.read() as tx:
        stations: dict[str, list[Station]] = {}
        for at in tx.locked_stations(now):
            stations.setdefault(at.account, []).append(at)
        codes = {held.account: held for held in tx.emergencies(now)}
        people = [*tx.accounts(), *((Account(name, None), at) for name, at in tx.elsewhere())]
        records = [
            _record(one, counted, stations.get(one.name, []), codes.get(one.name), now)
            for one, counted in sorted(people, key=lambda person: person[0].name)
            if fnmatchcase(one.name, like)
        ]
    columns = {
        "Name": "name",
        "Phone": _phone_in_words,
        "PIN": lambda one: "yes" if one["pin"] else "no",
        "Provider": "provider",
        "Language": "language",
        "State": _state_in_words,
    }
    found = [one for one in records if state in {None, _state(one)}]
    none = "There is no account yet; add one with 'smsotp user add'."
    if like != "*" or state:
        none = "There is no such account."
    output.listing(
        found,
        columns,
        for_programs=as_json,
        empty=none,
        sentences=["Phone", "State"],
        spare=["Language", "Provider"],
    )


@click.command(short_help="Show accounts.")
@account.names_argument
@output.json_option
@pass_site
def show(site: Site, names: tuple[str, ...], as_json: bool) -> None:
    """
    Show accounts; with --json one object after the other.

    \b
    Examples:
      smsotp user show alice
      smsotp user show alice bob --json
    """
    # What is not there is told, and the exit code says so; nothing else is printed of it.
    told, shown = Results(for_programs=False), 0

    def one(name: str) -> None:
        nonlocal shown
        found = _found(site, name)
        if shown and not as_json:
            click.echo()
        shown += 1
        _print(found, as_json=as_json)

    with told:
        told.each(names, one)


@dataclass(frozen=True)
class _Found:
    """All that is shown of one account."""

    one: Account
    record: dict[str, Any]
    counted: Lockout
    devices: int
    challenges: int
    sessions: list[sessions.Session]
    refused: Event | None


def _found(site: Site, name: str) -> _Found:
    now = datetime.now(timezone.utc)
    with site.store.read() as tx:
        one = account.known(tx, name)
        counted, codes = tx.lockout(name), tx.emergency(name)
        trail = tx.events(name, sessions.RECENT)
        return _Found(
            one,
            _record(one, counted, tx.locked_stations(now, name), codes, now),
            counted,
            len(tx.devices(name, now)),
            len(tx.open_challenges(now, name)),
            sessions.paired(trail),
            _last_refusal(trail),
        )


def _last_refusal(trail: Sequence[Event]) -> Event | None:
    """The refusal of a first step, unless the account has come further since."""
    steps = [one for one in trail if one.kind == REFUSED or one.kind in LET_ON]
    return steps[-1] if steps and steps[-1].kind == REFUSED else None


def _print(found: _Found, *, as_json: bool) -> None:
    one, record, refused = found.one, found.record, found.refused
    reason = str(refused.detail.get("reason", "")) if refused else ""
    if as_json:
        more: dict[str, Any] = {"devices": found.devices, "open_challenges": found.challenges}
        more["refused"] = {"at": refused.time, "reason": reason} if refused else None
        told = [asdict(session) for session in found.sessions]
        output.as_json(record | more | {"sessions": told})
        return
    kept = "checked elsewhere" if record["elsewhere"] else "no"
    if one.pin_hash:
        seal = f"sealed with {by}" if (by := pins.sealed_with(one.pin_hash)) else "not sealed"
        kept = f"yes, {pins.iterations(one.pin_hash)} rounds, {seal}"
    pairs = (
        ("Name", one.name),
        ("Phone", _phone_in_words(record, whole=True)),
        *([("Other ways", ", ".join(one.ways))] if one.ways else []),
        ("PIN", kept),
        ("Provider", one.provider or "as in delivery.order"),
        ("Language", one.language or "as the client's"),
        ("State", _state_in_words(record)),
        *(
            ("Locked station", f"{at['station']} at {at['client']} until {output.local(until)}")
            for at in record["locked_stations"]
            if (until := at["until"]) is not None
        ),
        *([("Last refused", _refusal_in_words(refused.time, reason))] if refused else []),
        ("Failures in a row", found.counted.failures),
        ("Emergency codes", _codes_in_words(record)),
        ("Remembered devices", found.devices),
        ("Open challenges", found.challenges),
        *(("Session", sessions.told(session)) for session in found.sessions[-sessions.SHOWN :]),
    )
    output.record(pairs)


def _record(
    one: Account,
    counted: Lockout,
    stations: Sequence[Station],
    codes: EmergencyCodes | None,
    now: datetime,
) -> dict[str, Any]:
    locked, counts = lockout.is_locked(counted, now), one.overridden(now)
    left = codes.left(now) if codes else ()
    return {
        "name": one.name,
        "elsewhere": one.is_bare,
        "phone": one.phone,
        "override": one.override if counts else None,
        "override_until": one.override_until if counts else None,
        "ways": one.ways,
        "pin": one.pin_hash is not None,
        **output.fields(one, "provider", "language", "enabled", "gone"),
        "failures": counted.failures,
        "locked_until": counted.locked_until if locked else None,
        "locked_stations": [
            output.fields(one, "station", "client") | {"until": one.lockout.locked_until}
            for one in stations
        ],
        "emergency_codes": len(left),
        "emergency_until": codes.expires_at if codes and left else None,
    }


def _phone_in_words(record: Mapping[str, Any], *, whole: bool = False) -> str:
    usual = record["phone"] or ("elsewhere" if record["elsewhere"] else "none")
    if not record["override"]:
        return str(usual)
    told = f"{record['override']} until {output.local(record['override_until'])}"
    return f"{told}, then {usual}" if whole else told


def _codes_in_words(record: Mapping[str, Any]) -> str:
    until = record["emergency_until"]
    return f"{record['emergency_codes']}, until {output.local(until)}" if until else "0"


def _refusal_in_words(time: datetime, reason: str) -> str:
    return f"{output.local(time)}: {events.REASONS.get(reason, reason)}"


def _state(record: Mapping[str, Any]) -> str:
    """Whether the account can log in: ``enabled``, ``disabled`` or ``locked``, one of them."""
    if not record["enabled"]:
        return "disabled"
    return "locked" if record["locked_until"] else "enabled"


def _state_in_words(record: Mapping[str, Any]) -> str:
    state, stations = _state(record), len(record["locked_stations"])
    if record["gone"]:
        state += ": not in the file of 'sync'"
    if state == "locked":
        return f"locked until {output.local(record['locked_until'])}"
    # A station from which the account has logged in has a lock-out of its own.
    state += f"; stations locked: {stations}" if state == "enabled" and stations else ""
    return f"{state}; emergency code" if record["emergency_codes"] else state
