"""FreeRADIUS's configuration, read as far as one has to know who calls what in a raddb."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

CONDITIONS = {"if", "elsif", "else", "switch", "case"}

GROUPS = {"group", "redundant", "load-balance", "redundant-load-balance", "Auth-Type"}

NAME = re.compile(r"[\w.-]+")
"""Of a file that FreeRADIUS reads in a folder (src/main/conffile.c)."""

VARIABLE = re.compile(r"\$\{(\w+)\}")
INCLUDE = re.compile(r"\$-?INCLUDE\s+(\S+)", re.IGNORECASE)


@dataclass
class Section:
    """
    A section: ``kind name { … }``, or a whole file.

    Attributes:
        words: What stands before the brace.
        lines: Its own, each with its number in the file.
        number: Of the line in which it begins, 0 for a file.
    """

    words: list[str]
    sections: list[Section] = field(default_factory=list)
    lines: list[tuple[int, str]] = field(default_factory=list)
    items: list[Section | str] = field(default_factory=list)
    number: int = 0

    @property
    def kind(self) -> str:
        """The first word."""
        return self.words[0] if self.words else ""

    @property
    def name(self) -> str:
        """The second word, else the first."""
        return self.words[1] if len(self.words) > 1 else self.kind

    def find(self, kind: str) -> Section | None:
        """The first section of a kind in this one."""
        return next((one for one in self.sections if one.kind == kind), None)

    def value(self, key: str) -> str:
        """What is assigned to a name in this section, without quotes; "" if nothing is."""
        for _, line in self.lines:
            before, found, behind = line.partition("=")
            if found and before.strip() == key:
                return behind.strip().strip("\"'")
        return ""

    def within(self, kind: str) -> Iterator[Section]:
        """All sections of a kind in this one, and in those within."""
        for one in self.sections:
            if one.kind == kind:
                yield one
            yield from one.within(kind)

    def everywhere(self) -> Iterator[Section]:
        """All sections, those within as well."""
        for one in self.sections:
            yield one
            yield from one.everywhere()

    def everything(self) -> Iterator[tuple[int, str]]:
        """All lines, those of the sections within as well."""
        yield from self.lines
        for one in self.sections:
            yield from one.everything()


def read(path: Path) -> Section:
    """
    One file.

    Raises:
        OSError: It cannot be read.
    """
    whole = Section([])
    stack = [whole]
    text = path.read_text(encoding="utf-8", errors="replace").replace("\\\n", " ")
    for number, raw in enumerate(text.splitlines(), 1):
        line = _uncommented(raw).strip()
        if line.startswith("}"):
            if len(stack) > 1:
                stack.pop()
            line = line[1:].strip()
        if line.endswith("{"):
            opened = Section(line[:-1].split(), number=number)
            stack[-1].sections.append(opened)
            stack[-1].items.append(opened)
            stack.append(opened)
        elif line:
            stack[-1].lines.append((number, line))
            stack[-1].items.append(line)
    return whole


def enabled(raddb: Path, folder: str) -> Iterator[tuple[Path, Section]]:
    """The files that FreeRADIUS reads in a folder of a raddb."""
    if (raddb / folder).is_dir():
        for path in sorted((raddb / folder).iterdir()):
            if path.is_file() and NAME.fullmatch(path.name):
                yield path, read(path)


def whole(raddb: Path) -> Iterator[tuple[Path, Section]]:
    """The file radiusd.conf and those that it includes, each by itself and once."""
    todo, seen = [raddb / "radiusd.conf"], set[Path]()
    while todo:
        path = todo.pop(0)
        if path.is_dir():
            todo += [one for one in sorted(path.iterdir()) if NAME.fullmatch(one.name)]
        elif path.is_file() and path not in seen:
            seen.add(path)
            file = read(path)
            yield path, file
            for _, line in file.everything():
                if found := INCLUDE.fullmatch(line):
                    todo.append(path.parent / placed(raddb, found[1].strip("\"'")))


def placed(raddb: Path, text: str) -> str:
    """A path with the folders of a raddb in the place of their names; other names stay."""
    folders = {"modconfdir": raddb / "mods-config", "certdir": raddb / "certs"}
    folders |= dict.fromkeys(("confdir", "raddbdir"), raddb)
    return VARIABLE.sub(lambda name: str(folders.get(name[1], name[0])), text)


Call = tuple[str, tuple[str, ...]]
"""What is called, and the conditions around it."""


def calls(section: Section, policies: dict[str, Section]) -> Iterator[Call]:
    """What a section of a virtual server calls, by itself or in the policies that it names."""
    yield from _calls(section, policies, (), frozenset())


def _calls(
    section: Section, policies: dict[str, Section], under: tuple[str, ...], inside: frozenset[str]
) -> Iterator[Call]:
    for item in section.items:
        if isinstance(item, str):
            yield from _named(item, policies, under, inside)
        elif item.kind in CONDITIONS:
            yield from _calls(item, policies, (*under, " ".join(item.words)), inside)
        elif item.kind in GROUPS:
            yield from _calls(item, policies, under, inside)
        elif len(item.words) == 1:  # a module, and what its return codes lead to
            yield from _named(item.kind, policies, under, inside)


def _named(
    line: str, policies: dict[str, Section], under: tuple[str, ...], inside: frozenset[str]
) -> Iterator[Call]:
    name = line.removeprefix("-")
    if not NAME.fullmatch(name):
        return
    yield name, under
    if name in policies and name not in inside:
        yield from _calls(policies[name], policies, under, inside | {name})


def _uncommented(line: str) -> str:
    """A line without its comment; quotes may hold the sign of one."""
    quote = ""
    for at, one in enumerate(line):
        if quote:
            quote = "" if one == quote and line[at - 1] != "\\" else quote
        elif one in "\"'":
            quote = one
        elif one == "#":
            return line[:at]
    return line
