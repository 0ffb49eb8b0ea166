"""
The FreeRADIUS on this machine: where it is, which version, what it can do.

Each system has a place, a name and a layout of its own: the program itself tells where it reads its
configuration, and that where its modules are.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from radius_smsotp.errors import RADDBS, ConfigurationError, Problem, package_command
from radius_smsotp.raddb import configuration

SECOND_INSTANCE_FROM = (3, 2, 7)
"""Before, a second python3 instance aborts the server (FreeRADIUS issue 5111)."""

MITIGATED_FROM = (3, 2, 5)
"""The first that knows ``limit_proxy_state``, against BlastRADIUS (CVE-2024-3596)."""

PLACES = ("/usr/sbin", "/usr/local/sbin", "/sbin")

UNITS = (
    "/etc/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
"""systemd.unit(5), "System Unit Search Path", without what is made at run time."""

SCRIPTS = "/etc/init.d"
"""Those of OpenRC."""


@dataclass(frozen=True, slots=True)
class FreeRadius:
    """
    An installed FreeRADIUS.

    Attributes:
        version: As (3, 2, 1).
        raddb: Where it reads its configuration unless it is told otherwise; None if it does not
            say.
    """

    program: Path
    version: tuple[int, int, int]
    raddb: Path | None = None

    @property
    def runs_several_instances(self) -> bool:
        """Whether those of `files.INSTANCE_LINKS` may be enabled."""
        return self.version >= SECOND_INSTANCE_FROM

    @property
    def limits_proxy_state(self) -> bool:
        """Whether it keeps BlastRADIUS out by itself, where ``clients.conf`` says so."""
        return self.version >= MITIGATED_FROM

    @property
    def libdir(self) -> str:
        """Where its modules are, as ``radiusd.conf`` has it: folders, with colons between them."""
        # The modules of another version do not load: "magic number mismatch".
        if self.raddb is not None and (said := _said(self.raddb, "libdir")):
            return said
        prefix, version = self.program.parent.parent, ".".join(map(str, self.version))
        for name in ("lib/freeradius", "lib64/freeradius", f"lib/freeradius-{version}"):
            if (prefix / name).is_dir():
                return str(prefix / name)
        alone = any((prefix / "lib").glob("rlm_*.so"))  # from source
        return str(prefix / "lib") if alone else "/usr/lib/freeradius"

    def module(self, name: str) -> Path:
        """Where a module is, or should be: ``rlm_NAME.so``."""
        paths = [Path(folder) / f"rlm_{name}.so" for folder in self.libdir.split(":")]
        return next((path for path in paths if path.exists()), paths[0])


def _said(raddb: Path, key: str) -> str:
    """What ``radiusd.conf`` assigns to a name, its variables filled in; "" if it does not say."""
    try:
        file = configuration.read(raddb / "radiusd.conf")
    except OSError:
        return ""
    value, most = file.value(key), len(file.lines)
    while configuration.VARIABLE.search(value) and most:
        value, most = configuration.VARIABLE.sub(lambda name: file.value(name[1]), value), most - 1
    return value


def find() -> FreeRadius | None:
    """The FreeRADIUS of this machine: ``freeradius`` on Debian, ``radiusd`` elsewhere."""
    for name in ("freeradius", "radiusd"):
        program = shutil.which(name) or shutil.which(name, path=":".join(PLACES))
        if program is None:
            continue
        version = re.search(r"Version (\d+)\.(\d+)\.(\d+)", _told(program, "-v"))
        if version:
            numbers = (int(version[1]), int(version[2]), int(version[3]))
            place = re.search(r"(?m)^ *-d <raddb>.*\(defaults to (\S+?)\)", _told(program, "-h"))
            return FreeRadius(Path(program), numbers, Path(place[1]) if place else None)
    return None


def _told(program: str, option: str) -> str:
    """What it prints, "" if it does not run."""
    try:
        done = subprocess.run(  # noqa: S603  # a program of the system
            [program, option], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr


def installed() -> FreeRadius:
    """The same.  Raises ConfigurationError if there is none."""
    if (server := find()) is None:
        remedy = package_command("freeradius", "freeradius-python3")
        raise ConfigurationError([Problem("FreeRADIUS", "is not installed", remedy)])
    return server


def raddb() -> Path:
    """The configuration that the FreeRADIUS of this machine reads, else one of a usual place."""
    server = find()
    own = [server.raddb] if server and server.raddb else []
    for folder in (*own, *map(Path, RADDBS)):
        try:
            if (folder / "radiusd.conf").exists():
                return folder
        except PermissionError:  # this user may not look into it
            return folder
    return (own or [Path(RADDBS[0])])[0]


def has_unit(name: str) -> bool:
    """Whether there is such a unit of systemd, enabled or not."""
    return any(Path(folder, name).exists() for folder in UNITS)


def restart() -> str:
    """What makes it read its configuration again, as this system has it."""
    for name in ("freeradius", "radiusd"):
        if has_unit(f"{name}.service"):
            return f"restart FreeRADIUS: systemctl restart {name}"
        if shutil.which("rc-service") and Path(SCRIPTS, name).exists():
            return f"restart FreeRADIUS: rc-service {name} restart"
    return "restart FreeRADIUS"
