"""What one radiusd holds, and how it notices that settings or key have changed."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sqlite3
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp import server
from radius_smsotp.delivery import courier
from radius_smsotp.errors import ConfigurationError, StoreError
from radius_smsotp.login.answers import Challenged
from radius_smsotp.login.request import Step
from radius_smsotp.model.records import Event
from radius_smsotp.server import Server, Watch
from radius_smsotp.settings import file, keyring
from radius_smsotp.store import open_store, transfer
from radius_smsotp.store.trail import LINES
from tests.support.site import add, eventually, request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.site import Gateways, Site


OF_CLIENT, OF_NAME = LINES[1:]


class Running:
    """A server, the watch over its settings, and whatever took over since."""

    def __init__(self, site: Site, **more: Any) -> None:
        self.servers = [Server(site.settings_path, **more)]
        self.watch = Watch(self.servers[0], self.servers.append)

    def look(self) -> bool:
        """Look once.  What was replaced ends in a thread of its own."""
        return self.watch.look()

    def close(self) -> None:
        """End all of them."""
        self.watch.stop()
        for one in self.servers:
            one.close(20)


@pytest.fixture
def running(site: Site) -> Iterator[Running]:
    """A server of the default settings, with alice in its store."""
    site.node()
    one = Running(site)
    yield one
    site.gateways.release()
    one.close()


def open_files(site: Site) -> list[str]:
    """Which files of a site this process has open."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(link.readlink()))
        except OSError:  # the handle that iterdir itself had
            continue
    return [name for name in found if name.startswith(str(site.folder))]


def digits(one: Server) -> int:
    """Something in the settings that shows which they are."""
    return one.loaded.values.code.digits


class TestServer:
    def test_after_it_is_made_nothing_is_open_and_nothing_runs(self, site: Site) -> None:
        """radiusd forks then: no connection and no thread may come along."""
        before = threading.active_count()
        one = Server(site.settings_path)
        assert site.store_path.exists()
        assert open_files(site) == []
        assert threading.active_count() == before
        one.close()

    def test_every_problem_of_key_and_store_is_said_at_once(self, site: Site) -> None:
        """So that one start finds them all."""
        (site.folder / "key").chmod(0o644)
        site.write(store="sqlite:///missing/smsotp.db")
        with pytest.raises(ConfigurationError) as caught:
            Server(site.settings_path)
        paths = [problem.path.partition(" ")[0] for problem in caught.value.problems]
        assert paths == ["key_file", "store"]

    def test_a_store_that_does_not_do_is_not_left_open(self, site: Site) -> None:
        """Reading the settings again and again would use up all handles."""
        Server(site.settings_path).close()
        db = sqlite3.connect(site.store_path)
        db.execute("PRAGMA user_version = 99")
        db.close()
        with pytest.raises(ConfigurationError, match="upgrade"):
            Server(site.settings_path)
        assert open_files(site) == []

    def test_a_login_works_on_it(self, site: Site, gateways: Gateways) -> None:
        """Settings, key, store, courier and service belong together."""
        site.node()
        one = Server(site.settings_path)
        ready = one.service.prepare(request())
        assert ready.reason == ""
        outcome = one.service.begin(request(step=ready.step))
        assert isinstance(outcome, Challenged)
        one.close(20)
        assert gateways.names() == ["first"]


def sums(site: Site) -> list[int]:
    """The numbers on the lines of the audit trail that stand for several events."""
    with site.store.read() as tx:
        return [int(one.detail["more"]) for one in tx.events("", 100) if "more" in one.detail]


class TestTrail:
    """What was noted and got no line of its own."""

    def noted(self, one: Server, number: int = 100, time: datetime | None = None) -> None:
        """Let something happen that anybody can cause."""
        for _ in range(number):
            with one.store.write("nobody") as tx:
                tx.note(Event("eap-refused", time or datetime.now(UTC), "nobody", client="vpn"))

    def test_it_is_written_when_it_ends(self, site: Site, running: Running) -> None:
        """By whichever server noted it, also by one whose settings were replaced."""
        self.noted(running.servers[0], time=datetime(2026, 3, 2, tzinfo=UTC))
        site.write(code={"digits": 8})
        assert running.look()
        eventually(lambda: sums(site) == [100 - OF_NAME])
        self.noted(running.servers[1])
        running.close()
        assert len(sums(site)) >= 2
        assert sum(sums(site)) <= 2 * (100 - OF_NAME)

    def test_what_nobody_waits_for_has_the_same_ceiling(
        self, site: Site, running: Running, caplog: pytest.LogCaptureFixture
    ) -> None:
        """In the log too: a device without an account may refuse our methods all day."""
        now = datetime(2026, 3, 2, tzinfo=UTC)
        for number in range(1000):
            detail = {"reason": "method", "text": "it asks for TLS"}
            event = Event("eap-refused", now, f"made-up-{number}", "", "wifi", "", {**detail})
            running.servers[0].note(event)
        running.close()
        lines = [one for one in caplog.messages if "asks for TLS" in one]
        assert len(lines) == OF_CLIENT
        assert lines[0].startswith("the device of 'made-up-0' (client wifi, station unknown): the")
        assert sums(site) == [1000 - OF_CLIENT]
        assert site.kinds("made-up-0") == ["eap-refused"]

    def test_it_is_written_when_its_minute_is_over(self, site: Site, running: Running) -> None:
        """In the thread that looks after the settings: no login waits for it."""
        self.noted(running.servers[0], time=datetime.now(UTC) - timedelta(minutes=1))
        running.watch.start()
        eventually(lambda: sums(site) == [100 - OF_NAME])

    def test_a_store_that_fails_at_the_end_is_said(
        self, running: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Then the numbers of this minute are lost."""

        def fail() -> None:
            raise StoreError("the disk is full")

        one = running.servers[0]
        self.noted(one)
        monkeypatch.setattr(one.store, "read", fail)
        one.settle(datetime.now(UTC) + timedelta(minutes=1))
        assert caplog.messages == []
        one.settle(None)
        assert caplog.messages == [
            "the last sums and sessions of the audit trail are lost: the disk is full"
        ]


class TestSessions:
    def test_a_report_waits_for_the_store_and_is_written_once(
        self, site: Site, running: Running, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In its place, whatever comes twice meanwhile; the next server's are its own."""
        one, now = running.servers[0], datetime.now(UTC)
        begun = Event("session-started", now, "alice", "", "vpn", "", {"session": "a1"})
        with monkeypatch.context() as broken:
            broken.setattr(one.store, "write", self.fail)
            for event in (begun, replace(begun, time=now + timedelta(seconds=9))):
                one.report(event)
                one.settle(now)
        assert "session-started" not in site.kinds()
        one.report(replace(begun, kind="session-ended"))
        one.report(replace(begun, client="other"))
        one.report(replace(begun, time=now + timedelta(hours=2)))
        one.settle(now)
        assert site.kinds() == ["session-started", "session-ended", *["session-started"] * 2]

    @staticmethod
    def fail(*_: str) -> None:
        """What a store without a disk does."""
        raise StoreError("the disk is full")


class TestSweeping:
    """Who looks for messages that were left behind: whoever is to send them, and nobody else."""

    @pytest.mark.parametrize(
        ("setting", "in_radiusd", "sends"),
        [
            ("internal", True, True),
            ("internal", False, False),
            ("external", True, False),
            ("external", False, True),
        ],
    )
    def test_only_the_process_that_sends_sweeps(
        self,
        site: Site,
        gateways: Gateways,
        monkeypatch: pytest.MonkeyPatch,
        setting: str,
        in_radiusd: bool,
        sends: bool,
    ) -> None:
        """With `delivery.courier: external`, radiusd leaves its messages to `smsotp courier`."""
        for name in ("internal", "external"):
            monkeypatch.setitem(courier.SWEEP_SECONDS, name, 0.001)
        node = site.node(delivery={"courier": "external"})
        challenged = node.first()
        assert isinstance(challenged, Challenged)
        site.write(delivery={"courier": setting})
        one = Server(site.settings_path, in_radiusd=in_radiusd)
        swept = threading.Event()
        monkeypatch.setattr(one.courier, "sweep", lambda: swept.set() or 0)
        one.start()
        assert swept.wait(0.2 if not sends else 20) == sends
        one.close()
        assert gateways.sent == []


class TestWatch:
    def test_it_tidies_up_now_and_then(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        """Settings that cannot be read do not keep it from that."""
        monkeypatch.setattr(server, "LOOK_SECONDS", 0.001)
        monkeypatch.setattr(server, "TIDY_LOOKS", 3)
        site.node()
        one, looks, tidied = Server(site.settings_path), 0, threading.Event()
        watch = Watch(one, lambda _: None, tidied.set)

        def look() -> bool:
            nonlocal looks
            looks += 1
            raise RuntimeError

        monkeypatch.setattr(watch, "look", look)
        watch.start()
        assert tidied.wait(20)
        watch.stop()
        assert looks >= 2
        one.close(20)

    def test_nothing_changed_nothing_happens(self, running: Running) -> None:
        """It is looked at every second."""
        assert not running.look()
        assert len(running.servers) == 1

    def test_changed_settings_take_over(self, site: Site, running: Running) -> None:
        """With the same store and the same key."""
        site.write(code={"digits": 8})
        assert running.look()
        assert [digits(one) for one in running.servers] == [6, 8]
        assert not running.look()

    def test_a_new_key_takes_over(self, site: Site, running: Running) -> None:
        """The file was replaced, as editors and `mv` do; of its keys the store knows one."""
        new = site.folder / "new"
        keyring.create(new)
        new.write_text(new.read_text() + (site.folder / "key").read_text())
        new.replace(site.folder / "key")
        assert running.look()

    def test_a_key_that_the_store_does_not_know_does_not_take_over(
        self, site: Site, running: Running, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The one before stays in use; and nobody starts with the other one."""
        (site.folder / "key").unlink()
        keyring.create(site.folder / "key")
        assert not running.look()
        assert "the store was used with another key" in caplog.text
        with pytest.raises(ConfigurationError, match="was used with another key"):
            Server(site.settings_path)

    def test_a_key_whose_time_comes_takes_over(
        self, site: Site, running: Running, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The file is read twice: when it has changed, and when the key in it begins."""
        made = keyring.add(site.folder / "key", datetime.now(UTC) + timedelta(hours=1))
        assert running.look()
        assert running.servers[-1].keys.current != made
        assert not running.look()

        class Later(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
                return datetime.now(tz) + timedelta(hours=2)

        monkeypatch.setattr(server, "datetime", Later)
        monkeypatch.setattr(keyring, "datetime", Later)
        assert running.look()
        assert running.servers[-1].keys.current == made
        assert not running.look()

    def test_a_file_that_was_rewritten_within_its_time_is_noticed(
        self, site: Site, running: Running
    ) -> None:
        """Same time, another size; same size, another inode."""
        status = site.settings_path.stat()
        text = site.settings_path.read_text()
        site.settings_path.write_text(text + "\n")
        os.utime(site.settings_path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert running.look()
        copy = site.folder / "copy"
        copy.write_text(text + " ")
        os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
        copy.replace(site.settings_path)
        assert running.look()

    def test_a_change_while_the_settings_are_read_is_not_missed(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is looked at was taken before the reading began."""
        original = file.load

        def load(path: Path) -> file.Loaded:
            loaded = original(path)
            site.write(code={"digits": 7})
            return loaded

        with monkeypatch.context() as patch:
            patch.setattr(file, "load", load)
            running = Running(site)
        assert running.look()
        assert digits(running.servers[-1]) == 7
        running.close()

    def test_a_bad_change_keeps_the_settings_before_it(
        self, site: Site, running: Running, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Each problem is in the log, once, and logins go on."""
        site.write(code={"digits": 1}, challenge={"style": "sms"})
        for _ in range(3):
            assert not running.look()
        assert len(running.servers) == 1
        errors = [record.message for record in caplog.records if record.levelno == logging.ERROR]
        assert len(errors) == 3
        assert "the ones before stay in use" in errors[0]
        assert any("code.digits" in line for line in errors)
        assert any("challenge.style" in line for line in errors)
        site.write(code={"digits": 8})
        assert running.look()
        assert digits(running.servers[-1]) == 8

    def test_a_start_with_bad_settings_takes_the_last_that_worked(
        self, site: Site, running: Running, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A look at the same file changes nothing; a good one takes over."""
        site.write(code={"digits": 1})
        again = Running(site, starting=True)
        assert digits(again.servers[0]) == digits(running.servers[0])
        assert "the settings do not work; those of " in caplog.text
        assert ": code.digits: is 1, and has to be" in caplog.text
        assert not again.look()
        site.write(code={"digits": 8})
        assert again.look()
        assert digits(again.servers[-1]) == 8
        again.close()

    def test_a_secret_that_changes_in_its_file_takes_over(
        self, site: Site, running: Running
    ) -> None:
        """As whoever keeps it writes a new one."""
        (site.folder / "word").write_text("one")
        mail = {"server": "localhost", "username": "me", "password": {"file": "word"}}
        site.write(smtp_servers={"mail": mail})
        assert running.look()
        assert not running.look()
        (site.folder / "word").write_text("another")
        assert running.look()
        loaded = running.servers[-1].loaded
        assert loaded.values.smtp_servers["mail"]["password"] == "another"

    def test_what_was_missing_is_noticed_when_it_is_there(
        self, site: Site, running: Running, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The settings name another key; they need no second change when it has been made."""
        site.write(key_file="key.later", code={"digits": 8})
        assert not running.look()
        assert "there is no such file" in caplog.text
        shutil.copy(site.folder / "key", site.folder / "key.later")
        assert running.look()
        assert digits(running.servers[-1]) == 8

    def test_settings_that_have_gone_are_a_bad_change(
        self, site: Site, running: Running, caplog: pytest.LogCaptureFixture
    ) -> None:
        """An editor may remove the file for a moment."""
        site.settings_path.unlink()
        assert not running.look()
        assert "there is no such file" in caplog.text
        site.write()
        assert running.look()

    def test_messages_under_way_are_finished_by_who_began_them(
        self, site: Site, running: Running, gateways: Gateways
    ) -> None:
        """The new server does not send them again."""
        gate = gateways.hang("first")
        outcome = running.servers[0].service.begin(request(step=Step.PIN))
        assert isinstance(outcome, Challenged)
        eventually(gateways.names)
        site.write(code={"digits": 8})
        assert running.look()
        new = running.servers[-1]
        assert new.courier.sweep() == 0
        gate.set()

        def state() -> str:
            with new.store.read() as tx:
                message = tx.message(outcome.transaction_id)
            assert message is not None
            return message.state

        eventually(lambda: state() == "accepted")
        eventually(lambda: gateways.closed == ["first", "second"])
        assert gateways.names() == ["first"]

    def test_both_servers_may_use_the_store_at_once(self, site: Site, running: Running) -> None:
        """A hook that is under way still has the old one."""
        with running.servers[0].store.write() as tx:
            assert tx.account("alice") is not None
        site.write(code={"digits": 8})
        assert running.look()
        node = site.nodes[0]
        add(node, "bob")
        for one in running.servers:
            with one.store.read() as tx:
                assert tx.account("bob") is not None

    def test_a_store_in_the_place_of_the_one_in_use_takes_over(
        self, site: Site, running: Running, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Else who is disabled in it would be let in, by the one that nobody sees any more."""
        one = running.servers[0]
        with one.store.write() as tx:
            alice = tx.account("alice")
            assert alice is not None
        backup = open_store(f"sqlite:///{tmp_path}/backup.db")
        backup.migrate()
        transfer.copy(one.store, backup, lambda _done, _whole: None)
        with backup.write() as tx:
            tx.put_account(replace(alice, enabled=False), site.clock())
        backup.close()
        site.nodes[0].store.close()
        site.store_path.unlink()
        assert not running.look()
        (tmp_path / "backup.db").replace(site.store_path)
        for end in ("-wal", "-shm"):
            site.store_path.with_name(f"smsotp.db{end}").unlink()
        assert running.look()
        assert not running.look()
        assert "another store lies in the place of the one in use" in caplog.text
        new = running.servers[-1]
        assert new.service.prepare(request()).reason == "disabled"
        # The one before lets go of its own files only, though they have the same names.
        add(site.nodes[0], "carol")
        one.close()
        add(site.nodes[0], "dave")
        with contextlib.closing(sqlite3.connect(site.store_path)) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            found = db.execute("SELECT name FROM account ORDER BY name").fetchall()
        assert found == [("alice",), ("bob",), ("carol",), ("dave",)]

    def test_it_looks_by_itself(
        self, site: Site, running: Running, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In a thread, until it is stopped, whatever happens."""
        monkeypatch.setattr(server, "LOOK_SECONDS", 0.005)
        failing = threading.Event()
        original = file.load

        def load(path: Path) -> file.Loaded:
            if not failing.is_set():
                failing.set()
                raise ValueError("unforeseen")
            return original(path)

        monkeypatch.setattr(file, "load", load)
        running.watch.start()
        site.write(code={"digits": 8})
        assert failing.wait(20)
        eventually(lambda: len(running.servers) == 2)
        assert digits(running.servers[-1]) == 8
        running.watch.stop()
        eventually(lambda: not [t for t in threading.enumerate() if t.name == "smsotp-watch"])


class TestOthers:
    """Whether a client may turn to another radiusd of the store."""

    def test_one_that_was_seen_lately_counts(self, site: Site) -> None:
        """Neither this one nor one that is long gone does."""
        site.node()
        one = Server(site.settings_path)
        assert not one.has_others
        now = datetime.now(UTC)
        for age, counts in ((timedelta(days=8), False), (timedelta(days=6), True)):
            with site.store.write() as tx:
                tx.put_server("elsewhere", now - age)
            other = Server(site.settings_path)
            assert other.has_others == counts
            other.close(20)
        # It looks again soon: the second server of a site is started after the first one.
        one.settle(now + timedelta(seconds=5))
        assert not one.has_others
        one.settle(now + timedelta(seconds=15))
        assert one.has_others
        with site.store.read() as tx:
            assert len(tx.servers()) == 2
        one.close(20)
