"""Conversations that nobody ends: they are bounded, and nothing makes one that is lost and kept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.freeradius.test_eap_gtc import directly
from tests.support.eap import (
    IDENTITY,
    MSCHAPV2,
    NAK,
    PEAP,
    TTLS,
    EapClient,
    EapReply,
    TtlsClient,
    avp,
    hello,
    response,
)
from tests.support.radius import USER_NAME, USER_PASSWORD
from tests.support.site import PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.freeradius import Radiusd

PLACES = 3


def small(raddb: Path) -> None:
    """Room for few."""
    path = raddb / "mods-available" / "eap_smsotp"
    text, found = re.subn(r"max_sessions = \d+", f"max_sessions = {PLACES}", path.read_text())
    assert found == 1
    path.write_text(text)


class Device:
    """One that says what it likes, without an account."""

    def __init__(self, radiusd: Radiusd) -> None:
        self._client = EapClient(radiusd.port)

    def begin(self) -> EapReply:
        """Be offered PEAP."""
        return self._client.send(response(1, IDENTITY, b"anonymous"), user="anonymous")

    def say(self, asked: EapReply, method: int, data: bytes) -> EapReply:
        """Answer with an EAP type, whatever was asked for."""
        packet = response(asked.identifier, method, data)
        return self._client.send(packet, asked.state, user="anonymous")


def test_who_is_one_too_many_is_refused_until_another_one_has_ended(
    share: Callable[..., Radiusd],
) -> None:
    """At once, and it is in the log; logins without a tunnel go on."""
    radiusd = share(small)
    device = Device(radiusd)
    open_ones = [device.begin() for _ in range(PLACES)]
    assert {one.kind for one in open_ones} == {"Access-Challenge"}
    assert device.begin().kind == "Access-Reject"
    assert "Too many open sessions" in radiusd.log()
    assert radiusd.ask("alice", PIN).kind == "Access-Challenge"
    # RFC 3748 section 5.3.1: no other method will do either.
    assert device.say(open_ones[0], NAK, b"\0").kind == "Access-Reject"
    # A device without a name: the client says which place it is.
    told = eventually(lambda: radiusd.site.events(""))
    assert [event.detail["reason"] for event in told] == ["full", "method"]
    with_pin = (avp(USER_NAME, b"alice"), avp(USER_PASSWORD, PIN.encode()))
    for _ in range(2):
        TtlsClient(radiusd).ask(*with_pin)
    assert radiusd.site.kinds("alice").count("challenge-repeated") == 2
    for one in open_ones[1:]:
        device.say(one, NAK, b"\0")


@pytest.mark.parametrize("method", [4, 13, 26, 254, TTLS])
def test_a_type_that_was_not_asked_for_loses_no_conversation(radiusd: Radiusd, method: int) -> None:
    """rlm_eap would forget it, and keep its TLS session for ever: it goes on with the right one."""
    device = Device(radiusd)
    offered = device.begin()
    assert offered.eap[4] == PEAP
    assert device.say(offered, method, hello()).kind == "Access-Reject"
    assert device.say(offered, PEAP, hello()).kind == "Access-Challenge"


@pytest.mark.parametrize("method", [4, 13, 26, 254, PEAP])
def test_nor_does_one_after_a_nak(radiusd: Radiusd, method: int) -> None:
    device = Device(radiusd)
    offered = device.say(device.begin(), NAK, bytes([TTLS]))
    assert offered.eap[4] == TTLS
    assert device.say(offered, method, hello()).kind == "Access-Reject"
    assert device.say(offered, TTLS, hello()).kind == "Access-Challenge"


def test_a_method_is_chosen_once(radiusd: Radiusd) -> None:
    """Each NAK that rlm_eap takes costs a TLS session, up to fifty in one conversation."""
    device = Device(radiusd)
    for wanted in ([TTLS], [PEAP], [TTLS, PEAP]):
        offered = device.say(device.begin(), NAK, bytes([TTLS]))
        assert device.say(offered, NAK, bytes(wanted)).kind == "Access-Reject"
        assert device.say(offered, TTLS, hello()).kind == "Access-Challenge"


def test_whatever_state_comes_a_conversation_begins_and_goes_on(radiusd: Radiusd) -> None:
    """The octets by which a type is told are random: of 100 conversations none is refused."""
    device = Device(radiusd)
    for number in range(100):
        offered = device.begin()
        if number % 2:
            offered = device.say(offered, NAK, bytes([TTLS]))
        went_on = device.say(offered, (PEAP, TTLS)[number % 2], hello())
        assert went_on.kind == "Access-Challenge", number
        device.say(went_on, offered.eap[4], b"\0")


def directly_with_one_place(raddb: Path) -> None:
    """Let a gateway have EAP-MSCHAPv2 without a tunnel, one at a time."""
    directly(raddb)
    path = raddb / "mods-available" / "eap_smsotp"
    before, own, after = path.read_text().partition("eap smsotp_mschapv2 {")
    assert "max_sessions = ${max_requests}" in after
    path.write_text(before + own + after.replace("${max_requests}", "1"))


def test_mschapv2_of_another_name_is_not_kept_for_ever(share: Callable[..., Radiusd]) -> None:
    """rlm_eap would forget it, and so never free it: it holds its place until it expires."""
    radiusd = share(directly_with_one_place)
    client = EapClient(radiusd.port)

    def begin() -> EapReply:
        asked = client.begin()
        return client.send(response(asked.identifier, NAK, bytes([MSCHAPV2])), asked.state)

    offered = begin()
    assert offered.eap[4] == MSCHAPV2
    # draft-kamath-pppext-eap-mschapv2-02 section 2.2
    answer = b"\2" + offered.eap[6:7] + b"\0\x3b\x31" + bytes(49) + b"alice"
    proof = response(offered.identifier, MSCHAPV2, answer)
    assert client.send(proof, offered.state, user="eve").kind == "Access-Reject"
    told = eventually(lambda: radiusd.site.events("eve"))
    assert told[0].detail == {"reason": "inner", "text": "sent EAP type MSCHAPv2 in place of GTC"}
    assert begin().kind == "Access-Reject"
    assert "Too many open sessions" in radiusd.log()
