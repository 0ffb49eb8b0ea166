"""Fixtures that many tests share."""

from __future__ import annotations

import os
import random
import secrets
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import hypothesis
import pytest

from radius_smsotp import providers

TESTS = Path(__file__).parent

# Their assertions shall say as much as those of a test module; so before they are imported.
pytest.register_assert_rewrite(
    "tests.support.site", "tests.store", "radius_smsotp.providers.contract"
)

# The same examples in every run, however busy the machine; chance has its place in measure/fuzz.
hypothesis.settings.register_profile("same", derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile("same")

# Where the run is one in the background SIGINT is ignored, and so it would be in all it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

from tests.store.postgres_server import PostgresServer  # noqa: E402
from tests.support import leaks, quick  # noqa: E402
from tests.support.site import Clock, Gateways, Site  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from radius_smsotp.providers import Message


FOLDERS = {"freeradius": "server", "peers": "server", "measure": "slow", "package": "slow"}
"""Folder of tests to the mark of all that stands in it."""

FIXTURES = dict.fromkeys(("machine", "postgres_server", "prometheus", "smsc"), "server")
FIXTURES["children"] = "slow"
"""Fixture to the mark of whoever has it."""

UNQUICK = ("server", "slow", "container", "install", "jasmin")
"""Who carries one of these is not in ``sh tests/run.sh quick``."""


def pytest_configure() -> None:
    """Keep the folders of this run apart: every pytest that starts closes the one all share."""
    room = tempfile.mkdtemp(prefix="smsotp-")
    Path(room).chmod(0o711)
    os.environ["PYTEST_DEBUG_TEMPROOT"] = room


def pytest_unconfigure() -> None:
    """Leave none of them; who wants to look into them gives a ``--basetemp``."""
    shutil.rmtree(os.environ["PYTEST_DEBUG_TEMPROOT"], ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what stands in folders of its own, and whoever has a server."""
    for item in items:
        marks = [FOLDERS.get(item.path.relative_to(TESTS).parts[0])]
        marks += map(FIXTURES.get, getattr(item, "fixturenames", ()))
        for mark in filter(None, marks):
            item.add_marker(mark)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[object]:
    """Who carries no mark keeps to what that says."""
    if any(item.get_closest_marker(mark) for mark in UNQUICK):
        return (yield)
    with quick.watched(item.nodeid):
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Nothing that this run wrote holds a secret; a leak fails it, whatever the tests said."""
    factory = getattr(session.config, "_tmp_path_factory", None)
    if factory is None or factory._basetemp is None:
        return
    sites = leaks.sites(factory.getbasetemp())
    found = [leak for site in sites for leak in leaks.search(site)]
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and sites:
        reporter.write_line(f"\n{len(sites)} sites searched for secrets: {len(found)} leaks")
        for leak in found:
            reporter.write_line(f"LEAK {leak}", red=True)
    if found:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def _chance(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys, challenges and codes of this process are the same in every run."""
    dice = random.Random(request.node.nodeid)
    monkeypatch.setattr(secrets, "token_bytes", lambda octets=32: dice.randbytes(octets))
    monkeypatch.setattr(secrets, "randbelow", dice.randrange)


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def gateways(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateways]:
    """Providers of type ``scripted``, and what they do."""
    here = Gateways()

    class Settings(providers.ProviderSettings):
        type: Literal["scripted"]
        to: str = "{phone}"

    class Provider:
        on_receipt: Callable[[str, bool, str], None] | None = None

        def __init__(self, name: str, *_: object) -> None:
            self.name = name
            here.built[name] = self

        def check(self) -> list[Any]:
            return []

        def send(self, message: Message, deadline: float) -> providers.Receipt:
            return here.take(self.name, message)

        def listen(self) -> None:
            """There is no connection."""

        def close(self) -> None:
            here.closed.append(self.name)

    module = ModuleType("radius_smsotp.providers.scripted")
    module.Settings, module.Provider = Settings, Provider  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(providers, "TYPES", (*providers.TYPES, "scripted"))
    yield here
    here.release()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """
    A PostgreSQL server for all tests that leave it running.

    No power cut is to come, and nobody has to look after the hundreds of databases in it.
    """
    server = PostgresServer()
    try:
        server.start("fsync=off", "autovacuum=off", "deadlock_timeout=50ms")
        yield server
    finally:
        server.close()


@pytest.fixture
def site(tmp_path: Path, clock: Clock, gateways: Gateways) -> Iterator[Site]:
    """A folder with settings, key and store."""
    folder = tmp_path / "site"
    folder.mkdir()
    one = Site(folder, clock, gateways)
    yield one
    gateways.release()
    for node in one.nodes:
        node.close()
