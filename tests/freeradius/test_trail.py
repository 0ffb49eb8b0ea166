"""What anybody can send without end leaves few lines in the audit trail, and the true number."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePath
from typing import TYPE_CHECKING

import radius_smsotp
from radius_smsotp.cli.statistics import figures
from radius_smsotp.store.trail import LINES
from tests.freeradius.test_store_faults import disk, disk_of, is_unavailable, on_a_small_disk
from tests.support.eap import TtlsClient, avp
from tests.support.radius import STATE, USER_NAME, USER_PASSWORD
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from radius_smsotp.model.records import Event
    from tests.support.freeradius import Site

OF_CLIENT, OF_NAME = LINES[1:]
MINUTES = 3
"""Into so many the requests of a test may fall, on a slow machine."""

OLD_EVENTS = """
import sys
from datetime import UTC, datetime, timedelta
from radius_smsotp.errors import StoreError
from radius_smsotp.model.records import Event
from radius_smsotp.store import open_store
store, old = open_store(sys.argv[1]), datetime.now(UTC) - timedelta(days=5)
for most in (20, 1):
    try:
        for left in range(20_000):
            with store.write(f"user{left % 997}") as tx:
                for number in range(most):
                    name = f"user{left * number % 997}"
                    tx.add_event(Event("pin-wrong", old, name, client="vpn", station="s" * 400))
    except StoreError as error:
        said = error
print(said)
"""


def kept(site: Site) -> int:
    """How many lines there are."""
    with site.store.read() as tx:
        return tx.figures.kept()[0]


def refusals(site: Site) -> dict[tuple[str, str], int]:
    """What the figures say of refused logins, by step and reason."""
    return dict(figures.summarise(figures.ever(site.store)).refusals)


def sums(site: Site, account: str) -> list[Event]:
    """The lines that stand for several, about an account; about nobody if it is ""."""
    return [one for one in site.events(account) if "more" in one.detail]


def state() -> bytes:
    """One in the form of ours that is none of ours."""
    return os.urandom(16).hex().encode()


def test_made_up_states_leave_some_lines_and_their_number(make_site: Callable[..., Site]) -> None:
    """Of made-up names, and of one that there is; none is lost when FreeRADIUS ends."""
    site = make_site()
    radiusd = site.start()

    def send(number: int) -> str:
        pairs = [(USER_NAME, b"name%d" % number), (USER_PASSWORD, b"123456"), (STATE, state())]
        return radiusd.client.send(pairs).kind

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(send, range(300))) == {"Access-Reject"}
    assert OF_CLIENT <= kept(site) <= MINUTES * (OF_CLIENT + 1)
    before = kept(site)
    for _ in range(OF_NAME + 30):
        radiusd.ask("alice", "123456", state())
    radiusd.stop()
    assert refusals(site) == {("second", "unknown-challenge"): 300 + OF_NAME + 30}
    assert before < kept(site) <= MINUTES * (OF_CLIENT + 3)
    # Of others than those that got a line each: the 60 a minute of their client are used up.
    assert sums(site, "alice")
    for one in (*sums(site, "alice"), *sums(site, "")):
        assert (one.kind, one.client) == ("code-rejected", "local")
        assert one.detail["reason"] == "unknown-challenge"


def test_so_do_those_that_come_through_a_tunnel(make_site: Callable[..., Site]) -> None:
    """TTLS, where each costs a handshake and no account."""
    site = make_site()
    radiusd = site.start()
    number = OF_NAME + 10
    for _ in range(number):
        client = TtlsClient(radiusd)
        reply = client.ask(avp(1, b"mallory"), avp(2, b"123456"), avp(STATE, state()))
        assert reply.kind == "Access-Reject"
    radiusd.stop()
    assert refusals(site) == {("second", "unknown-challenge"): number}
    assert OF_NAME < kept(site) <= MINUTES * (OF_NAME + 1)


def test_a_full_disk_is_cleaned_up_and_logins_go_on(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    """With the store in use, without another start; and the disk has its room again."""
    (tmp_path / "disk").mkdir()
    site = make_site(store=f"sqlite:///{tmp_path}/disk/smsotp.db", limits={"cooldown": 0})
    site.store.close()
    radiusd = site.start(edit=on_a_small_disk(site))

    def inside(*command: str) -> str:
        """What a program prints that sees the disk as FreeRADIUS does."""
        assert radiusd.process is not None
        enter = ["nsenter", f"--target={radiusd.process.pid}", "--mount", "--root"]
        # The working folder, where the checkout is, does not come along.
        found = os.environ | {"PYTHONPATH": str(PurePath(radius_smsotp.__file__).parents[1])}
        done = subprocess.run(
            [*enter, *command], env=found, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    url = f"sqlite:///{disk(site)}/smsotp.db"
    radiusd.challenge()
    assert "the disk is full" in inside(sys.executable, "-c", OLD_EVENTS, url)
    small = disk_of(site, radiusd)
    assert is_unavailable(radiusd.ask("alice", PIN))
    size = (small / "smsotp.db").stat().st_size
    command = [sys.executable, "-m", "radius_smsotp", "--config", str(site.settings_path)]
    told = inside(*command, "prune", "--days", "1")
    assert "removed: " in told
    assert "given back: " in told
    assert (small / "smsotp.db").stat().st_size < size / 4
    assert (small / "smsotp.db-reserve").exists()
    assert radiusd.ask("alice", PIN).kind == "Access-Challenge"
