"""
``policy.d/smsotp`` in a raddb: where the administrator says what checks the first factor, so the
file of ours that is edited most, and that an upgrade then leaves as it is.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from radius_smsotp import raddb_files
from radius_smsotp.errors import SmsotpError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

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
    new = raddb_files.folder() / POLICY
    sites = (raddb_files.folder() / "sites-available").glob("smsotp*")
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
