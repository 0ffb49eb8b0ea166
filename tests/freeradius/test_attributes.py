"""What an account may do comes with the Access-Accept of every way in, and with nothing before."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.freeradius import stock
from tests.freeradius.handshakes import HandshakeClient, Kind
from tests.freeradius.supplicant import PEAP_GTC, TTLS_GTC, TTLS_PAP, Supplicant
from tests.freeradius.test_eap_gtc import directly
from tests.freeradius.test_wifi import code
from tests.support.eap import EAP_MESSAGE, GTC, IDENTITY, NAK, response
from tests.support.freeradius import Radiusd, Site
from tests.support.radius import (
    MESSAGE_AUTHENTICATOR,
    PROXY_STATE,
    REPLY_MESSAGE,
    STATE,
    USER_NAME,
    VENDOR_SPECIFIC,
    RadiusClient,
    Reply,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FRAMED_IP_ADDRESS, FILTER_ID, CLASS, SESSION_TIMEOUT = 8, 11, 25, 27
TUNNEL_TYPE, TUNNEL_MEDIUM, TUNNEL_GROUP = 64, 65, 81
FORTINET_GROUP = (12356).to_bytes(4, "big") + b"\x01\x0bvpn-users"

USERS = """\
erin Cleartext-Password := "pw", SMSOTP-Phone := "+491701234567"
	Class += "c1",
	Class += "c2",
	Filter-Id := "vpn-users",
	Framed-IP-Address := 10.9.0.9,
	Session-Timeout := 3600,
	Tunnel-Type := VLAN,
	Tunnel-Medium-Type := IEEE-802,
	Tunnel-Private-Group-Id := "42",
	Fortinet-Group-Name := "vpn-users",
	Reply-Message := "from the users file"
"""

GRANTED = sorted(
    [
        (CLASS, b"c1"),
        (CLASS, b"c2"),
        (FILTER_ID, b"vpn-users"),
        (FRAMED_IP_ADDRESS, b"\x0a\x09\x00\x09"),
        (SESSION_TIMEOUT, (3600).to_bytes(4, "big")),
        (TUNNEL_TYPE, b"\x00\x00\x00\x0d"),
        (TUNNEL_MEDIUM, b"\x00\x00\x00\x06"),
        (TUNNEL_GROUP, b"42"),
        (VENDOR_SPECIFIC, FORTINET_GROUP),
    ]
)
"""As they travel: once each, and nothing of ours beside."""

CARRIERS = {STATE, REPLY_MESSAGE, EAP_MESSAGE, MESSAGE_AUTHENTICATOR, PROXY_STATE}
"""What else there may be in a reply; see RFC 2865 section 5.44."""

MICROSOFT = (311).to_bytes(4, "big")
"""Keys, and proofs of MS-CHAP (RFC 2548)."""


def granted(reply: Reply) -> list[tuple[int, bytes]]:
    """What a reply says that the user may do."""
    return sorted(pair for pair in reply.pairs if pair[0] not in CARRIERS if not _is_key(pair))


def _is_key(pair: tuple[int, bytes]) -> bool:
    return pair[0] == VENDOR_SPECIFIC and pair[1].startswith(MICROSOFT)


def bare(reply: Reply) -> bool:
    """Whether there is nothing of that in it, nor a key."""
    return {number for number, _ in reply.pairs} <= CARRIERS


def received(device: Supplicant, kind: int) -> list[list[tuple[int, bytes]]]:
    """What an access point got in each packet of a kind, of what is no carrier."""
    packets = re.split(r"(?m)^RADIUS message: ", device.output())[1:]
    found = []
    for packet in packets:
        if packet.startswith(f"code={kind} "):
            pairs = re.findall(r"Attribute (\d+) .*(?:\n\s+Value: (.*))?", packet)
            read = [(int(number), _octets(int(number), value)) for number, value in pairs]
            told = [one for one in read if one[0] not in {*CARRIERS, USER_NAME}]
            found.append(sorted(one for one in told if not _is_key(one)))
    return found


def _octets(number: int, value: str) -> bytes:
    """A value, of which eapol_test shows some in words, and one not at all."""
    if number == FILTER_ID:
        return b"vpn-users"
    if value.startswith("'"):
        return value.strip("'").encode()
    if number == FRAMED_IP_ADDRESS:
        return bytes(map(int, value.split(".")))
    if number == SESSION_TIMEOUT:
        return int(value).to_bytes(4, "big")
    return bytes.fromhex(value)


def edit(raddb: Path, where: str) -> None:
    """Let ``files`` know erin."""
    (raddb / "mods-enabled" / "files").write_text("files {\n\tfilename = ${confdir}/users\n}\n")
    (raddb / "users").write_text(USERS)
    if where == "smsotp_account":
        policy = raddb / "policy.d" / "smsotp_first_factor"
        stock.replace(policy, r"^smsotp_account \{", "smsotp_account {\n\tfiles")
    else:
        for site in ("smsotp", "smsotp-gtc"):
            path = raddb / "sites-available" / site
            stock.replace(path, r"^\t\tsmsotp_authorize$", "\t\tfiles\n\t\tsmsotp_authorize")


@pytest.fixture(scope="module", params=["smsotp_account", "before ours"])
def radiusd(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Radiusd]:
    folder = tmp_path_factory.mktemp("attributes") / "site"
    folder.mkdir()
    site = Site(folder, limits={"cooldown": 0, "per_account_hour": 0, "per_number_hour": 0})
    try:
        yield site.start(edit=lambda raddb: edit(raddb, request.param))
    finally:
        site.close()


def test_in_two_steps(radiusd: Radiusd) -> None:
    challenge = radiusd.challenge("erin", "pw")
    assert bare(challenge)
    assert challenge.message.startswith("Enter the 6-digit code")
    again = radiusd.ask("erin", "000000", challenge.state)
    assert (again.kind, bare(again)) == ("Access-Challenge", True)
    accepted = radiusd.ask("erin", radiusd.site.code(challenge.state), challenge.state)
    assert accepted.kind == "Access-Accept"
    assert granted(accepted) == GRANTED


def test_with_pin_and_code_in_one_password(radiusd: Radiusd) -> None:
    challenge = radiusd.challenge("erin", "pw")
    accepted = radiusd.ask("erin", "pw" + radiusd.site.code(challenge.state))
    assert accepted.kind == "Access-Accept"
    assert granted(accepted) == GRANTED


def test_nothing_with_a_rejection(radiusd: Radiusd) -> None:
    challenge = radiusd.challenge("erin", "pw")
    refused = [radiusd.ask("erin", "wrong")]
    refused += [radiusd.ask("erin", "000000", challenge.state) for _ in range(3)]
    assert [one.kind for one in refused][::3] == ["Access-Reject"] * 2
    assert all(map(bare, refused))
    assert "users file" not in refused[0].message


@pytest.mark.parametrize("kind", ["chap", "mschap", "mschapv2"])
def test_where_the_code_is_proved(radiusd: Radiusd, kind: Kind) -> None:
    client = HandshakeClient(radiusd.port)
    asked = client.ask(kind, "pw", user="erin")
    assert bare(asked.whole)
    accepted = client.ask(kind, radiusd.site.code(asked.state), asked.state, user="erin")
    assert accepted.kind == "Access-Accept"
    assert granted(accepted.whole) == GRANTED


@pytest.mark.parametrize("method", [PEAP_GTC, TTLS_GTC], ids=["peap", "ttls"])
def test_inside_a_tunnel(radiusd: Radiusd, method: str) -> None:
    with Supplicant(radiusd, method, "erin") as device:
        device.question()
        device.answer("pw")
        device.answer(code(radiusd.site, "erin"))
        assert device.accepted()
        assert received(device, 2) == [GRANTED]
        assert not any(received(device, 11))


def test_inside_a_tunnel_with_pin_and_code_stored(radiusd: Radiusd) -> None:
    challenge = radiusd.challenge("erin", "pw")
    for number, method in enumerate((TTLS_PAP, PEAP_GTC)):
        stored = "pw" + radiusd.site.code(challenge.state)
        with Supplicant(radiusd, method, "erin", stored) as device:
            device.question()
            assert device.accepted()
            assert received(device, 2) == [GRANTED], number
            assert not any(received(device, 11))
        challenge = radiusd.challenge("erin", "pw")


@pytest.mark.parametrize(
    "method",
    [
        'eap=PEAP phase2="auth=MSCHAPV2"',
        'eap=TTLS phase2="autheap=MSCHAPV2"',
        'eap=TTLS phase2="auth=MSCHAPV2"',
        'eap=TTLS phase2="auth=CHAP"',
    ],
)
def test_inside_a_tunnel_where_the_password_is_proved(radiusd: Radiusd, method: str) -> None:
    challenge = radiusd.challenge("erin", "pw")
    with Supplicant(radiusd, method, "erin", "pw" + radiusd.site.code(challenge.state)) as device:
        device.question()
        assert device.accepted()
        assert received(device, 2) == [GRANTED]
        assert not any(received(device, 11))


@pytest.mark.once
def test_on_another_server_and_for_a_remembered_device(make_site: Callable[..., Site]) -> None:
    site = make_site(remember={"hours": 12})
    one, two = (
        site.start(name, edit=lambda raddb: edit(raddb, "smsotp_account"))
        for name in ("one", "two")
    )
    challenge = one.ask("erin", "pw", station="02-00-00-00-00-01")
    assert (challenge.kind, bare(challenge)) == ("Access-Challenge", True)
    answer = site.code(challenge.state), challenge.state, "02-00-00-00-00-01"
    accepted = two.ask("erin", *answer)
    assert (accepted.kind, granted(accepted)) == ("Access-Accept", GRANTED)
    known = one.ask("erin", "pw", station="02-00-00-00-00-01")
    assert (known.kind, granted(known)) == ("Access-Accept", GRANTED)
    assert site.kinds("erin")[-1] == "device-accepted"


@pytest.mark.once
def test_where_the_first_step_is_answered_by_a_rejection(make_site: Callable[..., Site]) -> None:
    site = make_site(challenge={"style": "reject"})
    radiusd = site.start(edit=lambda raddb: edit(raddb, "before ours"))
    sent = radiusd.ask("erin", "pw")
    assert (sent.kind, bare(sent)) == ("Access-Reject", True)
    accepted = radiusd.ask("erin", "pw" + code(site, "erin"))
    assert (accepted.kind, granted(accepted)) == ("Access-Accept", GRANTED)


def both(raddb: Path) -> None:
    """The edits for a gateway that speaks EAP itself."""
    edit(raddb, "smsotp_account")
    directly(raddb)


@pytest.mark.parametrize("method", ["gtc", "mschapv2"])
def test_for_a_gateway_that_speaks_eap_itself(share: Callable[..., Radiusd], method: str) -> None:
    """As IKEv2 does: no round but the last one says what the user may do."""
    radiusd = share(both)
    site, client = radiusd.site, RadiusClient(radiusd.port)

    def send(packet: bytes, state: bytes | None) -> Reply:
        pairs = [(USER_NAME, b"erin"), (EAP_MESSAGE, packet)]
        return client.send([*pairs, (STATE, state)] if state else pairs)

    asked = send(response(7, IDENTITY, b"erin"), None)
    assert bare(asked)
    if method == "mschapv2":
        offered = send(response(asked.joined(EAP_MESSAGE)[1], NAK, bytes([26])), asked.state)
        assert (offered.kind, bare(offered)) == ("Access-Challenge", True)
        assert offered.joined(EAP_MESSAGE)[4] == 26
        return
    for answer in ("pw", None):
        typed = (answer or code(site, "erin")).encode()
        packet = response(asked.joined(EAP_MESSAGE)[1], GTC, typed)
        asked = send(packet, asked.state)
        if answer:
            assert (asked.kind, bare(asked)) == ("Access-Challenge", True)
    assert (asked.kind, granted(asked)) == ("Access-Accept", GRANTED)


def test_in_a_virtual_server_of_ones_own(make_site: Callable[..., Site]) -> None:
    """Debian's ``default``, in which our policies are called: `files` stands before them."""

    def called(raddb: Path) -> None:
        (raddb / "mods-config" / "files" / "authorize").write_text(USERS)
        stock.call(raddb)

    site = make_site()
    radiusd = stock.start(site, "raddb", called)
    challenge = radiusd.challenge("erin", "pw")
    assert bare(challenge)
    accepted = radiusd.ask("erin", site.code(challenge.state), challenge.state)
    assert (accepted.kind, granted(accepted)) == ("Access-Accept", GRANTED)


def test_for_a_device_that_resumes_its_tls_session(make_site: Callable[..., Site]) -> None:
    """Where that is enabled, the Access-Accept is that of the login before."""

    def resuming(raddb: Path) -> None:
        edit(raddb, "smsotp_account")
        stock.replace(raddb / "mods-available" / "eap_smsotp", r"enable = no$", "enable = yes")

    site = make_site()
    radiusd = site.start(edit=resuming)
    with Supplicant(radiusd, PEAP_GTC, "erin", None, "-r", "1") as device:
        device.question()
        device.answer("pw")
        assert device.answer(code(site, "erin")) is None
        assert device.accepted()
        assert "OpenSSL: Handshake finished - resumed=1" in device.output()
        first, second = received(device, 2)
    assert first == GRANTED
    # FreeRADIUS keeps those that the cache of eap_smsotp names, and no vendor's.
    assert second == [pair for pair in GRANTED if pair[0] != VENDOR_SPECIFIC]
