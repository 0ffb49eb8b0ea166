"""What stands against running on this machine's FreeRADIUS."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from radius_smsotp import freeradius_server
from radius_smsotp.cli import check_raddb
from radius_smsotp.cli.finding import Finding, error, note, warning

if TYPE_CHECKING:
    from pathlib import Path

OLDEST = (3, 0, 22)
"""The first whose `pap` reads our PIN hashes (see `core.pin.digest`)."""

REPLIES_LOST = {(3, 2, 9), (3, 2, 10)}
"""FreeRADIUS issue 5911: outside debug mode no value that Python returns reaches the reply."""

WAITING = {
    "smsotp_delivery": "logins wait for each other's SMS",
    "smsotp_disk": "logins wait for each other's disk",
}
"""Instances in which logins wait, and what holds without."""

INSTANCE = re.compile(r"^[ \t]*python3(?:[ \t]+([\w.-]+))?[ \t]*\{", re.MULTILINE)
"""Where a file of raddb begins an instance of the module; without a name it has the module's."""


def findings(raddb: Path, config: Path) -> list[Finding]:
    """Version, the module that runs Python, its instances in `raddb`, and our files there."""
    server = freeradius_server.find()
    if server is None:
        remedy = "install it: apt-get install freeradius freeradius-python3"
        why = "It is what asks this program for codes."
        return [error("FreeRADIUS", "is not installed here", remedy, why=why)]
    return [
        *version_findings(server.version),
        *_module_findings(server),
        *instance_findings(server, raddb / "mods-enabled"),
        *check_raddb.findings(raddb, config),
    ]


def version_findings(version: tuple[int, int, int]) -> list[Finding]:
    """What is known against one version of FreeRADIUS."""
    path = f"FreeRADIUS {'.'.join(map(str, version))}"
    if version < OLDEST:
        why = "Nobody with a PIN of ours can log in."
        return [error(path, "cannot read the PIN hashes", "install 3.0.22 or later", why=why)]
    if version in REPLIES_LOST:
        fault = "loses every reply of a Python module outside debug mode (issue 5911)"
        why = "No login gets as far as the code."
        return [error(path, fault, "install 3.2.11 or later, or stay on 3.2.8", why=why)]
    return [note(path, "is one that this works on")]


def instance_findings(server: freeradius_server.FreeRadius, enabled: Path) -> list[Finding]:
    """What is known against the python3 instances in a folder of raddb, if it may be read."""
    instances: dict[str, str] = {}
    try:
        for path in sorted(enabled.iterdir()):
            for found in INSTANCE.finditer(path.read_text(encoding="utf-8", errors="replace")):
                instances[found[1] or "python3"] = path.name
    except OSError:
        return []
    if server.runs_several_instances:
        why = "This version could let them wait side by side."
        remedy = "run 'smsotp raddb install' again"
        return [
            warning(str(enabled), f"{fault}: {name} is not enabled", remedy, why=why)
            for name, fault in WAITING.items()
            if "smsotp" in instances and name not in instances
        ]
    if len(instances) < 2:  # one is what works
        return []
    others = [file for name, file in instances.items() if name != "smsotp"]
    fault = f"two python3 instances, {' and '.join(sorted(instances))}, abort this version"
    oldest = ".".join(map(str, freeradius_server.SECOND_INSTANCE_FROM))
    remedy = f"remove {' and '.join(others)} there, or install {oldest} or later"
    why = "FreeRADIUS does not start again."
    return [error(str(enabled), f"{fault} at the start (issue 5111)", remedy, why=why)]


def _module_findings(server: freeradius_server.FreeRadius) -> list[Finding]:
    if not server.libdir.is_dir():
        return []
    module = server.libdir / "rlm_python3.so"
    if not module.exists():
        remedy = "install it: apt-get install freeradius-python3"
        why = "It runs our module."
        return [error("FreeRADIUS", f"its module python3 is missing ({module})", remedy, why=why)]
    embedded = re.search(rb"libpython3\.(\d+)", module.read_bytes())
    if embedded is None or int(embedded[1]) == sys.version_info.minor:
        return []
    # pydantic and others bring code that is compiled for one version of Python.
    theirs, ours = f"3.{int(embedded[1])}", f"3.{sys.version_info.minor}"
    fault = f"runs Python {theirs}, this program runs on Python {ours}"
    why = "Parts of this package are compiled for one version of Python, and fail in another."
    return [warning("FreeRADIUS", fault, f"install radius-smsotp for Python {theirs}", why=why)]
