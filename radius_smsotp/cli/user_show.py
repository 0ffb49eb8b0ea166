"""``smsotp user list`` and ``show``.  Here, and only here, numbers are shown whole."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from radius_smsotp.cli import account, output
from radius_smsotp.cli.site import Site
from radius_smsotp.core import lockout, pin

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from radius_smsotp.core.model import Account, Lockout

    Station = tuple[str, str, datetime]


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def list_accounts(config: Path, as_json: bool) -> None:
    """
    List all accounts.

    \b
    Examples:
      smsotp user list
      smsotp user list --json | jq -r '.[] | select(.pin | not) | .name'
    """
    now = datetime.now(UTC)
    with Site(config) as site, site.store.read() as tx:
        found = list(tx.accounts())
        stations = tx.locked_stations(now)
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
            _state(one, counted, stations.get(one.name, []), now),
        )
        for one, counted in found
    ]
    columns = ("Name", "Phone", "PIN", "Provider", "Language", "State")
    output.table(columns, rows, empty="There is no account yet; add one with 'smsotp user add'.")


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
        ("State", _state(one, counted, stations, now)),
        *(
            ("Locked station", f"{station} at {client} until {output.local(until)}")
            for client, station, until in stations
        ),
        ("Failures in a row", counted.failures),
        ("Remembered devices", len(devices)),
        ("Open challenges", len(running)),
    ):
        click.echo(f"{title:<18}  {output.clean(value)}")


def _state(one: Account, counted: Lockout, stations: Sequence[Station], now: datetime) -> str:
    """Whether the account can log in, in words."""
    if not one.enabled:
        return "disabled"
    if lockout.is_locked(counted, now) and counted.locked_until:
        return f"locked until {output.local(counted.locked_until)}"
    # A station from which the account has logged in has a lock-out of its own.
    return f"enabled; stations locked: {len(stations)}" if stations else "enabled"


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
