"""``smsotp events``."""

from __future__ import annotations

import itertools
import json
import logging
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import datetime
from pathlib import Path

import click

from radius_smsotp.cli import completion, output, when
from radius_smsotp.cli.courier import log_to_stderr
from radius_smsotp.cli.ending import AGAIN_SECONDS, Ending
from radius_smsotp.cli.events import sinks
from radius_smsotp.cli.events.following import Bookmark, Place
from radius_smsotp.cli.site import Site, acting_as
from radius_smsotp.cli.trace import (
    LOOK_SECONDS,
    Teller,
    follow_option,
    limit_option,
    say,
)
from radius_smsotp.errors import ConfigurationError, Problem, StoreError
from radius_smsotp.model import events as trail
from radius_smsotp.model.identity import fold_name
from radius_smsotp.model.records import Event
from radius_smsotp.server import fingerprint
from radius_smsotp.store.history import Wanted

log = logging.getLogger(__name__)

GROUPS = {
    "failed": {
        *("pin-wrong", "code-wrong", "code-rejected", "login-refused", "eap-refused", "noise"),
        *("first-factor-down", "sms-undelivered", "account-locked", "eap-abandoned"),
    },
    "undelivered": {
        *("sms-refused", "sms-busy", "sms-unavailable", "sms-unknown", "sms-lost"),
        *("sms-undelivered", "sms-resend-denied"),
    },
    "logins": {"code-accepted", "device-accepted"},
    "administration": {
        *(kind for kind in trail.KINDS if kind.startswith(("account-", "codes-", "store-"))),
        "device-forgotten",
    }
    - {"account-locked"},
}
"""What several kinds are asked for by."""

MOST = 5000
"""Events that are read at once, where there are many to make up for."""


def _kinds(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    for one in given:
        if one not in trail.KINDS and one not in GROUPS:
            groups = ", ".join(GROUPS)
            told = f"'{one}' is none of {groups}, and no kind of event"
            raise click.BadParameter(f"{told}; docs/reference/events.rst names them")
        found |= GROUPS.get(one, {one})
    return found


@click.command()
@click.option(
    "--since",
    metavar="WHEN",
    default="1h",
    show_default=True,
    callback=when.beginning(),
    help="From when on: 1h, 3d, today, yesterday, 2026-11-30, or '2026-11-30 18:00'.",
)
@click.option(
    "--account", metavar="NAME", shell_complete=completion.accounts, help="Only of this account."
)
@click.option("--client", metavar="NAME", help="Only of this RADIUS client.")
@click.option(
    "--kind",
    "kinds",
    metavar="KIND",
    multiple=True,
    callback=_kinds,
    help="Only of this kind: failed, undelivered, logins, administration, or one of the audit "
    "trail's; may be given repeatedly.",
)
@limit_option(1000)
@follow_option
@click.option("--json", "as_json", is_flag=True, help="For programs: one object a line.")
@click.option(
    "--sink",
    is_flag=True,
    help="As a service: write what happens from now on to audit.sink, going on where it ended.",
)
@click.pass_obj
def events(
    config: Path,
    since: datetime,
    account: str | None,
    client: str | None,
    kinds: set[str],
    limit: int,
    follow: bool,
    as_json: bool,
    sink: bool,
) -> None:
    """
    Tell what happened to everybody.

    The latest comes last.  Codes, PINs and whole phone numbers are in no line: they are not kept.
    With --sink it is the service that writes the audit trail on, to the journal, a syslog server or
    a file (audit.sink): each event once, whatever restarts in between.

    \b
    Examples:
      smsotp events
      smsotp events --kind failed --since today
      smsotp events --kind undelivered --since 1d --json
      smsotp events --follow
    """
    if sink:
        _serve(config)
        return
    wanted = Wanted(since, fold_name(account or ""), client or "", kinds)
    show = _printer(as_json=as_json)
    with Site(config) as site:
        with site.store.read() as tx:
            place = Place.now(tx)
            found = tx.history.last(wanted, limit + 1)
        if len(found) > limit and not as_json:
            click.echo(f"Of more than {limit} events the latest (--limit):", err=True)
        show(found[-limit:])
        if not found and not follow:
            kept = f"events are kept for {output.many(site.loaded.values.audit.days, 'day')}"
            click.echo(f"Nothing of that since {output.local(since)}; {kept}.", err=True)
        while follow:
            sys.stdout.flush()
            time.sleep(LOOK_SECONDS)
            with site.store.read() as tx:
                show(list(place.fresh(tx, wanted)))


def _printer(*, as_json: bool) -> Callable[[Iterable[tuple[int, Event]]], None]:
    teller = Teller()

    def show(found: Iterable[tuple[int, Event]]) -> None:
        for number, event in found:
            told = teller.tell(event)
            if as_json:
                click.echo(json.dumps(sinks.record(number, event, told)))
                continue
            say(event, f"{event.account or '-'}: {told}")

    return show


def _serve(config: Path) -> None:
    """Write on what happens, until SIGTERM; settings are read again when they change."""
    log_to_stderr()
    ending = Ending()
    with acting_as(Site(config).owner):
        bookmark = Bookmark(config.absolute().with_name(f"{config.name}.sunk"))
        with closing(bookmark):
            while not ending.is_set():
                with Site(config, lenient=True) as site:
                    if site.loaded.values.audit.sink == "none":
                        fault, remedy = "is none", "set it to journal, syslog or file"
                        raise ConfigurationError(
                            [Problem(f"{config.name}: audit.sink", fault, remedy)]
                        )
                    log.info("events are written on: %s", site.loaded.values.audit.sink)
                    _write_on(site, config, bookmark, ending)


def _write_on(site: Site, config: Path, bookmark: Bookmark, ending: Ending) -> None:
    """Write until it is time to end, or the settings have changed."""
    before = fingerprint(config)
    complaint = ""
    place: Place | None = None
    sink: sinks.Sink | None = None
    teller = Teller()
    while before == fingerprint(config):
        try:
            if sink is None or place is None:
                sink = sinks.opened(site.loaded)
                with site.store.read() as tx:
                    place = bookmark.place() or Place.now(tx)
                bookmark.keep(place)
                for number in sink.has():
                    place.saw(number)
            _write_fresh(site, place, sink, bookmark, teller)
            if complaint:
                log.info("events are written on again")
            complaint = ""
        except (OSError, StoreError, ConfigurationError) as error:
            if isinstance(error, ConfigurationError) and not error.passing:
                raise
            told = str(error)
            if told != complaint:
                log.warning("%s; tried again every %.0f s", told, AGAIN_SECONDS)
            complaint = told
        if ending.wait(AGAIN_SECONDS if complaint else LOOK_SECONDS):
            break
    if sink is not None:
        sink.close()


def _write_fresh(
    site: Site, place: Place, sink: sinks.Sink, bookmark: Bookmark, teller: Teller
) -> None:
    """Write what is new, and keep how far that was, whatever comes in between."""
    with site.store.read() as tx:
        fresh = Place(place.number, place.seen)
        found = list(itertools.islice(fresh.fresh(tx), MOST))
    try:
        for number, event in found:
            sink.write(sinks.record(number, event, teller.tell(event)))
            place.saw(number)
    finally:
        if found:
            sink.sync()
            bookmark.keep(place)
