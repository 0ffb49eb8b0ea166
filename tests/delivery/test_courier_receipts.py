"""What becomes of a message after a provider has taken it: receipts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from radius_smsotp.delivery import receipts
from radius_smsotp.errors import StoreError
from radius_smsotp.login.answers import Accepted
from tests.support.site import eventually

if TYPE_CHECKING:
    from tests.support.site import Gateways, Node, Site


@pytest.fixture
def node(site: Site) -> Node:
    """A server whose providers report."""
    return site.node()


def test_a_message_that_arrived_is_recorded(node: Node, gateways: Gateways) -> None:
    """With the provider and the network's words; nothing else happens."""
    challenged = node.challenge()
    gateways.report("first", "first-1", delivered=True, words="DELIVRD")
    last = node.events()[-1]
    assert (last.kind, last.transaction_id) == ("sms-delivered", challenged.transaction_id)
    assert last.detail == {"provider": "first", "text": "DELIVRD", "seconds": 0.0}
    assert gateways.names() == ["first"]


def test_a_message_that_was_lost_goes_through_the_next_provider(
    node: Node, gateways: Gateways
) -> None:
    """By itself: the user is still waiting."""
    challenged = node.challenge()
    gateways.report("first", "first-1", delivered=False, words="UNDELIV")
    eventually(lambda: node.message(challenged).provider == "second")
    assert gateways.names() == ["first", "second"]
    assert node.kinds()[-2:] == ["sms-lost", "sms-accepted"]
    assert node.second(challenged, node.code(challenged)) == Accepted()


def test_the_last_provider_may_lose_it_too(node: Node, gateways: Gateways) -> None:
    """Then there is nobody left; the challenge stays open, as it may still arrive."""
    challenged = node.challenge()
    gateways.report("first", "first-1", delivered=False)
    eventually(lambda: node.message(challenged).provider == "second")
    node.settle(challenged.transaction_id)
    gateways.report("second", "second-2", delivered=False)
    assert node.kinds()[-1] == "sms-lost"
    assert gateways.names() == ["first", "second"]
    assert node.stored(challenged.transaction_id).state == "open"


@pytest.mark.parametrize("delivered", [True, False])
def test_a_report_that_is_faster_than_the_receipt_counts_too(
    node: Node, gateways: Gateways, delivered: bool
) -> None:
    """An SMSC may send it at once, even before its answer to the message."""
    gateways.will("first", lambda: gateways.report("first", "first-1", delivered, "REJECTD"))
    challenged = node.challenge()
    expected = ["first"] if delivered else ["first", "second"]
    eventually(lambda: node.message(challenged).provider == expected[-1])
    node.settle(challenged.transaction_id)
    told = ["sms-delivered"] if delivered else ["sms-lost", "sms-accepted"]
    eventually(lambda: node.kinds()[-1 - len(told) :] == ["sms-accepted", *told])
    assert gateways.names() == expected


def test_a_loss_that_nobody_minds_sends_nothing(site: Site, node: Node, gateways: Gateways) -> None:
    """The code was used, or asked for again, or is too old."""
    used = node.challenge()
    node.second(used, node.code(used))
    gateways.report("first", "first-1", delivered=False)
    asked_again = node.challenge()
    node.second(asked_again, "r")
    node.settle(asked_again.transaction_id)
    gateways.report("first", "first-2", delivered=False)
    site.clock.advance(60)
    too_old = node.challenge()
    site.clock.advance(300)
    gateways.report("first", "first-4", delivered=False)
    node.settle(too_old.transaction_id)
    assert gateways.names() == ["first", "first", "second", "first"]
    assert node.kinds().count("sms-lost") == 3


def test_a_report_counts_once_and_only_for_messages_of_ours(node: Node, gateways: Gateways) -> None:
    """A network may repeat itself, and may confuse us with somebody else."""
    node.challenge()
    for _ in range(2):
        gateways.report("first", "first-1", delivered=True)
    gateways.report("first", "somebody-else", delivered=False)
    gateways.report("second", "first-1", delivered=False)
    assert node.kinds().count("sms-delivered") == 1
    assert gateways.names() == ["first"]


@pytest.mark.parametrize("delivered", [True, False])
def test_a_receipt_may_come_to_another_server(
    site: Site, node: Node, gateways: Gateways, delivered: bool
) -> None:
    """An SMSC sends it to whichever of its binds; also to one that has started since."""
    challenged = node.challenge()
    other = site.node()
    gateways.report("first", "FIRST-1", delivered, "word")
    other.settle(challenged.transaction_id)
    told = ["sms-delivered"] if delivered else ["sms-lost", "sms-accepted"]
    eventually(lambda: node.kinds()[-len(told) :] == told)
    assert gateways.names() == ["first"] if delivered else ["first", "second"]


def test_a_receipt_may_come_to_another_server_before_its_attempt_is_recorded(
    site: Site, node: Node, gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks again, and the message goes through the next provider."""
    monkeypatch.setattr(receipts, "AGAIN_SECONDS", 0.0)
    gate = gateways.hang("first")
    challenged = node.begun()
    eventually(gateways.names)
    other = site.node()
    gateways.report("first", "first-1", delivered=False)
    other.courier.sweep()
    assert "sms-lost" not in node.kinds()
    gate.set()

    def is_seen() -> bool:
        other.courier.sweep()
        return "sms-lost" in node.kinds()

    eventually(is_seen)
    eventually(lambda: node.message(challenged).provider == "second")
    assert node.kinds()[-3:] == ["sms-accepted", "sms-lost", "sms-accepted"]
    assert gateways.names() == ["first", "second"]


def test_a_receipt_that_the_store_did_not_take_is_tried_again(
    node: Node, gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network says it once."""
    monkeypatch.setattr(receipts, "AGAIN_SECONDS", 0.0)
    node.challenge()

    def fail(*_: object) -> None:
        raise StoreError("busy")

    with monkeypatch.context() as patch:
        patch.setattr(receipts, "insist", fail)
        with pytest.raises(StoreError):  # so that the network says it again, where it can
            gateways.report("first", "first-1", delivered=True)
    assert "sms-delivered" not in node.kinds()
    node.courier.sweep()
    assert node.kinds()[-1] == "sms-delivered"


@pytest.mark.parametrize(
    ("given", "reported"), [("1A2B", "6699"), ("6699", "0x1a2b"), ("A.b@c/d+e=", "a.B@C/d+E=")]
)
def test_an_id_may_come_back_in_another_writing(
    node: Node, gateways: Gateways, given: str, reported: str
) -> None:
    """Hex for decimal, and the reverse; and ids are no words."""
    gateways.call("first", given)
    challenged = node.challenge()
    gateways.report("first", reported, delivered=False, words="UNDELIV")
    eventually(lambda: node.message(challenged).provider == "second")


def test_a_receipt_of_a_message_before_the_newest_is_noted_and_sends_nothing(
    node: Node, gateways: Gateways
) -> None:
    """Whether it was taken before the user asked for one more, or after that."""
    gate = gateways.hang("first")
    challenged = node.begun()
    eventually(gateways.names)
    node.second(challenged, "r")
    node.settle(challenged.transaction_id)
    gate.set()
    eventually(lambda: node.kinds().count("sms-accepted") == 2)
    gateways.report("first", "first-2", delivered=False)
    assert node.kinds()[-1] == "sms-lost"
    assert gateways.names() == ["first", "second"]
    assert node.message(challenged).state == "accepted"
