"""The sites of the radius tests serve the peers as well."""

from __future__ import annotations

from tests.freeradius.conftest import make_site, radiusd, share, shared, site, sites

__all__ = ["make_site", "radiusd", "share", "shared", "site", "sites"]
