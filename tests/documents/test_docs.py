"""The documents are true: whatever can be set, called, sent or recorded is in them."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import docutils.core
import pytest

import radius_smsotp
from radius_smsotp import cli, providers
from radius_smsotp.cli.check import finding
from radius_smsotp.model import events
from radius_smsotp.settings import file
from radius_smsotp.settings.schema import Settings
from tests.documents import messages, pages, reference
from tests.freeradius import recipe

if TYPE_CHECKING:
    pass

TOP = Path(__file__).resolve().parents[2]
README = (TOP / "README.rst").read_text(encoding="utf-8")
TEXT = pages.text()
EXAMPLE = TOP / "freeradius" / "smsotp.yaml"
RECIPES = [
    page
    for room in ("accounts", "clients", "mixed", "wi-fi")
    for page in pages.PAGES
    if page.startswith(f"docs/how-to/{room}/")
    and not page.endswith(("/index.rst", "/come-back.rst"))
]
"""Pages of which each section says whether somebody has tried it."""
SOURCES = [
    path
    for room in ("radius_smsotp", "freeradius", "tests")
    for path in (TOP / room).rglob("*")
    if path.is_file() and path.suffix not in {".pyc", ".json"}
]
ADDRESS = re.compile(r"""(?:["']([^"']+)["'] in )?\b(docs/[\w/-]+\.rst)""")


COMMANDS = dict(reference.commands(cli.smsotp))


def test_every_page_is_read_for_commands() -> None:
    """A new one would go unnoticed by `tests/documents/test_commands.py`."""
    found = [*TOP.glob("*.rst"), *TOP.glob("[!.]*/**/*.rst")]
    known = {str(path.relative_to(TOP)) for path in found if "_build" not in path.parts}
    assert known == {*pages.PAGES, "CHANGELOG.rst"}


def test_readme_opens_with_the_two_commands() -> None:
    opening = README[:1000]
    assert "    sh freeradius/demo.sh\n" in opening
    assert "    sh tests/run.sh\n" in opening
    assert len(README.splitlines()) <= 150


def test_readme_installs_as_the_tutorial_does() -> None:
    """Whose commands `tests/package/test_install.py` types."""
    told = pages.typed("Add it to the FreeRADIUS you run")
    told += pages.typed("The first user, the first login")[:1]
    assert pages.typed("In ten lines") == told


@pytest.mark.parametrize("name", sorted(reference.blocks()))
def test_a_table_is_what_the_program_reads(name: str) -> None:
    """`python -m tests.documents.reference --write` mends it."""
    table = f".. begin {name}\n\n{reference.blocks()[name]}\n.. end {name}\n"
    assert TEXT.count(table) == 1


@pytest.mark.parametrize("kind", providers.TYPES)
def test_every_provider_has_a_section_of_its_name(kind: str) -> None:
    assert pages.page_of(kind) == f"docs/reference/providers/{kind}.rst"
    assert f"   * - :ref:`{kind}`\n" in pages.section("Providers")


@pytest.mark.parametrize("kind", providers.TYPES)
def test_every_setting_of_a_provider_has_a_description(kind: str) -> None:
    rows = list(reference.rows(providers.module(kind).Settings))
    assert [row[0] for row in rows if not row[3]] in (["``type``"], [])


def test_every_preset_is_on_the_page_of_its_gateway() -> None:
    """As it is printed, and once."""
    presets = TOP / "radius_smsotp" / "providers" / "presets"
    shown = re.findall(r"(?m)^\.\. literalinclude:: .*/presets/(.+)\.yaml$", TEXT)
    assert sorted(shown) == sorted(path.stem for path in presets.glob("*.yaml"))


@pytest.mark.parametrize("words", sorted(COMMANDS), ids=" ".join)
def test_every_command_is_in_the_documents(words: tuple[str, ...]) -> None:
    assert f"smsotp {' '.join(words)}" in TEXT.replace("\n", " ")


@pytest.mark.parametrize("words", sorted(COMMANDS), ids=" ".join)
def test_every_option_has_a_description(words: tuple[str, ...]) -> None:
    command = COMMANDS[words]
    assert command.help, words
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, (words, option.name)


def test_each_word_has_one_meaning() -> None:
    """Those that are taken for something else elsewhere, and those of the field."""
    words = re.findall(r"^   \* - (.+)\n     - \S", pages.section("Words"), re.MULTILINE)[1:]
    assert words == sorted(set(words))
    assert {"client", "report", "session", "settings", "transaction", "verdict"} <= set(words)
    assert {"challenge", "message", "attempt", "receipt", "station", "provider"} <= set(words)


def test_the_design_shows_every_room() -> None:
    package = Path(radius_smsotp.__file__).parent
    rooms = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    modules = {path.name for path in package.glob("[!_]*.py")}
    assert set(re.findall(r"\b\w+(?:\.py|/)(?= {2})", pages.section("Design"))) == rooms | modules
    for path in re.findall(r"``(\w+/\w+\.py)``", pages.section("Design")):
        assert (package / path).is_file()


def test_every_command_that_the_documents_show_exists() -> None:
    shown = re.findall(r"^ +(?:[$#] )?smsotp (\S.*)$", TEXT, re.MULTILINE)
    assert len(shown) > 20
    for line in shown:
        words = shlex.split(line.replace("…", ""), comments=True)
        if words[0] == "--config":
            words = words[2:]
        known = [path for path in COMMANDS if list(path) == words[: len(path)]]
        assert known, line
        options = {name for param in COMMANDS[known[0]].params for name in param.opts}
        used = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert used <= options | {"--help", "--version"}, line


def test_every_kind_of_event_that_the_program_writes_is_known() -> None:
    sources = [path.read_text() for path in (TOP / "radius_smsotp").rglob("*.py")]
    written = set(re.findall(r'[eE]vent\(\s*"([a-z-]+)"', "\n".join(sources)))
    assert written
    assert written <= set(events.KINDS)


def keys(value: Any, prefix: str = "") -> set[str]:
    """The dotted names of a nested mapping."""
    if (
        not isinstance(value, dict)
        or not value
        or prefix in {"providers.", "clients.", "languages.", "smtp_servers."}
    ):
        return {prefix.rstrip(".")}
    return {name for key, inner in value.items() for name in keys(inner, f"{prefix}{key}.")}


def test_the_example_loads_and_holds_every_setting_with_its_default() -> None:
    loaded = file.load(EXAMPLE)
    own = {"providers", "store"}
    shown = loaded.values.model_dump(exclude=own)
    assert shown == Settings().model_dump(exclude=own)
    known = {row[0].strip("`") for row in reference.rows(Settings)}
    assert keys(loaded.values.model_dump(exclude_unset=True)) == known


@pytest.mark.parametrize("path", ["README.rst", "CHANGELOG.rst"])
def test_what_package_indexes_show_is_sound_restructuredtext(path: str) -> None:
    """The site is `test_site.py`'s."""
    text = (TOP / path).read_text(encoding="utf-8")
    # 2 is docutils' level for warnings: a reference to nothing, a title that is too short.
    options = {"report_level": 2, "halt_level": 2, "file_insertion_enabled": False}
    docutils.core.publish_string(text, writer="html5", settings_overrides=options)


def test_an_address_of_a_page_leads_there() -> None:
    """Messages and comments name a page by its path, and before it a section by its title."""
    found = 0
    for path in SOURCES:
        text = " ".join(re.sub(r"(?m)^\s*#+", "", path.read_text("utf-8")).split())
        for title, page in ADDRESS.findall(text):
            assert (TOP / page).is_file(), (path, page)
            assert not title or pages.page_of(title) == page, (path, title, page)
            found += 1
        assert "README" not in text or "tests" in path.parts, path
    assert found > 40


def test_what_check_finds_leads_to_the_section_that_has_it() -> None:
    """By the title that its last line names."""
    folder = TOP / "radius_smsotp" / "cli" / "check"
    seen = set()
    for path in folder.glob("*.py"):
        module = importlib.import_module(f"radius_smsotp.cli.check.{path.stem}")
        for name in ("error", "warning", "note"):
            if told := getattr(module, name, None):
                title = messages.topic(f"cli/check/{path.name}")
                assert told.__self__.title == f"Messages: {title}", path
                seen.add(path.stem)
    assert len(seen) > 8
    titles = [one.title for one in vars(finding).values() if isinstance(one, finding.Topic)]
    assert {pages.page_of(one) for one in titles} == {finding.PAGE}
    assert {one.removeprefix("Messages: ") for one in titles} == messages.TOPICS.keys()


def test_the_version_is_the_one_that_is_packaged() -> None:
    packaged = re.search(r'version="([^"]+)"', (TOP / "setup.py").read_text())
    assert packaged
    assert packaged[1] == radius_smsotp.__version__
    assert f"\n{packaged[1]}" in (TOP / "CHANGELOG.rst").read_text()


def test_a_client_is_marked_as_tried_or_not_and_the_test_is_there() -> None:
    """Whoever reads a recipe knows whether somebody has seen it work."""
    found = [section for page in RECIPES for section in pages.sections(page)]
    assert len(found) >= 42
    for title, one in found:
        assert re.search(
            r"^:(Tried: ``tests/\S+\.py``.* \d+\.\d|Not tried here: )", one, re.MULTILINE
        ), title
    for path in re.findall(r"``(tests/[\w./]+)``", TEXT):
        assert (TOP / path).is_file(), path


def test_what_users_of_clients_read_is_looked_for_where_the_client_runs() -> None:
    """The table of clients says it word for word."""
    tests = "\n".join(path.read_text("utf-8") for path in (TOP / "tests").rglob("test_*.py"))
    found = [client for client, texts in recipe.read().items() if texts]
    assert len(found) > 5
    for client in found:
        assert f'assert_read("{client}", ' in tests, client


def test_no_two_attributes_of_the_dictionary_share_a_number() -> None:
    """FreeRADIUS takes it without a word, and hands one over under the name of the other."""
    text = (TOP / "freeradius" / "raddb" / "dictionary.smsotp").read_text(encoding="utf-8")
    numbers = re.findall(r"^ATTRIBUTE\s+\S+\s+(\d+)", text, re.MULTILINE)
    assert len(numbers) > 10
    assert len(set(numbers)) == len(numbers)


def test_no_line_of_the_documents_is_a_leftover() -> None:
    assert ".. include" not in TEXT
    assert "TODO" not in TEXT
