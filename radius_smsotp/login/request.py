"""Who asks for what: an Access-Request as a login sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from radius_smsotp.model.identity import fold_name
from radius_smsotp.model.records import Client, Event

if TYPE_CHECKING:
    from datetime import datetime

    from radius_smsotp.model.records import Challenge


EapKind = Literal["identity", "first-factor", "code", "mschapv2", "unfit"]
"""identity: the conversation begins; first-factor, code: what an answer is meant for; mschapv2:
the device knows that in place of GTC; unfit: nothing that a login could go on with."""


class EapRound(Protocol):
    """One response of a device in EAP, see `radius.eap.Round`."""

    @property
    def kind(self) -> EapKind:
        """What it is meant for."""

    @property
    def echo(self) -> str:
        """See `model.code.echo`, of the first answer of this conversation; "" before."""

    @property
    def fault(self) -> str:
        """Why it is unfit, as a sentence without a subject; "" if it is not."""

    @property
    def last(self) -> bool:
        """Whether this conversation has no room for another question."""

    def ask(self, prompt: str, transaction_id: str = "", echo: str = "") -> tuple[str, bytes]:
        """`State` and the packet of the next question."""

    def begin(self, name: str) -> bytes:
        """The packet with which another method begins."""

    def succeed(self) -> bytes:
        """The packet that ends a login well."""


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
        malformed: Nothing that could log in.  Name or password hold a NUL (FreeRADIUS would
            compare what stands before), or `eap` is unfit.
        identity: `User-Name` as it was sent.
        rewritten: The password that FreeRADIUS has is not the text in `password`.
        transaction_id: From `State`, if it has the form of ours.
        handshake: The password is proved, not sent: CHAP, MS-CHAP or MS-CHAPv2.
        eap: The round of EAP-GTC that this request is, if it is one.
        step: What `Service.prepare` found out, see there.
        matched: The challenge whose code stood behind the PIN.
        reason: Why the login is refused whatever the PIN.
        settled: A hook, not the first factor, has decided this request.
        proved: Whether a handshake has proved the code of its challenge.
        cleartext: The first factor, if FreeRADIUS knows it in the clear.
        phones, provider, style, template, language: What FreeRADIUS's modules say of the account,
            as they say it; see `login.attributes`.
    """

    user: str
    password: str | None = field(repr=False)
    malformed: bool
    rewritten: bool
    transaction_id: str | None
    client: Client
    identity: str = ""
    handshake: bool = False
    eap: EapRound | None = None
    step: str = ""
    matched: str = ""
    reason: str = ""
    settled: bool = False
    proved: bool = False
    cleartext: str | None = field(default=None, repr=False)
    name: str | None = None
    phones: tuple[str, ...] = field(default=(), repr=False)
    provider: str | None = None
    style: str | None = None
    template: str | None = field(default=None, repr=False)
    packet: str = ""
    language: str = ""

    @property
    def account(self) -> str:
        """The name by which the account of `user` is found."""
        return fold_name(self.user)

    @property
    def judged(self) -> bool:
        """Whether a code has come, and is spent or counted as a guess by what this leads to."""
        return self.step in {"code", "pin-and-code"} or self.proved


def login_event(
    kind: str,
    request: Request,
    now: datetime,
    challenge: Challenge | None = None,
    **detail: str | int | float,
) -> Event:
    """An event of a login, with who asks; of the challenge that it is about, or asks for."""
    asked = request.matched or request.transaction_id or ""
    return Event(
        kind,
        now,
        request.account,
        challenge.transaction_id if challenge else asked,
        request.client.name,
        request.client.station,
        detail,
    )
