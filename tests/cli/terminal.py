"""A terminal with a program on it."""

from __future__ import annotations

import codecs
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
from tests.support.site import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.cli.installation import Installation


class Terminal:
    """
    A command of the program that has a terminal of its own, 24 lines of `columns`.

    Attributes:
        shown: All that the program has written so far, as the terminal gets it.
    """

    def __init__(
        self,
        here: Installation,
        *arguments: str,
        columns: int = 80,
        program: Sequence[str] = PROGRAM,
        **environment: str,
    ) -> None:
        self.shown = ""
        self._expected = 0
        # A read may end within a letter.
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen(
            [*program, "--config", str(here.settings_path), *arguments],
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

    def expect(self, text: str, seconds: float = PATIENCE) -> str:
        """Read until `text` comes.  Returns all that was shown after what was expected before."""
        until, begin = time.monotonic() + seconds, self._expected
        while (found := self.shown.find(text, begin)) < 0:
            seen = self.shown[begin:]
            assert time.monotonic() < until, (text, seen)
            assert self._read(0.1), f"it ended before {text!r}: {seen!r}"
        # What came with it is for who expects more.
        self._expected = found + len(text)
        return self.shown[begin : self._expected]

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._master, keys.encode())

    def wait(self, seconds: float = PATIENCE) -> int:
        """Read to the end.  Returns the exit code."""
        until = time.monotonic() + seconds
        while self._read(0.1):
            assert time.monotonic() < until, self.shown
        return self.process.wait(seconds)

    def _read(self, seconds: float) -> bool:
        """Read what comes within `seconds`; False when the program has closed the terminal."""
        if not select([self._master], [], [], seconds)[0]:
            return True
        try:
            octets = os.read(self._master, 65536)
        except OSError:  # Linux says EIO when the other side is closed
            return False
        self.shown += self._decoder.decode(octets)
        return True
