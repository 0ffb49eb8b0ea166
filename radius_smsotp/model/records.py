"""The values that everything else speaks of.  Times are aware UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from radius_smsotp.model.text import whole_minutes

ChallengeState = Literal["open", "spent", "exhausted", "undelivered", "cancelled"]
"""open: may be answered; spent: its code was accepted; exhausted: no guesses left;
undelivered: no provider took the message; cancelled: its account was changed meanwhile."""

MessageState = Literal["queued", "accepted", "failed", "unknown", "replaced"]
"""queued: waits for, or is with, a courier; accepted: a provider took the message; failed: every
provider said no; unknown: submitted, then silence; replaced: the user asked for one more while it
was queued."""

Verdict = Literal["accepted", "refused", "busy", "unavailable", "unknown"]
"""What one attempt at one provider came to: `radius_smsotp.errors` says what each means."""

Counted = tuple[tuple[str, int], ...]
"""What one message is counted under: names, each with a slot of time (see `store.tallies`)."""
SMS = "sms"
"""The word of the first way to a user (see `model.ways`), which every account has."""

ECHOED = "echo"
"""In place of the tag of an answer, in a challenge: a device has sent its stored password."""

Style = Literal["challenge", "reject"]
"""How the first step is answered: Access-Challenge, or Access-Reject for clients that know
no challenge and send PIN and code in one password afterwards."""


Bind = Literal["account", "client", "station"]
"""Who may answer a challenge: its account, through any client; only through the client it was
opened for; only from the same station behind that client."""


@dataclass(frozen=True, slots=True)
class Account:
    """
    A person who logs in.

    Attributes:
        name: As `model.identity.fold_name` leaves it; the key everywhere.
        phone: E.164 with plus sign, or None.
        pin_hash: ``KEY_ID$PBKDF2$HMACSHA2+512:ROUNDS:SALT$SEALED``, without KEY_ID and seal from an
            earlier version (see `model.pin`); None if another module checks the first factor.
        provider: Sends this account's messages first, or None for ``delivery.order``.
        language: Folded tag (see `model.identity`) of what this person reads, or None.
        override: A number that goes before any other, FreeRADIUS's too, until `override_until`.
        gone: Disabled by a sync whose file did not name it; the next one that does enables it.
        ways: Other ways to this person, in their order, as `model.ways.Way` writes them.
    """

    name: str
    phone: str | None = field(repr=False)
    pin_hash: str | None = field(default=None, repr=False)
    provider: str | None = None
    enabled: bool = True
    language: str | None = None
    override: str | None = field(default=None, repr=False)
    override_until: datetime | None = None
    gone: bool = False
    ways: tuple[str, ...] = field(default=(), repr=False)

    @property
    def is_bare(self) -> bool:
        """Without number and PIN: what there is of a name that only a directory knows."""
        return self.phone is None and self.pin_hash is None

    def overridden(self, now: datetime) -> bool:
        """Whether `override` counts now."""
        return self.override_until is not None and now < self.override_until


@dataclass(frozen=True, slots=True)
class Client:
    """
    The RADIUS client that asked.

    Attributes:
        name: Its short name in ``clients.conf``, else its address.
        address: Where the packet came from.
        station: ``Calling-Station-Id`` behind it as `model.identity.normalise_station` leaves
            it, "" if the client did not say.
        ssid: The wireless network of that station, "" if there is none.
    """

    name: str
    address: str = ""
    station: str = ""
    ssid: str = ""


@dataclass(frozen=True, slots=True)
class Challenge:
    """
    One open login.

    Attributes:
        transaction_id: 128 random bits as 32 lower-case hex digits; also the `State`.
        key_id: Which key its code is derived with.
        digits: Length of the code.
        phone_hint: The masked number, "***67".
        answered: Tag of the answer that was judged last (see `model.code.answer_tag`); `ECHOED` if
            that was the first factor once more; or "".
        language: Of all texts of this login, "" for the client's.
        emergency: Whether an emergency code is asked for: no code was sent, and none would do.
    """

    transaction_id: str
    account: str
    client: str
    station: str
    key_id: str
    digits: int
    phone_hint: str
    created_at: datetime
    expires_at: datetime
    guesses_left: int
    state: ChallengeState
    answered: str = ""
    language: str = ""
    emergency: bool = False

    def is_open(self, now: datetime) -> bool:
        """Whether it may still be answered."""
        return self.state == "open" and now < self.expires_at

    @property
    def spending(self) -> Spent:
        """What its code is derived from."""
        return Spent(self.transaction_id, self.key_id, self.digits)

    @property
    def minutes(self) -> int:
        """How long it is valid, as people are told: whole minutes, at least one."""
        return whole_minutes(self.expires_at - self.created_at)


@dataclass(frozen=True, slots=True)
class EmergencyCodes:
    """
    Codes that the helpdesk has made for an account, which stand in for those of messages.

    None is kept: what they are derived from is (see `model.code.emergency`).  Each has a number,
    which counts from 1.

    Attributes:
        account: Folded name, of an account of ours or not.
        batch: 128 random bits as 32 lower-case hex digits.
        key_id: Which key they are derived with.
        uses: Of each code in turn, how often it may still be used.
    """

    account: str
    batch: str
    key_id: str
    made_at: datetime
    expires_at: datetime
    uses: tuple[int, ...]

    @property
    def numbers(self) -> range:
        """The numbers of all of them."""
        return range(1, len(self.uses) + 1)

    def left(self, now: datetime) -> tuple[int, ...]:
        """The numbers of those that may be used now."""
        if now >= self.expires_at:
            return ()
        return tuple(number for number, uses in enumerate(self.uses, 1) if uses > 0)

    def less(self, number: int, uses: int | None = 1) -> EmergencyCodes:
        """The same, one of them with so many uses less; with None it has none any more."""
        at = number - 1
        left = 0 if uses is None else max(0, self.uses[at] - uses)
        return replace(self, uses=(*self.uses[:at], left, *self.uses[number:]))


@dataclass(frozen=True, slots=True)
class Message:
    """
    One SMS of a challenge.  What providers were asked to send it are its attempts.

    Attributes:
        transaction_id: Of its challenge.
        number: 1 for the first message of the challenge, one more for each that was asked for.
        state: See `MessageState`.
        route: Providers that are left to try, in this order.
        sealed_phone: The number, or other address, readable with the key only (see
            `model.code.seal`).
        template: The text with ``{code}`` still in it.
        provider: Which provider took, or was the last to try, the message.
        not_before: When it may go out; None for at once.
        lease_owner: The process that is sending.
        lease_until: Until when nobody else may.
        tries: How often all of its providers were tried, and none had room for it.
        counted: Under which names and when it is counted (see `store.tallies`), as long as it has
            certainly not left; then, or if it never will, nothing.
        way: The word of the way that it goes (see `model.ways`).
        ways: If there are others: all of the challenge in their order, each as WORD:SEALED.
    """

    transaction_id: str
    number: int
    state: MessageState
    route: tuple[str, ...]
    sealed_phone: str = field(repr=False)
    template: str = field(repr=False)
    provider: str | None = None
    not_before: datetime | None = None
    lease_owner: str | None = None
    lease_until: datetime | None = None
    tries: int = 0
    counted: Counted = field(default=(), repr=False)
    way: str = SMS
    ways: tuple[str, ...] = field(default=(), repr=False)

    @property
    def sealed(self) -> dict[str, str]:
        """The addresses of all ways of the challenge, by word, in their order."""
        pairs = (one.partition(":") for one in self.ways)
        return {word: sealed for word, _, sealed in pairs} or {self.way: self.sealed_phone}

    @property
    def ways_left(self) -> list[str]:
        """The ways behind its own."""
        words = [*self.sealed]
        return words[words.index(self.way) + 1 :]

    @property
    def key(self) -> tuple[str, int]:
        """What it is known by among all messages."""
        return (self.transaction_id, self.number)

    @property
    def waits(self) -> bool:
        """Whether it is to be sent, and nobody is at it."""
        return self.state == "queued" and self.lease_owner is None

    @property
    def postponed(self) -> bool:
        """The same, for its turn or to be tried again: not before `not_before`."""
        return self.waits and self.not_before is not None


@dataclass(frozen=True, slots=True)
class Device:
    """
    A station from which an account needs no code for a while.

    Attributes:
        client: Name of the RADIUS client it was behind.
        ssid: The wireless network it was in, "" if there is none.
        station: As `model.identity.normalise_station` leaves it.
        number_tag: Of the number that its code went to (see `model.code.number_tag`).
    """

    account: str
    client: str
    ssid: str
    station: str
    number_tag: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Lockout:
    """
    How often in a row an account's PIN or code was wrong.

    Attributes:
        failures: Since the last login, or since the last pause of a lock-out's length.
        last_failure_at: When the last of them was.
        locked_until: End of the lock-out, None if there is none.
    """

    failures: int = 0
    last_failure_at: datetime | None = None
    locked_until: datetime | None = None


class Spent(NamedTuple):
    """A code that was accepted, by what it is derived from (see `model.code.derive`)."""

    transaction_id: str
    key_id: str
    digits: int


@dataclass(frozen=True, slots=True)
class Station:
    """
    A device behind a client, from which an account has logged in: it is counted on its own.

    Attributes:
        client: Name of the RADIUS client.
        station: As `model.identity.normalise_station` leaves it.
        seen_at: Its last whole login or failure.
        failures, last_failure_at, locked_until: Of its own, see `Lockout`.
        spent: The codes that it was let in with last, newest first.
    """

    account: str
    client: str
    station: str
    seen_at: datetime
    failures: int = 0
    last_failure_at: datetime | None = None
    locked_until: datetime | None = None
    spent: tuple[Spent, ...] = ()

    @property
    def lockout(self) -> Lockout:
        """Its failures, apart from those of the account."""
        return Lockout(self.failures, self.last_failure_at, self.locked_until)


@dataclass(frozen=True, slots=True)
class Counter:
    """
    With whose failures and messages a login is counted.

    Attributes:
        account: Folded name, of an account of ours or not.
        client: Name of the RADIUS client that asks.
        station: The station behind it, if that is known and so counted on its own; else "".
        lockout: The failures so far, of the station or of the account.
        seen_at: When somebody was there: the last login or failure of the station, or failure of
            those that are not known.
        spent: Of the station.
        kept: See `Known`.
    """

    account: str
    client: str
    station: str = ""
    lockout: Lockout = field(default_factory=Lockout)
    seen_at: datetime | None = None
    spent: tuple[Spent, ...] = ()
    kept: tuple[Spent, ...] = ()


@dataclass(frozen=True, slots=True)
class Asker:
    """
    Whoever asks for a login, as a store needs to know them.

    Attributes:
        account: Folded name, of an account of ours or not.
        client: The RADIUS client that asks.
        transaction_id: The challenge that is answered, in whatever form it was named; None if
            none is.
        number_tag: Of the number that a message would go to (see `model.code.number_tag`); None
            if that is the account's.
    """

    account: str
    client: Client
    transaction_id: str | None = None
    number_tag: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Tally:
    """Messages that left lately, or may yet, of one account, one number, one client, and all."""

    account_hour: int = 0
    number_hour: int = 0
    client_hour: int = 0
    day: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """
    What a store knows of an `Asker`: all that the rules of one step need to begin with.

    Attributes:
        account: The account of ours, or None.
        neighbour: The PIN's hash of the account that has this name, or else the next one; None if
            that has none, or none comes behind.
        lockout: Failures of the account, ours or from elsewhere, but for those of its stations.
        station: The station that asks, if the account has logged in from it.
        device: The same, as it is remembered in this wireless network.
        kept: Codes that came from anywhere behind a first factor, the last ones, newest first.
        challenges: The open ones of the account, newest first; the challenge that is answered, in
            whatever state; if none is, those that ended for this station within `UNANSWERED`.
        emergency: The account's emergency codes, used up or not.
        tally: If no challenge was named, of whoever asks, and of the number that has `number_tag`.
        number_tag: Of the number that the asker has named, or that the account has, as far as that
            was noted: "" if it was not, or there is no number.
        waiting: Of which open challenges the message has not left, nor is with a provider now, and
            what it is counted under.
    """

    account: Account | None
    neighbour: str | None = field(repr=False)
    lockout: Lockout
    station: Station | None
    device: Device | None
    challenges: tuple[Challenge, ...]
    emergency: EmergencyCodes | None = None
    kept: tuple[Spent, ...] = ()
    tally: Tally = Tally()
    number_tag: str = field(default="", repr=False)
    waiting: Mapping[str, Counted] = field(default_factory=dict, repr=False)

    def named(self, transaction_id: str) -> Challenge | None:
        """The challenge that an answer names, if there is one."""
        found = (one for one in self.challenges if one.transaction_id == transaction_id)
        return next(found, None)


@dataclass(frozen=True, slots=True)
class LoginPolicy:
    """The settings that the login rules need, for one client."""

    digits: int
    lifetime: timedelta
    guesses: int
    resend_word: str
    cooldown: timedelta
    per_account_hour: int
    per_number_hour: int
    per_client_hour: int
    per_day: int
    lockout_failures: int
    lockout_time: timedelta
    bind: Bind = "account"
    ways: frozenset[str] = frozenset()
    """The words of other ways that an answer may ask for."""
    unasked: frozenset[str] = frozenset()
    """Clients whose challenges nobody has given us a first factor for."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of one provider, as the audit trail keeps it.  `text` holds no secret."""

    provider: str
    verdict: Verdict
    text: str = ""
    message_id: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Event:
    """
    One line of the audit trail.

    Attributes:
        kind: One of `audit.KINDS`.
        detail: What else there is to say; no code, PIN, password or whole number.
    """

    kind: str
    time: datetime
    account: str
    transaction_id: str = ""
    client: str = ""
    station: str = ""
    detail: dict[str, str | int | float] = field(default_factory=dict)


UNANSWERED = timedelta(hours=1)
"""For so long a challenge that nobody has answered tells something of the station that asked."""

SKEW = timedelta(minutes=5)
"""So far may the clocks of servers differ that share a store, as in Kerberos (RFC 4120 section 8.2,
"acceptable clock skew")."""


def is_ahead(noted: datetime, now: datetime) -> bool:
    """
    Whether something was noted by a clock that has gone back since, or is of another server.

    How long ago that was is not known, then.

    Args:
        noted: What the time was when it happened.
    """
    return noted - now > SKEW
