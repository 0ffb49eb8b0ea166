"""``smsotp receiver`` and ``smsotp delivered``: what gateways and scripts tell later."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import signal
import subprocess
import urllib.error
import urllib.request
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner

from radius_smsotp.cli import smsotp
from radius_smsotp.cli.receiver import Desk
from radius_smsotp.cli.serving import Request
from radius_smsotp.errors import ConfigurationError, StoreError
from radius_smsotp.providers.http import receipt
from tests.providers.http.test_receipt import twilio
from tests.support.site import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from radius_smsotp.login.answers import Challenged
    from tests.cli.installation import Installation
    from tests.support.site import Gateways, Node, Site

ADDRESS = "https://sms.example.org/5f2c81d09a/receipts"
HTTP = {
    "type": "http",
    "url": "http://127.0.0.1:9/",
    "parameter": {"to": "{phone}", "text": "{message}"},
    "receipt": {"id": "id", "state": "state", "answer": "OK"},
}
SIGNED = {
    **HTTP,
    "username": "u",
    "password": "auth-token",
    "receipt": {"id": "id", "state": "state", "signature": "twilio"},
}


class Sending:
    """
    A site whose messages go through stand-ins, and the receiver of the gateways of those names.

    The receiver is another process with other settings: what they share is the store.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self.node: Node = site.node()
        site.write(providers={"first": HTTP, "second": SIGNED}, receiver={"url": ADDRESS})
        self.desk = Desk(site.settings_path, site.clock)
        self.desk.open()

    def ask(self, name: str = "first", path: str = "", **query: str) -> tuple[int, bytes]:
        """A gateway calls.  Returns status and body."""
        path = path or f"/5f2c81d09a/receipts/{name}"
        answer = self.desk.answer(Request("GET", path, urlencode(query), {}, b""))
        return answer.status, answer.body


@pytest.fixture
def sending(site: Site) -> Iterator[Sending]:
    """A site that sends, and a receiver beside it."""
    one = Sending(site)
    yield one
    one.desk.close()


class TestReceiver:
    def test_a_message_that_was_lost_goes_through_the_next_provider(
        self, sending: Sending, gateways: Gateways
    ) -> None:
        """Whoever sends takes it up; the gateway gets the answer that it wants."""
        node = sending.node
        challenged = node.challenge()
        assert sending.ask(id="FIRST-1", state="UNDELIV") == (200, b"OK")
        assert node.kinds()[-1] == "sms-lost"
        assert gateways.names() == ["first"]
        eventually(lambda: node.courier.sweep() or gateways.names() == ["first", "second"])
        node.settle(challenged.transaction_id)

    def test_one_that_arrived_or_is_on_its_way(self, sending: Sending) -> None:
        sending.node.challenge()
        assert sending.ask(id="first-1", state="BUFFERED") == (200, b"OK")
        assert sending.node.kinds()[-1] == "sms-accepted"
        assert sending.ask(id="first-1", state="DELIVRD") == (200, b"OK")
        assert sending.node.events()[-1].detail["text"] == "DELIVRD"
        assert sending.ask(id="first-1", state="DELIVRD") == (200, b"OK")
        assert sending.node.kinds().count("sms-delivered") == 1

    def test_it_may_be_faster_than_the_record_of_its_attempt(
        self, sending: Sending, gateways: Gateways
    ) -> None:
        """It is kept in the store, which both share."""
        gateways.will("first", lambda: sending.ask(id="first-1", state="REJECTED"))
        challenged = sending.node.challenge()
        eventually(
            lambda: (
                sending.node.courier.sweep() >= 0
                and sending.node.message(challenged).provider == "second"
            )
        )
        assert sending.node.kinds()[-3:] == ["sms-accepted", "sms-lost", "sms-accepted"]

    @pytest.mark.parametrize(
        "path",
        [
            "/",
            "/first",
            "/5f2c81d09a/receipts",
            "/5f2c81d09a/receipts/",
            "/5f2c81d09a/receipts/first/",
            "/5f2c81d09a/receipts/third",
            "/5F2C81D09A/receipts/first",
            "/5f2c81d09a/x/../receipts/first",
            "/é/first",
            "first",
        ],
    )
    def test_who_does_not_know_the_secret_finds_nothing(self, sending: Sending, path: str) -> None:
        sending.node.challenge()
        assert sending.ask(path=path, id="first-1", state="UNDELIV") == (404, b"")
        assert sending.node.kinds()[-1] == "sms-accepted"

    def test_what_is_not_signed_is_not_taken(
        self, sending: Sending, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Where the gateway signs; the log says why, and not what came."""
        assert sending.ask("second", id="4711", state="UNDELIV") == (403, b"")
        assert "what came for second is not taken: the signature is missing" in caplog.text
        assert "4711" not in caplog.text
        query = urlencode({"id": "4711", "state": "UNDELIV"})
        url = f"{ADDRESS}/second?{query}"
        signature = twilio("auth-token", receipt.Incoming("GET", url, {}, b""))
        asked = Request(
            "GET",
            "/5f2c81d09a/receipts/second",
            query,
            {"x-twilio-signature": signature},
            b"",
        )
        assert sending.desk.answer(asked).status == 200

    def test_what_cannot_be_read_is_told(
        self, sending: Sending, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert sending.ask(id="4711") == (400, b"")
        assert "there is no id or no state" in caplog.text
        assert "4711" not in caplog.text

    def test_a_store_that_does_not_answer_lets_the_gateway_come_again(
        self, sending: Sending, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise StoreError("busy")

        challenged = sending.node.challenge()
        with monkeypatch.context() as patch:
            patch.setattr(sending.desk._receipts, "_settle", fail)
            assert sending.ask(id="first-1", state="UNDELIV") == (503, b"")
        # And if it does not: it was heard.
        eventually(lambda: sending.desk.look() or "sms-lost" in sending.node.kinds())
        assert sending.node.message(challenged).state == "queued"

    def test_settings_are_read_again(
        self, sending: Sending, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Those that do not work are told, and the ones before stay."""
        sending.site.write(providers={"other": HTTP}, receiver={"url": ADDRESS})
        sending.desk.look()
        assert sending.desk.names == ["other"]
        sending.site.write(providers={"other": HTTP}, colour="red")
        sending.desk.look()
        assert "colour" in caplog.text
        sending.site.write(providers={"other": HTTP})
        sending.desk.look()
        assert "receiver.url: is not set" in caplog.text
        assert sending.desk.names == ["other"]
        assert sending.ask("other", id="1", state="DELIVRD") == (200, b"OK")

    def test_without_an_address_it_does_not_start(self, site: Site) -> None:
        site.node()
        with pytest.raises(ConfigurationError, match=r"receiver\.url: is not set"):
            Desk(site.settings_path).open()


@pytest.mark.slow
def test_a_process_of_its_own(here: Installation) -> None:
    """From its start to its end; nothing that it prints holds the secret."""
    here.write(providers={"sms": HTTP}, receiver={"url": ADDRESS})
    process = here.start("receiver", "--listen", "127.0.0.1:0", stderr=subprocess.PIPE)
    assert process.stderr is not None
    line = process.stderr.readline()
    found = re.search(r"http://(\S+) answers, for sms", line)
    assert found, line
    connection = http.client.HTTPConnection(found[1], timeout=30)
    body = json.dumps({"id": "9", "state": "DELIVRD", "to": "+491701234567"})
    connection.request("POST", "/5f2c81d09a/receipts/sms", body)
    assert (answer := connection.getresponse()).status == 200
    assert answer.read() == b"OK"
    with contextlib.suppress(urllib.error.HTTPError):
        urllib.request.urlopen(f"http://{found[1]}/5f2c81d09a/sms?id=9&state=x", timeout=30)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert "5f2c81d09a" not in line + process.stderr.read()


@pytest.mark.slow
def test_a_database_that_is_not_up_yet_is_waited_for(here: Installation) -> None:
    """As after a power cut; the end may come meanwhile."""
    here.write(
        providers={"sms": HTTP},
        receiver={"url": ADDRESS},
        store="postgresql://smsotp@127.0.0.1:1/smsotp",
    )
    process = here.start("receiver", "--listen", "127.0.0.1:0", stderr=subprocess.PIPE)
    assert process.stderr is not None
    assert "tried again every 2 s" in process.stderr.readline()
    here.write(store=f"sqlite:///{here.folder}/smsotp.db")
    assert "answers, for sms" in process.stderr.readline()
    process.terminate()
    assert process.wait(30) == 0


def attempt(node: Node) -> tuple[Challenged, str]:
    """A message, and its id."""
    challenged = node.challenge()
    with node.store.read() as tx:
        [(_, one)] = tx.attempts(challenged.transaction_id)
    assert one.message_id is not None
    return challenged, one.message_id


class TestDelivered:
    @pytest.fixture
    def called(self, site: Site) -> Any:
        """The command, on the site's settings."""

        def call(*arguments: str) -> Any:
            return CliRunner().invoke(
                smsotp, ["--config", str(site.settings_path), "delivered", *arguments]
            )

        site.clock.now = datetime.now(UTC)  # which the command goes by
        return call

    def test_it_is_a_receipt(self, site: Site, called: Any, gateways: Gateways) -> None:
        node = site.node()
        challenged, message_id = attempt(node)
        done = called(message_id, "--failed", "--words", "no such number +491701234567")
        assert (done.exit_code, done.output) == (0, f"first: message {message_id} was lost\n")
        assert node.events()[-1].detail["text"] == "no such number"
        eventually(lambda: node.courier.sweep() or len(gateways.sent) == 2)
        node.settle(challenged.transaction_id)
        assert called("second-2").output == "second: message second-2 has arrived\n"
        assert node.kinds()[-1] == "sms-delivered"

    def test_an_id_that_nobody_gave_is_refused(self, site: Site, called: Any) -> None:
        """Unless the provider is named: a script may be faster than the record of its attempt."""
        node = site.node()
        done = called("first-1")
        assert done.exit_code == 1
        assert "no provider gave a message of the last days this id" in done.output
        assert called("first-1", "--provider", "first").exit_code == 0
        node.challenge()
        eventually(lambda: node.courier.sweep() >= 0 and node.kinds()[-1] == "sms-delivered")
        assert called("x", "--provider", "third").exit_code == 2

    def test_an_id_that_two_gave_needs_the_provider(
        self, site: Site, called: Any, gateways: Gateways
    ) -> None:
        node = site.node()
        for name in ("first", "second"):
            gateways.call(name, "7")
        challenged = node.challenge()
        assert called("7", "--failed").exit_code == 0
        eventually(lambda: node.courier.sweep() or len(gateways.sent) == 2)
        node.settle(challenged.transaction_id)
        assert "say --provider first or second" in called("7").output
        assert called("7", "--provider", "second").exit_code == 0
        assert node.kinds()[-1] == "sms-delivered"
