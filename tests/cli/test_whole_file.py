"""Files that commands write: whole or not at all, and never in the place of a device."""

from __future__ import annotations

import os
import stat
import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.installation import Installation

COMMANDS = [("user", "export"), ("report",)]
"""Those that write a file whose name is given."""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices, and could break them")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_device_stays_what_it_is(here: Installation, command: tuple[str, ...]) -> None:
    """Root that exports to /dev/null must not take it away from everybody else."""
    null = here.folder / "null"
    os.mknod(null, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    null.chmod(0o666)
    here.done(*command, str(null))
    assert stat.S_ISCHR(null.stat().st_mode)
    assert mode(null) == 0o666


@pytest.mark.parametrize("command", COMMANDS)
def test_a_pipe_is_written_to(here: Installation, command: tuple[str, ...]) -> None:
    pipe = here.folder / "pipe"
    os.mkfifo(pipe)
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_text()), daemon=True)
    reader.start()
    here.done(*command, str(pipe))
    reader.join(10)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert len(found[0]) > 10


@pytest.mark.parametrize("command", COMMANDS)
def test_a_link_stays_one(here: Installation, command: tuple[str, ...]) -> None:
    """Such as /dev/stdout."""
    target, link = here.folder / "target", here.folder / "link"
    target.write_text("before")
    link.symlink_to(target)
    here.done(*command, str(link))
    assert link.is_symlink()
    assert target.read_text() != "before"


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", [".", ""])
def test_a_folder_is_refused(here: Installation, command: tuple[str, ...], name: str) -> None:
    done = here.run(*command, str(here.folder / name) if name else name)
    assert done.exit_code in {1, 2}
    assert "is a directory" in done.stderr.lower()
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_an_error_names_the_file_that_was_asked_for(
    here: Installation, command: tuple[str, ...]
) -> None:
    done = here.run(*command, str(here.folder / "no" / "file"))
    assert done.exit_code == 1
    assert done.stderr == f"smsotp: {here.folder}/no/file: No such file or directory\n"
