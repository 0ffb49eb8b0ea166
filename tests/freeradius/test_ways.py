"""Another way to the user, on a real FreeRADIUS: the code comes by mail."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.freeradius.supplicant import PEAP_GTC, Supplicant
from tests.providers.peers import closed_port, make_certificate, starting
from tests.providers.smtp.mail_server import MailServer
from tests.support.freeradius import PATIENT
from tests.support.site import PHONE, PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.freeradius import Site

MAIL = "alice.b@example.org"
BY_MAIL = "Enter the 6-digit code sent to a…@e….org: "
DEMO = {"type": "folder", "path": "outbox"}


@pytest.fixture
def mails(tmp_path: Path) -> Iterator[MailServer]:
    with starting(MailServer) as start:
        yield start(make_certificate(tmp_path))


def office(mails: MailServer) -> dict[str, Any]:
    return {
        "type": "smtp",
        "mailserver": f"127.0.0.1:{mails.port}",
        "mailto": "{email}",
        "mailsender": "otp@example.org",
        "subject": "Login",
        "body": "{message}",
    }


def code(mails: MailServer) -> str:
    """The one in the last mail."""
    [mail] = eventually(lambda: mails.mails[-1:])
    assert mail.recipients == [MAIL]
    assert PHONE not in mail.raw.decode()
    [found] = re.findall(r"\b[0-9]{6}\b", mail.text)
    return str(found)


def made(
    make_site: Callable[..., Site], mails: MailServer, sms: dict[str, Any], **more: Any
) -> Site:
    ways = {"mail": {"address": "email", "order": ["office"]}}
    site = make_site(providers={"demo": sms, "office": office(mails)}, ways=ways, **more)
    site.add("alice", PHONE, ways=(f"mail={MAIL}",))
    return site


@pytest.mark.once
def test_who_asks_for_a_mail_gets_one(make_site: Callable[..., Site], mails: MailServer) -> None:
    radiusd = made(make_site, mails, DEMO).start()
    challenge = radiusd.challenge()
    assert challenge.message == "Enter the 6-digit code sent to ***67: "
    again = radiusd.ask("alice", "r mail", challenge.state)
    assert (again.kind, again.message) == ("Access-Challenge", f"Sent again. {BY_MAIL}")
    assert radiusd.ask("alice", code(mails), challenge.state).kind == "Access-Accept"


@pytest.mark.once
def test_an_sms_that_is_refused_comes_by_mail_and_the_prompt_says_so(
    make_site: Callable[..., Site], mails: MailServer
) -> None:
    """Here nobody listens at the gateway."""
    url = f"http://127.0.0.1:{closed_port()}/?to={{phone}}&text={{message}}"
    # FreeRADIUS lets one login at a time into the module: this one may wait as long as it takes.
    site = made(make_site, mails, {"type": "http", "url": url}, delivery=PATIENT)
    radiusd = site.start()
    challenge = radiusd.challenge()
    assert challenge.message == BY_MAIL
    assert radiusd.ask("alice", code(mails), challenge.state).kind == "Access-Accept"
    kinds = site.kinds("alice")
    assert kinds[1:4] == ["sms-unavailable", "sms-next-way", "sms-accepted"]


@pytest.mark.once
def test_a_wifi_device_may_ask_for_a_mail(
    make_site: Callable[..., Site], mails: MailServer
) -> None:
    """In EAP-GTC, in the conversation that is under way."""
    radiusd = made(make_site, mails, DEMO).start()
    with Supplicant(radiusd, PEAP_GTC) as device:
        assert device.question() == "PIN: "
        assert device.answer(PIN) == "Enter the 6-digit code sent to ***67: "
        assert device.answer("r mail") == f"Sent again. {BY_MAIL}"
        assert device.answer(code(mails)) is None
        assert device.accepted()


def test_a_directory_may_say_the_ways(make_site: Callable[..., Site], mails: MailServer) -> None:
    """`SMSOTP-Way` in the control list, as LDAP sets it: the address alone."""

    def edit(raddb: Path) -> None:
        path = raddb / "sites-available" / "smsotp"
        text = path.read_text("utf-8")
        said = f'\t\tupdate control {{\n\t\t\t&SMSOTP-Way += "{MAIL}"\n\t\t}}\n'
        path.write_text(text.replace("\t\tsmsotp_authorize\n", f"{said}\t\tsmsotp_authorize\n"))
        assert said in path.read_text("utf-8")

    site = made(make_site, mails, DEMO)
    site.add("alice", PHONE)
    radiusd = site.start("raddb-ways", edit)
    challenge = radiusd.challenge()
    assert radiusd.ask("alice", "r mail", challenge.state).message == f"Sent again. {BY_MAIL}"
    assert radiusd.ask("alice", code(mails), challenge.state).kind == "Access-Accept"
