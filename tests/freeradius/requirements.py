"""Print what the package and the radius tests need, one requirement a line, from setup.py."""

from __future__ import annotations

import ast
from pathlib import Path

SETUP = Path(__file__).resolve().parents[2] / "setup.py"
TESTS_NEED = ("pytest", "hypothesis", "aiosmtpd", "smspdudecoder", "bitstring", "pycryptodome")


def requirements() -> list[str]:
    """``install_requires``, the extra ``postgres``, and what the tests import of ``test``."""
    call = next(
        node
        for node in ast.walk(ast.parse(SETUP.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setup"
    )
    values = {word.arg: word.value for word in call.keywords}
    needed: list[str] = ast.literal_eval(values["install_requires"])
    extras: dict[str, list[str]] = ast.literal_eval(values["extras_require"])
    of_tests = [one for one in extras["test"] if one.startswith(TESTS_NEED)]
    return needed + extras["postgres"] + of_tests


if __name__ == "__main__":
    print("\n".join(requirements()))
