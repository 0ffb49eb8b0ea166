"""What a new installation gets is what the tests run with, and no major version beyond."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.documents import pages

TOP = Path(__file__).parents[2]
CONSTRAINTS = TOP / "packaging" / "constraints.txt"
EXTRAS = ("postgres", "smpp", "docs")
"""That an installation may have, and what the site is made with; the others are for tests."""


def pinned(*, here: bool = False) -> dict[str, str]:
    """Name to version; of all Pythons, or what this one needs."""
    lines = CONSTRAINTS.read_text("utf-8").splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    pins = [one for one in pins if not here or one.marker is None or one.marker.evaluate()]
    found = {canonicalize_name(one.name): str(one.specifier).removeprefix("==") for one in pins}
    assert len(found) == len(pins)
    return found


def needed() -> dict[str, str]:
    """All that an installation with its extras is made of, by what is installed here."""
    todo = [("radius-smsotp", frozenset(EXTRAS))]
    seen: dict[tuple[str, frozenset[str]], str] = {}
    while todo:
        name, extras = one = todo.pop()
        if one in seen:
            continue
        distribution = importlib.metadata.distribution(name)
        seen[one] = distribution.version
        for line in distribution.requires or ():
            wanted = Requirement(line)
            marker = wanted.marker
            if marker is None or any(marker.evaluate({"extra": one}) for one in {"", *extras}):
                todo.append((canonicalize_name(wanted.name), frozenset(wanted.extras)))
    return {name: version for (name, _), version in seen.items() if name != "radius-smsotp"}


def requirements() -> list[Requirement]:
    """What setup.py asks for, without what only tests need."""
    [call] = [
        node
        for node in ast.walk(ast.parse((TOP / "setup.py").read_text("utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setup"
    ]
    said = {word.arg: word.value for word in call.keywords}
    lines = ast.literal_eval(said["install_requires"])
    extras = ast.literal_eval(said["extras_require"])
    every = map(Requirement, [*lines, *(line for one in EXTRAS for line in extras[one])])
    return [one for one in every if one.marker is None or one.marker.evaluate()]


def test_each_version_is_named_and_is_the_one_that_the_tests_run_with() -> None:
    assert pinned(here=True) == needed()


@pytest.mark.parametrize("wanted", requirements(), ids=str)
def test_without_the_file_no_major_version_comes_that_nobody_has_tried(wanted: Requirement) -> None:
    """What an installation from a package index gets."""
    version = pinned()[canonicalize_name(wanted.name)]
    assert version in wanted.specifier
    upper = [one.version for one in wanted.specifier if one.operator == "<"]
    next_major = str(int(version.partition(".")[0]) + 1)
    assert upper == [next_major]


def test_each_way_to_install_takes_it() -> None:
    """As the documents and the container have it."""
    shown = 0
    for name in (*pages.PAGES, "freeradius/container/Dockerfile"):
        text = (TOP / name).read_text("utf-8").replace("\\\n", " ")
        for line in re.findall(
            r"pip\b[^\n`]* (?:install|wheel) .*(?:\. *$|'?\.\[|\[)", text, re.MULTILINE
        ):
            # From a folder that was filled with those versions; where all of them are there.
            if "--no-index" in line or "--no-deps" in line:
                continue
            assert re.search(r"(-c|--constraint) (/src/)?packaging/constraints\.txt", line), line
            shown += 1
    assert shown == 7


def test_a_shell_can_read_the_audit() -> None:
    """It asks PyPI, so that no run of the tests can do it."""
    subprocess.run(["/bin/sh", "-n", TOP / "tests" / "audit.sh"], check=True)
