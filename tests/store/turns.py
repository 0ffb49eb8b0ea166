"""A relay in front of a database server that counts how often somebody has waited for an answer."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from typing import Self


class TurnCounter:
    """
    Passes on what goes between clients and a server on the loopback address.

    Args:
        port: Of the server.

    Attributes:
        port: Where clients find it.
        turns: How often a client has asked for all answers so far: each costs a way there and back.
    """

    def __init__(self, port: int) -> None:
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.turns = 0
        self._clients: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        # Wakes up who waits for them; on Linux `close` alone would not.
        for one in (self._listener, *self._clients):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._clients.append(client)
            thread = threading.Thread(target=self._relay, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _relay(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._server)) as server:
            said = b""
            while True:
                for one in select.select([client, server], [], [])[0]:
                    data = one.recv(65536)
                    if not data:
                        return
                    if one is client:
                        number, said = asked(said + data)
                        self.turns += number
                    (server if one is client else client).sendall(data)


def asked(said: bytes) -> tuple[int, bytes]:
    """
    How many messages with which a client asks for answers (PostgreSQL 55.7: Query, Sync) there are.

    Returns:
        Also what there is of a message that has not come whole.
    """
    number = 0
    while len(said) >= 5:
        # Until a session has begun, messages have no type: their first octet is 0.
        untyped = said[0] == 0
        length = int.from_bytes(said[:4]) if untyped else 1 + int.from_bytes(said[1:5])
        if len(said) < length:
            break
        number += said[:1] in {b"Q", b"S"}
        said = said[length:]
    return number, said
