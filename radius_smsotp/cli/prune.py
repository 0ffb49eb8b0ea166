"""``smsotp prune``: clean-up."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import click

from radius_smsotp.cli import results, when
from radius_smsotp.cli.courier import log_to_stderr
from radius_smsotp.cli.ending import Ending
from radius_smsotp.cli.results import Results
from radius_smsotp.cli.site import Site
from radius_smsotp.cli.statistics import figures
from radius_smsotp.errors import ConfigurationError, SmsotpError, StoreError
from radius_smsotp.store import Store, statistics
from radius_smsotp.store.transaction import PRUNE_SLICE

log = logging.getLogger(__name__)

CHALLENGES_KEPT = timedelta(days=1)
"""Ended challenges stay so long: a late answer is told apart from one to no challenge at all."""

FIGURES_KEPT = timedelta(days=400)
"""So long quarters of an hour are told apart; what was before stays in the totals."""

SLICE = 500
"""Figures that are moved in one transaction."""

PAUSE = 0.02
"""Seconds between two slices, in which logins get at the store."""

LEAST_OFTEN = timedelta(days=31)
"""Between two clean-ups at most."""

AGAIN_SECONDS = 60.0
"""After which it is tried again, where the store did not answer."""

ROOM = 1_000_000
"""Octets: with fewer on its disk, it is that what keeps a clean-up from its work."""


@click.command()
@click.option(
    "--days",
    type=click.IntRange(1, 36500),
    metavar="N",
    help="Keep events so many days.  [default: audit.days of the settings]",
)
@click.option(
    "--compact", is_flag=True, help="Then write the store anew, as small as it can be; logins wait."
)
@click.option(
    "--every",
    metavar="TIME",
    callback=when.span_of(LEAST_OFTEN),
    help="Go on until SIGTERM, and do it again each time that so long has passed, as 1d.",
)
@results.told
@click.pass_obj
def prune(
    config: Path,
    told: Results,
    /,
    days: int | None,
    compact: bool,
    every: timedelta | None,
) -> None:
    """
    Remove what is past its use.

    That is events that are old enough or too many, challenges that ended more than a day ago,
    failures older than any lock-out, remembered devices whose time is over, and old counts of
    messages.  The figures of 'smsotp stats' stay.  Room that is free afterwards goes back to the
    system.  Logins go on meanwhile, and the disk may be full.  Meant for a timer, once a day; where
    there is none, as in a container, for --every.

    --compact is for a store that an older version has made and that cannot give room back yet:
    once, when nobody logs in.

    \b
    Examples:
      smsotp prune
      smsotp prune --days 30
      smsotp prune --compact
      smsotp prune --every 1d
    """
    if every is None:
        with Site(config) as site:
            _prune(site, told, days, compact=compact)
        return
    if compact:
        raise click.UsageError("--compact and --every exclude each other")
    log_to_stderr()
    ending = Ending()
    seconds = 0.0
    while not ending.within(seconds):
        seconds = every.total_seconds()
        try:
            with Site(config) as site:
                _prune(site, told, days, ending.is_set)
        except (ConfigurationError, StoreError) as error:
            if isinstance(error, ConfigurationError) and not error.passing:
                raise
            seconds = min(seconds, AGAIN_SECONDS)
            log.warning("%s; tried again in %.0f s", error, seconds)


def _prune(
    site: Site,
    told: Results,
    days: int | None,
    is_over: Callable[[], bool] = lambda: False,
    *,
    compact: bool = False,
) -> None:
    store = site.opened
    try:
        with store.room():
            removed, returned = _clean(site, days, is_over)
            if compact:
                idle = store.idle()
                store.compact()
                returned += idle
            idle = store.idle()
    except StoreError as error:
        if not _is_full(store):
            raise
        remedy = f"make room for some megabytes on the disk of {store.folder} first"
        raise SmsotpError(f"{error}; {remedy}") from error
    result = "pruned" if removed or returned else "ok"
    more = {"removed": removed, "given_back": returned, "free": idle}
    told.add(store.name, result, f"removed: {removed}", **more)
    if returned >= ROOM:
        told.note(f"given back: {returned / 1e6:,.0f} MB")
    if idle >= ROOM:
        remedy = "'smsotp prune --compact' gives it back"
        told.note(f"free in the store: {idle / 1e6:,.0f} MB; {remedy}")


def _is_full(store: Store) -> bool:
    """Whether the disk of a store is, or nearly."""
    return store.folder is not None and shutil.disk_usage(store.folder).free < ROOM


def _clean(site: Site, days: int | None, is_over: Callable[[], bool]) -> tuple[int, int]:
    """
    Args:
        is_over: Whether to leave the rest for another time.

    Returns:
        How many rows went, and how many octets the system has again.
    """
    store, audit, now = site.store, site.loaded.values.audit, datetime.now(timezone.utc)
    # What goes was counted before.
    figures.bring_forward(store, now)
    old = now - timedelta(days=days or audit.days)
    with store.read() as tx:
        counted = statistics.start(statistics.slot(now - figures.SETTLED))
        last = tx.figures.event_beyond(audit.events, counted)
    removed, returned, most = 0, 0, PRUNE_SLICE
    while not is_over():
        try:
            with store.write() as tx:
                gone = tx.prune(now - CHALLENGES_KEPT, old, now, events_to=last, most=most)
        except StoreError:
            if most == 1 or not _is_full(store):
                raise
            most = max(most // 4, 1)  # there is room for a few; they make some for more
            continue
        given = store.give_back()
        if not gone and not given:
            break
        removed, returned = removed + gone, returned + given
        time.sleep(PAUSE)
    _fold_figures(store, now, is_over)
    return removed, returned


def _fold_figures(store: Store, now: datetime, is_over: Callable[[], bool]) -> None:
    """Add figures that are too old to be told apart to those of ever."""
    left = True
    while left and not is_over():
        with store.write(figures.COUNTING) as tx:
            left = tx.figures.fold(statistics.slot(now - FIGURES_KEPT), SLICE) > 0
        time.sleep(PAUSE)
