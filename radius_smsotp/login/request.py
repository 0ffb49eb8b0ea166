"""Who asks for what: an Access-Request as a login sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from radius_smsotp.model.identity import fold_name
from radius_smsotp.model.records import Asker, Challenge, Client, Event


class Step(Enum):
    """What came, as ``SMSOTP-Step`` in FreeRADIUS's control list says it; see `STEPS`."""

    IDENTITY = "identity"
    PIN = "pin"
    PIN_OR_CODE = "pin-or-code"
    PIN_AND_CODE = "pin-and-code"
    PIN_AND_OLD_CODE = "pin-and-old-code"
    CODE = "code"
    MSCHAPV2 = "mschapv2"
    DOWN = "down"
    OTHER = "other"


class Course(NamedTuple):
    """
    What a step is, and what it leads to.

    Attributes:
        came: What the request holds.
        set_in: Where FreeRADIUS is told so: ``hook`` is our `authorize`, the others are sections
            of policy.d/smsotp.
        right: The method of `Service` that follows if FreeRADIUS calls our `authenticate`, which
            it does once the first factor was right; "" if the request is refused there.
        wrong: The one that follows in Post-Auth-Type REJECT; "" if nothing is to be counted.
    """

    came: str
    set_in: str
    right: str = ""
    wrong: str = ""


STEPS = {
    Step.IDENTITY: Course("a name alone, with which EAP begins", "hook", "ask"),
    Step.PIN: Course(
        "a first factor, typed or proved",
        "smsotp_login smsotp_confirm hook",
        "begin",
        "first_factor_failed",
    ),
    Step.PIN_OR_CODE: Course(
        "a first factor; or one and a wrong code, as it ends in digits while a challenge is open",
        "hook",
        "begin",
        "first_factor_failed",
    ),
    Step.PIN_AND_CODE: Course(
        "a first factor and the right code of a challenge", "hook", "begin", "first_factor_failed"
    ),
    Step.PIN_AND_OLD_CODE: Course(
        "a first factor and a code that was spent before: a device has kept both",
        "hook",
        "begin",
        "first_factor_failed",
    ),
    Step.CODE: Course("the answer to a challenge", "smsotp_login hook", "answer"),
    Step.MSCHAPV2: Course("the wish for EAP-MSCHAPv2, which begins anew", "hook"),
    Step.DOWN: Course(
        "a first factor that nothing could check",
        "smsotp_find smsotp_authenticate",
        wrong="first_factor_down",
    ),
    Step.OTHER: Course(
        "another method, which is not ours, what a proxy has not signed, or what makes no login",
        "smsotp_authorize smsotp_tunnelled smsotp_other",
        wrong="first_factor_failed",
    ),
}
"""Of each step, its course."""


@dataclass(frozen=True, slots=True)
class Round:
    """
    One response of a device in EAP, as `radius.eap` reads it.

    Attributes:
        step: What it is: IDENTITY, PIN, CODE, MSCHAPV2; None if no login could go on with it.
        identifier: Of the response, 0 to 255; what is unreadable has 0.
        answer: What was typed, octets.
        transaction_id: Of the challenge that is answered, "" before there is one.
        echo: See `model.code.echo`, of the first answer of this conversation; "" before.
        reason: Why it is unfit for EAP-GTC: see `model.events.EAP_REASONS`.
        fault: The same as a sentence without a subject.
        last: Whether this conversation has no room for another question.
    """

    step: Step | None
    identifier: int = 0
    answer: bytes = field(default=b"", repr=False)
    transaction_id: str = ""
    echo: str = ""
    reason: str = ""
    fault: str = ""
    last: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """
    What a hook needs to know of an Access-Request.

    Attributes:
        user: `Stripped-User-Name` if a module before ours has set it, else `User-Name`.
        password: `User-Password`, or what a device has answered in EAP, as text; None if there is
            neither.
        packet: The Request Authenticator, as FreeRADIUS writes it; "" if the policy says none.
        name: `User-Name` as text, if FreeRADIUS has only its octets left.
        stripped: The same of `Stripped-User-Name`.
        malformed: Nothing that could log in.  Name or password hold a NUL (FreeRADIUS would
            compare what stands before), or `eap` is unfit.
        nul: Whether that is so for the NUL.
        identity: `User-Name` as it was sent.
        rewritten: The password that FreeRADIUS has is not the text in `password`.
        transaction_id: From `State`, if it has the form of ours.
        handshake: The password is proved, not sent.
        method: How: CHAP, MS-CHAP or MS-CHAPv2; "" if it is sent.
        changes: There is a new password beside it, which FreeRADIUS sets if the old one is right.
        tunnelled: A device has said it, in EAP or in a tunnel, past the client that asks.
        eap: The round of EAP-GTC that this request is, if it is one.
        step: What FreeRADIUS's control list says that came; None if nothing that we know.
        matched: The challenge whose code stood behind the PIN.
        number: Of the emergency code that stood there, or that a handshake was to prove.
        reason: Why the login is refused whatever the PIN.
        settled: A hook, not the first factor, has decided this request.
        proved: Whether a handshake has proved the code of its challenge.
        unasked: Whether the client has checked the first factor, and nobody else does.
        cleartext: The first factor, if FreeRADIUS knows it in the clear.
        provable: Whether FreeRADIUS knows what a handshake could prove.
        known_good: Whether it knows what a password could be compared with, or a directory to ask.
        pin_hash: Its `PBKDF2-Password`, "" if there is none.
        mismatch: Whether the password was compared with that, and nothing else has refused it.
        uncompared: Whether there was nothing that a handshake could be compared with.
        by_domain: Why Active Directory has refused the account, as a reason of events; "" if it
            has not, or for a wrong password.
        phones, ways, provider, style, template, language: What FreeRADIUS's modules say of the
            account, as they say it; see `login.attributes`.
    """

    user: str
    password: str | None = field(repr=False)
    malformed: bool
    rewritten: bool
    transaction_id: str | None
    client: Client
    nul: bool = False
    identity: str = ""
    handshake: bool = False
    method: str = ""
    changes: bool = False
    tunnelled: bool = False
    eap: Round | None = None
    step: Step | None = None
    matched: str = ""
    number: int | None = None
    reason: str = ""
    settled: bool = False
    proved: bool = False
    unasked: bool = False
    cleartext: str | None = field(default=None, repr=False)
    provable: bool = False
    known_good: bool = False
    pin_hash: str = field(default="", repr=False)
    mismatch: bool = False
    uncompared: bool = False
    by_domain: str = ""
    name: str | None = None
    stripped: str | None = None
    phones: tuple[str, ...] = field(default=(), repr=False)
    ways: tuple[str, ...] = field(default=(), repr=False)
    provider: str | None = None
    style: str | None = None
    template: str | None = field(default=None, repr=False)
    packet: str = ""
    language: str = ""

    @property
    def account(self) -> str:
        """The name by which the account of `user` is found."""
        return fold_name(self.user)

    def asker(self, transaction_id: str | None = None, number_tag: str | None = None) -> Asker:
        """Who asks, as the store needs to know them."""
        return Asker(self.account, self.client, transaction_id, number_tag)

    @property
    def is_first(self) -> bool:
        """Whether it holds a first factor, and is no answer to a challenge."""
        asked = self.eap.step if self.eap else Step.PIN
        return self.transaction_id is None and asked is Step.PIN

    @property
    def judged(self) -> bool:
        """Whether a code has come, and is spent or counted as a guess by what this leads to."""
        if self.step is Step.PIN_AND_OLD_CODE:
            return False
        return self.step in {Step.CODE, Step.PIN_AND_CODE} or self.proved

    @property
    def old_code(self) -> bool:
        """Whether a code stood behind the first factor, or was proved with it, that is spent."""
        return self.step is Step.PIN_AND_OLD_CODE and (self.proved or not self.handshake)


def login_event(
    kind: str,
    request: Request,
    now: datetime,
    challenge: Challenge | None = None,
    **detail: str | int | float,
) -> Event:
    """An event of a login, with who asks; of the challenge that it is about, or asks for."""
    asked = request.matched or request.transaction_id or ""
    about = challenge.transaction_id if challenge else asked
    client = request.client
    return Event(kind, now, request.account, about, client.name, client.station, detail)
