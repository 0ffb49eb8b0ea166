"""Where the files for FreeRADIUS are: in the installed package, or in a checkout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def folder() -> Path:
    """The folder ``freeradius`` with the same names in it as under raddb."""
    package = Path(__file__).resolve().parent
    for place in (package / "freeradius", package.parent / "freeradius"):
        if (place / "policy.d" / "smsotp").is_file():
            return place
    raise FileNotFoundError("the FreeRADIUS files of radius-smsotp are missing; install it again")


def source(name: str) -> Path:
    """Where the file of this version is that is written into raddb."""
    return folder() / name


def text(name: str, values: Mapping[str, str]) -> str:
    """A file of this version, ``@KEY@`` replaced by its value."""
    filled = source(name).read_text(encoding="utf-8")
    for key, value in values.items():
        filled = filled.replace(f"@{key}@", value)
    return filled
