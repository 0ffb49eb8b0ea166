"""
Our files in a raddb: what they are called, what this version writes into them, and which of them
somebody has edited since.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from radius_smsotp.errors import SmsotpError
from radius_smsotp.raddb.freeradius import FreeRadius

POLICY = "policy.d/smsotp"
FIRST_FACTOR = "policy.d/smsotp_first_factor"

TUNNEL = "mods-config/attr_filter/smsotp_tunnel"
"""What a device may say inside PEAP and TTLS; see ``mods-available/attr_filter_smsotp``."""

POOL_POLICY = "mods-config/smsotp/pool"
"""Shares logins out among instances of our module, where it is linked to."""

FILES = (
    "dictionary.smsotp",
    "mods-available/attr_filter_smsotp",
    # Not "smsotp": a stock raddb has a file of that name, for an older module, rlm_smsotp.
    "mods-available/eap_smsotp",
    "mods-available/python3_smsotp",
    "mods-available/python3_smsotp_delivery",
    "mods-available/python3_smsotp_disk",
    "mods-available/python3_smsotp_pool",
    "mods-config/smsotp/instance",
    POOL_POLICY,
    TUNNEL,
    POLICY,
    FIRST_FACTOR,
    "sites-available/smsotp",
    "sites-available/smsotp-gtc",
    "sites-available/smsotp-inner-tunnel",
)
LINKS = ("mods-enabled/python3_smsotp", "sites-enabled/smsotp")
WIFI_LINKS = (
    "mods-enabled/eap_smsotp",
    "mods-enabled/attr_filter_smsotp",
    "sites-enabled/smsotp-gtc",
    "sites-enabled/smsotp-inner-tunnel",
)
DELIVERY_LINKS = ("mods-enabled/python3_smsotp_delivery",)
DISK_LINKS = ("mods-enabled/python3_smsotp_disk",)
POOL_LINKS = ("mods-enabled/python3_smsotp_pool", "policy.d/smsotp_pool")
INSTANCE_LINKS = (*DELIVERY_LINKS, *DISK_LINKS, *POOL_LINKS)
"""Of the instances beside the first one, where FreeRADIUS runs several; see `instance_links`."""

DICTIONARY = "dictionary"
INCLUDE = "$INCLUDE dictionary.smsotp"
"""The line in `DICTIONARY`, the only one that we add to a file."""

CERTIFICATES = "certs/smsotp"

CLIENTS = "clients.conf"
"""Ours only where the whole raddb is."""

GTC = "mods-config/smsotp/gtc"
"""Port and secret between the tunnels of Wi-Fi and our site, see ``sites-available/smsotp-gtc``."""

WORKERS = re.compile(r"worker\w*\.conf|worker-clients\.conf")
WORKERS_SECRET = "mods-config/smsotp/workers"  # noqa: S105  # the name of a file
"""Of several processes behind a front, which earlier versions made."""

MANIFEST = ".smsotp.json"
"""In raddb: file to SHA-256 of what we wrote, by which an edited file is told from ours."""


def instance_links(server: FreeRadius, *, database: bool) -> tuple[str, ...]:
    """
    Those of `INSTANCE_LINKS` that a server is better off with.

    Args:
        database: Whether the store is one that answers several at once, and is waited for.
    """
    if not server.runs_several_instances:
        return ()
    # A database is waited for in each of the pool: in one place, they would wait for each other.
    return (*DELIVERY_LINKS, *(POOL_LINKS if database else DISK_LINKS))


def target(link: str) -> str:
    """Where a link within raddb leads to, as from the folder that it is in."""
    place, _, name = link.partition("/")
    if place == "policy.d":  # all that is there is enabled
        return f"../{POOL_POLICY}"
    return f"../{place.replace('enabled', 'available')}/{name}"


def folder() -> Path:
    """The folder ``freeradius``, in the installed package or a checkout: for FreeRADIUS's host."""
    package = Path(__file__).resolve().parents[1]
    for place in (package / "freeradius", package.parent / "freeradius"):
        if (place / "raddb" / POLICY).is_file():
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


PACKAGE = Path(__file__).resolve().parents[1]
LIBRARIES = [Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")]


def values(settings: Path) -> dict[str, str]:
    """What `FILES` are filled in with: these settings, and where radiusd finds this package."""
    places = (PACKAGE.parent, *LIBRARIES)
    python_path = ":".join(dict.fromkeys(str(place) for place in places))
    return {"PYTHON_PATH": python_path, "SETTINGS": str(settings.absolute())}


def closed() -> tuple[Path, str] | None:
    """
    What this user cannot read of the program and its libraries, and what helps; None if nothing.

    To be asked with the rights of FreeRADIUS's user, in whose process they are imported.
    """
    # A virtual environment as a whole was made under the umask of its maker.
    whole = Path(sys.prefix).resolve() if sys.prefix != sys.base_prefix else None
    for top in dict.fromkeys(one.resolve() for one in (PACKAGE, *LIBRARIES)):
        if _is_gone(top):  # Debian names a folder of the administrator's, too
            continue
        is_shared = top.name != PACKAGE.name and (whole is None or not top.is_relative_to(whole))
        way = ((str(one), os.X_OK) for one in (*top.parents[::-1], top))
        inside = map(_within, _loaded(top) if is_shared else (top,))
        needs = itertools.chain(way, *inside)
        shut = next((one for one, mode in needs if not os.access(one, mode)), None)
        if shut is None:
            continue
        path = Path(shut)
        if path in (whole or top).parents:
            remedy = "install it where every user can get to, into /opt"
            return path, f"{remedy}: see docs/tutorial/freeradius.rst"
        place = whole if whole is not None and top.is_relative_to(whole) else top
        return path, f"chmod -R go+rX {place}"
    return None


LATER = ("psycopg", "psycopg_binary", "psycopg_c", "psycopg_pool", "smpplib")
"""Imported by what needs them."""


def _loaded(library: Path) -> Iterator[Path]:
    """What is ours in a library that others have put theirs into, too."""
    for name in sorted({*(one.partition(".")[0] for one in sys.modules), *LATER}):
        for path in (library / name, library / f"{name}.py"):
            if os.path.lexists(path):
                yield path


def _is_gone(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # it may be there: this user cannot look
        return False
    return False


def _within(top: Path) -> Iterator[tuple[str, int]]:
    """What Python may import, and how; what it has compiled itself it can do without."""
    yield str(top), os.R_OK if top.suffix == ".py" else os.R_OK | os.X_OK
    for folder, folders, names in os.walk(top):
        folders[:] = [one for one in folders if one != "__pycache__"]
        # Texts, as these may be ten thousand files.
        for one in folders:
            yield f"{folder}/{one}", os.R_OK | os.X_OK
        for one in names:
            yield f"{folder}/{one}", os.R_OK


def find(raddb: Path) -> Path:
    """A raddb that is there, by its absolute path.  Raises SmsotpError if it is none."""
    if not (raddb / "radiusd.conf").is_file():
        raise SmsotpError(f"{raddb} holds no radiusd.conf; name a raddb with --raddb")
    return raddb.absolute()


def digest(content: bytes) -> str:
    """What the manifest holds of a file."""
    return hashlib.sha256(content).hexdigest()


def manifest(raddb: Path) -> dict[str, str]:
    """The manifest of a raddb, empty if it has none."""
    path = raddb / MANIFEST
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def irreplaceable(raddb: Path) -> list[str]:
    """
    What is ours in a raddb and cannot be made again: certificates, and what somebody has edited.

    With them goes the manifest, by which an edited file is known as one; of a raddb that
    `raddb.install.create` has made, the secrets of the clients as well.

    Raises:
        OSError: This user may not read it.
    """
    written = manifest(raddb)
    if not written:
        return []
    made = sorted((raddb / CERTIFICATES).iterdir()) if (raddb / CERTIFICATES).is_dir() else []
    names = [MANIFEST, *(str(one.relative_to(raddb)) for one in made)]
    if CLIENTS in written:
        names.append(CLIENTS)
    for name in sorted({*FILES, *written} - {*names}):
        path = raddb / name
        if path.is_file() and digest(path.read_bytes()) != written.get(name):
            names.append(name)
    return [name for name in names if (raddb / name).is_file()]


State = Literal["missing", "current", "older", "edited", "edited and older"]


def compare(raddb: Path, settings: Path) -> dict[str, State]:
    """
    What each of our files in a raddb is like, beside the one that this version would write.

    Raises:
        OSError: This user may not read it.
    """
    written, filled = manifest(raddb), values(settings)
    return {name: state(raddb / name, written.get(name), text(name, filled)) for name in FILES}


def state(path: Path, written: str | None, text: str) -> State:
    """
    What one file is like.

    Args:
        written: The digest of what was written there by us; None if nothing was.
        text: What this version would write.
    """
    if not path.exists():
        return "missing"
    found, wanted = digest(path.read_bytes()), digest(text.encode())
    if found == wanted:
        return "current"
    if found == written:
        return "older"
    return "edited" if written == wanted else "edited and older"


DEFINED = re.compile(r"(?m)^\s*(smsotp_\w+)\s*\{")
CALLED = re.compile(r"(?m)^\s*(smsotp_\w+)(?:\.authorize)?\s*$")


def refuse_old(raddb: Path) -> None:
    """
    Stop before anything is changed, if an edited policy lacks what our sites and policies call.

    FreeRADIUS would not start any more, and nobody but the administrator can merge the two.

    Raises:
        SmsotpError: It does.
    """
    written = manifest(raddb)
    callers = [*source("sites-available").glob("smsotp*"), source(POLICY)]
    called = {name for caller in callers for name in CALLED.findall(_read(caller))}
    problems = []
    for policy in (POLICY, FIRST_FACTOR):
        path, new = raddb / policy, source(policy)
        if not path.exists() or digest(path.read_bytes()) == written.get(policy):
            continue
        needed = called & set(DEFINED.findall(_read(new)))
        if lacking := sorted(needed - set(DEFINED.findall(_read(path)))):
            problems.append(
                f"{path} was edited in an older version, and lacks {', '.join(lacking)}; put your "
                f"changes into a copy of {new}, and that in its place; nothing was changed"
            )
    if problems:
        raise SmsotpError("\n".join(problems))


def has_workers(raddb: Path) -> bool:
    """Whether an earlier version has made a raddb of several processes."""
    return "worker.conf" in manifest(raddb)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
