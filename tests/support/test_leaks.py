"""The search for secrets at the end of a run finds each kind of leak, wherever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import leaks
from tests.support.site import PHONE, PIN, add

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.site import Node, Site

GATEWAY = "Passwort am Gateway"


@pytest.fixture
def used(tmp_path: Path, site: Site) -> Site:
    """A site whose gateway has a password, after a login."""
    http = {"type": "http", "url": "http://127.0.0.1:9/", "password": GATEWAY, "username": "u"}
    http |= {"parameter": {"to": "{phone}", "text": "{message}"}}
    scripted = {"type": "scripted"}
    node = site.node(providers={"first": scripted, "http": http}, delivery={"order": ["first"]})
    add(node, "carol", PHONE, "1234")
    challenged = node.challenge()
    node.second(challenged, node.code(challenged))
    return site


def code_of(node: Node) -> str:
    """A code that was sent."""
    return node.code(node.challenge())


LEAKS: dict[str, Callable[[Node], str]] = {
    "code": code_of,
    "PIN": lambda _: PIN,
    "short PIN": lambda _: "1234",
    "number": lambda _: f"00{PHONE[1:]}",
    "shared secret": lambda _: leaks.SHARED,
    "gateway": lambda _: GATEWAY,
    "key": lambda node: node.keys.secret.hex(),
}


def test_what_a_login_leaves_behind_holds_none(used: Site) -> None:
    assert leaks.sites(used.folder.parent) == [used.folder]
    assert leaks.search(used.folder) == []


@pytest.mark.parametrize("kind", LEAKS)
def test_a_line_of_a_log(used: Site, kind: str) -> None:
    secret = LEAKS[kind](used.nodes[0])
    assert leaks.search(used.folder) == []
    path = used.folder / "raddb" / "log" / "radius.log"
    path.parent.mkdir(parents=True)
    (used.folder / "raddb" / "clients.conf").write_text(secret)
    path.write_text(f"Error: (1) smsotp: what came is '{secret}'\n")
    [leak] = leaks.search(used.folder)
    assert leak.startswith(f"{path}: ")
    assert secret not in leak
    path.unlink()


@pytest.mark.parametrize("kind", LEAKS)
def test_a_cell_of_the_audit_trail(used: Site, kind: str) -> None:
    node = used.nodes[0]
    secret = LEAKS[kind](node)
    with node.store.write() as tx:
        [*_, event] = tx.events("alice", 100)
        tx.add_event(type(event)("code-wrong", event.time, "alice", detail={"typed": secret}))
    found = leaks.search(used.folder)
    assert any("table event: " in leak for leak in found)
    with node.store.write() as tx:
        tx._db.execute("DELETE FROM event")
    node.store.close()
    assert not any("table event" in leak for leak in leaks.search(used.folder))
    for path in used.folder.glob("smsotp.db*"):
        path.unlink()


def test_a_whole_number_in_another_table(used: Site) -> None:
    """In that of accounts it belongs."""
    node = used.nodes[0]
    with node.store.write() as tx:
        tx.put_breaker("first", "open", used.clock(), f"no route to {PHONE}")
    [leak] = leaks.search(used.folder)
    assert leak.endswith("table breaker: a whole number")
    with node.store.write() as tx:
        tx.put_breaker("first", "open", used.clock(), "no route")
