"""Where the files for FreeRADIUS are: in the installed package, or in a checkout."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from radius_smsotp.errors import SmsotpError

if TYPE_CHECKING:
    from collections.abc import Mapping


def folder() -> Path:
    """The folder ``freeradius``: what is for FreeRADIUS and its host."""
    package = Path(__file__).resolve().parents[1]
    for place in (package / "freeradius", package.parent / "freeradius"):
        if (place / "raddb" / "policy.d" / "smsotp").is_file():
            return place
    raise FileNotFoundError("the FreeRADIUS files of radius-smsotp are missing; install it again")


def source(name: str) -> Path:
    """Where the file of this version is that is written into raddb."""
    return folder() / "raddb" / name


def text(name: str, values: Mapping[str, str]) -> str:
    """A file of this version, ``@KEY@`` replaced by its value."""
    filled = source(name).read_text(encoding="utf-8")
    for key, value in values.items():
        filled = filled.replace(f"@{key}@", value)
    return filled


POLICY = "policy.d/smsotp"

DEFINED = re.compile(r"(?m)^\s*(smsotp_\w+)\s*\{")
CALLED = re.compile(r"(?m)^\s*(smsotp_\w+)\s*$")


def refuse_old(raddb: Path, manifest: Mapping[str, str]) -> None:
    """
    Stop before anything is changed, if an edited policy lacks what our sites call.

    FreeRADIUS would not start any more, and nobody but the administrator can merge the two.

    Args:
        manifest: See `raddb.MANIFEST`.

    Raises:
        SmsotpError: It does.
    """
    path = raddb / POLICY
    if not path.exists() or _digest(path) == manifest.get(POLICY):
        return
    new = source(POLICY)
    sites = source("sites-available").glob("smsotp*")
    called = {name for site in sites for name in CALLED.findall(_text(site))}
    needed = called & set(DEFINED.findall(_text(new)))
    if lacking := sorted(needed - set(DEFINED.findall(_text(path)))):
        raise SmsotpError(
            f"{path} was edited in an older version, and lacks {', '.join(lacking)}; put your "
            f"changes into a copy of {new}, and that in its place; nothing was changed"
        )


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
