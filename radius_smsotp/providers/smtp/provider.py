"""
Provider ``smtp``: a mail to a gateway that sends it on as SMS.

The mail server is named in one of two ways, as with privacyIDEA: by ``mailserver`` with the
provider, or by ``identifier``, an entry of the section ``smtp_servers``.
"""

from __future__ import annotations

import re
import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from radius_smsotp.errors import DeliveryError, Refused
from radius_smsotp.model.text import fill, shown
from radius_smsotp.model.ways import MAIL_ADDRESS
from radius_smsotp.providers import (
    TUNNEL,
    BaseProvider,
    CaFile,
    Fault,
    Message,
    ProviderSettings,
    Receipt,
    Section,
    Surroundings,
    connection,
    is_loopback,
)
from radius_smsotp.providers.excerpt import excerpt, one_line
from radius_smsotp.providers.http.address import exposed
from radius_smsotp.providers.http.provider import TokenSettings
from radius_smsotp.providers.smtp import sasl
from radius_smsotp.providers.smtp.session import Endpoint, Session, Tls
from radius_smsotp.providers.template import Regexp, Template, values

if TYPE_CHECKING:
    from radius_smsotp.providers.http.token import Token

_SCHEMES: dict[str, Tls] = {"smtps": "tls", "smtp+tls": "starttls"}
_PORTS: dict[Tls, int] = {"none": 25, "starttls": 587, "tls": 465}  # RFC 5321, 6409, 8314


def _read_tls(value: Any) -> Any:
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
    more = parts.path not in {"", "/"} or parts.query or parts.fragment
    if parts.scheme not in {"", "smtp", *_SCHEMES} or not host or more:
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
TlsKind = Annotated[Tls, BeforeValidator(_read_tls)]


class SmtpServer(Section):
    """One entry of the section ``smtp_servers``."""

    server: ServerAddress = Field(
        description="smtps://HOST, smtp+tls://HOST (STARTTLS), smtp://HOST or HOST, each with :PORT"
    )
    port: int | None = Field(
        None,
        gt=0,
        lt=65536,
        description="port, if `server` names none; otherwise 465 (tls), 587 (starttls) or 25",
    )
    tls: TlsKind | None = Field(
        None, description="tls, starttls or none, if `server` does not say; true is starttls"
    )
    starttls: bool | None = Field(None, description="true: the same as `tls: starttls`")
    ca_file: CaFile = None
    username: str | None = Field(None, description="user name, if the server wants one")
    password: SecretStr | None = Field(None, description="password to the user name")
    token: TokenSettings | None = Field(
        None,
        description="instead of a password: how to fetch a token of OAuth 2, as with `http`",
    )
    sender: Sender | None = Field(None, description="sender, if the provider names none")
    timeout: float = Field(10.0, gt=0, le=120, description="seconds for one mail")
    description: str | None = Field(None, description="a note for people")
    enqueue_job: bool | None = Field(
        None, description="of privacyIDEA, without effect: there is a queue of our own"
    )

    @model_validator(mode="after")
    def _is_of_one_piece(self) -> SmtpServer:
        if self.token and (self.password or not self.username):
            raise ValueError("give the user name, and either password or token")
        if (self.username is None) != (self.password is None and self.token is None):
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
    def credentials(self) -> tuple[str, str] | None:
        """User name and password, if the server wants them."""
        if self.username is None or self.password is None:
            return None
        return self.username, self.password.get_secret_value()


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


_POLICY = SMTP.clone(cte_type="7bit")
"""Not every server takes 8-bit octets (RFC 6152), and every gateway decodes what replaces them."""

_SAMPLE = Message("0" * 32, "+491701234567", "123456", "123456", email="name@example.org")


def _recipients(template: str) -> str:
    for recipient in template.split(","):
        if not MAIL_ADDRESS.fullmatch(fill(recipient.strip(), values(_SAMPLE))):
            raise ValueError(
                "is no mail address; write name@example.org, several with commas between them; "
                "{phone} and {phone_digits} may be part of one"
            )
    return template


Recipients = Annotated[Template, AfterValidator(_recipients)]


class Settings(ProviderSettings):
    """Settings of an ``smtp`` provider."""

    type: Literal["smtp"]
    identifier: str | None = Field(
        None,
        validation_alias=AliasChoices("identifier", "smtpidentifier"),
        description="the mail server: name of an entry of smtp_servers",
    )
    mailserver: ServerAddress | None = Field(
        None,
        description="the mail server instead: HOST, HOST:PORT, smtps://HOST or smtp+tls://HOST",
    )
    tls: TlsKind | None = Field(
        None, description="tls, starttls or none, if `mailserver` does not say"
    )
    ca_file: Path | None = Field(None, description="certificates (PEM) to trust for `mailserver`")
    mailuser: str | None = Field(None, description="user name at `mailserver`")
    mailpassword: SecretStr | None = Field(None, description="password at `mailserver`")
    mailsender: Sender | None = Field(None, description="sender of the mail")
    mailto: Recipients = Field(
        description="address of the gateway, several with commas; may hold {phone}"
    )
    subject: Template = Field(
        "{phone}", description='subject; placeholders as in body; " " for none'
    )
    body: Template = Field(
        "{message}", description="body; {message} stands for the whole text, {otp} for the code"
    )
    regexp: Regexp = None

    @model_validator(mode="after")
    def _has_one_server(self) -> Settings:
        if (self.identifier is None) == (self.mailserver is None):
            raise ValueError("name the mail server, either by identifier or by mailserver")
        own = ("tls", "ca_file", "mailuser", "mailpassword")
        strays = [key for key in own if self.identifier and getattr(self, key) is not None]
        if strays:
            raise ValueError(f"{', '.join(strays)}: belongs into smtp_servers.{self.identifier}")
        self.own_server()
        return self

    def own_server(self) -> SmtpServer | None:
        """The server that ``mailserver`` describes, or None."""
        if self.mailserver is None:
            return None
        try:
            return SmtpServer(
                server=self.mailserver,
                tls=self.tls,
                ca_file=self.ca_file,
                username=self.mailuser,
                password=self.mailpassword,
                timeout=self.timeout,
            )
        except ValidationError as error:
            faults = (fault["msg"].removeprefix("Value error, ") for fault in error.errors())
            raise ValueError("; ".join(faults)) from None


class Provider(BaseProvider[Settings]):
    """Sends one mail for each message, over a connection of its own."""

    def __init__(self, name: str, settings: Settings, surroundings: Surroundings) -> None:
        super().__init__(name, settings, surroundings)
        self._fault = ""
        self._token: Token | None = None
        self._server = settings.own_server() or self._named_server(surroundings.smtp_servers)

        if self._server and self._server.token:
            # Whoever needs no token need not wait for requests.
            from radius_smsotp.providers.http.transport import Wire  # noqa: PLC0415

            source = self._server.token
            self._wire = Wire(connection.tls_context, None, source.credentials())
            self._token = source.token(self._wire, source.secrets())

    def close(self) -> None:
        """Close the connection to where tokens come from."""
        if self._token:
            self._wire.close()

    def _faults(self, limit: float) -> Iterator[Fault]:
        """Connect, log in, and part again."""
        server = self._server
        if server is None:
            yield "identifier", self._fault, "mend one of them"
            return
        if faults := connection.ca_faults(self._path(server.ca_file)):
            yield self._told(*faults[0])
            return
        sender = parseaddr(self._sender(server))[1]
        given = values(_SAMPLE, self._settings.regexp)
        templates = [one.strip() for one in self._settings.mailto.split(",")]
        recipients = {fill(one, given): one != fill(one, given) for one in templates}
        try:
            with self._session(server, None, limit) as session:
                session.rehearse(sender, recipients)
        except DeliveryError as error:
            key, remedy = _cause(str(error), server)
            yield self._told(key, str(error), remedy)

    def _weaknesses(self, here: str) -> Iterator[Fault]:
        server, entry = self._server, self._settings.identifier
        if server and server.token:
            yield from exposed(f"smtp_servers.{entry}.token", server.token.url, None)
        if server is None or server.endpoint.tls != "none" or is_loopback(server.endpoint.host):
            return
        key = "tls" if server.tls else "server" if entry else "mailserver"
        what = "numbers, codes and the password" if server.credentials else "numbers and codes"
        fault = f"{what} go to {server.endpoint.host} in the clear"
        place = f"smtp_servers.{entry}.{key}" if entry else f"{here}.{key}"
        yield place, fault, f"set tls: starttls or tls: tls, or {TUNNEL}"

    def _send(self, message: Message, limit: float) -> Receipt:
        """Send the mail; its Message-ID is the name of the message."""
        server = self._server
        if server is None:
            raise Refused(self._fault, out_of_order=True)
        given = values(message, self._settings.regexp)
        recipients = self._recipients(given)
        sender = self._sender(server)
        mail = self._compose(given, sender, recipients)
        limit = min(limit, time.monotonic() + server.timeout)
        with self._session(server, message, limit) as session:
            session.submit(parseaddr(sender)[1], recipients, mail.as_bytes())
        return Receipt(mail["Message-ID"])

    @contextmanager
    def _session(
        self, server: SmtpServer, message: Message | None, limit: float
    ) -> Iterator[Session]:
        """A conversation with the server, up to where we are logged in."""
        try:
            context = connection.tls_context(self._path(server.ca_file))
        except OSError as error:
            fault = f"ca_file cannot be used ({connection.reason(error)})"
            raise Refused(fault, out_of_order=True) from None
        # Fetched before a server waits for it.
        token = self._token.get(limit) if self._token else ""
        hide = partial(self._hidden, server, message)
        session = Session(server.endpoint, context, limit, hide)
        try:
            session.open()
            if server.credentials:
                session.log_in(sasl.with_password(*server.credentials))
            elif token:
                self._log_in(session, server.username or "", token, limit)
            yield session
        finally:
            session.close()

    def _log_in(self, session: Session, username: str, token: str, limit: float) -> None:
        """Log in with a token, and if it was withdrawn, with a new one."""
        assert self._token is not None  # noqa: S101  # for mypy: it gave the token
        try:
            session.log_in(sasl.with_token(username, token))
        except Refused:
            token = self._token.get(limit, refused=token)
            session.log_in(sasl.with_token(username, token))

    def _hidden(self, server: SmtpServer, message: Message | None, said: bytes) -> str:
        """What a server said, fit for an error."""
        secrets: list[str] = []
        if server.credentials:
            name, password = server.credentials
            # The second in base64 is what AUTH PLAIN sends (RFC 4616 2).
            secrets = [password, f"\0{name}\0{password}"]
        elif self._token:
            ways = sasl.with_token(server.username or "", self._token.value).values()
            secrets = [self._token.value, *((way.initial or b"").decode() for way in ways)]
        return excerpt(said, secrets=secrets, message=message)

    def _named_server(self, servers: Any) -> SmtpServer | None:
        """The entry that ``identifier`` names, or None with `_fault` set."""
        name = self._settings.identifier
        entries = servers if isinstance(servers, Mapping) else {}
        if name not in entries:
            known = ", ".join(map(str, entries)) or "there are none"
            self._fault = f"'{shown(name)}' is not an entry of smtp_servers ({known})"
            return None
        try:
            return SmtpServer.model_validate(entries[name])
        except ValidationError as error:
            places = (".".join(map(str, fault["loc"])) or "all of it" for fault in error.errors())
            self._fault = f"smtp_servers.{name} cannot be used ({', '.join(places)})"
            return None

    def _told(self, key: str, fault: str, remedy: str) -> Fault:
        """A fault in a setting of the mail server, wherever that stands."""
        if key == "mailto" or (key == "sender" and self._settings.mailsender):
            return {"sender": "mailsender"}.get(key, key), fault, remedy
        if self._settings.identifier is None:
            own = {"server": "mailserver", "username": "mailuser", "sender": "mailsender"}
            return own.get(key, key), fault, remedy
        entry = f"smtp_servers.{self._settings.identifier}.{key}"
        return "identifier", f"{entry}: {fault}", remedy

    def _sender(self, server: SmtpServer) -> str:
        return self._settings.mailsender or server.sender or _default_sender(server)

    def _recipients(self, given: Mapping[str, str]) -> list[str]:
        # Split before filling in: what is filled in must not add a recipient.
        templates = self._settings.mailto.split(",")
        found = [fill(one.strip(), given) for one in templates]
        if not all(map(MAIL_ADDRESS.fullmatch, found)):
            raise Refused("with this number or text, mailto is no mail address")
        return found

    def _compose(
        self, given: Mapping[str, str], sender: str, recipients: list[str]
    ) -> EmailMessage:
        settings = self._settings
        name, address = parseaddr(sender)
        mail = EmailMessage(_POLICY)
        mail["From"] = Address(display_name=name, addr_spec=address)
        mail["To"] = ", ".join(recipients)
        # On one line: a line break would begin another header.
        mail["Subject"] = one_line(fill(settings.subject, given))
        mail["Date"] = format_datetime(datetime.now(timezone.utc))
        mail["Message-ID"] = f"<{secrets.token_hex(16)}@{address.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834 5: answer no vacation notices
        mail.set_content(fill(settings.body, given))
        return mail


def _cause(fault: str, server: SmtpServer) -> tuple[str, str]:
    """The setting that a server's "no" has to do with, and the remedy."""
    step = fault.partition(":")[0].partition(" ")[0]
    if fault.startswith("no token"):
        return "token", "mend what is written there"
    wants_tls = re.search("tls|encrypt|530(?!.*(authenti|log ?in))", fault, re.IGNORECASE)
    if wants_tls and server.endpoint.tls == "none":
        return "tls", "set tls: starttls"
    if server.token and step == "AUTH":
        return "token", "check the scope, and that this application may send as this user"
    if step == "AUTH" or "to log in" in fault:
        if all(text.isascii() for text in server.credentials or ()):
            return "username", "check user name and password"
        return "username", "check user name and password; they went out in UTF-8, try ASCII ones"
    if step in ("MAIL", "RCPT") and re.search("530|relay|authenti|log ?in", fault, re.IGNORECASE):
        remedy = "let the server take mails from this host"
        if server.credentials:
            return "username", f"let the server take mails of this user, or {remedy}"
        return "username", f"set user name and password, or {remedy}"
    if step == "MAIL":
        return "sender", "name a sender that the server takes"
    if step == "RCPT":
        return "mailto", "name an address that the server takes"
    return "server", "check name, port and tls, and that no firewall is in the way"


def _default_sender(server: SmtpServer) -> str:
    """The user name if it is an address, as it often is, or one of this host."""
    if server.username and MAIL_ADDRESS.fullmatch(server.username):
        return server.username
    ours = f"smsotp@{socket.gethostname()}"
    return ours if MAIL_ADDRESS.fullmatch(ours) else "smsotp@localhost"
