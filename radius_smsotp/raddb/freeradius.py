"""The FreeRADIUS on this machine: where it is, which version, what it can do."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from radius_smsotp.errors import ConfigurationError, Problem

SECOND_INSTANCE_FROM = (3, 2, 7)
"""Before, a second python3 instance aborts the server (FreeRADIUS issue 5111)."""

MITIGATED_FROM = (3, 2, 5)
"""The first that knows ``limit_proxy_state``, against BlastRADIUS (CVE-2024-3596)."""

PLACES = ("/usr/sbin", "/usr/local/sbin", "/sbin")


@dataclass(frozen=True, slots=True)
class FreeRadius:
    """An installed FreeRADIUS.  `version` as (3, 2, 1)."""

    program: Path
    version: tuple[int, int, int]

    @property
    def runs_several_instances(self) -> bool:
        """Whether those of `files.INSTANCE_LINKS` may be enabled."""
        return self.version >= SECOND_INSTANCE_FROM

    @property
    def limits_proxy_state(self) -> bool:
        """Whether it keeps BlastRADIUS out by itself, where ``clients.conf`` says so."""
        return self.version >= MITIGATED_FROM

    @property
    def libdir(self) -> Path:
        """Where its modules are."""
        prefix = self.program.parent.parent
        for name in ("lib/freeradius", "lib64/freeradius"):
            if (prefix / name).is_dir():
                return prefix / name
        return Path("/usr/lib/freeradius")


def find() -> FreeRadius | None:
    """The FreeRADIUS of this machine: ``freeradius`` on Debian, ``radiusd`` elsewhere."""
    for name in ("freeradius", "radiusd"):
        program = shutil.which(name) or shutil.which(name, path=":".join(PLACES))
        if program is None:
            continue
        try:
            told = subprocess.run(  # noqa: S603  # a program of the system, found above
                [program, "-v"], capture_output=True, text=True, timeout=10, check=False
            ).stdout
        except (OSError, subprocess.TimeoutExpired):
            continue
        version = re.search(r"Version (\d+)\.(\d+)\.(\d+)", told)
        if version:
            numbers = (int(version[1]), int(version[2]), int(version[3]))
            return FreeRadius(Path(program), numbers)
    return None


def installed() -> FreeRadius:
    """The same.  Raises ConfigurationError if there is none."""
    if (server := find()) is None:
        fault, remedy = "is not installed", "apt-get install freeradius freeradius-python3"
        raise ConfigurationError([Problem("FreeRADIUS", fault, remedy)])
    return server
