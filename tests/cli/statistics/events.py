"""A month of logins in an installation, for the commands that show figures."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from radius_smsotp.model.records import Event

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
        yield "sms-accepted", {"provider": provider, "seconds": 0.3, "message_id": "7"}
        yield "sms-delivered", {"provider": provider}
        if number == 1:
            yield "code-rejected", {"reason": "expired"}
        else:
            yield "code-accepted", {}
    yield "device-accepted", {}
    yield "pin-wrong", {}
    yield "login-refused", {"reason": "locked"}
