"""What `Service` answers, before `pairs` puts it into FreeRADIUS's terms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from radius_smsotp.core.model import Style

Step = Literal["pin", "pin-or-code", "pin-and-code"]
"""What the password of a first request is: a PIN; a PIN that ends in digits while a challenge
is open, so that it may be PIN and wrong code; a PIN and the right code of a challenge."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """
    How the first factor is to be checked.

    Attributes:
        password: What is to be compared, if it is not the whole password.
        pin_hash: With what, or None if another module knows.
        matched: The challenge whose code stood behind the PIN.
        reason: Why the login is refused whatever the PIN.
    """

    step: Step
    password: str | None = field(repr=False)
    pin_hash: str | None = field(repr=False)
    matched: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Challenged:
    """
    Ask for the code.

    Attributes:
        text: The prompt.
        style: How to ask.
        wait: Seconds that the verdict of the provider is worth; 0 if it is known or was given.
        route: The providers that the message goes through.
    """

    transaction_id: str
    text: str
    style: Style
    wait: float = 0.0
    route: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Accepted:
    """Let in."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Do not let in, and say why."""

    text: str


Outcome = Challenged | Accepted | Rejected
