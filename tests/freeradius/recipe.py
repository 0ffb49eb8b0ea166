"""The recipes of docs/how-to, read from there: what is written is what is tested."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from tests.documents.pages import section

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BLOCK = r"\n\n((?:(?: {4}.*)?\n)+)"
"""A literal block: indented lines and empty ones."""


def files(title: str) -> dict[str, str]:
    """The files of a recipe: a path, within raddb if it is none from /, to the block below it."""
    found = re.findall(rf"^``([\w./-]+)``::{BLOCK}", section(title), re.MULTILINE)
    assert found, f"section {title} shows no file"
    return {path: textwrap.dedent(text).strip() + "\n" for path, text in found}


def code(title: str, language: str) -> str:
    """The first block of a language in a section."""
    found = re.search(rf"^\.\. code-block:: {language}{BLOCK}", section(title), re.MULTILINE)
    assert found, f"section {title} shows no {language}"
    return textwrap.dedent(found[1]).strip() + "\n"


def read() -> dict[str, list[str]]:
    """The table of clients: client to the texts that its user reads, word for word."""
    table = section("Clients").partition("its user reads, word for word")[2].partition("\n\n")[0]
    rows = re.findall(r"^   \* - (?::ref:)?`+([^`]+)`+.*\n.*\n     -(.*)$", table, re.MULTILINE)
    return {client: re.findall("``(.*?)``", texts) for client, texts in rows}


def assert_read(client: str, shown: str) -> None:
    """What the table of clients says that a user reads is in what was shown."""
    texts, shown = read()[client], shown.replace("\r\n", "\n")
    assert texts
    for one in texts:
        assert one in shown, f"{one!r} is not in {shown!r}"


def calls(title: str = "What goes where") -> dict[str, str]:
    """
    What stands in the sections of an existing virtual server: `…` is what was there before.

    Args:
        title: Of the section whose first such block says so.

    Returns:
        Section of the server to what is added; of those in ``post-auth`` by its type, ``REJECT``.
    """
    found = re.search(rf"^\.\. code-block:: text{BLOCK}", section(title), re.MULTILINE)
    assert found, f"section {title} shows no calls"
    blocks = re.findall(
        r"^(\S+) \{\n(.*?)^\}\n", textwrap.dedent(found[1]), re.MULTILINE | re.DOTALL
    )
    said = {name: re.sub(r"^.*….*\n", "", text, flags=re.MULTILINE) for name, text in blocks}
    said["post-auth"], *more = re.split(r"(?m)^ {8}Post-Auth-Type (\w+) \{\n", said["post-auth"])
    said |= {
        name: text.rpartition("        }\n")[0]
        for name, text in zip(more[::2], more[1::2], strict=True)
    }
    return said


def install(raddb: Path, title: str, replacements: Mapping[str, str]) -> None:
    """
    Do what a recipe says: write its files, put its blocks into ``policy.d/smsotp_first_factor``.

    Args:
        replacements: What the reader fills in, to what it is here; each must be there.
    """
    said = files(title)
    everything = "".join(said.values())
    assert all(one in everything for one in replacements), everything
    for name, text in said.items():
        if name.startswith("/"):
            continue  # of another program
        here = {one: value for one, value in replacements.items() if one in text}
        path = raddb / name
        if name == "policy.d/smsotp_first_factor":
            replace_policies(path, fill_in(text, here))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(fill_in(text, here), encoding="utf-8")


def fill_in(text: str, replacements: Mapping[str, str]) -> str:
    """Replace what the reader would; each of it must be there."""
    for one, value in replacements.items():
        assert one in text, (one, text)
        text = text.replace(one, value)
    return text


def replace_policies(path: Path, text: str) -> None:
    """Put blocks in the place of those of the same name."""
    policies = path.read_text("utf-8")
    blocks = re.findall(r"^(\w+) \{\n.*?^\}\n", text, re.MULTILINE | re.DOTALL)
    assert blocks
    for name in blocks:
        pattern = re.compile(rf"^{name} \{{\n.*?^\}}\n", re.MULTILINE | re.DOTALL)
        [block] = [match[0] for match in pattern.finditer(text)]
        assert len(pattern.findall(policies)) == 1, name
        policies = pattern.sub(lambda _, block=block: block, policies)
    path.write_text(policies, encoding="utf-8")
