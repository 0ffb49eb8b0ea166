"""A month of logins in an installation, for the commands that show figures."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from radius_smsotp.cli.statistics import figures
from radius_smsotp.model.records import Event
from radius_smsotp.store import statistics
from radius_smsotp.store.statistics import BOUNDS, Cell, Count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.installation import Installation

PROVIDERS = {
    "gateway": {
        "type": "http",
        "url": "https://sms.example.org/send",
        "parameter": {"to": "{phone}", "text": "{message}"},
        "price": 0.08,
    },
    "backup": {"type": "folder", "path": "outbox"},
}

A_DAY = 10
"""Logins that were asked for a code on each day."""


def a_month(here: Installation, now: datetime | None = None) -> None:
    """Thirty days, today among them, each with the same events, shortly after midnight."""
    here.write(providers=PROVIDERS, currency="CHF")
    latest = (now or datetime.now(UTC)).astimezone()
    midnight = latest.replace(hour=0, minute=0, second=0, microsecond=0)
    rnd = random.Random(1)
    with here.store.write() as tx:
        for back in range(30):
            for kind, detail in _day():
                # Today's are in the future early in the day; that is no matter.
                at = midnight - timedelta(days=back) + timedelta(seconds=rnd.randrange(1, 60))
                tx.add_event(Event(kind, at, "alice", "", "vpn", "", detail))


def _day() -> Iterator[tuple[str, dict[str, Any]]]:
    for number in range(A_DAY):
        yield "challenge-opened", {}
        provider = "backup" if number == 0 else "gateway"
        if number == 0:
            yield "sms-unavailable", {"provider": "gateway", "seconds": 2.0, "text": "503"}
            yield "sms-postponed", {"reason": "busy", "wait": 0.5}
        yield "sms-accepted", {"provider": provider, "seconds": 0.3, "message_id": "7"}
        yield "sms-delivered", {"provider": provider, "seconds": 4.0}
        if number == 1:
            yield "code-rejected", {"reason": "expired"}
        else:
            yield "code-accepted", {}
    yield "device-accepted", {}
    yield "pin-wrong", {}
    yield "login-refused", {"reason": "locked"}


LONG = f"{'operator-of-the-north-' * 3}with-long-name"
"""A provider's name of 80 letters."""


def a_year(here: Installation, now: datetime | None = None, days: int = 366) -> None:
    """
    So many days, today among them: millions of everything there is.

    The last ones have every fifth hour, those before every twenty-fifth, with five times as much.
    """
    priced = {LONG: {"type": "folder", "path": "outbox", "price": 11.75}}
    here.write(providers=PROVIDERS | priced, currency="EUR")
    latest = (now or datetime.now(UTC)).astimezone()
    newest = statistics.slot(latest)
    dice = random.Random(1)
    counts: dict[Cell, Count] = {}
    dense = 31 * 24
    for hours in (*range(0, dense, 5), *range(dense, days * 24, 25)):
        times = 1 if hours < dense else 5
        slot = newest - 4 * hours
        if slot < statistics.slot(figures.midnight(latest, days - 1)):
            break
        for kind, reason, provider, most in _everything():
            bucket = dice.randrange(len(BOUNDS) + 1) if kind == "sms-accepted" else 0
            number = dice.randrange(most) * times
            if number:
                counts[Cell(slot, kind, reason, provider, bucket)] = Count(number, number * 0.3)
    with here.store.write() as tx:
        assert tx.figures.add(counts, tx.figures.counted_until(), newest + 1)


def _everything() -> Iterator[tuple[str, str, str, int]]:
    yield from (("challenge-opened", "", "", 9000), ("account-locked", "", "", 20))
    yield from (("code-accepted", "", "", 8000), ("device-accepted", "", "", 900))
    yield from ((kind, "", "", 200) for kind in ("pin-wrong", "code-wrong", "eap-refused"))
    yield from ((kind, "", "", 50) for kind in ("first-factor-down", "sms-undelivered"))
    for reason in ("expired", "unknown-account", "disabled", "locked", "country", "per_day", "new"):
        yield "login-refused", reason, "", 90
    for provider in (LONG, *PROVIDERS):
        yield "sms-accepted", "", provider, 5000
        for outcome in ("refused", "busy", "unavailable", "unknown", "delivered"):
            yield f"sms-{outcome}", "", provider, 400
