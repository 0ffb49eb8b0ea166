"""
One conversation with a mail server (RFC 5321), each failure with its verdict.

Before the server has all of the mail, silence means that it was not taken; after that, nobody
knows.  Nothing here is chained to an exception of smtplib: those quote what the server said.
"""

from __future__ import annotations

import base64
import re
import smtplib
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal, NamedTuple

from radius_smsotp.errors import Refused, Unavailable, Unknown
from radius_smsotp.providers import connection

if TYPE_CHECKING:
    import ssl

Tls = Literal["none", "starttls", "tls"]

_FAREWELL = 0.5
"""Seconds for the answer to QUIT: by then the verdict is known and somebody waits for it."""

_NEEDS_AUTHENTICATION = 530  # RFC 4954 6


class Endpoint(NamedTuple):
    """Where a mail server listens, and how."""

    host: str
    port: int
    tls: Tls


class Session:
    """
    One connection.  Every method raises Refused, Unavailable or Unknown, and nothing else.

    Args:
        endpoint: The server.
        context: From `connection.tls_context`.
        deadline: `time.monotonic()` seconds for the whole of it.
        hide: Makes what the server says fit for an error.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        context: ssl.SSLContext,
        deadline: float,
        hide: Callable[[bytes], str],
    ) -> None:
        self._endpoint = endpoint
        self._context = context
        self._deadline = deadline
        self._hide = hide

    def open(self) -> None:
        """Connect, greet, and switch TLS on if the endpoint says so."""
        host, port, tls = self._endpoint
        with self._step(f"connecting to {host}:{port}"):
            socket_ = connection.connect(host, port, self._deadline)
            self._smtp = smtplib.SMTP(local_hostname=_own_name(socket_))
            self._smtp.sock = socket_
            if tls == "tls":
                self._smtp.sock = connection.secure(socket_, host, self._context)
        with self._step("greeting"):
            self._expect(220, "greeting", *self._smtp.getreply(), every=True)
            self._greet()
        if tls == "starttls":
            self._start_tls(host)

    def log_in(self, username: str, password: str) -> None:
        """Authenticate (RFC 4954)."""
        smtp = self._smtp
        with self._step("AUTH"):
            try:
                if (username + password).isascii():
                    smtp.login(username, password)
                    return
                # smtplib knows ASCII only; RFC 4616 2 writes PLAIN in UTF-8.
                if "PLAIN" not in smtp.esmtp_features.get("auth", "").upper().split():
                    raise smtplib.SMTPNotSupportedError
                secret = base64.b64encode(f"\0{username}\0{password}".encode()).decode()
                self._expect(235, "AUTH", *smtp.docmd("AUTH", f"PLAIN {secret}"), every=True)
            except smtplib.SMTPResponseException as error:
                said = error.smtp_error if isinstance(error.smtp_error, bytes) else b""
                self._expect(235, "AUTH", error.smtp_code, said, every=True)
            except smtplib.SMTPServerDisconnected:
                raise
            except (smtplib.SMTPException, ValueError):  # ValueError: a challenge out of form
                fault = "the mail server offers no way to log in that is known here"
                raise Refused(fault, out_of_order=True) from None

    def submit(self, sender: str, recipients: Sequence[str], mail: bytes) -> None:
        """
        Hand over one mail: to all recipients, or to none.

        Args:
            sender: Address of the envelope.
            recipients: Addresses.
            mail: With CRLF at every end of line.
        """
        smtp = self._smtp
        with self._step("MAIL"):
            self._expect(250, "MAIL", *smtp.mail(sender), every=True)
        for recipient in recipients:
            with self._step("RCPT"):
                self._expect(250, "RCPT", *smtp.rcpt(recipient))
        with self._step("DATA"):
            self._expect(354, "DATA", *smtp.docmd("DATA"))
            # RFC 5321 4.5.2: a dot at the start of a line is doubled; a dot alone ends the mail.
            smtp.send(re.sub(rb"(?m)^\.", b"..", mail) + b".\r\n")
        try:
            code, said = smtp.getreply()
        except OSError as error:
            raise Unknown(f"no answer after the mail was sent ({_reason(error)})") from None
        if code // 100 not in (2, 4, 5):  # smtplib makes -1 of what is no reply
            raise Unknown("what came after the mail was sent is no reply")
        self._expect(250, "the mail", code, said)

    def noop(self) -> None:
        """Ask whether it is well."""
        with self._step("NOOP"):
            self._expect(250, "NOOP", *self._smtp.docmd("NOOP"))

    def close(self) -> None:
        """Say goodbye, briefly."""
        smtp = getattr(self, "_smtp", None)
        if smtp is None:
            return
        if isinstance(smtp.sock, connection.Connection):
            smtp.sock.deadline = min(self._deadline, time.monotonic() + _FAREWELL)
            with suppress(OSError):
                smtp.docmd("QUIT")
        smtp.close()

    def _greet(self) -> None:
        code, said = self._smtp.ehlo()
        if code != 250:  # RFC 5321 3.2: an old server that knows HELO only
            code, said = self._smtp.helo()
        self._expect(250, "EHLO", code, said, every=True)

    def _start_tls(self, host: str) -> None:
        smtp = self._smtp
        if not smtp.has_extn("starttls"):
            raise Refused("the mail server does not offer STARTTLS", out_of_order=True)
        with self._step("STARTTLS"):
            self._expect(220, "STARTTLS", *smtp.docmd("STARTTLS"), every=True)
            plain = smtp.sock
            assert isinstance(plain, connection.Connection)  # noqa: S101  # for mypy: open() put it there
            smtp.sock = connection.secure(plain, host, self._context)
            # RFC 3207 4.2: nothing that was said in the clear counts any more.  (EHLO forgets the
            # extensions that were offered; this, what was sent along behind the reply.)
            smtp.file = None
            self._greet()

    @contextmanager
    def _step(self, what: str) -> Iterator[None]:
        """Turn what breaks a connection into Unavailable."""
        try:
            yield
        except OSError as error:  # smtplib's own errors are OSErrors too
            raise Unavailable(f"{what}: {_reason(error)}") from None

    def _expect(
        self, wanted: int, what: str, code: int, said: bytes, *, every: bool = False
    ) -> None:
        """
        Judge a reply.

        Args:
            wanted: The reply that is right, and so is any with the same first digit.
            what: It was a reply to this.
            code: The reply.
            said: Its text.
            every: Whether a refusal would hold for every other message too.
        """
        # RFC 5321 4.2: codes that it does not name are told by their first digit alone.
        if code // 100 == wanted // 100:
            return
        text = f"{what}: the mail server answered {code} {self._hide(said)}".rstrip()
        if 500 <= code <= 599:
            raise Refused(text, out_of_order=every or code == _NEEDS_AUTHENTICATION)
        raise Unavailable(text)


def _own_name(socket_: socket.socket) -> str:
    """The name for EHLO: our own if it is a full one, else our address (RFC 5321 4.1.4)."""
    name = socket.gethostname()
    if "." in name:
        return name
    address = socket_.getsockname()[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _reason(error: OSError) -> str:
    if isinstance(error, smtplib.SMTPServerDisconnected):
        # smtplib wraps what really happened, and says so only in the text.
        return "timed out" if "timed out" in str(error) else "the mail server hung up"
    if isinstance(error, smtplib.SMTPException):
        return "the mail server does not speak SMTP"
    return connection.reason(error)
