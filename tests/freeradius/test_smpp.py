"""The provider smpp inside a real radiusd; its SMSC needs Node.js."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.freeradius.test_providers import log_in_through
from tests.providers.smpp.smsc import Smsc
from tests.support.freeradius import PATIENT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.freeradius import Site


def test_smpp(make_site: Callable[..., Site], tmp_path: Path) -> None:
    with Smsc(tmp_path) as smsc:
        provider = {
            "type": "smpp",
            "smsc_host": "127.0.0.1",
            "smsc_port": smsc.port,
            "system_id": "radius",
            "password": smsc.secrets[0],
        }
        log_in_through(make_site(providers={"one": provider}, delivery=PATIENT), smsc.received)
