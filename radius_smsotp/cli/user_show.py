"""``smsotp user list`` and ``show``.  Here, and only here, numbers are shown whole."""

from __future__ import annotations

from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import click

from radius_smsotp.cli import account, output
from radius_smsotp.cli.site import Site
from radius_smsotp.core import lockout, pin
from radius_smsotp.core.name import fold

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from radius_smsotp.core.model import Account, Lockout

    Station = tuple[str, str, datetime]


@click.command("list", short_help="List accounts: all, or by name or state.")
@click.argument("pattern", required=False, default="*")
@click.option(
    "--state",
    type=click.Choice(["enabled", "disabled", "locked"]),
    help="Only those that can log in, are disabled, or are locked out at the moment.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def list_accounts(config: Path, pattern: str, state: str | None, as_json: bool) -> None:
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
    like = fold(pattern)
    with Site(config) as site, site.store.read() as tx:
        stations = tx.locked_stations(now)
        found = [
            (one, counted)
            for one, counted in tx.accounts()
            if fnmatchcase(one.name, like) and state in {None, _state(one, counted, now)}
        ]
    if as_json:
        output.as_json(
            [_record(one, counted, stations.get(one.name, []), now) for one, counted in found]
        )
        return
    rows = [
        (
            one.name,
            one.phone or "none",
            "yes" if one.pin_hash else "no",
            one.provider or "",
            one.language or "",
            _state_in_words(one, counted, stations.get(one.name, []), now),
        )
        for one, counted in found
    ]
    columns = ("Name", "Phone", "PIN", "Provider", "Language", "State")
    none = "There is no account yet; add one with 'smsotp user add'."
    if like != "*" or state:
        none = "There is no such account."
    output.table(columns, rows, empty=none)


@click.command()
@account.name_argument
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def show(config: Path, name: str, as_json: bool) -> None:
    """
    Show one account.

    \b
    Examples:
      smsotp user show alice
      smsotp user show alice --json
    """
    now = datetime.now(UTC)
    with Site(config) as site, site.store.read() as tx:
        one = account.known(tx, name)
        counted = tx.lockout(name)
        stations = tx.locked_stations(now).get(name, [])
        devices = tx.devices(name, now)
        running = tx.open_challenges(now, name)
    if as_json:
        more = {"devices": len(devices), "open_challenges": len(running)}
        output.as_json(_record(one, counted, stations, now) | more)
        return
    rounds = f"yes, {pin.iterations(one.pin_hash)} rounds" if one.pin_hash else "no"
    for title, value in (
        ("Name", name),
        ("Phone", one.phone or "none"),
        ("PIN", rounds),
        ("Provider", one.provider or "as in delivery.order"),
        ("Language", one.language or "as the client's"),
        ("State", _state_in_words(one, counted, stations, now)),
        *(
            ("Locked station", f"{station} at {client} until {output.local(until)}")
            for client, station, until in stations
        ),
        ("Failures in a row", counted.failures),
        ("Remembered devices", len(devices)),
        ("Open challenges", len(running)),
    ):
        click.echo(f"{title:<18}  {output.clean(value)}")


def _state(one: Account, counted: Lockout, now: datetime) -> str:
    """Whether the account can log in: ``enabled``, ``disabled`` or ``locked``, one of them."""
    if not one.enabled:
        return "disabled"
    return "locked" if lockout.is_locked(counted, now) else "enabled"


def _state_in_words(
    one: Account, counted: Lockout, stations: Sequence[Station], now: datetime
) -> str:
    state = _state(one, counted, now)
    if state == "locked" and counted.locked_until:
        return f"locked until {output.local(counted.locked_until)}"
    # A station from which the account has logged in has a lock-out of its own.
    return (
        f"{state}; stations locked: {len(stations)}" if state == "enabled" and stations else state
    )


def _record(
    one: Account, counted: Lockout, stations: Sequence[Station], now: datetime
) -> dict[str, Any]:
    locked = lockout.is_locked(counted, now)
    return {
        "name": one.name,
        "phone": one.phone,
        "pin": one.pin_hash is not None,
        "provider": one.provider,
        "language": one.language,
        "enabled": one.enabled,
        "failures": counted.failures,
        "locked_until": output.iso(counted.locked_until) if locked else None,
        "locked_stations": [
            {"station": station, "client": client, "until": output.iso(until)}
            for client, station, until in stations
        ],
    }
