"""What a PostgreSQL server is like, for ``smsotp check``: what it is, and what is worth a look."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator
from pathlib import Path

from radius_smsotp.errors import Problem
from radius_smsotp.store.postgres.connection import Connection, Session
from radius_smsotp.store.schema import TABLES

CLOCK_SECONDS = 2.0
"""A difference of clocks that shows that one of them is not kept.  Codes expire by the clock of
the RADIUS server that is asked, so all of them must agree; the database's own counts for nothing,
but is the one clock that each of them can be compared with."""

MISSING_RIGHTS = b"""
    SELECT name FROM unnest(%s::text[]) AS name WHERE NOT (
        has_table_privilege(name, 'SELECT') AND has_table_privilege(name, 'INSERT')
        AND has_table_privilege(name, 'UPDATE') AND has_table_privilege(name, 'DELETE')
    )
"""

FACTS = """
    SELECT version(), (SELECT version FROM smsotp_schema),
        extract(epoch FROM clock_timestamp())::double precision,
        current_setting('fsync', true), current_setting('full_page_writes', true),
        current_setting('server_encoding', true)
"""


def missing_rights(db: Connection) -> list[str]:
    """The tables of ours that this role may not read and write."""
    return [name for (name,) in db.execute(MISSING_RIGHTS, [list(TABLES)])]


def inspect(session: Session, path: str) -> tuple[str, list[Problem]]:
    """
    See `Store.inspect`.

    Args:
        path: Where the store is, for people.
    """
    before = time.time()
    version, schema, there, *settings = session.execute(FACTS).fetchone()
    after = time.time()
    db = session.flush()
    ahead = there - (before + after) / 2
    uncertain = (after - before) / 2
    behind = " behind a pooler" if db.opening else ""
    text = f"{version.partition(' (')[0].partition(' on ')[0]}{behind}, schema {schema}"
    doubts = [
        *_doubts(version, ahead, uncertain, *settings),
        *encryption(db.info.hostaddr, sslmode(db), tls=db.pgconn.ssl_in_use),
    ]
    return text, [Problem(path, fault, remedy) for fault, remedy in doubts]


def _doubts(
    version: str,
    ahead: float,
    uncertain: float,
    fsync: str | None,
    full_pages: str | None,
    encoding: str | None,
) -> Iterator[tuple[str, str]]:
    """Faults of the server itself, with their remedies."""
    # It takes calls of PostgreSQL's advisory locks, and does nothing.
    if "CockroachDB" in version:
        yield "CockroachDB locks nothing: a code may be accepted twice", "move to PostgreSQL"
    if abs(ahead) > CLOCK_SECONDS + uncertain:
        side = "ahead of" if ahead > 0 else "behind"
        fault = f"its clock is {abs(ahead):.1f} s {side} this host's"
        yield fault, "keep the clocks of all hosts with NTP: codes expire by them"
    for name, value in (("fsync", fsync), ("full_page_writes", full_pages)):
        if value == "off":
            fault = f"{name} is off: after a power cut, spent codes may count again"
            yield fault, f"set {name} = on in postgresql.conf"
    # SQL_ASCII takes octets as they come, which are UTF-8 here.
    if encoding not in {"UTF8", "SQL_ASCII", None}:
        fault = f"its encoding is {encoding}: not every user name can be stored"
        yield fault, "make the database with ENCODING 'UTF8' TEMPLATE template0"


def sslmode(db: Connection) -> str:
    """
    The ``sslmode`` of a connection, from wherever libpq has it: URL, environment, service file.

    Where there are certificates of authorities, require is verify-ca (PostgreSQL 34.19.1).
    """
    given = {one.keyword.decode(): (one.val or b"").decode() for one in db.pgconn.info}
    authorities = given.get("sslrootcert") or "~/.postgresql/root.crt"
    mode = given.get("sslmode", "")
    return "verify-ca" if mode == "require" and Path(authorities).expanduser().exists() else mode


def encryption(address: str, mode: str, *, tls: bool) -> Iterator[tuple[str, str]]:
    """
    What may be seen, or pretended, on the way to the database: faults with their remedies.

    Args:
        address: Its IP address, "" for a socket of this host.
        mode: ``sslmode``.
        tls: Whether the connection is encrypted.
    """
    if not address or ipaddress.ip_address(address).is_loopback:
        return
    remedy = "write ?sslmode=verify-full behind the URL"
    if not tls:
        yield "the connection to it is not encrypted", remedy
    elif mode not in {"verify-full", "verify-ca"}:
        yield "its certificate is not checked: anybody in between could be it", remedy
