"""Tables whose values are never broken, in the layout and in every command that shows one."""

from __future__ import annotations

import re
import time
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len

from radius_smsotp.cli import output, when
from radius_smsotp.cli.table import Grid, block, folded
from radius_smsotp.model.records import Challenge, Event
from tests.cli import several
from tests.cli.installation import Installation, remember
from tests.cli.statistics.events import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = (
    "a-rather-long-name-of-somebody@department.example.org",
    "日本語の名前",
    "שלום-כהן",
    "zoë👩",
)
PHONE, OTHER = "+491701234567", "+4915112345678"
CLIENT = "vpn-of-the-branch-in-berlin-tegel"
STATIONS = (
    "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
    "02-00-00-00-00-01",
    "x" * 64,
    "[fe80::1%enp0s31f6]",
)
PROVIDER = "gateway-of-the-third-operator-" + "x" * 50
"""80 letters."""


class TestTheLayout:
    GRID = Grid(
        ("Name", "Many words", "Figures", "None", "More"),
        (
            ("a-name", "some words that may be folded", "1,234", "", "one"),
            ("日本", "few", "12", "", "two"),
        ),
        numbers=["Figures"],
        sentences=["Many words"],
        spare=["More"],
    )

    def test_a_pipe_gets_all_of_it_in_columns(self) -> None:
        assert self.GRID.plain() == [
            "Name    Many words                     Figures  None  More",
            "a-name  some words that may be folded    1,234        one",
            "日本    few                                 12        two",
        ]

    def test_a_wide_terminal_too_under_a_line(self) -> None:
        assert [*map(str.rstrip, self.GRID.fitted(58))][1] == (
            "──────  ─────────────────────────────  ───────  ────  ────"
        )

    def test_first_what_is_empty_goes_without_a_word(self) -> None:
        assert self.GRID.fitted(57) == [
            "Name    Many words                     Figures  More",
            "──────  ─────────────────────────────  ───────  ────",
            "a-name  some words that may be folded    1,234  one",
            "日本    few                                 12  two",
        ]

    def test_then_sentences_are_folded(self) -> None:
        assert self.GRID.fitted(43) == [
            "Name    Many words            Figures  More",
            "──────  ────────────────────  ───────  ────",
            "a-name  some words that may     1,234  one",
            "        be folded",
            "日本    few                        12  two",
        ]

    def test_then_a_column_goes_and_the_last_line_says_which(self) -> None:
        assert self.GRID.fitted(42)[-3:] == [
            "",
            "Not shown here: More; a wider window shows",
            "more, --json all.",
        ]

    def test_at_last_each_row_is_a_block(self) -> None:
        assert self.GRID.fitted(20) == [
            "Name        a-name",
            "Many words  some words that may",
            "            be folded",
            "Figures     1,234",
            "More        one",
            "",
            "Name        日本",
            "Many words  few",
            "Figures     12",
            "More        two",
        ]

    def test_a_heading_may_be_folded_a_value_may_not(self) -> None:
        assert Grid(("Two words", "B"), (("1", "2"),)).fitted(8) == [
            "Two    B",
            "words",
            "─────  ─",
            "1      2",
        ]

    def test_times_and_amounts_stay_on_one_line(self) -> None:
        """A time without its zone, an amount without its unit, would be read as another."""
        told = "until 2026-10-25 02:30:00 CEST (+02:00), 1.2 GB in, after 10 s"
        for width in range(5, 60):
            lines = folded(told, width)
            assert " ".join(line.strip() for line in lines) == told
            for whole in ("2026-10-25 02:30:00 CEST (+02:00),", "1.2 GB", "10 s"):
                assert any(whole in line for line in lines), width

    def test_an_indented_text_stays_indented(self) -> None:
        assert folded("  from a device", 10) == ["  from a", "  device"]

    def test_right_to_left_does_not_turn_columns_round(self) -> None:
        """By UAX 9 a number behind Hebrew would stand to the left of it."""
        line = Grid(("Name", "Phone"), (("שלום", "+49170"),)).fitted(80)[-1]
        between = line[line.index("ם") + 1 : line.index("+")]
        assert any(unicodedata.bidirectional(letter) == "L" for letter in between)
        # It is not copied with the name.
        assert between.startswith(" ")
        assert between.endswith(" ")

    def test_a_block_has_no_blanks_at_its_ends(self) -> None:
        assert block([("A", "x"), ("Longer", "")], 80) == ["A       x", "Longer"]


@pytest.fixture(scope="module")
def _no_freeradius(stand_in_path: str) -> Iterator[None]:
    """What a module shares is made before each test gets this."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", stand_in_path)
        yield


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory, _no_freeradius: None) -> Iterator[Installation]:
    """An installation with all that is hard to show."""
    here = Installation(tmp_path_factory.mktemp("nasty") / "site")
    here.write(
        providers={PROVIDER: PROVIDERS["backup"], **PROVIDERS},
        delivery={"order": [PROVIDER, "gateway"]},
        clients={CLIENT: {"wait": 3}},
        languages={"zh-hant-tw": {"message": "{code} 是您的登入代碼"}},
    )
    for name in NAMES:
        here.done("user", "add", name, "--phone", PHONE, "--no-pin")
        here.done("user", "set", name, "--phone", OTHER, "--until", "2d")
    here.done("user", "code", NAMES[0], "--count", "2")
    now = datetime.now(UTC)
    with here.store.write() as tx:
        for at, (name, station) in enumerate(zip(NAMES, STATIONS, strict=True), 1):
            ident = f"{at:032x}"
            end = now + timedelta(minutes=59)
            fields = (ident, name, CLIENT, station, "key", 6, "***67", now, end, 3, "open")
            tx.add_challenge(Challenge(*fields))
            detail = {"provider": PROVIDER, "seconds": 0.25, "message_id": ident}
            for _ in range(300):
                tx.add_event(Event("sms-accepted", now, name, ident, CLIENT, station, detail))
            tx.add_event(Event("pin-wrong", now, name, ident, CLIENT, station))
    for station in STATIONS:
        remember(here, station=station, ssid="A network with a long name", client=CLIENT)
    yield here
    here.close()


EVERYWHERE: dict[tuple[str, ...], tuple[str, ...]] = {
    ("user", "list"): (*NAMES, OTHER),
    ("user", "show", NAMES[0]): (NAMES[0], PHONE, OTHER),
    ("user", "codes", NAMES[0]): ("Number",),
    ("user", "devices", "alice"): (*STATIONS, CLIENT),
    ("challenge", "list"): (*NAMES, *STATIONS, CLIENT),
    ("client", "show", CLIENT): ("texts.code_sent", f"clients.{CLIENT}.wait"),
    ("provider", "list"): (PROVIDER, "10 s"),
    ("language", "list"): ("zh-hant-tw",),
    ("key", "list"): (),
    ("stats",): (PROVIDER, "1,200", "0.17 s"),
    ("events", "--kind", "failed"): (*NAMES, *STATIONS, CLIENT),
    ("trace", NAMES[1]): (CLIENT, STATIONS[1], f"{2:032x}", "0.25 s"),
}
"""Every command that shows a table or a trail, to what is whole in it whatever the width."""

PROSE = {"trace", "events"}
"""Commands that show sentences."""


@pytest.fixture(scope="module")
def shown(nasty: Installation) -> dict[int, dict[tuple[str, ...], str]]:
    """What each command shows, by the columns of the terminal; 0 is a pipe."""
    found = {0: {command: nasty.done(*command) for command in EVERYWHERE}}
    for columns, parts in several.shown(nasty, EVERYWHERE, 60, 80, 120).items():
        found[columns] = dict(zip(EVERYWHERE, parts, strict=True))
    return found


@pytest.mark.parametrize("columns", [0, 60, 80, 120])
@pytest.mark.parametrize("command", EVERYWHERE, ids=" ".join)
def test_no_value_is_broken(
    shown: dict[int, dict[tuple[str, ...], str]], command: tuple[str, ...], columns: int
) -> None:
    told = shown[columns][command]
    missing = [one for one in EVERYWHERE[command] if one not in told]
    assert not missing, told
    for moment in re.findall(r"\d{4}-\d\d-\d\d.*", told):
        assert re.match(r"\S+ \d\d:\d\d:\d\d \S+", moment), told
    if not columns:
        return
    for line in told.splitlines():
        # Longer is only what is one value, alone on its line or beside its title.
        assert cell_len(line) <= columns or len(folded(line.strip(), 1)) <= 2, line


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("command", [one for one in EVERYWHERE if one[0] not in PROSE])
def test_what_goes_is_named(
    shown: dict[int, dict[tuple[str, ...], str]], command: tuple[str, ...], columns: int
) -> None:
    """Each word of the pipe is there, or the title of its column is at the end."""
    narrow, whole = shown[columns][command], shown[0][command]
    gone = " ".join(re.findall(r"(?s)Not shown here: ([^;]*);", narrow)).replace("\n", " ")
    here = set(narrow.replace("\N{LEFT-TO-RIGHT MARK}", "").split()) | {gone}
    lost = set(whole.split()) - here
    if gone:
        assert not lost & {*NAMES, *STATIONS, CLIENT, PROVIDER}
    else:
        # A column with nothing in it has a title at most; ages have changed meanwhile.
        assert {one for one in lost if not one.isdecimal()} <= EMPTY, narrow


EMPTY = {"Provider", "Language"}


def test_columns_of_a_pipe_stand_below_each_other(nasty: Installation) -> None:
    """Also where letters are two columns wide, or none."""
    title, *lines = nasty.done("user", "list").splitlines()
    at = title.index("Phone")
    for line in lines:
        before = next(line[:end] for end in range(len(line)) if cell_len(line[:end]) == at)
        assert line[len(before) :].startswith((OTHER, "elsewhere")), line


@pytest.mark.parametrize(
    ("moment", "zone", "told"),
    [
        ("2026-11-23T10:02:11", "Europe/Berlin", "2026-11-23 11:02:11 CET"),
        ("2026-07-23T10:02:11", "Europe/Berlin", "2026-07-23 12:02:11 CEST"),
        ("2026-10-25T00:30:00", "Europe/Berlin", "2026-10-25 02:30:00 CEST (+02:00)"),
        ("2026-10-25T01:30:00", "Europe/Berlin", "2026-10-25 02:30:00 CET (+01:00)"),
        ("2026-10-25T02:30:00", "Europe/Berlin", "2026-10-25 03:30:00 CET"),
        ("2026-11-01T05:30:00", "America/New_York", "2026-11-01 01:30:00 EDT (-04:00)"),
        # Half an hour comes twice.
        ("2026-04-04T14:45:00", "Australia/Lord_Howe", "2026-04-05 01:45:00 +11 (+11:00)"),
        ("2026-04-04T15:15:00", "Australia/Lord_Howe", "2026-04-05 01:45:00 +1030 (+10:30)"),
        ("2026-11-23T10:02:11", "UTC", "2026-11-23 10:02:11 UTC"),
    ],
)
def test_a_time_names_its_zone_and_can_be_typed_again(
    monkeypatch: pytest.MonkeyPatch, moment: str, zone: str, told: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
        assert output.local(at) == told
        assert when.since(told, at) == at
        assert when.until(told, at) == at
        # Without the offset it is the one of that name.
        assert when.since(told.partition(" (")[0], at) == at
        with pytest.raises(ValueError, match="is no time"):
            when.since("2026-11-23 10:02:11 XYZ", at)
    finally:
        monkeypatch.undo()
        time.tzset()
