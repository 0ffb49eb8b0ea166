"""The bench works: every row is there, and it counts only what really happened."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from radius_smsotp.model.records import Event
from radius_smsotp.raddb import freeradius
from radius_smsotp.store import open_store
from tests.measure.bench import (
    disks,
    gateways,
    inside,
    lasting,
    load,
    logins,
    sizes,
    stores,
    table,
)
from tests.measure.bench.__main__ import BEGIN, END, PAGE, READER, filled, main, told
from tests.measure.bench.extent import FULL, QUICK
from tests.measure.bench.servers import Server
from tests.support.site import eventually

ROOT = Path(__file__).resolve().parents[3]


def number(cell: str) -> float:
    """The number that a cell begins with."""
    return float(cell.split(maxsplit=1)[0].replace(",", ""))


def by_name(rows: list[table.Row]) -> dict[str, table.Row]:
    """The rows by what they measure; no two are alike."""
    found = {row.what: row for row in rows}
    assert len(found) == len(rows)
    return found


def test_logins_are_counted_only_if_the_server_accepted_them(tmp_path: Path) -> None:
    rows = by_name(list(logins.measure(tmp_path, QUICK)))
    steps = [
        f"{step} step, {users}, p50 / p99, ms"
        for step in ("first", "second")
        for users in ("1 user", "32 users")
    ]
    assert list(rows) == [
        "logins a second, 32 users, default settings",
        "logins a second, 32 users, PIN hash of 210 rounds",
        "CPU of radiusd a login, 32 users, default settings, ms",
        "first step, 50 logins a second come at random, default settings, p50 / p99, ms",
        "second step, 50 logins a second come at random, default settings, p50 / p99, ms",
        "logins a second, 32 users",
        "CPU of radiusd a login, 32 users, µs",
        "first step, 100 logins a second come at random, p50 / p99, ms",
        "second step, 100 logins a second come at random, p50 / p99, ms",
        *steps,
        "load generator, % of one core",
        "logins of radius_smsotp, all accepted, all SMS sent",
    ]
    as_in_full = (what.replace(str(FULL.hashes[1]), str(QUICK.hashes[1])) for what in READER)
    assert {what for what in as_in_full if "PostgreSQL" not in what} <= set(rows)
    for name in [*steps, "logins a second, 32 users"]:
        row = rows[name]
        assert row.ours
        assert row.other
        assert row.ratio
    # The servers are gone; the stores are still there, and say the same.
    accepted: list[Event] = []
    for folder in ("ours", "default", "passwords"):
        store = open_store(f"sqlite:///{tmp_path}/{folder}/smsotp.db")
        with store.read() as tx:
            events = (event for name in logins.CHEAP for event in tx.events(name, 1000))
            accepted += (event for event in events if event.kind == "code-accepted")
        store.close()
    counted = rows["logins of radius_smsotp, all accepted, all SMS sent"].ours
    assert int(counted.replace(",", "")) == len({one.transaction_id for one in accepted}) > 0


def test_a_login_that_is_not_accepted_ends_the_bench(tmp_path: Path) -> None:
    with Server(tmp_path / "site") as server:
        server.add(["known"])
        done = asyncio.run(load.log_in(server, iter(["known"] * 1000), 1, 0.1))
        assert server.accepted(["known"]) == done.logins > 0
        with pytest.raises(ExceptionGroup) as error:
            asyncio.run(load.log_in(server, iter(["unknown"]), 1, 0.1))
    assert error.group_contains(load.UnexpectedReplyError, match="unknown was not challenged")


def test_gateways_have_their_rows(tmp_path: Path) -> None:
    rate, _, slow, hanging, coming, bounds, busy, beside = gateways.measure(tmp_path, QUICK)
    assert rate.what == "logins a second, 40 users, gateway takes 0.2 s"
    assert rate.ratio
    assert slow.what.startswith("12 users together, gateway takes 0.2 s")
    assert slow.ours
    assert slow.ratio
    assert hanging.what.startswith("40 users wait for a gateway that hangs")
    # How long the last of them take is for the long form: here other programs may be at work.
    assert "no reply" not in hanging.ours.split(" / ")[0]
    assert hanging.other.startswith("no reply / no reply")
    assert "no reply" not in coming.ours
    # For each of 40 one that sends and one that connects, and those of FreeRADIUS.
    assert number(bounds.ours) < 2 * 40 + 80
    assert busy.what.startswith("6 users together, gateway takes 2 a second")
    # Two at once, and then one every half second, after a second of rest.
    assert 2 <= number(busy.ours) < 20
    assert busy.ratio
    assert number(beside.ours) < 1000


def test_what_happens_inside_is_counted(tmp_path: Path) -> None:
    """A login is three transactions, one of them synced: see docs/explanation/speed.rst."""
    hooks, _, counts = inside.measure(tmp_path, QUICK)
    assert len(hooks.ours.split(" / ")) == len(inside.PARTS[:3])
    statements, transactions, syncs = map(number, counts.ours.split(" / "))
    # Beside it somebody looks for messages that were left behind, every two seconds.
    assert 13 <= statements < 15
    assert 3 <= transactions < 4
    assert syncs == 1


def test_a_slow_disk_slows_down_those_who_have_to_wait_for_it(tmp_path: Path) -> None:
    """Under one lock no more than 250 answers a second leave if each waits 4 ms."""
    [row] = disks.measure(tmp_path, QUICK)
    assert row.what == "logins a second, 32 users, a sync of the disk takes 4 ms more"
    server = freeradius.find()
    assert server is not None
    assert number(row.ours) < 250 or server.runs_several_instances


def test_a_big_store_is_what_it_says(tmp_path: Path) -> None:
    server = Server(tmp_path / "site")
    sizes.fill(server, 50)
    server.site.close()
    db = sqlite3.connect(tmp_path / "site" / "smsotp.db")
    for name, key in (("account", "name"), ("challenge", "account"), ("event", "account")):
        sql = f"SELECT count(DISTINCT {key}) FROM {name} WHERE {key} LIKE 'user%'"
        assert db.execute(sql).fetchone() == (50,), name
    db.close()
    assert len(list(sizes.measure(tmp_path, QUICK))) == 4


def test_a_database_is_further_away_and_memory_is_looked_at(tmp_path: Path) -> None:
    where = "PostgreSQL, 1 ms away each way"
    assert [row.what for row in stores.measure(tmp_path, QUICK)] == [
        f"logins a second, 32 users, {where}",
        f"logins a second, 16 users, {where}, one server / two",
        f"first / second step, 1 user, {where}, p50, ms",
    ]
    memory, threads = lasting.measure(tmp_path, QUICK)
    assert len(memory.ours.split(" / ")) == len(threads.ours.split(" / ")) == 3


def test_ten_rows_go_into_the_page() -> None:
    """In their order, whatever else was measured."""
    assert len(READER) == 10
    rows = [table.Row(what, "1") for what in (*reversed(READER), "another")]
    assert [row.what for row in told(rows)] == [*READER]
    page = PAGE.read_text("utf-8")
    shown = page.partition(BEGIN)[2].partition(END)[0]
    assert 1 < shown.count("   * - ") <= 1 + len(READER)
    made = filled(page, "a table")
    assert "\n\na table\n\n" in made
    assert filled(made, "a table") == made
    assert len(made.splitlines()) < len(page.splitlines())


def test_parts_are_measured_alone_and_never_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page would lose the others."""
    command = [sys.executable, "-m", "tests.measure.bench", "--quick", "starts"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "radiusd is ready after, ms" in done.stdout
    assert "smsotp --help, ms" in done.stdout
    assert "logins a second" not in done.stdout
    for options, fault in (
        (["--write", "starts"], "figures.txt has the table of all parts"),
        (["speed"], "speed: the parts are logins, stores, inside, "),
    ):
        monkeypatch.setattr(sys, "argv", ["bench", *options])
        with pytest.raises(SystemExit) as error:
            main()
        assert error.value.code == 2
        assert fault in capsys.readouterr().err


def test_nothing_is_left_when_it_is_ended_in_the_middle(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    bench = subprocess.Popen(
        [sys.executable, "-m", "tests.measure.bench"], cwd=ROOT, env=environment
    )
    try:
        children = Path(f"/proc/{bench.pid}/task/{bench.pid}/children")
        # Ours, with three costs of a hash, and the floor's.
        eventually(lambda: len(children.read_text().split()) == 4)
        servers = [Path(f"/proc/{pid}") for pid in children.read_text().split()]
        bench.send_signal(signal.SIGTERM)
        assert bench.wait(20) == 128 + signal.SIGTERM
        assert not any(server.exists() for server in servers)
        assert not list(tmp_path.iterdir())
    finally:
        bench.kill()
        bench.wait()


def test_a_row_shows_the_medians_of_the_rounds_and_of_their_ratios() -> None:
    ours, other = [[2.0, 9.0], [4.0, 9.0], [30.0, 9.0]], [[1.0, 3.0], [1.0, 4.5], [10.0, 9.0]]
    row = table.compared("it", ours, other, "something", 1000)
    assert row == table.Row("it", "4,000 / 9,000", "1,000 / 4,500 (something)", "3 / 2")
    assert table.plain([row], "So.").splitlines()[2:] == [
        "it       4,000 / 9,000  1,000 / 4,500 (something)  3 / 2",
        "",
        "So.",
    ]
    assert "   * - it\n     - 4,000 / 9,000\n" in table.rst([row], "So.")
