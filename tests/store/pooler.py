"""A PgBouncer in front of a PostgreSQL server of the tests."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Self

from tests.store.postgres_server import START_SECONDS, USER, become_nobody
from tests.support.ports import free_port

if TYPE_CHECKING:
    from tests.store.postgres_server import PostgresServer


class Pooler:
    """
    From the start to the end of a `with` block.

    Args:
        mode: ``session``, or ``transaction``: several clients share a connection in turns.
        size: Connections to the server.
    """

    def __init__(self, server: PostgresServer, mode: str, size: int) -> None:
        self.port = free_port()
        self._server = server
        # Of whoever the server runs as, and gone with it.
        folder = server.folder / f"pooler-{self.port}"
        folder.mkdir()
        self._log = folder / "pgbouncer.log"
        users = folder / "users.txt"
        users.write_text(f'"{USER}" ""\n')
        self._settings = folder / "pgbouncer.ini"
        self._settings.write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {users}\npool_mode = {mode}\n"
            f"default_pool_size = {size}\nserver_idle_timeout = 1\n"
        )

    def url(self, url: str) -> str:
        """That of a database of the server, this way."""
        return url.replace(f":{self._server.port}/", f":{self.port}/")

    def __enter__(self) -> Self:
        command = [*become_nobody(), "/usr/sbin/pgbouncer", str(self._settings)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until = time.monotonic() + START_SECONDS
        while not self._listens():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < until, self._log.read_text()
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(60)

    def _listens(self) -> bool:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port)).close()
            return True
        return False
