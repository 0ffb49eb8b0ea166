"""The site smsotp-gtc by itself: EAP-GTC in rounds, and EAP that is none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.freeradius.test_wifi import CODE_PROMPT, code, wrong
from tests.support.eap import GTC, IDENTITY, NAK, EapClient, EapReply, response
from tests.support.freeradius import Radiusd, Site
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SUCCESS, FAILURE = 3, 4
TUNNEL = 226


def inside(radiusd: Radiusd, more: Sequence[tuple[int, bytes]] = ()) -> EapClient:
    """A client in the place of the tunnel: at the loopback port, with its secret."""
    text = (radiusd.folder / "mods-config" / "smsotp" / "gtc").read_text()
    port, secret = re.findall(r'= "?(\w+)"?$', text, re.MULTILINE)
    return EapClient(int(port), secret, [*more, (TUNNEL, b"PEAP")])


def directly(raddb: Path) -> None:
    """Let the client ask smsotp-gtc itself, as a gateway for IKEv2 does."""
    clients = raddb / "clients.conf"
    named = clients.read_text().replace("\tsecret", "\tvirtual_server = smsotp-gtc\n\tsecret", 1)
    clients.write_text(named)
    conf = raddb / "radiusd.conf"
    conf.write_text(conf.read_text().replace("\tvirtual_server = smsotp\n", ""))


@pytest.fixture
def client(radiusd: Radiusd) -> EapClient:
    return inside(radiusd)


def ended(reply: EapReply, kind: str, code: int, identifier: int) -> bool:
    """Whether a conversation has ended so, with the identifier of the response."""
    # RFC 3748 section 4.2: "The Identifier field MUST match the Identifier field of the Response".
    return (reply.kind, reply.eap) == (f"Access-{kind}", bytes([code, identifier, 0, 4]))


def test_a_gateway_without_a_tunnel_asks_for_the_pin_and_then_for_the_code(site: Site) -> None:
    client = EapClient(site.start(edit=directly).port)
    first = client.begin()
    assert (first.kind, first.prompt) == ("Access-Challenge", "PIN: ")
    second = client.answer(first, PIN)
    assert second.prompt == CODE_PROMPT
    third = client.answer(second, wrong(code(site)))
    assert third.prompt == f"Wrong code, 2 left. {CODE_PROMPT}"
    # RFC 3748 section 4.1: a new request has a new identifier.
    assert len({7, first.identifier, second.identifier, third.identifier}) == 4
    assert ended(client.answer(third, code(site)), "Accept", SUCCESS, third.identifier)
    assert {event.client for event in site.events("alice")} == {"local"}


def test_the_same_code_again_is_a_failure(client: EapClient, site: Site) -> None:
    asked = client.answer(client.begin(), PIN)
    right = code(site)
    assert client.answer(asked, right).kind == "Access-Accept"
    assert ended(client.answer(asked, right), "Reject", FAILURE, asked.identifier)


def test_a_wrong_pin_and_an_unknown_name_look_alike(client: EapClient, site: Site) -> None:
    for user in ("alice", "nobody"):
        asked = client.begin(user)
        assert asked.prompt == "PIN: "
        refused = client.answer(asked, "9999", user)
        assert ended(refused, "Reject", FAILURE, asked.identifier)
        assert refused.state is None
    assert site.kinds("alice") == ["pin-wrong"]


def test_an_answer_is_bound_to_its_account(client: EapClient, site: Site) -> None:
    site.add("mallory")
    asked = client.answer(client.begin(), PIN)
    assert client.answer(asked, code(site), "mallory").kind == "Access-Reject"
    assert site.events("mallory")[-1].detail["reason"] == "foreign"
    assert client.answer(asked, code(site)).kind == "Access-Accept"


def test_a_pin_may_hold_any_letter_and_be_long(client: EapClient, site: Site) -> None:
    for pin in ('"quoted"', "back\\slash", "größe€", "%{User-Name}", "x" * 128, "a b"):
        site.add("bob", text=pin)
        asked = client.answer(client.begin("bob"), pin, "bob")
        assert asked.prompt == CODE_PROMPT, pin


NO_TYPE = "sent an EAP packet without type"
NOT_WHOLE = "sent an EAP packet that is no whole response"
ANSWER = b"\x02\x08\x00\x0b\x06geheim"
MALFORMED = {
    "nothing": (b"", NO_TYPE),
    "too short": (b"\x02\x08\x00", NO_TYPE),
    "a header alone": (b"\x02\x08\x00\x04", NO_TYPE),
    "longer than it is": (
        b"\x02\x08\x00\x63\x06geheim",
        "sent an EAP packet that is no whole response",
    ),
    "shorter than a type": (
        b"\x02\x08\x00\x04\x06geheim",
        "sent an EAP packet that is no whole response",
    ),
    "a request": (b"\x01\x08\x00\x0b\x06geheim", NOT_WHOLE),
    "a success": (b"\x03\x08\x00\x04\x06", NOT_WHOLE),
    "another identifier": (
        b"\x02\x63\x00\x0b\x06geheim",
        "answers another question than the one asked",
    ),
    "another type": (response(8, 4, b"\x10" + 16 * b"x"), "sent EAP type MD5 in place of GTC"),
    "a notification": (response(8, 2, b"hello"), "sent EAP type 2 in place of GTC"),
    "an expanded type": (response(8, 254, 7 * b"\0"), "sent EAP type 254 in place of GTC"),
    "a NAK": (response(8, NAK, bytes([13, 25])), "refuses EAP-GTC and asks for TLS, PEAP"),
    "a NAK for nothing": (response(8, NAK, b"\0"), "refuses EAP-GTC and asks for nothing else"),
    "as long as can be": (
        response(8, GTC, 2000 * b"1"),
        "sent an EAP packet that is no whole response",
    ),
}


def test_malformed_eap_is_a_failure_that_counts_for_nobody(
    client: EapClient, radiusd: Radiusd, site: Site
) -> None:
    asked = client.begin()
    assert asked.identifier == 8
    for name, (packet, fault) in MALFORMED.items():
        reply = client.send(packet, asked.state)
        assert reply.kind == "Access-Reject", name
        if len(packet) > 1:
            assert reply.eap == bytes([FAILURE, packet[1], 0, 4]), name
        if packet:
            assert site.events("alice")[-1].detail["text"] == fault, name
    reasons = [event.detail["reason"] for event in site.events("alice")]
    assert reasons == ["broken"] * 8 + ["inner"] * 3 + ["outer", "inner", "broken"]
    with site.store.read() as tx:
        assert tx.lockout("alice").failures == 0
    assert "Traceback" not in radiusd.log()
    # Whoever was asked may still answer.
    assert client.answer(client.answer(asked, PIN), code(site)).kind == "Access-Accept"


def test_an_answer_to_a_question_that_was_never_asked_is_a_failure(
    client: EapClient, site: Site
) -> None:
    for state in (None, b"x" * 16, b"0" * 32, b"0" * 33 + b"g", b"\0" * 34, b"f" * 34, b"f" * 50):
        assert client.send(ANSWER, state).kind == "Access-Reject", state
    assert {event.kind for event in site.events("alice")} == {"eap-refused"}
    # A name starts anew whatever State comes with it.
    assert client.send(response(1, IDENTITY, b"alice"), b"x" * 16).prompt == "PIN: "


def test_a_pin_with_a_nul_is_a_failure(site: Site, client: EapClient) -> None:
    """And told as one; behind the PIN it is the end of a C string."""
    assert client.answer(client.begin(), b"ge\0heim").kind == "Access-Reject"
    assert [one.detail for one in site.events("alice")] == [{"reason": "nul"}]
    assert client.answer(client.begin(), PIN.encode() + b"\0").kind == "Access-Challenge"


def test_what_names_the_client_behind_a_tunnel_counts_from_the_tunnel_only(site: Site) -> None:
    """224 and 225 from somebody else would take the limits and the style of another client."""
    radiusd = site.start(edit=directly)
    forged = [(224, b"vpn"), (225, b"192.0.2.1")]
    client = EapClient(radiusd.port, more=forged)
    client.answer(client.begin(), PIN)
    assert [event.client for event in site.events("alice")][-1] == "local"
    tunnel = inside(radiusd, forged)
    tunnel.answer(tunnel.begin(), PIN)
    assert [event.client for event in site.events("alice")][-1] == "vpn"


def test_port_and_secret_of_the_tunnel_are_its_own_and_nobody_else_reads_them(
    radiusd: Radiusd,
) -> None:
    path = radiusd.folder / "mods-config" / "smsotp" / "gtc"
    assert path.stat().st_mode & 0o777 == 0o600
    assert re.search(r'^smsotp_gtc_secret = "[0-9a-f]{48}"$', path.read_text(), re.MULTILINE)
