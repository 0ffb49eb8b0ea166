"""A database of several hosts: some are gone, some only read, one lets us in."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from radius_smsotp.store import open_store
from radius_smsotp.store.postgres.hosts import Hosts
from tests.support.site import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.store.postgres_server import PostgresServer

GIVEN = {"host": "192.0.2.1,192.0.2.2,192.0.2.3", "port": "5432,5433,5434", "dbname": "smsotp"}


class Made:
    """A connection that only knows whether it is open."""

    def __init__(self) -> None:
        self.is_open = True

    def close(self) -> None:
        self.is_open = False


class Network:
    """What becomes of each attempt: the port of a host to an error, or to an event to wait for."""

    def __init__(self, **_: Any) -> None:
        self.asked: list[str] = []
        self.made: list[Made] = []
        self.refuses: set[str] = set()
        self.vanished: dict[str, threading.Event] = {}

    def connect(self, **given: Any) -> Made:
        port = str(given["port"])
        self.asked.append(port)
        if port in self.vanished:
            assert self.vanished[port].wait(60)
        if port in self.refuses:
            raise psycopg.OperationalError(port)
        self.made.append(Made())
        return self.made[-1]


@pytest.fixture
def network() -> Iterator[Network]:
    """In which nobody waits for ever."""
    one = Network()
    yield one
    for event in one.vanished.values():
        event.set()


def hosts(**more: str) -> Hosts:
    """Three of them."""
    return Hosts({**GIVEN, **more}, lambda error: f"no {error}")


def test_a_host_that_has_vanished_keeps_nobody_waiting(network: Network) -> None:
    """The next one is asked while it says nothing; should it come back, it is let go of."""
    network.vanished = {port: threading.Event() for port in ("5432", "5433")}
    found = hosts().connect(network.connect)
    assert network.asked == ["5432", "5433", "5434"]
    for event in network.vanished.values():
        event.set()
    eventually(lambda: len(network.made) == 3)
    eventually(lambda: [one.is_open for one in network.made] == [True, False, False])
    assert found.is_open


def test_one_that_says_no_is_passed_over_at_once(network: Network) -> None:
    """The others are not asked for nothing."""
    network.refuses = {"5432"}
    assert hosts().connect(network.connect).is_open
    assert network.asked == ["5432", "5433"]


def test_the_last_one_that_let_us_in_is_asked_first(network: Network) -> None:
    """The primary stays where it is most of the time."""
    three = hosts()
    network.refuses = {"5432", "5433"}
    three.connect(network.connect)
    network.asked.clear()
    three.connect(network.connect)
    assert network.asked == ["5434"]
    network.refuses = {"5432", "5434"}
    three.connect(network.connect)
    assert network.asked == ["5434", "5434", "5432", "5433"]


def test_one_of_no_use_is_asked_behind_the_others(network: Network) -> None:
    """Of two that both let us in: one has been replaced, and does not know that."""
    three = hosts()
    three.connect(network.connect)
    three.doubt()
    network.asked.clear()
    three.connect(network.connect)
    three.connect(network.connect)
    assert network.asked == ["5433", "5433"]
    network.refuses = {"5432", "5434"}
    three.doubt()
    network.asked.clear()
    three.connect(network.connect)
    assert network.asked == ["5432", "5434", "5433"]


def test_what_each_host_says_is_told(network: Network) -> None:
    """Until one lets us in."""
    three = hosts()
    network.refuses = {"5432", "5433", "5434"}
    with pytest.raises(psycopg.OperationalError):
        three.connect(network.connect)
    assert three.failure == "192.0.2.1: no 5432; 192.0.2.2:5433: no 5433; 192.0.2.3:5434: no 5434"
    network.refuses.clear()
    three.connect(network.connect)
    assert three.failure == ""


def test_each_address_of_a_name_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """libpq would ask one after the other; the name stays for its certificate."""

    def look_up(*_: Any, **__: Any) -> list[Any]:
        return [(0, 0, 0, "", (address, 0)) for address in ("2001:db8::1", "192.0.2.1")]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    asked = []

    def connect(**given: Any) -> Made:
        asked.append((given["host"], given["hostaddr"]))
        if given["hostaddr"] == "2001:db8::1":
            raise psycopg.OperationalError("no route")
        return Made()

    Hosts({"host": "db.example.org"}, str).connect(connect)
    assert asked == [("db.example.org", "2001:db8::1"), ("db.example.org", "192.0.2.1")]


def test_a_socket_of_this_machine_has_no_address(network: Network) -> None:
    """It is asked in the thread of whoever asks."""
    here = threading.current_thread()
    found = []

    def connect(**given: Any) -> Made:
        found.append((given, threading.current_thread()))
        return Made()

    Hosts({"host": "/run/postgresql"}, str).connect(connect)
    assert found == [({"host": "/run/postgresql"}, here)]


def test_two_silent_hosts_before_the_living_one(postgres_server: PostgresServer) -> None:
    """Of real ones: nobody waits for the minute that each may take."""
    silent = ("127.0.0.1", 0)
    with socket.create_server(silent) as one, socket.create_server(silent) as other:
        first = ",".join(f"127.0.0.1:{server.getsockname()[1]}" for server in (one, other))
        url = postgres_server.make_url().replace("@", f"@{first},")
        began = time.monotonic()
        store = open_store(f"{url}?connect_timeout=120", 60)
        store.migrate()
        with store.read() as tx:
            assert tx.known_keys() == {}
        assert time.monotonic() - began < 60
        store.close()


def test_a_standby_says_that_it_only_reads(postgres_server: PostgresServer) -> None:
    """In words of ours."""
    url = postgres_server.make_url()
    database = url.rpartition("/")[2]
    postgres_server.run_sql(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    store = open_store(url, 5)
    with pytest.raises(Exception, match="the database is a standby that only reads"):
        store.exists()
