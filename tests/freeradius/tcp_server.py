"""A server of another make, on a free port of the loopback address, with a certificate for it."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING

from tests.support.frozen import freeze
from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

READY_SECONDS = 120.0

NAMES = "DNS:ldap.example.org,DNS:dc1.ad.example.org"
"""By which the recipes call it."""


class TcpServer:
    """
    One process.

    Args:
        folder: Where its files are; ``cert.pem`` and ``cert.key`` are made in it.
        name: Of the program, for its log.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.certificate = folder / "cert.pem"
        self.process: subprocess.Popen[bytes] | None = None
        self._log = folder / f"{name}.log"
        folder.mkdir(parents=True)
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"),
                *("ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}"),
                *("-addext", f"subjectAltName=IP:127.0.0.1,{NAMES}"),
                *("-keyout", folder / "cert.key", "-out", self.certificate),
            ],
            check=True,
            capture_output=True,
        )

    def run(self, command: Sequence[str | Path]) -> None:
        """Start the process and wait until it listens."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        until = time.monotonic() + READY_SECONDS
        while not self.answers():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < until, self.log()
            time.sleep(0.05)

    def answers(self) -> bool:
        """Whether somebody listens at its port."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def hang(self) -> None:
        """From now on it is there, and says nothing."""
        assert self.process is not None
        freeze(self.process.pid)

    def go_on(self) -> None:
        """Where it was stopped."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it, with the processes that it has started."""
        if self.process is not None:
            self.process.terminate()
            self.go_on()
            self.process.wait(20)
            self.process = None

    def log(self) -> str:
        """What it has written."""
        return self._log.read_text(encoding="utf-8", errors="replace")
