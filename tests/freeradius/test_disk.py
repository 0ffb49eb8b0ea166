"""An answer leaves when its code is spent on the disk; who can wait elsewhere holds up nobody."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.support.freeradius import Radiusd, Site
from tests.support.site import PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

UNAVAILABLE = "Login is not possible at the moment. Please try again later."


@contextlib.contextmanager
def each_sync(radiusd: Radiusd, fate: str) -> Iterator[Path]:
    """What becomes of every sync of a radiusd.  Yields the file in which they are listed."""
    trace, said = radiusd.folder / "trace", radiusd.folder / "strace"
    assert radiusd.process is not None
    command = ["strace", "-f", "-o", trace, "-p", str(radiusd.process.pid)]
    command += ["-e", "trace=fdatasync", "-e", f"inject=fdatasync:{fate}"]
    with said.open("wb") as words, subprocess.Popen(command, stderr=words) as strace:
        try:
            eventually(lambda: "attached" in said.read_text())
            yield trace
        finally:
            strace.send_signal(signal.SIGINT)


def count(trace: Path) -> int:
    """How many syncs were begun."""
    return len(re.findall(r"fdatasync\(", trace.read_text()))


def is_spent(site: Site, state: bytes | None) -> bool:
    """Whether a code can be used no more, as every server sees it."""
    assert state is not None
    with site.store.read() as tx:
        challenge = tx.challenge(state.decode())
    assert challenge is not None
    return challenge.state == "spent"


def test_an_answer_waits_for_the_disk_and_no_other_login_for_the_answer(site: Site) -> None:
    """Before 3.2.7 it does: there FreeRADIUS has one lock for all."""
    site.add("bob")
    radiusd = site.start()
    assert site.server is not None
    state = radiusd.challenge().state
    code = site.code(state)
    with each_sync(radiusd, "delay_enter=4s"), ThreadPoolExecutor(1) as pool:
        answer = pool.submit(radiusd.ask, "alice", code, state)
        eventually(lambda: is_spent(site, state))
        assert not answer.done()
        radiusd.challenge("bob")
        if site.server.runs_several_instances:
            assert not answer.done()
        assert answer.result().kind == "Access-Accept"


def test_answers_share_a_sync_where_they_wait_elsewhere(site: Site) -> None:
    """The first one's, and the next for all who came meanwhile; one more who was late."""
    names = [f"user{number}" for number in range(8)]
    for name in names:
        site.add(name, phone=f"+49170100000{name[-1]}")
    radiusd = site.start()
    assert site.server is not None
    states = [radiusd.challenge(name).state for name in names]
    codes = [site.code(state) for state in states]
    with each_sync(radiusd, "delay_enter=1s") as trace:
        with ThreadPoolExecutor(len(names)) as pool:
            replies = list(pool.map(radiusd.ask, names, codes, states))
        syncs = count(trace)
    assert {reply.kind for reply in replies} == {"Access-Accept"}
    assert syncs <= 4 if site.server.runs_several_instances else syncs == len(names)


@pytest.mark.once
def test_a_wrong_pin_is_counted_on_the_disk(site: Site) -> None:
    """Before its rejection leaves, or a power cut would give the guess back."""
    radiusd = site.start()
    radiusd.ask("alice", "4321")
    with each_sync(radiusd, "delay_enter=100ms") as trace:
        reply = radiusd.ask("alice", "4321")
        assert count(trace) == 1
    assert (reply.kind, reply.message) == ("Access-Reject", "Login failed.")
    assert site.kinds("alice") == ["pin-wrong", "pin-wrong"]


@pytest.mark.once
def test_a_disk_that_fails_lets_nobody_in(make_site: Callable[..., Site]) -> None:
    """Neither with the right code nor with PIN and code in one; then it goes on."""
    site = make_site(limits={"cooldown": 0})
    radiusd = site.start()
    first, second = radiusd.challenge().state, radiusd.challenge().state
    with each_sync(radiusd, "error=EIO"):
        for password, state in ((site.code(first), first), (PIN + site.code(second), None)):
            reply = radiusd.ask("alice", password, state)
            assert (reply.kind, reply.message) == ("Access-Reject", UNAVAILABLE)
    assert "the disk under the store fails (Input/output error)" in radiusd.log()
    third = radiusd.challenge().state
    assert radiusd.ask("alice", site.code(third), third).kind == "Access-Accept"
