"""
The texts in the languages that come along: one YAML file each, in the form of an entry of
``languages`` in the settings.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from radius_smsotp.settings import strict_yaml
from radius_smsotp.settings.schema import LanguageSettings

FILES = {path.stem: path for path in sorted(Path(__file__).parent.glob("*.yaml"))}
"""Every language, in alphabetical order."""


@cache
def texts(name: str) -> LanguageSettings | None:
    """All texts in a language; None if it does not come along."""
    if name not in FILES:
        return None
    return LanguageSettings.model_validate(strict_yaml.parse(strict_yaml.read(FILES[name]), name))
