"""A wheel holds all that a run needs: what is installed from it makes a site by itself."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
DATA = {".conf", ".html", ".service", ".sh", ".smsotp", ".yaml", ".yml", ""}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that is built of what git has, as a copy: setuptools leaves traces where it builds."""
    folder = tmp_path_factory.mktemp("package")
    names = ["LICENSE", "README.rst", "pyproject.toml", "setup.py", "freeradius", "radius_smsotp"]
    (folder / "src").mkdir()
    subprocess.run(["cp", "-a", *(TOP / name for name in names), folder / "src"], check=True)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    command += ["--disable-pip-version-check", "-w", folder, folder / "src"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def test_every_file_of_the_package_is_in_it(wheel: Path) -> None:
    """FreeRADIUS's files too, with the languages, the presets and the page."""
    inside = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        str(path.relative_to(TOP))
        for path in (TOP / "radius_smsotp").rglob("*")
        if path.suffix in {".py", ".yaml", ".html", ".typed"}
    }
    expected |= {
        f"radius_smsotp/{path.relative_to(TOP)}"
        for path in (TOP / "freeradius").rglob("*")
        if path.is_file() and path.suffix in DATA
    }
    assert {
        "radius_smsotp/freeradius/raddb/policy.d/smsotp",
        "radius_smsotp/settings/languages/de.yaml",
    } <= inside
    assert not expected - inside
    assert not [name for name in inside if name.startswith("tests")]


def test_it_makes_a_site_and_a_raddb(wheel: Path, tmp_path: Path) -> None:
    """Installed alone, beside the libraries that are here."""
    place = tmp_path / "site-packages"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*command, "--disable-pip-version-check", "--target", place, wheel], check=True)
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/bin",
        "PYTHONPATH": f"{place}:{sysconfig.get_path('purelib')}",
        "SMSOTP_CONFIG": f"{tmp_path}/site/smsotp.yaml",
    }

    def run(*arguments: str) -> str:
        # -S: an editable installation would put the checkout before all.
        program = [sys.executable, "-S", "-m", "radius_smsotp", *arguments]
        done = subprocess.run(
            program, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("init", f"{tmp_path}/site")
    run("raddb", "create", f"{tmp_path}/raddb")
    assert str(place) in (tmp_path / "raddb/mods-available/python3_smsotp").read_text("utf-8")
    assert "Anmeldecode" in run("language", "show", "de")
    assert "clickatell" in run("provider", "preset")
    # FreeRADIUS finds the package by what was written; the libraries lie elsewhere here only.
    path = tmp_path / "raddb/mods-available/python3_smsotp"
    libraries = sysconfig.get_path("purelib")
    path.write_text(path.read_text("utf-8").replace(f"{place}:", f"{place}:{libraries}:", 1))
    found = subprocess.run(
        ["freeradius", "-C", "-l", "stdout", "-d", f"{tmp_path}/raddb"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": environment["PATH"]},
    )
    assert found.returncode == 0, found.stdout
