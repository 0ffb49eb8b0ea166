"""A code that comes to four servers at once lets one of them in; long form: tests/races.sh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.store import races

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
