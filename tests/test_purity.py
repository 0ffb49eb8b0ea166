"""The rules are pure: values in, values out."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import radius_smsotp

PACKAGE = Path(radius_smsotp.__file__).parent
MODULES = sorted(
    [
        *(PACKAGE / "model").glob("*.py"),
        PACKAGE / "login" / "rules.py",
        PACKAGE / "delivery" / "breaker.py",
        PACKAGE / "providers" / "http" / "request.py",
        PACKAGE / "providers" / "http" / "answer.py",
        PACKAGE / "providers" / "http" / "signing.py",
        PACKAGE / "providers" / "modem" / "pdu.py",
    ]
)
"""Whatever decides, encodes or judges: the rules, and the two sides of every gateway's answer."""

PURE = {
    "__future__",
    "base64",
    "collections",
    "dataclasses",
    "datetime",
    "difflib",
    "enum",
    "functools",
    "http",  # the names of status codes
    "hashlib",
    "hmac",
    "html",
    "ipaddress",
    "itertools",
    "json",
    "math",
    "re",
    "string",
    "struct",
    "typing",
    "unicodedata",
    "phonenumbers",
    "pyotp",
}
"""What they may import besides each other: nothing here reads, writes, waits or throws dice."""

PARTS = {"email.utils", "urllib.parse"}
"""Of packages whose other modules are not pure."""

OURS = {
    "radius_smsotp.model",
    "radius_smsotp.errors",
    "radius_smsotp.providers",  # the contract: what is sent, and what comes of it
    "radius_smsotp.providers.template",
    "radius_smsotp.providers.excerpt",
    "radius_smsotp.providers.http.request",
    "radius_smsotp.providers.modem",
}

CLOCKS_AND_DICE = {"now", "utcnow", "today", "random_base32", "random_hex"}
"""Functions of the modules above that are not pure."""

EFFECTS = {"open", "print", "input", "exec", "eval", "compile", "__import__", "breakpoint"}


def imported(tree: ast.AST) -> set[str]:
    """Every module that is imported anywhere in a file, under TYPE_CHECKING too."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names.add(node.module or "")
            if node.module == "radius_smsotp":
                names |= {f"radius_smsotp.{alias.name}" for alias in node.names}
                names.remove("radius_smsotp")
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
class TestEveryModule:
    def test_it_imports_only_what_is_pure(self, path: Path) -> None:
        """And nothing of ours but values, and errors, which are values too."""
        for name in imported(ast.parse(path.read_text("utf-8"))):
            ours = name in OURS or name.startswith("radius_smsotp.model")
            assert ours or name.partition(".")[0] in PURE or name in PARTS, (
                f"{path.name} imports {name}"
            )

    def test_it_asks_no_clock_and_throws_no_dice(self, path: Path) -> None:
        """The time is an argument, and so is whatever must not be guessed."""
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute):
                assert node.attr not in CLOCKS_AND_DICE, f"{path.name}:{node.lineno}"

    def test_it_has_no_effect(self, path: Path) -> None:
        """It opens nothing, prints nothing, and changes nothing of its module."""
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            where = f"{path.name}:{getattr(node, 'lineno', 0)}"
            assert not isinstance(node, ast.Global | ast.Nonlocal), where
            if isinstance(node, ast.Name):
                assert node.id not in EFFECTS, where


def test_there_are_modules_to_look_at() -> None:
    """These tests would be silent otherwise."""
    names = {path.name for path in MODULES}
    assert {"rules.py", "code.py", "breaker.py", "answer.py", "pdu.py"} <= names
