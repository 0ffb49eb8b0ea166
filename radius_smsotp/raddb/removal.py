"""Takes what `raddb.install` has added out of a raddb again."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from radius_smsotp.errors import SmsotpError
from radius_smsotp.raddb import files
from radius_smsotp.settings import whole_file

FOLDERS = (files.CERTIFICATES, "mods-config/smsotp", str(Path(files.TUNNEL).parent))
"""Made by `raddb.install`, and removed as soon as nothing is in them."""

CALL = re.compile(r"\bvirtual_server\s*=\s*\"?smsotp\b|^\s*-?(?:smsotp|smsotp_\w+)\s*$")
"""A line by which FreeRADIUS's configuration needs ours."""


@dataclass
class Removal:
    """What was done: paths within raddb."""

    removed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def uninstall(raddb: Path, *, purge: bool = False) -> Removal:
    """
    Disable ours and remove it; keep what cannot be made again.

    Args:
        purge: Remove files that somebody has edited, and the certificates of Wi-Fi, as well.

    Raises:
        SmsotpError: There is no raddb at that path; or it is one that `raddb.create` has made; or
            some line outside our files still needs them: FreeRADIUS would not start without.
    """
    raddb = files.find(raddb)
    manifest = files.manifest(raddb)
    if "radiusd.conf" in manifest:
        raise SmsotpError(f"{raddb} is ours as a whole; remove the folder")
    calls = list(_calls(raddb))
    if calls:
        raise SmsotpError("\n".join(f"{place}; remove that first" for place in calls))
    done = Removal()
    for link in (*files.LINKS, *files.INSTANCE_LINKS, *files.WIFI_LINKS):
        if (raddb / link).is_symlink():
            (raddb / link).unlink()
            done.removed.append(link)
    _exclude(raddb, done)
    for name in files.FILES:
        path = raddb / name
        if not path.is_file():
            continue
        ours = manifest.get(name) == files.digest(path.read_bytes())
        _remove(raddb, path, done, ours or purge)
    certificates = raddb / files.CERTIFICATES
    for path in sorted(certificates.glob("*")):
        _remove(raddb, path, done, purge)
    for name in (files.GTC, files.MANIFEST):
        _remove(raddb, raddb / name, done, True)
    for name in FOLDERS:
        with contextlib.suppress(OSError):  # something is left in it, or it is not there
            (raddb / name).rmdir()
    return done


def _remove(raddb: Path, path: Path, done: Removal, yes: bool) -> None:
    name = str(path.relative_to(raddb))
    if not yes:
        done.kept.append(name)
    elif path.exists():
        path.unlink()
        done.removed.append(name)


def _exclude(raddb: Path, done: Removal) -> None:
    """Take our line out of the dictionary."""
    path = raddb / files.DICTIONARY
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    others = [line for line in lines if line.strip() != files.INCLUDE]
    if others != lines:
        whole_file.write(path, "".join(others), 0o777)
        done.removed.append(f"{files.DICTIONARY}: {files.INCLUDE}")


def _calls(raddb: Path) -> Iterator[str]:
    """Where the enabled part of the configuration needs ours, in people's words."""
    own = {raddb / name for name in (*files.FILES, files.GTC)}
    enabled = (raddb / folder for folder in ("sites-enabled", "mods-enabled", "policy.d"))
    paths = [*raddb.glob("*.conf"), *(path for folder in enabled for path in folder.glob("*"))]
    for path in sorted(paths):
        if path.resolve() in own or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            if CALL.search(line.partition("#")[0]):
                yield f"{path}, line {number}: '{line.strip()}' needs ours"
