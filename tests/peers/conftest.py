"""The sites of the radius tests serve the peers as well."""

from __future__ import annotations

from tests.freeradius.conftest import make_site, radiusd, site

__all__ = ["make_site", "radiusd", "site"]
