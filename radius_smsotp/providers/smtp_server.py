"""Mail servers: the section ``smtp_servers``, and what an ``smtp`` provider says of its own."""

from __future__ import annotations

import re
from email.utils import parseaddr
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    field_validator,
    model_validator,
)

from radius_smsotp.providers.smtp_session import Endpoint, Tls

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

_SCHEMES: dict[str, Tls] = {"smtps": "tls", "smtp+tls": "starttls"}
_PORTS: dict[Tls, int] = {"none": 25, "starttls": 587, "tls": 465}  # RFC 5321, 6409, 8314

# RFC 5321 4.1.2: a Dot-string, then a domain or an address literal.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
MAIL_ADDRESS = re.compile(
    rf"{_ATOM}(?:\.{_ATOM})*@(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*|\[[0-9A-Za-z.:]+\])"
)


def read_tls(value: Any) -> Any:
    """privacyIDEA's true and false for ``tls``."""
    return {True: "starttls", False: "none"}[value] if isinstance(value, bool) else value


def _split(server: str) -> tuple[str, str, int | None]:
    """Scheme ("" if there is none), host and port.  Raises ValueError with a remedy."""
    remedy = "write smtps://HOST, smtp+tls://HOST (STARTTLS), smtp://HOST or HOST, each with :PORT"
    try:
        parts = urlsplit(server if "://" in server else f"//{server}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"is no address of a server; {remedy}") from None
    if parts.username is not None:
        raise ValueError("holds a user name; user name and password have settings of their own")
    if parts.scheme not in {"", "smtp", *_SCHEMES} or not host or parts.path not in {"", "/"}:
        raise ValueError(f"is no address of a server; {remedy}")
    if parts.query or parts.fragment:
        raise ValueError(f"is no address of a server; {remedy}")
    return parts.scheme, host, port


def _server(server: str) -> str:
    _split(server)
    return server


def _sender(sender: str) -> str:
    if not sender.isprintable() or not MAIL_ADDRESS.fullmatch(parseaddr(sender)[1]):
        raise ValueError("is no mail address; write name@example.org or Name <name@example.org>")
    return sender


ServerAddress = Annotated[str, AfterValidator(_server)]
Sender = Annotated[str, AfterValidator(_sender)]


class SmtpServer(BaseModel):
    """One entry of the section ``smtp_servers``.  Keys may be written in any letter case."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    server: ServerAddress = Field(
        description="smtps://HOST, smtp+tls://HOST (STARTTLS), smtp://HOST or HOST, each with :PORT"
    )
    port: int | None = Field(
        default=None,
        gt=0,
        lt=65536,
        description="port, if `server` names none; otherwise 465 (tls), 587 (starttls) or 25",
    )
    tls: Tls | None = Field(
        default=None,
        description="tls, starttls or none, if `server` does not say; true is starttls",
    )
    starttls: bool | None = Field(default=None, description="true: the same as `tls: starttls`")
    ca_file: Path | None = Field(
        default=None, description="certificates (PEM) to trust instead of those of the system"
    )
    username: str | None = Field(default=None, description="user name, if the server wants one")
    password: SecretStr | None = Field(default=None, description="password to the user name")
    sender: Sender | None = Field(default=None, description="sender, if the provider names none")
    timeout: float = Field(default=10.0, gt=0, le=120, description="seconds for one mail")
    description: str | None = Field(default=None, description="a note for people")
    enqueue_job: bool | None = Field(
        default=None, description="of privacyIDEA, without effect: there is a queue of our own"
    )

    @model_validator(mode="before")
    @classmethod
    def _as_privacyidea_writes_it(cls, data: Any) -> Any:
        """Any letter case, and "" for what is not set."""
        if not isinstance(data, dict):
            return data
        return {str(key).lower(): None if value == "" else value for key, value in data.items()}

    @field_validator("tls", mode="before")
    @classmethod
    def _yes_or_no(cls, value: Any) -> Any:
        return read_tls(value)

    @model_validator(mode="after")
    def _is_of_one_piece(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("give user name and password, or neither")
        _ = self.endpoint
        return self

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens.  Raises ValueError if the settings contradict each other."""
        scheme, host, port = _split(self.server)
        told: set[Tls] = {kind for kind in (_SCHEMES.get(scheme), self.tls) if kind}
        told |= {"starttls"} if self.starttls else set()
        ports = {number for number in (port, self.port) if number}
        if len(told) > 1 or len(ports) > 1:
            raise ValueError("address, port, tls and starttls contradict each other")
        # Nothing but TLS is ever spoken on port 465 (RFC 8314 7.3).
        kind = told.pop() if told else "tls" if ports == {465} else "none"
        return Endpoint(host, ports.pop() if ports else _PORTS[kind], kind)

    @property
    def sends_password_in_the_clear(self) -> bool:
        """Whether it does, over a network, without having been told to by ``tls: none``."""
        host, _, kind = self.endpoint
        nearby = host == "localhost" or host.startswith("127.") or host == "::1"
        return bool(self.username) and kind == "none" and self.tls != "none" and not nearby


def validate_servers(raw: Mapping[str, Any]) -> dict[str, SmtpServer]:
    """
    Read the section ``smtp_servers``.

    Args:
        raw: As it is in the file, name to entry.

    Raises:
        pydantic.ValidationError: Every fault; each path starts with the name of the entry.
    """
    # Of itself, the adapter would quote what is wrong, and that may be a password.
    config = ConfigDict(hide_input_in_errors=True)
    return TypeAdapter(dict[str, SmtpServer], config=config).validate_python(raw)
