"""What is counted of events, and what the counts come to."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from radius_smsotp.cli.statistics.figures import Timing, summarise
from radius_smsotp.store import statistics
from radius_smsotp.store.statistics import BOUNDS, UNTIMED, Cell, Count

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def test_a_slot_is_a_quarter_of_an_hour() -> None:
    slot = statistics.slot(NOON)
    assert statistics.start(slot) == NOON
    assert statistics.slot(NOON.replace(minute=14, second=59)) == slot
    assert statistics.slot(NOON.replace(minute=15)) == slot + 1


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(0.0, 0), (0.1, 0), (0.11, 1), (30.0, 7), (30.1, 8), (1e9, 8)]
)
def test_a_bucket_holds_what_takes_up_to_its_bound(seconds: float, bucket: int) -> None:
    """As Prometheus's ``le``: less than or equal."""
    detail = {"provider": "gw", "seconds": seconds, "message_id": "7"}
    found = statistics.cell(1, "sms-accepted", detail)
    assert found == (Cell(1, "sms-accepted", "", "gw", bucket), seconds)


def test_only_accepted_messages_are_timed() -> None:
    found = statistics.cell(1, "sms-unavailable", {"provider": "gw", "seconds": 2.0})
    assert found == (Cell(1, "sms-unavailable", "", "gw", UNTIMED), 0.0)


def test_what_arrived_is_timed_from_when_it_was_taken() -> None:
    """In buckets of its own; of before, when no time was noted, it is only counted."""
    detail = {"provider": "gw", "text": "DELIVRD"}
    timed, untimed = (
        statistics.cell(1, "sms-delivered", detail | more) for more in ({"seconds": 7.5}, {})
    )
    assert timed == (Cell(1, "sms-delivered", "", "gw", 3), 7.5)
    assert untimed == (Cell(1, "sms-delivered", "", "gw", UNTIMED), 0.0)
    found = summarise([(timed[0], Count(2, 15.0)), (untimed[0], Count(5))]).providers["gw"]
    assert found.outcomes["delivered"] == 7
    assert (found.arriving.seconds, sum(found.arriving.buckets)) == (15.0, 2)
    assert found.arriving.quantile(1.0) == pytest.approx(10.0)


def test_quantiles_are_as_histogram_quantile_has_them() -> None:
    """Figures from Prometheus 2.42: histogram_quantile over the same buckets."""
    one = Timing(BOUNDS)
    one.add(2, Count(10))
    one.add(3, Count(10))
    assert one.quantile(0.5) == pytest.approx(0.5)
    assert one.quantile(0.75) == pytest.approx(0.75)
    assert one.quantile(1.0) == pytest.approx(1.0)
    beyond = Timing(BOUNDS)
    beyond.add(len(BOUNDS), Count(3))
    assert beyond.quantile(0.5) == BOUNDS[-1]
    assert Timing(BOUNDS).quantile(0.5) is None


def test_counts_add_up() -> None:
    found = summarise(
        [
            (Cell(1, "challenge-opened"), Count(4)),
            (Cell(2, "challenge-opened"), Count(1)),
            (Cell(1, "code-accepted"), Count(3)),
            (Cell(1, "device-accepted"), Count(2)),
            (Cell(1, "login-refused", "locked"), Count(6)),
            (Cell(1, "sms-accepted", "", "a", 2), Count(2, 0.8)),
            (Cell(1, "sms-accepted", "", "a", 3), Count(1, 0.7)),
            (Cell(1, "sms-accepted", "", "b", 0), Count(1, 0.1)),
            (Cell(1, "sms-refused", "", "a"), Count(1)),
            (Cell(1, "sms-delivered", "", "a"), Count(2)),
            (Cell(1, "sms-lost", "", "a"), Count(1)),
            (Cell(1, "provider-skipped", "", "c"), Count(1)),
        ]
    )
    assert (found.opened, found.logins, found.sent) == (5, 5, 4)
    assert found.refusals == {("first", "locked"): 6}
    assert set(found.providers) == {"a", "b"}
    a = found.providers["a"]
    assert (a.accepted, a.outcomes["delivered"], a.outcomes["lost"]) == (3, 2, 1)
    assert a.mean == pytest.approx(0.5)
    assert a.taking.buckets == [0, 0, 2, 1, 0, 0, 0, 0, 0]


def test_the_cost_is_that_of_messages_whose_price_is_known() -> None:
    found = summarise([(Cell(1, "sms-accepted", "", name, 0), Count(10)) for name in "ab"])
    assert found.cost({"a": 0.075}) == pytest.approx(0.75)
    assert found.cost({"a": 0.075, "b": 0.1, "gone": 9.0}) == pytest.approx(1.75)
    assert found.cost({}) is None
    assert summarise([]).cost({"a": 1.0}) == 0
