"""
Metrics for Prometheus, named by its conventions (prometheus.io/docs/practices/naming).

Counters are sums over all that ever happened, from the store: they never go down, whichever process
is asked and whatever `smsotp prune` removes.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

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
from radius_smsotp.cli.statistics.figures import VERDICTS, Provider, Summary
from radius_smsotp.errors import SmsotpError
from radius_smsotp.model import events
from radius_smsotp.settings.file import Loaded
from radius_smsotp.store.statistics import BOUNDS

log = logging.getLogger(__name__)

MOST_WAITING = 100_000
"""Messages that are counted at most; more of them are no better news."""


class Collector(Collecting):
    """What is asked whenever Prometheus asks us.  One answer at a time."""

    def __init__(self, config: Path) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._site: Site | None = None
        self._changed = 0.0

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry need not ask for all of it in order to know the names."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All metrics, or only that there is something wrong."""
        with self._lock:
            found: list[Metric] = []
            try:
                found = list(self._all())
            except SmsotpError as error:
                log.warning("the store or the settings cannot be read: %s", error)
                self._forget()
            yield GaugeMetricFamily(
                "smsotp_up", "Whether settings and store could be read.", value=bool(found)
            )
            info = InfoMetricFamily("smsotp_build", "Which version this is.")
            info.add_metric([], {"version": __version__})
            yield info
            yield from found

    def close(self) -> None:
        """Let go of the store."""
        with self._lock:
            self._forget()

    def _all(self) -> Iterator[Metric]:
        site = self._current()
        now = datetime.now(UTC)
        figures.bring_forward(site.store, now)
        summary = figures.summarise(figures.ever(site.store))
        yield from _logins(summary)
        yield from _messages(summary, site.loaded)
        yield from _present(site, now)

    def _current(self) -> Site:
        """The site, read again if its settings have changed."""
        changed = self._config.stat().st_mtime if self._config.exists() else -1.0
        if self._site is None or changed != self._changed:
            self._forget()
            self._site, self._changed = Site(self._config), changed
        return self._site

    def _forget(self) -> None:
        if self._site is not None:
            self._site.__exit__()
        self._site = None


def _logins(summary: Summary) -> Iterator[Metric]:
    yield CounterMetricFamily(
        "smsotp_challenges", "Logins that were asked for a code.", value=summary.opened
    )
    logins = CounterMetricFamily("smsotp_logins", "Logins that were let in.", labels=["method"])
    for method in ("code", "device"):
        logins.add_metric([method], summary.kinds[f"{method}-accepted"])
    yield logins
    refused = CounterMetricFamily(
        "smsotp_refusals",
        "Answers that refused a login, by step and reason; one login may be refused repeatedly.",
        labels=["step", "reason"],
    )
    found = figures.refusals(summary)
    # All there are, from the start: Prometheus misses the first one of a series that is new.
    reasons = itertools.product(("first", "second"), events.REASONS)
    for key in dict.fromkeys((*found, *reasons)):
        refused.add_metric([*key], found.get(key, ("", 0))[1])
    yield refused
    yield CounterMetricFamily(
        "smsotp_lockouts",
        "Accounts locked after too many wrong PINs and codes.",
        value=summary.kinds["account-locked"],
    )
    resends = CounterMetricFamily(
        "smsotp_resends", "Times a user asked for one more SMS.", labels=["result"]
    )
    resends.add_metric(["sent"], summary.kinds["sms-resent"])
    resends.add_metric(["denied"], summary.kinds["sms-resend-denied"])
    yield resends


def _messages(summary: Summary, loaded: Loaded) -> Iterator[Metric]:
    providers = {name: Provider() for name in loaded.providers} | summary.providers
    attempts = CounterMetricFamily(
        "smsotp_messages",
        "Attempts to send a message, by what the provider made of them.",
        labels=["provider", "verdict"],
    )
    reports = CounterMetricFamily(
        "smsotp_message_reports",
        "Delivery reports of the network.",
        labels=["provider", "outcome"],
    )
    seconds = HistogramMetricFamily(
        "smsotp_message_duration_seconds",
        "How long providers took to accept a message.",
        labels=["provider"],
    )
    prices = GaugeMetricFamily(
        "smsotp_message_price",
        "What one message costs, as in the settings.",
        labels=["provider", "currency"],
    )
    for name, one in providers.items():
        for verdict in VERDICTS:
            attempts.add_metric([name, verdict], one.verdicts[verdict])
        reports.add_metric([name, "delivered"], one.delivered)
        reports.add_metric([name, "lost"], one.lost)
        bounds = [*map(str, BOUNDS), "+Inf"]
        buckets = list(zip(bounds, itertools.accumulate(one.buckets), strict=True))
        seconds.add_metric([name], buckets, one.seconds)
    for name, price in loaded.prices.items():
        prices.add_metric([name, loaded.values.currency], price)
    yield from (attempts, reports, seconds, prices)


def _present(site: Site, now: datetime) -> Iterator[Metric]:
    """How things stand at this moment."""
    with site.store.read() as tx:
        accounts = tx.count_accounts(now)
        running = len(tx.open_challenges(now))
        waiting = tx.unsent(now, MOST_WAITING)
        breakers = tx.breakers()
    states = GaugeMetricFamily(
        "smsotp_accounts",
        "Accounts; those that are locked at the moment are enabled or disabled as well.",
        labels=["state"],
    )
    for state, number in accounts.items():
        states.add_metric([state], number)
    yield states
    yield GaugeMetricFamily(
        "smsotp_open_challenges", "Logins that wait for their code.", value=running
    )
    yield GaugeMetricFamily(
        "smsotp_waiting_messages",
        "Messages that no courier has taken up.",
        value=len(waiting),
    )
    oldest = min((one.created_at for one, _ in waiting), default=now)
    yield GaugeMetricFamily(
        "smsotp_oldest_waiting_message_seconds",
        "How long the oldest of them has been waiting; 0 if there is none.",
        value=(now - oldest).total_seconds(),
    )
    used = GaugeMetricFamily(
        "smsotp_provider_up",
        "Whether a provider is used: 0 while it is skipped because it kept failing.",
        labels=["provider"],
    )
    for name in site.loaded.providers:
        used.add_metric([name], breakers.get(name, ("closed",))[0] != "open")
    yield used
