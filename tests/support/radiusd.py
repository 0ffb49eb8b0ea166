"""
A stand-in for `radiusd`, the module that rlm_python3 provides inside FreeRADIUS; and what
rlm_python3 does with what a hook returns.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

CODES = ("REJECT", "FAIL", "OK", "HANDLED", "INVALID", "USERLOCK", "NOTFOUND", "NOOP", "UPDATED")
"""rlm_rcode_t of FreeRADIUS 3.2, by number."""

LEVELS = {"L_INFO": 3, "L_ERR": 4, "L_WARN": 5}

LISTS = ("request", "reply", "config", "session-state", "proxy-request", "proxy-reply")


class Radiusd(ModuleType):
    """
    The module `radiusd`.

    Args:
        settings: What ``config`` of the instance says; none of it if None.

    Attributes:
        logged: What was written to FreeRADIUS's log.
    """

    def __init__(self, settings: Path | str | None = None) -> None:
        super().__init__("radiusd")
        self.logged: list[str] = []
        for number, name in enumerate(CODES):
            setattr(self, f"RLM_MODULE_{name}", number)
        for name, value in LEVELS.items():
            setattr(self, name, value)
        if settings is not None:
            self.config = {"settings": str(settings)}

    def radlog(self, level: int, text: str) -> None:
        """Write a line to the log: ``PyArg_ParseTuple(args, "is", …)``."""
        assert level in LEVELS.values()
        text.encode()
        assert "\0" not in text
        self.logged.append(text)

    def load(self) -> Any:
        """The hooks, imported for the first time by this process, as rlm_python3 does."""
        sys.modules["radiusd"] = self
        return importlib.import_module("radius_smsotp.hooks")


class Called(NamedTuple):
    """What a hook has answered: the name of its code, and what it sets in the three lists."""

    code: str
    request: dict[str, str]
    reply: dict[str, str]
    config: dict[str, str]


def call(hook: Callable[[Any], Any], lists: Any) -> Called:
    """
    Call a hook as rlm_python3 does, which takes exact types only (``PyTuple_CheckExact`` and so
    on); what it would drop, with a line in its log, fails here.
    """
    returned = hook(lists)
    assert type(returned) is tuple
    code, updates = returned
    assert type(code) is int
    assert type(updates) is dict
    assert set(updates) <= {"request", "reply", "config"}
    read: dict[str, dict[str, str]] = {"request": {}, "reply": {}, "config": {}}
    for name, pairs in updates.items():
        assert type(name) is str
        assert type(pairs) is tuple
        for pair in pairs:
            assert type(pair) is tuple
            assert [type(part) for part in pair] == [str, str, str]
            attribute, operator, value = pair
            assert operator == ":="
            # A value is a C string, and read like one in double quotes.
            assert "\0" not in value.encode().decode()
            read[name][attribute] = value.replace("\\\\", "\\")
    return Called(CODES[code], **read)


def lists(
    request: Iterable[tuple[str, str]] = (), config: Iterable[tuple[str, str]] = ()
) -> dict[str, Any]:
    """What ``pass_all_vps_dict`` hands over: an empty list is None."""
    given: dict[str, Any] = dict.fromkeys(LISTS)
    return given | {"request": tuple(request) or None, "config": tuple(config) or None}
