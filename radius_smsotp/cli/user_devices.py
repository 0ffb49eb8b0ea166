"""``smsotp user devices``: which of a user's devices need no code for a while."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from radius_smsotp.cli import account, output
from radius_smsotp.cli.site import Site
from radius_smsotp.core.station import normalise
from radius_smsotp.errors import SmsotpError

if TYPE_CHECKING:
    from pathlib import Path


@click.command(short_help="List remembered devices, or forget them.")
@account.name_argument
@click.option(
    "--forget", metavar="STATION", help="Forget this one, in any writing: it needs a code again."
)
@click.option("--forget-all", is_flag=True, help="Forget all of them.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def devices(config: Path, name: str, forget: str | None, forget_all: bool, as_json: bool) -> None:
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
        _forget(config, name, None if forget is None else normalise(forget))
        return
    with Site(config) as site, site.store.read() as tx:
        found = tx.devices(name, datetime.now(UTC))
    if as_json:
        output.as_json(
            [
                {
                    "station": one.station,
                    "ssid": one.ssid,
                    "client": one.client,
                    "until": output.iso(one.expires_at),
                }
                for one in found
            ]
        )
        return
    rows = [(one.station, one.ssid, one.client, output.local(one.expires_at)) for one in found]
    columns = ("Device", "SSID", "Client", "Until")
    output.table(columns, rows, empty=f"{name}: no device is remembered")


def _forget(config: Path, name: str, station: str | None) -> None:
    """Forget one device, or all."""
    with Site(config) as site, site.store.write(name, durable=True) as tx:
        number = tx.forget_devices(name, station)
        if number:
            tx.add_event(account.devices_forgotten(name, number, station or ""))
    if station is not None and not number:
        known = f"'smsotp user devices {name}' names all"
        raise SmsotpError(f"{name}: no device '{station}' is remembered; {known}")
    click.echo(f"{name}: devices forgotten: {number}")
