"""One finding of ``smsotp check``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from radius_smsotp.errors import ConfigurationError

Level = Literal["error", "warning", "note"]
"""error: logins fail, now or later; warning: they work, but perhaps not as meant; note: as it
should be, and worth knowing."""


PAGE = "docs/reference/messages.rst"
"""Where each message is, with its remedy, in sections of which each names pages to read on."""


@dataclass(frozen=True, slots=True)
class Finding:
    """
    Where something is, what is wrong there, what to do about it, and why it matters.

    Attributes:
        line: What stands there, if that helps.
        page: The title of the section of `PAGE` that has it.
    """

    level: Level
    path: str
    fault: str
    remedy: str
    why: str = ""
    line: str = ""
    page: str = ""


@dataclass(frozen=True, slots=True)
class Topic:
    """What a module finds, and the title under which the documents have it."""

    title: str

    def error(self, path: str, fault: str, remedy: str = "", *, why: str = "") -> Finding:
        """What keeps logins from working."""
        return Finding("error", path, fault, remedy, why, page=self.title)

    def warning(self, path: str, fault: str, remedy: str = "", *, why: str = "") -> Finding:
        """What is worth a look."""
        return Finding("warning", path, fault, remedy, why, page=self.title)

    def note(self, path: str, fault: str, remedy: str = "") -> Finding:
        """What is as it should be; with what to do if it is not meant so."""
        return Finding("note", path, fault, remedy, page=self.title)

    def errors(self, raised: ConfigurationError, why: str) -> list[Finding]:
        """Everything that an exception tells of."""
        return [
            Finding("error", one.path, one.fault, one.remedy, why, one.line, self.title)
            for one in raised.problems
        ]


SETTINGS = Topic("Messages: The settings file")
SITE = Topic("Messages: Key, store, accounts")
RADDB = Topic("Messages: FreeRADIUS's configuration")
CLIENTS = Topic("Messages: Clients")
DIRECTORIES = Topic("Messages: Directories and databases")
GATEWAYS = Topic("Messages: Gateways")
MACHINE = Topic("Messages: The machine, and other servers")
