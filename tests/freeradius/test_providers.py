"""Every provider inside a real radiusd: one login, a refusal, and an end without a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from radius_smsotp.providers.contract import PHONE
from tests.freeradius.held_gateway import code_of, http
from tests.providers.gateway import Gateway, answers
from tests.providers.modem.gsm_cable import TcpCable
from tests.providers.modem.gsm_modem import GsmModem
from tests.providers.peers import make_certificate
from tests.providers.script_gateway import ScriptStandIn
from tests.providers.sipgate_server import PASSWORD, USER, Sipgate
from tests.providers.smtp.mail_server import MailServer
from tests.support.freeradius import PATIENT, Site
from tests.support.site import PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

UNDELIVERED = "The SMS with your code could not be sent. Please try again later."


def log_in_through(site: Site, received: Callable[[], list[tuple[str, str]]]) -> None:
    """One login, whose code is read where the provider has brought it."""
    radiusd = site.start()
    challenge = radiusd.challenge()
    # It is recorded beside the answer.
    eventually(lambda: site.kinds("alice") == ["challenge-opened", "sms-accepted"])
    [(phone, text)] = eventually(received)
    assert phone.lstrip("+") == PHONE.lstrip("+")
    code = code_of(site, challenge.state)
    assert code in text
    assert radiusd.ask("alice", code, challenge.state).kind == "Access-Accept"
    assert radiusd.stop() == 0
    assert "Traceback" not in radiusd.log()


def test_http(make_site: Callable[..., Site]) -> None:
    with Gateway() as gateway:

        def received() -> list[tuple[str, str]]:
            queries = [request.query for request in gateway.requests]
            return [(query["to"][0], query["text"][0]) for query in queries]

        log_in_through(make_site(providers={"one": http(gateway)}, delivery=PATIENT), received)


def test_sipgate(make_site: Callable[..., Site], tmp_path: Path) -> None:
    sipgate = Sipgate(make_certificate(tmp_path))
    provider = {
        "type": "sipgate",
        "username": USER,
        "password": PASSWORD,
        "url": f"https://localhost:{sipgate.port}/RPC2",
        "ca_file": str(sipgate.certificate.cert),
    }
    try:
        log_in_through(make_site(providers={"one": provider}, delivery=PATIENT), sipgate.received)
    finally:
        sipgate.stop()


def test_smtp(make_site: Callable[..., Site], tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    server = MailServer(certificate, "starttls", "not-my-password")
    office = {
        "server": f"localhost:{server.port}",
        "tls": "starttls",
        "ca_file": str(certificate.cert),
        "username": "smsotp@example.org",
        "password": "not-my-password",
    }

    def received() -> list[tuple[str, str]]:
        return [(mail.recipients[0].partition("@")[0], mail.text) for mail in server.mails]

    mail = {"type": "smtp", "identifier": "office", "mailto": "{phone_digits}@sms.example.org"}
    try:
        site = make_site(providers={"m": mail}, smtp_servers={"office": office}, delivery=PATIENT)
        log_in_through(site, received)
    finally:
        server.stop()


def test_modem(make_site: Callable[..., Site]) -> None:
    with GsmModem(TcpCable()) as modem:
        provider = {"type": "modem", "port": modem.cable.name}
        log_in_through(make_site(providers={"gsm": provider}, delivery=PATIENT), modem.received)


def test_script_and_its_exit_status(make_site: Callable[..., Site], tmp_path: Path) -> None:
    """radiusd reaps children of its own; the status of ours must not get lost on the way."""
    script = ScriptStandIn(tmp_path)
    provider = {"type": "script", "script": str(script.program)}
    log_in_through(make_site(providers={"own": provider}, delivery=PATIENT), script.received)
    script.does("exit 1")
    site = make_site(providers={"own": provider}, delivery=PATIENT)
    for number in range(5):
        site.add(f"user{number}")
    radiusd = site.start()
    for number in range(5):
        reply = radiusd.ask(f"user{number}", PIN)
        assert (reply.kind, reply.message) == ("Access-Reject", UNDELIVERED)


def test_a_delivery_receipt_that_says_lost_moves_on_by_itself(
    make_site: Callable[..., Site],
) -> None:
    with GsmModem(TcpCable()) as modem:
        chain: dict[str, Any] = {
            "gsm": {"type": "modem", "port": modem.cable.name, "delivery_receipt": True},
            "next": {"type": "folder", "path": "outbox"},
        }
        site = make_site(providers=chain, delivery=PATIENT)
        radiusd = site.start()
        challenge = radiusd.challenge()
        assert site.messages() == []
        [accepted] = [one for one in site.events("alice") if one.kind == "sms-accepted"]
        # 3GPP 23.040 9.2.3.15: 70 (0x46) is "validity period expired", a permanent error.
        modem.receipt(int(str(accepted.detail["message_id"])), 0x46)
        assert site.code(challenge.state) == code_of(site, challenge.state)
        kinds = site.kinds("alice")
        assert kinds == ["challenge-opened", "sms-accepted", "sms-lost", "sms-accepted"]


def test_a_gateway_that_hangs_is_skipped_for_those_who_come_later(
    make_site: Callable[..., Site],
) -> None:
    with Gateway(lambda call: call.wait()) as hanging, Gateway() as good:
        chain = {"first": http(hanging, timeout=60), "second": http(good)}
        site = make_site(providers=chain, limits={"cooldown": 0, "per_account_hour": 0})
        radiusd = site.start()
        names = [f"user{number:02}" for number in range(99)]

        def sent_by_the_second() -> bool:
            name = names.pop()
            site.add(name, phone=f"+4917022222{len(names):02}")
            radiusd.challenge(name)
            return "sms-accepted" in eventually(lambda: site.kinds(name))

        eventually(sent_by_the_second)
        assert good.requests
        assert not any(event.kind == "sms-unknown" for event in site.events("user98"))


def test_numbers_and_accounts_have_an_order_of_their_own(make_site: Callable[..., Site]) -> None:
    with Gateway() as one, Gateway() as two, Gateway(answers(200, "ID: 1")) as three:
        site = make_site(
            providers={"one": http(one), "two": http(two), "three": http(three)},
            delivery={"order": ["one"], "prefixes": {"+43": ["two", "one"]}},
        )
        site.add("austrian", phone="+436641234567")
        site.add("special", phone="+491709876543", provider="three")
        radiusd = site.start()
        for name, gateway in [("alice", one), ("austrian", two), ("special", three)]:
            radiusd.challenge(name)
            eventually(lambda gateway=gateway: len(gateway.requests) == 1)
        assert [len(each.requests) for each in (one, two, three)] == [1, 1, 1]
