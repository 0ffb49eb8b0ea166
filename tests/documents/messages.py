"""
What the program says is wrong, and what helps, read out of its source: for the reference.

A message is the call that makes it: `error` and `warning` of ``smsotp check``, `Problem` of the
settings.  What differs from case to case is an ellipsis.
"""

from __future__ import annotations

import ast
import itertools
from typing import TYPE_CHECKING

from tests.documents.pages import TOP

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Known = dict[str, list[str]]

CALLS = {"error", "warning", "Problem"}

TOPICS = {
    "The settings file": (("settings", "errors"), ":ref:`Settings`"),
    "Key, store, accounts": (("store", "server", "cli/site", "cli/check/site"), ":ref:`Stores`"),
    "FreeRADIUS's configuration": (
        ("cli/check/raddb", "cli/check/ways", "raddb"),
        ":ref:`What goes where`",
    ),
    "Clients": (
        ("cli/check/clients", "cli/check/accounting"),
        ":ref:`Clients`, :ref:`Accounting`, :ref:`BlastRADIUS, and RadSec in front`",
    ),
    "Directories and databases": (("cli/check/directories",), ":ref:`A directory that hangs`"),
    "Gateways": (
        ("providers", "delivery", "cli/check/gateways"),
        ":ref:`Gateways`, :ref:`Receipts`",
    ),
    "The machine, and other servers": (
        ("cli/check/host", "cli/check/servers", "cli"),
        ":ref:`A second server`, :ref:`Clocks`",
    ),
}
"""Title to where its messages are made, from the top of the package, and the pages about it."""


def topic(path: str) -> str:
    """Where a module belongs: to the topic that names the longest part of its path."""
    named = [(part, title) for title, (parts, _) in TOPICS.items() for part in parts]
    return max((one for one in named if path.startswith(one[0])), key=lambda one: len(one[0]))[1]


def found() -> Iterator[tuple[str, str, str]]:
    """Topic, fault and remedy of each message, in the order of the source."""
    package = TOP / "radius_smsotp"
    for path in sorted(package.rglob("*.py")):
        for fault, remedy in _of_module(path):
            yield topic(str(path.relative_to(package))), fault, remedy


def _of_module(path: Path) -> Iterator[tuple[str, str]]:
    tree = ast.parse(path.read_text("utf-8"))
    top = _walk([node for node in tree.body if isinstance(node, ast.Assign)], {}, [])
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            calls: list[tuple[str, str]] = []
            _walk(node.body, dict(top), calls)
            yield from calls


def _walk(body: list[ast.stmt], known: Known, calls: list[tuple[str, str]]) -> Known:
    """Follow statements: what names stand for after them, and the messages on the way."""
    for one in body:
        if isinstance(one, ast.FunctionDef):
            continue
        branches = [getattr(one, part, []) for part in ("body", "orelse", "finalbody")]
        branches += [part.body for part in getattr(one, "handlers", [])]
        branches += [part.body for part in getattr(one, "cases", [])]
        if any(branches):
            ends = [_walk(branch, dict(known), calls) for branch in branches if branch]
            for name in {name for end in ends for name in end}:
                every = [text for end in ends for text in end.get(name, [])]
                known[name] = list(dict.fromkeys(every))
            heads = [getattr(one, part, None) for part in ("test", "iter")]
        else:
            heads = [one]
        for head in filter(None, heads):
            calls += [pair for node in ast.walk(head) for pair in _call(node, known)]
        if isinstance(one, ast.Assign):
            known |= {name: _texts(value, known) for name, value in _names(one)}
    return known


def _call(node: ast.AST, known: Known) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in CALLS and node.args[1:]:
        remedies = _texts(node.args[2], known) if node.args[2:] else [""]
        faults = _texts(node.args[1], known)
        # What is chosen together in one branch, is told together.
        pairs = zip(faults, remedies, strict=True) if len(faults) == len(remedies) else None
        for fault, remedy in pairs or itertools.product(faults, remedies):
            if fault.strip("… "):
                yield fault, remedy


def _names(node: ast.Assign) -> Iterator[tuple[str, ast.expr]]:
    target = node.targets[0]
    if isinstance(target, ast.Name):
        yield target.id, node.value
    elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
        pairs = zip(target.elts, node.value.elts, strict=True)
        yield from ((one.id, value) for one, value in pairs if isinstance(one, ast.Name))


def _texts(node: ast.expr, known: Known) -> list[str]:
    """An expression as the texts that it may come to."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            every = [_texts(part, known) for part in parts]
            return ["".join(one) for one in itertools.product(*every)]
        case ast.FormattedValue(value=ast.Name() as inner):
            return _texts(inner, known)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return [a + b for a in _texts(left, known) for b in _texts(right, known)]
        case ast.IfExp(body=body, orelse=other):
            return list(dict.fromkeys([*_texts(body, known), *_texts(other, known)]))
        case ast.Name(id=name) if len(known.get(name, [])) in range(1, 5):
            return known[name]
    return ["…"]
