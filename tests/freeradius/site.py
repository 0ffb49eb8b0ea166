"""A site under test: settings, key, store, accounts, and a real FreeRADIUS on a free port."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radius_smsotp.cli.radius_client import NoReplyError, RadiusClient, Reply
from radius_smsotp.errors import StoreError
from radius_smsotp.model import pin
from radius_smsotp.model.identity import fold_name
from radius_smsotp.model.records import Account
from radius_smsotp.raddb import freeradius, install
from radius_smsotp.settings import keyring
from radius_smsotp.store import open_store
from tests.support import leaks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from radius_smsotp.model.records import Event
    from radius_smsotp.store import Store

SECRET = "testing123"
PHONE = "+491701234567"
PIN = "1234"
READY_SECONDS = 30.0


def free_port() -> int:
    """A UDP port of the loopback address that nobody uses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(what: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Call `what` until it returns something true, and return that."""
    until = time.monotonic() + seconds
    while not (result := what()):
        assert time.monotonic() < until, f"{what} did not come true"
        time.sleep(0.05)
    return result


class Site:
    """
    A folder with everything in it.

    Args:
        settings: Sections that replace those of the default settings.
    """

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.outbox = folder / "outbox"
        self.settings_path = folder / "smsotp.yaml"
        self.server = freeradius.find()
        assert self.server is not None, "FreeRADIUS is not installed"
        self.write_settings(**settings)
        keyring.create(folder / "key")
        url = settings.get("store", f"sqlite:///{folder}/smsotp.db")
        self.store: Store = open_store(url, patience=10)
        self.store.migrate()
        self.daemons: list[Radiusd] = []

    def write_settings(self, **settings: Any) -> None:
        """Write smsotp.yaml; JSON is YAML."""
        values = {
            "store": "sqlite:///smsotp.db",
            "key_file": "key",
            "pin": {"iterations": 1000},
            "providers": {"demo": {"type": "folder", "path": "outbox"}},
        }
        self.settings_path.write_text(json.dumps(values | settings), encoding="utf-8")

    def add(
        self,
        name: str,
        phone: str | None = PHONE,
        pin_text: str | None = PIN,
        rounds: int = 1000,
        **more: Any,
    ) -> None:
        """Add an account, its PIN hashed with so many rounds."""
        leaks.note_pin(self.folder, pin_text)
        pin_hash = None if pin_text is None else pin.digest(pin_text, os.urandom(16), rounds)
        with self.store.write() as tx:
            tx.put_account(Account(fold_name(name), phone, pin_hash, **more), datetime.now(UTC))

    def make_raddb(self, name: str = "raddb", worker_ports: Sequence[int] = ()) -> tuple[Path, int]:
        """A raddb of its own, and its port."""
        port = free_port()
        folder = self.folder / name
        assert self.server is not None
        install.create(
            folder,
            self.settings_path,
            self.server,
            port=port,
            secret=SECRET,
            gtc_port=free_port(),
            name="radius.example.org",
            worker_ports=worker_ports,
        )
        # A rejection shall not take a second, as it does where passwords are guessed.
        conf = folder / "radiusd.conf"
        conf.write_text(conf.read_text().replace("reject_delay = 1", "reject_delay = 0"))
        return folder, port

    def start(
        self,
        name: str = "raddb",
        edit: Callable[[Path], None] | None = None,
        prefix: Sequence[str] = (),
    ) -> Radiusd:
        """
        Start a FreeRADIUS.

        Args:
            edit: Changes its raddb before.
            prefix: A command that becomes FreeRADIUS, whose command line stands behind it.
        """
        folder, port = self.make_raddb(name)
        if edit:
            edit(folder)
        daemon = Radiusd(self, folder, port)
        daemon.prefix = prefix
        self.daemons.append(daemon)
        daemon.start()
        return daemon

    def close(self) -> None:
        """End every FreeRADIUS that was started."""
        for daemon in self.daemons:
            daemon.stop()
        self.store.close()

    def messages(self) -> list[dict[str, str]]:
        """The SMS that were sent, oldest first."""
        paths = sorted(self.outbox.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        return [json.loads(path.read_text(encoding="utf-8")) for path in paths]

    def code(self, state: bytes | None) -> str:
        """The code that was sent for a challenge."""
        assert state is not None
        path = self.outbox / f"{state.decode()}.json"
        text = json.loads(eventually(lambda: path.exists() and path.read_text("utf-8")))["text"]
        found = re.search(r"\b\d{6}\b", text)
        assert found, text
        return found[0]

    def events(self, name: str) -> list[Event]:
        """The audit trail of an account."""
        with self.store.read() as tx:
            return tx.events(name, 1000)

    def story(self) -> list[tuple[str, str]]:
        """What has happened here, in titled sections, for who has to find out why it did."""
        try:
            with self.store.read() as tx:
                names = [account.name for account, _ in tx.accounts()]
                events = [str(event) for name in names for event in tx.events(name, 20)]
        except StoreError as error:
            events = [str(error)]
        logs = [(f"FreeRADIUS {one.port}", one.log()[-5000:]) for one in self.daemons]
        return [("events", "\n".join(events)), *logs]

    def kinds(self, name: str) -> list[str]:
        """The kinds of event of an account, in order."""
        return [event.kind for event in self.events(name)]


class Radiusd:
    """
    One FreeRADIUS process, multi-threaded as in production.

    Args:
        name: Of its configuration file, for a worker.
    """

    def __init__(self, site: Site, folder: Path, port: int, name: str = "radiusd") -> None:
        self.site = site
        self.folder = folder
        self.port = port
        self.log_path = folder / "log" / f"{name}.stdout"
        self.client = RadiusClient("127.0.0.1", port, SECRET, timeout=20, attempts=1)
        self.options = ["-f", "-l", "stdout", "-n", name]
        self.prefix: Sequence[str] = ()
        self.process: subprocess.Popen[bytes] | None = None

    def run(self) -> subprocess.Popen[bytes]:
        """Start the process, and do not wait for anything."""
        assert self.site.server is not None
        command = [*self.prefix, self.site.server.program, *self.options, "-d", self.folder]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        return self.process

    def start(self) -> None:
        """Start the process and wait until it answers."""
        ready = self.log().count("Ready to process requests")
        process = self.run()
        until = time.monotonic() + READY_SECONDS
        while self.log().count("Ready to process requests") == ready:
            assert process.poll() is None, self.log()
            assert time.monotonic() < until, self.log()
            time.sleep(0.05)

    def stop(self, sign: int = signal.SIGTERM) -> int:
        """End the process.  Returns its exit status."""
        if self.process is None:
            return 0
        self.process.send_signal(sign)
        status = self.process.wait(20)
        self.process = None
        return status

    def log(self) -> str:
        """What it has written."""
        if not self.log_path.exists():
            return ""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def new_client(self) -> RadiusClient:
        """A client with a socket of its own, for another thread."""
        return RadiusClient("127.0.0.1", self.port, SECRET, timeout=20, attempts=1)

    def ask(
        self, user: str, password: str | bytes, state: bytes | None = None, station: str = ""
    ) -> Reply:
        """One request and its reply, whose signatures were checked."""
        try:
            return self.new_client().ask(user, password, state, station)
        except NoReplyError as error:
            raise AssertionError(f"{error}\n{self.log()[-5000:]}") from error

    def challenge(self, user: str = "alice", password: str | bytes = PIN) -> Reply:
        """A first step that is challenged."""
        reply = self.ask(user, password)
        assert reply.kind == "Access-Challenge", reply
        return reply
