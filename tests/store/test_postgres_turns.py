"""How often a login waits for the database."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from radius_smsotp.errors import StoreError
from radius_smsotp.login.answers import Accepted, Challenged
from radius_smsotp.model import code
from radius_smsotp.model.records import Asker
from radius_smsotp.store import open_store
from tests.store.samples import ALICE, HERE, NOW, challenge
from tests.store.turns import TurnCounter
from tests.support.site import eventually, request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from radius_smsotp.store import Store
    from tests.store.postgres_server import PostgresServer
    from tests.support.site import Gateways, Site


T = TypeVar("T")


@pytest.fixture
def counter(postgres_server: PostgresServer) -> Iterator[TurnCounter]:
    """On the way to the server."""
    with TurnCounter(postgres_server.port) as one:
        yield one


@pytest.fixture
def far(counter: TurnCounter, postgres_server: PostgresServer, postgres_url: str) -> str:
    """An empty database, that way."""
    return postgres_url.replace(f":{postgres_server.port}/", f":{counter.port}/")


def test_a_login_waits_six_times(
    site: Site, gateways: Gateways, counter: TurnCounter, far: str
) -> None:
    """
    Five of them under FreeRADIUS's lock, whether the number is the account's or LDAP's.

    What each step asks comes in one, what only changes rows goes along with the commit.  What is
    sent in one pipeline counts more than once if it comes in parts: the best login tells.
    """
    unlimited = {"per_account_hour": 0, "per_number_hour": 0}
    node = site.node(store=far, limits=unlimited)
    for more in ({}, {"phones": ("+491701234567",)}):
        turns = []
        for _ in range(6):  # at the first one the number's tag is not noted yet
            taken = [counter.turns]
            asked = request("alice", **more)
            ready = node.service.prepare(asked)
            taken.append(counter.turns)
            gateway = gateways.hang("first")
            challenged = node.service.begin(replace(asked, step=ready.step))
            taken.append(counter.turns)
            gateway.set()
            assert isinstance(challenged, Challenged)
            eventually(lambda: not node.courier._sendings)
            taken.append(counter.turns)
            answer = code.derive(node.keys.secret, challenged.transaction_id, 6)
            assert isinstance(node.second(challenged, answer), Accepted)
            taken.append(counter.turns)
            turns.append([after - before for before, after in pairwise(taken)])
        assert [min(step) for step in zip(*turns, strict=True)] == [1, 2, 1, 2]
    node.close()


def test_what_else_may_happen_waits_as_often(
    site: Site, gateways: Gateways, counter: TurnCounter, far: str
) -> None:
    """What the table of the documents says, beside a login that goes as it should."""
    unlimited = {"per_account_hour": 0, "per_number_hour": 0}
    node = site.node(store=far, limits=unlimited, lockout={"failures": 99})
    turns: dict[str, list[int]] = {}

    def counted(what: str, step: Callable[..., T], *given: Any) -> T:
        before = counter.turns
        found = step(*given)
        turns.setdefault(what, []).append(counter.turns - before)
        return found

    def challenge_for(what: str) -> Challenged:
        gateway = gateways.hang("first")
        found = counted(what, node.first, "alice")
        gateway.set()
        eventually(lambda: not node.courier._sendings)
        assert isinstance(found, Challenged)
        return found

    for _ in range(6):
        counted("a wrong PIN", node.first, "alice", "falsch")
        challenged = challenge_for("the first step")
        counted("a wrong code", node.second, challenged, "000000")
        again = challenge_for("the first step once more")
        assert again.transaction_id == challenged.transaction_id
        gateway = gateways.hang("second")
        counted("one more SMS", node.second, challenged, "r")
        gateway.set()
        eventually(lambda: not node.courier._sendings)
        answer = node.code(challenged)
        outcome = counted("the second step", node.second, challenged, answer)
        assert isinstance(outcome, Accepted)
    node.close()
    assert {what: min(each) for what, each in turns.items()} == {
        "a wrong PIN": 3,
        "the first step": 3,
        "a wrong code": 2,
        "the first step once more": 4,
        "one more SMS": 4,
        "the second step": 2,
    }


def test_what_only_changes_rows_waits_once(counter: TurnCounter, far: str) -> None:
    """Also where it fails, and nothing is changed then."""
    store = open_store(far, 5)
    store.migrate()

    def fail() -> None:
        with store.write("alice") as tx:
            tx.put_account(ALICE, NOW)
            tx.add_challenge(challenge(0))

    works, fails = [], []
    for number in range(10):
        before = counter.turns
        with store.write("alice", durable=True) as tx:
            tx.add_challenge(challenge(number))
        works.append(counter.turns - before)
        before = counter.turns
        with pytest.raises(StoreError):
            fail()
        fails.append(counter.turns - before)
    assert (min(works), min(fails)) == (1, 2)  # who fails says so once more
    assert store.look(Asker("alice", HERE), NOW).account is None
    store.close()


def test_a_look_is_one_way_there_and_back(
    postgres_server: PostgresServer, counter: TurnCounter, far: str
) -> None:
    """There is no transaction to be ended."""
    said = len(postgres_server.log())
    store = open_store(far, 5)
    store.migrate()
    turns = []
    for _ in range(10):
        before = counter.turns
        store.look(Asker("alice", HERE), NOW)
        turns.append(counter.turns - before)
    store.close()
    assert min(turns) == 1
    assert "WARNING" not in postgres_server.log()[said:]


def test_a_handshake_asks_once_for_the_code_that_it_is_to_prove(
    site: Site, counter: TurnCounter, far: str
) -> None:
    """CHAP and MS-CHAP in the second step."""
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


WRITER = """
import os, sys
from datetime import UTC, datetime
from radius_smsotp.model.records import Account
from radius_smsotp.store import open_store

store = open_store(sys.argv[1], 60)
for number in range(10):
    os.write(1, b"next")
    with store.write("alice") as tx:
        for digit in range(5):
            tx.put_account(Account("alice", f"+49170123456{digit}"), datetime.now(UTC))
store.close()
"""


def test_what_leaves_together_is_one_write(
    postgres_store: Store, postgres_url: str, tmp_path: Path
) -> None:
    """Start, lock, five changes and commit: each by itself would wake up the database's process."""
    trace = tmp_path / "trace"
    strace = ["strace", "-f", "-o", str(trace), "-e", "trace=sendto,write"]
    command = [*strace, sys.executable, "-c", WRITER, postgres_url]
    subprocess.run(command, check=True, timeout=120, stdout=subprocess.DEVNULL)
    # Beside the first ones it connects, in the last one it says good-bye.
    told = trace.read_text()
    parts = told.split('write(1, "next"')[2:-1]
    assert len(parts) == 8
    # Another thread may connect as well meanwhile.
    [thread] = set(re.findall(r'(?m)^(\d+) +write\(1, "next"', told))
    own = re.compile(rf"(?m)^{thread} +sendto\(")
    assert sorted(len(own.findall(part)) for part in parts)[4] == 1
    assert postgres_store.look(Asker("alice", HERE), NOW).account is not None
