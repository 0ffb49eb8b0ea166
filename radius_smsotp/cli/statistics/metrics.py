"""
Metrics for Prometheus, named by its conventions (prometheus.io/docs/practices/naming).

Counters are sums over all that ever happened, from the store: they never go down, whichever process
is asked and whatever `smsotp prune` removes.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector as Collecting

from radius_smsotp import __version__
from radius_smsotp.cli.site import Site
from radius_smsotp.cli.statistics import figures
from radius_smsotp.cli.statistics.figures import VERDICTS, Provider, Timing
from radius_smsotp.errors import SmsotpError
from radius_smsotp.model import events

log = logging.getLogger(__name__)

MOST_WAITING = 100_000
"""Messages that are counted at most; more of them are no better news."""


class Collector(Collecting):
    """What is asked whenever Prometheus asks us: settings and store are opened each time."""

    def __init__(self, config: Path) -> None:
        self._config = config

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry need not ask for all of it in order to know the names."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All metrics, or only that there is something wrong."""
        found: list[Metric] = []
        try:
            with Site(self._config, lenient=True) as site:
                found = [*_past(site), *_present(site)]
        except SmsotpError as error:
            log.warning("the store or the settings cannot be read: %s", error)
        yield _gauge("up", "Whether settings and store could be read.", [], {(): bool(found)})
        info = InfoMetricFamily("smsotp_build", "Which version this is.")
        info.add_metric([], {"version": __version__})
        yield info
        yield from found


def _metric(
    kind: type[CounterMetricFamily | GaugeMetricFamily],
    name: str,
    meaning: str,
    labels: Sequence[str],
    series: Mapping[Any, float],
) -> Metric:
    """A metric; `series`: values of the labels, in their order, to the number."""
    found = kind(f"smsotp_{name}", meaning, labels=labels)
    for values, number in series.items():
        found.add_metric(values, number)
    return found


_counter = partial(_metric, CounterMetricFamily)
_gauge = partial(_metric, GaugeMetricFamily)


def _histogram(name: str, meaning: str, timings: Mapping[str, Timing]) -> Metric:
    """A histogram of what providers took, by their names."""
    found = HistogramMetricFamily(f"smsotp_{name}", meaning, labels=["provider"])
    for provider, one in timings.items():
        bounds = [*map(str, one.bounds), "+Inf"]
        buckets = list(zip(bounds, itertools.accumulate(one.buckets), strict=True))
        found.add_metric([provider], buckets, one.seconds)
    return found


def _past(site: Site) -> Iterator[Metric]:
    """What has happened, ever."""
    figures.bring_forward(site.store, datetime.now(timezone.utc))
    summary = figures.summarise(figures.ever(site.store))
    kinds = summary.kinds
    yield _counter("challenges", "Logins that were asked for a code.", [], {(): summary.opened})
    methods = {(one,): kinds[f"{one}-accepted"] for one in ("code", "device")}
    yield _counter("logins", "Logins that were let in.", ["method"], methods)
    # All there are, from the start: Prometheus misses the first one of a series that is new.
    known = [*itertools.product(("first", "second"), events.REASONS), *figures.REFUSALS.values()]
    yield _counter(
        "refusals",
        "Answers that refused a login, by step and reason; one login may be refused repeatedly.",
        ["step", "reason"],
        dict.fromkeys((one for one in known if one[1]), 0) | summary.refusals,
    )
    yield _counter(
        "lockouts",
        "Accounts locked after too many wrong PINs and codes.",
        [],
        {(): kinds["account-locked"]},
    )
    yield _counter(
        "resends",
        "Times a user asked for one more SMS.",
        ["result"],
        {("sent",): kinds["sms-resent"], ("denied",): kinds["sms-resend-denied"]},
    )
    providers = {name: Provider() for name in site.loaded.providers} | summary.providers

    def outcomes(names: Iterable[str]) -> dict[tuple[str, str], int]:
        pairs = itertools.product(providers, names)
        return {(name, outcome): providers[name].outcomes[outcome] for name, outcome in pairs}

    yield _counter(
        "messages",
        "Attempts to send a message, by what the provider made of them.",
        ["provider", "verdict"],
        outcomes(VERDICTS),
    )
    yield _counter(
        "postponed",
        "Times a message was to be sent later, for want of room or of a turn (per_second).",
        ["reason"],
        {(reason,): summary.postponed[reason] for reason in ("busy", "pace")},
    )
    yield _counter(
        "message_reports",
        "Delivery reports of the network.",
        ["provider", "outcome"],
        outcomes(("delivered", "lost")),
    )
    yield _histogram(
        "message_duration_seconds",
        "How long providers took to accept a message.",
        {name: one.taking for name, one in providers.items()},
    )
    yield _histogram(
        "message_arrival_seconds",
        "How long after that the network reported that it has arrived.",
        {name: one.arriving for name, one in providers.items()},
    )


def _present(site: Site) -> Iterator[Metric]:
    """How things stand at this moment."""
    loaded, now = site.loaded, datetime.now(timezone.utc)
    with site.store.read() as tx:
        accounts = tx.count_accounts(now)
        running = len(tx.open_challenges(now))
        waiting = tx.unsent(now, MOST_WAITING)
        postponed = tx.postponed(now)
        breakers = tx.breakers()
    valid = "Whether the settings work as they are in the file; else the last that did are used."
    yield _gauge("settings_valid", valid, [], {(): not site.is_outdated})
    yield _gauge(
        "message_price",
        "What one message costs, as in the settings.",
        ["provider", "currency"],
        {(name, loaded.values.currency): price for name, price in loaded.prices.items()},
    )
    yield _gauge(
        "accounts",
        "Accounts; those that are locked at the moment are enabled or disabled as well.",
        ["state"],
        {(state,): number for state, number in accounts.items()},
    )
    yield _gauge("open_challenges", "Logins that wait for their code.", [], {(): running})
    taken = "Messages that no courier has taken up."
    yield _gauge("waiting_messages", taken, [], {(): len(waiting)})
    later = "Messages that wait for their turn, or to be tried again."
    yield _gauge("postponed_messages", later, [], {(): postponed})
    oldest = min((one.created_at for one, _ in waiting), default=now)
    yield _gauge(
        "oldest_waiting_message_seconds",
        "How long the oldest of them has been waiting; 0 if there is none.",
        [],
        {(): (now - oldest).total_seconds()},
    )
    states = {name: breakers.get(name, ("closed",))[0] for name in loaded.providers}
    yield _gauge(
        "provider_up",
        "Whether a provider is used: 0 while it is skipped because it kept failing.",
        ["provider"],
        {(name,): state != "open" for name, state in states.items()},
    )
