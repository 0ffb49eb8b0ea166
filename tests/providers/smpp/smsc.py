"""A stand-in SMSC in a process of its own: the npm package ``smpp``, driven by ``smsc.js``."""

from __future__ import annotations

import atexit
import json
import os
import queue
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radius_smsotp.providers import Surroundings, build
from radius_smsotp.providers.smpp.provider import Provider, Settings

if TYPE_CHECKING:
    from types import TracebackType

PASSWORD = "s3cr3t-8"
PACKAGE = "smpp@0.5.1"
HERE = Path(__file__).parent
CACHE = HERE.parents[2] / ".cache" / "npm-smpp"
PATIENCE = 60.0  # seconds for an event that is bound to come


def modules() -> Path:
    """The folder with node-smpp, fetched into the cache on first use."""
    folder = CACHE / "node_modules"
    if not (folder / "smpp").is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        install = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(CACHE), PACKAGE]
        subprocess.run(install, check=True, capture_output=True, timeout=120)
    return folder


class Node:
    """The process that all of them live in, started for the first one."""

    _one: Node | None = None

    @classmethod
    def get(cls) -> Node:
        """The one that runs."""
        if cls._one is None or cls._one._process.poll() is not None:
            cls._one = cls()
        return cls._one

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["node", str(HERE / "smsc.js")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"NODE_PATH": str(modules())},
        )
        self._news: list[queue.Queue[dict[str, Any]]] = []
        threading.Thread(target=self._listen, daemon=True).start()
        atexit.register(self._stop)

    def start(self, **options: Any) -> tuple[int, queue.Queue[dict[str, Any]]]:
        """Start an SMSC: its number, and what will happen to it."""
        self._news.append(queue.Queue())
        number = len(self._news) - 1
        self.order(number, "start", **options)
        return number, self._news[number]

    def order(self, number: int, order: str, **facts: Any) -> None:
        """Give an order to one of them."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"smsc": number, "order": order, **facts}) + "\n")
        self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                news = json.loads(line)
                self._news[news.pop("smsc")].put(news)

    def _stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE)


class Smsc:
    """
    One SMSC on a free port of 127.0.0.1; also the `StandIn` of the contract suite.

    Args:
        folder: Where the settings of its providers would lie.
        password: The one that it takes.
        certificate: Files of certificate and key, PEM, for TLS.
    """

    def __init__(
        self,
        folder: Path,
        password: str = PASSWORD,
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        self.secrets = (password,)
        self._folder = folder
        self._made: list[Provider] = []
        options = {"password": password}
        if certificate:
            options |= {"cert": certificate[0].read_text(), "key": certificate[1].read_text()}
        self._node = Node.get()
        self._number, self._news = self._node.start(**options)
        self.log: list[dict[str, Any]] = []
        self._runs = True
        self.port: int = self.wait("listening")["port"]

    def __enter__(self) -> Smsc:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for provider in self._made:
            provider.close()
        self.stop()

    def provider(self, **settings: Any) -> Provider:
        """A provider for this SMSC; closed at the end."""
        written = {
            "type": "smpp",
            "smsc_host": "127.0.0.1",
            "smsc_port": self.port,
            "system_id": "radius",
            "password": self.secrets[0],
            "s_addr": "Example",
            **settings,
        }
        surroundings = Surroundings(self._folder, {}, self._folder)
        built = build("backup", Settings.model_validate(written), surroundings)
        assert isinstance(built, Provider)
        self._made.append(built)
        return built

    def refuse(self) -> None:
        self.behave(submit=0x0B)  # ESME_RINVDSTADR

    def be_busy(self) -> None:
        self.behave(submit=0x58)  # ESME_RTHROTTLED

    def go_away(self) -> None:
        self.stop()

    def fall_silent(self) -> None:
        self.behave(submit="silent")

    def received(self) -> list[tuple[str, str]]:
        return [(sent["to"][0], sent["text"]) for sent in self.seen("submit")]

    def order(self, order: str, **facts: Any) -> None:
        """Give an order, and wait until it is carried out."""
        self._node.order(self._number, order, **facts)
        self.wait("done")

    def behave(self, **how: Any) -> None:
        """From now on; see `behaviour` in smsc.js."""
        self.order("behave", **how)

    def ask(self, command: str, **fields: Any) -> None:
        """Send a request to whoever is bound; its response is an event of its name."""
        self.order("ask", command=command, **fields)

    def wait(self, event: str) -> dict[str, Any]:
        """The next event of a kind."""
        while True:
            news = self._news.get(timeout=PATIENCE)
            self.log.append(news)
            if news["event"] == event:
                return news

    def seen(self, event: str) -> list[dict[str, Any]]:
        """All events of a kind up to now."""
        self.order("flush")
        return [news for news in self.log if news["event"] == event]

    def stop(self) -> None:
        """End it and every connection.  May be called twice."""
        if self._runs:
            self._runs = False
            self.order("stop")
