"""Several FreeRADIUS servers on one PostgreSQL database, and what they do without it."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.store.postgres_server import PostgresServer
from tests.support.freeradius import Radiusd, Site
from tests.support.radius import NoReplyError
from tests.support.site import PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RACES = 10


@pytest.fixture(scope="module")
def running(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Radiusd, Radiusd]]:
    """Two servers."""
    store, limits = postgres_server.make_url(), {"per_number_hour": 1000}
    site = Site(tmp_path_factory.mktemp("site"), store=store, limits=limits)
    try:
        yield site.start("first"), site.start("second")
    finally:
        site.close()


@pytest.fixture
def pair(running: tuple[Radiusd, Radiusd], sites: list[Site]) -> tuple[Radiusd, Radiusd]:
    """The same for all; each test has accounts of its own."""
    sites.append(running[0].site)
    return running


@pytest.fixture
def database() -> Iterator[PostgresServer]:
    """A database that comes and goes."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


def test_a_challenge_of_one_server_is_answered_on_the_other(pair: tuple[Radiusd, Radiusd]) -> None:
    """Whichever of them the client asks next; and once."""
    first, second = pair
    first.site.add("alice")
    challenged = first.challenge()
    code = first.site.code(challenged.state)
    wrong = second.ask("alice", "000000" if code != "000000" else "111111", challenged.state)
    assert wrong.kind == "Access-Challenge"
    assert second.ask("alice", code, challenged.state).kind == "Access-Accept"
    assert first.ask("alice", code, challenged.state).kind == "Access-Reject"
    kinds = first.site.kinds("alice")
    assert kinds.count("code-accepted") == 1
    assert kinds[-1] == "code-rejected"


def test_both_ask_the_same_user_for_the_same_code(pair: tuple[Radiusd, Radiusd]) -> None:
    """A client that asks again asks the next server: no second SMS."""
    site = pair[0].site
    site.add("bob")
    before = len(site.messages())
    with ThreadPoolExecutor(2) as pool:
        replies = list(pool.map(lambda one: one.ask("bob", PIN), pair))
    assert {reply.kind for reply in replies} == {"Access-Challenge"}
    assert replies[0].state == replies[1].state
    eventually(lambda: "sms-accepted" in site.kinds("bob"))
    assert len(site.messages()) == before + 1


def test_a_code_that_comes_to_both_at_once_counts_once(pair: tuple[Radiusd, Radiusd]) -> None:
    """One lets the user in, the other does not."""
    site = pair[0].site
    with ThreadPoolExecutor(2) as pool:
        for number in range(RACES):
            name = f"user{number}"
            site.add(name)
            state = pair[number % 2].challenge(name).state
            code = site.code(state)
            replies = pool.map(lambda one: one.ask(name, code, state), pair)  # noqa: B023
            assert sorted(reply.kind for reply in replies) == ["Access-Accept", "Access-Reject"]


@pytest.mark.parametrize("gone", [pytest.param("stopped", marks=pytest.mark.once), "hanging"])
def test_without_the_database_logins_are_refused_until_it_is_back(
    database: PostgresServer, make_site: Callable[..., Site], gone: str
) -> None:
    """With a sentence, and soon: a client would go to a server that does not answer no more."""
    site = make_site(store=database.make_url())
    radiusd = site.start()
    challenged = radiusd.challenge()
    code = site.code(challenged.state)
    if gone == "stopped":
        database.stop()
    else:
        database.freeze()
    for _ in range(30):
        reply = radiusd.ask("alice", code, challenged.state)
        assert reply.kind == "Access-Reject"
        assert "try again" in reply.message.lower()
    if gone == "stopped":
        database.start()
    else:
        database.thaw()
    accepted = eventually(
        lambda: radiusd.ask("alice", code, challenged.state).kind == "Access-Accept"
    )
    assert accepted
    log = radiusd.log()
    assert "logins are refused until it is back" in log
    # However many there are, the log has a line a minute; those told later are in the next one.
    assert log.count("login refused") + log.count("logins refused") < 10
    assert "the database answers again" in log
    assert "Traceback" not in log


@pytest.mark.once
def test_a_server_that_starts_before_its_database_serves_when_that_comes(
    database: PostgresServer, make_site: Callable[..., Site]
) -> None:
    """After a power cut, say; until then it refuses, or says nothing where it is told to."""
    site = make_site(store=database.make_url(), store_down="reject")
    site.add("alice")
    database.stop()
    radiusd = site.start()
    assert "try again" in radiusd.ask("alice", PIN).message.lower()
    database.start()
    assert eventually(lambda: radiusd.ask("alice", PIN).kind == "Access-Challenge")
    log = radiusd.log()
    assert "until then no login is looked at" in log
    assert "the store is there now" in log


@pytest.mark.once
def test_where_there_is_another_server_nothing_is_said(
    database: PostgresServer, make_site: Callable[..., Site]
) -> None:
    """So a client turns to it; and a code counts once at the server that took it, come what may."""
    site = make_site(store=(url := database.make_url()))
    site.add("alice")
    with site.store.write() as tx:
        tx.put_server("elsewhere:/etc/radius-smsotp/smsotp.yaml", datetime.now(UTC))
    radiusd = site.start()
    challenged = radiusd.challenge()
    code = site.code(challenged.state)
    assert radiusd.ask("alice", code, challenged.state).kind == "Access-Accept"
    # A fail-over to a database that has not heard of it.
    database.run_sql("UPDATE challenge SET state = 'open', answered = ''", url.rpartition("/")[2])
    database.stop()
    radiusd.client.patience = 3
    with pytest.raises(NoReplyError):
        radiusd.client.ask("alice", PIN)
    database.start()

    def is_challenged() -> bool:
        with contextlib.suppress(NoReplyError):
            return radiusd.client.ask("alice", PIN).kind == "Access-Challenge"
        return False

    assert eventually(is_challenged)
    assert radiusd.ask("alice", code, challenged.state).kind == "Access-Reject"
    eventually(lambda: "are spent again" in radiusd.log())
    with site.store.read() as tx:
        found = tx.challenge(challenged.state.decode())
    assert found is not None
    assert found.state == "spent"
