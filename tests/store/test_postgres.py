"""The store in a PostgreSQL database."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from radius_smsotp import errors
from radius_smsotp.errors import StoreConflictError, StoreError
from radius_smsotp.model.records import Asker, Counter, Lockout, Tally
from radius_smsotp.store import insist, open_store
from radius_smsotp.store.postgres import pool as postgres_pool
from radius_smsotp.store.postgres import store as postgres
from tests.store.contract_crowd import BEGIN
from tests.store.contract_whole import WholeContract
from tests.store.samples import ALICE, HERE, NOW, add, challenge, event
from tests.support.site import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from radius_smsotp.store import Store
    from tests.store.postgres_server import PostgresServer


class TestContract(WholeContract):
    HASTE = 1.0

    @pytest.fixture
    def make_url(self, postgres_server: PostgresServer) -> Callable[[], str]:
        return postgres_server.make_url

    @pytest.fixture
    def new_url(self, postgres_server: PostgresServer) -> Callable[[], str]:
        return lambda: postgres_server.make_url(store=True)


def run(program: str, url: str) -> str:
    """What a process of its own prints."""
    whole = [sys.executable, "-c", BEGIN + program, url]
    return subprocess.run(whole, check=True, capture_output=True, text=True, timeout=60).stdout


class TestLocks:
    """What waits for what: all that is about one account, and nothing else."""

    def test_another_account_does_not_wait(self, postgres_store: Store) -> None:
        """Whatever alice's transaction does, and for however long."""
        with postgres_store.write("alice", durable=True) as tx:
            tx.put_lockout("alice", Lockout(1, NOW))
            assert tx.lockout("alice").failures == 1  # it holds what it needs
            with postgres_store.write("bob", durable=True) as beside:
                beside.put_lockout("bob", Lockout(1, NOW))
        with postgres_store.read() as tx:
            assert [tx.lockout(name).failures for name in ("alice", "bob")] == [1, 1]

    def test_no_account_waits_for_the_lock_of_another_one(self, postgres_store: Store) -> None:
        """However many there are: names share no locks."""
        others = [f"user{number}" for number in range(postgres.MOST_LOCKS)]
        with postgres_store.write("alice") as tx:
            tx.put_lockout("alice", Lockout(1, NOW))
            assert tx.lockout("alice").failures == 1  # it holds what it needs
            with postgres_store.write(*others) as beside:
                beside.put_account(ALICE, NOW)

    def test_the_same_account_does(self, postgres_store: Store, postgres_url: str) -> None:
        """On whichever server it is asked about."""
        other = open_store(postgres_url, patience=0.5)
        with postgres_store.write("alice") as tx:
            tx.lockout("alice")
            with (
                pytest.raises(StoreError, match="another process is writing"),
                other.write("alice") as beside,
            ):
                beside.lockout("alice")
            with other.write("bob", "carol") as beside:
                beside.lockout("alice")
        other.close()

    def test_a_transaction_about_everything_waits_for_all(
        self, postgres_store: Store, postgres_url: str
    ) -> None:
        """A clean-up, or what is about very many; and everybody waits for it."""
        other = open_store(postgres_url, patience=0.5)
        many = [f"user{number}" for number in range(postgres.MOST_LOCKS + 1)]
        for here, there in ((many, ["alice"]), (["alice"], []), ([], ["alice"])):
            with postgres_store.write(*here) as tx:
                tx.lockout("alice")
                with pytest.raises(StoreError), other.write(*there) as beside:
                    beside.lockout("alice")
        other.close()

    def test_accounts_named_in_any_order_do_not_block_each_other_for_good(
        self, postgres_store: Store
    ) -> None:
        """Locks are taken in one order: no deadlock, so no transaction is undone."""
        names = [f"user{number}" for number in range(40)]

        def count(turn: int) -> None:
            for _ in range(10):
                with postgres_store.write(*(names if turn % 2 else reversed(names))) as tx:
                    for name in names[turn % 5 :: 5]:
                        tx.put_lockout(name, Lockout(tx.lockout(name).failures + 1, NOW))

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(count, range(6)))
        with postgres_store.read() as tx:
            assert sum(tx.lockout(name).failures for name in names) == 6 * 10 * 8

    @pytest.mark.parametrize("noted", [True, False])
    def test_the_limit_of_a_number_that_accounts_share_is_kept_to_the_message(
        self, postgres_store: Store, noted: bool
    ) -> None:
        """Nobody counts between a question and the count, whether its tag was noted or not."""
        names = [f"user{who}" for who in range(6)]
        with postgres_store.write() as tx:
            for name in names:
                tx.put_account(replace(ALICE, name=name), NOW)
                tx.put_number_tag(name, "one" if noted else "")
        sent: list[str] = []

        def ask(name: str) -> None:
            for _ in range(10):
                with postgres_store.login(Asker(name, HERE), NOW) as (tx, known):
                    assert known.number_tag == ("one" if noted else "")
                    tally = known.tally if noted else tx.tally(Counter(name, "vpn"), "one", NOW)
                    if tally.number_hour < 17:
                        tx.count_message(Counter(name, "vpn"), "one", NOW)
                        sent.append(name)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(ask, names))
        assert len(sent) == 17

    def test_no_limit_of_all_is_waited_for(self, postgres_store: Store, postgres_url: str) -> None:
        """Of a client, and of a day: else one login at a time would be let in, of all servers."""
        other = open_store(postgres_url, patience=0.5)
        with postgres_store.login(Asker("alice", HERE), NOW) as (tx, _):
            tx.tally(Counter("alice", "wifi"), "one", NOW)
            tx.count_message(Counter("alice", "wifi"), "one", NOW)
            with other.login(Asker("bob", HERE), NOW) as (beside, _):
                assert beside.tally(Counter("bob", "wifi"), "two", NOW) == Tally()
                beside.count_message(Counter("bob", "wifi"), "two", NOW)
        assert other.look(Asker("", HERE), NOW).tally == Tally(client_hour=2, day=2)
        other.close()

    @pytest.mark.parametrize("at_once", [1, postgres_pool.CONNECTIONS])
    def test_limits_of_all_are_exceeded_by_what_is_under_way_at_most(
        self, postgres_store: Store, at_once: int
    ) -> None:
        """One message of each connection but the first, if all have asked before one counts."""
        sent: list[str] = []
        together = threading.Barrier(at_once)

        def ask(who: int) -> None:
            for turn in range(20):
                name = f"user{who}-{turn}"
                with postgres_store.login(Asker(name, HERE), NOW) as (tx, known):
                    together.wait(20)
                    if known.tally.day < 17 and known.tally.client_hour < 17:
                        tx.count_message(Counter(name, HERE.name), name, NOW)
                        sent.append(name)
                together.wait(20)

        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(ask, range(at_once)))
        assert 17 <= len(sent) <= 17 - 1 + at_once

    def test_what_another_program_gets_into_the_way_of_is_tried_again(
        self, postgres_store: Store, beside: psycopg.Connection[Any]
    ) -> None:
        """PostgreSQL undoes one of two that wait for each other; ours is then done once more."""
        with postgres_store.write() as tx:
            add(tx, challenge())
        tries: list[int] = []
        locked, undone = threading.Event(), threading.Event()

        def spend() -> None:
            with postgres_store.write("alice", durable=True) as tx:
                tx.lockout("alice")  # it holds the locks
                tries.append(1)
                if len(tries) == 1:
                    locked.set()
                    # A session looks for a deadlock once, soon after it has begun to wait.
                    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
                    eventually(lambda: tx._db.execute(waiting).fetchone()[0])  # type: ignore[attr-defined]
                tx.save_answer(replace(challenge(), state="spent"))

        def get_in_the_way() -> None:
            # Somebody with psql: the row first, then what is locked before it.  Its session
            # notices no deadlock, so that it is ours that is undone.
            beside.execute("SET deadlock_timeout = '20s'")
            with beside.transaction():
                beside.execute("SELECT 1 FROM challenge FOR UPDATE")
                undone.set()
                assert locked.wait(20)
                beside.execute("SELECT pg_advisory_xact_lock(%s)", [postgres.EVERYTHING])

        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(get_in_the_way)
            assert undone.wait(20)
            insist(spend)
            future.result(20)
        assert len(tries) > 1
        with postgres_store.read() as tx:
            assert tx.open_challenges(NOW) == []

    def test_it_is_not_tried_for_ever(self) -> None:
        """Somebody waits for the answer."""
        tries: list[int] = []

        def fail() -> None:
            tries.append(1)
            raise StoreConflictError("again")

        with pytest.raises(StoreConflictError):
            insist(fail)
        assert len(tries) == 4


class TestConnections:
    def test_there_are_never_more_than_a_few(
        self, postgres_store: Store, beside: psycopg.Connection[Any]
    ) -> None:
        """However many threads write: a database serves a limited number."""
        most: list[int] = []
        count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"

        def write(number: int) -> None:
            for _ in range(5):
                with postgres_store.write(f"user{number}") as tx:
                    tx.add_event(event())
                    if number == 0:
                        most.append(beside.execute(count).fetchone()[0])  # type: ignore[index]

        with ThreadPoolExecutor(40) as pool:
            list(pool.map(write, range(40)))
        assert 2 <= max(most) <= postgres_pool.CONNECTIONS + 1

    def test_a_connection_that_was_cut_is_noticed(
        self, postgres_store: Store, beside: psycopg.Connection[Any]
    ) -> None:
        """While nobody used it; the login after it does not suffer, whatever it asks first."""
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        for turn in range(5):
            postgres_store.look(Asker("alice", HERE), NOW)
            assert beside.execute(f"{cut} AND datname = current_database()").fetchall()
            # It has heard of it already, or is told while it asks; but who commits in that moment
            # does not know whether that was done.
            time.sleep(0.1 if turn > 3 else turn % 2 * 0.1)
            if turn < 2:
                postgres_store.look(Asker("alice", HERE), NOW)
            elif turn < 4:
                with postgres_store.login(Asker("alice", HERE), NOW) as (tx, known):
                    assert known.account is None
                    tx.put_lockout("alice", Lockout(turn, NOW))
            else:
                with postgres_store.write("alice") as tx:
                    tx.put_lockout("alice", Lockout(turn, NOW))
            assert postgres_store.look(Asker("alice", HERE), NOW).lockout.failures == turn * (
                turn > 1
            )

    def test_a_transaction_whose_process_stands_still_lets_go(
        self, postgres_store: Store, postgres_url: str
    ) -> None:
        """A virtual machine that is paused in the middle of a login: others go on within 1 s."""
        stuck = open_store(postgres_url, patience=1.0)

        def stand_still() -> None:
            with stuck.write("alice") as tx:
                tx.put_lockout("alice", Lockout(5, NOW))
                tx.tally(Counter("alice", "vpn"), "", NOW)  # locks what is counted, too
                with postgres_store.write(
                    "alice"
                ) as other:  # waits for the database to end the first
                    other.put_lockout("alice", Lockout(1, NOW))

        with pytest.raises(StoreError):
            stand_still()
        stuck.close()
        with postgres_store.read() as tx:
            assert tx.lockout("alice").failures == 1

    def test_a_fork_after_close_shares_nothing(
        self, postgres_store: Store, postgres_url: str
    ) -> None:
        """radiusd forks after it has loaded us; parent and child then each open their own."""
        run(
            """
import os
store.migrate()
store.close()
child = os.fork()
name = "parent" if child else "child"
for _ in range(20):
    with store.write(name, durable=True) as tx:
        tx.add_event(event(account=name))
store.close()
if not child:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
""",
            postgres_url,
        )
        with postgres_store.read() as tx:
            assert [len(tx.events(name, 100)) for name in ("parent", "child")] == [20, 20]

    def test_making_it_ready_leaves_neither_thread_nor_connection(self, postgres_url: str) -> None:
        """`migrate` runs before radiusd forks, and a thread would not come along."""
        shown = run(
            """
import threading
store.exists()
store.migrate()
say(threading.active_count())
import os
say(sum("socket:" in os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
    if os.path.islink(f"/proc/self/fd/{fd}")))
""",
            postgres_url,
        )
        assert shown.split() == ["1", "0"]

    def test_sqlite_needs_no_driver(self, tmp_path: Path) -> None:
        """The library is imported for such a URL alone."""
        shown = run("say('psycopg' in sys.modules)", f"sqlite:///{tmp_path}/db")
        assert shown.split() == ["False"]

    def test_a_missing_driver_is_named_with_the_command_that_installs_it(self) -> None:
        """As a person would type it."""
        program = """
import sys
sys.modules["psycopg"] = None
from radius_smsotp.store import open_store
open_store("postgresql://smsotp:geheim@db/smsotp")
"""
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False
        )
        assert done.stderr.splitlines()[-1].endswith(
            "store: the Python package psycopg is not installed; "
            + errors.extra_command("postgres")
        )
        assert "geheim@" not in done.stderr.splitlines()[-1]


class TestDurability:
    def test_a_block_that_goes_on_after_a_failure_is_not_taken_for_done(
        self, postgres_store: Store
    ) -> None:
        """PostgreSQL answers its COMMIT with a roll-back, and no error."""

        def go_on() -> None:
            with postgres_store.write("alice", durable=True) as tx:
                with contextlib.suppress(psycopg.Error):
                    tx._db.execute("SELECT 1 / 0")  # type: ignore[attr-defined]
                add(tx, challenge())

        with pytest.raises(StoreError, match="does not work"):
            go_on()

    def test_a_durable_commit_waits_for_the_disk_and_others_do_not(
        self,
        postgres_server: PostgresServer,
        postgres_store: Store,
        beside: psycopg.Connection[Any],
    ) -> None:
        """Whatever is the default of the database."""
        beside.execute("ALTER ROLE smsotp SET synchronous_commit = off")
        try:
            postgres_store.close()
            for durable in (True, False):
                with postgres_store.write("alice", durable=durable) as tx:
                    [value] = tx._db.execute("SHOW synchronous_commit").fetchone()  # type: ignore[attr-defined]
                    assert value == ("on" if durable else "off")
                    tx.add_event(event())
                behind = beside.execute(
                    "SELECT pg_current_wal_insert_lsn() > pg_current_wal_flush_lsn()"
                ).fetchone()
                if durable:
                    assert behind == (False,)
        finally:
            beside.execute("ALTER ROLE smsotp RESET synchronous_commit")
