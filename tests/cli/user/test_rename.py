"""``smsotp user set --name``: all that is kept goes along, on both stores."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.login.answers import Accepted
from radius_smsotp.model.records import Lockout
from radius_smsotp.store import open_store
from tests.cli.installation import Installation, remember
from tests.support.site import kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIN, PHONE = "geheim", "+491701234567"


@pytest.fixture
def here(tmp_path: Path, store_url: str) -> Iterator[Installation]:
    """An installation with alice, who has logged in, and bob, at two messages an hour each."""
    one = Installation(tmp_path / "site", "--store", store_url)
    one.write(limits={"per_account_hour": 2, "per_number_hour": 9, "cooldown": 0})
    one.store = open_store(store_url)
    for name in ("alice", "bob"):
        one.done("user", "add", name, "--phone", PHONE, "--pin-stdin", stdin=f"{PIN}\n")
    node = one.node()
    challenged = node.challenge("alice", PIN)
    assert node.second(challenged, node.code(challenged)) == Accepted()
    yield one
    one.close()


def rename(here: Installation, name: str, new: str, *options: str) -> str:
    return here.done("user", "set", name, "--name", new, *options)


def kept(here: Installation, name: str) -> dict[str, int]:
    """How much is kept of a name, by what it is."""
    result = here.run("user", "export-data", name)
    if result.exit_code:
        return {}
    found = json.loads(result.stdout)
    return {what: len(rows) for what, rows in found.items() if isinstance(rows, list) and rows}


def test_all_that_is_kept_goes_along(here: Installation) -> None:
    """The PIN is right under the new name, without anybody typing it, and what counts counts on."""
    remember(here)
    now = datetime.now(UTC)
    with here.store.write() as tx:
        tx.put_lockout("alice", Lockout(3, now))
    # The first message from there since it is known.
    here.nodes[0].challenge("alice", PIN)
    before, untouched = kept(here, "alice"), kept(here, "bob")
    assert {"failures", "stations", "devices", "challenges", "tallies"} <= before.keys()
    assert rename(here, "alice", "Alice.Smith") == "alice: changed (name)\n"
    assert kept(here, "alice") == {}
    assert kept(here, "alice.smith") == before | {"events": before["events"] + 1}
    assert kept(here, "bob") == untouched
    assert here.account("alice") is None
    renamed = here.events("alice.smith")[-1]
    assert (renamed.kind, renamed.detail["was"]) == ("account-renamed", "alice")
    assert "an account got another name (it was alice, by " in here.done("trace", "alice.smith")
    node = here.nodes[0]
    assert kind(node.first("alice", PIN)) == "rejected"
    assert kind(node.first("alice.smith", PIN)) == "challenged"
    # That was the second one.
    with here.store.write() as tx:
        tx.cancel_challenges("alice.smith")
    assert kind(node.first("alice.smith", PIN)) == "rejected"
    assert kind(node.first("bob", PIN)) == "challenged"


def test_codes_under_way_and_emergency_codes_end(here: Installation) -> None:
    """The ones come back under the old name, the others hang on it."""
    here.done("user", "code", "bob")
    node = here.nodes[0]
    challenged = node.challenge("alice", PIN)
    rename(here, "alice", "alice2", "--language", "de")
    assert kind(node.second(challenged, node.code(challenged), "alice2")) == "rejected"
    told = rename(here, "bob", "bob2")
    assert told == "bob: changed (name)\nbob2: worthless from now on: 1 emergency code\n"
    assert "no emergency code is valid" in here.done("user", "codes", "bob2")
    found = here.account("alice2")
    assert found is not None
    assert found.language == "de"


def test_a_name_of_which_something_is_kept_is_not_taken(here: Installation) -> None:
    """Nor one that cannot be one; who was refused as unknown under it does no harm."""
    result = here.run("user", "set", "alice", "--name", "BOB", "--language", "de")
    assert result.exit_code == 1
    assert "something is kept of 'bob' already; 'smsotp user erase bob' frees" in result.output
    found = here.account("alice")
    assert found is not None
    assert found.language is None
    assert here.run("user", "set", "alice", "--name", "a\u200blice").exit_code == 2
    assert kind(here.nodes[0].first("alice3", PIN)) == "rejected"
    assert rename(here, "alice", "alice3") == "alice: changed (name)\n"
    assert rename(here, "alice3", "ALICE3") == "alice3: ok\n"


def test_a_pin_whose_key_is_not_here_stays_where_it_is(here: Installation) -> None:
    with here.store.write() as tx:
        found = tx.account("alice")
        assert found is not None
        assert found.pin_hash is not None
        tx.exchange_pin_hash("alice", found.pin_hash, f"gone{found.pin_hash}")
    result = here.run("user", "set", "alice", "--name", "alice2")
    assert (result.exit_code, "sealed with a key that is not here" in result.output) == (1, True)
    assert here.account("alice") is not None
    assert here.account("alice2") is None


def test_a_name_of_a_directory_goes_along_too(here: Installation) -> None:
    now = datetime.now(UTC)
    with here.store.write() as tx:
        tx.put_lockout("albert", Lockout(10, now, now + timedelta(minutes=10)))
    rename(here, "albert", "einstein")
    assert "locked until" in here.done("user", "show", "einstein")
    assert here.account("einstein") is None
