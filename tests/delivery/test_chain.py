"""The configured providers, and what is known of each."""

from __future__ import annotations

import logging
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.delivery.breaker import FIRST_PAUSE
from radius_smsotp.delivery.chain import Chain
from radius_smsotp.errors import Busy, Refused, Unavailable, Unknown
from radius_smsotp.model.records import Attempt
from radius_smsotp.providers import Message
from tests.support.site import eventually

if TYPE_CHECKING:
    from tests.store.postgres_server import PostgresServer
    from tests.support.site import Gateways, Node, Site

MESSAGE = Message("0" * 32, "+491701234567", "Your code: 739154", "739154")


@pytest.fixture
def node(site: Site) -> Node:
    """A server, for its settings and its store."""
    return site.node()


@pytest.fixture
def chain(node: Node, site: Site) -> Chain:
    """The providers "first" and "second"."""
    return Chain(node.loaded, node.store, site.clock, passed=site.clock.passed)


def attempt(chain: Chain, name: str = "first") -> Attempt:
    """One attempt, its duration aside."""
    one = chain.attempt(name, MESSAGE)
    assert one.seconds >= 0
    return Attempt(one.provider, one.verdict, one.text, one.message_id)


class TestAttempts:
    def test_an_accepted_message_has_the_providers_name_for_it(self, chain: Chain) -> None:
        """It goes into the audit trail."""
        assert attempt(chain) == Attempt("first", "accepted", "", "first-1")

    @pytest.mark.parametrize(
        ("error", "verdict"),
        [
            (Refused("no such number"), "refused"),
            (Busy("HTTP 503"), "busy"),
            (Unavailable("HTTP 502"), "unavailable"),
            (Unknown("no answer within 10 s"), "unknown"),
        ],
    )
    def test_each_error_is_a_verdict_with_its_text(
        self, chain: Chain, gateways: Gateways, error: Exception, verdict: str
    ) -> None:
        """The provider has seen to it that the text holds no secret."""
        gateways.will("first", error)
        assert attempt(chain) == Attempt("first", verdict, str(error))  # type: ignore[arg-type]

    def test_a_fault_of_a_provider_is_unknown_and_shows_its_type_only(
        self, chain: Chain, gateways: Gateways
    ) -> None:
        """Nobody knows whether the message left; the text of the error may hold all of it."""
        gateways.will("first", ValueError(MESSAGE.text))
        assert attempt(chain) == Attempt("first", "unknown", "internal error (ValueError)")

    def test_a_time_limit_is_that_of_its_provider(self, site: Site) -> None:
        """One that is not configured has none; a route has that of its slowest."""
        providers = {
            "quick": {"type": "scripted", "timeout": 2},
            "slow": {"type": "scripted", "timeout": 30},
        }
        node = site.node(providers=providers)
        chain = node.courier.chain
        assert [chain.timeout(name) for name in ("quick", "slow", "gone")] == [2, 30, 0]
        assert chain.longest(("quick", "slow")) == 30
        assert chain.longest(()) == 0


class TestBreaker:
    def test_a_provider_that_keeps_failing_goes_to_the_end(
        self, chain: Chain, gateways: Gateways, site: Site
    ) -> None:
        """For a pause; then it is tried again in its place."""
        gateways.will("first", Unavailable("HTTP 503"))
        for _ in range(3):
            assert chain.usable(("first", "second")) == ["first", "second"]
            attempt(chain)
        assert chain.usable(("first", "second")) == ["second", "first"]
        site.clock.advance(FIRST_PAUSE.total_seconds())
        assert chain.usable(("first", "second")) == ["first", "second"]

    def test_that_is_recorded_once_and_so_is_the_end(
        self,
        chain: Chain,
        node: Node,
        gateways: Gateways,
        site: Site,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """In the store, for the command line, and in the log."""
        gateways.will("first", *[Unavailable("HTTP 503")] * 4, None)
        with caplog.at_level(logging.WARNING):
            for _ in range(4):
                attempt(chain)
            with node.store.read() as tx:
                assert tx.breakers()["first"][::2] == ("open", "HTTP 503")
            site.clock.advance(FIRST_PAUSE.total_seconds())
            attempt(chain)
        with node.store.read() as tx:
            assert tx.breakers()["first"] == ("closed", site.clock(), "")
        assert [record.message for record in caplog.records] == [
            "provider first is skipped for 15 s: HTTP 503",
            "provider first works again",
        ]

    def test_one_that_is_out_of_order_is_skipped_at_once(
        self, chain: Chain, gateways: Gateways
    ) -> None:
        """Every message would be refused."""
        gateways.will("first", Refused("no credit", out_of_order=True))
        attempt(chain)
        assert chain.usable(("first", "second")) == ["second", "first"]

    def test_one_that_is_busy_is_not_skipped(self, chain: Chain, gateways: Gateways) -> None:
        """Whatever it says to one message: the next one may be the one it has room for."""
        gateways.will("first", Busy("HTTP 429", retry_after=60))
        for _ in range(5):
            assert attempt(chain).verdict == "busy"
        assert chain.usable(("first", "second")) == ["first", "second"]

    def test_a_refusal_says_nothing_against_the_provider(
        self, chain: Chain, gateways: Gateways
    ) -> None:
        """It is about one number."""
        gateways.will("first", Refused("no such number"))
        for _ in range(5):
            attempt(chain)
        assert chain.usable(("first", "second")) == ["first", "second"]

    def test_a_store_that_fails_does_not_lose_the_verdict(
        self, chain: Chain, node: Node, gateways: Gateways, site: Site
    ) -> None:
        """The breaker works without its record; the message would be sent a second time else."""
        node.store._patience = 0.05  # type: ignore[attr-defined]
        node.store.close()
        other = sqlite3.connect(site.store_path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        gateways.will("first", Refused("no credit", out_of_order=True))
        assert attempt(chain).verdict == "refused"
        assert chain.usable(("first", "second")) == ["second", "first"]
        other.execute("ROLLBACK")
        other.close()


class TestSlowProviders:
    def test_one_that_has_not_answered_yet_is_not_waited_for(
        self, chain: Chain, gateways: Gateways, site: Site
    ) -> None:
        """As long as the message is with it."""
        gate = gateways.hang("first")
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(attempt, chain)
            eventually(gateways.names)
            assert chain.patience("first", 1) == 1
            site.clock.advance(1)
            assert chain.patience("first", 1) == 0
            assert chain.patience("first", 2) == 2
            assert chain.patience("second", 1) == 1
            gate.set()
            future.result(20)
        assert chain.patience("first", 1) == 1

    def test_three_of_them_move_it_to_the_end(
        self, chain: Chain, gateways: Gateways, site: Site
    ) -> None:
        """Before any of them has ended: later messages do not queue up behind it."""
        gate = gateways.hang("first")
        with ThreadPoolExecutor(3) as pool:
            futures = [pool.submit(attempt, chain) for _ in range(3)]
            eventually(lambda: len(gateways.names()) == 3)
            site.clock.advance(2)
            assert chain.usable(("first", "second")) == ["second", "first"]
            gate.set()
            for future in futures:
                future.result(20)
        assert chain.usable(("first", "second")) == ["first", "second"]


def test_a_route_may_name_providers_that_are_gone(chain: Chain) -> None:
    """The settings may have changed since it was stored."""
    assert chain.usable(("gone", "second", "gone", "first")) == ["second", "first"]
    assert chain.usable(("gone",)) == []


def test_closing_closes_every_provider(chain: Chain, gateways: Gateways) -> None:
    """Connections and devices."""
    chain.close()
    assert gateways.closed == ["first", "second"]


def test_check_asks_every_provider(site: Site) -> None:
    """And joins what they find."""
    (site.folder / "file").write_text("")
    folder = {"type": "folder", "path": "file"}
    node = site.node(providers={"a": folder, "b": {"type": "scripted"}, "c": folder})
    paths = [problem.path for problem in node.courier.chain.check()]
    assert paths == ["providers.a.path", "providers.c.path"]


def test_what_is_noted_of_a_provider_waits_for_no_login(
    site: Site, gateways: Gateways, postgres_server: PostgresServer
) -> None:
    """Nor does a login wait for it: on PostgreSQL only the same names wait for each other."""
    node = site.node(store=postgres_server.make_url())
    gateways.will("first", Unavailable("busy"))
    chain = Chain(node.loaded, node.store, site.clock, passed=site.clock.passed)
    with node.store.write("alice"):
        for _ in range(3):
            chain.attempt("first", MESSAGE)
        with node.store.read() as tx:
            assert tx.breakers()["first"][0] == "open"
