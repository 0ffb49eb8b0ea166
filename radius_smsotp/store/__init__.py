"""
Where accounts, challenges and events are kept, so that several servers share them.

A store gives transactions; what can be read and written in one stands in
`radius_smsotp.store.transaction`.  All SQL of the project is in this package.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar
from urllib.parse import parse_qs

from radius_smsotp import errors
from radius_smsotp.errors import ConfigurationError, Problem, StoreConflictError, StoreError
from radius_smsotp.model.records import Asker, Known
from radius_smsotp.store.trail import SUMS, Trail, lines
from radius_smsotp.store.transaction import Transaction
from radius_smsotp.store.transfer import Contents

P = ParamSpec("P")
T = TypeVar("T")

KINDS = "write sqlite:///PATH or postgresql://USER@HOST/DATABASE"

FILES_OF_LIBPQ = ("passfile", "sslrootcert", "sslcert", "sslkey", "sslcrl")
"""Parameters that name a file."""

TRIES = 4
"""How often a transaction is begun at most that another one gets into the way of."""


class Store(Protocol):
    """One store.  Used by several threads at once, and by several processes."""

    @property
    def name(self) -> str:
        """The URL as it may be shown: without a password."""

    @property
    def folder(self) -> Path | None:
        """Where files belong that go with this store (locks of devices); None if it has none."""

    def exists(self) -> bool:
        """
        Whether there is anything to `migrate`, or it would be made.

        Raises:
            ConfigurationError: This user may not even look, or nobody answers.
        """

    def migrate(self) -> None:
        """
        Make the store if it is not there, and bring its schema to this version.

        Raises:
            ConfigurationError: It cannot be made, read, written, or is of a newer version.
        """

    def is_replaced(self) -> bool:
        """
        Whether another store lies in its place since `migrate`.

        What is open goes on with the one that was there, which nobody else sees, nor does it see
        what others write.
        """

    @property
    def generation(self) -> int:
        """
        Counts the servers that this process has found behind a database: there is one more after a
        restart or a fail-over, which may have lost what was committed last.
        """

    def look(self, asker: Asker, now: datetime) -> Known:
        """
        What is known of who asks, before anything is decided: the first question of a login.

        It may be of another moment by the time that it is told: whatever follows is decided in a
        `login`.

        Raises:
            StoreError: The store did not answer in time.
        """

    def login(
        self, asker: Asker, now: datetime, *, durable: bool = False
    ) -> AbstractContextManager[tuple[Transaction, Known]]:
        """
        A transaction about one account, and what is known of who asks: a step of a login.

        Args:
            durable: As in `write`.

        Raises:
            StoreError: The store did not answer in time.
        """

    def read(self) -> AbstractContextManager[Transaction]:
        """
        A transaction that sees one state of the store and changes nothing.

        Raises:
            StoreError: The store did not answer in time.
        """

    def write(self, *accounts: str, durable: bool = False) -> AbstractContextManager[Transaction]:
        """
        A transaction; rolled back if the block raises.

        Args:
            accounts: Nobody else writes about these accounts, or their challenges, from its
                first question to its end.  None named: nobody else writes at all.
            durable: It must survive a power cut: True where a code is spent or a guess is
                counted, False where losing the last moments costs one more SMS at most.

        Raises:
            StoreError: The store did not answer in time.
        """

    @property
    def position(self) -> int:
        """How far this process has written: what was committed before is at or below it."""

    def sync(self, position: int) -> None:
        """
        Return when what was committed up to a position survives a power cut.

        For those who commit where others wait, without `durable`, and answer elsewhere.  Several
        who wait share one sync.

        Raises:
            StoreError: The store did not answer in time, or its disk fails.
        """

    def snapshot(self) -> AbstractContextManager[Contents]:
        """
        One state of the whole store, to be read for as long as that takes.

        Raises:
            StoreError: The store did not answer.
        """

    def refill(self) -> AbstractContextManager[Contents]:
        """
        A durable transaction beside which nobody else writes, for as long as that takes.

        Raises:
            StoreError: The store did not answer.
        """

    @property
    def trail(self) -> Trail:
        """What this process has noted, and not written one by one: see `settle`."""

    def room(self) -> AbstractContextManager[None]:
        """
        Around a clean-up: let go of what is kept back for one on a full disk, and of the log.

        Comes before `migrate`, which needs room as well.
        """

    def give_back(self) -> int:
        """
        Return a slice of what is free in the store to the system; logins go on meanwhile.

        Returns:
            How many octets; 0 when nothing is left that can be.

        Raises:
            StoreError: The store did not answer in time.
        """

    def idle(self) -> int:
        """
        Octets that are free in the store, and that only `compact` returns to the system.

        Raises:
            StoreError: The store did not answer in time.
        """

    def compact(self) -> None:
        """
        Write the store anew, as small as it can be; whoever writes waits meanwhile.

        Raises:
            StoreError: There is no room for it, or that is not up to us.
        """

    def inspect(self) -> tuple[str, list[Problem]]:
        """
        What it is, in one line, and what is worth a look although it works.

        Raises:
            StoreError: The store did not answer in time.
        """

    def close(self) -> None:
        """Close all connections; the next transaction opens new ones."""


def is_database(url: str) -> bool:
    """Whether a store is a database: logins wait for it, and it answers several at once."""
    return re.match("postgres(ql)?://", url) is not None


def named_files(url: str) -> list[Path]:
    """The files that the URL of a database names, as libpq reads it."""
    if not is_database(url):
        return []
    # To libpq, a plus sign is one.
    query = parse_qs(url.partition("?")[2].replace("+", "%2B"))
    named = [Path(path) for name in FILES_OF_LIBPQ for path in query.get(name, [])]
    return [one for one in named if one.is_file()]


def open_store(url: str, patience: float = 1.0) -> Store:
    """
    The store that a URL names.  Nothing is opened yet.

    Args:
        url: ``sqlite:///PATH`` with an absolute path, or ``postgresql://…`` as libpq reads it.
        patience: Seconds that a transaction may take, waiting for others included.

    Raises:
        ConfigurationError: There is no such kind of store, or what it needs is not installed.
    """
    scheme, _, path = url.partition(":///")
    if scheme == "sqlite" and path.startswith("/"):
        from radius_smsotp.store.sqlite import SqliteStore  # noqa: PLC0415  # only what is used

        return SqliteStore(path, patience)
    if is_database(url):
        try:
            from radius_smsotp.store.postgres.store import PostgresStore  # noqa: PLC0415  # as above
        except ModuleNotFoundError as error:
            if error.name not in {"psycopg", "psycopg_pool"}:
                raise
            remedy = errors.extra_command("postgres")
            raise ConfigurationError(
                [Problem("store", f"the Python package {error.name} is not installed", remedy)]
            ) from None
        return PostgresStore(url, patience)
    # Not the whole URL: it may hold a password.
    fault = f"'{url.partition(':')[0]}' is no kind of store"
    raise ConfigurationError([Problem("store", fault, KINDS)])


def settle(store: Store, now: datetime | None) -> int:
    """
    Write a line for each sum of the audit trail (see `store.trail`).

    Args:
        now: Only for the minutes that are over then; None: for all, as this process ends.

    Returns:
        How many lines there were.

    Raises:
        StoreError: The store did not answer; the sums are kept.
    """
    sums = store.trail.take(now)
    if not sums:
        return 0
    try:
        with store.read() as tx:
            known = tx.known_names({group.account for group in sums})
        found = list(lines(sums, known))
        with store.write(SUMS) as tx:
            for event in found:
                tx.add_event(event)
    except StoreError:
        store.trail.put_back(sums)
        raise
    return len(found)


def insist(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """
    Call `work` again if its transaction ran into another one: the only place that does so.

    Args:
        work: Does nothing that would count twice before its transaction has ended.
    """
    for _ in range(TRIES - 1):
        try:
            return work(*arguments, **named)
        except StoreConflictError:
            continue  # the other one has ended: that is why this one failed
    return work(*arguments, **named)
