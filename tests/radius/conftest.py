"""Sites for the radius tests; whatever happens, their FreeRADIUS ends with the test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.radius.site import Radiusd, Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Make a site with alice in it."""
    sites: list[Site] = []

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
