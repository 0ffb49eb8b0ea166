"""Receipts through gateways of other makes, with an SMSC of another make behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from radius_smsotp.cli.receiver import Desk
from tests.cli.test_serving import running
from tests.providers.http.test_receipt import receiving
from tests.providers.smpp.smsc import PASSWORD, Smsc
from tests.support.kannel import Kannel
from tests.support.site import Site, eventually

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.server

RECEIPT = (
    "id:{id} sub:001 dlvrd:000 submit date:2612010101 done date:2612010102 stat:{state} err:001 "
    "text:"
)


def test_kannel_is_told_our_name_for_a_message(tmp_path: Path) -> None:
    """It gives none itself: by the preset, HTTP to it and from it, and SMPP behind it."""
    (tmp_path / "site").mkdir()
    with Smsc(tmp_path) as smsc, Kannel(tmp_path, smsc.port, PASSWORD) as kannel:
        smsc.wait("bind")
        site = Site(tmp_path / "site")
        desk = Desk(site.settings_path)
        with running(desk.answer) as (host, port):
            site.write(
                providers={
                    "kannel": receiving("kannel") | {"url": kannel.url},
                    "backup": {"type": "folder", "path": "outbox"},
                },
                receiver={"url": f"http://{host}:{port}/9f3c5b1e77a04d2c"},
            )
            node = site.node()
            desk.open()
            try:
                for name, state, kinds in (
                    ("alice", "DELIVRD", ["sms-accepted", "sms-delivered"]),
                    ("bob", "UNDELIV", ["sms-accepted", "sms-lost", "sms-accepted"]),
                ):
                    challenged = node.challenge(name)
                    sent = smsc.wait("submit")
                    assert node.code(challenged) in sent["text"]
                    smsc.ask(
                        "deliver_sm",
                        esm_class=4,
                        source_addr=sent["to"][0],
                        destination_addr=sent["from"][0],
                        short_message=RECEIPT.format(id=sent["id"], state=state),
                    )

                    def told(name: str = name, kinds: list[str] = kinds) -> bool:
                        node.courier.sweep()
                        return node.kinds(name)[-len(kinds) :] == kinds

                    eventually(told)
                    node.settle(challenged.transaction_id)
                [message] = site.messages()
                assert node.code(challenged) in message["text"]
                assert node.message(challenged).provider == "backup"
            finally:
                desk.close()
                site.close()


def lose(smsc: Smsc, message_id: str) -> None:
    """The network says that a message was lost, to whoever is bound."""
    text = RECEIPT.format(id=message_id, state="UNDELIV")
    smsc.ask("deliver_sm", esm_class=4, short_message=text)


def test_an_smsc_reports_to_another_process_than_sent(tmp_path: Path) -> None:
    """Also to one that was started after that, and has sent nothing itself."""
    with Smsc(tmp_path) as smsc:
        provider = {
            "type": "smpp",
            "smsc_host": "127.0.0.1",
            "smsc_port": smsc.port,
            "system_id": "radius",
            "password": PASSWORD,
            "bind": "transceiver",
        }
        site = Site(
            tmp_path, providers={"smsc": provider, "backup": {"type": "folder", "path": "outbox"}}
        )
        try:
            first = site.node()
            challenged = first.challenge()
            message_id = smsc.wait("submit")["id"]
            first.close()
            smsc.wait("close")
            second = site.node()
            second.courier.chain.listen()
            smsc.wait("bind")
            lose(smsc, message_id)
            eventually(lambda: second.message(challenged).provider == "backup")
            second.settle(challenged.transaction_id)
            assert second.kinds()[-2:] == ["sms-lost", "sms-accepted"]
            assert second.code(challenged) in site.messages()[0]["text"]
        finally:
            site.close()
