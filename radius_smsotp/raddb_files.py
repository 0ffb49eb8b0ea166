"""Where the files for FreeRADIUS are: in the installed package, or in a checkout."""

from __future__ import annotations

from pathlib import Path


def folder() -> Path:
    """The folder ``freeradius`` with the same names in it as under raddb."""
    package = Path(__file__).resolve().parent
    for place in (package / "freeradius", package.parent / "freeradius"):
        if (place / "policy.d" / "smsotp").is_file():
            return place
    raise FileNotFoundError("the FreeRADIUS files of radius-smsotp are missing; install it again")
