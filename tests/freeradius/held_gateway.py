"""An HTTP gateway that keeps some waiting, and messages that nobody sends."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from radius_smsotp.model import code
from radius_smsotp.settings import keyring
from tests.support.freeradius import Site
from tests.support.site import PHONE, eventually

if TYPE_CHECKING:
    from tests.providers.gateway import Call, Gateway, Received
    from tests.support.radius import Reply

LEFT = "+491709999999"
"""Whom a message is for that was left behind."""


def http(gateway: Gateway, **more: Any) -> dict[str, Any]:
    """Settings of a provider for a gateway."""
    parameter = {"to": "{phone}", "text": "{message}"}
    return {"type": "http", "url": gateway.url, "parameter": parameter, **more}


def code_of(site: Site, state: bytes | None) -> str:
    """The code of a challenge, as its server derives it: whether it was sent or not."""
    assert state is not None
    return code.derive(keyring.read(site.folder / "key").secret, state.decode(), 6)


def hold_alices(gateway: Gateway) -> list[Call]:
    """Let a gateway answer each message but alice's; hers stay in the list that is returned."""
    held: list[Call] = []

    def take(call: Call) -> None:
        if to(call.request) == PHONE:
            held.append(call)
            gateway.over.wait()
        call.answer(200, "ID: 4711")

    gateway.behave = take
    return held


def to(request: Received) -> str:
    """The number that a message is for."""
    return request.query["to"][0]


def leave_behind(site: Site, like: Reply, owner: str) -> None:
    """
    Put a message into the store that nobody sends, as a process that died leaves it.

    Returns when somebody has sent it: who looks for such messages had a look at all before it, too.
    """
    assert like.state is not None
    other = "0" * 32
    with site.store.write() as tx:
        found = tx.challenge(like.state.decode())
        message = tx.message(like.state.decode())
        assert found is not None
        assert message is not None
        later = found.created_at + timedelta(seconds=1)
        tx.add_challenge(replace(found, transaction_id=other, account="bob", created_at=later))
        sealed = code.seal(keyring.read(site.folder / "key").secret, other, LEFT)
        tx.add_message(
            replace(message, transaction_id=other, sealed_phone=sealed, lease_owner=owner)
        )
    eventually(lambda: "sms-accepted" in site.kinds("bob"))
