"""CHAP, MS-CHAP and MS-CHAPv2: passwords and codes that are proved, not sent."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from Crypto.Hash import MD4

from radius_smsotp.cli.trace import folded
from tests.freeradius.handshakes import CHALLENGE, MICROSOFT, RESPONSE, HandshakeClient, Kind
from tests.freeradius.supplicant import STATION, Supplicant
from tests.freeradius.test_one_password import SENT
from tests.freeradius.test_wifi import code, wrong
from tests.support.freeradius import Radiusd, Site
from tests.support.radius import USER_NAME, vendor
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KINDS = pytest.mark.parametrize("kind", ["chap", "mschap", "mschapv2"])
PROMPT = "Enter the 6-digit code sent to ***67: "


def in_the_clear(raddb: Path) -> None:
    """Let FreeRADIUS know alice's PIN, from a users file."""
    (raddb / "users").write_text(f'alice Cleartext-Password := "{PIN}"\n')
    files = "files {\n\tfilename = ${confdir}/users\n}\n"
    (raddb / "mods-enabled" / "files").write_text(files)
    path = raddb / "policy.d" / "smsotp_first_factor"
    text = path.read_text()
    assert "smsotp_account {\n}" in text
    path.write_text(text.replace("smsotp_account {\n}", "smsotp_account {\n\tfiles\n}"))


@pytest.fixture
def radiusd(share: Callable[..., Radiusd]) -> Radiusd:
    return share(in_the_clear)


@KINDS
def test_the_code_is_proved_in_the_second_step_and_spent(
    site: Site, radiusd: Radiusd, kind: Kind
) -> None:
    client = HandshakeClient(radiusd.port)
    asked = client.ask(kind, PIN)
    assert (asked.kind, asked.message) == ("Access-Challenge", PROMPT)
    # Keys and proofs are for who is let in.
    assert (asked.keys, asked.proved) == (False, False)
    accepted = client.ask(kind, code(site), asked.state)
    assert accepted.kind == "Access-Accept"
    assert accepted.proved == (kind == "mschapv2")
    assert accepted.keys == (kind != "chap")
    again = client.ask(kind, code(site), asked.state)
    assert (again.kind, again.keys) == ("Access-Reject", False)
    assert site.kinds("alice").count("code-accepted") == 1


@KINDS
def test_wrong_codes_are_counted_as_ever(site: Site, radiusd: Radiusd, kind: Kind) -> None:
    client = HandshakeClient(radiusd.port)
    asked = client.ask(kind, PIN)
    right = code(site)
    for left in (2, 1):
        again = client.ask(kind, wrong(right), asked.state)
        assert again.kind == "Access-Challenge"
        assert again.message == f"Wrong code, {left} left. {PROMPT}"
        assert again.state == asked.state
    # The PIN is no code, and another one than the code proves nothing.
    assert client.ask(kind, PIN, asked.state).kind == "Access-Reject"
    assert client.ask(kind, right, asked.state).kind == "Access-Reject"
    assert "code-accepted" not in site.kinds("alice")
    with site.store.read() as tx:
        assert tx.lockout("alice").failures == 3


@pytest.mark.parametrize("identifier", [b"\x01", b"\n", b'"', b"%", b"'", b"{", b"\x7f"])
def test_why_ms_chap_refuses_is_told_in_one_way(radiusd: Radiusd, identifier: bytes) -> None:
    """Else who guesses would know which accounts are disabled, or locked."""
    client = HandshakeClient(radiusd.port)
    client.identifier = identifier
    told = client.ask("mschapv2", "9999").error
    assert re.fullmatch(rb"E=691 R=0 C=[0-9a-f]{32} V=3 M=Authentication failed", told)


@KINDS
@pytest.mark.parametrize("identifier", [b"\x05", b"\xff"])
def test_a_wrong_pin_is_counted(
    site: Site, radiusd: Radiusd, kind: Kind, identifier: bytes
) -> None:
    """Whatever the octet is that MS-CHAP-Error begins with."""
    client = HandshakeClient(radiusd.port)
    client.identifier = identifier
    rejected = client.ask(kind, "9999")
    assert rejected.kind == "Access-Reject"
    told = kind != "chap" and identifier < b"\x80"
    assert rejected.error.startswith(b"E=691") == told
    assert site.kinds("alice") == ["pin-wrong"]


@KINDS
def test_without_a_challenge_pin_and_code_are_proved_as_one_password(
    share: Callable[..., Radiusd], kind: Kind
) -> None:
    """As behind L2TP and SSTP: the first dial sends the code, the second one gets in."""
    radiusd = share(in_the_clear, clients={"local": {"style": "reject"}})
    site, client = radiusd.site, HandshakeClient(radiusd.port)
    first = client.ask(kind, PIN)
    assert first.kind == "Access-Reject"
    assert first.message == SENT
    assert client.ask(kind, PIN + wrong(code(site))).message == "Login failed."
    # The PIN alone is the first step again: the same code, no second SMS.
    assert client.ask(kind, PIN).message == SENT
    assert client.ask(kind, code(site)).kind == "Access-Reject"
    accepted = client.ask(kind, PIN + code(site))
    assert accepted.kind == "Access-Accept"
    assert accepted.proved == (kind == "mschapv2")
    assert client.ask(kind, PIN + code(site)).kind == "Access-Reject"
    assert len(site.messages()) == 1


def test_where_freeradius_has_the_nt_hash_only_the_code_alone_follows_from_the_same_station(
    make_site: Callable[..., Site],
) -> None:
    """Nobody can put a code behind a PIN that is known as a hash only."""
    site = make_site(clients={"local": {"style": "reject"}})

    def hashed(raddb: Path) -> None:
        in_the_clear(raddb)
        nt_hash = MD4.new(PIN.encode("utf-16-le")).hexdigest()
        (raddb / "users").write_text(f"alice NT-Password := 0x{nt_hash}\n")

    port = site.start(edit=hashed).port
    client, elsewhere = HandshakeClient(port), HandshakeClient(port, "198.51.100.9")
    assert client.ask("mschapv2", PIN).kind == "Access-Reject"
    assert elsewhere.ask("mschapv2", code(site)).kind == "Access-Reject"
    assert client.ask("mschapv2", wrong(code(site))).kind == "Access-Reject"
    accepted = client.ask("mschapv2", code(site))
    assert (accepted.kind, accepted.proved) == ("Access-Accept", True)
    assert client.ask("mschapv2", code(site)).kind == "Access-Reject"


def failures(site: Site) -> int:
    """What is counted of alice's wrong PINs and codes."""
    with site.store.read() as tx:
        return tx.lockout("alice").failures


def in_turn(radiusd: Radiusd, password: str) -> list[str]:
    """What a client does that is set to find the method out: FortiGate's auth-type auto."""
    client, kinds = HandshakeClient(radiusd.port), list[str]()
    for kind in ("mschapv2", "chap", "mschap"):
        kinds.append(client.ask(kind, password).kind)
        if kinds[-1] != "Access-Reject":
            return kinds
    return [*kinds, radiusd.ask("alice", password, station="192.0.2.7").kind]


def test_a_pin_of_ours_cannot_be_proved_so_nothing_is_counted_and_the_trail_says_so(
    site: Site,
) -> None:
    """However often; not while a challenge is open either; what is sent is compared and counts."""
    radiusd = site.start()
    rejected = ["Access-Reject"] * 3
    assert in_turn(radiusd, "9999") == [*rejected, "Access-Reject"]
    assert failures(site) == 1
    refused = [{"reason": "hashed-pin", "method": one} for one in ("MS-CHAPv2", "CHAP", "MS-CHAP")]
    assert [event.detail for event in site.events("alice")] == [*refused, {}]
    assert len(folded(site.events("alice"))) == 2
    for _ in range(4):
        assert in_turn(radiusd, PIN) == [*rejected, "Access-Challenge"]
    assert failures(site) == 1
    # Three guesses would be gone with the first try.
    assert in_turn(radiusd, PIN + code(site)) == [*rejected, "Access-Accept"]
    assert (len(site.messages()), failures(site)) == (1, 0)


def test_one_wrong_password_by_several_methods_is_one_failure(site: Site, radiusd: Radiusd) -> None:
    """A few times in a row; by one method it counts each time."""
    for count in (1, 2, 3, 4):
        assert in_turn(radiusd, "9999") == ["Access-Reject"] * 4
        assert failures(site) == (count if count < 4 else 7)
    told = [(event.kind, event.detail.get("reason")) for event in site.events("alice")[:4]]
    assert told == [("pin-wrong", None), *[("pin-wrong", "in-turn")] * 3]
    client = HandshakeClient(radiusd.port, "198.51.100.9")
    assert [client.ask("chap", "9999").kind for _ in range(2)] == ["Access-Reject"] * 2
    assert failures(site) == 9


def test_a_response_that_nothing_can_check_is_wrong_and_no_fault_of_ours(
    site: Site, radiusd: Radiusd
) -> None:
    """LAN Manager's, which mschap does not know: anybody could raise an alarm with it."""
    challenge = vendor(MICROSOFT, CHALLENGE, bytes(8))
    response = vendor(MICROSOFT, RESPONSE, b"\x05\x00" + bytes(48))
    for name in ("alice", "nobody"):
        reply = radiusd.client.send([(USER_NAME, name.encode()), challenge, response])
        assert (reply.kind, reply.message) == ("Access-Reject", "Login failed.")
    assert site.kinds("alice") == ["pin-wrong"]


@KINDS
def test_an_unknown_account_is_rejected_alike(radiusd: Radiusd, kind: Kind) -> None:
    client = HandshakeClient(radiusd.port)
    known, unknown = client.ask(kind, "9999"), client.ask(kind, "9999", user="nobody")
    # In each MS-CHAP-Error there is a challenge of its own.
    assert replace(known, error=b"") == replace(unknown, error=b"")
    assert known.error[:11] == unknown.error[:11]


@pytest.mark.parametrize(
    "method",
    [
        'eap=TTLS phase2="auth=CHAP"',
        'eap=TTLS phase2="auth=MSCHAP"',
        'eap=TTLS phase2="auth=MSCHAPV2"',
        'eap=TTLS phase2="autheap=MSCHAPV2"',
        'eap=PEAP phase2="auth=MSCHAPV2"',
    ],
)
def test_devices_that_know_no_gtc_send_pin_and_code_in_one_password(
    site: Site, radiusd: Radiusd, method: str
) -> None:
    """As Windows does, and phones whose users have not chosen anything."""

    def attempt(password: str) -> bool:
        with Supplicant(radiusd, method, password=password) as device:
            assert device.question() is None
            return device.accepted()

    assert not attempt("9999")
    assert site.kinds("alice") == ["pin-wrong"]
    assert not attempt(PIN)
    assert not attempt(PIN + wrong(code(site)))
    assert site.kinds("alice").count("pin-wrong") == 2
    assert attempt(PIN + code(site))
    assert not attempt(PIN + code(site))
    assert len(site.messages()) == 1
    accepted = [event for event in site.events("alice") if event.kind == "code-accepted"]
    assert [(event.client, event.station) for event in accepted] == [
        ("local", STATION.replace(":", "-"))
    ]


def test_who_has_both_is_asked_in_gtc(site: Site, radiusd: Radiusd) -> None:
    """Two questions are better than one password of two parts."""
    with Supplicant(radiusd, 'eap=PEAP phase2="auth=MSCHAPV2 auth=GTC"') as device:
        assert device.question() == "PIN: "
        assert device.answer(PIN) == PROMPT
        assert device.answer(code(site)) is None
        assert device.accepted()
