"""``smsotp completion``: what the Tab key offers, in the shells themselves where they are here."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from radius_smsotp.cli import smsotp
from tests.cli.installation import PROGRAM, environ

if TYPE_CHECKING:
    from pathlib import Path

    from radius_smsotp.cli import smsotp
from tests.cli.installation import Installation

pytestmark = pytest.mark.slow
"""Each starts processes of its own."""


def offered(here: Installation, line: str, shell: str = "bash") -> list[str]:
    """What is offered at the end of a line."""
    asked = {
        "COMP_WORDS": line,
        "COMP_CWORD": str(line.count(" ")),
        "_SMSOTP_COMPLETE": f"{shell}_complete",
        "SMSOTP_CONFIG": str(here.settings_path),
    }
    done = CliRunner().invoke(smsotp, [], prog_name="smsotp", env=asked)
    assert done.stderr == ""
    return [one.partition(",")[2] for one in done.stdout.splitlines() if one]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("smsotp us", ["user"]),
        ("smsotp user se", ["set"]),
        ("smsotp stats --d", ["--days"]),
        ("smsotp user show a", ["alice", "anna"]),
        ("smsotp user show AL", ["alice"]),
        ("smsotp trace b", ["bob"]),
        ("smsotp provider test d", ["demo"]),
        ("smsotp user add x --provider d", ["demo"]),
        ("smsotp provider preset vonage-", ["vonage-sms"]),
        ("smsotp completion z", ["zsh"]),
    ],
)
def test_words_are_completed(here: Installation, line: str, expected: list[str]) -> None:
    for name in ("alice", "anna", "bob"):
        here.done("user", "add", name, "--phone", "+491701234567")
    assert offered(here, line) == expected


def test_nothing_is_offered_where_the_settings_cannot_be_read(here: Installation) -> None:
    here.settings_path.write_text("code: nonsense\n")
    assert offered(here, "smsotp user show a") == []
    assert offered(here, "smsotp provider test d") == []
    assert offered(here, "smsotp pru") == ["prune"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_names_the_program(here: Installation, shell: str) -> None:
    script = here.done("completion", shell)
    assert "_SMSOTP_COMPLETE" in script
    assert "smsotp" in script


def test_bash_completes_with_it(here: Installation, tmp_path: Path) -> None:
    """As bash does at the Tab key: the function that the script binds is called."""
    program = tmp_path / "bin" / "smsotp"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {" ".join(PROGRAM)} "$@"\n')
    program.chmod(0o755)
    script = tmp_path / "completion"
    script.write_text(here.done("completion", "bash"))
    tab = (
        f". {script}\n"
        "COMP_WORDS=(smsotp prov); COMP_CWORD=1\n"
        "$(complete -p smsotp | sed 's/.*-F \\([^ ]*\\).*/\\1/') smsotp prov smsotp\n"
        'echo "${COMPREPLY[*]}"\n'
    )
    path = f"{program.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", tab],
        env=environ() | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "provider\n", done.stderr
