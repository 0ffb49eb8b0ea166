"""What stands where: one place for each thing, and imports that point one way."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import radius_smsotp

PACKAGE = Path(radius_smsotp.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES = 350

MAY_IMPORT = {
    "core": {"core"},
    "errors": {"core"},
    "extras": set(),
    "store": {"core", "errors", "extras", "store"},
    "providers": {"core", "errors", "extras", "providers"},
    "strict_yaml": {"errors"},
    "setting_types": {"core"},
    "client_settings": {"core", "setting_types"},
    "client_policy": {"client_settings", "core", "languages", "setting_types", "settings"},
    "languages": {"setting_types", "strict_yaml"},
    "settings": {"client_settings", "core", "errors", "setting_types"},
    "settings_file": {
        "client_policy",
        "core",
        "errors",
        "languages",
        "providers",
        "settings",
        "strict_yaml",
    },
    "keyring": {"core", "errors"},
    "pairs": {"core", "eap"},
    "eap": {"core"},
    "outcome": {"core"},
    "audit": {"core", "pairs"},
    "census": {"core", "store"},
    "logs": set(),
    "crew": set(),
}
"""Part of the package to the parts that it may import; those that are not here may all."""

NOBODY_IMPORTS = {"hooks"}
ONLY_OURSELVES = {"cli"}


def part(path: Path) -> str:
    """Which part of the package a module is: a folder, or itself."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def tree(path: Path) -> ast.Module:
    """A module, read."""
    return ast.parse(path.read_text("utf-8"))


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


def parts_imported(path: Path) -> set[str]:
    """Which parts of this package a module imports."""
    own = {name.split(".")[1] for name in imported(path) if name.startswith("radius_smsotp.")}
    return {name for name in own if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists()}


def texts(path: Path) -> list[tuple[int, str]]:
    """Every string of a module that is no docstring, with its line."""
    read = tree(path)
    docstrings = {
        id(node.value)
        for node in ast.walk(read)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return [
        (node.lineno, node.value)
        for node in ast.walk(read)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
class TestEveryModule:
    def test_imports_point_one_way(self, path: Path) -> None:
        """hooks, cli -> service, courier -> core, store, providers."""
        allowed = MAY_IMPORT.get(part(path))
        found = parts_imported(path)
        if allowed is not None:
            assert found <= allowed, found - allowed
        assert not found & NOBODY_IMPORTS
        if part(path) not in {*ONLY_OURSELVES, "__main__"}:
            assert not found & ONLY_OURSELVES

    def test_only_the_hooks_import_radiusd(self, path: Path) -> None:
        """Everything else runs and is tested without FreeRADIUS."""
        names = {name.partition(".")[0] for name in imported(path)}
        assert "radiusd" not in names or path.name == "hooks.py"

    def test_sql_stands_in_the_store(self, path: Path) -> None:
        """A statement elsewhere would bypass the contract that every store keeps."""
        statement = re.compile(
            r"\b(SELECT\b.*\bFROM|INSERT INTO|UPDATE \w+ SET|DELETE FROM|CREATE (TABLE|INDEX)"
            r"|BEGIN IMMEDIATE|PRAGMA) ",
            re.DOTALL,
        )
        found = [line for line, text in texts(path) if statement.search(text)]
        assert not found or part(path) == "store", found

    def test_codes_are_compared_in_one_place(self, path: Path) -> None:
        """In constant time, in `model.code.matches`."""
        if "compare_digest" in path.read_text("utf-8"):
            assert path == PACKAGE / "core" / "code.py"

    def test_a_file_can_be_read_in_one_go(self, path: Path) -> None:
        """What is longer has two subjects."""
        assert len(path.read_text("utf-8").splitlines()) <= MOST_LINES

    def test_it_says_what_it_is_for(self, path: Path) -> None:
        """Every module begins with a docstring, and nothing is left to be done."""
        assert ast.get_docstring(tree(path))
        for mark in ("TO" + "DO", "FIX" + "ME", "X" * 3):
            assert not re.search(rf"\b{mark}\b", path.read_text("utf-8"))


def test_a_login_imports_only_what_it_needs() -> None:
    """radiusd loads no HTTP library, no serial lines, no command line."""
    program = (
        "import sys, radius_smsotp.server, radius_smsotp.logs, radius_smsotp.pairs\n"
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
