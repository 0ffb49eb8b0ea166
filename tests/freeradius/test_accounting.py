"""Accounting (RFC 2866): whoever is sent to our sites gets an answer, and the trail tells of it."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.freeradius import stock
from tests.support.accounting import DELAY, INTERIM, ON, START, STATUS, STOP, account, number, told
from tests.support.freeradius import Radiusd, Site
from tests.support.radius import MESSAGE_AUTHENTICATOR, NAS_IDENTIFIER, PROXY_STATE
from tests.support.site import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BOTH = ["session-started", "session-ended"]


def reported(site: Site, number: int, name: str = "alice") -> list[str]:
    """The kinds of events of an account, as soon as there are so many."""
    return eventually(lambda: len(found := site.kinds(name)) >= number and found)


def details(radiusd: Radiusd) -> str:
    """What the module ``detail`` has kept."""
    files = (radiusd.folder / "log" / "radacct").rglob("detail-*")
    return "".join(path.read_text("utf-8") for path in files)


def shown(site: Site, *words: str) -> str:
    """What a command prints."""
    command = [sys.executable, "-m", "radius_smsotp", "--config", site.settings_path, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_session_is_answered_kept_and_told_of(site: Site, radiusd: Radiusd) -> None:
    port = radiusd.port + 1
    proxied = [(PROXY_STATE, b"p1")]
    for status in (START, INTERIM, STOP):
        assert account(port, told(status, more=proxied)) == {PROXY_STATE: b"p1"}
    assert reported(site, 2) == BOTH
    kept = details(radiusd)
    assert [kept.count(f"Acct-Status-Type = {one}") for one in ("Start", "Stop")] == [1, 1]
    assert kept.count("Acct-Unique-Session-Id = ") == 3
    begun, ended = site.events("alice")
    assert (begun.client, begun.station) == ("local", "02-00-00-00-00-01")
    assert begun.detail == {"session": "a1", "address": "192.0.2.9"}
    assert ended.detail == begun.detail | {
        "lasted": 3700,
        "received": 2**32 + 1_500_000,
        "sent": 5,
        "cause": "User-Request",
    }
    told_of = shown(site, "trace", "alice")
    assert "the session has begun (address 192.0.2.9, client local, station 02-" in told_of
    assert (
        "the session has ended (after 1 h 1 min, 4.3 GB from the user, 5 B to the user" in told_of
    )
    line = shown(site, "user", "show", "alice")
    assert "at local from 02-00-00-00-00-01 with 192.0.2.9: 1 h 1 min, 4.3 GB in, 5 B out" in line


@pytest.mark.once
def test_a_session_that_goes_on_is_shown(site: Site, radiusd: Radiusd) -> None:
    account(radiusd.port + 1, told(START))
    reported(site, 1)
    assert "at local from 02-00-00-00-00-01 with 192.0.2.9, no end reported" in shown(
        site, "user", "show", "alice"
    )


@pytest.mark.once
def test_what_is_sent_again_counts_once(make_site: Callable[..., Site]) -> None:
    """By a client that got no answer, to whichever server; not what comes an hour later."""
    site = make_site()
    ports = [site.start(name).port + 1 for name in ("one", "two")]
    for port in (*ports, *ports):
        account(port, told(STOP, more=[(DELAY, number(3))]))
    account(ports[0], told(STOP, "other"))
    assert reported(site, 2) == ["session-ended"] * 2
    account(ports[1], told(STOP, more=[(DELAY, number(2 * 3600))]))
    account(ports[1], told(STOP, "last"))
    assert reported(site, 4) == ["session-ended"] * 4


def test_whoever_accounts_is_answered_while_the_store_is_not_there(
    site: Site, radiusd: Radiusd
) -> None:
    """The report is written as soon as it can be."""
    with contextlib.closing(sqlite3.connect(site.store_path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        for status in (START, STOP):
            assert account(radiusd.port + 1, told(status), patience=2) == {}
        eventually(lambda: details(radiusd).count("Acct-Session-Id"))
        assert site.kinds("alice") == []
        db.execute("ROLLBACK")
    assert reported(site, 2) == BOTH


def test_what_is_reported_at_the_end_is_not_lost(site: Site, radiusd: Radiusd) -> None:
    account(radiusd.port + 1, told(START))
    assert radiusd.stop() == 0
    assert site.kinds("alice") == ["session-started"]


@pytest.mark.parametrize(
    "pairs",
    [
        told(START, user=b"J\xf6rg"),
        told(START, user=b"carl\0x"),
        told(START, user=b"*)(uid=*"),
        told(START, user=b"carl", more=[(NAS_IDENTIFIER, b"B\xfcro")]),
        told(START, "x" * 253, b"carl"),
        told(STOP, user=b"carl", more=[(DELAY, number(2**32 - 1))]),
        [(STATUS, number(ON)), (NAS_IDENTIFIER, b"vpn")],
        [(STATUS, number(99))],
    ],
)
def test_whatever_is_told_is_answered(radiusd: Radiusd, pairs: list[tuple[int, bytes]]) -> None:
    assert account(radiusd.port + 1, pairs) == {}


def test_who_does_not_know_the_secret_gets_no_answer(site: Site, radiusd: Radiusd) -> None:
    port = radiusd.port + 1
    assert account(port, told(START), "another", patience=1) is None
    assert list(account(port, told(STOP), signed=True) or {}) == [MESSAGE_AUTHENTICATOR]
    assert reported(site, 1) == ["session-ended"]


@pytest.mark.parametrize("named", ["smsotp", "smsotp-gtc"])
def test_beside_debians_own_configuration(make_site: Callable[..., Site], named: str) -> None:
    """There ``virtual_server`` in the client's section leads its accounting to us as well."""
    port = 0

    def edit(raddb: Path) -> None:
        nonlocal port
        clients = raddb / "clients.conf"
        stock.replace(
            clients, r"^client localhost \{", f"client localhost {{\nvirtual_server = {named}", 1
        )
        text = (raddb / "sites-available" / "default").read_text()
        port = int(text.partition("type = acct")[2].partition("port = ")[2].split()[0])

    site = make_site()
    radiusd = stock.start(site, "raddb", edit)
    for status in (START, STOP):
        assert account(port, told(status)) == {}
    assert reported(site, 2) == BOTH
    assert "Acct-Unique-Session-Id" in details(radiusd)


def test_a_disk_on_which_nothing_can_be_kept_is_not_answered_for(
    site: Site, radiusd: Radiusd
) -> None:
    """RFC 2866 section 4.2: a response says that it was recorded."""
    shutil.rmtree(radiusd.folder / "log" / "radacct", ignore_errors=True)
    (radiusd.folder / "log" / "radacct").write_text("no folder")
    try:
        assert account(radiusd.port + 1, told(INTERIM), patience=1) is None
    finally:
        (radiusd.folder / "log" / "radacct").unlink()
