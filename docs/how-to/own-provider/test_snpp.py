"""The provider ``snpp`` keeps what every provider promises."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from smsotp_snpp import Provider, Settings

from radius_smsotp.providers import Surroundings, build
from radius_smsotp.providers.contract import ProviderContract


class Server(socketserver.ThreadingTCPServer):
    """A server, and what it has taken."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.mood = ""
        self.taken: list[tuple[str, str]] = []
        self.over = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def end(self) -> None:
        """Be gone."""
        self.over.set()
        self.shutdown()
        self.server_close()


class Handler(socketserver.StreamRequestHandler):
    """One connection."""

    server: Server

    def handle(self) -> None:
        """Agree to everything, unless the mood is another."""
        said: dict[str, str] = {}
        self.wfile.write(b"220 SNPP Gateway Ready\r\n")
        for line in self.rfile:
            command, _, text = line.decode().strip().partition(" ")
            said[command] = text
            if command == "PAGE" and self.server.mood == "refuse":
                self.wfile.write(f"550 Error, Invalid Pager ID {text}\r\n".encode())
            elif command == "SEND" and self.server.mood == "silence":
                self.server.over.wait(20)
            else:
                if command == "SEND":
                    self.server.taken.append((said["PAGE"], said["MESS"]))
                self.wfile.write(b"250 OK\r\n")


class StandIn:
    """The server, under the control of the suite."""

    secrets = ()

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = Server()

    def provider(self) -> Provider:
        """One that is set up for it."""
        host, port = self.server.server_address
        settings = Settings(type="snpp", host=str(host), port=port)
        made = build("pager", settings, Surroundings(self.folder, {}, self.folder))
        assert isinstance(made, Provider)
        return made

    def refuse(self) -> None:
        """The pager is none."""
        self.server.mood = "refuse"

    def be_busy(self) -> None:
        """It has no such case."""

    def go_away(self) -> None:
        """Nobody listens there any more."""
        self.server.end()

    def fall_silent(self) -> None:
        """Take the message, and say nothing."""
        self.server.mood = "silence"

    def received(self) -> list[tuple[str, str]]:
        """What was taken."""
        return self.server.taken


class TestContract(ProviderContract):
    """Everything that is asked of a provider."""

    can_be_busy = False

    @pytest.fixture
    def stand_in(self, tmp_path: Path) -> Iterator[StandIn]:
        """A server that runs."""
        one = StandIn(tmp_path)
        yield one
        one.server.end()
