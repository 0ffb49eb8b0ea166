"""``smsotp events``: everybody's trail, and on to where others keep such things."""

from __future__ import annotations

import json
import re
import signal
import socket
import struct
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.cli.events import sinks
from radius_smsotp.cli.events.following import Bookmark, Place
from radius_smsotp.errors import SmsotpError
from radius_smsotp.model import events
from radius_smsotp.model.records import Event
from radius_smsotp.store.history import LATE
from tests.support.ports import free_port
from tests.support.site import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.installation import Installation

FIELDS = {"id", "kind", "time", "account", "transaction_id", "client", "station", "detail"}


def happen(here: Installation, *kinds: str, account: str = "alice", **more: Any) -> None:
    """Events of these kinds, now unless another time is said."""
    with here.store.write() as tx:
        for kind in kinds:
            tx.add_event(Event(kind, more.pop("time", datetime.now(UTC)), account, **more))


def told(here: Installation, *options: str) -> list[str]:
    """What a command prints, without the times."""
    lines = here.done("events", *options).splitlines()
    return [re.sub(r"^[-\d]{10} [:\d]{8} \S+(?: \(\S+\))?  ", "", line) for line in lines]


class TestWhatHappened:
    def test_everybodys_is_told_the_latest_last(self, here: Installation) -> None:
        happen(here, "pin-wrong", client="vpn")
        happen(here, "account-locked", account="bob")
        happen(here, "noise", account="", client="wifi")
        assert told(here) == [
            "alice: the PIN or password was wrong (client vpn)",
            "bob: too many wrong PINs or codes; the account is locked for a time",
            "-: a client sends wrong PINs or made-up names in numbers",
        ]

    def test_by_account_client_kind_and_time(self, here: Installation) -> None:
        """One question of the helpdesk is one command."""
        long_ago = datetime.now(UTC) - timedelta(days=2)
        happen(here, "code-accepted", account="old", time=long_ago)
        happen(here, "pin-wrong", "sms-undelivered", client="vpn")
        happen(here, "code-accepted", "account-changed", account="bob", client="wifi")

        def names(*options: str) -> list[tuple[str, str]]:
            lines = here.done("events", "--json", *options).splitlines()
            found = [json.loads(line) for line in lines if line.startswith("{")]
            return [(one["account"], one["kind"]) for one in found]

        assert names("--kind", "failed") == [("alice", "pin-wrong"), ("alice", "sms-undelivered")]
        assert names("--kind", "undelivered") == [("alice", "sms-undelivered")]
        assert names("--kind", "administration") == [("bob", "account-changed")]
        assert names("--kind", "logins", "--since", "3d") == [
            ("old", "code-accepted"),
            ("bob", "code-accepted"),
        ]
        assert names("--kind", "pin-wrong", "--kind", "account-changed") == [
            ("alice", "pin-wrong"),
            ("bob", "account-changed"),
        ]
        assert names("--account", "ALICE", "--client", "wifi") == []
        assert names("--client", "wifi", "--limit", "1") == [("bob", "account-changed")]
        tomorrow = f"{datetime.now().astimezone() + timedelta(days=1):%Y-%m-%d}"
        assert names("--since", tomorrow) == []

    def test_a_group_has_kinds_that_there_are(self) -> None:
        from radius_smsotp.cli.events.command import GROUPS

        assert all(GROUPS.values())
        assert set().union(*GROUPS.values()) <= events.KINDS.keys()

    def test_json_is_one_object_a_line_and_says_no_more_than_the_trail(
        self, here: Installation
    ) -> None:
        happen(here, "code-rejected", detail={"reason": "expired"}, station="02-00")
        [line] = told(here, "--json")
        found = json.loads(line)
        assert found.keys() == {*FIELDS, "meaning", "told"}
        assert datetime.fromisoformat(found["time"]).utcoffset() == timedelta()
        assert (found["detail"], found["station"]) == ({"reason": "expired"}, "02-00")
        assert found["told"] == "the code was not accepted: the code came too late"

    @pytest.mark.parametrize("options", [("--kind", "x"), ("--since", "soon"), ("--limit", "0")])
    def test_what_makes_no_sense_is_wrong_usage(
        self, here: Installation, options: tuple[str, ...]
    ) -> None:
        result = here.run("events", *options)
        assert (result.exit_code, options[0] in result.output) == (2, True)

    def test_what_happens_is_told_as_it_happens(self, here: Installation) -> None:
        """Each once, and only what was asked for."""
        happen(here, "pin-wrong")
        arguments = ("events", "--follow", "--json", "--kind", "failed")
        process = here.start(*arguments, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["kind"] == "pin-wrong"
        for kind in ("code-accepted", "code-wrong", "code-rejected"):
            happen(here, kind)
        assert json.loads(process.stdout.readline())["kind"] == "code-wrong"
        assert json.loads(process.stdout.readline())["kind"] == "code-rejected"


def test_what_comes_late_is_not_missed_nor_told_twice(here: Installation) -> None:
    """PostgreSQL may show a number after higher ones."""
    happen(here, *["pin-wrong"] * 5)
    with here.store.read() as tx:
        place = Place(5, {1, 2, 4, 5})
        assert [number for number, _ in place.fresh(tx)] == [3]
        assert list(place.fresh(tx)) == []
        # A store that was put back counts from lower on.
        other = Place(10 * LATE, range(9 * LATE, 10 * LATE))
        assert list(other.fresh(tx)) == []
        assert other.number == 5


class Service:
    """`smsotp events --sink` as a process of its own."""

    def __init__(self, here: Installation) -> None:
        self.process = here.start("events", "--sink", stderr=subprocess.PIPE)
        self.says("events are written on")

    def says(self, text: str) -> None:
        """Read its log until this stands there."""
        assert self.process.stderr is not None
        while text not in (line := self.process.stderr.readline()):
            assert line, "it has ended"

    def end(self, kind: signal.Signals = signal.SIGTERM) -> int:
        """End it."""
        self.process.send_signal(kind)
        return self.process.wait(30)


@pytest.mark.slow
class TestService:
    def test_a_file_has_each_event_once_whatever_comes_in_between(self, here: Installation) -> None:
        """Restarts, kill -9, a file that is moved away, a bookmark that was not kept in time."""
        here.write(audit={"sink": "file", "file": "log/events.json"})
        folder = here.folder / "log"
        folder.mkdir()
        file = folder / "events.json"
        happen(here, "pin-wrong")

        def numbers(*files: Path) -> list[int]:
            lines = [line for one in files for line in one.read_text().splitlines()]
            return [json.loads(line)["id"] for line in lines]

        service = Service(here)
        bookmark = here.folder / "smsotp.yaml.sunk"
        eventually(bookmark.exists)
        happen(here, "code-wrong", "code-accepted")
        eventually(lambda: numbers(file) == [2, 3])
        assert service.end(signal.SIGKILL) == -signal.SIGKILL
        before = bookmark.read_bytes()
        happen(here, "pin-wrong")
        service = Service(here)
        eventually(lambda: numbers(file) == [2, 3, 4])
        assert service.end() == 0
        # As if the machine had died between the line and the bookmark, and in the middle of one.
        bookmark.write_bytes(before)
        with file.open("a") as broken:
            broken.write('{"id": 5, "ki')
        happen(here, "pin-wrong")
        service = Service(here)
        eventually(lambda: file.read_text().count("\n") == 5)
        moved = file.rename(folder / "events.json.1")
        happen(here, "code-wrong")
        eventually(lambda: file.exists() and numbers(file) == [6])
        assert service.end() == 0
        lines = moved.read_text().splitlines()
        assert lines.pop(3) == '{"id": 5, "ki'
        assert [json.loads(line)["id"] for line in lines] == [2, 3, 4, 5]
        assert file.stat().st_mode & 0o007 == 0

    def test_there_is_one_and_without_a_sink_there_is_none(self, here: Installation) -> None:
        done = here.run("events", "--sink")
        assert done.exit_code == 3
        assert "audit.sink: is none; set it to journal, syslog or file" in done.stderr
        here.write(audit={"sink": "file"})
        service = Service(here)
        done = here.run("events", "--sink")
        assert done.exit_code == 1
        assert "another process writes the events already" in done.stderr
        assert service.end() == 0

    def test_a_server_that_does_not_listen_is_waited_for(self, here: Installation) -> None:
        """And told once; nothing is missed.  Changed settings are read again."""
        port = free_port()
        here.write(audit={"sink": "syslog", "syslog": f"tcp://127.0.0.1:{port}"})
        service = Service(here)
        eventually((here.folder / "smsotp.yaml.sunk").exists)
        happen(here, "pin-wrong")
        service.says("Connection refused; tried again every 2 s")
        with socket.create_server(("127.0.0.1", port)) as server:
            connection, _ = server.accept()
            connection.settimeout(20)
            service.says("events are written on again")
            length, _, rest = connection.recv(4096).partition(b" ")
            assert int(length) == len(rest)
            assert re.match(rb"<86>1 \S+ \S+ smsotp \d+ pin-wrong - \{\"id\": 1, ", rest)
            here.write(audit={"sink": "file"})
            happen(here, "code-wrong")
            file = here.folder / "events.json"
            eventually(lambda: file.exists() and '"id": 2' in file.read_text())
        assert service.end() == 0


EVENT = {"id": 7, "time": "2026-11-23T10:02:11.250+00:00", "account": "alice\nbob", "told": "x"}
EVENT |= {"detail": {"seconds": 1.5}}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[socket.socket]:
    """A socket that takes datagrams."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.bind(str(tmp_path / "socket"))
        yield one


def test_the_journal_gets_fields_of_any_text(place: socket.socket) -> None:
    sinks.Journal(place.getsockname()).write(EVENT | {"kind": "account-locked"})
    rest, found = place.recv(65536), {}
    while rest:
        name, _, rest = rest.partition(b"\n")
        [length] = struct.unpack_from("<Q", rest)
        found[name.decode()] = rest[8 : 8 + length].decode()
        rest = rest[8 + length + 1 :]
    assert found == {
        "MESSAGE": "alice\nbob: x",
        "PRIORITY": "4",
        "SYSLOG_FACILITY": "10",
        "SYSLOG_IDENTIFIER": "smsotp",
        "SMSOTP_ID": "7",
        "SMSOTP_TIME": EVENT["time"],
        "SMSOTP_ACCOUNT": "alice\nbob",
        "SMSOTP_TOLD": "x",
        "SMSOTP_DETAIL": '{"seconds": 1.5}',
        "SMSOTP_KIND": "account-locked",
    }


def test_syslog_goes_to_a_socket_and_by_udp(place: socket.socket) -> None:
    """In the form of RFC 5424, one datagram each; no text of a user's breaks it."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", free_port()))
    udp.settimeout(20)
    for one, address in (
        (place, place.getsockname()),
        (udp, f"udp://127.0.0.1:{udp.getsockname()[1]}"),
    ):
        sink = sinks.Syslog(address)
        sink.write(EVENT | {"kind": "code-wrong"})
        sink.close()
        line = one.recv(65536).decode()
        head, _, message = line.partition(" - {")
        assert re.fullmatch(r"<86>1 2026-11-23T10:02:11.250\+00:00 \S+ smsotp \d+ code-wrong", head)
        assert json.loads("{" + message)["account"] == "alice\nbob"
        assert "\n" not in line
    udp.close()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"number": "x", "seen": []}'])
def test_a_bookmark_that_says_nothing_is_told(tmp_path: Path, text: str) -> None:
    """To begin anew by itself might leave a gap."""
    (tmp_path / "kept").write_text(text)
    with pytest.raises(SmsotpError, match="says no place; remove it to begin anew"):
        Bookmark(tmp_path / "kept").place()
