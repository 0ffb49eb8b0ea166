"""A provider of another package, as if that were installed."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING

from radius_smsotp import providers

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def plug_in(patch: pytest.MonkeyPatch, kind: str, folder: Path, module: str) -> None:
    """Let a type of that name be in a module of a folder."""
    patch.syspath_prepend(folder)
    patch.delitem(sys.modules, module, raising=False)
    found = {kind: [EntryPoint(kind, module, providers.GROUP)]}
    patch.setattr(providers, "_plugged", lambda: found)
