"""``smsotp stats``: what the figures of a month come to."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.cli.statistics import figures
from radius_smsotp.model.records import Event
from tests.cli.statistics.events import A_DAY, PROVIDERS, a_month
from tests.cli.terminal import Terminal

if TYPE_CHECKING:
    from tests.cli.installation import Installation


def lines(text: str) -> dict[str, list[str]]:
    """The first words of each line to its numbers."""
    found = {}
    for line in text.splitlines():
        words, *numbers = [part.strip() for part in line.strip().split("  ") if part.strip()] or [
            ""
        ]
        found[words] = numbers
    return found


def test_today_7_and_30_days(here: Installation) -> None:
    a_month(here)
    shown = lines(here.done("stats"))
    assert shown["Today"] == ["7 days", "30 days"]
    assert shown["Asked for a code"] == ["10", "70", "300"]
    assert shown["Let in"] == ["10", "70", "300"]
    assert shown["with a code"] == ["9", "63", "270"]
    assert shown["from a remembered device"] == ["1", "7", "30"]
    assert shown["Refused"] == ["3", "21", "90"]
    assert shown["the account is locked"] == shown["the code came too late"] == ["1", "7", "30"]
    assert shown["SMS sent"] == ["10", "70", "300"]
    assert shown["SMS put off: no room"] == ["1", "7", "30"]
    assert "SMS put off: per_second" not in shown
    assert shown["Cost, CHF"] == ["0.72", "5.04", "21.60"]
    assert shown["gateway"][:6] == ["270", "0", "0", "30", "0", "270"]
    assert shown["backup"][:6] == ["30", "0", "0", "0", "0", "30"]


def test_json_holds_the_same(here: Installation) -> None:
    a_month(here)
    [one] = json.loads(here.done("stats", "--days", "2", "--json"))
    assert one["days"] == 2
    assert one["asked_for_a_code"] == 2 * A_DAY
    assert one["let_in"] == {"code": 18, "device": 2}
    assert {item["reason"]: item["number"] for item in one["refused"]} == {
        "wrong-pin": 2,
        "locked": 2,
        "expired": 2,
    }
    assert one["cost"] == pytest.approx(18 * 0.08)
    gateway = one["providers"][0]
    assert gateway["verdicts"] == {
        "accepted": 18,
        "refused": 0,
        "busy": 0,
        "unavailable": 2,
        "unknown": 0,
    }
    assert gateway["seconds_mean"] == pytest.approx(0.3)
    assert 0.25 <= gateway["seconds_p50"] <= 0.5


def test_what_prune_removes_stays_in_the_figures(here: Installation) -> None:
    a_month(here)
    before = here.done("stats")
    here.done("prune", "--days", "1")
    assert here.done("stats") == before


def test_a_new_installation_has_figures_too(here: Installation) -> None:
    shown = lines(here.done("stats"))
    assert shown["Asked for a code"] == ["0", "0", "0"]
    assert "Cost, EUR" not in shown


def test_a_terminal_of_80_columns_holds_it(here: Installation) -> None:
    a_month(here)
    with Terminal(here, "stats", NO_COLOR="1") as terminal:
        assert terminal.wait() == 0
    # Headings are bold, which is no colour.
    shown = re.sub(r"\x1b\[[0-9;]*m", "", terminal.shown).splitlines()
    assert max(map(len, shown)) <= 80
    assert "Lost" in terminal.shown


def test_what_never_happened_makes_room_for_what_was_lost(here: Installation) -> None:
    """The name of a provider may be longer, and figures of five digits are."""
    longer = "clickatell-ch"
    here.write(providers={longer: PROVIDERS["gateway"]}, delivery={"order": [longer]})
    now = datetime.now(UTC)
    with here.store.write() as tx:
        for kind in ("sms-accepted", "sms-delivered", "sms-lost"):
            for _ in range(1200):
                tx.add_event(Event(kind, now, "alice", detail={"provider": longer, "seconds": 1}))
    with Terminal(here, "stats", NO_COLOR="1") as terminal:
        assert terminal.wait() == 0
    assert re.search(r"Sent  .*Arrived   Lost", terminal.shown), terminal.shown
    assert re.search("Not shown here: Refused;", terminal.shown), terminal.shown


@pytest.mark.parametrize(
    ("now", "back", "expected"),
    [
        # The clocks of Berlin go forward on 2026-03-29 and back on 2026-10-25.
        ("2026-03-30T10:00+00:00", 1, "2026-03-28T23:00+00:00"),
        ("2026-03-30T10:00+00:00", 0, "2026-03-29T22:00+00:00"),
        ("2026-10-26T00:30+00:00", 1, "2026-10-24T22:00+00:00"),
        ("2026-10-26T00:30+00:00", 0, "2026-10-25T23:00+00:00"),
    ],
)
def test_days_begin_at_midnight_whatever_the_clocks_do(
    monkeypatch: pytest.MonkeyPatch, now: str, back: int, expected: str
) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        found = figures.midnight(datetime.fromisoformat(now), back)
        assert found.astimezone(UTC) == datetime.fromisoformat(expected)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_provider_of_another_way_says_so(here: Installation) -> None:
    a_month(here)
    here.write(ways={"call": {"order": ["backup"]}})
    shown = lines(here.done("stats"))
    assert shown["backup (call)"][:2] == ["30", "0"]
    [one] = json.loads(here.done("stats", "--days", "2", "--json"))
    assert [found["ways"] for found in one["providers"] if found["name"] == "backup"] == [["call"]]
