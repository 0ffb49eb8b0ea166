"""The documents make a site of which Sphinx has nothing to say, and whose links lead somewhere."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest

from radius_smsotp.cli import COMMANDS
from tests.documents.pages import PAGES, TOP

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `sh docs/build.sh` does it, but in Sphinx's plainest dress, which takes half as long."""
    folder = tmp_path_factory.mktemp("site")
    script = (TOP / "docs" / "build.sh").read_text("utf-8")
    [builders] = re.findall(r"(?m)^for builder in (.+); do$", script)
    [line] = re.findall(r"(?m)^ +\.venv/bin/python (-m sphinx .*)$", script)
    assert {"-W", "-n"} <= set(line.split())
    for builder in builders.split():
        options = line.replace("$builder", builder).replace("docs/_build", str(folder)).split()
        command = [sys.executable, *options, "-D", "html_theme=basic"]
        done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
    return folder


@pytest.fixture(scope="module")
def site(built: Path) -> Path:
    """Its pages for a browser."""
    return built / "html"


def links(site: Path) -> Iterator[tuple[Path, str]]:
    """Every link of every page."""
    for page in site.rglob("*.html"):
        for link in re.findall(r'(?:href|src)="([^"]*)"', page.read_text("utf-8")):
            yield page, link


def test_every_page_is_in_it(site: Path) -> None:
    made = {str(path.relative_to(site).with_suffix("")) for path in site.rglob("*.html")}
    assert {page.removeprefix("docs/").removesuffix(".rst") for page in PAGES[1:]} <= made


def test_every_link_leads_somewhere(site: Path) -> None:
    """Within the site to a file and a place in it; out of it to an address that can be one."""
    places: dict[Path, set[str]] = {}
    inside = 0
    for page, link in links(site):
        url = urlsplit(html.unescape(link))
        if url.scheme == "javascript" or link == "http://127.0.0.1:8025":
            continue
        if url.scheme:
            assert url.scheme == "https", (page, link)
            assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", url.netloc), (page, link)
            continue
        target = (page.parent / unquote(url.path)).resolve() if url.path else page
        assert target.is_file(), (page, link)
        if url.fragment:
            if target not in places:
                places[target] = set(re.findall(r'\bid="([^"]+)"', target.read_text("utf-8")))
            assert unquote(url.fragment) in places[target], (page, link)
        inside += 1
    assert inside > 1000


def test_it_needs_nobody_else(site: Path) -> None:
    """It can be read from a folder: no script, style or picture is fetched from elsewhere."""
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        assert not re.search(r'<(?:script|img|iframe)[^>]* src="(?:https?:)?//', text), page
        assert not re.search(r'<link[^>]* href="(?:https?:)?//', text), page


@pytest.mark.server
def test_each_command_has_a_page_for_man(built: Path) -> None:
    """Which man can read without a complaint, and on which no address of the site is left."""
    made = sorted(path.name for path in (built / "man").iterdir())
    assert made == sorted(["smsotp.1", "smsotp.yaml.5", *(f"smsotp-{name}.1" for name in COMMANDS)])
    for name in made:
        command = ["man", "--local-file", "--warnings", built / "man" / name]
        wide = {**os.environ, "MANWIDTH": "300"}
        done = subprocess.run(command, env=wide, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), name
        assert "<#" not in done.stdout, name
