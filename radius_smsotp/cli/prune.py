"""``smsotp prune``: clean-up."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from radius_smsotp.cli.site import Site

if TYPE_CHECKING:
    from pathlib import Path

CHALLENGES_KEPT = timedelta(days=1)
"""Ended challenges stay so long: a late answer is told apart from one to no challenge at all."""

PAUSE = 0.02
"""Seconds between two slices, in which logins get at the store."""


@click.command()
@click.option(
    "--days",
    type=click.IntRange(min=1),
    help="Keep events so many days.  [default: audit.days of the settings]",
)
@click.pass_obj
def prune(config: Path, days: int | None) -> None:
    """
    Remove what is past its use.

    That is events that are old enough, challenges that ended more than a day ago, failures older
    than any lock-out, remembered devices whose time is over, and old counts of messages.  Logins
    go on meanwhile.  Meant for a timer, once a day.

    \b
    Examples:
      smsotp prune
      smsotp prune --days 30
    """
    now = datetime.now(UTC)
    removed = 0
    with Site(config) as site:
        events_before = now - timedelta(days=days or site.loaded.values.audit.days)
        while True:
            with site.store.write() as tx:
                gone = tx.prune(now - CHALLENGES_KEPT, events_before, now)
            if not gone:
                break
            removed += gone
            time.sleep(PAUSE)
    click.echo(f"removed: {removed}")
