"""A program that asks, and what is typed; both as the user has it."""

from __future__ import annotations

import os
import select
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SECONDS = 30.0
"""How long a test waits for a prompt, or for the end."""


class Dialogue:
    """A program without a terminal: what it shows is read as it comes."""

    def __init__(self, words: Sequence[str]) -> None:
        self.shown = ""
        self._read = 0
        self.process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | {"LANG": "C.UTF-8"},
        )

    def type(self, line: str) -> None:
        """Answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

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
        self.process.terminate()
        self.end()

    def end(self) -> tuple[int, str]:
        """Type nothing more.  Returns exit status and all that was shown."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        until = time.monotonic() + SECONDS
        while self._more(until):
            pass
        if self.process.stdout is not None:
            self.process.stdout.close()
        try:
            status = self.process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        return status, self.shown

    def _more(self, until: float) -> bool:
        """Read what has come.  Returns whether there may be more."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], max(0, until - time.monotonic()))
        octets = os.read(self.process.stdout.fileno(), 65536) if ready else b""
        # Whole lines and prompts come at once; nothing here cuts a letter in two.
        self.shown += octets.decode("utf-8", "replace")
        return octets != b""
