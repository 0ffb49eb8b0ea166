"""
The last settings that worked, kept beside their file, so that a server can start on them.

Whoever breaks the file while radiusd runs notices nothing; without this, the next restart of the
machine would be when nobody can log in.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from radius_smsotp.errors import ConfigurationError, Problem
from radius_smsotp.settings import file, whole_file
from radius_smsotp.settings.file import Loaded

HEAD = "# Kept by radius_smsotp: do not edit.  SHA-256 of what follows: "


def place(path: Path) -> Path:
    """Where the last good settings of a file are kept."""
    return path.with_name(f"{path.name}.last-good")


def keep(loaded: Loaded) -> None:
    """
    Keep settings that work.  Only their owner can read them: they hold passwords.

    Raises:
        OSError: The folder cannot be written.
    """
    text = loaded.written.text
    kept = place(loaded.path)
    whole = f"{HEAD}{_fingerprint(text)}\n{text}"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if kept.read_text(encoding="utf-8") == whole:
            return
    whole_file.write(kept, whole, 0o600)


def load(path: Path) -> tuple[Loaded, datetime] | None:
    """
    What was kept of a file, if it is whole and still means something, and since when it is.

    The time is local, as the administrator's clock shows it.
    """
    kept = place(path)
    try:
        head, _, text = kept.read_text(encoding="utf-8").partition("\n")
        since = datetime.fromtimestamp(kept.stat().st_mtime).astimezone()
        if head != f"{HEAD}{_fingerprint(text)}":
            return None
        return file.understand(path, text), since
    except (OSError, UnicodeDecodeError, ConfigurationError):
        return None


class Working(NamedTuple):
    """
    Settings that work.

    Attributes:
        problems: What is wrong with those in the file, if these are not they.
        since: When these were kept, then.
    """

    loaded: Loaded
    problems: Sequence[Problem] = ()
    since: datetime | None = None


def working(path: Path) -> Working:
    """
    The settings in a file, or else the last that worked.

    Raises:
        ConfigurationError: There are neither.
    """
    try:
        return Working(file.load(path))
    except ConfigurationError as error:
        if (kept := load(path)) is None:
            raise
        return Working(kept[0], error.problems, kept[1])


def _fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
