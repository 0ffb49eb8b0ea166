"""A program that asks, and what is typed; both as the user has it."""

from __future__ import annotations

import os
import select
import subprocess
import termios
import time
from typing import IO, TYPE_CHECKING

from tests.support.site import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

SECONDS = 30.0
"""How long a test waits for a prompt, or for the end."""


ENVIRONMENT = os.environ | {"LANG": "C.UTF-8"}


class Dialogue:
    """A program without a terminal: what it shows is read as it comes."""

    def __init__(self, words: Sequence[str]) -> None:
        self.shown = ""
        self._read = 0
        self._open(words)

    def _open(self, words: Sequence[str]) -> None:
        """Start it, with pipes."""
        self.process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=ENVIRONMENT,
        )
        assert self.process.stdin
        assert self.process.stdout
        self._input: IO[bytes] = self.process.stdin
        self._output: IO[bytes] = self.process.stdout

    def type(self, line: str) -> None:
        """Answer."""
        self._input.write(f"{line}\n".encode())
        self._input.flush()

    def expect(self, text: str) -> None:
        """Wait until it shows a text, after all that was expected before."""
        until = time.monotonic() + SECONDS
        while (found := self.shown.find(text, self._read)) < 0:
            assert self._more(until), f"{text!r} is not in {self.shown!r}"
        self._read = found + len(text)

    def reads_one_of(self, *texts: str) -> bool:
        """Read a little.  Returns whether it has shown one of the texts."""
        self._more(time.monotonic() + 0.1)
        return any(text in self.shown for text in texts)

    def stop(self) -> None:
        """Do not wait for its end."""
        if not self._output.closed:
            self.process.terminate()
            self.end()

    def end(self) -> tuple[int, str]:
        """Type nothing more.  Returns exit status and all that was shown."""
        self._hang_up()
        until = time.monotonic() + SECONDS
        while self._more(until):
            pass
        self._output.close()
        try:
            status = self.process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        return status, self.shown

    def _hang_up(self) -> None:
        """There is nothing more to read for it."""
        self._input.close()

    def _more(self, until: float) -> bool:
        """Read what has come.  Returns whether there may be more."""
        ready, _, _ = select.select([self._output], [], [], max(0, until - time.monotonic()))
        try:
            octets = os.read(self._output.fileno(), 65536) if ready else b""
        except OSError:  # a terminal that nobody has open
            octets = b""
        # Whole lines and prompts come at once; nothing here cuts a letter in two.
        self.shown += octets.decode("utf-8", "replace")
        return octets != b""


class Terminal(Dialogue):
    """A program at a terminal of its own, which shows what is typed unless it is told not to."""

    def _open(self, words: Sequence[str]) -> None:
        master, slave = os.openpty()
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=ENVIRONMENT | {"TERM": "dumb"},
        )
        os.close(slave)
        self._input = self._output = os.fdopen(master, "r+b", buffering=0)

    def type(self, line: str) -> None:
        """Answer.  OpenVPN discards what was typed before its terminal shows it no more."""
        if self.shown.endswith("Password:"):
            eventually(lambda: not termios.tcgetattr(self._input.fileno())[3] & termios.ECHO)
        super().type(line)

    def _hang_up(self) -> None:
        """Who reads a terminal is told nothing."""
