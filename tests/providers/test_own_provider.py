"""A provider of another package: the worked example, built and installed, and those that fail."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from radius_smsotp import providers
from radius_smsotp.delivery.chain import Chain
from radius_smsotp.errors import ConfigurationError
from radius_smsotp.settings import file
from tests.cli.installation import Installation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EXAMPLE = Path(__file__).parents[2] / "docs" / "how-to" / "own-provider"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Installation]:
    """An installation."""
    one = Installation(tmp_path / "site")
    yield one
    one.close()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example: setuptools leaves traces where it builds."""
    return Path(shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("snpp") / "src"))


@pytest.fixture(scope="module")
def place(source: Path) -> Path:
    """Where it is installed."""
    place = source.with_name("place")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--disable-pip-version-check", "--target", place]
    done = subprocess.run([*command, source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return place


class TestExample:
    """What stands in docs/how-to/own-provider.rst, as somebody else builds and installs it."""

    def test_it_keeps_the_contract(self, source: Path, place: Path) -> None:
        """With the suite of the installed package, and nothing else of our tests."""
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir"]
        done = subprocess.run(
            [*command, source, source],
            cwd=source,
            env={**os.environ, "PYTHONPATH": str(place), "PYTEST_ADDOPTS": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        assert "11 passed" in done.stdout

    def test_its_settings_are_like_ours(self, here: Installation, place: Path) -> None:
        """What is missing, unknown or beyond a range is told in the same words."""
        there = {"PYTHONPATH": str(place)}
        here.write(providers={"pager": {"type": "snpp", "port": 0, "hots": "x"}}, delivery={})
        told = here.call("provider", "list", env=there).stderr
        for path in ("providers.pager.host", "providers.pager.port", "providers.pager.hots"):
            assert path in told, told
        assert "snpp" in here.call("provider", "list").stderr

        pager = {
            "type": "snpp",
            "host": "203.0.113.1",
            "timeout": 0.1,
            "per_second": 2,
            "price": 0.05,
        }
        here.write(providers={"pager": pager})
        shown = json.loads(here.call("provider", "list", "--json", env=there).stdout)
        assert shown["types"][-1] == "snpp"
        assert shown["providers"][0]["type"] == "snpp"
        done = here.call("provider", "test", "pager", "--phone", "+491701234567", env=there)
        assert "messages go there in plain text" in done.stdout + done.stderr
        assert done.returncode == 1


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Makes an installed package that says to have a type."""
    place = tmp_path / "place"
    monkeypatch.syspath_prepend(place)

    def make(kind: str, text: str, name: str = "acme") -> Path:
        about = place / f"{name}-1.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (about / "entry_points.txt").write_text(f"[{providers.GROUP}]\n{kind} = smsotp_{name}\n")
        (place / f"smsotp_{name}.py").write_text(text)
        providers._plugged.cache_clear()
        return place

    yield make
    providers._plugged.cache_clear()
    for name in [one for one in sys.modules if one.startswith("smsotp_acme")]:
        del sys.modules[name]


WHOLE = """
from typing import Literal
from radius_smsotp import providers
class Settings(providers.ProviderSettings):
    type: Literal["acme"]
class Provider(providers.BaseProvider):
    pass
"""


def told(here: Installation, kind: str = "acme") -> str:
    """What a command says of settings with such a provider."""
    here.write(providers={"gateway": {"type": kind}}, delivery={"order": []})
    return here.run("provider", "list").output


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import what_is_not_there", "the package acme cannot be loaded (ModuleNotFoundError: "),
        ("1 / 0", "the package acme cannot be loaded (ZeroDivisionError: "),
        ("", "the package acme has no class Settings that is a ProviderSettings"),
        (
            WHOLE.replace("class Provider(providers.BaseProvider)", "class Provider"),
            "the package acme has no class Provider that is a BaseProvider",
        ),
    ],
    ids=["import", "error", "empty", "another class"],
)
def test_a_package_that_does_not_work_is_told(
    here: Installation, package: Callable[..., Path], text: str, expected: str
) -> None:
    """As a fault of the settings that name it, so FreeRADIUS goes on with those before."""
    package("acme", text)
    assert f"providers.gateway.type: 'acme': {expected}" in told(here)


def test_two_packages_with_one_type_are_told(
    here: Installation, package: Callable[..., Path]
) -> None:
    """Which of them is meant is nobody's guess."""
    package("acme", WHOLE)
    package("acme", WHOLE, "acme2")
    assert "providers.gateway.type: 'acme': acme and acme2 both have it" in told(here)


def test_a_provider_that_breaks_its_promises_is_told(
    here: Installation, package: Callable[..., Path]
) -> None:
    """By `check`, and at the start where it cannot be set up."""
    package("acme", WHOLE)
    assert "gateway" in told(here)
    found = [str(one) for one in chained(here).check()]
    assert found == [
        "providers.gateway: looking at it has failed (NotImplementedError); tell those who have "
        "made it"
    ]
    package("acme3", WHOLE.replace("acme", "acme3").replace("    pass", INIT), "acme3")
    told(here, "acme3")
    with pytest.raises(ConfigurationError) as caught:
        chained(here)
    shown = str(caught.value)
    assert "providers.gateway: its package cannot set it up (ValueError)" in shown
    assert "a password" not in shown


def chained(here: Installation) -> Chain:
    """The providers of its settings."""
    loaded = file.load(here.settings_path)
    return Chain(loaded, here.store, lambda: datetime.now(UTC))


INIT = """
    def __init__(self, *_):
        raise ValueError("a password")
"""


def test_nobody_takes_the_place_of_ours(here: Installation, package: Callable[..., Path]) -> None:
    """A package that calls itself http is not even loaded."""
    package("folder", "raise SystemExit(1)")
    here.write(providers={"gateway": {"type": "folder", "path": "out"}}, delivery={"order": []})
    assert "gateway" in here.done("provider", "list")
    assert providers.types() == providers.TYPES


def test_only_a_type_that_is_named_is_looked_for(
    here: Installation, package: Callable[..., Path]
) -> None:
    """Who has none of them pays for none: not even for a look at what is installed."""
    package("acme", "raise SystemExit(1)")
    assert here.node() is not None
    assert providers._plugged.cache_info().misses == 0
