"""``smsotp prune``: clean-up."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import click

from radius_smsotp.cli.site import Site, pass_site
from radius_smsotp.cli.statistics import figures
from radius_smsotp.store import Store, statistics

CHALLENGES_KEPT = timedelta(days=1)
"""Ended challenges stay so long: a late answer is told apart from one to no challenge at all."""

FIGURES_KEPT = timedelta(days=400)
"""So long quarters of an hour are told apart; what was before stays in the totals."""

SLICE = 500
"""Figures that are moved in one transaction."""

PAUSE = 0.02
"""Seconds between two slices, in which logins get at the store."""


@click.command()
@click.option(
    "--days",
    type=click.IntRange(1, 36500),
    metavar="N",
    help="Keep events so many days.  [default: audit.days of the settings]",
)
@pass_site
def prune(site: Site, days: int | None) -> None:
    """
    Remove what is past its use.

    That is events that are old enough, challenges that ended more than a day ago, failures older
    than any lock-out, remembered devices whose time is over, and old counts of messages.  The
    figures of 'smsotp stats' stay.  Logins go on meanwhile.  Meant for a timer, once a day.

    \b
    Examples:
      smsotp prune
      smsotp prune --days 30
    """
    now = datetime.now(UTC)
    removed = 0
    # What goes was counted before.
    figures.bring_forward(site.store, now)
    events_before = now - timedelta(days=days or site.loaded.values.audit.days)
    while True:
        with site.store.write() as tx:
            gone = tx.prune(now - CHALLENGES_KEPT, events_before, now)
        if not gone:
            break
        removed += gone
        time.sleep(PAUSE)
    _fold_figures(site.store, now)
    click.echo(f"removed: {removed}")


def _fold_figures(store: Store, now: datetime) -> None:
    """Add figures that are too old to be told apart to those of ever."""
    left = True
    while left:
        with store.write(figures.COUNTING) as tx:
            left = tx.figures.fold(statistics.slot(now - FIGURES_KEPT), SLICE) > 0
        time.sleep(PAUSE)
