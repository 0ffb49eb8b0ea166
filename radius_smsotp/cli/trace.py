"""``smsotp trace``: what happened to an account or to one login, in plain words."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NoReturn

import click

from radius_smsotp import audit
from radius_smsotp.cli import completion, output
from radius_smsotp.cli.advice import advice
from radius_smsotp.cli.site import Site
from radius_smsotp.cli.story import Teller
from radius_smsotp.core.name import fold
from radius_smsotp.errors import SmsotpError

if TYPE_CHECKING:
    from pathlib import Path

    from radius_smsotp.core.model import Event

STARTS = {"challenge-opened", "device-accepted", "login-refused", "pin-wrong", "eap-refused"}
"""Kinds with which a login begins: on a terminal there is a gap before them."""

GOOD = {"code-accepted", "device-accepted", "sms-accepted", "sms-delivered"}
BAD = {
    "account-locked",
    "code-rejected",
    "eap-refused",
    "first-factor-down",
    "login-refused",
    "sms-refused",
    "sms-undelivered",
}

FOLLOWED = 200
"""Events that are looked through each time; no account has more within half a second."""

LOOK_SECONDS = 0.5
"""How often to look for more."""


@click.command()
@click.argument("name", metavar="NAME|TRANSACTION_ID", shell_complete=completion.accounts)
@click.option(
    "--limit",
    default=50,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="N",
    help="How many lines, the latest ones.",
)
@click.option("--follow", "-f", is_flag=True, help="Go on as things happen, until Ctrl-C.")
@click.option(
    "--json", "as_json", is_flag=True, help="For programs; with --follow one object a line."
)
@click.pass_obj
def trace(config: Path, name: str, limit: int, follow: bool, as_json: bool) -> None:
    """
    Tell what happened to an account or to one login.

    The latest comes last; after it, where something has failed, what to do.  Codes, PINs
    and whole phone numbers are in no line: they are not kept.

    \b
    Examples:
      smsotp trace alice
      smsotp trace alice --follow
      smsotp trace 0b9f3e0c5d7a4f16a2c84d9e6b1f7a30 --json
    """
    with Site(config) as site:
        with site.store.read() as tx:
            newest = tx.newest_event()
            found = tx.numbered_events(fold(name), limit)
        if follow:
            _follow(site, fold(name), newest, found, as_json=as_json)
    events = [event for _, event in found]
    if as_json:
        output.as_json([_record(event) for event in events])
        return
    if not events:
        kept = f"events are kept for {site.loaded.values.audit.days} days"
        raise SmsotpError(f"nothing is known of '{output.clean(name)}'; {kept}")
    teller = Teller()
    for at, event in enumerate(events):
        _show(teller, event, first=at == 0)
    _advise(events[-1])


def _follow(
    site: Site, name: str, newest: int, found: list[tuple[int, Event]], *, as_json: bool
) -> NoReturn:
    """What has happened, and then what happens: events behind the one that was the newest."""
    teller = Teller()
    seen: set[int] = set()
    while True:
        # By numbers that were seen, not by the highest: on PostgreSQL one may come late.
        fresh = [(number, event) for number, event in found if number not in seen]
        for number, event in fresh:
            if as_json:
                click.echo(json.dumps(_record(event)))
            else:
                _show(teller, event, first=not seen)
            seen.add(number)
        sys.stdout.flush()
        time.sleep(LOOK_SECONDS)
        with site.store.read() as tx:
            seen_until, newest = newest, tx.newest_event()
            found = tx.numbered_events(name, FOLLOWED, seen_until)


def _show(teller: Teller, event: Event, *, first: bool) -> None:
    when, told = output.local(event.time), output.clean(teller.tell(event))
    if not sys.stdout.isatty():
        click.echo(f"{when}  {told}")
        return
    if event.kind in STARTS and not first:
        click.echo()
    colour = "green" if event.kind in GOOD else "red" if event.kind in BAD else None
    lines = output.wrapped(told, " " * (len(when) + 2))[len(when) + 2 :]
    click.echo(f"{when}  {output.styled(lines, colour) if colour else lines}")


def _advise(event: Event) -> None:
    if sentence := advice(event):
        told = f"=> {output.clean(sentence)}"
        click.echo(output.wrapped(told, "") if sys.stdout.isatty() else told)


def _record(event: Event) -> dict[str, Any]:
    return asdict(event) | {
        "time": output.iso(event.time),
        "meaning": audit.KINDS.get(event.kind, event.kind),
    }
