"""The container under test, driven as its administrator would, by a container engine."""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import pty
import re
import select
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Self

import pytest

from tests.support.site import eventually

PAGE = "http://127.0.0.1:8025"

TOP = Path(__file__).parents[2]
COMPOSE = TOP / "docker-compose.yml"

PROJECT = "smsotp-test"
NETWORK = "10.89.0.0/16"
"""Podman's own networks, as 172.16.0.0/12 is Docker's."""

PIN = "1234"


def commands() -> list[list[str]]:
    """The commands for the demo at the top of docker-compose.yml, without ``docker compose``."""
    lines = re.findall(r"(?m)^#   docker compose (.+?)(?:   .*)?$", COMPOSE.read_text("utf-8"))
    return [line.split() for line in lines]


class Terminal:
    """Somebody at a terminal: what is asked for is waited for, and then typed."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._end, inner = pty.openpty()
        self._process = subprocess.Popen(
            command,
            cwd=TOP,
            env=environment,
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
        )
        os.close(inner)
        self.shown = ""
        # What is read may end within a letter.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._end)

    def wait_for(self, text: str, seconds: float = 30.0) -> None:
        """Read until `text` is shown."""
        until = time.monotonic() + seconds
        while text not in self.shown:
            left = max(0.0, until - time.monotonic())
            assert select.select([self._end], [], [], left)[0], self.shown
            try:
                self.shown += self._decoder.decode(os.read(self._end, 4096))
            except OSError:  # Linux: nobody has the other end open any more
                pytest.fail(f"it ended without '{text}': {self.shown}")

    def type(self, line: str) -> None:
        """Type a line."""
        os.write(self._end, f"{line}\r".encode())

    def status(self, seconds: float = 30.0) -> int:
        """Read to the end.  Returns the exit status."""
        with contextlib.suppress(OSError):
            while some := os.read(self._end, 4096):
                self.shown += self._decoder.decode(some)
        return self._process.wait(seconds)


class Engine:
    """
    What ``docker compose`` does, by podman-compose.

    Args:
        secret: What a file .env would say.
        more: What else it would say.

    Attributes:
        program: What stands for ``docker compose``.
    """

    project = PROJECT
    service = "radius"

    def __init__(self, secret: str, **more: str) -> None:
        self.secret = secret
        self.more = more
        self.program = ["podman-compose", "-p", self.project]

    @property
    def name(self) -> str:
        """The container."""
        return f"{self.project}_{self.service}_1"

    def compose(self, *arguments: str) -> str:
        """Run a command and return its output."""
        return self._run(*self.program, *arguments)

    def podman(self, *arguments: str) -> str:
        """Run a command about containers and images."""
        return self._run("podman", *arguments)

    def inside(self, *command: str) -> str:
        """Run a command in the container."""
        return self.podman("exec", self.name, *command)

    def texts(self) -> list[str]:
        """What was sent, the last one last: the provider of new settings writes into a folder."""
        found = self.inside("sh", "-c", "ls -tr outbox/*.json | xargs -n 1 sed '$a\\'")
        return [json.loads(line)["text"] for line in found.splitlines()]

    def up(self) -> None:
        """Start it as docker-compose.yml says, and wait until it answers."""
        self.compose("up", "-d", "--no-build")
        self.wait(1)

    def remove(self) -> None:
        """All of it, whatever is there."""
        self.compose("--profile", "demo", "--profile", "postgres", "down", "--volumes")

    def wait(self, starts: int) -> None:
        """Wait until this container is ready for the `starts`-th time."""
        eventually(lambda: self.log().count("Ready to process requests") >= starts)

    def is_healthy(self) -> bool:
        """What its own health check says."""
        command = ["podman", "healthcheck", "run", self.name]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def log(self) -> str:
        """What the container has written, on both streams."""
        return self._run("podman", "logs", self.name, stderr=subprocess.STDOUT)

    def ended(self, service: str) -> tuple[str, int]:
        """
        Stop a service by SIGTERM alone.

        Returns:
            Its exit code, and how often it was started again by itself before.
        """
        name = f"{self.project}_{service}_1"
        # Nobody is killed sooner.
        self.podman("stop", "--time", "300", name)
        state, restarts = self.podman(
            "inspect", "-f", "{{.State.ExitCode}} {{.RestartCount}}", name
        ).split()
        return state, int(restarts)

    def add(self, user: str = "alice") -> None:
        """An account."""
        add = f"smsotp user add {user} --phone +491701234567 --pin-stdin"
        self.inside("sh", "-c", f"echo {PIN} | {add}")

    def login(self) -> tuple[Terminal, str]:
        """Log in.  Returns the code, too."""
        command = [*self.program, *self.typed_login()]
        with Terminal(command, self.environment()) as terminal:
            terminal.wait_for("PIN: ")
            terminal.type(PIN)
            # The space comes with the prompt that waits for the code, not with the reply before.
            terminal.wait_for("sent to ***67: ")
            code: str = re.findall(r"\b\d{6}\b", self.texts()[-1])[0]
            terminal.type(code)
            assert terminal.status() == 0, terminal.shown
        return terminal, code

    def typed_login(self) -> list[str]:
        """The command for it."""
        return ["exec", self.service, "smsotp", "login", "alice"]

    def environment(self) -> dict[str, str]:
        """What the commands are to see."""
        return {**os.environ, "SMSOTP_SECRET": self.secret, "SMSOTP_CLIENT": NETWORK, **self.more}

    def _run(self, *command: str, stderr: int = subprocess.PIPE) -> str:
        done = subprocess.run(
            command,
            cwd=TOP,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout


class Second(Engine):
    """
    Another machine, which reaches the database of the first one.

    Args:
        folder: For a file that says how.
    """

    project = f"{PROJECT}-two"

    def __init__(self, secret: str, folder: Path, **more: str) -> None:
        super().__init__(secret, **more)
        shared = folder / "shared.yml"
        network = {"external": True, "name": f"{PROJECT}_default"}
        shared.write_text(json.dumps({"networks": {"default": network}}), "utf-8")
        self.program += ["-f", str(COMPOSE), "-f", str(shared)]


class Demo(Engine):
    """The demonstration, by the commands at the top of docker-compose.yml."""

    service = "demo"

    def texts(self) -> list[str]:
        """What the phone on the page shows."""
        with urllib.request.urlopen(f"{PAGE}/messages?after=0", timeout=30) as reply:
            return [one["text"] for one in json.load(reply)]

    def up(self) -> None:
        """Start it, and wait until it answers."""
        up, *_ = commands()
        options, [service] = up[:-1], up[-1:]
        self.compose(*options, "--no-build", service)
        self.wait(1)

    def typed_login(self) -> list[str]:
        """The second command."""
        return commands()[1]
