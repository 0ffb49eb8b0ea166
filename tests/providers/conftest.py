"""Stand-ins that several test modules use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.providers.modem.gsm_cable import PtyCable, TcpCable
from tests.providers.modem.gsm_modem import GsmModem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def modem(tmp_path: Path) -> Iterator[GsmModem]:
    """A modem on a pty."""
    with GsmModem(PtyCable(tmp_path)) as stand_in:
        yield stand_in


@pytest.fixture
def tcp_modem() -> Iterator[GsmModem]:
    """A modem behind a serial server."""
    with GsmModem(TcpCable()) as stand_in:
        yield stand_in
