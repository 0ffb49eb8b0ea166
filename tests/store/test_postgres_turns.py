"""How often a login waits for the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from radius_smsotp.errors import StoreError
from radius_smsotp.login.answers import Accepted, Challenged
from radius_smsotp.model import code
from radius_smsotp.model.records import Asker
from radius_smsotp.store import open_store
from tests.store.contract import HERE, NOW
from tests.store.turns import TurnCounter
from tests.support.site import eventually, request

if TYPE_CHECKING:
    from tests.store.postgres_server import PostgresServer
    from tests.support.site import Node, Site


def log_in(node: Node) -> None:
    """One login, and its message sent."""
    challenged = node.first()
    assert isinstance(challenged, Challenged)
    eventually(lambda: not node.courier._sendings)
    answer = code.derive(node.keys.secret, challenged.transaction_id, 6)
    assert isinstance(node.second(challenged, answer), Accepted)


def test_what_needs_no_answer_of_its_own_goes_along_with_something_else(
    site: Site, postgres_server: PostgresServer, postgres_url: str
) -> None:
    """
    Without that, a login took 34 ways there and back, most of them under FreeRADIUS's lock: what
    only changes rows goes along with the commit, what is asked first with the start.

    What is sent in one pipeline counts more than once if it comes in parts: the best login tells.
    """
    with TurnCounter(postgres_server.port) as counter:
        far = postgres_url.replace(f":{postgres_server.port}/", f":{counter.port}/")
        node = site.node(store=far)
        log_in(node)
        turns = []
        for _ in range(5):
            before = counter.turns
            log_in(node)
            turns.append(counter.turns - before)
        assert min(turns) <= 10
        node.close()


def test_a_look_is_one_way_there_and_back(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    """There is no transaction to be ended, whether it works or not."""

    def fail() -> None:
        with store.look(Asker("alice", HERE), NOW) as (tx, _):
            tx._db.execute("SELECT nothing FROM nowhere")

    said = len(postgres_server.log())
    with TurnCounter(postgres_server.port) as counter:
        far = postgres_url.replace(f":{postgres_server.port}/", f":{counter.port}/")
        store = open_store(far, 5)
        store.migrate()
        works, fails = [], []
        for _ in range(10):
            before = counter.turns
            with store.look(Asker("alice", HERE), NOW):
                pass
            works.append(counter.turns - before)
            before = counter.turns
            with pytest.raises(StoreError):
                fail()
            fails.append(counter.turns - before)
        store.close()
    assert (min(works), min(fails)) == (1, 2)
    assert "WARNING" not in postgres_server.log()[said:]


def test_a_handshake_asks_once_for_the_code_that_it_is_to_prove(
    site: Site, postgres_server: PostgresServer, postgres_url: str
) -> None:
    """CHAP and MS-CHAP in the second step."""
    with TurnCounter(postgres_server.port) as counter:
        far = postgres_url.replace(f":{postgres_server.port}/", f":{counter.port}/")
        node = site.node(store=far)
        challenged = node.challenge()
        expected = node.code(challenged)
        asked = request("alice", None, handshake=True, transaction_id=challenged.transaction_id)
        turns = []
        for _ in range(5):
            before = counter.turns
            assert node.service.prepare(asked).candidate == expected
            turns.append(counter.turns - before)
        node.close()
    assert min(turns) == 1
