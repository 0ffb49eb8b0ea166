"""``smsotp report``: one page, read by a real browser."""

from __future__ import annotations

import json
import re
import stat
from collections import Counter
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.cli.statistics import chart, figures, report, words
from radius_smsotp.settings import languages, strict_yaml
from tests.cli.installation import Installation
from tests.cli.statistics.browser import Browser, started
from tests.cli.statistics.events import LONG, PROVIDERS, a_month, a_year

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@pytest.fixture
def page(here: Installation) -> Path:
    """The report of a month."""
    a_month(here)
    path = here.folder / "report.html"
    here.done("report", str(path), "--title", "Logins <at> R&D")
    return path


WIDTHS = (390, 690, 1280)
"""A phone, a tablet, a desk."""

PAPER = (703, 1032)
"""A4 between its margins of 12 mm, upright and turned, at 96 pixels to the inch."""

LOOK = r"""
<body><script>
// What is wrong with a page, measured where it is drawn.
const rgb = text => (text.match(/[\d.]+/g) || []).map(Number);
const light = ([r, g, b]) => [r, g, b].map(one => one / 255).map(
  one => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4
).reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
const contrast = (a, b) => {
  const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
  return (x + 0.05) / (y + 0.05);
};
function behind(one) {
  for (; one; one = one.parentElement) {
    const found = rgb(getComputedStyle(one).backgroundColor);
    if (found.length === 3 || found[3] > 0) return found;
  }
  return [255, 255, 255];
}
function letters(page) {
  const found = [], walk = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
  for (let node; node = walk.nextNode();) {
    const parent = node.parentElement;
    // What is there for who does not see is clipped.
    let clipped = parent;
    const shown = one => getComputedStyle(one).clipPath === "none";
    while (clipped && shown(clipped)) clipped = clipped.parentElement;
    if (!node.data.trim() || clipped || parent.closest("title, style")) continue;
    const range = page.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      if (box.width && box.height) found.push({text: node.data.trim(), parent, box});
    }
  }
  return found;
}
function judge(page, width, name) {
  const root = page.documentElement, faults = [], card = page.querySelector("section");
  const say = (...words) => faults.push([name, width, ...words].join(" "));
  page.querySelectorAll("details").forEach(one => { one.open = true; });
  if (root.scrollWidth > width) say("scrolls to", root.scrollWidth);
  const all = letters(page);
  for (const {text, parent, box} of all) {
    if (box.right > width + 0.5 || box.left < -0.5) say("beyond the edge:", text);
    const holder = parent.closest("dd, li, td, th, p, summary, h1, h2, dt");
    if (holder && box.right > holder.getBoundingClientRect().right + 1
      && !parent.closest(".heat thead")) say("out of its place:", text);
    const seen = contrast(rgb(getComputedStyle(parent).color), behind(parent));
    if (seen < 4.5) say("hard to read:", text, seen.toFixed(2));
  }
  for (let a = 0; a < all.length; a++) for (let b = a + 1; b < all.length; b++) {
    const p = all[a].box, q = all[b].box;
    const over = Math.min(p.right, q.right) - Math.max(p.left, q.left) > 1
      && Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top) > 4;
    if (over) say("one upon the other:", all[a].text, "|", all[b].text);
  }
  for (const one of page.querySelectorAll(".columns > div")) {
    if (one.getBoundingClientRect().width < 6) { say("a thin column"); break; }
  }
  for (const one of page.querySelectorAll(".key i")) {
    const style = getComputedStyle(one);
    if (style.backgroundImage === "none"
      && contrast(rgb(style.backgroundColor), behind(card)) < 3) say("pale:", one.className);
  }
  const unsaid = page.querySelectorAll("[role=img]:not([aria-label]), th:not([scope])");
  if (unsaid.length) say("unsaid:", unsaid[0].outerHTML.slice(0, 80));
  if (page.querySelector("table").rows && [...page.querySelectorAll("table")].some(
    one => new Set([...one.rows].map(row => row.cells.length)).size !== 1)) say("a gap in a table");
  return faults;
}
const key = page => Object.fromEntries([...page.querySelectorAll(".key i")].map(one => {
  const style = getComputedStyle(one);
  return [one.className, [style.backgroundImage, ...rgb(style.backgroundColor)]];
}));
const found = {faults: [], dark: {}, key: {}, columns: {}, texts: {}};
const pages = PAGES, widths = WIDTHS;
const looked = Promise.all(pages.flatMap(name => widths.map(width => new Promise(done => {
  const frame = document.createElement("iframe");
  frame.style.cssText = `width:${width}px;height:800px;border:0`;
  frame.onload = () => {
    const page = frame.contentDocument;
    found.faults.push(...(page.querySelector("table") ? judge(page, width, name) : []));
    found.dark[name] = light(rgb(getComputedStyle(page.body).backgroundColor)) < 0.1;
    found.key[name] = key(page);
    found.columns[name] = page.querySelectorAll(".columns > div").length;
    found.texts[name] = page.querySelector("main").innerText;
    done();
  };
  frame.src = name; document.body.append(frame);
})))).then(() => found);
</script></body>
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A real one."""
    with started(tmp_path_factory.mktemp("browser")) as one:
        yield one


def look(
    browser: Browser, folder: Path, *, dark: bool, widths: Sequence[int] = WIDTHS
) -> dict[str, Any]:
    """What a browser makes of the pages in a folder, and that it has nothing to complain of."""
    pages = sorted(one.name for one in folder.glob("*.html") if one.name != "look.html")
    outer = folder / "look.html"
    text = LOOK.replace("PAGES", json.dumps(pages)).replace("WIDTHS", json.dumps([*widths]))
    outer.write_text(text)
    browser.open(outer, dark=dark)
    found: dict[str, Any] = browser.value("looked")
    return found


def on_paper(page: Path) -> str:
    """A page as it is printed, for a browser that shows it."""
    return page.read_text("utf-8").replace("@media print", "@media screen")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of reports: nothing, a day, a month, a year of millions in each language."""
    here = Installation(tmp_path_factory.mktemp("report") / "site")
    folder = here.folder / "pages"
    folder.mkdir()
    here.done("report", str(folder / "nothing.html"))
    a_year(here)
    for name, days in (("day", 1), ("week", 7), ("month", 30), ("half", 180)):
        here.done("report", str(folder / f"{name}.html"), "--days", str(days))
    for tag in words.FILES:
        path = folder / f"year-{tag}.html"
        here.done("report", str(path), "--days", "366", "--language", tag, "--title", TITLE)
    yield folder
    here.close()


TITLE = f"{'x' * 90} <at> R&D"


@pytest.mark.server
class TestInABrowser:
    def test_every_width_and_language_is_as_a_designer_would_have_it(
        self, browser: Browser, pages: Path
    ) -> None:
        """Nothing scrolls sideways, hides another, leaves its place, or is hard to read."""
        found = look(browser, pages, dark=False)
        assert found["faults"] == []
        assert not any(found["dark"].values())
        assert found["columns"] == {
            "nothing.html": 0,
            "day.html": 24,
            "week.html": 7,
            "month.html": 30,
            "half.html": pytest.approx(26.5, abs=0.5),
            **dict.fromkeys((f"year-{tag}.html" for tag in words.FILES), 13),
        }
        assert "Nothing happened in this time" in found["texts"]["nothing.html"]
        assert "Hour by hour" in found["texts"]["day.html"]
        assert "When people log in" not in found["texts"]["day.html"]

    def test_it_is_dark_where_the_reader_wants_that(self, browser: Browser, pages: Path) -> None:
        found = look(browser, pages, dark=True, widths=(690,))
        assert found["faults"] == []
        assert all(found["dark"].values())

    @pytest.mark.parametrize("width", WIDTHS)
    def test_a_screen_reader_gets_all_of_it(
        self, browser: Browser, pages: Path, width: int
    ) -> None:
        """Also on a phone, where tables are drawn as cards; and no heading twice."""
        browser.open(pages / "month.html", width)
        told = browser.read_aloud()
        roles = Counter(role for role, _ in told)
        named = {role: [name for one, name in told if one == role] for role in roles}
        assert "Day by day" in named["heading"]
        assert "SMS sent" in named["term"]
        assert {"When people log in", "Providers"} <= set(named["table"])
        assert named["rowheader"][:3] == ["Mon", "Tue", "Wed"]
        assert {"gateway", "backup", LONG} <= set(named["rowheader"])
        columns = ["Provider", "Messages", "Taken", "Arrived", "Half within", "95% within"]
        assert named["columnheader"][24:] == [*columns, "Fast to slow", "Cost"]
        assert roles["cell"] + roles["gridcell"] == 1 + 7 * 24 + 3 * 7
        texts = named["StaticText"]
        assert texts.count("Half within") == 1
        # Each chart says its numbers, or where they stand.
        assert all(named["image"])
        assert any("Columns; the table below" in one for one in named["image"])
        assert any("taken: " in one and "not reachable: " in one for one in named["image"])

    def test_paper_needs_no_colours(self, browser: Browser, pages: Path, tmp_path: Path) -> None:
        """Also in landscape: greys that differ, or patterns; and nothing runs out of the page."""
        for name in ("month.html", "year-ru.html"):
            (tmp_path / name).write_text(on_paper(pages / name), "utf-8")
        found = look(browser, tmp_path, dark=True, widths=PAPER)
        assert found["faults"] == []
        assert not any(found["dark"].values())
        for key in found["key"].values():
            assert set(key) == {*report.SERIES, *report.PARTS.values()} - {"accepted"}
            for image, *colour in key.values():
                greys = re.findall(r"rgb\((\d+), (\d+), (\d+)\)", image)
                assert all(len(set(one)) == 1 for one in (colour[:3], *greys)), key
            looks = [str(key[one]) for one in ("code", "device", "refused")]
            bars = [str(key[one]) for one in ("busy", "unavailable", "unknown", "declined")]
            assert (len(set(looks)), len(set(bars))) == (3, 4)

    @pytest.mark.parametrize("turned", ["", "size: A4 landscape;"])
    def test_it_prints(self, browser: Browser, pages: Path, tmp_path: Path, turned: str) -> None:
        page = tmp_path / "page.html"
        text = (pages / "year-de.html").read_text("utf-8")
        page.write_text(text.replace("@page {", f"@page {{ {turned}"), "utf-8")
        browser.open(page)
        octets = browser.printed()
        assert octets.startswith(b"%PDF-")
        assert 1 <= len(re.findall(rb"/Type\s*/Page\b", octets)) <= 2


class TestItsReaders:
    def test_it_is_in_the_language_of_the_settings(self, here: Installation) -> None:
        a_month(here)
        here.write(language="de")
        shown = here.done("report", "-")
        assert '<html lang="de">' in shown
        assert "Die Hälfte der SMS war angenommen nach" in shown
        assert "falsche PIN" in shown
        here.write(language="hu", languages={"hu": {"message": "{code} a kód"}})
        assert '<html lang="en">' in here.done("report", "-")
        assert '<html lang="fr">' in here.done("report", "-", "--language", "fr")

    def test_it_has_no_words_of_the_program(self, pages: Path) -> None:
        text = re.sub(r"(?s)<style>.*</style>|<[^>]*>", " ", (pages / "half.html").read_text())
        assert not re.search(r"\bp50\b|\bp95\b|limits\.|verdict|EAP", text)

    def test_every_language_has_every_word(self) -> None:
        assert set(words.FILES) == set(languages.FILES)
        english = parsed("en")
        for tag in words.FILES:
            own = parsed(tag)
            assert set(own) - {"first"} == set(english)
            assert list(own["reasons"]) == list(english["reasons"])
            assert len(own["months"]) == len(own["short_months"]) == 12
            assert len(own["weekdays"]) == 7
            assert list(own["texts"]) == list(english["texts"])
            for key, text in english["texts"].items():
                wanted = re.findall(r"\{\w+\}", text)
                assert re.findall(r"\{\w+\}", own["texts"][key]) == wanted, (tag, key)

    def test_every_reason_has_words_for_readers(self) -> None:
        no_refusals = {"emergency", "client"}
        assert set(report.REASONS) == set(figures.REASONS) - no_refusals
        assert {*report.REASONS.values(), "other"} == set(parsed("en")["reasons"])

    @pytest.mark.parametrize(
        ("tag", "number", "day", "share"),
        [
            ("en", "12,855.18", "1 December 2026", "93%"),
            ("de", "12.855,18", "1. Dezember 2026", "93 %"),
            ("fr", "12\u202f855,18", "1er décembre 2026", "93\xa0%"),
            ("es", "12.855,18", "1 de diciembre de 2026", "93\xa0%"),
            ("ru", "12\xa0855,18", "1 декабря 2026 \u0433.", "93\xa0%"),
        ],
    )
    def test_numbers_and_dates_are_those_of_the_language(
        self, tag: str, number: str, day: str, share: str
    ) -> None:
        own = words.Words(tag)
        assert own.number(12855.18, 2) == number
        assert own.day(date(2026, 12, 1)) == day
        assert own.percent(0.93) == share

    def test_a_time_is_as_exact_as_it_is_read(self) -> None:
        own = words.Words("en")
        told = [own.seconds(one) for one in (0.578, 0.9999, 1.13, 9.96, 17.3, None)]
        assert told == ["0.58\xa0s", "1.0\xa0s", "1.1\xa0s", "10\xa0s", "17\xa0s", "\u2013"]


def parsed(tag: str) -> dict[str, Any]:
    """What the file of a language holds."""
    path = words.FILES[tag]
    found: dict[str, Any] = strict_yaml.parse(path.read_text("utf-8"), path.name)
    return found


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
        assert "Hour by hour" in page.read_text("utf-8")
        assert [one.name for one in page.parent.glob(".report*")] == []

    def test_a_dash_is_standard_output(self, here: Installation) -> None:
        here.write(providers=PROVIDERS)
        shown = here.done("report", "-")
        assert shown.startswith("<!DOCTYPE html>")
        assert shown.endswith("</html>\n")

    def test_a_title_that_is_not_utf_8_is_shown_as_far_as_it_goes(self, here: Installation) -> None:
        """As from a terminal that is set to Latin-1."""
        done = here.call("report", "-", "--title", b"Anmeldungen f\xfcr alle")
        assert "<title>Anmeldungen f?r alle</title>" in done.stdout, done.stderr

    def test_a_folder_that_is_not_there_is_a_sentence(self, here: Installation) -> None:
        done = here.run("report", str(here.folder / "no" / "report.html"))
        assert done.exit_code == 1
        assert "No such file or directory" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("largest", "top"),
    [(0, 4), (3, 4), (5, 8), (9, 20), (11, 20), (39, 40), (41, 60), (81, 100), (399, 400)],
)
def test_the_scale_is_round_and_holds_the_largest(largest: int, top: int) -> None:
    assert chart.scale(largest) == top
