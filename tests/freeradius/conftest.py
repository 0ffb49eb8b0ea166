"""Sites for the radius tests; whatever happens, their FreeRADIUS ends with the test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.freeradius import Radiusd, Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

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
def make_site(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Site]]:
    """Make a site with alice in it."""
    sites: list[Site] = []
    request.node.stash[SITES] = sites

    def make(**settings: Any) -> Site:
        folder = tmp_path / f"site{len(sites)}"
        folder.mkdir()
        site = Site(folder, **settings)
        site.add("alice")
        sites.append(site)
        return site

    yield make
    for site in sites:
        site.close()


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A site with the default settings."""
    return make_site()


@pytest.fixture
def radiusd(site: Site) -> Radiusd:
    """A running FreeRADIUS of `site`."""
    return site.start()
