"""``smsotp trace``: what happened to an account or to one login, in plain words."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from radius_smsotp import audit
from radius_smsotp.cli import output
from radius_smsotp.cli.advice import advice
from radius_smsotp.cli.site import Site
from radius_smsotp.core.name import fold
from radius_smsotp.errors import SmsotpError

if TYPE_CHECKING:
    from pathlib import Path

    from radius_smsotp.core.model import Event

DETAILS = {
    "provider": "provider ",
    "message_id": "message id ",
    "seconds": "seconds ",
    "text": "",
    "fields": "",
    "hours": "hours ",
    "devices": "devices ",
    "ssid": "SSID ",
    "by": "by ",
}
"""What an event's detail holds, in the order and words of a line."""

BEGINNINGS = {
    "challenge-opened",
    "challenge-repeated",
    "device-accepted",
    "device-forgotten",
    "device-remembered",
    "login-refused",
    "pin-wrong",
}
"""Kinds whose line says who asked; the lines after it belong to the same login."""


@click.command()
@click.argument("name", metavar="NAME|TRANSACTION_ID")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1), help="Lines.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def trace(config: Path, name: str, limit: int, as_json: bool) -> None:
    """
    Tell what happened to an account or to one login.

    The latest comes last; after it, where something has failed, what to do.  Codes, PINs
    and whole phone numbers are in no line: they are not kept.

    \b
    Examples:
      smsotp trace alice
      smsotp trace 0b9f3e0c5d7a4f16a2c84d9e6b1f7a30 --json
    """
    with Site(config) as site, site.store.read() as tx:
        found = tx.events(fold(name), limit)
    if as_json:
        output.as_json([_record(event) for event in found])
        return
    if not found:
        kept = f"events are kept for {site.loaded.values.audit.days} days"
        raise SmsotpError(f"nothing is known of '{output.clean(name)}'; {kept}")
    for event in found:
        words, details = audit.KINDS.get(event.kind, event.kind), _details(event)
        told = f"{words} ({details})" if details else words
        click.echo(f"{output.local(event.time)}  {output.clean(told)}")
    if sentence := advice(found[-1]):
        click.echo(f"=> {output.clean(sentence)}")


def _details(event: Event) -> str:
    """What else there is to say, in words."""
    detail = event.detail
    reason = str(detail.get("reason", ""))
    parts = [audit.REASONS.get(reason, reason)] if reason else []
    parts += [f"{words}{detail[key]}" for key, words in DETAILS.items() if key in detail]
    if event.kind in BEGINNINGS:
        parts += [f"client {event.client}"] if event.client else []
        parts += [f"station {event.station}"] if event.station else []
        parts += [f"transaction {event.transaction_id}"] if event.transaction_id else []
    return ", ".join(parts)


def _record(event: Event) -> dict[str, Any]:
    return asdict(event) | {
        "time": output.iso(event.time),
        "meaning": audit.KINDS.get(event.kind, event.kind),
    }
