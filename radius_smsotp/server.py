"""What one radiusd holds: settings, key, store, courier, service; read again when they change."""

from __future__ import annotations

import logging
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path

from radius_smsotp.delivery.courier import Courier
from radius_smsotp.errors import ConfigurationError, Problem, StoreError
from radius_smsotp.login.replays import Replays
from radius_smsotp.login.service import Service
from radius_smsotp.model import events
from radius_smsotp.model.records import Event
from radius_smsotp.settings import file, keyring, last_good
from radius_smsotp.settings.file import Loaded
from radius_smsotp.settings.keyring import Keyring
from radius_smsotp.store import Store, is_database, open_store, settle

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often the files are looked at."""

TIDY_LOOKS = 60
"""At how many looks there is time to tidy up."""

FAREWELL_SECONDS = 60.0
"""How long the courier of replaced settings may finish what it has begun."""

REPORTED = 10_000
"""Reports that are kept until the store answers; of more, the oldest are lost."""

RECENT, REPEATED = 200, timedelta(hours=1)
"""Events of an account among which a report is looked for that came twice, and how far apart both
are at most: a client that has started anew may count its sessions anew."""

PRESENT_EVERY, PRESENT_FOR = timedelta(hours=1), timedelta(days=7)
"""How often a radiusd tells the store that it runs, and after what silence it is gone."""

LOOK_AROUND = timedelta(seconds=10)
"""How often it looks who else does: one that was added is to count before the next outage."""

Fingerprint = tuple[tuple[int, int, int] | None, ...]


def introduce(keys: Keyring, loaded: Loaded, store: Store) -> None:
    """
    Make the keys of a server known to its store.

    Of those that a store knows each of its servers has one; a new key comes in beside it.  Who has
    none has another key than all who use the store, and would take right codes for wrong ones.

    Args:
        store: Migrated.

    Raises:
        ConfigurationError: The store knows other keys only.
        StoreError: The store did not answer.
    """
    ours = keys.fingerprints
    with store.read() as tx:
        if ours.keys() <= tx.known_keys().keys():
            return
    with store.write(durable=True) as tx:
        known = tx.known_keys()
        if known and not ours.keys() & known.keys():
            raise ConfigurationError([strange_key(loaded, known)])
        for fingerprint, key_id in ours.items():
            tx.add_key(fingerprint, key_id, datetime.now(timezone.utc))


def strange_key(loaded: Loaded, known: Mapping[str, str]) -> Problem:
    """What is wrong where a store knows other keys than those of the key file, if there is one."""
    path = loaded.key_path
    newest = list(known.values())[-1]
    return Problem(
        f"key_file ({path})",
        f"the store was used with another key ({newest})",
        f"bring the file with that one back to {path}, from a backup or from the server where "
        "'smsotp key list' names it; only if it is lost for good, and all PINs with it, remove "
        f"{path} and run 'smsotp init {loaded.path.parent} --new-key'",
    )


class Server:
    """
    Everything that hangs on one reading of the settings.

    Args:
        path: The settings file.
        in_radiusd: False in the process `smsotp courier`.
        starting: Take the last settings that worked where those in the file do not, and in radiusd
            a store that does not answer yet: see `require_store`.

    Raises:
        ConfigurationError: With every problem of the settings, or else of key and store.

    Attributes:
        lacking: Why the store cannot be used yet.
        has_others: Whether other radiusd use the store; until it is known, whether they might.
    """

    def __init__(self, path: Path, *, in_radiusd: bool = True, starting: bool = False) -> None:
        self.in_radiusd = in_radiusd
        # Before each file is read: what changes while it is shall be noticed later.
        before = fingerprint(path)
        found = _settings(path) if starting else last_good.Working(file.load(path))
        self.loaded = found.loaded
        self.fingerprint = before + _fingerprints(self.loaded)
        problems = []
        keys = None
        try:
            keys = keyring.read(self.loaded.key_path)
        except ConfigurationError as error:
            problems += error.problems
        self.lacking: list[Problem] = []
        is_shared = is_database(self.loaded.store_url)
        self.has_others = is_shared
        self._present_at = self._looked_at = datetime.min.replace(tzinfo=timezone.utc)
        self._generation = 0
        try:
            self.store = open_store(self.loaded.store_url)
            self.lacking = self._lacking(keys)
        except ConfigurationError as error:
            problems += error.problems
        may_wait = starting and in_radiusd and all(one.passing for one in self.lacking)
        problems += [] if may_wait else self.lacking
        if problems or keys is None:
            raise ConfigurationError(problems)
        self.keys = keys
        for problem in self.lacking:
            log.error("%s; until then no login is looked at", problem)
        if in_radiusd and not found.problems:
            _keep(self.loaded)
        self.courier = Courier(self.loaded, keys, self.store)
        self._reported: deque[Event] = deque(maxlen=REPORTED)
        kept = path.with_name(f"{path.name}.accepted") if in_radiusd and is_shared else None
        self._replays = Replays(kept, datetime.now(timezone.utc))
        self.service = Service(self.loaded, keys, self.store, self.courier, replays=self._replays)

    def require_store(self) -> None:
        """
        See that the store was brought to this version, and knows our keys.

        Raises:
            StoreError: It has not answered yet since the start.
        """
        if self.lacking:
            raise StoreError(f"{self.lacking[0].fault}; it is tried again all the time")

    def ask_store(self) -> None:
        """Ask the store something, as a login does.  Raises StoreError: it does not answer."""
        with self.store.read() as tx:
            tx.known_keys()

    def seek_store(self) -> None:
        """Try again what the store has not answered to; what else it says is logged once."""
        lacking = self._lacking(self.keys)
        if not lacking:
            log.warning("the store is there now: logins are looked at")
        elif list(map(str, lacking)) != list(map(str, self.lacking)):
            for problem in lacking:
                log.error("%s", problem)
        self.lacking = lacking

    def _lacking(self, keys: Keyring | None) -> list[Problem]:
        """Bring the store to this version, and introduce us.  Returns why that did not work."""
        try:
            self.store.migrate()
            if keys is not None:
                introduce(keys, self.loaded, self.store)
                self._be_present(datetime.now(timezone.utc))
        except ConfigurationError as error:
            return error.problems
        except StoreError as error:
            return [Problem(f"store ({self.store.name})", str(error), "start again", passing=True)]
        finally:
            # radiusd may fork after this; a connection must not come along.
            self.store.close()
        return []

    def _be_present(self, now: datetime) -> None:
        """Tell the store now and then that this radiusd uses it, and learn who else does."""
        if not self.in_radiusd or now - self._looked_at < LOOK_AROUND:
            return
        place = f"{socket.gethostname()}:{self.loaded.path}"
        if now - self._present_at >= PRESENT_EVERY:
            with self.store.write(place) as tx:
                tx.put_server(place, now)
            self._present_at = now
        with self.store.read() as tx:
            servers = tx.servers()
        self._looked_at = now
        self.has_others = any(
            other != place and now - seen_at < PRESENT_FOR for other, seen_at in servers.items()
        )

    def _spend_again(self, now: datetime) -> None:
        """Mark what was accepted here as spent again, once the database is another one."""
        generation = self.store.generation
        if generation == self._generation:
            return
        if accepted := self._replays.alive(now):
            with self.store.write(durable=True) as tx:
                number = tx.spend(accepted)
            if number:
                log.warning(
                    "%d codes that were accepted here had come back with another database: they "
                    "are spent again",
                    number,
                )
        self._generation = generation

    def start(self) -> None:
        """
        Start looking for messages that were left behind, if sending is up to this process.

        Not before the first request.
        """
        if self.courier.internal == self.in_radiusd:
            target = self.courier.sweep_forever
            threading.Thread(target=target, name="smsotp-sweep", daemon=True).start()

    def report(self, event: Event) -> None:
        """Take what a client tells of a session; nobody waits for it to be written."""
        self._reported.append(event)

    def note(self, event: Event) -> None:
        """Take what became of EAP.  Anybody can cause that without end: see `store.trail`."""
        if not self.store.trail.admits(event):
            self.store.trail.count([event])
            return
        self._reported.append(event)
        who = f"the device of {event.account!r}" if event.account else "an unknown device"
        meaning = events.EAP_REASONS.get(str(event.detail.get("reason")))
        told = [meaning or events.KINDS[event.kind], str(event.detail.get("text", ""))]
        where = f"client {event.client}, station {event.station or 'unknown'}"
        log.warning("%s (%s): %s", who, where, "; ".join(filter(None, told)))

    def _record(self) -> None:
        """Write what was reported, each report once: clients repeat what got no answer."""
        while self._reported:
            event = self._reported.popleft()
            try:
                with self.store.write(event.account) as tx:
                    before = tx.events(event.account, RECENT) if "session" in event.detail else ()
                    if not any(_is_same(event, one) for one in before):
                        tx.add_event(event)
            except StoreError:
                self._reported.appendleft(event)
                raise

    def close(self, patience: float = 0.0) -> None:
        """Finish what was begun, `patience` seconds long at most, and let go of everything."""
        self.courier.close(patience)
        self.service.close()
        self.settle(None)
        self.store.close()

    def settle(self, now: datetime | None) -> None:
        """
        Write what nobody waits for: what was reported, and the sums of `store.settle`.

        What cannot be written yet is tried again, unless this is the end.
        """
        try:
            self._record()
            settle(self.store, now)
            if now is not None and not self.lacking:
                self._be_present(now)
                self._spend_again(now)
        except StoreError as error:
            if now is None:
                log.warning("the last sums and sessions of the audit trail are lost: %s", error)


class Watch:
    """
    Reads the settings again when their file or the key file changes, or another store lies in the
    place of theirs.

    A change that does not work is logged, and the settings before it stay until it does.

    Args:
        current: The server in use.
        replace: Called with each server that takes over.
        tidy: Called at every `TIDY_LOOKS`-th look.
    """

    def __init__(
        self,
        current: Server,
        replace: Callable[[Server], None],
        tidy: Callable[[], None] = lambda: None,
    ) -> None:
        self._current = current
        self._replace = replace
        self._tidy = tidy
        self._seen = current.fingerprint
        self._problems: list[Problem] = []
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
        now = fingerprint(loaded.path) + _fingerprints(loaded)
        # What did not work may do so without a change here: a new key, a store, now in place.
        is_due = self._current.keys.is_outdated(datetime.now(timezone.utc))
        is_replaced = self._current.store.is_replaced()
        if now == self._seen and not (self._problems or is_due or is_replaced):
            return False
        self._seen = now
        try:
            server = Server(loaded.path, in_radiusd=self._current.in_radiusd)
        except ConfigurationError as error:
            self._complain(error.problems)
            return False
        self._problems = []
        if is_replaced:
            log.warning("another store lies in the place of the one in use, and takes over")
        before, self._current = self._current, server
        self._seen = server.fingerprint
        server.start()
        self._replace(server)
        log.info("the settings were read again")
        farewell = threading.Thread(target=before.close, args=(FAREWELL_SECONDS,), daemon=True)
        farewell.start()
        return True

    def _complain(self, problems: list[Problem]) -> None:
        """Log what does not work, unless it was logged at the look before."""
        if problems != self._problems:
            log.error("the settings have changed, but do not work; the ones before stay in use:")
            for problem in problems:
                log.error("%s", problem)
        self._problems = problems

    def _run(self) -> None:
        looks = 0
        while not self._ending.wait(LOOK_SECONDS):
            looks += 1
            if looks % TIDY_LOOKS == 0:
                self._tidy()
            try:
                if self._current.lacking:
                    self._current.seek_store()
                self._current.settle(datetime.now(timezone.utc))
                self.look()
            except Exception as error:  # noqa: BLE001  # later changes must be noticed as well
                # The type only: the text of an unforeseen error may hold anything.
                log.error("reading the settings again met %s", type(error).__name__)
                self._seen = ()


def _is_same(event: Event, other: Event) -> bool:
    """Whether two events are reports of the same session's beginning, or end."""
    both = [(one.kind, one.client, one.detail.get("session")) for one in (event, other)]
    return both[0] == both[1] and abs(event.time - other.time) <= REPEATED


def _settings(path: Path) -> last_good.Working:
    """Settings to start on; which those are is said, if they are not the ones in the file."""
    found = last_good.working(path)
    if found.problems:
        log.error(
            "the settings do not work; those of %s, which did, are used:",
            f"{found.since:%Y-%m-%d %H:%M:%S %z}",
        )
        for problem in found.problems:
            log.error("%s", problem)
    return found


def _keep(loaded: Loaded) -> None:
    """Keep settings that work, for a start when they do not any more."""
    try:
        last_good.keep(loaded)
    except OSError as error:
        told = "%s cannot be written (%s): a start with broken settings will fail"
        log.info(told, last_good.place(loaded.path), error.strerror)


def _fingerprints(loaded: Loaded) -> Fingerprint:
    """Of the files that settings name."""
    return sum(map(fingerprint, (loaded.key_path, *loaded.secret_files)), ())


def fingerprint(path: Path) -> Fingerprint:
    """What changes when a file does: its time, size and inode."""
    try:
        status = path.stat()
    except OSError:
        return (None,)
    return ((status.st_mtime_ns, status.st_size, status.st_ino),)
