"""
Statements for a PostgreSQL server, any number of them in one way there and back.

psycopg's cursors and pipelines do that as well.  But they take four times as long, which was a
fifth of the CPU of a login; so only the values are psycopg's here, and the rest is libpq's.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.waiting import Ready, Wait

if TYPE_CHECKING:
    from psycopg import abc
    from psycopg.pq.abc import PGconn, PGresult

PREPARED_MOST = 200
"""Statements that a connection lets its server keep: more than a login has.  Those with a list in
them, of any length, come without end."""

STALE = {"0A000", "26000"}
"""What one fails with that is kept, if its tables have changed since, or nobody knows it there."""

RIGHT = {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}

Types = tuple[int, ...]


class Row(tuple[Any, ...]):
    """A row, by the names of its columns too: see `store.rows.Row`."""

    places: dict[str, int]

    def __getitem__(self, column: Any) -> Any:
        """A value, by name or by place."""
        return super().__getitem__(self.places[column] if isinstance(column, str) else column)


class Answer:
    """
    What the server has answered to one statement.

    Args:
        context: Knows how values are written.
        kind: Of its rows.

    Attributes:
        rowcount: How many rows it has changed, or found.
    """

    def __init__(
        self, context: psycopg.Connection[Any], result: PGresult, kind: type[Row] | None
    ) -> None:
        self.rowcount = (result.command_tuples or 0) if kind is None else result.ntuples
        self._context = context
        self._result = result
        self._kind = kind or Row

    def __iter__(self) -> Iterator[Row]:
        values = self._values()
        kind: Callable[[Sequence[Any]], Row] = self._kind
        return (values.load_row(at, kind) for at in range(self._result.ntuples))

    @property
    def status(self) -> str:
        """What was done, in the server's words."""
        return (self._result.command_status or b"").decode()

    @property
    def description(self) -> list[tuple[str]]:
        """The names of its columns, as in the DB-API."""
        return [(name,) for name in self._kind.places]

    def fetchone(self) -> Row | None:
        """The first row."""
        return next(iter(self), None)

    def fetchall(self) -> list[Row]:
        """All rows."""
        return self._values().load_rows(0, self._result.ntuples, self._kind)

    def _values(self) -> abc.Transformer:
        values: abc.Transformer = Transformer(self._context)
        values.set_pgresult(self._result)
        return values


class Sent(NamedTuple):
    """
    One message to the server.

    Attributes:
        name: Under which the server keeps the statement.
        is_new: Whether that is all that it asks for: an answer to the statement comes after it.
    """

    sql: str
    types: Types
    name: bytes | None
    is_new: bool = False


class Statements:
    """The statements of one connection."""

    def __init__(self, db: psycopg.Connection[Any]) -> None:
        self._db = db
        self._kept: dict[tuple[str, Types], bytes] = {}
        self._kinds: dict[str, type[Row]] = {}
        self._numbers = itertools.count()

    def send(self, statements: Sequence[tuple[str, Any]]) -> list[Sent]:
        """
        Put statements into libpq's buffer, and begin to send that.

        Args:
            statements: Each with its parameters; values are marked with ``?``.
        """
        values = Transformer(self._db)
        ready: list[
            tuple[tuple[str, Types], Sequence[abc.Buffer | None], Sequence[int] | None]
        ] = []
        for sql, parameters in statements:
            given = values.dump_sequence(parameters, [PyFormat.AUTO] * len(parameters))
            ready.append(((sql, values.types or ()), given, values.formats))
        conn = self._db.pgconn
        conn.enter_pipeline_mode()
        sent: list[Sent] = []
        new: dict[tuple[str, Types], bytes] = {}
        for key, given, formats in ready:
            sql, types = key
            name = self._kept.get(key) or new.get(key)
            if name is None and self._may_keep(len(new)):
                name = new[key] = b"smsotp_%d" % next(self._numbers)
                conn.send_prepare(name, _numbered(sql), types)
                sent.append(Sent(sql, types, name, is_new=True))
            if name is None:
                conn.send_query_params(_numbered(sql), given, types, formats)
            else:
                conn.send_query_prepared(name, given, formats)
            sent.append(Sent(sql, types, name))
        conn.pipeline_sync()
        return sent

    def answers(self, sent: Sequence[Sent], results: Sequence[PGresult]) -> list[Answer]:
        """
        What came back: an answer for each statement.

        Raises:
            psycopg.Error: Of the first one that failed; none after it was run.
        """
        found: list[Answer] = []
        for one, result in zip(sent, results, strict=False):
            if result.status not in RIGHT:
                error = error_from_result(result)
                if error.sqlstate in STALE:
                    self._kept.pop((one.sql, one.types), None)
                raise error
            if one.is_new and one.name is not None:
                self._kept[one.sql, one.types] = one.name
            elif not one.is_new:
                found.append(Answer(self._db, result, self._kind(one.sql, result)))
        if len(results) < len(sent):
            raise psycopg.OperationalError("the connection has ended")
        return found

    def _may_keep(self, more: int) -> bool:
        """Whether the server may be told to keep one more, besides some that are new."""
        return self._db.prepare_threshold is not None and len(self._kept) + more < PREPARED_MOST

    def _kind(self, sql: str, result: PGresult) -> type[Row] | None:
        """The kind of the rows; None: it has none."""
        if not result.nfields:
            return None
        kind = self._kinds.get(sql)
        if kind is None or len(kind.places) != result.nfields:
            names = [(result.fname(at) or b"").decode() for at in range(result.nfields)]
            places = {name: at for at, name in enumerate(names)}
            kind = type("Row", (Row,), {"places": places, "__slots__": ()})
            if len(self._kinds) < PREPARED_MOST:
                self._kinds[sql] = kind
        return kind


def results(conn: PGconn) -> Generator[Wait, Ready, list[PGresult]]:
    """
    Wait for the answers to all that was sent, and leave libpq's pipeline.

    Returns:
        One for each message, fewer if the connection has ended.
    """
    found: list[PGresult] = []
    try:
        while conn.flush():
            if (yield Wait.RW) & Ready.R:
                conn.consume_input()
        while True:
            while conn.is_busy():
                yield Wait.R
                conn.consume_input()
            result = conn.get_result()
            if result is not None and result.status == ExecStatus.PIPELINE_SYNC:
                conn.exit_pipeline_mode()
                return found
            if result is not None:
                found.append(result)
            elif conn.status == ConnStatus.BAD:
                return found
    except psycopg.OperationalError:
        # What the server has said before it went counts for more.
        if all(one.status in RIGHT for one in found):
            raise
        return found


@lru_cache(1000)
def _numbered(sql: str) -> bytes:
    """A statement with PostgreSQL's marks.  None of ours holds a question mark besides."""
    numbers = itertools.count(1)
    return re.sub(r"\?", lambda _: f"${next(numbers)}", sql).encode()
