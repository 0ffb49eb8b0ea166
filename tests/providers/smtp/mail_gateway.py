"""A gateway that takes mails, and ways to set a provider up for it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.providers import Surroundings
from radius_smsotp.providers.contract import CODE, PHONE, message, soon
from radius_smsotp.providers.smtp.provider import Provider, Settings
from tests.providers.smtp.mail_server import PASSWORD, USER

if TYPE_CHECKING:
    from radius_smsotp.errors import DeliveryError
    from tests.providers.peers import Certificate
    from tests.providers.smtp.mail_server import MailServer

MAILTO = "{phone_digits}@sms.example.org"


class MailStandIn:
    """A gateway that is a mail server."""

    def __init__(self, server: MailServer, certificate: Certificate) -> None:
        self.server = server
        self.certificate = certificate
        self.secrets = (server.password,) if server.password else ()

    def provider(self, **settings: Any) -> Provider:
        entry: dict[str, Any] = {
            "server": f"127.0.0.1:{self.server.port}",
            "tls": self.server.tls,
            "ca_file": str(self.certificate.cert),
        }
        if self.server.password:
            entry |= {"username": USER, "password": PASSWORD}
        given = {"type": "smtp", "identifier": "office", "mailto": MAILTO, **settings}
        return provider(given, self.certificate, office=entry)

    def refuse(self) -> None:
        self.server.refusals["DATA"] = f"554 5.7.1 spam: {PHONE} {{mail}} {PASSWORD}"

    def be_busy(self) -> None:
        self.server.refusals["DATA"] = f"451 4.7.1 later: {PHONE} {CODE}"

    def go_away(self) -> None:
        self.server.leave()

    def fall_silent(self) -> None:
        self.server.silent = True

    def received(self) -> list[tuple[str, str]]:
        mails = self.server.mails
        return [(mail.recipients[0].partition("@")[0], mail.text) for mail in mails]


def provider(given: dict[str, Any], certificate: Certificate, **servers: Any) -> Provider:
    folder = certificate.cert.parent
    surroundings = Surroundings(folder=folder, smtp_servers=servers, lock_folder=folder)
    return Provider("mail", Settings.model_validate(given), surroundings)


def old_form(port: int, **settings: Any) -> dict[str, Any]:
    return {
        "type": "smtp",
        "MAILSERVER": f"127.0.0.1:{port}",
        "MAILTO": "sms@example.org",
        "MAILSENDER": "otp@example.org",
        **settings,
    }


def fails(kind: type[DeliveryError], one: Provider, seconds: float = 20.0) -> Any:
    """The error that a message ends with; no library's exception, which may quote, causes it."""
    with pytest.raises(kind) as caught:
        one.send(message(), soon(seconds))
    assert type(caught.value) is kind
    assert caught.value.__cause__ is None
    for secret in (CODE, PHONE, PHONE[1:], PASSWORD, base64.b64encode(PASSWORD.encode()).decode()):
        assert secret not in str(caught.value)
    return caught.value
