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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal, NamedTuple

from radius_smsotp.errors import Busy, Refused, Unavailable, Unknown
from radius_smsotp.providers import connection

if TYPE_CHECKING:
    import ssl

    from radius_smsotp.providers.smtp.sasl import Mechanism

Tls = Literal["none", "starttls", "tls"]

_FAREWELL = 0.5
"""Seconds for the answer to QUIT: by then the verdict is known and somebody waits for it."""

_AUTHENTICATED = 235  # RFC 4954 6
_CHALLENGE = 334  # RFC 4954 4
_WRONG = 535  # RFC 4954 6

_FOR_ALL = re.compile(rb"relay|authenti|log ?in first|starttls", re.IGNORECASE)
"""Words of a server that would say the same to every mail: no code is used by all of them."""


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

    def log_in(self, mechanisms: Mapping[str, Mechanism]) -> None:
        """
        Authenticate (RFC 4954), by the first way that the server knows and takes.

        Args:
            mechanisms: From `sasl`, the best first.
        """
        offered = self._smtp.esmtp_features.get("auth", "").upper().split()
        known = [name for name in mechanisms if name in offered]
        if not known:
            ways = ", ".join(self._hide(one.encode()) for one in offered) or "none"
            fault = f"the mail server offers no way to log in that is known here, but {ways}"
            raise Refused(fault, out_of_order=True)
        with self._step("AUTH"):
            for name in known:
                code, said = self._authenticate(name, mechanisms[name])
                if code == _AUTHENTICATED:
                    return
                # CRAM-MD5 is offered by servers that have hashes for secrets.  Otherwise a wrong
                # password is wrong in each of them, and counted.
                if code == _WRONG and name != "CRAM-MD5":
                    break
            self._expect(_AUTHENTICATED, f"AUTH {name}", code, said, every=True)

    def _authenticate(self, name: str, mechanism: Mechanism) -> tuple[int, bytes]:
        """The reply to one way to log in."""
        initial = mechanism.initial
        # RFC 4954 4: "=" is an initial response that is empty.
        first = [] if initial is None else [_base64(initial) or "="]
        code, said = self._smtp.docmd("AUTH", " ".join([name, *first]))
        for answer in mechanism.answers:
            if code != _CHALLENGE:
                break
            try:
                said = _base64(answer(base64.b64decode(said))).encode()
            except ValueError:  # no base64; no MD5, on a host that has none (FIPS)
                break
            code, said = self._smtp.docmd(said.decode())
        if code == _CHALLENGE:  # there is nothing more to say
            code, said = self._smtp.docmd("*")
        return code, said

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

    def rehearse(self, sender: str, recipients: Mapping[str, bool]) -> None:
        """
        Ask whether mails would be taken, and send none.

        Args:
            sender: As in `submit`.
            recipients: Addresses; true for those that only look like the real ones, of which no
                "unknown" counts.
        """
        with self._step("MAIL"):
            self._expect(250, "MAIL", *self._smtp.mail(sender), every=True)
        for recipient, is_made_up in recipients.items():
            with self._step("RCPT"):
                code, said = self._smtp.rcpt(recipient)
            # Who says "later" may mean it: greylisting.
            if _is_for_all(code, said) or (code // 100 == 5 and not is_made_up):
                self._expect(250, "RCPT", code, said)
        with self._step("RSET"):
            self._expect(250, "RSET", *self._smtp.rset())

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
            raise Refused(text, out_of_order=every or _is_for_all(code, said))
        if 400 <= code <= 499:
            raise Busy(text)
        raise Unavailable(text)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _is_for_all(code: int, said: bytes) -> bool:
    """Whether a refusal of one recipient would be one of every other."""
    needs_authentication = code == 530  # RFC 4954 6; also what RFC 3207 4 has for STARTTLS
    return needs_authentication or (code // 100 in (4, 5) and _FOR_ALL.search(said) is not None)


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
