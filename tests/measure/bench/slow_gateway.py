"""An SMS gateway in a process of its own: it takes every message, after so many seconds."""

from __future__ import annotations

import asyncio
import contextlib
import sys

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nID: 4711"


async def serve(seconds: float) -> None:
    """Print the port, and answer until the end."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Connections stay open; the messages of this bench are in the query.
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(seconds)
                writer.write(ANSWER)

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
