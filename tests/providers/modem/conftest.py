"""The stand-in answers at once: nobody need wait for it as long as for a modem."""

from __future__ import annotations

import pytest

from radius_smsotp.providers.modem import device, line


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses; time limits stay what they are."""
    monkeypatch.setattr(line, "QUIET", 0.01)
    monkeypatch.setattr(line, "POLL", 0.05)
    monkeypatch.setattr(device, "READ_TIMEOUT", 0.01)
    monkeypatch.setattr(device, "SLICE", 0.02)
