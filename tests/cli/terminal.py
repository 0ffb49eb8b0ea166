"""A terminal with a program on it."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
import time
from select import select
from typing import TYPE_CHECKING, Self

from tests.cli.installation import PROGRAM, environ

if TYPE_CHECKING:
    from tests.cli.installation import Installation


class Terminal:
    """
    A command of the program that has a terminal of its own, 24 lines of `columns`.

    Attributes:
        shown: All that the program has written so far, as the terminal gets it.
    """

    def __init__(
        self, here: Installation, *arguments: str, columns: int = 80, **environment: str
    ) -> None:
        self.shown = ""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen(
            [*PROGRAM, "--config", str(here.settings_path), *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environ() | {"TERM": "xterm"} | environment,
            start_new_session=True,
            # The controlling terminal, which is where a hidden question is asked.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  # no threads
        )
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def expect(self, text: str, seconds: float = 20.0) -> str:
        """Read until `text` comes.  Returns all that was shown after what was expected before."""
        until = time.monotonic() + seconds
        seen = ""
        while text not in seen:
            assert time.monotonic() < until, (text, seen)
            part = self._read(0.1)
            assert part is not None, f"it ended before {text!r}: {seen!r}"
            seen += part
        return seen

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._master, keys.encode())

    def wait(self, seconds: float = 20.0) -> int:
        """Read to the end.  Returns the exit code."""
        until = time.monotonic() + seconds
        while self._read(0.1) is not None:
            assert time.monotonic() < until, self.shown
        return self.process.wait(seconds)

    def _read(self, seconds: float) -> str | None:
        """What comes within `seconds`; None when the program has closed the terminal."""
        if not select([self._master], [], [], seconds)[0]:
            return ""
        try:
            octets = os.read(self._master, 65536)
        except OSError:  # Linux says EIO when the other side is closed
            return None
        self.shown += octets.decode()
        return octets.decode()
