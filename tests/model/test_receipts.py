"""Of which message a receipt is, and what it says."""

from __future__ import annotations

import pytest

from radius_smsotp.model import receipts
from radius_smsotp.model.receipts import Match, Sent, choose, habit, normalise, other_writings
from tests.store.samples import NOW, challenge, message


def sent(number: int, provider_id: str, receipt: str | None = None) -> Sent:
    """A message that a provider took."""
    return Sent(challenge(number), message(number), provider_id, NOW, receipt)


@pytest.mark.parametrize(
    ("written", "id_"),
    [
        ("1A2B", "1a2b"),
        ("0001a2b", "1a2b"),
        ("0x1A2B", "1a2b"),
        (' "1A2B"\0', "1a2b"),
        ("'1a2b'", "1a2b"),
        ("000", "0"),
        ("0xyz", "xyz"),
        ("Ab.c@D/e+f=", "ab.c@d/e+f="),
        ("x" * 500, "x" * receipts.LONGEST_ID),
    ],
)
def test_an_id_has_one_form(written: str, id_: str) -> None:
    """In whatever way it is written; and its form is its own."""
    assert normalise(written) == id_
    assert normalise(id_) == id_


@pytest.mark.parametrize(
    ("id_", "others"),
    [
        ("1a2b", ("6699",)),
        ("6699", ("1a2b", "26265")),
        ("7", ()),
        ("a", ("10",)),
        ("ffffffffffffffff", ("18446744073709551615",)),
        ("9" * 40, ()),
        ("msg-7", ()),
        ("٣٤", ()),  # digits to Python
    ],
)
def test_the_same_number_in_other_writings(id_: str, others: tuple[str, ...]) -> None:
    """Hex for decimal, decimal for hex; what may be either has both."""
    assert other_writings(id_) == others
    assert all(id_ in other_writings(one) for one in others)


class TestChoose:
    def test_the_newest_of_one_id(self) -> None:
        """Some providers begin to count anew; a modem after 256."""
        found = [sent(2, "7"), sent(1, "7")]
        assert choose(found, "7", None) == Match(found[0], telling=False)

    def test_a_repetition_is_not_of_the_message_before(self) -> None:
        """It is of the one that has a receipt already."""
        found = [sent(2, "7", "sms-delivered"), sent(1, "7")]
        assert choose(found, "7", None) == Match(found[0], telling=False)

    def test_hex_and_decimal_both_ways(self) -> None:
        """That there is nothing else it could be of tells how this provider writes."""
        for given, reported in (("1a2b", "6699"), ("6699", "1a2b")):
            found = [sent(1, given)]
            assert choose(found, reported, None) == Match(found[0], telling=True)

    def test_an_id_as_it_was_given_goes_first(self) -> None:
        """3e8 is 1000 in hex: both were given out, and 1000 is meant."""
        found = [sent(2, "3e8"), sent(1, "1000")]
        assert choose(found, "1000", None) == Match(found[1], telling=False)

    def test_unless_this_provider_always_writes_the_other(self) -> None:
        found = [sent(2, "1000"), sent(1, "3e8")]
        assert choose(found, "1000", "other") == Match(found[1], telling=False)
        assert choose(found[:1], "1000", "other") == Match(found[0], telling=True)

    def test_where_ids_come_back_as_given_another_is_somebody_elses(self) -> None:
        """They may share our account at the SMSC."""
        assert choose([sent(1, "3e8")], "1000", "same") is None
        assert choose([], "1000", None) is None

    def test_a_habit_is_told_by_a_few(self) -> None:
        """One could be chance, but not that the same number has two writings."""
        assert habit([]) is None
        assert habit([True] * (receipts.HABIT - 1)) is None
        assert habit([True] * receipts.HABIT) == "same"
        assert habit([True] * 9 + [False]) == "other"


@pytest.mark.parametrize(
    ("words", "delivered"),
    [
        ("DELIVRD delivered Delivered DELIVERED_TO_HANDSET DeliveredToTerminal read", True),
        ("UNDELIV Undeliv UNDELIVERABLE NOT_DELIVERED NOTDELIVERED NonDelivered", False),
        ("EXPIRED Expired DELETED REJECTD rejected FAILED failure SKIPPED canceled", False),
        ("DELIVERY_FAILED DeliveryImpossible BLOCKED ERROR", False),
        ("ENROUTE ACCEPTD accepted BUFFERED queued sent sending PENDING TRANSMITTED", None),
        ("UNKNOWN DELIVERING DELIVERED_TO_NETWORK DeliveryUncertain 2 é", None),
    ],
)  # fmt: skip
def test_states_are_known_in_the_words_of_any_network(words: str, delivered: bool | None) -> None:
    """In any letter case; what is not known for sure says nothing."""
    for word in [*words.split(), ""] if delivered is None else words.split():
        assert receipts.outcome(word) is delivered, word
