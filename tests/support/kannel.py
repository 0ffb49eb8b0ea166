"""A real Kannel (bearerbox and smsbox) on loopback, between the provider ``http`` and an SMSC."""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from tests.support.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 30.0
"""Seconds in which it is up, on a machine that is busy."""

USER, PASSWORD = "user", "password"
"""Who may send, as the preset's blanks are filled in by the tests."""


class Kannel:
    """
    Started, and bound to an SMSC as transceiver.

    Args:
        folder: For its configuration and logs.
        smsc_port: Of an SMSC on 127.0.0.1.
        smsc_password: For the system id "radius".

    Attributes:
        url: Where it takes requests to send.
    """

    def __init__(self, folder: Path, smsc_port: int, smsc_password: str) -> None:
        admin, box, send = (port := free_port(2)), port + 1, port + 2
        self.url = f"http://127.0.0.1:{send}/cgi-bin/sendsms"
        self._running: list[subprocess.Popen[bytes]] = []
        self._logs = folder / "kannel.log"
        config = folder / "kannel.conf"
        config.write_text(
            f"""
group = core
admin-port = {admin}
admin-password = admin
smsbox-port = {box}
box-deny-ip = "*.*.*.*"
box-allow-ip = "127.0.0.1"

group = smsc
smsc = smpp
smsc-id = test
host = 127.0.0.1
port = {smsc_port}
smsc-username = radius
smsc-password = {smsc_password}
system-type = ""
transceiver-mode = true
reconnect-delay = 1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {send}

group = sendsms-user
username = {USER}
password = {PASSWORD}
default-sender = Example
concatenation = true
max-messages = 3
"""
        )
        try:
            self._start("bearerbox", config, box)
            self._start("smsbox", config, send)
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self, program: str, config: Path, port: int) -> None:
        """Start one of its boxes, and wait until it listens."""
        with self._logs.open("ab") as log:
            self._running.append(
                subprocess.Popen([f"/usr/sbin/{program}", config], stdout=log, stderr=log)
            )
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self._running[-1].poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.05)
        raise AssertionError(f"{program} does not listen:\n{self._logs.read_text('utf-8')}")

    def stop(self) -> None:
        """End its boxes.  May be called twice."""
        while self._running:
            box = self._running.pop()
            box.terminate()
            try:
                box.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                box.kill()
                box.wait()
