"""
Receipts: what a network says of a message that a provider took, and of which message it says it.

Pure.  A provider names a message when it takes it, and again in the receipt, where some SMSCs write
the same number in another way: in hex what was decimal, or the reverse.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from radius_smsotp.model.records import Challenge, Message

LIVES = timedelta(days=3)
"""For so long after a message was taken a receipt may be of it: few SMSCs try for longer (GSM's
validity period is 2 days in most networks), and some begin to count anew, a modem after 256."""

LONGEST_ID = 128
"""Characters of an id that count."""

LONGEST_NUMBER = 39
"""Digits of an id that may be a number in another writing: 128 bits in decimal."""

LONGEST_WORD = 40
"""Characters of a state that are told."""

HABIT = 3
"""So many receipts in a row with ids as they were given tell that others are somebody else's."""

HABITS_SEEN = 10
"""Receipts that are looked at for that."""


class Receipt(NamedTuple):
    """
    What a network says of a message that a provider took.

    Attributes:
        delivered: Whether all of it has arrived.
        words: The network's own.
    """

    delivered: bool
    words: str


@dataclass(frozen=True, slots=True)
class Sent:
    """
    A message that a receipt may be of.

    Attributes:
        provider_id: Its name at the provider, normalised.
        time: When the provider took it.
        receipt: The kind of event of the receipt that it has already, or None.
    """

    challenge: Challenge
    message: Message
    provider_id: str
    time: datetime
    receipt: str | None


def normalise(message_id: str) -> str:
    """
    One form for all writings of a provider's name for a message.

    The same id comes back in a receipt in the other letter case, without its leading zeros, with
    0x before it, or in quotes.
    """
    bare = message_id.strip(" \t\r\n\0\"'").lower()
    bare = re.sub("^0x(?=[0-9a-f]+$)", "", bare)
    return bare.lstrip("0")[:LONGEST_ID] or "0"


def other_writings(provider_id: str) -> tuple[str, ...]:
    """
    The same number in hex, if it is decimal, and in decimal, if it is hex; it may be both.

    Args:
        provider_id: Normalised.
    """
    found = []
    if len(provider_id) <= LONGEST_NUMBER and provider_id.isascii():
        if provider_id.isdecimal():
            found.append(f"{int(provider_id):x}")
        if re.fullmatch("[0-9a-f]+", provider_id):
            found.append(str(int(provider_id, 16)))
    return tuple(one for one in found if one != provider_id)


Habit = Literal["same", "other"]
"""How ids stand in the receipts of a provider: as it gave them, or in the other writing."""


def habit(told: Sequence[bool]) -> Habit | None:
    """
    What the last receipts of a provider tell of its ids.

    Args:
        told: Of each whether the id stood there as it was given; of those alone that could not
            have been of another message.
    """
    if not all(told):
        return "other"
    return "same" if len(told) >= HABIT else None


class Match(NamedTuple):
    """
    The message that a receipt is of.

    Attributes:
        telling: Whether it could be of no other: then it tells of the provider's `Habit`.
    """

    sent: Sent
    telling: bool


def choose(found: Sequence[Sent], provider_id: str, usual: Habit | None) -> Match | None:
    """
    Which message a receipt is of: the newest.

    One whose id stands there as it was given goes before one whose id is the same number in
    another writing, unless that is the provider's way; where a provider keeps to its ids, a
    receipt with another one is of somebody else's message.

    Args:
        found: Messages with this id in any writing, newest first.
        provider_id: In the receipt, normalised.

    Returns:
        None if it is of none of them.  One that has a receipt already: it is a repetition, and not
        of the message before.
    """
    same = [one for one in found if one.provider_id == provider_id]
    other = [one for one in found if one.provider_id != provider_id] if usual != "same" else []
    ranked = other + same if usual == "other" else same + other
    if not ranked:
        return None
    return Match(ranked[0], bool(same) != bool(other) and bool(other_writings(provider_id)))


DELIVERED = re.compile("deliv(rd|erd|ered)?|delivered to (handset|terminal)|read")

LOST = re.compile(
    "(un|not|non) ?deliv|expir|delet|rejec|fail|skip|cancel|delivery (fail|impossible)|unreach"
    "|block|error|invalid"
    # Of an SMSC behind a gateway that hands on its answer to the message, SMPP 3.4 5.1.3.
    "|esme r(?!ok$)"
)


def outcome(word: str) -> bool | None:
    """
    Whether a state, in the words of any network, says that a message has arrived.

    Returns:
        None if it says neither: the message is on its way, or nobody knows.
    """
    # "UNDELIV", "Undeliverable", "NOT_DELIVERED", "DELIVERED_TO_HANDSET", "DeliveredToTerminal"
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])|[^A-Za-z]+", " ", word).strip().lower()
    if DELIVERED.fullmatch(plain):
        return True
    return False if LOST.match(plain) else None


def word(state: str) -> str:
    """A state as it may be told: a network may put anything into it, a number too."""
    return re.sub(r"\d{4,}|[^\w .:/-]", "", state, flags=re.ASCII).strip()[:LONGEST_WORD]
