"""Jasmin between us and an SMSC of another make, by HTTP and by SMPP: ``sh tests/jasmin.sh``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.cli.receiver import Desk
from tests.cli.test_serving import running
from tests.peers.test_receipts import RECEIPT
from tests.providers.http.test_receipt import receiving
from tests.providers.smpp.smsc import PASSWORD, Smsc
from tests.support.jasmin import Jasmin
from tests.support.site import Site, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.jasmin


@pytest.fixture(scope="module")
def smsc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Smsc]:
    """The SMSC."""
    with Smsc(tmp_path_factory.mktemp("smsc")) as one:
        yield one


@pytest.fixture(scope="module")
def jasmin(smsc: Smsc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jasmin]:
    """The gateway, bound to it."""
    place, folder = Path(os.environ["SMSOTP_JASMIN"]), tmp_path_factory.mktemp("jasmin")
    with Jasmin(place, folder, smsc.port, PASSWORD) as one:
        smsc.wait("bind")
        yield one


SMPP = {
    "type": "smpp",
    "smsc_host": "127.0.0.1",
    "system_id": "user",
    "password": "password",
    "bind": "transceiver",
}


@pytest.mark.parametrize("way", ["http", "smpp"])
@pytest.mark.parametrize("text", ["{code} is your code", "{code} ваш код"])
def test_a_message_arrives_or_is_lost(
    way: str, text: str, jasmin: Jasmin, smsc: Smsc, tmp_path: Path
) -> None:
    """Receipts come back by the same way, whatever alphabet the message is in."""
    site = Site(tmp_path)
    desk = Desk(site.settings_path)
    by_http: dict[str, Any] = receiving("jasmin") | {"url": jasmin.url}
    with running(desk.answer) as (host, port):
        site.write(
            providers={
                "jasmin": by_http if way == "http" else SMPP,
                "backup": {"type": "folder", "path": "outbox"},
            },
            receiver={"url": f"http://{host}:{port}/9f3c5b1e77a04d2c"},
            message=text,
        )
        node = site.node()
        desk.open()
        try:
            for name, state, last in (
                ("alice", "DELIVRD", "sms-delivered"),
                ("bob", "UNDELIV", "sms-accepted"),
            ):
                challenged = node.challenge(name)
                sent = smsc.wait("submit")
                assert sent["text"] == text.replace("{code}", node.code(challenged))
                smsc.ask(
                    "deliver_sm",
                    esm_class=4,
                    source_addr=sent["to"][0],
                    destination_addr=sent["from"][0],
                    short_message=RECEIPT.format(id=sent["id"], state=state),
                )

                def told(name: str = name, last: str = last, state: str = state) -> bool:
                    node.courier.sweep()
                    kinds = node.kinds(name)
                    return kinds[-1] == last and ("sms-lost" in kinds) == (state == "UNDELIV")

                eventually(told)
                node.settle(challenged.transaction_id)
            assert node.message(challenged).provider == "backup"
        finally:
            desk.close()
            site.close()
