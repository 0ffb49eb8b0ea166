"""Several instances of our module, on a PostgreSQL: those who wait for it wait side by side."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest

from radius_smsotp.raddb import files, freeradius
from radius_smsotp.store.postgres.store import EVERYTHING
from tests.freeradius.handshakes import HandshakeClient
from tests.freeradius.supplicant import PEAP_GTC, TTLS_GTC, Supplicant
from tests.freeradius.test_wifi import code
from tests.freeradius.test_wifi_once import (
    NAMES,
    PEAP_MSCHAPV2,
    TTLS_MSCHAPV2,
    attempt,
    from_files,
)
from tests.support.accounting import START, STOP, account, told
from tests.support.freeradius import Radiusd, Site
from tests.support.radius import NAS_IDENTIFIER
from tests.support.site import PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.store.postgres_server import PostgresServer

INSTALLED = freeradius.find()
SEVERAL = INSTALLED is not None and INSTALLED.runs_several_instances
pytestmark = pytest.mark.skipif(not SEVERAL, reason="from FreeRADIUS 3.2.7 on")

CROWD = [f"user{number}" for number in range(16)]
USERS = [f"other{number}" for number in range(6)]

KINDS = sorted(
    {"pin-wrong", "challenge-opened", "sms-accepted", "code-accepted", "code-rejected"}
    | {"session-started", "session-ended"}
)

WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


@pytest.fixture(scope="module")
def radiusd(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Radiusd]:
    """A server as `smsotp raddb create` makes it for this store."""
    folder = tmp_path_factory.mktemp("pool") / "site"
    folder.mkdir()
    limits = {"per_number_hour": 0}
    site = Site(folder, store=postgres_server.make_url(), limits=limits)
    for name in ("alice", *CROWD, *USERS):
        site.add(name)
    try:
        yield site.start(edit=from_files)
    finally:
        site.close()


@pytest.fixture
def site(radiusd: Radiusd) -> Site:
    return radiusd.site


def test_it_is_enabled_for_this_store(radiusd: Radiusd) -> None:
    """And nobody waits for the database in another instance once more."""
    links = {name for name in files.INSTANCE_LINKS if (radiusd.folder / name).exists()}
    assert links == {*files.DELIVERY_LINKS, *files.POOL_LINKS}


def test_who_waits_for_the_database_lets_others_wait_beside(radiusd: Radiusd, site: Site) -> None:
    """One instance of the module waits for one at a time, whoever else comes."""
    over = threading.Event()

    def insist(name: str) -> None:
        while not over.is_set():
            radiusd.ask(name, PIN)

    with ThreadPoolExecutor(len(CROWD)) as pool:
        try:
            with (
                psycopg.connect(site._store_url, autocommit=True) as holding,
                psycopg.connect(site._store_url, autocommit=True) as looking,
            ):
                # Nobody can write: each login waits for as long as the store lets it.
                holding.execute("SELECT pg_advisory_lock(%s)", [EVERYTHING])
                asking = [pool.submit(insist, name) for name in CROWD]
                eventually(lambda: looking.execute(WAITING).fetchone()[0] > 2)
        finally:
            over.set()
        for one in asking:
            one.result()
    for name in CROWD[:3]:
        assert radiusd.challenge(name).state


def test_a_login_goes_through_whichever_instance(radiusd: Radiusd, site: Site) -> None:
    """Each step of it through another: PAP and what proves the code, wrong PINs, and accounting."""
    hands = HandshakeClient(radiusd.port)
    for name in USERS:
        assert radiusd.ask(name, "wrong").kind == "Access-Reject"
        # Not UTF-8: the module is called a second time, see smsotp_call.
        asked = radiusd.ask(name, PIN, more=[(NAS_IDENTIFIER, b"B\xfcro")])
        right = site.code(asked.state)
        proved = hands.ask("mschapv2", right, asked.state, name)
        assert proved.kind == "Access-Accept"
        assert radiusd.ask(name, right, asked.state).kind == "Access-Reject"
        for status in (START, STOP):
            assert account(radiusd.port + 1, told(status, user=name.encode())) == {}
    for name in USERS:
        told_of = eventually(lambda name=name: len(k := site.kinds(name)) >= 7 and k)
        assert sorted(told_of) == KINDS


@pytest.mark.parametrize("method", [PEAP_GTC, TTLS_GTC], ids=["peap", "ttls"])
def test_wifi_in_two_rounds(radiusd: Radiusd, site: Site, method: str) -> None:
    for name in CROWD[:3]:
        with Supplicant(radiusd, method, name) as device:
            assert device.question() == "PIN: "
            device.answer(PIN)
            assert device.answer(code(site, name)) is None
            assert device.accepted()


@pytest.mark.parametrize("method", [PEAP_MSCHAPV2, TTLS_MSCHAPV2], ids=["peap", "ttls"])
def test_eap_mschapv2(radiusd: Radiusd, site: Site, method: str) -> None:
    """Its second half calls the module's `authorize` from another section."""
    for name in NAMES[:2]:
        assert not attempt(radiusd, method, PIN, name)
        assert attempt(radiusd, method, PIN + code(site, name), name)
