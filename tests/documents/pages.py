"""
The documents, read for the commands that they tell a reader to type.

A literal block holds commands unless it says what else it is: by a language
(``.. code-block:: yaml``), or by the name of the file above it.  In a session, where some lines
begin with ``$`` or ``#``, the other lines are what the commands print.
"""

from __future__ import annotations

import functools
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TOP = Path(__file__).resolve().parents[2]
PAGES = (
    "README.rst",
    *sorted(
        str(path.relative_to(TOP))
        for path in (TOP / "docs").rglob("*.rst")
        if "_build" not in path.parts
    ),
)

TYPED = {"", "shell", "console"}
"""Languages of blocks that hold commands."""

PROGRAMS = {
    *("apt-get", "cat", "cd", "chmod", "chown", "cp", "createdb", "createuser", "curl", "docker"),
    *("echo", "editor", "eapol_test", "export", "find", "freeradius", "git", "gpasswd", "install"),
    *("journalctl", "jq", "ln", "ls", "mkdir", "mv", "openssl", "pip", "pip3", "podman"),
    *("podman-compose", "printf", "psql", "python", "python3", "pwgen", "radclient", "radtest"),
    *("rm", "runuser", "sed", "sh", "smsotp", "su", "sudo", "systemctl", "tail", "usermod"),
    *("wpa_cli", "nmcli", "config", "/radius", "/ppp", "/interface", "Add-VpnConnection"),
}
"""What a command begins with, where its place does not say that it is one."""

TITLE = re.compile(r"(?m)^(\S[^\n]*)\n([-~=])\2{2,}$")
BLOCK = re.compile(
    r"(?m)^(?:\.\. code-block:: (?P<language>\w+)|(?!\.\. )(?P<lead>[^\n]*)::)\n\n"
    r"(?P<body>(?:(?: +[^\n]*)?\n)+)"
)
FILE = re.compile(r"^``[\w./-]+``$")
INLINE = re.compile(r"``([^`]+)``")


@dataclass(frozen=True)
class Command:
    """
    Something to type.

    Attributes:
        page: Where it stands, from the top of the checkout.
        section: The title above it.
        text: The command, its lines joined where they end with a backslash.
        shown: What the document says that it prints.
        inline: Whether it stands within a sentence.
    """

    page: str
    section: str
    text: str
    shown: str = ""
    inline: bool = False


def sections(page: str) -> list[tuple[str, str]]:
    """Title and text of each section of a page, without those below it."""
    return list(_sections((TOP / page).read_text("utf-8")))


def text() -> str:
    """All that the documents say."""
    return "\n".join((TOP / page).read_text("utf-8") for page in PAGES)


@functools.cache
def _where() -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for page in PAGES:
        for title, part in sections(page):
            assert title not in found, f"{page} and {found[title][0]} both have '{title}'"
            found[title] = page, part
    return found


def section(title: str) -> str:
    """The text of a section, without those below it: no two, on no two pages, have one title."""
    assert title in _where(), f"no page has a section {title}"
    return _where()[title][1]


def page_of(title: str) -> str:
    """On which page a section is."""
    section(title)
    return _where()[title][0]


def _sections(text: str) -> Iterator[tuple[str, str]]:
    found = list(TITLE.finditer(text))
    for at, title in enumerate(found):
        end = found[at + 1].start() if at + 1 < len(found) else len(text)
        yield title[1], text[title.end() + 1 : end]


def commands(page: str) -> list[Command]:
    """Every command of a page."""
    return read(page, (TOP / page).read_text("utf-8"))


def read(page: str, text: str) -> list[Command]:
    """Every command of a page, section by section, those within sentences last."""
    return [one for title, part in _sections(text) for one in _of_section(page, title, part)]


def typed(title: str) -> list[str]:
    """
    The commands of the blocks of one section.

    A test that runs all of them says so by calling this with a literal:
    `tests/documents/test_commands.py` looks for such calls, and runs itself what no other test
    does.
    """
    every = commands(page_of(title))
    found = [one for one in every if one.section == title and not one.inline]
    assert found, f"section {title} has no commands"
    return [one.text for one in found]


def _of_section(page: str, title: str, text: str) -> Iterator[Command]:
    for block in BLOCK.finditer(text):
        body = textwrap.dedent(block["body"])
        lead = (block["lead"] or "").strip()
        is_file = bool(FILE.match(lead)) or body.startswith("#!")
        if (block["language"] or "") in TYPED and not is_file:
            for line, shown in _lines(body):
                yield Command(page, title, line, shown)
        elif not body.startswith("#!"):
            for line in _joined(body):
                if line.split() and line.split()[0] in PROGRAMS:
                    yield Command(page, title, line)
    prose = BLOCK.sub(lambda block: (block["lead"] or "") + "\n", text)
    for inline in INLINE.findall(prose):
        words = inline.split()
        if len(words) > 1 and words[0] in PROGRAMS:
            yield Command(page, title, " ".join(words), inline=True)


def _joined(body: str) -> list[str]:
    return re.sub(r"\\\n\s*", "", body).splitlines()


def _lines(body: str) -> Iterator[tuple[str, str]]:
    """The commands of a block, each with what is shown below it."""
    lines = _joined(body)
    prompts = [at for at, line in enumerate(lines) if _prompted(line)]
    if not prompts:
        for line in lines:
            bare = re.sub(r"\s{2,}# .*", "", line).strip()
            if bare and not bare.startswith("#") and bare != "…":
                yield bare, ""
        return
    for at, end in zip(prompts, [*prompts[1:], len(lines)], strict=True):
        yield lines[at][2:].strip(), "\n".join(lines[at + 1 : end]).strip()


def _prompted(line: str) -> bool:
    return line.startswith("$ ") or (line.startswith("# ") and line.split()[1] in PROGRAMS)
