"""Headless Chromium, started once, on one file after the other."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMAND = [
    "chromium",
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--allow-file-access-from-files",
    "--enable-logging=stderr",
    "--remote-debugging-pipe",
]


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Browser]:
    """
    One, with its profile and what it writes in a folder.

    It is asked by the protocol of its own tools, as JSON through two pipes (file descriptors 3
    and 4).
    """
    there, ours = os.pipe()
    back, theirs = os.pipe()
    line = f'exec "$@" 3<&{there} 4>&{theirs}'
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-c", line, "bash", *COMMAND, f"--user-data-dir={folder / 'profile'}"],
            pass_fds=(there, theirs),
            stderr=log,
        )
    os.close(there)
    os.close(theirs)
    try:
        with os.fdopen(ours, "wb", 0) as asked, os.fdopen(back, "rb") as answered:
            yield Browser(asked, answered, folder / "log")
    finally:
        process.kill()
        process.wait()


class Browser:
    """The other end of those pipes."""

    def __init__(self, asked: IO[bytes], answered: IO[bytes], log: Path) -> None:
        self._asked, self._answered, self._log = asked, answered, log
        self._session: dict[str, str] = {}
        self._number = 0

    def open(self, page: Path, width: int = 1280, *, dark: bool = False) -> None:
        """Show a page, so wide, in place of the one before."""
        if self._session:
            self._ask("Page.close")
            self._session = {}
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        found = self._ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": found["sessionId"]}
        screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self._ask("Emulation.setDeviceMetricsOverride", **screen)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme])
        self._ask("Page.enable")
        self._ask("Page.navigate", url=page.as_uri())
        self._wait("method", "Page.loadEventFired")

    def read_aloud(self) -> list[tuple[str, str]]:
        """What a screen reader gets to know of it: role and name, in their order."""
        self._ask("Accessibility.enable")
        nodes = {one["nodeId"]: one for one in self._ask("Accessibility.getFullAXTree")["nodes"]}
        told: list[tuple[str, str]] = []

        def tell(one: dict[str, Any]) -> None:
            if not one.get("ignored"):
                told.append((one["role"]["value"], one.get("name", {}).get("value", "")))
            for child in one.get("childIds", []):
                if child in nodes:
                    tell(nodes[child])

        tell(next(iter(nodes.values())))
        return told

    def value(self, expression: str) -> Any:
        """What an expression, or a promise, comes to on it; there is nothing to complain of."""
        asked = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        found = self._ask("Runtime.evaluate", **asked)
        assert "exceptionDetails" not in found, found
        log = self._log.read_text("utf-8", "replace")
        assert "CONSOLE" not in log, log
        return found["result"]["value"]

    def printed(self) -> bytes:
        """It as a PDF."""
        return base64.b64decode(self._ask("Page.printToPDF", preferCSSPageSize=True)["data"])

    def _ask(self, method: str, **params: Any) -> Any:
        """Call a method."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params, **self._session}
        self._asked.write(json.dumps(message).encode() + b"\0")
        answer = self._wait("id", self._number)
        assert "error" not in answer, (method, answer)
        return answer["result"]

    def _wait(self, key: str, value: object) -> dict[str, Any]:
        """Read until a message comes that holds this."""
        while True:
            octets = bytearray()
            while (one := self._answered.read(1)) != b"\0":
                assert one, "the browser has ended"
                octets += one
            message: dict[str, Any] = json.loads(octets)
            if message.get(key) == value:
                return message
