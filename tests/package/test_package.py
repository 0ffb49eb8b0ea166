"""A wheel holds all that a run needs: what is installed from it makes a site by itself."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata

TOP = Path(__file__).parents[2]
DATA = {".conf", ".html", ".service", ".sh", ".smsotp", ".yaml", ".yml", ""}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of the archive of sources that goes to PyPI with it, both of what git has, as a copy."""
    folder = tmp_path_factory.mktemp("package")
    names = ["CHANGELOG.rst", "LICENSE", "MANIFEST.in", "README.rst", "pyproject.toml", "setup.py"]
    names += ["freeradius", "packaging", "radius_smsotp"]
    (folder / "src").mkdir()
    subprocess.run(["cp", "-a", *(TOP / name for name in names), folder / "src"], check=True)
    # As `python -m build` does, which needs the network for an environment of its own.
    build = "import sys, setuptools.build_meta as b; print(b.build_{}(sys.argv[1]))"

    def make(kind: str, place: Path) -> Path:
        command = [sys.executable, "-c", build.format(kind), folder]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return folder / done.stdout.splitlines()[-1]

    archive = make("sdist", folder / "src")
    subprocess.run(["tar", "-xf", archive, "-C", folder], check=True)
    return make("wheel", folder / archive.name.removesuffix(".tar.gz"))


def test_an_index_understands_what_it_says_of_itself(wheel: Path) -> None:
    """Which Python, which licence, and what is needed."""
    inside = zipfile.ZipFile(wheel).read("radius_smsotp-0.1.0.dist-info/METADATA")
    # Debian 12's setuptools has fields that its version of metadata has not.
    said = Metadata.from_email(inside, validate=False)
    assert "MIT" in {said.license_expression, said.license}
    assert said.description_content_type == "text/x-rst"
    floor = str(said.requires_python).removeprefix(">=")
    versions = [one for one in said.classifiers or () if " :: 3." in one]
    assert versions[0].endswith(f" {floor}")
    assert {"postgres", "smpp"} <= {*(said.provides_extra or ())}


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


def test_the_wheel_alone_logs_in(wheel: Path, tmp_path: Path) -> None:
    """In an environment with its libraries and nothing of the checkout; on a real FreeRADIUS."""
    environment = tmp_path / "environment"
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", environment], check=True)
    [libraries] = environment.glob("lib/python3*/site-packages")
    for one in Path(sysconfig.get_path("purelib")).iterdir():
        # An editable installation is of files with its name, and would lead to the checkout.
        if "radius_smsotp" not in one.name:
            (libraries / one.name).symlink_to(one)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    pip += ["--python", environment / "bin" / "python"]
    # A PYTHONPATH that leads to the checkout would have it installed already.
    bare = {"PATH": "/usr/sbin:/usr/bin:/bin"}
    subprocess.run([*pip, "install", "--no-deps", "--no-index", wheel], env=bare, check=True)

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [environment / "bin" / "smsotp", *arguments],
            cwd=tmp_path,
            env=bare,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "Anmeldecode" in run("language", "show", "de")
    assert "clickatell" in run("provider", "preset")
    assert "<- Access-Accept" in run("demo")
