"""A clock that jumps by an hour, either way: nobody gets in who should not, and nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from radius_smsotp.delivery import leases
from radius_smsotp.delivery.breaker import FIRST_PAUSE
from radius_smsotp.errors import Unavailable
from tests.support.site import Clock, eventually, kind

if TYPE_CHECKING:
    from tests.support.site import Gateways, Node, Site

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
            clock.jump(move)
            assert kind(node.second(challenged, code)) == "rejected"

    def test_an_expired_code_is_worth_nothing_afterwards(
        self, site: Site, clock: Clock, jump: float
    ) -> None:
        """Once the clock is right again."""
        node = site.node()
        challenged = node.challenge()
        clock.advance(301)
        clock.jump(jump)
        clock.jump(-jump)
        assert kind(node.second(challenged, node.code(challenged))) == "rejected"

    def test_a_lock_out_holds_for_its_length_by_the_right_clock(
        self, site: Site, clock: Clock, jump: float
    ) -> None:
        """And no longer than the jump beyond it."""
        node = site.node(lockout={"failures": 3, "minutes": 15})
        for _ in range(3):
            node.first(password="wrong")
        clock.jump(jump)
        clock.jump(-jump)
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
            clock.jump(move)
            node.first()
            assert len(gateways.sent) == 3

    def test_logins_go_on_by_the_new_time(self, site: Site, clock: Clock, jump: float) -> None:
        """Begun and ended after the jump."""
        node = site.node()
        node.challenge()
        clock.jump(jump)
        challenged = node.challenge()
        assert kind(node.second(challenged, node.code(challenged))) == "accepted"
        with node.store.read() as tx:
            assert tx.account("alice") is not None


def test_a_login_across_a_jump_forward_begins_again(site: Site, clock: Clock) -> None:
    """Its code has expired, as far as anybody can tell."""
    node = site.node()
    challenged = node.challenge()
    clock.jump(HOUR)
    assert kind(node.second(challenged, node.code(challenged))) == "rejected"
    again = node.challenge()
    assert kind(node.second(again, node.code(again))) == "accepted"


def test_a_login_across_a_jump_back_begins_again(site: Site, clock: Clock) -> None:
    """Nobody knows how old its code is; it gets no day more, and no message less is sent."""
    node = site.node()
    challenged = node.challenge()
    clock.jump(-HOUR)
    assert kind(node.second(challenged, node.code(challenged))) == "rejected"
    assert node.events()[-1].detail == {"reason": "clock"}
    again = node.challenge()
    assert again.transaction_id != challenged.transaction_id
    assert kind(node.second(again, node.code(again))) == "accepted"


@pytest.mark.parametrize("back", [1, HOUR])
def test_a_clock_that_is_set_back_lengthens_no_cooldown(
    site: Site, clock: Clock, gateways: Gateways, back: float
) -> None:
    """A first step sends a code again when it would have; until then it does not."""
    node = site.node()
    node.challenge()
    clock.jump(-back)
    again = node.challenge()
    assert len(gateways.sent) == (1 if back == 1 else 2)
    clock.advance(59 - back % HOUR)
    assert node.challenge().transaction_id == again.transaction_id
    clock.advance(120)
    node.challenge()
    assert len(gateways.sent) == (2 if back == 1 else 3)


def test_a_guess_counts_whenever_it_comes(site: Site, clock: Clock) -> None:
    """Three wrong ones are three; what is not judged, because the clock has jumped, is none."""
    node = site.node()
    challenged = node.challenge()
    right = node.code(challenged)
    wrong = f"{(int(right) + 1) % 10**6:06}"
    for move, left in ((0, 2), (-HOUR, 2), (2 * HOUR, 2), (-HOUR - 240, 1), (240, 0)):
        clock.jump(move)
        node.second(challenged, wrong)
        assert node.stored(challenged.transaction_id).guesses_left == left
    for move in (0, -240, 240, -HOUR):
        clock.jump(move)
        assert kind(node.second(challenged, right)) == "rejected"


def test_a_lock_out_does_not_last_for_the_jump_beyond_it(site: Site, clock: Clock) -> None:
    """Who knows the PIN gets in at once after a jump back; a wrong one locks again."""
    node = site.node(lockout={"failures": 3, "minutes": 15}, limits={"cooldown": 0})
    for _ in range(3):
        node.first(password="wrong")
    clock.jump(-24 * HOUR)
    assert kind(node.first()) == "challenged"
    node.first(password="wrong")
    assert kind(node.first()) == "rejected"
    clock.advance(15 * 60)
    assert kind(node.first()) == "challenged"


def test_a_limit_of_an_hour_does_not_last_a_day(site: Site, clock: Clock) -> None:
    """After a jump back by that much."""
    node = site.node(limits={"cooldown": 0, "per_account_hour": 1})
    node.challenge()
    clock.jump(-24 * HOUR)
    node.challenge()
    assert kind(node.first()) == "rejected"


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_provider_is_skipped_for_its_pause(
    site: Site, clock: Clock, gateways: Gateways, jump: float
) -> None:
    """Neither is it tried earlier, nor left out for longer."""
    node = site.node(limits={"cooldown": 0, "per_account_hour": 0, "per_number_hour": 0})
    gateways.will("first", *[Unavailable("HTTP 503")] * 3, None)
    for _ in range(3):
        node.challenge()
    clock.jump(jump)
    gateways.sent.clear()
    node.challenge()
    assert gateways.names() == ["second"]
    clock.advance(FIRST_PAUSE.total_seconds())
    node.challenge()
    assert gateways.names() == ["second", "first"]


def test_a_message_under_way_is_not_sent_again_when_the_clock_jumps_ahead(
    site: Site, clock: Clock, gateways: Gateways
) -> None:
    """Its lease seems to have run out; but it is this process that holds it."""
    node = site.node()
    gate = gateways.hang("first")
    challenged = node.begun()
    eventually(gateways.names)
    clock.jump(60)
    assert node.courier.sweep() == 0
    gate.set()
    node.settle(challenged.transaction_id)
    assert gateways.names() == ["first"]
    assert node.message(challenged).state == "accepted"


class TestServersWhoseClocksDiffer:
    @pytest.fixture
    def pair(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> tuple[Node, Node]:
        """Two servers on hosts of their own; the second one's clock is three minutes ahead."""
        nodes = []
        for host, ahead in (("one", 0), ("two", 180)):
            monkeypatch.setattr(leases.socket, "gethostname", lambda host=host: host)
            clock = Clock()
            clock.jump(ahead)
            site.clock = clock
            nodes.append(site.node(lockout={"failures": 3}))
        return nodes[0], nodes[1]

    def test_a_message_of_one_is_left_alone_by_the_other(
        self, pair: tuple[Node, Node], gateways: Gateways
    ) -> None:
        """Its lease has run out by the clock that is ahead, but not for as long as it is."""
        one, two = pair
        gate = gateways.hang("first")
        challenged = one.begun()
        eventually(gateways.names)
        for _ in range(2):
            assert two.courier.sweep() == 0
            two.clock.advance(10 + leases.MARGIN - 1)
        gate.set()
        one.settle(challenged.transaction_id)
        two.clock.advance(60)
        assert two.courier.sweep() == 0
        assert gateways.names() == ["first"]

    def test_a_message_that_one_has_left_behind_is_sent_by_the_other(
        self, pair: tuple[Node, Node], gateways: Gateways
    ) -> None:
        """Once its lease was seen unchanged for as long as it lasts."""
        one, two = pair
        gateways.hang("first")
        challenged = one.begun()
        eventually(gateways.names)
        assert two.courier.sweep() == 0
        two.clock.advance(10 + leases.MARGIN)
        gateways.will("first", None)
        assert two.courier.sweep() == 1
        two.settle(challenged.transaction_id)
        assert two.message(challenged).state == "accepted"
        assert gateways.names() == ["first", "first"]

    def test_a_message_that_nobody_has_held_is_sent_at_once(
        self, site: Site, pair: tuple[Node, Node]
    ) -> None:
        """By a courier whose clock is behind that of the server."""
        site.write(delivery={"courier": "external"})
        site.clock = pair[1].clock
        server = site.node()
        server.begun()
        assert pair[0].courier.sweep() == 1

    def test_a_login_may_go_on_at_either(self, pair: tuple[Node, Node]) -> None:
        """And none of them takes a code that the other one has taken."""
        for first, second in (pair, pair[::-1]):
            challenged = first.challenge()
            code = first.code(challenged)
            assert kind(second.second(challenged, code)) == "accepted"
            assert kind(first.second(challenged, code)) == "rejected"
            assert kind(second.second(challenged, code)) == "rejected"

    def test_a_lock_out_holds_at_both(self, pair: tuple[Node, Node]) -> None:
        """Whichever of them has noticed."""
        for name, (first, second) in (("alice", pair), ("bob", pair[::-1])):
            for _ in range(3):
                first.first(name, "wrong")
            assert kind(first.first(name)) == kind(second.first(name)) == "rejected"
