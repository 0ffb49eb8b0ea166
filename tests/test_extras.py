"""The command that installs an extra is one that works where it is shown."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from radius_smsotp import errors

PACKAGE = Path(errors.__file__).parent


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A virtual environment, as far as it matters, with this package in it."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pip").touch()
    (tmp_path / "pyvenv.cfg").touch()
    shutil.copytree(PACKAGE, tmp_path / "lib" / "python3.11" / "site-packages" / PACKAGE.name)
    return tmp_path


def command(packages: Path) -> str:
    """What is shown by a Python that is not that of the environment: that inside radiusd."""
    program = "from radius_smsotp import errors; print(errors.extra_command('smpp'))"
    return subprocess.run(
        ["/usr/bin/python3", "-c", program],
        cwd="/",
        env={"PYTHONPATH": str(packages)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def test_it_is_the_pip_of_the_environment_that_the_package_is_in(place: Path) -> None:
    """As /opt/radius-smsotp: Debian's own pip refuses, and another one installs elsewhere."""
    found = command(place / "lib" / "python3.11" / "site-packages")
    assert found == f"{place}/bin/pip install 'radius-smsotp[smpp]'"


def test_where_there_is_none_it_is_pip(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "dist-packages" / PACKAGE.name)
    assert command(tmp_path / "dist-packages") == "pip install 'radius-smsotp[smpp]'"


@pytest.mark.parametrize(
    ("manager", "expected"),
    [
        ("apt-get", "apt-get install --reinstall ./radius-smsotp_*.deb"),
        ("dnf", "dnf reinstall ./radius-smsotp-*.rpm"),
    ],
)
def test_a_package_of_the_system_is_installed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manager: str, expected: str
) -> None:
    """It has all extras: one that is missing was lost."""
    (tmp_path / manager).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(errors, "PACKAGED", PACKAGE.parent)
    assert errors.extra_command("smpp") == expected


def test_a_checkout_names_the_pip_of_its_python() -> None:
    if (Path(sys.prefix) / "pyvenv.cfg").exists():
        assert errors.extra_command("smpp").startswith(f"{sys.prefix}/bin/pip ")
