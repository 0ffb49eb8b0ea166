"""A stand-in for a gateway behind a program, and a look at processes."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from textwrap import dedent
from typing import Any

from radius_smsotp.providers import Surroundings
from radius_smsotp.providers.script import Provider, Settings

API_KEY = "a-key-of-the-gateway"


class ScriptStandIn:
    """A gateway that is a folder: the program puts each message there, or does as it is told."""

    secrets = (API_KEY,)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inbox = folder / "inbox"
        self.inbox.mkdir()
        self.program = folder / "send"
        self.settings: dict[str, Any] = {"environment": {"API_KEY": API_KEY}}
        self.does(
            f"""
            file=$(mktemp {self.inbox}/XXXXXX.part)
            {{ printf '%s\\n' "$1"; cat; }} > "$file"
            mv "$file" "${{file%.part}}.sms"
            """
        )

    def does(self, shell: str) -> None:
        """Make the program this, under a name of its own: the old one may still run."""
        fresh = self.folder / "fresh"
        fresh.write_text("#!/bin/sh\n" + dedent(shell))
        fresh.chmod(0o755)
        fresh.rename(self.program)

    def provider(self, **settings: Any) -> Provider:
        given = {"type": "script", "script": str(self.program), **self.settings, **settings}
        return Provider("mine", Settings.model_validate(given), surroundings(self.folder))

    def refuse(self) -> None:
        self.does('echo "no route for $1 $(cat) with $API_KEY" >&2; exit 1')

    def be_busy(self) -> None:
        self.does('echo "no room for $1 $(cat) with $API_KEY" >&2; exit 75')

    def go_away(self) -> None:
        self.does('echo "no answer for $1 $(cat) with $API_KEY" >&2; exit 69')

    def fall_silent(self) -> None:
        self.does("exec sleep 60")

    def received(self) -> list[tuple[str, str]]:
        files = sorted(self.inbox.glob("*.sms"))
        messages = [file.read_text(encoding="utf-8").partition("\n") for file in files]
        return [(phone, text) for phone, _, text in messages]


def surroundings(folder: Path) -> Surroundings:
    return Surroundings(folder=folder, smtp_servers={}, lock_folder=folder)


OTHERS: set[int] = set()
"""Children of this process that other tests have started, a database server say."""


def children() -> list[int]:
    """Children of this process, zombies included, but for `OTHERS`."""
    found: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # a thread that has just ended
            found += map(int, (task / "children").read_text().split())
    return [pid for pid in found if pid not in OTHERS]


def ended(pid: int) -> bool:
    """Whether the process is gone, or a zombie whose parent is not this process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def eventually(condition: Any) -> bool:
    """Whether it holds within a few seconds: for what another process does in its own time."""
    end = time.monotonic() + 5
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
