"""What is checked before money is spent, and how long a hook may wait."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radius_smsotp.login.rules import reached
from radius_smsotp.model.records import Tally
from radius_smsotp.radius.waiting import RATION_WINDOW, wait_allowance
from tests.login.test_rules import POLICY

LIMITED = replace(POLICY, per_account_hour=6, per_number_hour=5, per_client_hour=100, per_day=1000)


@pytest.mark.parametrize(
    ("tally", "limit"),
    [
        (Tally(), None),
        (Tally(5, 4, 99, 999), None),
        (Tally(6, 0, 0, 0), "per_account_hour"),
        (Tally(0, 5, 0, 0), "per_number_hour"),
        (Tally(0, 0, 100, 0), "per_client_hour"),
        (Tally(0, 0, 0, 1000), "per_day"),
        (Tally(7, 7, 700, 7000), "per_account_hour"),
    ],
)
def test_a_limit_is_what_may_leave_at_most(tally: Tally, limit: str | None) -> None:
    """With as many messages as the limit says already gone, there is no other."""
    assert reached(tally, LIMITED) == limit


def test_a_limit_of_zero_is_none() -> None:
    """Zero means "as many as there are", not "not one"."""
    free = replace(POLICY, per_account_hour=0, per_number_hour=0, per_client_hour=0, per_day=0)
    assert reached(Tally(10**6, 10**6, 10**6, 10**6), free) is None


# An arrival: how long after the one before, how much of its allowance it then really waits.
ARRIVALS = st.lists(
    st.tuples(
        st.one_of(st.just(0.0), st.floats(0, 0.5), st.floats(0, 20)),
        st.one_of(st.just(1.0), st.floats(0, 1)),
    ),
    max_size=60,
)


def simulate(
    arrivals: list[tuple[float, float]], most: float, share: float
) -> list[tuple[float, float]]:
    """Logins that come one after the other through one lock, and wait what they are allowed."""
    waits: list[tuple[float, float]] = []
    now = 0.0
    for gap, part in arrivals:
        now += gap
        allowed = wait_allowance(waits, now, most, share)
        assert 0 <= allowed <= most
        if allowed > 0:
            end = now + allowed * part
            waits.append((now, end))
            now = end
    return waits


def waited(waits: list[tuple[float, float]], since: float) -> float:
    """Seconds that were waited in the window that begins at `since`."""
    until = since + RATION_WINDOW
    return sum(max(0.0, min(end, until) - max(start, since)) for start, end in waits)


@settings(max_examples=400)
@given(arrivals=ARRIVALS, most=st.floats(0.01, 10), share=st.floats(0.01, 0.99))
def test_no_window_holds_more_waiting_than_its_share(
    arrivals: list[tuple[float, float]], most: float, share: float
) -> None:
    """Over any ten seconds, wherever they begin, at most `share` of the time is waited."""
    waits = simulate(arrivals, most, share)
    # The sum only changes its slope where a wait begins or ends at an edge of the window.
    edges = [edge for wait in waits for edge in wait]
    for since in [*edges, *(edge - RATION_WINDOW for edge in edges)]:
        assert waited(waits, since) <= share * RATION_WINDOW + 1e-6


@settings(max_examples=200)
@given(arrivals=ARRIVALS, most=st.floats(0.01, 10), share=st.floats(0.01, 0.99))
def test_no_two_waits_stand_back_to_back(
    arrivals: list[tuple[float, float]], most: float, share: float
) -> None:
    """After a wait, the lock is free for as long as pays it back."""
    waits = simulate(arrivals, most, share)
    for (start, end), (following, _) in itertools.pairwise(waits):
        assert following - end >= (end - start) * (1 / share - 1) - 1e-6


def test_logins_that_never_stop_wait_their_whole_share() -> None:
    """The ration is given out, not saved: in a minute of logins, nearly a quarter is waited."""
    waits = simulate([(0.01, 1.0)] * 6000, 1.0, 0.25)
    last = waits[-1][1]
    assert sum(end - start for start, end in waits) > 0.2 * last


def test_the_first_login_waits_as_long_as_it_may() -> None:
    """Nothing was waited before it."""
    assert wait_allowance([], 100.0, 1.0, 0.25) == 1.0


@pytest.mark.parametrize(("most", "share"), [(0, 0.25), (1, 0), (0, 0)])
def test_without_wait_or_share_nobody_waits(most: float, share: float) -> None:
    """`delivery.wait: 0` and `delivery.wait_share: 0` both mean never."""
    assert wait_allowance([], 100.0, most, share) == 0


def test_a_share_of_one_rations_nothing() -> None:
    """Every login may wait, one behind the other."""
    assert wait_allowance([(0, 10)], 10.0, 10.0, 1.0, busy=1.0) == 10.0


@given(busy=st.floats(0, 1), most=st.floats(0.01, 10), share=st.floats(0.01, 0.99))
def test_only_what_work_leaves_is_shared(busy: float, most: float, share: float) -> None:
    """A module that is at work half of the time lets half as much of it be waited."""
    allowed = wait_allowance([], 100.0, most, share, busy)
    assert allowed == pytest.approx(min(most, share * (1 - busy) * RATION_WINDOW))
