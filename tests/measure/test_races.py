"""A code that comes to four servers at once lets one of them in; long form: tests/races.sh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from radius_smsotp.model import code
from radius_smsotp.store.postgres.store import EVERYTHING
from tests.measure import races
from tests.support.site import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.store.postgres_server import PostgresServer

RACES = 100


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_one_of_four_servers_accepts_a_code(
    kind: str, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    """The others reject it, and in most races all four were at it at the same moment."""
    url = f"sqlite:///{tmp_path}/db" if kind == "sqlite" else postgres_server.make_url()
    result = races.run(tmp_path, url, RACES)
    assert result.outcomes == {1: RACES}
    assert result.others == 0
    assert result.together > 0


def test_a_login_that_runs_into_another_transaction_is_tried_again(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    """The database undoes one of two that wait for each other; the user notices nothing."""
    url = postgres_server.make_url()
    settings, keys = races.prepare(tmp_path, url)
    # Time for the other one to come into our way; our patience for a lock is 0.75 s.
    postgres_server.run_sql(
        f"ALTER DATABASE {url.rpartition('/')[2]} SET deadlock_timeout = '400ms'"
    )
    server = races.Server(settings)
    try:
        server.tell("pin", 0.0, "1234")
        _, state, *_ = server.hears()
        with psycopg.connect(url, autocommit=True) as other:
            # Somebody with psql; not their session notices the deadlock, but ours.
            other.execute("SET deadlock_timeout = '20s'")
            other.execute("BEGIN")
            other.execute("SELECT 1 FROM challenge FOR UPDATE")
            server.tell("code", 0.0, code.derive(keys.secret, state, 6), state)
            waiting = "SELECT 1 FROM pg_locks WHERE NOT granted"
            eventually(lambda: other.execute(waiting).fetchall())
            other.execute("SELECT pg_advisory_xact_lock(%s)", [EVERYTHING])
            other.execute("COMMIT")
        assert server.hears()[0] == "OK"
    finally:
        server.end()
    assert "deadlock detected" in postgres_server.log()
