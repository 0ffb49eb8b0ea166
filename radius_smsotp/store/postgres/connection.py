"""One connection to PostgreSQL: nobody waits for it longer than they have agreed to."""

from __future__ import annotations

import contextlib
import math
import os
import pwd
import select
import time
from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.waiting import Ready, Wait

from radius_smsotp.errors import (
    ConfigurationError,
    Problem,
    StoreConflictError,
    StoreError,
    freeradius_user,
)
from radius_smsotp.store.postgres.statements import Answer, Statements, results
from radius_smsotp.store.questions import Question

if TYPE_CHECKING:
    from psycopg_pool import ConnectionPool

    from radius_smsotp.store.postgres.hosts import Hosts

DEFAULTS: dict[str, str | int] = {
    "connect_timeout": 3,
    # A host that has gone away is noticed within 16 s even where nobody waits for it.
    "keepalives_idle": 10,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 5000,
    # Of several hosts, the one that is primary now.
    "target_session_attrs": "read-write",
    "application_name": "radius-smsotp",
    "client_encoding": "UTF8",
}
"""Parameters of libpq where the URL does not set them.  Seconds; `tcp_user_timeout` in ms."""

SENTENCES = {
    "25006": "the database is a standby that only reads",
    "25P03": "the database has ended a transaction that stood still",
    "28000": "the database does not let this role in",
    "28P01": "the database does not take this password",
    "3D000": "there is no such database",
    "42501": "the database role lacks a privilege",
    "42P01": "a table is missing",
    "53100": "the disk of the database is full",
    "53200": "the database is out of memory",
    "53300": "the database has too many connections",
    "55P03": "another process is writing to the store for too long",
    "57014": "the database took too long",
    "57P01": "the database is being stopped",
    "57P03": "the database is starting or stopping",
    "XX001": "the store is damaged",
}
"""SQLSTATE (PostgreSQL, appendix A) to what it means."""

CONFLICTS = {"40001", "40P01"}
"""Serialization failure, and deadlock."""

CUT = {"57P01", "57P02", "57P05"}
"""What the server says before it closes a connection."""

GONE = "the database does not answer"

CANCEL_SECONDS = 2.0
"""That it may take to tell the server that nobody waits for it any more."""

LEFT_OPEN = {psycopg.pq.TransactionStatus.INTRANS, psycopg.pq.TransactionStatus.INERROR}
"""A transaction that was begun and not ended, whether a statement in it has failed or not."""

CHANGES = ("INSERT ", "UPDATE ", "DELETE ")
"""How statements begin that have nothing to tell but how many rows they have changed."""

POLLED = {Wait.R: select.POLLIN, Wait.W: select.POLLOUT, Wait.RW: select.POLLIN | select.POLLOUT}


class OverdueError(psycopg.OperationalError):
    """The server has taken too long; the connection is good for nothing any more."""


class CutError(Exception):
    """The server had closed a connection while nobody used it; nothing is changed."""


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """
    A connection with a budget of time.

    The server has timeouts of its own, but not for a commit that waits for a standby, and none
    at all when it is not there any more.

    Attributes:
        home: The pool that it goes back to.
        opening: What a transaction begins with besides, behind a pooler: there the connection to
            the server is another one each time, and keeps no settings.
        overdue: Whether the server took too long: it may still be at it.
        patience: Seconds that may still be spent on waiting for the server.
        warnings: What the server has warned of.
    """

    home: ConnectionPool[Connection]
    overdue = False
    patience = math.inf

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._statements = Statements(self)
        self.opening: list[Question] = []
        self.warnings: list[str] = []
        self.add_notice_handler(self._note)

    @classmethod
    def connect(cls, conninfo: str = "", **given: Any) -> Connection:
        """As psycopg's; with `hosts`, to whichever of them lets us in."""
        hosts: Hosts | None = given.pop("hosts", None)
        connect = partial(super().connect, conninfo, **given)
        return connect() if hosts is None else hosts.connect(connect)

    def wait(self, gen: Generator[Wait, Ready, Any], *_: Any, **__: Any) -> Any:
        """As psycopg's, which waits for as long as it takes."""
        poll = select.poll()
        start = time.monotonic()
        until = start + self.patience
        try:
            wanted = next(gen)
            while True:
                poll.register(self.pgconn.socket, POLLED[wanted])
                left = until - time.monotonic()
                found = poll.poll(min(left, 3600.0) * 1000) if left > 0 else []
                if not found:
                    self.overdue = True
                    raise OverdueError(GONE)
                events = found[0][1]
                writable, readable = events & select.POLLOUT, events & ~select.POLLOUT
                # POLLERR and POLLHUP count as readable: reading will tell.
                ready = Ready.RW if writable else Ready.R
                wanted = gen.send(ready if readable else Ready.W)
        except StopIteration as end:
            return end.value
        finally:
            # What it still wants to say to a server that is gone is of no interest.
            with contextlib.suppress(psycopg.Error):
                gen.close()
            self.patience -= time.monotonic() - start

    def ask(self, statements: Sequence[tuple[str, Any]]) -> list[Answer]:
        """
        Run statements one after the other: one way there and back for all of them.

        Args:
            statements: Each with its parameters; values are marked with ``?``.

        Raises:
            psycopg.Error: Of the first one that failed; none after it was run.
        """
        sent = self._statements.send(statements)
        return self._statements.answers(sent, self.wait(results(self.pgconn)))

    def is_cut(self) -> bool:
        """Whether the server has closed it, while nobody used it."""
        poll = select.poll()
        poll.register(self.pgconn.socket, select.POLLIN)
        # Whoever asks nothing is told nothing, but that.
        return bool(poll.poll(0))

    def abandon(self) -> None:
        """
        Close it, and have the server end what it is still at; that takes `CANCEL_SECONDS` at most.

        A commit that no standby confirms would wait there for ever, with all its locks.
        """
        if self.overdue:
            with contextlib.suppress(psycopg.Error):
                self.cancel_safe(timeout=CANCEL_SECONDS)
        self.close()

    def _note(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        if diagnostic.severity_nonlocalized == "WARNING":
            self.warnings.append(diagnostic.sqlstate or "")


class Deferred:
    """A statement, sent with the next one whose answer is wanted."""

    def __init__(self, session: Session, sql: str, parameters: Any = ()) -> None:
        self.sql = sql
        self.parameters = parameters
        self.answered: Answer | None = None
        self._session = session

    @property
    def rowcount(self) -> int:
        """How many rows it has changed; the server is asked now."""
        return self.answer().rowcount

    def answer(self) -> Answer:
        """What the server has answered; it is asked now."""
        if self.answered is None:
            self._session.flush()
        assert self.answered is not None  # noqa: S101  # `flush` has raised, or sent it
        return self.answered


class Session:
    """
    One transaction, as `rows.Connection` has it: values are marked with ``?``.

    Between a RADIUS server and its database each answer takes a way there and back, under
    FreeRADIUS's lock.  So nothing is sent before an answer is wanted: the start of a transaction,
    and what only changes rows, go along with the next question, or with the commit; what they fail
    with is raised there.

    Args:
        take: Calls what it is given with a connection, and with another one after `CutError`.
        start: The statements that a transaction starts with, out of the seconds that are left
            then; none: there is no transaction.
        patience: Seconds for each statement, instead of those that the transaction has in all.

    Attributes:
        connection: None before anything was sent.
    """

    def __init__(
        self,
        take: Callable[[Callable[[Connection], None]], None],
        start: Callable[[float], Sequence[Question]],
        patience: float | None = None,
    ) -> None:
        self.connection: Connection | None = None
        self._take = take
        self._start = start
        self._patience = patience
        self._waiting: list[Deferred] = []
        self._begun = self._ends = False

    def execute(self, sql: str, parameters: Any = ()) -> Any:
        """Run one statement.  Returns its answer, or what has the `rowcount` of that."""
        one = self.defer(sql, parameters)
        return one if sql.startswith(CHANGES) else one.answer()

    def defer(self, sql: str, parameters: Any = ()) -> Deferred:
        """Run one statement before the next one whose answer is wanted."""
        one = Deferred(self, sql, parameters)
        self._waiting.append(one)
        return one

    def executemany(self, sql: str, parameters: Any) -> None:
        """Run one statement for each of several rows."""
        for one in parameters:
            self.defer(sql, one)
        self.flush()

    def flush(self) -> Connection:
        """Run what was deferred."""
        if self.connection is None:
            self._take(self._begin)
        elif self._waiting:
            self._send(self.connection, self._waiting)
        assert self.connection is not None  # noqa: S101  # for mypy
        self._waiting = []
        return self.connection

    def commit(self) -> None:
        """
        End the transaction, if there is one with anything in it.

        Raises:
            StoreError: A statement in it had failed, or what was committed may be lost.
        """
        nothing = not (self._begun if self.connection else self._waiting)
        if nothing:
            return
        self._ends = True
        done = self.defer("COMMIT").answer()
        # "canceling wait for synchronous replication": a fail-over may lose it.
        warned = self.connection is not None and self.connection.warnings
        if warned or done.status != "COMMIT":
            raise StoreError("the database does not confirm that it will keep a change")

    def leave(self) -> None:
        """Undo the transaction, if there is one; or leave it as it is, if that does not work."""
        if self.connection is not None:
            self._leave(self.connection)

    def _begin(self, db: Connection) -> None:
        """
        Send the start of the transaction and what was deferred.

        Raises:
            CutError: The connection was cut before; nothing is changed.
        """
        start = [Deferred(self, *statement) for statement in self._start(db.patience)]
        if start:
            start[1:1] = [Deferred(self, *statement) for statement in db.opening]
            self._begun = True
        try:
            self._send(db, [*start, *self._waiting])
        except BaseException as error:
            self._leave(db)
            # Nobody knows whether a commit that was not answered was done.
            if not self._ends and _is_cut(error):
                raise CutError from error
            raise
        self.connection = db

    def _send(self, db: Connection, statements: Sequence[Deferred]) -> None:
        """Send statements, and wait for the answers."""
        if self._patience is not None:
            db.patience = self._patience
        if self._ends:
            db.warnings.clear()
        try:
            answers = db.ask([(one.sql, one.parameters) for one in statements])
        except psycopg.errors.ReadOnlySqlTransaction:
            db.close()  # it was the primary once; the next connection finds the one of today
            raise
        for one, answer in zip(statements, answers, strict=True):
            one.answered = answer

    @staticmethod
    def _leave(db: Connection) -> None:
        if db.pgconn.transaction_status in LEFT_OPEN:
            # What went wrong is known by now.
            with contextlib.suppress(psycopg.Error):
                db.execute(b"ROLLBACK")


def _is_cut(error: BaseException) -> bool:
    """Whether the server has closed a connection, or knows nothing of it any more."""
    if not isinstance(error, psycopg.OperationalError) or isinstance(error, OverdueError):
        return False
    return error.sqlstate is None or error.sqlstate in CUT


def parameters(url: str) -> dict[str, Any]:
    """
    The parameters of libpq that a URL and `DEFAULTS` give.

    Raises:
        ConfigurationError: libpq cannot read it.
    """
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error:
        # Its words repeat part of the URL, which may be the password.
        fault = "is no URL that libpq can read"
        remedy = "write postgresql://USER@HOST/DATABASE, special characters as %XX"
        raise ConfigurationError([Problem("store", fault, remedy)]) from None
    return DEFAULTS | given


def shown(given: dict[str, Any]) -> str:
    """A URL without password."""
    hosts = str(given.get("host") or given.get("hostaddr") or "").split(",")
    ports = str(given.get("port") or "").split(",")
    ports += ports[-1:] * (len(hosts) - len(ports))
    places = (
        (f"[{host}]" if ":" in host else "" if host.startswith("/") else host)
        + (f":{port}" if port else "")
        for host, port in zip(hosts, ports, strict=False)
    )
    user = f"{given['user']}@" if given.get("user") else ""
    service = f"?service={given['service']}" if given.get("service") else ""
    return f"postgresql://{user}{','.join(places)}/{given.get('dbname') or ''}{service}"


NO_PASSWORD = "no password supplied"  # noqa: S105  # there is none
"""In libpq's words."""


def no_password(given: dict[str, Any]) -> str:
    """What helps who was asked for a password and had none: libpq says not where it has looked."""
    named = given.get("passfile") or os.environ.get("PGPASSFILE")
    # A user without a home is no error here, as it is to pathlib.
    path = Path(os.path.expanduser(named or "~/.pgpass"))  # noqa: PTH111
    me = str(os.geteuid())
    with contextlib.suppress(KeyError):
        me = pwd.getpwuid(os.geteuid()).pw_name
    wanted = [given.get(key) or "*" for key in ("host", "port", "dbname", "user")]
    state = f"has no line for {':'.join(map(str, wanted))}"
    if not os.access(path, os.F_OK):
        state = "is not there"
    elif not os.access(path, os.R_OK):
        state = "is not this user's to read"
    elif path.stat().st_mode & 0o077:
        state = f"counts only when nobody else can read it: chmod 600 {path}"
    told = f"as {me} it was looked for in {path}, which {state}"
    user = freeradius_user()
    if named is None and user is not None and user.pw_name != me:
        told += f"; FreeRADIUS, as {user.pw_name}, looks in {user.pw_dir}/.pgpass"
    if given.get("passfile") is None:
        told += "; one file for all: add ?passfile=PATH to 'store'"
    return told


def store_error(error: psycopg.Error) -> StoreError:
    """What an error means, for a log.  PostgreSQL's own words may hold values."""
    state = error.sqlstate
    if state in CONFLICTS:
        return StoreConflictError(f"two transactions got into each other's way ({state})")
    if state is None:
        unreachable = isinstance(error, psycopg.OperationalError)
        return StoreError(
            GONE if unreachable else f"the store does not work ({type(error).__name__})"
        )
    return StoreError(f"{SENTENCES.get(state, 'the store does not work')} ({state})")


def reason(error: psycopg.Error, password: str) -> str:
    """Why a connection failed, in the last words of libpq, which names hosts and roles."""
    if error.sqlstate in SENTENCES:
        return f"{SENTENCES[error.sqlstate]} ({error.sqlstate})"
    if "session is read-only" in str(error):  # of `target_session_attrs`
        return SENTENCES["25006"]
    lines = [line for line in str(error).splitlines() if line and not line.startswith("\t")]
    text = (lines[0] if lines else type(error).__name__).rpartition("failed: ")[2]
    return text.replace(password, "***") if password else text
