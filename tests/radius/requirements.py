"""Print what the package and the radius tests need, one requirement a line, from setup.py."""

from __future__ import annotations

import ast
from pathlib import Path

SETUP = Path(__file__).resolve().parents[2] / "setup.py"
TESTS_NEED = ("pytest", "hypothesis", "aiosmtpd", "smspdudecoder", "bitstring", "pycryptodome")


def requirements() -> list[str]:
    """``install_requires``, and of the extra ``test`` what the radius tests import."""
    call = next(
        node
        for node in ast.walk(ast.parse(SETUP.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setup"
    )
    values = {word.arg: word.value for word in call.keywords}
    needed: list[str] = ast.literal_eval(values["install_requires"])
    extra: list[str] = ast.literal_eval(values["extras_require"])["test"]
    return needed + [one for one in extra if one.startswith(TESTS_NEED)]


if __name__ == "__main__":
    print("\n".join(requirements()))
