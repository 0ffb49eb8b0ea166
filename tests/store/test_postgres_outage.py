"""A database that goes away, and comes back: nobody waits for long, and nothing is lost."""

from __future__ import annotations

import re
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import psycopg
import pytest

from radius_smsotp.errors import ConfigurationError, StoreError
from radius_smsotp.model.records import Asker, Lockout
from radius_smsotp.store import open_store
from radius_smsotp.store.postgres.store import OWN_TABLE
from tests.store.postgres_server import PostgresServer
from tests.store.samples import ALICE, HERE, NOW, add, challenge
from tests.support.frozen import freeze
from tests.support.site import Node, eventually
from tests.support.site import add as add_person

if TYPE_CHECKING:
    from collections.abc import Iterator

    from radius_smsotp.store import Store
    from tests.support.site import Gateways, Site

pytestmark = pytest.mark.server

PATIENCE = 0.5


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that comes and goes."""
    one = PostgresServer()
    try:
        one.start()
        yield one
    finally:
        one.close()


@pytest.fixture
def store(server: PostgresServer) -> Iterator[Store]:
    """A store on it, in use."""
    one = open_store(server.make_url(), PATIENCE)
    one.migrate()
    with one.write(durable=True) as tx:
        tx.put_account(ALICE, NOW)
    yield one
    one.close()


@contextmanager
def lacking_standby(server: PostgresServer) -> Iterator[None]:
    """A server that waits for a standby to confirm each commit, while there is none."""
    server.run_sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    server.run_sql("SELECT pg_reload_conf()")
    eventually(lambda: server.run_sql("SHOW synchronous_standby_names") == [("nobody",)])
    try:
        yield
    finally:
        server.run_sql("ALTER SYSTEM RESET synchronous_standby_names")
        server.run_sql("SELECT pg_reload_conf()")
        eventually(lambda: server.run_sql("SHOW synchronous_standby_names") == [("",)])


def works(store: Store) -> bool:
    """Whether it can be read and written."""
    try:
        with store.write("alice", durable=True) as tx:
            return tx.account("alice") == ALICE
    except StoreError:
        return False


def sweep(node: Node) -> list[int]:
    """What `Courier.sweep` says; nothing as long as the store does not answer."""
    with suppress(StoreError):
        return [node.courier.sweep()]
    return []


def refusal(store: Store) -> str:
    """What it says while it cannot be used."""
    with pytest.raises(StoreError) as caught, store.read() as tx:
        tx.account("alice")
    return str(caught.value)


def test_one_as_it_is_installed_gives_nothing_to_complain_of(store: Store) -> None:
    """To `smsotp check`."""
    assert store.inspect()[1] == []


class TestOutage:
    def test_a_restart_is_not_noticed(self, server: PostgresServer, store: Store) -> None:
        """Connections that it cut are replaced on the way."""
        server.stop()
        server.start()
        assert works(store)

    @pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGQUIT])
    def test_one_that_is_gone_is_said_and_found_again(
        self, server: PostgresServer, store: Store, sign: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Stopped or crashed; what was committed is there afterwards."""
        server.stop(sign)
        assert "does not answer" in refusal(store)
        assert "tried again" in refusal(store)
        eventually(lambda: re.search(r"(?i)connection refused", caplog.text))
        server.start()
        eventually(lambda: works(store))
        assert "the database answers again" in caplog.text

    def test_one_that_hangs_is_waited_for_once(self, server: PostgresServer, store: Store) -> None:
        """FreeRADIUS lets one login at a time in: those after it are refused at once."""
        server.freeze()
        assert "within 0.5 s" in refusal(store)
        for _ in range(200):
            assert "tried again" in refusal(store)
        server.thaw()
        eventually(lambda: works(store))

    def test_connections_that_hang_are_left_behind(
        self, server: PostgresServer, store: Store
    ) -> None:
        """A firewall has forgotten them, say: new ones work, and the old ones never again."""
        with ExitStack() as stack:
            for _ in range(5):
                stack.enter_context(store.read()).lockout("alice")
        numbers = server.run_sql(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'radius-smsotp'"
        )
        assert len(numbers) >= 5
        freeze(*(int(str(number)) for (number,) in numbers))
        assert "within 0.5 s" in refusal(store)
        eventually(lambda: works(store))
        server.thaw()

    def test_a_write_that_hangs_is_not_taken_for_done(
        self, server: PostgresServer, store: Store
    ) -> None:
        """Who does not hear that a code is spent lets nobody in."""

        def spend() -> None:
            with store.write("alice", durable=True) as tx:
                tx.put_lockout("alice", Lockout(1, NOW))
                server.freeze()

        with pytest.raises(StoreError):
            spend()
        server.thaw()
        eventually(lambda: works(store))

    def test_a_commit_that_no_standby_has_confirmed_is_not_taken_for_done(
        self, server: PostgresServer, store: Store
    ) -> None:
        """The database gives up waiting for the standby, says "COMMIT", and warns."""
        patient = open_store(store.name, 20)

        def spend() -> None:
            with patient.write("bob", durable=True) as tx:
                tx.put_lockout("bob", Lockout(1, NOW))

        with lacking_standby(server):
            with patient.write("alice") as tx:  # what need not last waits for nobody
                tx.put_lockout("alice", Lockout(1, NOW))
            with ThreadPoolExecutor(1) as pool:
                future = pool.submit(spend)
                waiting = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
                eventually(lambda: server.run_sql(f"SELECT pg_cancel_backend(pid) {waiting}"))
                error = future.exception(20)
        patient.close()
        assert isinstance(error, StoreError)
        assert "does not confirm" in str(error)

    def test_no_challenge_is_opened_whose_code_could_not_be_spent(
        self, server: PostgresServer, store: Store
    ) -> None:
        """The first one to notice is a first step: its message does not leave."""

        def begin(number: int) -> None:
            with store.login(Asker("alice", HERE), NOW) as (tx, _):
                add(tx, challenge(number))

        begin(1)
        with lacking_standby(server), pytest.raises(StoreError, match="within"):
            begin(2)

    @pytest.mark.parametrize("asks_again", [False, True])
    def test_what_a_client_was_not_given_is_not_sent(
        self, server: PostgresServer, site: Site, gateways: Gateways, asks_again: bool
    ) -> None:
        """
        The database has kept the challenge all the same: so it is ended when that is seen.

        Unless the client has asked once more, and was given it.
        """
        site.write(store=server.make_url())
        node, other = Node(site, PATIENCE), Node(site)
        site.nodes += [node, other]
        add_person(node, "alice")
        with lacking_standby(server), pytest.raises(StoreError, match="within"):
            node.begun()
        again = other.begun() if asks_again else None
        swept = eventually(lambda: sweep(node))
        assert swept == [0]
        if again is None:
            assert node.kinds() == ["challenge-opened", "login-refused"]
            again = other.begun()
        (node if asks_again else other).settle(again.transaction_id)
        assert [one.transaction_id for _, one in gateways.sent] == [again.transaction_id]
        assert node.message(again).state == "accepted"

    def test_nothing_stays_behind_at_a_database_whose_standby_is_gone(
        self, server: PostgresServer, store: Store, caplog: pytest.LogCaptureFixture
    ) -> None:
        """
        A commit that nobody waits for any more is called off, locks and all.

        Until commits last again no login is looked at, however well the database answers: its code
        could not be spent.
        """
        others = [open_store(store.name, PATIENCE) for _ in range(3)]

        def spend(one: Store) -> None:
            with one.write("alice", durable=True) as tx:
                tx.put_lockout("alice", Lockout(1, NOW))

        with lacking_standby(server):
            for one in others:
                with pytest.raises(StoreError, match="within"):
                    spend(one)
            eventually(lambda: caplog.text.count("no synchronous standby confirms") == len(others))
            for one in others:
                assert "tried again" in refusal(one)
            # What is under way there is one look of each, and the last of them is called off too.
            for one in others:
                one.close()
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            eventually(lambda: server.run_sql(waiting) == [(0,)])
        assert works(store)

    def test_it_is_used_again_when_a_commit_lasts(
        self, server: PostgresServer, store: Store, caplog: pytest.LogCaptureFixture
    ) -> None:
        """And not before, although it answers whoever only asks."""
        with lacking_standby(server):
            with pytest.raises(StoreError), store.write("alice", durable=True) as tx:
                tx.put_lockout("alice", Lockout(1, NOW))
            eventually(lambda: "no synchronous standby confirms" in caplog.text)
            assert "answers again" not in caplog.text
        eventually(lambda: works(store))
        assert caplog.text.count("logins are refused") == caplog.text.count("answers again") == 1

    def test_a_start_without_it_is_refused_with_a_sentence(self, server: PostgresServer) -> None:
        """Of radiusd, and of each command."""
        url = server.make_url()
        server.stop()
        one = open_store(url, PATIENCE)
        for start in (one.exists, one.migrate):
            with pytest.raises(ConfigurationError, match=r"cannot be reached \(.*refused"):
                start()
        server.start()
        one.migrate()
        assert one.exists()

    def test_a_start_is_tried_again_during_which_it_has_ended(self, server: PostgresServer) -> None:
        """Not only one before which it had: a courier that gave up would leave messages unsent."""
        url = server.make_url()
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = "
        with psycopg.connect(url) as other, ThreadPoolExecutor(1) as pool:
            other.execute(OWN_TABLE.encode())
            other.commit()
            other.execute("SELECT * FROM smsotp_schema FOR UPDATE")
            start = pool.submit(open_store(url, PATIENCE).migrate)
            eventually(lambda: server.run_sql(f"{ended} 'transactionid'"))
            with pytest.raises(ConfigurationError, match="is being stopped") as caught:
                start.result(60)
        assert caught.value.passing


def test_what_was_acknowledged_survives_a_failover() -> None:
    """
    A standby that commits are confirmed by is promoted when the primary is lost for good.

    No spent mark is missing there that anybody was let in on; the URL names both.
    """
    primary = PostgresServer()
    standby = None
    try:
        primary.start()
        url = primary.make_url()
        standby = PostgresServer(primary)
        standby.start("cluster_name=standby")
        primary.run_sql("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        primary.run_sql("SELECT pg_reload_conf()")
        confirmed = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        eventually(lambda: primary.run_sql(confirmed) == [(1,)])
        place = f"127.0.0.1:{primary.port}"
        store = open_store(url.replace(place, f"{place},127.0.0.1:{standby.port}"), 2.0)
        store.migrate()
        with store.write(durable=True) as tx:
            tx.put_account(ALICE, NOW)
        spent: list[str] = []
        for number in range(30):
            with store.write("alice") as tx:
                add(tx, challenge(number))
            with store.write("alice", durable=True) as tx:
                tx.save_answer(challenge(number, state="spent"))
            spent.append(challenge(number).transaction_id)
        _without_standby(store, standby)
        primary.stop(signal.SIGQUIT)
        assert not works(store)
        standby.run_sql("SELECT pg_promote()")
        # It inherits the wish for a standby of its own, which nobody is.
        standby.run_sql("ALTER SYSTEM RESET synchronous_standby_names")
        standby.run_sql("SELECT pg_reload_conf()")
        with pytest.raises(psycopg.OperationalError):
            primary.run_sql("SELECT 1")
        eventually(lambda: works(store))
        with store.read() as tx:
            states = [tx.challenge(one) for one in spent]
        assert [one.state for one in states if one is not None] == ["spent"] * 30
        store.close()
    finally:
        if standby is not None:
            standby.close()
        primary.close()


def _without_standby(store: Store, standby: PostgresServer) -> None:
    """While the standby hangs, nothing durable is acknowledged; the rest goes on."""
    standby.freeze()
    with store.write("bob") as tx:
        add(tx, challenge(1001, state="spent"))
    with pytest.raises(StoreError, match="within 2 s"):
        store.sync(store.position)
    standby.thaw()
    eventually(lambda: works(store))
    standby.freeze()
    with pytest.raises(StoreError, match="within 2 s"), store.write("bob", durable=True) as tx:
        add(tx, challenge(1000, state="spent"))
    standby.thaw()
    eventually(lambda: works(store))
