"""One finding of ``smsotp check``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from radius_smsotp.errors import ConfigurationError

Level = Literal["error", "warning", "note"]
"""error: logins fail, now or later; warning: they work, but perhaps not as meant; note: as it
should be, and worth knowing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong: where, what, and what to do."""

    level: Level
    path: str
    fault: str
    remedy: str


def error(path: str, fault: str, remedy: str = "") -> Finding:
    """What keeps logins from working."""
    return Finding("error", path, fault, remedy)


def warning(path: str, fault: str, remedy: str = "") -> Finding:
    """What is worth a look."""
    return Finding("warning", path, fault, remedy)


def note(path: str, fault: str) -> Finding:
    """What is as it should be."""
    return Finding("note", path, fault, "")


def errors(raised: ConfigurationError) -> list[Finding]:
    """Everything that an exception tells of."""
    return [error(problem.path, problem.fault, problem.remedy) for problem in raised.problems]
