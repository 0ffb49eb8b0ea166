"""
Presets: settings for well-known gateways, to paste and fill in.

One preset is one YAML file here: what to fill in and where to find it, the public description
it follows, and the provider itself.  What to fill in begins with ``YOUR-``.
"""

from __future__ import annotations

import textwrap
from importlib.resources import files

_SUFFIX = ".yaml"


def names() -> list[str]:
    """Every preset, in alphabetical order."""
    entries = (entry.name for entry in files(__package__).iterdir())
    return sorted(name.removesuffix(_SUFFIX) for name in entries if name.endswith(_SUFFIX))


def text(name: str) -> str:
    """
    The block to paste under ``providers:``, comments included.

    Raises:
        KeyError: There is no such preset.
    """
    if name not in names():
        raise KeyError(name)
    preset = files(__package__) / f"{name}{_SUFFIX}"
    return textwrap.indent(preset.read_text(encoding="utf-8"), "  ")
