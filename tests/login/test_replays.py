"""Codes that were accepted here count no more, whatever has become of the store."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.login import replays
from radius_smsotp.login.answers import Accepted, Rejected
from radius_smsotp.login.replays import Replays, Use
from radius_smsotp.login.service import Service
from tests.store.samples import NOW

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.site import Node, Site

LATER = NOW + timedelta(minutes=5)


def remembering(node: Node, path: Path) -> Replays:
    """Let a server's logins be remembered in a file."""
    kept = Replays(path, node.clock())
    given: list[Any] = [node.loaded, node.keys, node.store, node.courier, node.clock]
    node.service = Service(*given, replays=kept)
    return kept


def forget(node: Node, transaction_id: str) -> None:
    """A fail-over: what was committed last has never been."""
    with node.store.write() as tx:
        sql = "UPDATE challenge SET state = 'open', answered = '' WHERE transaction_id = ?"
        tx._db.execute(sql, (transaction_id,))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where it is kept."""
    return tmp_path / "smsotp.yaml.accepted"


def test_a_code_that_is_open_again_lets_nobody_in(site: Site, path: Path) -> None:
    """Nor after a restart; of another server only the store could know."""
    node = site.node()
    remembering(node, path)
    challenged = node.challenge()
    code = node.code(challenged)
    assert isinstance(node.second(challenged, code), Accepted)
    for _ in range(2):
        forget(node, challenged.transaction_id)
        assert isinstance(node.second(challenged, code), Rejected)
        remembering(node, path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_alive_can_be_spent_again(site: Site, path: Path) -> None:
    """As a server does that finds another database: then nobody else accepts it either."""
    node = site.node()
    kept = remembering(node, path)
    challenged = node.challenge()
    assert isinstance(node.second(challenged, node.code(challenged)), Accepted)
    forget(node, challenged.transaction_id)
    alive = kept.alive(node.clock())
    assert alive == [challenged.transaction_id]
    with node.store.write() as tx:
        assert tx.spend(alive) == 1
    with node.store.write() as tx:
        assert tx.spend(alive) == 0
    assert node.stored(challenged.transaction_id).state == "spent"
    node.clock.advance(600)
    assert kept.alive(node.clock()) == []


def test_a_file_that_was_cut_off_is_read_as_far_as_it_goes(path: Path) -> None:
    """By a crash; what is over is left out."""
    kept = Replays(path, NOW)
    kept.add([Use("a" * 32, 0, LATER), Use("b" * 32, 0, NOW)], NOW)
    kept.add([Use("c" * 32, 0, LATER)], NOW)
    assert Replays(path, NOW).alive(NOW) == ["a" * 32, "c" * 32]
    path.write_text(path.read_text()[:-3])
    kept = Replays(path, NOW)
    assert kept.alive(NOW) == ["a" * 32]
    kept.add([Use("d" * 32, 0, LATER)], NOW)
    assert Replays(path, NOW).alive(NOW) == ["a" * 32, "d" * 32]
    path.write_bytes(b"\xff")
    assert Replays(path, NOW).alive(NOW) == []


def test_it_does_not_grow_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In memory and in the file, what is over goes."""
    monkeypatch.setattr(replays, "SPARE_LINES", 10)
    kept = Replays(path, NOW)
    for number in range(200):
        now = NOW + timedelta(seconds=number)
        kept.add([Use(f"{number:032x}", 0, now + timedelta(seconds=5))], now)
    assert len(path.read_text().splitlines()) <= 2 * 6 + 10
    assert len(kept._uses) <= 2 * 6 + 10


def test_a_folder_that_cannot_be_written_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What is in memory counts all the same."""
    kept = Replays(tmp_path / "nowhere" / "accepted", NOW)
    for number in range(3):
        kept.add([Use(f"{number:032x}", 0, LATER)], NOW)
    assert len(caplog.messages) == 1
    assert "after a restart and a fail-over, codes of before may count again" in caplog.text
    assert len(kept.alive(NOW)) == 3


def test_where_the_store_is_a_file_nothing_is_kept() -> None:
    """It forgets nothing."""
    kept = Replays(None, NOW)
    kept.add([Use("a" * 32, 0, LATER)], NOW)
    assert kept.alive(NOW) == []
