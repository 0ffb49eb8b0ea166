"""
All rules of a login.  Pure: facts in, a decision out; the caller stores what follows from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, get_args

from radius_smsotp.model import code, forms, lockout, records
from radius_smsotp.model.identity import Obstacle
from radius_smsotp.model.records import (
    Account,
    Challenge,
    Client,
    Counter,
    EmergencyCodes,
    Lockout,
    LoginPolicy,
    Tally,
)

Limit = Literal["per_account_hour", "per_number_hour", "per_client_hour", "per_day"]
LIMITS: tuple[Limit, ...] = get_args(Limit)

RefusalReason = Literal[
    "unknown-account",
    "no-number",
    "disabled",
    "locked",
    "no-phone",
    "bad-phone",
    Obstacle,
    Limit,
]
OF_NUMBERS = {"bad-phone", *get_args(Obstacle)}
"""Reasons that values of `SMSOTP-Phone` have given."""

RejectionReason = Literal[
    "unknown-challenge",
    "foreign",
    "foreign-client",
    "foreign-station",
    "spent",
    "exhausted",
    "undelivered",
    "cancelled",
    "expired",
    "clock",
    "locked",
    "other-key",
]


@dataclass(frozen=True, slots=True)
class Facts:
    """
    What is known when somebody starts a login.

    Attributes:
        account: The account of ours, or None.
        phone: Where the code would go: the account's override, else FreeRADIUS's `SMSOTP-Phone`,
            else the account's; E.164.
        elsewhere: FreeRADIUS has said where the code would go (`SMSOTP-Phone` is set), so that
            no account of ours is needed.
        barred: What stands against messages to `phone`.
        running: The open challenges of this account that are `answerable`, newest first.
        client: Name of the RADIUS client that asks.
        remembered: Whether the device that asks needs no code for now.
        number_tag: Of `phone` (see `model.code.number_tag`), "" if there is none.
        faults: See `attributes.number`.
        counter: With whose failures and messages this login is counted.
        checkable: FreeRADIUS knows something to compare a password with, or a directory to ask.
        emergency: The account's emergency codes, if one of them may be used now: then none is sent.
    """

    account: Account | None
    phone: str | None
    elsewhere: bool
    barred: Obstacle | None
    lockout: Lockout
    tally: Tally
    running: Sequence[Challenge]
    client: str
    counter: Counter
    remembered: bool = False
    number_tag: str = ""
    faults: Sequence[str] = ()
    checkable: bool = False
    emergency: EmergencyCodes | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """
    An answer to a challenge, and what is known of it.

    Attributes:
        account: Folded name of who answers.
        client: From where.
        text: What was typed.
        expected: The derived code of the challenge, ``challenge.digits`` decimal digits; or the
            emergency code that was typed, if there is such a one.
        echoed: Whether it is what the first factor was: a device that keeps a password sends it
            to every question.  It is no guess.
        tag: Of the answer and the packet it came in, see `model.code.answer_tag`.
        judgeable: Whether this server has the key that the code was made with.
    """

    account: str
    client: Client
    text: str = field(repr=False)
    expected: str = field(repr=False)
    echoed: bool = False
    tag: str = ""
    judgeable: bool = True


@dataclass(frozen=True, slots=True)
class _OfChallenge:
    challenge: Challenge


@dataclass(frozen=True, slots=True)
class Open:
    """Open a challenge and send its code; or ask for an emergency code."""


class Repeat(_OfChallenge):
    """Answer with this challenge once more, and send nothing."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Let a remembered device in; no message is sent, so no limit stands against it."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """There is no login for this account now."""

    reason: RefusalReason


class Accept(_OfChallenge):
    """The code is right: spend the challenge."""


@dataclass(frozen=True, slots=True)
class Again:
    """The code is wrong; ask once more.  `challenge` has one guess less."""

    challenge: Challenge
    lockout: Lockout


class Resend(_OfChallenge):
    """Send the same code through the next provider."""


@dataclass(frozen=True, slots=True)
class ResendDenied:
    """A limit, or an emergency code, stands against a message; the challenge stays as it is."""

    challenge: Challenge
    limit: Limit | Literal["emergency"]


@dataclass(frozen=True, slots=True)
class Reject:
    """The answer is not accepted.  `challenge` and `lockout` are to be stored if not None."""

    reason: RejectionReason
    challenge: Challenge | None = None
    lockout: Lockout | None = None


class Unasked(_OfChallenge):
    """The first factor once more in place of a code: this device asks its user only once."""


class Retransmitted(_OfChallenge):
    """A packet that was judged came once more: the same reply, and nothing changes."""


Judgement = Accept | Again | Resend | ResendDenied | Unasked | Reject | Retransmitted


Admission = Open | Repeat | Trust | Refuse


def admit(facts: Facts, policy: LoginPolicy, now: datetime) -> Admission:
    """Decide what the first step leads to, provided that the first factor is right."""
    reason = obstacle(facts, now)
    if reason is not None:
        return Refuse(reason)
    if facts.remembered:
        return Trust()
    for challenge in facts.running:
        # One that lies ahead, within what clocks may differ by, is young as well.
        young = now - challenge.created_at < policy.cooldown
        alike = challenge.emergency == (facts.emergency is not None)
        if young and alike and challenge.client == facts.client and challenge.is_open(now):
            return Repeat(challenge)
    # No message is sent for an emergency code, so no limit stands against it.
    limit = None if facts.emergency else reached(facts.tally, policy)
    return Refuse(limit) if limit else Open()


def judge(
    challenge: Challenge | None,
    answer: Answer,
    locked: Lockout,
    tally: Tally,
    policy: LoginPolicy,
    now: datetime,
) -> Judgement:
    """
    Judge the answer to a challenge.

    Args:
        challenge: What `State` named, or None if it named none of ours.
        tally: Of the challenge's account, number and client; read if `asks_again`.
        now: Aware UTC time of arrival.
    """
    # RFC 2865 5.24: State comes back unchanged, so one that is not ours was never sent.
    if challenge is None:
        return Reject("unknown-challenge")
    if challenge.account != answer.account:
        return Reject("foreign")
    elsewhere = bound_elsewhere(challenge, answer.client, policy)
    if elsewhere is not None:
        return Reject(elsewhere)
    # It lets nobody in who was not: a reply is valid for one Request Authenticator only (RFC 2865
    # section 3), and the client that made it was told the same before.
    known = answer.tag != "" and challenge.answered == answer.tag
    if known and challenge.state in {"open", "spent"} and now < challenge.expires_at:
        return Retransmitted(challenge)
    if challenge.state != "open":
        return Reject(challenge.state)
    if now >= challenge.expires_at:
        return Reject("expired")
    if records.is_ahead(challenge.created_at, now):
        return Reject("clock")
    if lockout.is_locked(locked, now):
        return Reject("locked")
    if not answer.judgeable:
        return Reject("other-key")  # no guess: nobody knows whether it was right
    if answer.echoed:
        return Unasked(challenge)
    answered = replace(challenge, answered=answer.tag)
    if asks_again(answer.text, policy):
        limit = "emergency" if challenge.emergency else reached(tally, policy)
        return ResendDenied(challenge, limit) if limit else Resend(answered)
    if code.matches(forms.typed_code(answer.text), answer.expected):
        return Accept(replace(answered, state="spent"))
    return _wrong(answered, locked, policy, now)


def bound_elsewhere(
    challenge: Challenge, client: Client, policy: LoginPolicy
) -> RejectionReason | None:
    """Why a challenge may not be answered from here (see `model.Bind`), None if it may."""
    if policy.bind != "account" and challenge.client != client.name:
        return "foreign-client"
    if policy.bind == "station" and challenge.station != client.station:
        return "foreign-station"
    return None


def answerable(
    challenges: Sequence[Challenge], client: Client, policy: LoginPolicy, now: datetime
) -> list[Challenge]:
    """Those of open challenges that may be answered from here, and now."""
    return [
        one
        for one in challenges
        if bound_elsewhere(one, client, policy) is None
        and not records.is_ahead(one.created_at, now)
    ]


def asks_again(answer: str, policy: LoginPolicy) -> bool:
    """Whether an answer asks for one more SMS."""
    word = policy.resend_word.strip().casefold()
    return word != "" and answer.strip().casefold() == word


def burn(challenge: Challenge) -> Challenge:
    """Take one guess off a challenge."""
    left = challenge.guesses_left - 1
    if left > 0:
        return replace(challenge, guesses_left=left)
    return replace(challenge, guesses_left=0, state="exhausted")


def obstacle(facts: Facts, now: datetime) -> RefusalReason | None:
    """What stands against any login of this account now, sent message or not."""
    if facts.account is None and not facts.elsewhere and facts.emergency is None:
        return "no-number" if facts.checkable else "unknown-account"
    if facts.account is not None and not facts.account.enabled:
        return "disabled"
    if lockout.is_locked(facts.lockout, now):
        return "locked"
    if facts.emergency is not None:
        return None
    if facts.phone is None:
        return "bad-phone" if facts.elsewhere else "no-phone"
    return facts.barred


def _wrong(
    challenge: Challenge, locked: Lockout, policy: LoginPolicy, now: datetime
) -> Again | Reject:
    burnt = burn(challenge)
    counted = lockout.after_failure(locked, policy, now)
    if burnt.state != "open":
        return Reject("exhausted", burnt, counted)
    if lockout.is_locked(counted, now):
        return Reject("locked", burnt, counted)
    return Again(burnt, counted)


def reached(tally: Tally, policy: LoginPolicy) -> Limit | None:
    """The first limit that one more message would break, or None.  A limit of 0 is none."""
    counted: Sequence[tuple[Limit, int, int]] = (
        ("per_account_hour", tally.account_hour, policy.per_account_hour),
        ("per_number_hour", tally.number_hour, policy.per_number_hour),
        ("per_client_hour", tally.client_hour, policy.per_client_hour),
        ("per_day", tally.day, policy.per_day),
    )
    return next((name for name, sent, most in counted if most and sent >= most), None)
