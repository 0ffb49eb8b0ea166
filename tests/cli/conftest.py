"""An installation for each test that wants one."""

from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.raddb import files
from tests.cli.installation import Installation, stand_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.store.postgres_server import PostgresServer


@pytest.fixture(scope="session")
def stand_in_path() -> Iterator[str]:
    """A PATH with a FreeRADIUS that nothing stands against, and that every user finds."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield stand_in(Path(name), "3.2.1")


@pytest.fixture(autouse=True)
def _freeradius(
    stand_in_path: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the one that is found, whatever this machine has, but by who wants a real one."""
    if request.node.get_closest_marker("server") is None:
        monkeypatch.setenv("PATH", stand_in_path)


CLOSED = files.closed


@functools.cache
def _closed(user: int, places: tuple[Path, ...]) -> tuple[Path, str] | None:
    """What it finds for this user in these places."""
    return CLOSED()


@pytest.fixture(autouse=True)
def _looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """`check` looks at the thousands of files of the program once a user, not once a test."""

    def closed() -> tuple[Path, str] | None:
        return _closed(os.geteuid(), (files.PACKAGE, *files.LIBRARIES))

    monkeypatch.setattr(files, "closed", closed)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_server: PostgresServer
) -> str:
    """A store of either kind, which is not there yet."""
    return (
        postgres_server.make_url()
        if request.param == "postgresql"
        else f"sqlite:///{tmp_path}/a.db"
    )


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Installation]:
    """An installation without accounts."""
    one = Installation(tmp_path / "site")
    yield one
    one.close()
