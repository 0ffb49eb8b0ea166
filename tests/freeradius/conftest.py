"""Sites for the tests here; whatever happens, their FreeRADIUS ends with the test or its module."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.store.trail import LINES
from tests.freeradius.domain import Domain
from tests.peers.network import own_network
from tests.support import leaks
from tests.support.freeradius import Radiusd, Site
from tests.support.site import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Key = tuple[Callable[[Path], None] | None, str]

SITES = pytest.StashKey[list[Site]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[pytest.TestReport]:
    """Beside a failure stands what its servers logged and what their stores say happened."""
    report: pytest.TestReport = yield
    if report.failed and call.when == "call":
        for site in item.stash.get(SITES, []):
            report.sections += site.story()
    return report


@pytest.fixture
def sites(request: pytest.FixtureRequest) -> list[Site]:
    """Those of this test, for its report."""
    return request.node.stash.setdefault(SITES, [])


@pytest.fixture
def make_site(tmp_path: Path, sites: list[Site]) -> Iterator[Callable[..., Site]]:
    """Make a site with alice in it."""
    made: list[Site] = []

    def make(**settings: Any) -> Site:
        folder = tmp_path / f"site{len(made)}"
        folder.mkdir()
        site = Site(folder, **settings)
        site.add("alice")
        made.append(site)
        sites.append(site)
        return site

    yield make
    for site in made:
        site.close()


REFUSED = (
    "SELECT count(*) FROM event WHERE time >= ? "
    "AND kind IN ('pin-wrong', 'login-refused', 'code-rejected', 'eap-refused')"
)


class Shared:
    """A FreeRADIUS that several tests use one after the other, each with a store like a new one."""

    def __init__(
        self, folder: Path, edit: Callable[[Path], None] | None, settings: dict[str, Any]
    ) -> None:
        folder.mkdir()
        self.site = Site(folder, **settings)
        self.site.add("alice")
        self.radiusd = self.site.start(edit=edit)
        self._process = self.radiusd.process
        self._written = self._files()
        self._refused: Counter[int] = Counter()

    def _files(self) -> list[bytes]:
        return [path.read_bytes() for path in (self.site.settings_path, self.site.folder / "key")]

    def renew(self) -> bool:
        """Forget all that a test has done, unless that was more than logins."""
        # Who reads the file drops this process's locks on it: SQLite, "How To Corrupt", 2.2.
        self.site.store.close()
        assert leaks.search(self.site.folder) == []
        for other in self.site.daemons[1:]:
            other.stop()
            shutil.rmtree(other.folder)
        del self.site.daemons[1:]
        if self.radiusd.process is not self._process or self._files() != self._written:
            return False
        for path in self.site.outbox.glob("*.json"):
            path.unlink()
        with contextlib.closing(sqlite3.connect(self.site.store_path, timeout=20)) as db:
            unsent = (
                "SELECT count(*) FROM message JOIN challenge USING (transaction_id) "
                "WHERE message.state = 'queued' AND challenge.state = 'open'"
            )
            eventually(lambda: db.execute(unsent).fetchone() == (0,))
            minute = int(time.time()) // 60
            [refused] = db.execute(REFUSED, (minute * 60,)).fetchone()
            self._refused[minute] += refused
            if self._refused[minute] > LINES[-1] // 2:
                return False  # what the next test sees refused might be summed up
            with db:
                db.execute("BEGIN IMMEDIATE")
                tables = (
                    "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'known_key'"
                )
                for (table,) in db.execute(tables).fetchall():
                    db.execute(f"DELETE FROM {table}")
        for path in self.site.outbox.glob("*.json"):
            path.unlink()
        self.site.add("alice")
        self.radiusd.log_from_now()
        return True


@pytest.fixture(scope="module")
def shared() -> Iterator[dict[Key, Shared]]:
    """Those of this module, by what tells them apart."""
    running: dict[Key, Shared] = {}
    yield running
    for one in running.values():
        one.site.close()


@pytest.fixture
def share(
    shared: dict[Key, Shared], tmp_path_factory: pytest.TempPathFactory, sites: list[Site]
) -> Iterator[Callable[..., Radiusd]]:
    """Take a running FreeRADIUS with alice on its site, so edited and with these settings."""
    used: list[Key] = []

    def take(edit: Callable[[Path], None] | None = None, **settings: Any) -> Radiusd:
        key = (edit, repr(settings))
        if key not in shared:
            folder = tmp_path_factory.mktemp("shared") / "site"
            shared[key] = Shared(folder, edit, settings)
        if key not in used:
            used.append(key)
            sites.append(shared[key].site)
        return shared[key].radiusd

    yield take
    for key in used:
        fit = False
        try:
            fit = shared[key].renew()
        finally:
            if not fit:
                shared.pop(key).site.close()


@pytest.fixture
def radiusd(share: Callable[..., Radiusd]) -> Radiusd:
    """A running FreeRADIUS with the default settings."""
    return share()


@pytest.fixture
def site(request: pytest.FixtureRequest) -> Site:
    """The site of `radiusd`, or a new one for whoever starts it differently."""
    if "radiusd" in request.fixturenames:
        running: Radiusd = request.getfixturevalue("radiusd")
        return running.site
    made: Site = request.getfixturevalue("make_site")()
    return made


@pytest.fixture(scope="session")
def made_domain(tmp_path_factory: pytest.TempPathFactory) -> Domain:
    """A domain that does not run yet."""
    return Domain(tmp_path_factory.mktemp("domain") / "samba")


@pytest.fixture(scope="module")
def domain(made_domain: Domain) -> Iterator[Domain]:
    """It runs, in a network in which all tests of this module run."""
    with own_network():
        made_domain.start()
        yield made_domain
        made_domain.stop()
