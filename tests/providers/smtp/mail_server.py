"""A mail server on loopback: aiosmtpd, with what a test wants of TLS, AUTH and refusals."""

from __future__ import annotations

import asyncio
import base64
import email
import email.policy
import socket
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

if TYPE_CHECKING:
    from email.message import EmailMessage

    from tests.providers.peers import Certificate

USER = "smsotp@example.org"
PASSWORD = "pass-wörd-1234"  # not ASCII: RFC 4616 allows it


class Mail(NamedTuple):
    """One mail that was taken."""

    sender: str
    recipients: list[str]
    raw: bytes
    secure: bool
    user: str | None

    @property
    def parsed(self) -> EmailMessage:
        return email.message_from_bytes(self.raw, policy=email.policy.default)

    @property
    def text(self) -> str:
        return str(self.parsed.get_content()).replace("\r\n", "\n").rstrip("\n")


class MailServer:
    """
    Runs in a thread of its own.

    Args:
        certificate: For TLS.
        tls: "none", "starttls" (and required), or "tls" from the first octet.
        password: If given, who sends must log in as `USER` with it.
        without: Ways to log in that it does not offer.
    """

    def __init__(
        self,
        certificate: Certificate,
        tls: str = "none",
        password: str | None = None,
        without: tuple[str, ...] = (),
    ) -> None:
        self.tls = tls
        self.without = without
        self.password = password
        self.mails: list[Mail] = []
        self.refusals: dict[str, str] = {}
        """Reply by command, "RCPT" and the like, or by the recipient that is refused."""
        self.silent = False
        self.tokens: set[str] = set()
        """Those that are taken, by XOAUTH2, which is offered while there are some."""
        self._context = certificate.server_context()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._listens = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._listens.wait(10)

    def leave(self) -> None:
        """Take no connections any more."""
        asyncio.run_coroutine_threadsafe(self._close_listener(), self._loop).result(10)

    def stop(self) -> None:
        """End the thread, and with it every conversation."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner() as runner:  # it cancels what still runs at the end
            runner.run(self._live())

    async def _live(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._server = await self._loop.create_server(
            self._protocol, sock=self._socket, ssl=self._context if self.tls == "tls" else None
        )
        self._listens.set()
        await self._over.wait()
        await self._close_listener()

    async def _close_listener(self) -> None:
        self._server.close()

    def _protocol(self) -> SMTP:
        return SMTP(
            self,
            hostname="mail.test",
            ident="a mail server for tests",
            tls_context=self._context if self.tls == "starttls" else None,
            require_starttls=self.tls == "starttls",
            authenticator=self._authenticate if self.password else None,
            auth_required=bool(self.password or self.tokens),
            auth_exclude_mechanism=(*self.without, *([] if self.tokens else ["XOAUTH2"])),
            auth_require_tls=self.tls == "starttls",
            loop=self._loop,
        )

    def _authenticate(self, _s: Any, session: Any, _e: Any, _m: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        session.login_name = data.login.decode()
        right = (data.login.decode(), data.password.decode()) == (USER, self.password)
        return AuthResult(success=right, handled=False)

    async def auth_XOAUTH2(  # noqa: N802  # the name that aiosmtpd looks for
        self, server: Any, arguments: list[str]
    ) -> AuthResult:
        said = base64.b64decode(arguments[1]).decode()
        user, token = said.split("\1")[:2]
        server.session.login_name = user.removeprefix("user=")
        if token.removeprefix("auth=Bearer ") in self.tokens:
            return AuthResult(success=True)
        # As Google and Microsoft do it: a challenge that says what is wrong, and then the reply.
        await server.challenge_auth('{"status":"401","schemes":"bearer","scope":"x"}')
        return AuthResult(success=False, handled=False, message=f"535 5.7.3 {said[-40:]}")

    async def handle_MAIL(  # noqa: N802  # the name that aiosmtpd looks for
        self, _server: Any, _session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        envelope.mail_options += options
        return self.refusals.get("MAIL", "250 OK")

    async def handle_RCPT(  # noqa: N802  # the name that aiosmtpd looks for
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        reply = self.refusals.get("RCPT") or self.refusals.get(address)
        if reply is None:
            envelope.rcpt_tos.append(address)
        return reply or "250 OK"

    async def handle_DATA(  # noqa: N802  # the name that aiosmtpd looks for
        self, _server: Any, session: Any, envelope: Any
    ) -> str:
        if self.silent:
            await asyncio.Event().wait()
        if "DATA" in self.refusals:
            # What a careless server may repeat: all of it.
            return self.refusals["DATA"].replace(
                "{mail}", envelope.content.decode().replace("\r\n", " ")
            )
        self.mails.append(
            Mail(
                envelope.mail_from,
                list(envelope.rcpt_tos),
                envelope.content,
                session.ssl is not None or self.tls == "tls",
                getattr(session, "login_name", None) if session.authenticated else None,
            )
        )
        return "250 2.0.0 queued"
