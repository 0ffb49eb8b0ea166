"""What delivery writes into the audit trail."""

from __future__ import annotations

from datetime import datetime

from radius_smsotp.delivery.leases import due_in
from radius_smsotp.model.records import Attempt, Challenge, Event, Message


def challenge_event(
    kind: str, challenge: Challenge, now: datetime, **detail: str | int | float
) -> Event:
    """An event of a challenge, with nobody asking: of its delivery."""
    one = challenge
    return Event(kind, now, one.account, one.transaction_id, one.client, one.station, detail)


def attempt_event(challenge: Challenge, message: Message, attempt: Attempt, now: datetime) -> Event:
    """The event of one attempt at one provider."""
    detail: dict[str, str | int | float]
    detail = {"provider": attempt.provider, "seconds": attempt.seconds}
    detail |= {"way": message.way} if message.ways else {}
    detail |= {"text": attempt.text} if attempt.text else {}
    detail |= {"message_id": attempt.message_id} if attempt.message_id else {}
    return challenge_event(f"sms-{attempt.verdict}", challenge, now, **detail)


def postponed_event(
    challenge: Challenge, message: Message, now: datetime, paced: str | None
) -> Event:
    """
    The event of a message that waits.

    Args:
        paced: The provider whose pace it waits for; None if none had room.
    """
    detail: dict[str, str | int | float] = {"reason": "pace" if paced else "busy"}
    detail |= {"provider": paced} if paced else {}
    wait = round(due_in(message, now), 1)
    return challenge_event("sms-postponed", challenge, now, **detail, wait=wait)
