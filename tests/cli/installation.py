"""An installation made by ``smsotp init``, and the ways to call the program on it."""

from __future__ import annotations

import functools
import os
import random
import secrets
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import yaml
from click.testing import CliRunner, Result

from radius_smsotp.cli import smsotp
from radius_smsotp.model.records import Device
from tests.support.site import Node, Site, kind

ROOT = Path(__file__).resolve().parents[2]

ROUNDS = 10_000
"""The fewest that `smsotp check` does not warn of."""

PROGRAM = [sys.executable, "-m", "radius_smsotp"]


OUR_PYTHON = f"libpython3.{sys.version_info.minor}.so".encode()


def stand_in(folder: Path, version: str, library: bytes | None = OUR_PYTHON) -> str:
    """A FreeRADIUS of any version that says so and does nothing.  Returns a PATH with it."""
    (folder / "bin").mkdir(parents=True)
    program = folder / "bin" / "freeradius"
    program.write_text(f"#!/bin/sh\necho 'radiusd: FreeRADIUS Version {version}, for host x'\n")
    program.chmod(0o755)
    (folder / "lib" / "freeradius").mkdir(parents=True)
    (folder / "lib" / "freeradius" / "rlm_pap.so").touch()
    if library is not None:
        (folder / "lib" / "freeradius" / "rlm_python3.so").write_bytes(library)
    return f"{folder / 'bin'}:{os.environ['PATH']}"


def _init(folder: Path, *options: str) -> None:
    made = CliRunner().invoke(smsotp, ["init", str(folder), *options])
    assert made.exit_code == 0, made.output
    _write(folder / "smsotp.yaml", pin={"iterations": ROUNDS})


def _write(path: Path, **sections: Any) -> None:
    values = yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)
    text = yaml.dump(values | sections, Dumper=yaml.CSafeDumper, sort_keys=False)
    path.write_text(text, "utf-8")


ELSEWHERE = b"/FOLDER/OF/ALL"
"""In the files of `_files`, in the place of the folder that they get into."""


@functools.cache
def _files() -> dict[str, tuple[int, bytes]]:
    """What `init` makes, names to modes and octets: made once, it is copied hundreds of times."""
    dice = random.Random("key")
    with (
        tempfile.TemporaryDirectory() as name,
        mock.patch.object(secrets, "token_bytes", dice.randbytes),
    ):
        folder = Path(name) / "site"
        _init(folder)
        return {
            path.name: (path.stat().st_mode, path.read_bytes().replace(bytes(folder), ELSEWHERE))
            for path in folder.iterdir()
        }


class Installation(Site):
    """Settings, key and store in a folder, as `init` makes them."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._options = options
        self._processes: list[subprocess.Popen[str]] = []
        super().__init__(folder)

    def _make(self, _: object) -> None:
        if self._options:
            _init(self.folder, *self._options)
        else:
            self.folder.mkdir()
            for name, (mode, octets) in _files().items():
                path = self.folder / name
                path.write_bytes(octets.replace(ELSEWHERE, bytes(self.folder)))
                path.chmod(mode)

    def write(self, **sections: Any) -> None:
        """Change sections of the settings."""
        _write(self.settings_path, **sections)

    # The program

    def run(self, *arguments: str, stdin: str | bytes = "", **environment: str) -> Result:
        """Call a command within this process.  Errors end as the program's do."""
        words = self._with_config(arguments)
        return CliRunner().invoke(smsotp, words, input=stdin, env=environment)

    def done(self, *arguments: str, stdin: str | bytes = "") -> str:
        """Call a command that must succeed.  Returns what it prints."""
        result = self.run(*arguments, stdin=stdin)
        assert result.exit_code == 0, result.output
        return result.output

    def call(self, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """Call a command as a program of its own, which takes twenty times as long as `run`."""
        environment = environ() | more.pop("env", {})
        command = [*PROGRAM, *self._with_config(arguments)]
        options = {"capture_output": True, "text": True, "timeout": 60, "input": ""} | more
        return subprocess.run(command, env=environment, check=False, **options)

    def start(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        """Start a command, which is killed at the end if it still runs."""
        command = [*PROGRAM, *self._with_config(arguments)]
        process = subprocess.Popen(command, env=environ(), text=True, **more)
        self._processes.append(process)
        return process

    def _with_config(self, arguments: tuple[str, ...]) -> list[str]:
        return ["--config", str(self.settings_path), *arguments]

    # Servers on it

    def node(self, patience: float = 10) -> Node:
        """A server on this installation, to log in at, without accounts of its own."""
        node = Node(self, patience)
        self.nodes.append(node)
        return node

    def log_in_during(self, process: subprocess.Popen[str], patience: float) -> int:
        """Let alice, whose PIN is 1234, log in until a process ends.  Returns how often."""
        node = self.node(patience)
        logins = 0
        while process.poll() is None:
            challenged = node.challenge("alice", "1234")
            assert kind(node.second(challenged, node.code(challenged))) == "accepted"
            logins += 1
            time.sleep(0.05)  # what it waits for shall get on
        return logins

    def close(self) -> None:
        """End and close everything."""
        for process in self._processes:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
        super().close()


def remember(here: Installation, hours: int = 5, **fields: str) -> None:
    """Let a device of alice's be remembered."""
    usual = {"client": "wifi", "ssid": "Office", "station": "02-00-00-00-00-01"}
    until = datetime.now(UTC) + timedelta(hours=hours)
    device = Device("alice", **(usual | fields), number_tag="tag", expires_at=until)
    with here.store.write() as tx:
        tx.remember_device(device)


def environ() -> dict[str, str]:
    """An environment in which Python finds the package, and nothing colours its output."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {"PYTHONPATH": str(ROOT), "TERM": "dumb"}
