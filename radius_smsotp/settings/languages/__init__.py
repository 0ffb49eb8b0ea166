"""
The texts in the languages that come along: one YAML file each, in the form of an entry of
``languages`` in the settings.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from radius_smsotp.settings import strict_yaml
from radius_smsotp.settings.schema import LanguageSettings

_FOLDER = Path(__file__).parent


@cache
def names() -> tuple[str, ...]:
    """Every language, in alphabetical order."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


@cache
def texts(name: str) -> LanguageSettings | None:
    """All texts in a language; None if it does not come along."""
    return LanguageSettings.model_validate(strict_yaml.read(_path(name))) if _has(name) else None


def text(name: str) -> str:
    """The file of a language, comments included.  Raises KeyError."""
    if not _has(name):
        raise KeyError(name)
    return _path(name).read_text(encoding="utf-8")


def _has(name: str) -> bool:
    return name in names()


def _path(name: str) -> Path:
    return _FOLDER / f"{name}.yaml"
