"""A real Jasmin, with the RabbitMQ and the Redis that it needs, in a network that is ours alone."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

PATIENCE = 180.0
"""Seconds in which all three are up, on a machine that is busy."""

BROKER, CACHE, CONSOLE, API = 5672, 6379, 8990, 1401
"""The ports that they have by themselves."""

USER, PASSWORD = "user", "password"


class Jasmin:
    """
    Started, and told of an SMSC, which it binds to.

    Args:
        place: A virtual environment with Jasmin, and beside it ``resource`` of its sources.
        folder: For what they write.
        smsc_port: Of an SMSC on 127.0.0.1.
        smsc_password: For the system id "radius".

    Attributes:
        url: Where it takes requests to send.
    """

    def __init__(self, place: Path, folder: Path, smsc_port: int, smsc_password: str) -> None:
        self.url = f"http://127.0.0.1:{API}/send"
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []
        settings = folder / "etc" / "jasmin"
        for needed in (settings / "store", folder / "var" / "log" / "jasmin", folder / "broker"):
            needed.mkdir(parents=True)
        shutil.copytree(place / "resource", settings / "resource")
        (settings / "jasmin.cfg").write_text("[jcli]\nauthentication = False\n")
        broker = {
            "HOME": str(folder / "broker"),
            "RABBITMQ_NODENAME": "test@localhost",
            "RABBITMQ_MNESIA_BASE": str(folder / "broker" / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "broker"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "broker" / "plugins"),
        }
        try:
            self._start(["/usr/lib/rabbitmq/bin/rabbitmq-server"], BROKER, **broker)
            self._start(["/usr/bin/redis-server", "--save", "", "--dir", str(folder)], CACHE)
            jasmind = [str(place / "venv/bin/jasmind.py"), "--enable-dlr-lookup"]
            self._start([*jasmind, "--enable-dlr-thrower"], CONSOLE, ROOT_PATH=str(folder))
            self._configure(smsc_port, smsc_password)
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self, command: list[str], port: int, **environment: str) -> None:
        """Start one of the three, and wait until it listens."""
        log = self._folder / f"{port}.log"
        with log.open("ab") as told:
            self._running.append(
                subprocess.Popen(command, stdout=told, stderr=told, env=os.environ | environment)
            )
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self._running[-1].poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.1)
        raise AssertionError(f"{command[0]} does not listen:\n{log.read_text('utf-8')}")

    def _configure(self, smsc_port: int, smsc_password: str) -> None:
        """Who may send, and where messages go: at its console."""
        connector = f"cid smsc\nhost 127.0.0.1\nport {smsc_port}\nusername radius"
        orders = (
            "group -a\ngid g\nok",
            f"user -a\nusername {USER}\npassword {PASSWORD}\ngid g\nuid u\nok",
            f"smppccm -a\n{connector}\npassword {smsc_password}\nbind transceiver\nok",
            "smppccm -1 smsc",
            "mtrouter -a\ntype DefaultRoute\nconnector smppc(smsc)\nrate 0.0\nok",
        )
        with socket.create_connection(("127.0.0.1", CONSOLE), 10) as console:
            for line in ["", *"\n".join(orders).splitlines()]:
                console.sendall(line.encode() + b"\r\n")
                told = self._prompted(console)
                assert b"Error" not in told, told
                assert b"Unknown" not in told, told

    def _prompted(self, console: socket.socket) -> bytes:
        """What it says, up to its prompt."""
        told = b""
        while not (told.rstrip().endswith((b"jcli :", b">"))):
            try:
                more = console.recv(4096)
            except TimeoutError:
                raise AssertionError(told) from None
            assert more, told
            told += more
        return told

    def stop(self) -> None:
        """End all three.  May be called twice."""
        while self._running:
            one = self._running.pop()
            one.terminate()
            try:
                one.wait(20)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()
