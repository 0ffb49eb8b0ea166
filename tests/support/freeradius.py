"""A site with a real FreeRADIUS, on a free port."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

from radius_smsotp.errors import StoreError
from radius_smsotp.raddb import freeradius, install
from radius_smsotp.store import is_database
from radius_smsotp.store.history import Wanted
from tests.support import site
from tests.support.ports import free_port
from tests.support.radius import SECRET, NoReplyError, RadiusClient, Reply
from tests.support.site import PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from radius_smsotp.model.records import Event

READY_SECONDS = 120.0

PATIENT = {"wait": 10, "wait_share": 1}
"""`delivery` with which a login hears what became of its message, however busy the machine."""

RECORDED_SECONDS = 2.0
"""From a challenge to the record of what the gateway has said: a gateway of a test may hang."""


class Site(site.Site):
    """A site, and every FreeRADIUS that is started on it."""

    def __init__(self, folder: Path, **sections: Any) -> None:
        super().__init__(folder, **sections)
        self.server = freeradius.find()
        assert self.server is not None, "FreeRADIUS is not installed"
        self.daemons: list[Radiusd] = []
        assert self.store  # made before anybody else could

    def make_raddb(self, name: str = "raddb") -> tuple[Path, int]:
        """A raddb of its own, and its port."""
        port = free_port(1)
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
            database=is_database(self._store_url),
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
        super().close()

    def code(self, state: bytes | None) -> str:
        """The code that was sent for a challenge.  That it was is in the store by then."""
        assert state is not None
        path = self.outbox / f"{state.decode()}.json"
        text = json.loads(eventually(lambda: path.exists() and path.read_text("utf-8")))["text"]
        found = re.search(r"\b\d{6}\b", text)
        assert found, text
        eventually(lambda: not self._is_queued(state.decode()))
        return found[0]

    def events(self, name: str = "alice") -> list[Event]:
        """The audit trail of an account.  It has what a gateway said, which follows the reply."""
        until = time.monotonic() + RECORDED_SECONDS
        while True:
            found = super().events(name)
            told = {one.transaction_id for one in found if one.kind.startswith("sms-")}
            opened = {one.transaction_id for one in found if one.kind == "challenge-opened"}
            # What is no longer queued may have been recorded since.
            if opened <= told or time.monotonic() >= until:
                return found
            if not any(map(self._is_queued, opened - told)):
                return super().events(name)
            time.sleep(0.02)

    def _is_queued(self, transaction_id: str) -> bool:
        with self.store.read() as tx:
            message = tx.message(transaction_id)
        return message is not None and message.state == "queued"

    def story(self) -> list[tuple[str, str]]:
        """What has happened here, in titled sections, for who has to find out why it did."""
        try:
            with self.store.read() as tx:
                events = [str(event) for _, event in tx.history.last(Wanted(), 40)]
        except StoreError as error:
            events = [str(error)]
        logs = [(f"FreeRADIUS {one.port}", one.log()[-5000:]) for one in self.daemons]
        return [("events", "\n".join(events)), *logs]


class Radiusd:
    """One FreeRADIUS process, multi-threaded as in production."""

    def __init__(self, site: Site, folder: Path, port: int) -> None:
        self.site = site
        self.folder = folder
        self.port = port
        self.log_path = folder / "log" / "radiusd.stdout"
        self.client = RadiusClient(port)
        self.options = ["-f", "-l", "stdout"]
        self.prefix: Sequence[str] = ()
        self.process: subprocess.Popen[bytes] | None = None
        self._log_begin = 0

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
        """
        End the process.  Returns its exit status.

        FreeRADIUS 3.2.1 sometimes waits for ever for a thread of its own that looks into its empty
        queue again and again (`fr_atomic_queue_pop`, seen with gdb): nothing of that stays behind.
        """
        if self.process is None:
            return 0
        process, self.process = self.process, None
        process.send_signal(sign)
        try:
            return process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait(20)

    def log(self) -> str:
        """What it has written."""
        if not self.log_path.exists():
            return ""
        return self.log_path.read_bytes()[self._log_begin :].decode("utf-8", "replace")

    def log_from_now(self) -> None:
        """What it has written so far is not of interest any more."""
        self._log_begin = self.log_path.stat().st_size

    def ask(
        self,
        user: str = "alice",
        password: str | bytes = PIN,
        state: bytes | None = None,
        station: str = "",
        **more: Any,
    ) -> Reply:
        """One request and its reply: see `RadiusClient.ask`."""
        try:
            return self.client.ask(user, password, state, station, **more)
        except NoReplyError as error:
            raise AssertionError(f"{error}\n{self.log()[-5000:]}") from error

    def challenge(self, user: str = "alice", password: str | bytes = PIN) -> Reply:
        """A first step that is challenged."""
        reply = self.ask(user, password)
        assert reply.kind == "Access-Challenge", reply
        return reply
