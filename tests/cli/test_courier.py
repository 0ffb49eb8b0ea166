"""``smsotp courier``: real processes on one store."""

from __future__ import annotations

import secrets
import signal
import threading
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from radius_smsotp import keyring
from radius_smsotp.core import code
from radius_smsotp.core.model import Challenge, Delivery
from tests.providers.gateway import Call, Gateway
from tests.site import eventually

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.cli.installation import Installation


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """A gateway that takes every message."""
    with Gateway() as one:
        yield one


def use(here: Installation, gateway: Gateway, **delivery: object) -> None:
    """Let couriers send through the gateway."""
    provider = {
        "type": "http",
        "url": gateway.url,
        "parameter": {"to": "{phone}", "text": "{text}"},
        "return_success": "ID",
        "timeout": 0.5,
    }
    here.write(providers={"gateway": provider}, delivery={"courier": "external", **delivery})


def queue(here: Installation, number: int) -> list[str]:
    """Queue messages as the hooks of a radiusd with an external courier do."""
    keys = keyring.read(here.folder / "key")
    now = datetime.now(UTC)
    made = []
    with here.store().write() as tx:
        for position in range(number):
            transaction_id = secrets.token_hex(16)
            sealed = code.seal(keys.secret, transaction_id, f"+4917000{position:05}")
            delivery = Delivery("queued", ("gateway",), sealed, "{code}", lease_until=now)
            challenge = Challenge(
                transaction_id,
                account=f"user{position}",
                client="vpn",
                station="",
                key_id=keys.current,
                digits=6,
                phone_hint="***00",
                created_at=now,
                expires_at=now + timedelta(minutes=5),
                guesses_left=3,
                state="open",
                delivery=delivery,
            )
            tx.add_challenge(challenge)
            made.append(transaction_id)
    return made


def start(here: Installation) -> subprocess.Popen[str]:
    """A courier, running."""
    import subprocess

    process = here.start("courier", stderr=subprocess.PIPE)
    assert process.stderr is not None
    first = process.stderr.readline()
    assert "has started" in first, first
    return process


def accepted(here: Installation, ids: list[str]) -> int:
    """How many of these messages the store knows as accepted."""
    with here.store().read() as tx:
        found = [tx.challenge(one) for one in ids]
    return sum(one is not None and one.delivery.state == "accepted" for one in found)


def numbers(gateway: Gateway) -> Counter[str]:
    """How often each number was sent to."""
    return Counter(request.query["to"][0] for request in list(gateway.requests))


class TestSending:
    def test_two_couriers_on_one_store_send_each_message_exactly_once(
        self, here: Installation, gateway: Gateway
    ) -> None:
        """However slow the gateway: what one has taken up, the other leaves alone."""
        use(here, gateway, threads=4)
        gateway.behave = lambda call: (gateway.over.wait(0.2), call.answer(200, "ID: 1"))
        ids = queue(here, 200)
        couriers = [start(here), start(here)]
        eventually(lambda: accepted(here, ids) == len(ids), 60)
        assert set(numbers(gateway).values()) == {1}
        assert len(numbers(gateway)) == 200
        assert [one.poll() for one in couriers] == [None, None]
