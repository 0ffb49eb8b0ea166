"""Several radiusd behind one, on one store: `smsotp raddb create --workers`."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.raddb import workers as raddb_workers
from tests.freeradius.supplicant import PEAP_GTC, STATION, TTLS_GTC, Supplicant
from tests.freeradius.test_wifi import code
from tests.support.freeradius import Radiusd, Site
from tests.support.ports import free_port
from tests.support.radius import NoReplyError, RadiusClient, Reply
from tests.support.site import PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Callable

WORKERS = 2
USERS = [f"user{number}" for number in range(8)]


def answered(front: Radiusd, name: str, code: str, state: bytes | None) -> Reply | None:
    """The reply to an answer, if there is one."""
    client = RadiusClient(front.port, patience=3)
    try:
        return client.ask(name, code, state)
    except NoReplyError:
        return None


def has_served(worker: Radiusd) -> bool:
    """Whether it has the store open: not before the first login."""
    assert worker.process is not None
    handles = Path(f"/proc/{worker.process.pid}/fd").iterdir()
    return any(handle.readlink().name == "smsotp.db" for handle in handles)


@pytest.fixture
def servers(make_site: Callable[..., Site]) -> tuple[Site, Radiusd, dict[str, Radiusd]]:
    """A site, the front, and its workers."""
    site = make_site(limits={"per_number_hour": 0})
    for name in USERS:
        site.add(name)
    folder, port = site.make_raddb(worker_ports=[free_port() for _ in range(WORKERS)])
    workers = {}
    for name in raddb_workers.names(WORKERS):
        workers[name] = Radiusd(site, folder, port, name)
    front = Radiusd(site, folder, port)
    for one in (*workers.values(), front):
        site.daemons.append(one)
        one.start()
    return site, front, workers


def test_logins_are_shared_out_and_the_client_is_who_asked(
    servers: tuple[Site, Radiusd, dict[str, Radiusd]],
) -> None:
    """Not the front; and another worker takes over what one has begun."""
    site, front, workers = servers
    challenged = {name: front.challenge(name) for name in USERS}
    with site.store.read() as tx:
        assert {one.client for one, _ in tx.open_challenges(datetime.now(UTC))} == {"local"}
    assert all(has_served(worker) for worker in workers.values())
    workers["worker1"].stop()
    # The front gives a worker up after some seconds; a user tries again meanwhile.
    for name, reply in challenged.items():
        answer = partial(answered, front, name, site.code(reply.state), reply.state)
        assert eventually(answer, 40).kind == "Access-Accept", name


@pytest.mark.parametrize("method", [PEAP_GTC, TTLS_GTC], ids=["peap", "ttls"])
def test_a_conversation_of_wifi_stays_with_one_worker(
    servers: tuple[Site, Radiusd, dict[str, Radiusd]], method: str
) -> None:
    """From the first packet of the tunnel to the last; two devices at once."""
    site, front, _ = servers
    for number, name in enumerate(USERS[:3]):
        station = f"{STATION[:-1]}{number}"
        with Supplicant(front, method, name, station=station) as device:
            assert device.question() == "PIN: "
            device.answer(PIN)
            assert device.answer(code(site, name)) is None
            assert device.accepted()
        opened = site.events(name)[0]
        assert (opened.client, opened.station) == ("local", station.replace(":", "-"))


def test_nobody_can_say_that_somebody_else_asked(
    servers: tuple[Site, Radiusd, dict[str, Radiusd]],
) -> None:
    """Only the front tells a worker who has asked, and it asks nobody."""
    site, front, _ = servers
    front.ask("user1", more=[(224, b"vpn"), (225, b"vpn")])
    assert site.events("user1")[0].client == "local"


def test_rejections_and_challenges_are_signed(
    servers: tuple[Site, Radiusd, dict[str, Radiusd]],
) -> None:
    """`Radiusd.ask` takes no reply without a right Message-Authenticator."""
    _, front, _ = servers
    assert front.ask("user1", "wrong").kind == "Access-Reject"
    assert front.ask("user2", PIN).kind == "Access-Challenge"
