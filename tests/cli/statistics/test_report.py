"""``smsotp report``: one page, read by a real browser."""

from __future__ import annotations

import html
import json
import re
import stat
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.cli.statistics import chart
from tests.cli.statistics import browser
from tests.cli.statistics.events import PROVIDERS, a_month

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.installation import Installation


@pytest.fixture
def page(here: Installation) -> Path:
    """The report of a month."""
    a_month(here)
    path = here.folder / "report.html"
    here.done("report", str(path), "--title", "Logins <at> R&D")
    return path


LOOK = """
<body><script>
const widths = [320, 360, 768, 1280], found = {};
Promise.all(widths.map(width => new Promise(done => {
  const frame = document.createElement("iframe");
  frame.style.cssText = `width:${width}px;height:800px;border:0`;
  frame.onload = () => {
    const page = frame.contentDocument, root = page.documentElement;
    page.querySelectorAll("details").forEach(one => { one.open = true; });
    const all = [...page.querySelectorAll("main *")];
    const beyond = all.filter(one => one.getBoundingClientRect().right > width + 0.5).map(
      one => one.className || one.tagName);
    const svg = page.querySelector("svg").getBoundingClientRect();
    found[width] = {scroll: root.scrollWidth, beyond, title: page.title,
      columns: page.querySelectorAll("svg g").length, rects: page.querySelectorAll("rect").length,
      chart: [svg.width, svg.height], colour: getComputedStyle(page.body).backgroundColor,
      tiles: page.querySelectorAll(".tiles > div").length};
    done();
  };
  frame.src = "report.html"; document.body.append(frame);
}))).then(() => { document.body.textContent = JSON.stringify(found); });
</script></body>
"""


def look(page: Path, *options: str) -> dict[str, Any]:
    """What the browser makes of it at several widths, and that it has nothing to complain of."""
    outer = page.with_name("look.html")
    outer.write_text(LOOK)
    done = browser.run(page.parent, outer, "--dump-dom", *options)
    assert "CONSOLE" not in done.stderr, done.stderr
    body = re.search(r"<body>(.*)</body>", done.stdout, re.DOTALL)
    assert body, done.stdout
    found: dict[str, Any] = json.loads(html.unescape(body[1]))
    return found


@pytest.mark.server
class TestInABrowser:
    def test_it_fits_every_width_and_shows_what_it_should(self, page: Path) -> None:
        for width, one in look(page).items():
            assert one["scroll"] <= int(width), (width, one)
            assert one["beyond"] == [], width
            assert one["title"] == "Logins <at> R&D"
            assert (one["columns"], one["rects"], one["tiles"]) == (30, 90, 6)
            assert min(one["chart"]) > 100

    def test_it_is_dark_where_the_reader_wants_that(self, page: Path) -> None:
        light = look(page, "--blink-settings=preferredColorScheme=1")["360"]["colour"]
        dark = look(page, "--blink-settings=preferredColorScheme=0")["360"]["colour"]
        assert brightness(light) > 200
        assert brightness(dark) < 60

    def test_it_prints(self, page: Path) -> None:
        pdf = page.with_suffix(".pdf")
        browser.run(page.parent, page, "--no-pdf-header-footer", f"--print-to-pdf={pdf}")
        octets = pdf.read_bytes()
        assert octets.startswith(b"%PDF-")
        pages = len(re.findall(rb"/Type\s*/Page\b", octets))
        assert 1 <= pages <= 2


class TestTheFile:
    def test_it_needs_nothing_else(self, page: Path) -> None:
        """No script, no address: it may be sent and kept."""
        text = page.read_text("utf-8")
        assert "<script" not in text
        assert not re.search(r"(src|href)=|url\(|@import|https?:", text)
        assert "default-src 'none'" in text

    def test_what_comes_from_outside_is_escaped(self, here: Installation, page: Path) -> None:
        text = page.read_text("utf-8")
        assert "Logins &lt;at&gt; R&amp;D" in text
        assert "<at>" not in text

    def test_it_holds_no_names_and_no_numbers(self, page: Path) -> None:
        text = page.read_text("utf-8")
        assert "alice" not in text
        assert "170123" not in text

    def test_it_is_replaced_whole(self, here: Installation, page: Path) -> None:
        assert stat.S_IMODE(page.stat().st_mode) & stat.S_IRUSR
        here.done("report", str(page), "--days", "1")
        assert "today" in page.read_text("utf-8")
        assert [one.name for one in page.parent.glob(".report*")] == []

    def test_a_dash_is_standard_output(self, here: Installation) -> None:
        here.write(providers=PROVIDERS)
        done = here.call("report", "-")
        assert done.stdout.startswith("<!DOCTYPE html>")
        assert done.stdout.endswith("</html>\n")

    def test_a_title_that_is_not_utf_8_is_shown_as_far_as_it_goes(self, here: Installation) -> None:
        """As from a terminal that is set to Latin-1."""
        done = here.call("report", "-", "--title", b"Anmeldungen f\xfcr alle")
        assert "<title>Anmeldungen f?r alle</title>" in done.stdout, done.stderr

    def test_a_folder_that_is_not_there_is_a_sentence(self, here: Installation) -> None:
        done = here.call("report", str(here.folder / "no" / "report.html"))
        assert done.returncode == 1
        assert "No such file or directory" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("largest", "top"),
    [(0, 4), (3, 4), (5, 8), (9, 20), (11, 20), (39, 40), (41, 60), (81, 100), (399, 400)],
)
def test_the_scale_is_round_and_holds_the_largest(largest: int, top: int) -> None:
    assert chart.scale(largest) == top


def brightness(colour: str) -> float:
    """Of "rgb(18, 20, 23)"."""
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3
