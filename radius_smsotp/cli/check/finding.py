"""One finding of ``smsotp check``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from radius_smsotp.errors import ConfigurationError

Level = Literal["error", "warning", "note"]
"""error: logins fail, now or later; warning: they work, but perhaps not as meant; note: as it
should be, and worth knowing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """
    Where something is, what is wrong there, what to do about it, and why it matters.

    Attributes:
        line: What stands there, if that helps.
    """

    level: Level
    path: str
    fault: str
    remedy: str
    why: str = ""
    line: str = ""


def error(path: str, fault: str, remedy: str = "", *, why: str = "") -> Finding:
    """What keeps logins from working."""
    return Finding("error", path, fault, remedy, why)


def warning(path: str, fault: str, remedy: str = "", *, why: str = "") -> Finding:
    """What is worth a look."""
    return Finding("warning", path, fault, remedy, why)


def note(path: str, fault: str, remedy: str = "") -> Finding:
    """What is as it should be; with what to do if it is not meant so."""
    return Finding("note", path, fault, remedy)


def errors(raised: ConfigurationError, why: str) -> list[Finding]:
    """Everything that an exception tells of."""
    return [
        Finding("error", one.path, one.fault, one.remedy, why, one.line) for one in raised.problems
    ]
