"""Headless Chromium, on a file."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO

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
    "--virtual-time-budget=3000",
]


def run(folder: Path, page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Open a page, do what the options say, and end."""
    command = [*COMMAND, f"--user-data-dir={folder / 'profile'}", *options, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def read_aloud(folder: Path, page: Path, width: int) -> list[tuple[str, str]]:
    """
    What a screen reader gets to know of a page that is so wide: role and name, in their order.

    Asked for by the protocol of Chromium's own tools, as JSON through two pipes (file descriptors
    3 and 4).
    """
    there, ours = os.pipe()
    back, theirs = os.pipe()
    command = [one for one in COMMAND if "virtual-time" not in one]
    options = [f"--user-data-dir={folder / 'profile'}", "--remote-debugging-pipe"]
    line = f'exec "$@" 3<&{there} 4>&{theirs}'
    process = subprocess.Popen(
        ["bash", "-c", line, "bash", *command, *options],
        pass_fds=(there, theirs),
        stderr=subprocess.DEVNULL,
    )
    os.close(there)
    os.close(theirs)
    try:
        with os.fdopen(ours, "wb", 0) as asked, os.fdopen(back, "rb") as answered:
            return _read_aloud(_Tools(asked, answered), page, width)
    finally:
        process.kill()
        process.wait()


class _Tools:
    """The other end of those pipes."""

    def __init__(self, asked: IO[bytes], answered: IO[bytes]) -> None:
        self._asked, self._answered = asked, answered
        self._session: dict[str, str] = {}
        self._number = 0

    def attach(self) -> None:
        """Open a page, of which is asked from then on."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        found = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": found["sessionId"]}

    def ask(self, method: str, **params: Any) -> Any:
        """Call a method."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params, **self._session}
        self._asked.write(json.dumps(message).encode() + b"\0")
        return self.wait("id", self._number)["result"]

    def wait(self, key: str, value: object) -> dict[str, Any]:
        """Read until a message comes that holds this."""
        while True:
            octets = bytearray()
            while (one := self._answered.read(1)) != b"\0":
                assert one, "the browser has ended"
                octets += one
            message: dict[str, Any] = json.loads(octets)
            if message.get(key) == value:
                return message


def _read_aloud(tools: _Tools, page: Path, width: int) -> list[tuple[str, str]]:
    tools.attach()
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    tools.ask("Emulation.setDeviceMetricsOverride", **screen)
    tools.ask("Page.enable")
    tools.ask("Page.navigate", url=page.as_uri())
    tools.wait("method", "Page.loadEventFired")
    tools.ask("Accessibility.enable")
    nodes = {one["nodeId"]: one for one in tools.ask("Accessibility.getFullAXTree")["nodes"]}
    told: list[tuple[str, str]] = []

    def tell(one: dict[str, Any]) -> None:
        if not one.get("ignored"):
            told.append((one["role"]["value"], one.get("name", {}).get("value", "")))
        for child in one.get("childIds", []):
            if child in nodes:
                tell(nodes[child])

    tell(next(iter(nodes.values())))
    return told
