"""What `Service` answers, before `radius.packets` puts it into FreeRADIUS's terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from radius_smsotp.login.replays import Use
from radius_smsotp.login.request import Step
from radius_smsotp.model.records import Challenge, Style
from radius_smsotp.model.text import fill
from radius_smsotp.settings.policy import ClientPolicy


@dataclass(frozen=True, slots=True)
class Preparation:
    """
    How the first factor is to be checked.

    Attributes:
        step: What came; never DOWN.
        password: What is to be compared, if it is not the whole password.
        pin_hash: With what, or None if another module knows.
        matched: The challenge whose code stood behind the PIN.
        number: Of the emergency code that stood there, or that `candidate` holds.
        reason: Why the login is refused whatever the PIN.
        candidate: What a handshake is to be checked with before the first factor is: it proves
            PIN and code of the challenge `matched`.
        unasked: The client has checked the first factor, nobody else does.
    """

    step: Step
    password: str | None = field(repr=False)
    pin_hash: str | None = field(repr=False)
    matched: str = ""
    reason: str = ""
    candidate: str | None = field(default=None, repr=False)
    unasked: bool = False
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Challenged:
    """
    Ask for the code; in EAP, which begins with a name alone, for the first factor before it.

    Attributes:
        transaction_id: Of the challenge, "" before there is one.
        text: The prompt.
        style: How to ask.
        wait: Seconds that the verdict of the provider is worth; 0 if it is known or was given.
        route: The providers that the message goes through.
        echo: See `model.code.echo`, of the first answer in EAP.
        undelivered: What to say instead, if all providers refuse meanwhile.
        by_way: What to say instead, if the message goes another way meanwhile, by its word.
    """

    transaction_id: str
    text: str
    style: Style
    wait: float = 0.0
    route: tuple[str, ...] = ()
    echo: str = ""
    undelivered: str = ""
    by_way: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Accepted:
    """
    Let in.

    Attributes:
        uses: The codes that this has spent, of which none may count again.
        begun: When the first factor was right, if that was in a request before this one.
    """

    uses: tuple[Use, ...] = field(default=(), compare=False)
    begun: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Rejected:
    """
    Do not let in, and say why.

    Attributes:
        silent: Do not answer at all: the client shall turn to another server.
    """

    text: str
    silent: bool = False


Outcome = Challenged | Accepted | Rejected


def wrong_code(challenge: Challenge, own: ClientPolicy) -> str:
    """What stands before the prompt after a wrong code."""
    return fill(own.texts.wrong_code, {"guesses": challenge.guesses_left})
