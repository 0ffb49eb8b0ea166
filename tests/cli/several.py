"""Several commands on a terminal that has several widths, one after the other, in one process."""

from __future__ import annotations

import fcntl
import json
import struct
import sys
import termios
from typing import TYPE_CHECKING

from radius_smsotp.cli import smsotp
from tests.cli.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.cli.installation import Installation

END = "<the end of one command>"


def shown(
    here: Installation, commands: Iterable[Sequence[str]], *widths: int
) -> dict[int, list[str]]:
    """What each command shows, by columns of the terminal."""
    commands = list(commands)
    program = [sys.executable, "-m", "tests.cli.several"]
    told = (json.dumps(widths), json.dumps(commands))
    with Terminal(here, *told, program=program, NO_COLOR="1") as terminal:
        assert terminal.wait() == 0, terminal.shown
    parts = iter(terminal.shown.replace("\r\n", "\n").split(END + "\n"))
    return {columns: [next(parts) for _ in commands] for columns in widths}


def main(*config: str, widths: str, commands: str) -> None:
    """Run them, on the terminal that we are on."""
    for columns in json.loads(widths):
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        for command in json.loads(commands):
            smsotp([*config, *command], standalone_mode=False)
            print(END)


if __name__ == "__main__":
    main(*sys.argv[1:-2], widths=sys.argv[-2], commands=sys.argv[-1])
