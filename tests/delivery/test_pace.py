"""How fast messages leave through a provider."""

from __future__ import annotations

from datetime import timedelta

import pytest

from radius_smsotp.delivery.pace import FIRST, KEPT, LONGEST, LONGEST_REST, REST, SOONEST, Pace
from radius_smsotp.delivery.pace import backoff as seconds

NOW = timedelta(hours=12)
SECOND = timedelta(seconds=1)


def key(number: int) -> tuple[str, int]:
    """Of a message."""
    return (f"{number:032x}", 1)


def line_up(pace: Pace, number: int, now: float = 0, *, again: bool = False) -> float:
    """Seconds that a message waits that comes at a moment."""
    return pace.line_up(key(number), NOW + now * SECOND, again=again).total_seconds()


def ended(
    pace: Pace, number: int, verdict: str, start: float, now: float, **more: float | bool
) -> None:
    """A send is over."""
    begun, end = NOW + start * SECOND, NOW + now * SECOND
    given = {"again": False, **more}
    pace.ended(key(number), begun, verdict, end, **given)  # type: ignore[arg-type]


def throttled(took: int, turned_away: int) -> Pace:
    """A provider that was sent some at once, and took so many of them."""
    pace = Pace()
    for number in range(took + turned_away):
        assert line_up(pace, number) == 0
    for number in range(took + turned_away):
        ended(pace, number, "accepted" if number < took else "busy", 0, 0.01 * number)
    return pace


class TestBackoff:
    def test_it_doubles_up_to_the_longest_and_is_spread_over_all_of_it(self) -> None:
        """Full jitter: who was turned away together does not come back together."""
        assert [seconds(tries, 1) for tries in range(6)] == [FIRST, 2, 4, 8, LONGEST, LONGEST]
        assert [seconds(tries, 0) for tries in range(3)] == [SOONEST] * 3
        assert seconds(1, 0.5) == (SOONEST + 2) / 2
        assert seconds(10**9, 1) == LONGEST


class TestPerSecond:
    def test_without_it_messages_leave_as_they_come(self) -> None:
        """Nobody has asked for anything else."""
        pace = Pace()
        assert [line_up(pace, number) for number in range(100)] == [0] * 100

    def test_what_is_more_waits_each_for_its_own_turn(self) -> None:
        """In the order in which they came; and a turn is there when its time has come."""
        pace = Pace(2)
        assert [line_up(pace, number) for number in range(4)] == [0, 0.5, 1, 1.5]
        assert line_up(pace, 2, 0.4) == 0.6
        assert line_up(pace, 1, 0.5) == 0
        assert line_up(pace, 4, 0.5) == 1.5
        assert line_up(pace, 2, 1) == 0

    def test_who_looks_takes_no_turn(self) -> None:
        """Another provider may be sooner."""
        pace = Pace(2)
        line_up(pace, 0)
        waits = [pace.wait(key(number), NOW, again=False) for number in (1, 2, 1)]
        assert waits == [SECOND / 2] * 3

    def test_who_asked_once_more_goes_in_front(self) -> None:
        """Whoever had the next turn has the one after it."""
        pace = Pace(2)
        for number in range(3):
            line_up(pace, number)
        assert pace.line_up(key(9), NOW, again=False, ahead=True) == SECOND / 2
        assert pace.line_up(key(9), NOW + SECOND / 2, again=False, ahead=True) == 0 * SECOND
        assert line_up(pace, 1, 0.5) == 0.5

    def test_a_turn_that_nobody_comes_for_is_forgotten(self) -> None:
        """Its message was replaced, or another server has sent it."""
        pace = Pace(0.1)
        assert [line_up(pace, number) for number in range(3)] == [0, 10, 20]
        assert line_up(pace, 3, 21.5) == 0

    def test_nothing_is_saved_up(self) -> None:
        """After a quiet hour there are two a second, and not all at once."""
        pace = Pace(2)
        assert [line_up(pace, number, 3600) for number in range(3)] == [0, 0.5, 1]


class TestBusy:
    def test_what_comes_again_keeps_the_pace_that_it_has_shown(self) -> None:
        """Two were taken in the second before: after a rest two a second come again."""
        pace = throttled(2, 3)
        rest = 0.04 + REST.total_seconds()
        assert [line_up(pace, number, rest, again=True) for number in (2, 3, 4)] == [0, 0.5, 1]

    def test_what_was_taken_may_be_told_later(self) -> None:
        """Answers overtake each other."""
        pace = Pace()
        ended(pace, 0, "busy", 0, 0.01)
        for number in (1, 2, 3, 4):
            ended(pace, number, "accepted", 0, 0.1)
        assert [line_up(pace, number, 2, again=True) for number in (0, 5)] == [0, 0.25]

    def test_it_rests_first(self) -> None:
        """For a second from when the last one that was under way was turned away."""
        assert line_up(throttled(2, 3), 2, 0.5, again=True) == 0.64

    def test_a_new_message_is_tried_at_once(self) -> None:
        """Nobody waits for what others were told."""
        pace = throttled(2, 3)
        assert [line_up(pace, number, 0.2) for number in range(5, 10)] == [0] * 5

    def test_who_is_turned_away_beside_a_pace_changes_nothing_of_it(self) -> None:
        """Or new messages would keep those from coming that wait."""
        pace = throttled(2, 3)
        for number in range(5, 50):
            ended(pace, number, "busy", 0.1 * number, 0.1 * number)
        assert line_up(pace, 2, 2, again=True) == 0

    def test_a_new_message_takes_its_part_of_the_pace(self) -> None:
        """There are no more than two a second."""
        pace = throttled(2, 3)
        line_up(pace, 7, 1.2)
        assert line_up(pace, 2, 1.2, again=True) == 0.5

    def test_what_takes_nothing_rests_for_longer(self) -> None:
        """Up to the longest; who takes something has a second again."""
        pace, now, rests = throttled(0, 1), 0.0, []
        for _ in range(5):
            now += (rest := line_up(pace, 0, now, again=True))
            assert line_up(pace, 0, now, again=True) == 0
            rests.append(rest)
            ended(pace, 0, "busy", now, now, again=True)
        assert rests == [1.1, 2.2, 4.4, 5, 5]
        assert LONGEST_REST == 5 * SECOND
        now += line_up(pace, 0, now, again=True)
        ended(pace, 0, "accepted", now, now, again=True)
        ended(pace, 1, "busy", now + 1, now + 1, again=True)
        assert line_up(pace, 1, now + 1, again=True) == REST.total_seconds()

    def test_a_pace_is_tried_to_be_doubled_and_then_forgotten(self) -> None:
        """As long as it is never busy again."""
        pace, found = throttled(2, 3), []
        for number in range(6):
            now = number * KEPT.total_seconds() + 5
            line_up(pace, 2, now, again=True)
            found.append(line_up(pace, 3, now, again=True))
            line_up(pace, 3, now + 1, again=True)
        assert found == pytest.approx([0.5, 0.25, 0.125, 0.0625, 0.03125, 0])

    def test_retry_after_is_kept_by_the_message_that_was_told_so(self) -> None:
        """It alone: the gateway may have meant its number."""
        pace = throttled(1, 1)
        ended(pace, 1, "busy", 0, 0.01, retry_after=30.0)
        assert pace.wait(key(1), NOW + 2 * SECOND, again=True) == timedelta(seconds=28.01)
        assert line_up(pace, 5, 2, again=True) == 0
        assert line_up(pace, 1, 30.01, again=True) == 0

    def test_nobody_comes_after_one_who_is_to_come_much_later(self) -> None:
        """It has no turn yet; the others have theirs."""
        pace = throttled(2, 4)
        ended(pace, 3, "busy", 0, 0.01, retry_after=60.0)
        assert line_up(pace, 3, 2, again=True) == 58.01
        assert [line_up(pace, number, 2, again=True) for number in (2, 4, 5)] == [0, 0.5, 1]

    def test_a_setting_counts_if_it_is_slower(self) -> None:
        """What was found makes nothing faster."""
        pace = Pace(1)
        for number in range(3):
            ended(pace, number, "accepted", 0, 0)
        ended(pace, 3, "busy", 0, 0.01)
        assert [line_up(pace, number, 5, again=True) for number in (3, 4)] == [0, 1]
