"""What stands where: one place for each thing, and imports that point one way."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import radius_smsotp

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGE = Path(radius_smsotp.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
LOOK_AGAIN = 600
"""Lines after which a file is likely to have two subjects."""

FLOORS = 10
"""How many rooms may stand on top of each other, each importing the one below it."""

AT_THE_ROOT = {"__init__", "__main__", "errors", "hooks", "server"}

MODEL, VALUES = {"model"}, {"model", "errors"}
SETTINGS = {*VALUES, "settings", "providers"}
DELIVERY = {*SETTINGS, "delivery", "store"}
LOGIN = {*VALUES, "settings", "store", "delivery", "login"}
MAY_IMPORT = {
    "model": MODEL,
    "errors": MODEL,
    "providers": {*VALUES, "providers"},
    "store": {*VALUES, "store"},
    "raddb": {"errors", "settings", "raddb"},
    "settings": SETTINGS,
    "delivery": DELIVERY,
    "login": LOGIN,
    "radius": {"model", "login", "radius"},
    "server": {*DELIVERY, "login"},
    "hooks": {"radius", "server", "login", "errors", "settings", "store"},
    "cli": {*DELIVERY, "login", "radius", "server", "raddb", "cli"},
    "__main__": {"cli"},
}
"""Room, or module at the root, to the rooms that it may import."""

ONLY = {
    ("radius", "login"): {"radius_smsotp.login.request", "radius_smsotp.login.answers"},
    ("raddb", "settings"): {"radius_smsotp.settings.whole_file"},
}
"""A room, and one of which it needs no more: question and answer; how files are written."""


def room(path: Path) -> str:
    """Which room of the package a module is in; of one at the root, its own name."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def name(path: Path) -> str:
    """The dotted name of a module."""
    dotted = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    return dotted.removesuffix(".__init__")


NAMES = {name(one) for one in MODULES}


@functools.cache
def read(path: Path) -> str:
    """A module."""
    return path.read_text("utf-8")


@functools.cache
def tree(path: Path) -> ast.Module:
    """A module, parsed."""
    return ast.parse(read(path))


@functools.cache
def imported(path: Path) -> set[str]:
    """Every module that is imported anywhere in a file, under TYPE_CHECKING too."""
    names: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno}: imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def own_imports(path: Path, *, at_run_time: bool = False) -> set[str]:
    """
    The modules of this package that a module imports.

    Args:
        at_run_time: Leave out what stands under TYPE_CHECKING or within a function.
    """
    if at_run_time:
        found: set[str] = set()
        for node in tree(path).body:
            if isinstance(node, ast.ImportFrom):
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    else:
        found = imported(path)
    modules = {one if one in NAMES else one.rpartition(".")[0] for one in found}
    return {one for one in modules & NAMES if one != "radius_smsotp"}


def graph() -> dict[str, set[str]]:
    """Module to the modules that it imports anywhere, itself left out."""
    return {name(path): own_imports(path) - {name(path)} for path in MODULES}


def texts(path: Path) -> list[str]:
    """Every string of a module that is no docstring."""
    nodes = list(ast.walk(tree(path)))
    docstrings = {
        id(node.value)
        for node in nodes
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return [
        node.value
        for node in nodes
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
    ]


def floors(imports: dict[str, set[str]]) -> dict[str, int]:
    """On which floor each stands: one above the highest that it imports; fails on a circle."""
    found: dict[str, int] = {}

    def floor(one: str, above: tuple[str, ...]) -> int:
        assert one not in above, " -> ".join((*above, one))
        if one not in found:
            below = (floor(other, (*above, one)) for other in imports.get(one, ()))
            found[one] = 1 + max(below, default=0)
        return found[one]

    for one in imports:
        floor(one, ())
    return found


def faulty(wrong: Callable[[Path], object]) -> list[str]:
    """The modules of which something is so."""
    return [str(path.relative_to(PACKAGE)) for path in MODULES if wrong(path)]


def test_imports_point_one_way() -> None:
    """hooks, cli -> radius, server -> login -> delivery -> settings -> providers, store."""

    def wrong(path: Path) -> bool:
        allowed = MAY_IMPORT.get(room(path), set())
        found = {one: one.split(".")[1] for one in own_imports(path)}
        beyond = {one for one, where in found.items() if where not in allowed}
        more = [
            {one for one, where in found.items() if where == below} - modules
            for (above, below), modules in ONLY.items()
            if room(path) == above
        ]
        # `python -m radius_smsotp` and nobody else starts at the top.
        return bool(beyond - {"radius_smsotp.__main__"}) or any(more)

    assert faulty(wrong) == []


def test_only_the_hooks_import_radiusd() -> None:
    """Everything else runs and is tested without FreeRADIUS."""
    roots = {path: {one.partition(".")[0] for one in imported(path)} for path in MODULES}
    assert faulty(lambda path: "radiusd" in roots[path]) == ["hooks.py"]


def test_sql_stands_in_the_store() -> None:
    """A statement elsewhere would bypass the contract that every store keeps."""
    statement = re.compile(
        r"\b(SELECT\b.*\bFROM|INSERT INTO|UPDATE \w+ SET|DELETE FROM|CREATE (TABLE|INDEX)"
        r"|BEGIN IMMEDIATE|PRAGMA) ",
        re.DOTALL,
    )
    found = faulty(lambda path: any(statement.search(text) for text in texts(path)))
    assert found
    assert [one for one in found if not one.startswith("store/")] == []


def test_codes_are_compared_in_one_place() -> None:
    """In constant time, in `model.code.matches`."""
    assert faulty(lambda path: "compare_digest" in read(path)) == ["model/code.py"]


def test_a_file_has_one_subject() -> None:
    """It is as long as that takes, but nobody reads much more in one go."""
    assert faulty(lambda path: len(read(path).splitlines()) > LOOK_AGAIN) == []


def test_every_module_says_what_it_is_for() -> None:
    """Each begins with a docstring, and nothing is left to be done."""
    left = re.compile(rf"\b({'TO' + 'DO'}|{'FIX' + 'ME'}|{'X' * 3})\b")
    assert faulty(lambda path: not ast.get_docstring(tree(path)) or left.search(read(path))) == []


def test_the_root_is_nearly_empty() -> None:
    """Who comes in finds rooms, not boxes."""
    assert {path.stem for path in PACKAGE.glob("*.py")} == AT_THE_ROOT


def test_no_module_imports_itself_round_about() -> None:
    """Neither at run time nor for its types: what is needed on both sides stands below both."""
    assert floors(graph())


def test_the_house_is_low() -> None:
    """Rooms stand on rooms, never round about."""
    imports: dict[str, set[str]] = {}
    for path in MODULES:
        below = {one.split(".")[1] for one in own_imports(path)}
        imports.setdefault(room(path), set()).update(below - {room(path)})
    assert max(floors(imports).values()) <= FLOORS


def test_a_login_imports_only_what_it_needs() -> None:
    """radiusd loads no HTTP library, no serial lines, no command line."""
    program = (
        "import sys, radius_smsotp.server\n"
        "from radius_smsotp.radius import packets, process\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.split()
    assert "pyotp" in shown
    unwanted = {"requests", "urllib3", "serial", "smpplib", "click", "rich", "pyrad", "asyncio"}
    assert not unwanted & set(shown)


def test_no_text_of_the_package_is_formatted_by_its_values() -> None:
    """`str.format` on a text from settings or FreeRADIUS would reach into objects."""
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            # A literal is ours; `super().format(record)` is a logging.Formatter's.
            if node.func.attr in {"format", "format_map"}:
                assert isinstance(node.func.value, ast.Constant | ast.Call), path.name
