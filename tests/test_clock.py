"""A clock that jumps by an hour, either way: nobody gets in who should not, and nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.site import kind

if TYPE_CHECKING:
    from tests.site import Clock, Gateways, Site

HOUR = 3600.0


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
class TestAJump:
    def test_a_spent_code_stays_spent(self, site: Site, clock: Clock, jump: float) -> None:
        """Before, during and after."""
        node = site.node()
        challenged = node.challenge()
        code = node.code(challenged)
        assert kind(node.second(challenged, code)) == "accepted"
        for move in (jump, -jump):
            clock.advance(move)
            assert kind(node.second(challenged, code)) == "rejected"

    def test_an_expired_code_is_worth_nothing_afterwards(
        self, site: Site, clock: Clock, jump: float
    ) -> None:
        """Once the clock is right again."""
        node = site.node()
        challenged = node.challenge()
        clock.advance(301)
        clock.advance(jump)
        clock.advance(-jump)
        assert kind(node.second(challenged, node.code(challenged))) == "rejected"

    def test_a_lock_out_holds_for_its_length_by_the_right_clock(
        self, site: Site, clock: Clock, jump: float
    ) -> None:
        """And no longer than the jump beyond it."""
        node = site.node(lockout={"failures": 3, "minutes": 15})
        for _ in range(3):
            node.first(password="wrong")
        clock.advance(jump)
        clock.advance(-jump)
        assert kind(node.first()) == "rejected"
        clock.advance(15 * 60 + 1)
        assert kind(node.first()) == "challenged"

    def test_limits_are_not_lifted_by_it(
        self, site: Site, clock: Clock, gateways: Gateways, jump: float
    ) -> None:
        """Messages that seem to come from the future count as well."""
        node = site.node(limits={"cooldown": 0, "per_account_hour": 3})
        for _ in range(3):
            node.challenge()
        for move in (-abs(jump), abs(jump), 60):
            clock.advance(move)
            node.first()
            assert len(gateways.sent) == 3

    def test_logins_go_on_by_the_new_time(self, site: Site, clock: Clock, jump: float) -> None:
        """Begun and ended after the jump."""
        node = site.node()
        node.challenge()
        clock.advance(jump)
        challenged = node.challenge()
        assert kind(node.second(challenged, node.code(challenged))) == "accepted"
        with node.store.read() as tx:
            assert tx.account("alice") is not None


def test_a_login_across_a_jump_forward_begins_again(site: Site, clock: Clock) -> None:
    """Its code has expired, as far as anybody can tell."""
    node = site.node()
    challenged = node.challenge()
    clock.advance(HOUR)
    assert kind(node.second(challenged, node.code(challenged))) == "rejected"
    again = node.challenge()
    assert kind(node.second(again, node.code(again))) == "accepted"


@pytest.mark.parametrize("back", [1, HOUR])
def test_a_clock_that_is_set_back_lengthens_no_cooldown(
    site: Site, clock: Clock, gateways: Gateways, back: float
) -> None:
    """A first step sends a code again when it would have; until then it does not."""
    node = site.node()
    node.challenge()
    clock.advance(-back)
    again = node.challenge()
    assert len(gateways.sent) == (1 if back == 1 else 2)
    clock.advance(59 - back % HOUR)
    assert node.challenge().transaction_id == again.transaction_id
    clock.advance(120)
    node.challenge()
    assert len(gateways.sent) == (2 if back == 1 else 3)


def test_a_guess_counts_whenever_it_comes(site: Site, clock: Clock) -> None:
    """Three wrong ones are three; then the right one is too late, by either clock."""
    node = site.node()
    challenged = node.challenge()
    right = node.code(challenged)
    wrong = f"{(int(right) + 1) % 10**6:06}"
    for move in (0, -HOUR, HOUR):
        clock.advance(move)
        node.second(challenged, wrong)
    for move in (0, -HOUR):
        clock.advance(move)
        assert kind(node.second(challenged, right)) == "rejected"
