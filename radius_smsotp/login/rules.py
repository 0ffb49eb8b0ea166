"""
All rules of a login.  Pure: facts in, a decision out; the caller stores what follows from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal, get_args

from radius_smsotp.model import code, forms, lockout, records
from radius_smsotp.model.identity import Obstacle
from radius_smsotp.model.records import (
    ECHOED,
    UNANSWERED,
    Account,
    Challenge,
    Client,
    Counted,
    Counter,
    EmergencyCodes,
    Lockout,
    LoginPolicy,
    Spent,
    Tally,
)
from radius_smsotp.model.ways import Way

Limit = Literal["per_account_hour", "per_number_hour", "per_client_hour", "per_day"]
Withheld = Literal["stored-password", Limit]
WITHHELD: tuple[Withheld, ...] = get_args(Withheld)
"""Reasons for which no message goes out.  A code that is there counts all the same."""

RefusalReason = Literal[
    "unknown-account",
    "no-number",
    "disabled",
    "locked",
    "no-phone",
    "bad-phone",
    "old-code",
    Obstacle,
    Withheld,
]
OF_NUMBERS = {"bad-phone", *get_args(Obstacle)}
"""Reasons that values of `SMSOTP-Phone` have given."""

TIME_TO_TYPE = timedelta(seconds=60)
"""wpa_supplicant ends a conversation so long after a question (`EAP_CLIENT_TIMEOUT_DEFAULT`): a
code that is valid for so long can be typed in another one."""

STORED = 2
"""Challenges that a device leaves unanswered before it is known."""

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
        asker: The RADIUS client and the station that ask.
        patient: Whether whoever asks may have to ask again for want of time to type a code: EAP.
        stored: See `is_stored`.
        spent: Codes that were accepted before, of this station and lately of the account.
        old_code: Whether one of them stood behind the first factor.
        remembered: Whether the device that asks needs no code for now.
        number_tag: Of `phone` (see `model.code.number_tag`), "" if there is none.
        faults: See `attributes.number`.
        counter: With whose failures and messages this login is counted.
        checkable: FreeRADIUS knows something to compare a password with, or a directory to ask.
        waiting: Those of `running` whose message has not left, and what it is counted under: one
            more takes its place, so the tally is without it.
        held: The account's emergency codes, used up or not.
        emergency: The same, if one of them may be used now: then no message is sent.
        ways: All ways to the user, `phone` among them, if there are others.
    """

    account: Account | None
    phone: str | None
    elsewhere: bool
    barred: Obstacle | None
    lockout: Lockout
    tally: Tally
    running: Sequence[Challenge]
    asker: Client
    counter: Counter
    patient: bool = False
    stored: bool = False
    spent: Sequence[Spent] = ()
    old_code: bool = False
    remembered: bool = False
    number_tag: str = ""
    faults: Sequence[str] = ()
    checkable: bool = False
    waiting: Mapping[str, Counted] = field(default_factory=dict, repr=False)
    held: EmergencyCodes | None = None
    emergency: EmergencyCodes | None = None
    ways: Sequence[Way] = ()


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
        ways: If it asks for a way that there is not: those that there are.
        others: The challenges of this account that may be answered from here as well, each with
            its code: an answer is a guess at all of them.
    """

    account: str
    client: Client
    text: str = field(repr=False)
    expected: str = field(repr=False)
    echoed: bool = False
    tag: str = ""
    judgeable: bool = True
    ways: Sequence[str] = ()
    others: Sequence[tuple[Challenge, str]] = field(default=(), repr=False)


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


@dataclass(frozen=True, slots=True)
class Accept:
    """
    The code is right: spend the challenge.

    Attributes:
        challenge: Whose code it was.
        asked: The one that it was given for, if that is another: its login is over as well.
    """

    challenge: Challenge
    asked: Challenge | None = None

    @property
    def spends(self) -> list[Challenge]:
        """Those that are over with it."""
        return [self.challenge] if self.asked is None else [self.challenge, self.asked]


@dataclass(frozen=True, slots=True)
class Again:
    """The code is wrong; ask once more.  `challenge` and `others` have one guess less."""

    challenge: Challenge
    lockout: Lockout
    others: Sequence[Challenge] = ()


class Resend(_OfChallenge):
    """Send the same code through the next provider, or another way."""


@dataclass(frozen=True, slots=True)
class ResendDenied:
    """
    A limit, or an emergency code, stands against a message, or there is no such way; the challenge
    stays as it is.
    """

    challenge: Challenge
    limit: Limit | Literal["emergency", "no-way"]
    ways: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Reject:
    """The answer is not accepted.  What is not None is to be stored, and `others`."""

    reason: RejectionReason
    challenge: Challenge | None = None
    lockout: Lockout | None = None
    others: Sequence[Challenge] = ()


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
    if facts.old_code:
        return Refuse("old-code")
    for challenge in facts.running:
        # One that lies ahead, within what clocks may differ by, is young as well.
        young = now - challenge.created_at < policy.cooldown
        alike = challenge.emergency == (facts.emergency is not None) and challenge.is_open(now)
        here = _place(challenge) == (facts.asker.name, facts.asker.station)
        again = facts.stored or (facts.patient and challenge.expires_at - now >= TIME_TO_TYPE)
        if alike and ((young and challenge.client == facts.asker.name) or (again and here)):
            return Repeat(challenge)
    # No message is sent for an emergency code, so nothing stands against it.
    if facts.emergency:
        return Open()
    if facts.stored:
        return Refuse("stored-password")
    limit = reached(facts.tally, policy)
    return Refuse(limit) if limit else Open()


def is_stored(
    challenges: Sequence[Challenge],
    asker: Client,
    policy: LoginPolicy,
    now: datetime,
    *,
    since: datetime | None,
    asked_once: bool,
) -> bool:
    """
    Whether a station sends a first factor that it has stored, with nobody there to type a code.

    A device that is asked for the code sends its password again, which no person does.  One that
    is asked only once sends nothing but its password: it lets challenges end that no code, right
    or wrong, was ever tried at.  People do so too, behind a VPN, but are asked for the code there.

    Args:
        challenges: Of the account, those that ended unanswered within `UNANSWERED` among them.
        since: The last login or failure there: what lies before was up to somebody else.
        asked_once: Whether code and first factor are asked for in one password.
    """
    marks = {ECHOED, ""} if asked_once else {ECHOED}
    left = [
        one
        for one in challenges
        if _place(one) == (asker.name, asker.station)
        and one.state == "open"
        and not one.emergency
        and one.answered in marks
        and one.guesses_left >= policy.guesses
        and now - one.created_at < UNANSWERED
        and not records.is_ahead(one.created_at, now)
        and (since is None or one.created_at >= since)
    ]
    # All stations that do not say who they are would be one.
    return asker.station != "" and len(left) >= STORED


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
        return Unasked(replace(challenge, answered=ECHOED))
    answered = replace(challenge, answered=answer.tag)
    if asks_again(answer.text, policy):
        if answer.ways and not challenge.emergency:
            return ResendDenied(challenge, "no-way", answer.ways)
        limit = "emergency" if challenge.emergency else reached(tally, policy)
        return ResendDenied(challenge, limit) if limit else Resend(answered)
    return _accept(answered, answer) or _wrong(answered, answer.others, locked, policy, now)


def bound_elsewhere(
    challenge: Challenge, client: Client, policy: LoginPolicy
) -> RejectionReason | None:
    """Why a challenge may not be answered from here (see `model.Bind`), None if it may."""
    bound = policy.bind != "account" or challenge.client in policy.unasked
    if bound and challenge.client != client.name:
        return "foreign-client"
    if policy.bind == "station" and challenge.station != client.station:
        return "foreign-station"
    return None


def answerable(
    challenges: Sequence[Challenge], client: Client, policy: LoginPolicy, now: datetime
) -> list[Challenge]:
    """Those of challenges that may be answered from here, and now."""
    return [
        one
        for one in challenges
        if one.is_open(now)
        and bound_elsewhere(one, client, policy) is None
        and not records.is_ahead(one.created_at, now)
    ]


def _place(challenge: Challenge) -> tuple[str, str]:
    """Which station, behind which client, has asked for it."""
    return challenge.client, challenge.station


def asks_again(answer: str, policy: LoginPolicy) -> bool:
    """Whether an answer asks for one more SMS, or for another way."""
    return asked_way(answer, policy) is not None


def asked_way(answer: str, policy: LoginPolicy) -> str | None:
    """The way that an answer asks for one more message by: "" for the next; None if it does not."""
    word, typed = (" ".join(one.casefold().split()) for one in (policy.resend_word, answer))
    if not word:
        return None
    if policy.ways and typed.startswith(f"{word} "):
        return typed.removeprefix(word).strip()
    return "" if typed == word else None


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
    if facts.phone is None and facts.elsewhere:
        return "bad-phone"
    if facts.phone is None:
        bare = facts.account is None or facts.account.is_bare
        return "no-number" if bare and facts.checkable else "no-phone"
    return facts.barred


def _accept(challenge: Challenge, answer: Answer) -> Accept | None:
    typed, spent = forms.typed_code(answer.text), replace(challenge, state="spent")
    if code.matches(typed, answer.expected):
        return Accept(spent)
    for other, expected in answer.others:
        if code.matches(typed, expected):
            return Accept(replace(other, answered=answer.tag, state="spent"), spent)
    return None


def _wrong(
    challenge: Challenge,
    beside: Sequence[tuple[Challenge, str]],
    locked: Lockout,
    policy: LoginPolicy,
    now: datetime,
) -> Again | Reject:
    burnt, others = burn(challenge), tuple(burn(other) for other, _ in beside)
    counted = lockout.after_failure(locked, policy, now)
    if burnt.state != "open":
        return Reject("exhausted", burnt, counted, others)
    if lockout.is_locked(counted, now):
        return Reject("locked", burnt, counted, others)
    return Again(burnt, counted, others)


def reached(tally: Tally, policy: LoginPolicy) -> Limit | None:
    """The first limit that one more message would break, or None.  A limit of 0 is none."""
    counted: Sequence[tuple[Limit, int, int]] = (
        ("per_account_hour", tally.account_hour, policy.per_account_hour),
        ("per_number_hour", tally.number_hour, policy.per_number_hour),
        ("per_client_hour", tally.client_hour, policy.per_client_hour),
        ("per_day", tally.day, policy.per_day),
    )
    return next((name for name, sent, most in counted if most and sent >= most), None)
