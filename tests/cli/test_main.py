"""The program as a whole: help, exit codes, pipes, and what a user sees of an error."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner, Result

import radius_smsotp
from radius_smsotp.cli import COMMANDS, ROOMS, smsotp
from radius_smsotp.cli.check.finding import PAGE, SETTINGS
from radius_smsotp.cli.site import acting_as
from tests.cli.installation import PROGRAM, environ
from tests.cli.terminal import Terminal
from tests.documents import pages

if TYPE_CHECKING:
    from tests.cli.installation import Installation


def commands() -> dict[str, click.Command]:
    """Every command with its words: "user add"."""
    found: dict[str, click.Command] = {}
    for name in COMMANDS:
        command = getattr(import_module(f"radius_smsotp.cli.{ROOMS.get(name, name)}"), name)
        found[name] = command
        if isinstance(command, click.Group):
            found |= {f"{name} {word}": one for word, one in command.commands.items()}
    return found


def program(
    *arguments: str, user: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """The program, without any installation."""
    return subprocess.run(
        [*PROGRAM, *arguments],
        user=user,
        env=environ() | environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def elsewhere(path: Path) -> Result:
    """A command with settings of that name."""
    return CliRunner().invoke(smsotp, ["--config", str(path), "user", "list"])


class TestHelp:
    @pytest.mark.parametrize(
        "words", [name for name, one in commands().items() if not isinstance(one, click.Group)]
    )
    def test_the_help_of_every_command_has_an_example_of_it(self, words: str) -> None:
        shown = CliRunner().invoke(smsotp, [*words.split(), "--help"])
        assert shown.exit_code == 0, shown.output
        _, heading, examples = shown.output.partition("Example")
        assert heading
        assert f"smsotp {words}" in examples.replace("--config ./site/smsotp.yaml ", "")

    @pytest.mark.parametrize("words", ["", *commands()])
    def test_the_help_fits_a_terminal_of_80_columns(self, words: str) -> None:
        asked = [*words.split(), "--help"]
        shown = CliRunner().invoke(smsotp, asked, terminal_width=80).output.splitlines()
        assert [line for line in shown if len(line) > 80] == []

    @pytest.mark.parametrize("words", commands())
    def test_every_option_of_every_command_is_explained(self, words: str) -> None:
        for parameter in commands()[words].params:
            if isinstance(parameter, click.Option):
                assert parameter.help or parameter.show_default, parameter.name

    @pytest.mark.parametrize(
        "words", [name for name, one in commands().items() if isinstance(one, click.Group)]
    )
    def test_no_line_of_a_list_of_commands_is_cut(self, words: str) -> None:
        shown = CliRunner().invoke(smsotp, [*words.split(), "--help"]).output
        _, heading, lines = shown.partition("\nCommands:\n")
        assert heading
        assert "..." not in lines

    def test_the_list_of_commands_says_what_each_says_of_itself(self) -> None:
        """The lines stand apart from the commands, so that the list imports none of them."""
        for name, line in COMMANDS.items():
            assert commands()[name].get_short_help_str(200) == line, name

    def test_it_comes_without_importing_what_commands_need(self) -> None:
        watch = (
            "import sys; from radius_smsotp.cli import main\n"
            "try: main()\n"
            "finally: print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
        )
        shown = subprocess.run(
            [sys.executable, "-c", watch, "--help"],
            env=environ(),
            capture_output=True,
            text=True,
            check=True,
        )
        assert "Exit codes" in shown.stdout
        slow = {"pydantic", "rich", "requests", "yaml", "sqlite3", "phonenumbers", "pyrad"}
        assert not slow & set(shown.stderr.split())

    def test_the_version_is_that_of_the_package(self) -> None:
        assert program("--version").stdout == f"smsotp {radius_smsotp.__version__}\n"


@pytest.mark.slow
class TestExitCodes:
    def test_done_is_0(self, here: Installation) -> None:
        assert here.call("user", "list").returncode == 0

    def test_refused_is_1_with_a_sentence(self, here: Installation) -> None:
        done = here.call("user", "show", "nobody")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            "smsotp: there is no account 'nobody'; 'smsotp user list' names all\n"
        )

    def test_wrong_usage_is_2(self, here: Installation) -> None:
        done = here.run("user", "add")
        assert done.exit_code == 2
        assert "Missing argument 'NAME'" in done.stderr

    def test_an_unknown_command_is_wrong_usage(self) -> None:
        done = CliRunner().invoke(smsotp, ["frobnicate"])
        assert done.exit_code == 2
        assert "No such command 'frobnicate'" in done.stderr

    def test_faulty_settings_are_3_with_every_problem_on_a_line(self, here: Installation) -> None:
        here.write(message="no code", code={"digits": 3})
        done = here.run("user", "list")
        assert done.exit_code == 3
        told = "".join(
            re.sub(r"^smsotp: +(smsotp.yaml, )?", "", line) + "\n"
            for line in done.stderr.splitlines()
        )
        assert re.fullmatch(
            r"line (\d+), column 1: message: {code} is missing; this is: .*\n"
            r"\1 \| message: no code\n"
            r"line (\d+), column \d+: code.digits: is 3, and has to be a whole number .*\n"
            r"\2 \| digits: 3\n"
            rf"More: '{SETTINGS.title}' in {PAGE}\n",
            told,
        ), told
        assert pages.page_of(SETTINGS.title) == PAGE

    def test_missing_settings_are_3_and_name_init(self, tmp_path: Path) -> None:
        done = elsewhere(tmp_path / "smsotp.yaml")
        assert done.exit_code == 3
        assert f"make one with 'smsotp init {tmp_path}'" in done.stderr

    @pytest.mark.parametrize("typed", ["smsotp.yml", "smsotp.yam", "smstop.yaml"])
    def test_a_typing_error_is_told_the_file_that_is_there(
        self, here: Installation, typed: str
    ) -> None:
        done = elsewhere(here.folder / typed)
        assert done.exit_code == 3
        assert f"no such file; '--config {here.settings_path}' is there\n" in done.stderr

    @pytest.mark.parametrize("closed", ["", "smsotp.yaml", "key", "smsotp.db"])
    def test_a_person_is_told_to_ask_as_root(self, closed: str) -> None:
        """The files of FreeRADIUS's user are closed to others as they should be."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "site"
            Path(name).chmod(0o711)
            CliRunner().invoke(smsotp, ["init", str(folder), "--owner", "nobody"])
            os.chown(folder / closed, 0, 0)
            (folder / closed).chmod(0o700)
            for words in ([], ["--config", str(folder / "smsotp.yaml")]):
                command = ["check"] if words else ["init", str(folder)]
                told = program(*words, *command, user="nobody")
                shown = told.stdout + told.stderr
                assert "; run this as root, by sudo\n" in shown, (words, shown)

    def test_settings_that_this_user_may_not_read_are_3(self) -> None:
        """Whether the folder keeps them out or the file."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "site"
            Path(name).chmod(0o711)
            CliRunner().invoke(smsotp, ["init", str(folder), "--owner", "root"])
            for mode in (0o700, 0o755):
                folder.chmod(mode)
                for words in (["user", "list"], ["check"]):
                    with acting_as(pwd.getpwnam("nobody")):
                        config = ["--config", str(folder / "smsotp.yaml"), *words]
                        done = CliRunner().invoke(smsotp, config)
                    assert done.exit_code == 3, done.output
                    assert "cannot be read (Permission denied)" in done.output

    def test_a_store_that_is_gone_is_3_and_not_made_anew(self, here: Installation) -> None:
        """It might have been elsewhere, and a new one would belong to whoever asks."""
        (here.folder / "smsotp.db").unlink()
        done = here.run("user", "list")
        assert done.exit_code == 3
        assert "is not there; bring it back from a backup ('smsotp restore'), or" in done.stderr
        assert not (here.folder / "smsotp.db").exists()

    def test_a_file_that_cannot_be_written_is_1_and_no_traceback(self, here: Installation) -> None:
        done = here.run("user", "export", str(here.folder / "no" / "such" / "folder"))
        assert done.exit_code == 1
        assert done.stderr == (f"smsotp: {here.folder}/no/such/folder: No such file or directory\n")

    def test_a_damaged_store_is_a_sentence(self, here: Installation) -> None:
        (here.folder / "smsotp.db").write_bytes(b"not a store" * 1000)
        done = here.run("user", "list")
        assert done.exit_code == 3
        assert "the store is no SQLite file" in done.stderr
        assert "Traceback" not in done.stderr

    def test_ctrl_c_is_130(self, here: Installation) -> None:
        with Terminal(here, "user", "add", "alice", "--phone", "+491701234567") as terminal:
            terminal.expect("PIN: ")
            terminal.press("\x03")
            assert terminal.wait() == 130
        assert here.account("alice") is None

    def test_the_environment_names_the_settings(self, here: Installation) -> None:
        done = program("user", "list", SMSOTP_CONFIG=str(here.settings_path))
        assert done.returncode == 0


@pytest.mark.slow
class TestPipes:
    def test_a_reader_that_goes_is_no_error_worth_a_word(self, here: Installation) -> None:
        """`smsotp user list | head -1`."""
        rows = "".join(f"user{number},+49170{number:07}\n" for number in range(2000))
        (here.folder / "many.csv").write_text(f"name,phone\n{rows}")
        here.done("user", "import", str(here.folder / "many.csv"))
        process = here.start("user", "list", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Name")
        process.stdout.close()
        process.wait(30)
        assert process.stderr is not None
        assert process.stderr.read() == ""

    def test_a_reader_that_is_gone_before_is_none_either(self, here: Installation) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        process = here.start("user", "list", "--json", stdout=writer, stderr=subprocess.PIPE)
        os.close(writer)
        process.wait(30)
        assert process.stderr is not None
        assert process.stderr.read() == ""

    @pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
    def test_a_program_without_a_stream_does_its_work(
        self, here: Installation, closed: str
    ) -> None:
        """As some supervisors and cron jobs start it."""
        command = [*PROGRAM, "--config", str(here.settings_path)]
        commands = ["user add bob --no-pin --phone +491707654321"]
        if " " in closed:
            commands += ["user list", "stats"]
        for words in commands:
            script = f'exec "$@" {closed}'
            done = subprocess.run(
                ["sh", "-c", script, "sh", *command, *words.split()],
                env=environ(),
                capture_output=True,
                text=True,
                check=False,
            )
            assert (done.returncode, done.stderr) == (0, "")
        assert here.account("bob") is not None

    def test_letters_that_a_terminal_cannot_show_are_replaced(self, here: Installation) -> None:
        here.done("user", "add", "zoë", "--phone", "+491701234567")
        done = here.call("user", "list", env={"PYTHONIOENCODING": "iso8859-5"})
        assert done.returncode == 0
        assert "zo?" in done.stdout
