"""What a running FreeRADIUS does while its store does not work, and afterwards."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.store import open_store, transfer
from tests.support.freeradius import Radiusd, Site
from tests.support.radius import (
    KINDS,
    SECRET,
    STATUS_SERVER,
    access_request,
    exchange,
    is_signed,
)
from tests.support.site import PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from radius_smsotp.store import Store
    from tests.support.radius import Reply

KEY = SECRET.encode()

SMALL_DISK = """#!/bin/sh
set -e
cp -a '{disk}' '{disk}.copy'
# In a chroot the root is no mount, and trixie.sh has cut it off from other namespaces before.
kind=private
mountpoint -q / || kind=unchanged
exec unshare --mount --propagation "$kind" sh -euc '
    mount -t tmpfs -o size=8m,mode=0700 smsotp "{disk}"
    cp -a "{disk}.copy"/. "{disk}"
    {then}
    exec "$0" "$@"' '{program}' "$@"
"""
"""A file system of 8 MB that no other process sees, and that goes with this one."""


def on_a_small_disk(site: Site, then: str = ":") -> Callable[[Path], None]:
    """Let radiusd run with the site's store on one, after the commands `then`."""

    def edit(raddb: Path) -> None:
        assert site.server is not None
        values = {"disk": disk(site), "program": site.server.program, "then": then}
        script = raddb / "radiusd.sh"
        script.write_text(SMALL_DISK.format(**values))
        script.chmod(0o755)
        site.server = dataclasses.replace(site.server, program=script)

    return edit


def status(radiusd: Radiusd) -> str:
    """What Status-Server gets (RFC 5997): health checks and clients ask so."""
    request = access_request(KEY, [], code=STATUS_SERVER)
    reply = exchange(radiusd.port, request)
    assert reply is not None
    assert is_signed(KEY, request, reply)
    return KINDS[reply[0]]


@pytest.fixture
def site(make_site: Callable[..., Site], tmp_path: Path) -> Site:
    """A site whose store is in a folder of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = make_site(
        store=f"sqlite:///{disk}/smsotp.db",
        limits={"cooldown": 0, "per_account_hour": 1000, "per_number_hour": 1000},
    )
    made.store.close()
    return made


def disk(site: Site) -> Path:
    """Where the store of a site is."""
    return site.folder.parent / "disk"


def disk_of(site: Site, radiusd: Radiusd) -> Path:
    """The same as that process sees it."""
    assert radiusd.process is not None
    return Path(f"/proc/{radiusd.process.pid}/root{disk(site)}")


def is_unavailable(reply: Reply) -> bool:
    """Whether the user is told to come back later."""
    return reply.kind == "Access-Reject" and "try again later" in reply.message


def integrity(path: Path) -> list[str]:
    """What SQLite finds wrong with a store."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        return [row[0] for row in db.execute("PRAGMA integrity_check")]


def taken_from(small: Path, folder: Path) -> Store:
    """
    The store as it lies on a small disk now.

    A copy: SQLite resolves the link into the other process's file systems, and ends up in ours.
    """
    folder.mkdir()
    for name in ("smsotp.db", "smsotp.db-wal"):
        (folder / name).write_bytes((small / name).read_bytes())
        (folder / name).chmod(0o600)
    return open_store(f"sqlite:///{folder}/smsotp.db", 5)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process writes to the store, and does not come to an end."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("ROLLBACK")


def test_a_full_disk_is_said_and_lets_nobody_in(site: Site, tmp_path: Path) -> None:
    """No code counts that cannot be spent; what was stored stays readable; then it goes on."""
    radiusd = site.start(edit=on_a_small_disk(site))
    small = disk_of(site, radiusd)
    # A challenge for each answer, opened while there is room.
    states = [radiusd.challenge().state for _ in range(30)]
    codes = [site.code(state) for state in states]
    filler = (small / "filler").open("wb", buffering=0)
    with filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(4096))
    replies = [radiusd.ask("alice", code, state) for state, code in zip(states, codes, strict=True)]
    refused = [at for at, reply in enumerate(replies) if is_unavailable(reply)]
    accepted = [at for at, reply in enumerate(replies) if reply.kind == "Access-Accept"]
    assert refused
    assert len(refused) + len(accepted) == len(states)
    assert "the disk is full" in radiusd.log()
    seen = taken_from(small, tmp_path / "while-full")
    with seen.read() as tx:
        assert tx.account("alice") is not None
        for at, state in enumerate(states):
            assert state is not None
            found = tx.challenge(state.decode())
            assert found is not None
            assert (found.state == "spent") == (at in accepted)
    (small / "filler").unlink()
    assert radiusd.ask("alice", codes[refused[0]], states[refused[0]]).kind == "Access-Accept"
    assert radiusd.ask("alice", codes[refused[0]], states[refused[0]]).kind == "Access-Reject"
    taken_from(small, tmp_path / "afterwards")
    assert integrity(tmp_path / "afterwards" / "smsotp.db") == ["ok"]
    seen.close()


def test_a_store_that_may_only_be_read_is_said_at_the_start(site: Site) -> None:
    """And FreeRADIUS does not start: it could count no guess."""
    site.make_raddb()
    radiusd = Radiusd(site, *site.make_raddb("other"))
    on_a_small_disk(site, f'mount -o remount,ro "{disk(site)}"')(radiusd.folder)
    assert radiusd.run().wait(30) != 0
    assert "let the user of FreeRADIUS write to" in radiusd.log()


def test_a_store_that_another_process_locks_is_waited_for_a_second(
    site: Site,
) -> None:
    """Then the login is refused, and the same code is good when the store is free again."""
    radiusd = site.start()
    challenged = radiusd.challenge()
    code = site.code(challenged.state)
    with locked(disk(site) / "smsotp.db"):
        assert is_unavailable(radiusd.ask("alice", code, challenged.state))
        assert is_unavailable(radiusd.ask("alice", PIN))
    assert "another process is writing to the store for too long" in radiusd.log()
    assert radiusd.ask("alice", code, challenged.state).kind == "Access-Accept"


def test_a_damaged_store_lets_nobody_in(site: Site, tmp_path: Path) -> None:
    """It is said so, and a backup in its place serves without another start."""
    path = disk(site) / "smsotp.db"
    radiusd = site.start()
    challenged = radiusd.challenge()
    code = site.code(challenged.state)
    eventually(lambda: "sms-accepted" in site.kinds("alice"))
    radiusd.stop()
    backup = open_store(f"sqlite:///{tmp_path}/backup.db")
    backup.migrate()
    transfer.copy(site.store, backup, lambda _done, _whole: None)
    backup.close()
    site.store.close()
    with contextlib.closing(sqlite3.connect(path)) as db:
        size = db.execute("PRAGMA page_size").fetchone()[0]
        found = db.execute("SELECT rootpage FROM sqlite_master WHERE rootpage > 0")
        pages = [page for (page,) in found]
    # What is in the tables; where they are can still be read.
    octets = bytearray(path.read_bytes())
    for page in pages:
        octets[(page - 1) * size : page * size] = os.urandom(size)
    radiusd.start()
    path.write_bytes(octets)
    for reply in (radiusd.ask("alice", PIN), radiusd.ask("alice", code, challenged.state)):
        assert is_unavailable(reply)
    assert status(radiusd) == "Access-Reject"
    assert "the store is damaged" in radiusd.log()
    (tmp_path / "backup.db").replace(path)
    for end in ("-wal", "-shm"):
        path.with_name(f"smsotp.db{end}").unlink(missing_ok=True)
    again = eventually(lambda: radiusd.ask("alice", PIN).state)
    assert status(radiusd) == "Access-Accept"
    # What was open when it was copied has ended there.
    assert radiusd.ask("alice", code, challenged.state).kind == "Access-Reject"
    assert radiusd.ask("alice", site.code(again), again).kind == "Access-Accept"
