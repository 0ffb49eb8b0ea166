"""What one radiusd holds: settings, key, store, courier, service; read again when they change."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from radius_smsotp import keyring, settings_file
from radius_smsotp.courier import Courier
from radius_smsotp.errors import ConfigurationError
from radius_smsotp.service import Service
from radius_smsotp.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often the files are looked at."""

FAREWELL_SECONDS = 60.0
"""How long the courier of replaced settings may finish what it has begun."""

Fingerprint = tuple[tuple[int, int, int] | None, ...]


class Server:
    """
    Everything that hangs on one reading of the settings.

    Raises:
        ConfigurationError: With every problem of settings, key and store at once.
    """

    def __init__(self, path: Path) -> None:
        self.loaded = settings_file.load(path)
        self.fingerprint = _fingerprint(path, self.loaded.key_path)
        problems = []
        keys = None
        try:
            keys = keyring.read(self.loaded.key_path)
        except ConfigurationError as error:
            problems += error.problems
        try:
            self.store = open_store(self.loaded.store_url)
            self.store.migrate()
            # radiusd may fork after this; a connection must not come along.
            self.store.close()
        except ConfigurationError as error:
            problems += error.problems
        if problems or keys is None:
            raise ConfigurationError(problems)
        self.courier = Courier(self.loaded, keys, self.store)
        self.service = Service(self.loaded, keys, self.store, self.courier)

    def start(self) -> None:
        """Start looking for messages that were left behind.  Not before the first request."""
        target = self.courier.sweep_forever
        threading.Thread(target=target, name="smsotp-sweep", daemon=True).start()

    def close(self, patience: float = 0.0) -> None:
        """Finish what was begun, `patience` seconds long at most, and let go of everything."""
        self.courier.close(patience)
        self.store.close()


class Watch:
    """
    Reads the settings again when their file or the key file changes.

    A change that does not work is logged, and the settings before it stay.

    Args:
        current: The server in use.
        replace: Called with each server that takes over.
    """

    def __init__(self, current: Server, replace: Callable[[Server], None]) -> None:
        self._current = current
        self._replace = replace
        self._seen = current.fingerprint
        self._ending = threading.Event()

    def start(self) -> None:
        """Look every `LOOK_SECONDS`, in a thread of its own."""
        threading.Thread(target=self._run, name="smsotp-watch", daemon=True).start()

    def stop(self) -> None:
        """End the thread."""
        self._ending.set()

    def look(self) -> bool:
        """Read the settings again if they have changed.  Returns whether new ones took over."""
        loaded = self._current.loaded
        now = _fingerprint(loaded.path, loaded.key_path)
        if now == self._seen:
            return False
        self._seen = now
        try:
            server = Server(loaded.path)
        except ConfigurationError as error:
            log.error("the settings have changed, but do not work; the ones before stay in use:")
            for problem in error.problems:
                log.error("%s", problem)
            return False
        before, self._current = self._current, server
        self._seen = server.fingerprint
        server.start()
        self._replace(server)
        log.info("the settings were read again")
        farewell = threading.Thread(target=before.close, args=(FAREWELL_SECONDS,), daemon=True)
        farewell.start()
        return True

    def _run(self) -> None:
        while not self._ending.wait(LOOK_SECONDS):
            self.look()


def _fingerprint(*paths: Path) -> Fingerprint:
    """What changes when a file does: time, size and inode of each."""
    marks: list[tuple[int, int, int] | None] = []
    for path in paths:
        try:
            status = path.stat()
            marks.append((status.st_mtime_ns, status.st_size, status.st_ino))
        except OSError:
            marks.append(None)
    return tuple(marks)
