"""What packages are built from, read in short: building them has commands of its own."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from radius_smsotp import __version__, errors
from radius_smsotp.raddb import files

TOP = Path(__file__).parents[2]
PACKAGING = TOP / "packaging"
DEBIAN = PACKAGING / "deb" / "debian"
SPEC = (PACKAGING / "rpm" / "radius-smsotp.spec").read_text("utf-8")

SCRIPTS = [*PACKAGING.rglob("*.sh"), *DEBIAN.glob("*.p[or]*"), PACKAGING / "upgrade"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda one: one.name)
def test_a_shell_can_read_it(script: Path) -> None:
    subprocess.run(["/bin/sh", "-n", script], check=True)


def test_the_spec_file_is_of_this_version() -> None:
    assert re.findall(r"(?m)^Version: +(\S+)$", SPEC) == [__version__]


def test_rpm_understands_the_spec_file() -> None:
    """All of it, to the files that it lists."""
    command = ["rpmspec", "-q", "--qf", "%{name} %{version} %{license}"]
    command += [str(PACKAGING / "rpm" / "radius-smsotp.spec")]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.stdout == f"radius-smsotp {__version__} MIT", told.stderr


def test_the_selinux_module_compiles(tmp_path: Path) -> None:
    """With the label of its files."""
    room = PACKAGING / "rpm"
    module, package = tmp_path / "radius_smsotp.mod", tmp_path / "radius_smsotp.pp"
    for command in (
        ["checkmodule", "-M", "-m", "-o", module, room / "radius_smsotp.te"],
        ["semodule_package", "-o", package, "-m", module, "-f", room / "radius_smsotp.fc"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert b"radiusd_etc_rw_t" in package.read_bytes()


def test_all_packages_keep_the_program_in_one_place() -> None:
    """FreeRADIUS's configuration names it, and outlives an upgrade of the whole system."""
    place = "/usr/lib/radius-smsotp"
    assert f'sys.path.insert(0, "{place}")' in (PACKAGING / "smsotp").read_text("utf-8")
    assert f'"{place}:' in (PACKAGING / "upgrade").read_text("utf-8")
    assert Path(place) == errors.PACKAGED
    assert f"%global place {place}\n" in SPEC
    assert f"place = debian/radius-smsotp{place}\n" in (DEBIAN / "rules").read_text("utf-8")
    # By this `upgrade` knows a site that runs from there.
    lines = files.text("mods-available/python3_smsotp", {"PYTHON_PATH": f"{place}:/more"})
    assert f'python_path = "{place}:' in lines


@pytest.mark.parametrize("unit", sorted((TOP / "freeradius/systemd").iterdir()), ids=str)
def test_a_unit_can_be_turned_into_that_of_a_package(unit: Path) -> None:
    """By what packages replace in it."""
    text = unit.read_text("utf-8")
    if unit.suffix == ".service":
        assert re.search(r"(?m)^ExecStart=/usr/local/bin/smsotp ", text)
        assert re.findall(r"(?m)^(User|Group)=(\w+)$", text) == [
            ("User", "freerad"),
            ("Group", "freerad"),
        ]
