"""
The store in one SQLite file, shared by every radiusd and the command line on a host.

WAL, so that nobody who reads waits for who writes.  One connection reads and one writes: each
further one would find the pages it has in memory outdated by every commit of the others.  The
log is synced after a durable commit (a spent code must survive a power cut), when others may
write already: a disk takes longer than all the rest.  The other commits leave that to the next
sync.  Within a process a lock decides who writes next; SQLite's own waiting sleeps in ever
longer steps and is left to the case that another process writes.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from radius_smsotp.errors import ConfigurationError, Problem, StoreError, unless_person
from radius_smsotp.model.records import Asker, Event, Known
from radius_smsotp.store.durability import Durability
from radius_smsotp.store.mark import Mark
from radius_smsotp.store.reserve import Reserve
from radius_smsotp.store.rows import EVENT
from radius_smsotp.store.schema import VERSIONS
from radius_smsotp.store.trail import Trail
from radius_smsotp.store.transaction import END_OPEN, Transaction
from radius_smsotp.store.transfer import Contents

INCREMENTAL = 2
"""`PRAGMA auto_vacuum`: free pages go to the end and off it when that is asked for, some at a time.
Measured: an event costs 1 to 3 % more."""

CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)"
"""What is in the log goes into the file as far as nobody is in the way."""

PAGES_SLICE = 128
"""Pages that are given back in one transaction: as short as one of `Transaction.prune`."""

PAGES_KEPT = 128
"""Free pages that stay in the file: room for logins on a full disk."""


class SqliteStore(Durability):
    """A store in the file `path`."""

    def __init__(self, path: str, patience: float) -> None:
        super().__init__(self._sync_log)
        self.trail = Trail()
        self.path = Path(path)
        self._patience = patience
        self._reading = threading.Lock()
        self._writing = threading.Lock()
        self._connections: dict[str, sqlite3.Connection] = {}
        self._identity: tuple[int, int] | None = None
        self._log = f"{self.path}-wal"
        self._mark = Mark(self.path)
        self._reserve = Reserve(self.path)
        self._name = 0

    @property
    def name(self) -> str:
        """See `Store.name`."""
        return f"sqlite:///{self.path}"

    @property
    def folder(self) -> Path:
        """Where the file lies."""
        return self.path.parent

    def exists(self) -> bool:
        """See `Store.exists`."""
        try:
            self.path.stat()
        except FileNotFoundError:
            return False
        except OSError as error:
            remedy = unless_person(f"let the user of FreeRADIUS into {self.folder}")
            raise self._fault(f"cannot be reached ({error.strerror})", remedy) from None
        return True

    def migrate(self) -> None:
        """Make the file if it is not there, and bring its schema to this version."""
        remedy = f"let the user of FreeRADIUS write to {self.folder} and to {self.path.name}"
        try:
            # Mode 0600 from the start; SQLite gives its -wal and -shm files the same.  A file
            # that is there must not be opened here: POSIX drops all locks of this process on
            # a file when it closes any of its handles (SQLite, How To Corrupt, section 2.2).
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            with self._transaction("writer", marked=True) as db:
                self._step_forward(db)
                self._recognise(db)
            self._sync_log()
            status = self.path.stat()
            self._identity = (status.st_dev, status.st_ino)
            self._reserve.keep(status)
            mode = stat.S_IMODE(status.st_mode)
            if mode & 0o007:
                # Numbers and PIN hashes; and who writes here lets in whom they like.
                fault = f"is open to everybody (mode {mode:04o})"
                raise self._fault(fault, f"chmod 600 {self.path}")
        except OSError as error:
            remedy = unless_person(remedy)
            raise self._fault(f"cannot be made ({error.strerror})", remedy) from None
        except StoreError as error:
            is_open = all(os.access(one, os.W_OK) for one in (self.folder, self.path))
            remedy = f"{remedy}, or restore it from a backup" if is_open else unless_person(remedy)
            raise self._fault(str(error), remedy) from None

    def is_replaced(self) -> bool:
        """See `Store.is_replaced`."""
        try:
            status = self.path.stat()
        except OSError:
            return False  # nothing is there, and nothing shall be made
        return self._identity not in {None, (status.st_dev, status.st_ino)}

    @property
    def generation(self) -> int:
        """0: it is a file."""
        return 0

    def look(self, asker: Asker, now: datetime) -> Known:
        """See `Store.look`.  One statement sees one state, without a transaction."""
        with self._using("reader") as db:
            return Transaction(db).known(asker, now)

    @contextlib.contextmanager
    def login(
        self, asker: Asker, now: datetime, *, durable: bool = False
    ) -> Iterator[tuple[Transaction, Known]]:
        """See `Store.login`."""
        # An answer may spend a code: that is what a copy put back would undo.
        with self._write(durable=durable, marked=asker.transaction_id is not None) as tx:
            yield tx, tx.known(asker, now)

    @contextlib.contextmanager
    def read(self) -> Iterator[Transaction]:
        """See `Store.read`."""
        with self._transaction("reader") as db:
            yield Transaction(db)

    def write(
        self, *accounts: str, durable: bool = False
    ) -> contextlib.AbstractContextManager[Transaction]:
        """See `Store.write`.  One writes at a time, whatever about."""
        return self._write(durable=durable, marked=not accounts)

    @contextlib.contextmanager
    def _write(self, *, durable: bool, marked: bool = False) -> Iterator[Transaction]:
        with self._transaction("writer", marked=marked) as db:
            tx = Transaction(db, admits=self.trail.admits)
            yield tx
        self.committed()
        self.trail.count(tx.summed)
        if durable:
            self.sync(self.position)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Contents]:
        """See `Store.snapshot`."""
        with self._transaction("reader") as db:
            yield Contents(db)
        # The log could not be emptied while we read.  Else a login would find it long, and do it.
        with self._reading:
            self._try("reader", CHECKPOINT)

    @contextlib.contextmanager
    def refill(self) -> Iterator[Contents]:
        """See `Store.refill`."""
        with self._transaction("writer", marked=True) as db:
            yield Contents(db)
        self._sync_log()

    def inspect(self) -> tuple[str, list[Problem]]:
        """See `Store.inspect`."""
        with self._transaction("reader") as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise StoreError("the store is damaged (PRAGMA quick_check)")
        return f"SQLite {sqlite3.sqlite_version}, schema {version}", []

    @contextlib.contextmanager
    def room(self) -> Iterator[None]:
        """See `Store.room`."""
        self._reserve.release()
        self._empty_log()
        try:
            yield
        finally:
            self._empty_log()
            with contextlib.suppress(OSError):
                self._reserve.renew(self.path.stat())

    def give_back(self) -> int:
        """See `Store.give_back`."""
        # What was removed goes from the log into the file, so that the log begins anew.
        with self._reading:
            self._try("reader", CHECKPOINT)
        before, free, size, vacuum = self._pages()
        if vacuum != INCREMENTAL or free <= PAGES_KEPT:
            return 0
        self._rebuild(f"PRAGMA incremental_vacuum({min(PAGES_SLICE, free - PAGES_KEPT)})")
        return max(0, before - self._pages()[0]) * size

    def idle(self) -> int:
        """See `Store.idle`."""
        _, free, size, vacuum = self._pages()
        return 0 if vacuum == INCREMENTAL else free * size

    def compact(self) -> None:
        """See `Store.compact`."""
        self._rebuild("VACUUM")
        self._empty_log()

    def _rebuild(self, statement: str) -> None:
        """Run a statement that moves pages, and is a transaction by itself."""
        with self._writing:
            try:
                # `execute` stops at the first page: to Python, no columns are no rows.
                self._connection("writer").executescript(statement)
            except sqlite3.Error as error:
                self._drop("writer")
                raise StoreError(_sentence(error)) from error

    def _pages(self) -> tuple[int, int, int, int]:
        """All pages, those that are free, the octets of one, and the kind of `auto_vacuum`."""
        names = ("page_count", "freelist_count", "page_size", "auto_vacuum")
        with self._transaction("reader") as db:
            values = [int(db.execute(f"PRAGMA {name}").fetchone()[0]) for name in names]
        return values[0], values[1], values[2], values[3]

    def _empty_log(self) -> None:
        """Give the log's room back, if it can be done without waiting and on this disk."""
        with self._writing:
            # The first takes its time, and holds up nobody; the second would, and has little to do.
            self._try(
                "writer",
                CHECKPOINT,
                "PRAGMA busy_timeout = 0",
                "PRAGMA wal_checkpoint(TRUNCATE)",
                f"PRAGMA busy_timeout = {int(self._patience * 1000)}",
            )

    def _try(self, kind: str, *statements: str) -> None:
        """Run statements that may fail, as long as what comes after them does not."""
        try:
            for statement in statements:
                self._connection(kind).execute(statement).fetchall()
        except sqlite3.Error:
            self._drop(kind)

    def close(self) -> None:
        """See `Store.close`."""
        with self._reading, self._writing:
            while self._connections:
                self._connections.popitem()[1].close()
            self._mark.close()

    @contextlib.contextmanager
    def _transaction(self, kind: str, *, marked: bool = False) -> Iterator[sqlite3.Connection]:
        with self._using(kind) as db:
            db.execute("BEGIN IMMEDIATE" if kind == "writer" else "BEGIN")
            try:
                yield db
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            reached = _newest_event(db) if marked else 0
            db.execute("COMMIT")
            if marked and self._name:
                self._mark.write(self._name, reached)

    @contextlib.contextmanager
    def _using(self, kind: str) -> Iterator[sqlite3.Connection]:
        """The connection that reads, or the one that writes, for nobody else meanwhile."""
        lock = self._writing if kind == "writer" else self._reading
        if not lock.acquire(timeout=self._patience):
            raise StoreError("the store is busy in this process")
        try:
            yield self._connection(kind)
        except sqlite3.Error as error:
            self._drop(kind)
            raise StoreError(_sentence(error)) from error
        finally:
            lock.release()

    def _connection(self, kind: str) -> sqlite3.Connection:
        if kind not in self._connections:
            uri = self.path.absolute().as_uri() + "?mode=rw"
            # The lock, not the thread that opened it, decides who may use a connection.
            db = sqlite3.connect(
                uri,
                timeout=self._patience,
                isolation_level=None,
                check_same_thread=False,
                uri=True,
            )
            db.row_factory = sqlite3.Row
            self._connections[kind] = db
            # SQLite puts it beside the file itself, wherever a link to that may be.
            self._log = f"{self.path.resolve()}-wal"
            if db.execute("PRAGMA auto_vacuum").fetchone()[0] != INCREMENTAL:
                # Before a new file is written to; to an older one it happens in `compact`.
                db.execute(f"PRAGMA auto_vacuum = {INCREMENTAL}")
            self._use_wal(db)
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute(f"PRAGMA query_only = {int(kind == 'reader')}")
        return self._connections[kind]

    def _sync_log(self) -> None:
        """
        Bring to the disk what was committed: what SQLite does itself at ``synchronous = FULL``,
        but while nobody else may write.

        SQLite locks nothing in this file, so that closing it drops no lock (see `migrate`).
        """
        try:
            log = os.open(self._log, os.O_RDWR)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and "writer" not in self._connections:
                return  # it went with the last connection, which syncs the store itself
            raise StoreError(f"the log of the store cannot be opened ({error.strerror})") from error
        try:
            os.fdatasync(log)
        except OSError as error:
            raise StoreError(f"the disk under the store fails ({error.strerror})") from error
        finally:
            os.close(log)

    def _use_wal(self, db: sqlite3.Connection) -> None:
        """Switch to WAL; two who do so to a new file at once get SQLITE_BUSY without waiting."""
        until = time.monotonic() + self._patience
        while True:
            try:
                db.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if _name(error) != "SQLITE_BUSY" or time.monotonic() >= until:
                    raise
                time.sleep(0.01)
            else:
                return

    def _drop(self, kind: str) -> None:
        """Close a connection that failed, so that the next transaction starts afresh."""
        db = self._connections.pop(kind, None)
        if db is not None:
            with contextlib.suppress(sqlite3.Error):
                db.close()

    def _step_forward(self, db: sqlite3.Connection) -> None:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(VERSIONS):
            raise self._fault(
                f"has schema {version}, this program knows up to {len(VERSIONS)}",
                "upgrade radius-smsotp on this server",
            )
        if version == len(VERSIONS):
            return
        for statements in VERSIONS[version:]:
            for statement in statements:
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {len(VERSIONS)}")

    def _recognise(self, db: sqlite3.Connection) -> None:
        """End the open challenges of a file that was put back, or that comes from elsewhere."""
        status, noted = self.path.stat(), self._mark.read()
        self._mark.make(status)
        # SQLite keeps a number of the application's in the file's head.
        self._name = db.execute("PRAGMA application_id").fetchone()[0]
        if not self._name:  # it is new, or of a version that did not mark
            self._name = 1 + secrets.randbelow(2**31 - 1)
            db.execute(f"PRAGMA application_id = {self._name}")
        elif noted is None or noted[0] != self._name or noted[1] > _newest_event(db):
            for statement in END_OPEN:
                db.execute(statement)
            # From here on it is ahead of all that was: every copy of before shows to be one.
            number = max(_newest_event(db), noted[1] if noted and noted[0] == self._name else 0) + 1
            restored = Event("store-restored", datetime.now(timezone.utc), "")
            columns, marks = ", ".join(EVENT.columns), ", ?" * len(EVENT.columns)
            db.execute(
                f"INSERT INTO event (id, {columns}) VALUES (?{marks})",
                (number, *EVENT.values(restored)),
            )

    def _fault(self, fault: str, remedy: str) -> ConfigurationError:
        return ConfigurationError([Problem(f"store ({self.path})", fault, remedy)])


def _newest_event(db: sqlite3.Connection) -> int:
    return db.execute("SELECT max(id) FROM event").fetchone()[0] or 0


WORDS = {
    "database is locked": "SQLITE_BUSY",
    "attempt to write a readonly database": "SQLITE_READONLY",
    "database or disk is full": "SQLITE_FULL",
    "database disk image is malformed": "SQLITE_CORRUPT",
    "file is not a database": "SQLITE_NOTADB",
    "unable to open database file": "SQLITE_CANTOPEN",
    "disk I/O error": "SQLITE_IOERR",
}
"""What sqlite3_errstr makes of them: all that Python 3.10 hands down."""


def _name(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", None) or WORDS.get(str(error)) or type(error).__name__


def _sentence(error: sqlite3.Error) -> str:
    """What SQLite's error means, for a log."""
    name = _name(error)
    meaning = {
        "SQLITE_BUSY": "another process is writing to the store for too long",
        "SQLITE_READONLY": "the store is read-only",
        "SQLITE_FULL": "the disk is full",
        "SQLITE_CORRUPT": "the store is damaged",
        "SQLITE_NOTADB": "the store is no SQLite file",
        "SQLITE_CANTOPEN": "the store cannot be opened",
        "SQLITE_IOERR": "the disk under the store fails",
    }
    general = "_".join(name.split("_")[:2])
    return f"{meaning.get(general, 'the store does not work')} ({name})"
