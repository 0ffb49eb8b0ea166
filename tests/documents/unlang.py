"""The policy and the sites of freeradius/raddb, read for the attributes that they set and read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

RADDB = Path(__file__).resolve().parents[2] / "freeradius" / "raddb"
SITES = ("smsotp", "smsotp-gtc", "smsotp-inner-tunnel")
FILES = ("policy.d/smsotp", *(f"sites-available/{site}" for site in SITES))

NAME = r"([A-Z][\w-]*[\w])"
LIST = r"(?:outer\.)?(request|reply|control):"
REFERENCE = re.compile(rf"(?:&|%\{{(?:%\{{)?)(?:{LIST})?{NAME}")
SETS = re.compile(rf"^&{NAME} (:=|\+=|=) ?(.*)$")
UPDATE = re.compile(r"^update (request|reply|control) \{$")


class Use(NamedTuple):
    """An attribute in a list, where it is set or read; what it is set to, if that is a word."""

    name: str
    place: str
    section: str
    value: str = ""


def lines() -> list[tuple[str, str]]:
    """Each line that says something, with the section of the policy or the site it stands in."""
    found = []
    for file in FILES:
        section = ""
        for raw in (RADDB / file).read_text("utf-8").splitlines():
            # A value in quotes may hold the sign of a comment.
            line = raw if '"' in raw.partition("#")[0] else raw.partition("#")[0]
            if re.match(r"\w.*\{$", line):
                section = line.removesuffix("{").removeprefix("server").strip()
            if line.strip():
                found.append((section, line.strip()))
    return found


def text() -> str:
    """All of it, without comments."""
    return "\n".join(line for _, line in lines())


def uses() -> tuple[set[Use], set[Use]]:
    """What is set, and what is read."""
    sets: set[Use] = set()
    reads: set[Use] = set()
    place = ""
    for section, line in lines():
        update = UPDATE.match(line)
        if update:
            place = update[1]
        elif line == "}":
            place = ""
        assigned = SETS.match(line) if place else None
        if assigned:
            sets.add(Use(assigned[1], place, section, assigned[3].strip('"')))
        removed = place and "!*" in line
        for where, name in REFERENCE.findall(assigned[3] if assigned else "" if removed else line):
            reads.add(Use(name, where or "request", section))
    return sets, reads
