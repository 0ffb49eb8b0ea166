"""What happens on a terminal: hidden questions, tables that fit, colours."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.model.records import Client
from tests.cli import several
from tests.cli.terminal import Terminal
from tests.support.site import eventually, pap

if TYPE_CHECKING:
    from tests.cli.installation import Installation

pytestmark = pytest.mark.slow
"""Each starts processes of its own."""

PHONE = "+491701234567"
PIN = "geheim"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def pin_is(here: Installation, pin: str) -> bool:
    """Whether alice has this PIN."""
    return pap(here.pin_hash(), pin)


class TestQuestions:
    def test_the_pin_is_asked_for_twice_and_never_shown(self, here: Installation) -> None:
        with Terminal(here, "user", "add", "alice", "--phone", PHONE) as terminal:
            terminal.expect("PIN: ")
            terminal.press(f"{PIN}\n")
            terminal.expect("The same PIN again: ")
            terminal.press(f"{PIN}\n")
            terminal.expect("alice: added")
            assert terminal.wait() == 0
        assert PIN not in terminal.shown
        assert pin_is(here, PIN)

    def test_a_number_that_is_missing_is_asked_for(self, here: Installation) -> None:
        with Terminal(here, "user", "add", "alice", "--no-pin") as terminal:
            terminal.expect("Phone number, as +491701234567: ")
            terminal.press(f"{PHONE}\n")
            assert terminal.wait() == 0
        found = here.account("alice")
        assert found is not None
        assert found.phone == PHONE

    def test_two_that_differ_are_asked_for_again(self, here: Installation) -> None:
        with Terminal(here, "user", "add", "alice", "--phone", PHONE) as terminal:
            for first, second in ((PIN, "gehiem"), (PIN, PIN)):
                terminal.expect("PIN: ")
                terminal.press(f"{first}\n")
                terminal.expect("The same PIN again: ")
                terminal.press(f"{second}\n")
            assert terminal.wait() == 0
        assert "do not match" in terminal.shown
        assert pin_is(here, PIN)

    def test_pin_stdin_asks_on_a_terminal_too(self, here: Installation) -> None:
        here.done("user", "add", "alice", "--phone", PHONE)
        with Terminal(here, "user", "set", "alice", "--pin-stdin") as terminal:
            terminal.expect("PIN: ")
            terminal.press(f"{PIN}\n")
            terminal.expect("The same PIN again: ")
            terminal.press(f"{PIN}\n")
            assert terminal.wait() == 0
        assert pin_is(here, PIN)

    def test_no_pin_asks_nothing(self, here: Installation) -> None:
        with Terminal(here, "user", "add", "alice", "--phone", PHONE, "--no-pin") as terminal:
            assert terminal.wait() == 0
        assert terminal.shown.startswith("alice: added")

    def test_a_name_that_is_taken_is_told_before_the_pin_is_asked_for(
        self, here: Installation
    ) -> None:
        here.done("user", "add", "alice", "--phone", PHONE)
        with Terminal(here, "user", "add", "alice", "--phone", PHONE) as terminal:
            assert terminal.wait() == 1
        assert "PIN:" not in terminal.shown

    @pytest.mark.parametrize(("answer", "code", "stays"), [("y", 0, False), ("n", 1, True)])
    def test_deleting_asks(self, here: Installation, answer: str, code: int, stays: bool) -> None:
        here.done("user", "add", "alice", "--phone", PHONE)
        with Terminal(here, "user", "delete", "alice") as terminal:
            terminal.expect("Delete alice? [y/N]: ")
            terminal.press(f"{answer}\n")
            assert terminal.wait() == code
        assert (here.account("alice") is not None) == stays

    def test_an_end_of_file_ends_the_question(self, here: Installation) -> None:
        with Terminal(here, "user", "add", "alice", "--phone", PHONE) as terminal:
            terminal.expect("PIN: ")
            terminal.press("\x04")
            assert terminal.wait() == 130
        assert "Traceback" not in terminal.shown


class TestProcessList:
    def test_a_pin_from_standard_input_is_in_no_argument(self, here: Installation) -> None:
        process = here.start(
            *("user", "add", "alice", "--phone", PHONE, "--pin-stdin"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin is not None
        process.stdin.write(PIN)
        process.stdin.flush()
        for name in ("cmdline", "environ"):
            shown = eventually(Path(f"/proc/{process.pid}/{name}").read_bytes)
            assert PIN.encode() not in shown
        process.stdin.close()
        assert process.wait(30) == 0
        assert pin_is(here, PIN)

    def test_the_help_warns_of_the_argument(self, here: Installation) -> None:
        shown = " ".join(here.done("user", "add", "--help").split())
        assert "Every user of this machine can see it in the process list" in shown


class TestTables:
    def test_a_table_fits_the_terminal_and_loses_nothing(self, here: Installation) -> None:
        name = "a-rather-long-name-of-somebody@department.example.org"
        here.done("user", "add", name, "--phone", PHONE, "--provider", "demo")
        with Terminal(here, "user", "list", columns=64) as terminal:
            assert terminal.wait() == 0
        plain = COLOUR.sub("", terminal.shown).splitlines()
        assert max(map(len, plain)) <= 64
        assert f"Name      {name}" in plain

    def test_what_does_not_fit_beside_each_other_stands_below_each_other(
        self, here: Installation
    ) -> None:
        """The name of a challenge is copied: it stands on one line."""
        here.done("user", "add", "alice", "--phone", PHONE, "--pin", PIN)
        here.node().first("alice", PIN)
        name = json.loads(here.done("challenge", "list", "--json"))[0]["transaction_id"]
        shown = several.shown(here, [("challenge", "list")], 40, 160)
        lines = shown[40][0].splitlines()
        assert lines[:2] == [f"Transaction  {name}", "Account      alice"]
        assert COLOUR.sub("", shown[160][0]).split()[:3] == ["Transaction", "Account", "Client"]

    def test_a_terminal_without_unicode_has_its_line_too(self, here: Installation) -> None:
        here.done("user", "add", "alice", "--phone", PHONE)
        with Terminal(here, "user", "list", PYTHONIOENCODING="latin-1") as terminal:
            assert terminal.wait() == 0
        assert "----- " in terminal.shown
        assert "?" not in terminal.shown

    def test_no_width_breaks_a_heading_or_loses_a_short_value(self, here: Installation) -> None:
        here.done("user", "add", "alice", "--phone", PHONE)
        widths = (10, 25, 40, 55, 70)
        for columns, [told] in several.shown(here, [("user", "list")], *widths).items():
            shown = set(COLOUR.sub("", told).split())
            assert shown >= {"Name", "Phone", "PIN", "State", "alice", "no"}, columns

    @pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
    def test_nothing_depends_on_colour(
        self, here: Installation, environment: dict[str, str]
    ) -> None:
        """Headings are bold at most."""
        here.done("user", "add", "alice", "--phone", PHONE)
        with Terminal(here, "user", "list", **environment) as terminal:
            terminal.wait()
        assert set(COLOUR.findall(terminal.shown)) <= {"\x1b[1m", "\x1b[0m"}

    def test_a_pipe_gets_neither_colour_nor_lines(self, here: Installation) -> None:
        here.done("user", "add", "alice", "--phone", PHONE)
        shown = here.call("user", "list", env={"TERM": "xterm", "COLORTERM": "truecolor"}).stdout
        assert shown.isascii()
        assert "\x1b" not in shown

    def test_a_name_cannot_steer_the_terminal(self, here: Installation) -> None:
        """Stations and names come from whoever sends a request."""
        evil = "02\x1b]0;title\x07\x9b2J[bold]"
        here.done("user", "add", "alice", "--phone", PHONE, "--pin", PIN)
        challenged = here.node().first("alice", PIN, client=Client("vpn", "192.0.2.1", evil))
        assert challenged
        commands = [("challenge", "list"), ("trace", "alice")]
        for told in several.shown(here, commands, 200)[200]:
            shown = COLOUR.sub("", told)
            assert "\x1b" not in shown
            assert "\x9b" not in shown
            assert "02?]0;title??2J[bold]" in shown
        for arguments in (("challenge", "list", "--json"), ("trace", "alice", "--json")):
            assert here.done(*arguments).isascii()


class TestProgress:
    def test_a_terminal_that_cannot_go_back_gets_no_bar(self, here: Installation) -> None:
        (here.folder / "some.csv").write_text("name,phone,pin\nalice,+491701234567,1470\n")
        with Terminal(here, "user", "import", str(here.folder / "some.csv"), TERM="dumb") as one:
            assert one.wait() == 0
        assert one.shown.startswith("added: 1")

    def test_ctrl_c_meanwhile_imports_nothing(self, here: Installation) -> None:
        here.write(pin={"iterations": 100_000})
        rows = "".join(f"user{number},+49170{number:07},1234\n" for number in range(1000))
        (here.folder / "some.csv").write_text(f"name,phone,pin\n{rows}")
        with Terminal(here, "user", "import", str(here.folder / "some.csv")) as terminal:
            terminal.expect("Hashing PINs")
            terminal.press("\x03")
            assert terminal.wait() == 130
        assert "smsotp: interrupted" in terminal.shown
        assert here.account("user0") is None
