"""What a device says in its tunnel: it tells nobody who asks, and keeps nobody else out."""

from __future__ import annotations

import itertools
import random
import re
from typing import TYPE_CHECKING

import pytest

from tests.freeradius.supplicant import TTLS_PAP, Supplicant
from tests.support.eap import (
    GTC,
    IDENTITY,
    LONGEST,
    NAK,
    PeapClient,
    TtlsClient,
    avp,
    response,
)
from tests.support.radius import (
    CALLED_STATION_ID,
    CALLING_STATION_ID,
    NAS_IDENTIFIER,
    USER_NAME,
    USER_PASSWORD,
    vendor,
)
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.freeradius import Radiusd, Site

# RFC 2865 section 5; RFC 2869 section 5.
CHAP_PASSWORD, REPLY_MESSAGE, STATE, CLASS, PROXY_STATE = 3, 18, 24, 25, 33
CHAP_CHALLENGE, EAP_MESSAGE, MESSAGE_AUTHENTICATOR = 60, 79, 80
MICROSOFT, CHALLENGE, RESPONSE2 = 311, 11, 25
WIMAX, CISCO = 24757, 9

ALICE, PASSWORD = avp(USER_NAME, b"alice"), avp(USER_PASSWORD, PIN.encode())
HERE, THERE = b"02-00-00-00-00-01", b"02-00-00-00-00-02"
CALLED = b"02-00-00-00-00-FF:Office"

SHED = {
    "16 Class": [avp(CLASS, b"x" * LONGEST)] * 16,
    "40 Class": [avp(CLASS, b"x" * LONGEST)] * 40,
    "Reply-Message": [avp(REPLY_MESSAGE, b"x" * LONGEST)] * 17,
    "Proxy-State": [avp(PROXY_STATE, b"x" * LONGEST)] * 17,
    "of a vendor": [avp(1, b"x" * 200, CISCO)] * 20,
    "of a vendor, in RADIUS's form": [avp(*vendor(CISCO, 1, b"x" * 200))] * 20,
    "150 small": [avp(REPLY_MESSAGE, b"x")] * 150,
    "400 small": [avp(REPLY_MESSAGE, b"x")] * 400,
    "its own station": [avp(CALLING_STATION_ID, b"x" * LONGEST), avp(CALLED_STATION_ID, b"x")],
    "numbers of ours": [avp(number, b"x") for number in (224, 225, 226)],
    "two Message-Authenticators": [avp(MESSAGE_AUTHENTICATOR, bytes(16))] * 2,
    "a short Message-Authenticator": [avp(MESSAGE_AUTHENTICATOR, b"x")],
    "241 with one octet": [avp(241, b"\1")],
    "241 to 246": [avp(number, b"\1\2\3") for number in range(241, 247)],
    "245": [avp(245, b"\1\0" + b"x" * 200)],
    "short WiMAX": [avp(*vendor(WIMAX, 1, b""))],
    "WiMAX": [avp(1, b"x", WIMAX), avp(60, b"xy" * 100, WIMAX)],
    "cut short": [avp(26, b"\0\0"), avp(26, b"\0\0\0\x09\1\xff"), avp(5, b"x")],
    "of FreeRADIUS": [avp(1, b"\1\2\3\4", 11344)],
}
"""What a login does not need: it is as if nobody had said it."""

KNOWN = [*range(1, 17), *range(18, 21), *range(22, 54), 55, *range(60, 81), 87, 95, 101]
KNOWN += range(241, 247)
"""Attributes of RFC 2865, 2866, 2868, 2869, 3162 and 6929."""

EAP = avp(EAP_MESSAGE, response(1, IDENTITY, b"alice"))
UNFIT = {
    "30 names": [avp(USER_NAME, b"alice")] * 30 + [PASSWORD],
    "two names": [ALICE, avp(USER_NAME, b"bob"), PASSWORD],
    "two passwords": [ALICE, PASSWORD, avp(USER_PASSWORD, b"x")],
    "30 State": [ALICE, PASSWORD, *[avp(STATE, b"x" * LONGEST)] * 30],
    "two CHAP": [ALICE, *[avp(CHAP_PASSWORD, bytes(17))] * 2],
    "two MS-CHAPv2": [ALICE, *[avp(RESPONSE2, bytes(50), MICROSOFT)] * 2],
    "password and EAP": [ALICE, PASSWORD, EAP],
    "CHAP and EAP": [ALICE, avp(CHAP_PASSWORD, bytes(17)), EAP],
    "long EAP": [ALICE, avp(EAP_MESSAGE, response(1, GTC, b"1" * 4000))],
    "EAP in long parts": [ALICE, *[avp(EAP_MESSAGE, response(1, GTC, b"1" * 900))] * 6],
    "EAP in many parts": [ALICE, *[avp(EAP_MESSAGE, b"x")] * 250],
}
"""What no device sends that wants to log in: it is refused, and the trail says why."""

REFUSED = {
    "nothing": [avp(CLASS, b"x")],
    "an address of one octet": [ALICE, PASSWORD, avp(4, b"x")],
    "an empty attribute": [ALICE, PASSWORD, avp(CLASS, b"")],
    "a name": [ALICE],
    "a password": [PASSWORD],
    "MS-CHAPv2 without a challenge": [ALICE, avp(RESPONSE2, bytes(50), MICROSOFT)],
    "MS-CHAPv2 too short": [ALICE, avp(RESPONSE2, b"x", MICROSOFT)],
    "CHAP too long": [ALICE, avp(CHAP_PASSWORD, b"x" * LONGEST)],
    "EAP of one octet": [ALICE, avp(EAP_MESSAGE, b"x")],
    "EAP that ends too early": [ALICE, avp(EAP_MESSAGE, b"\2\1\0\xff\1a")],
    "all that fits": [
        *(avp(number, b"x" * LONGEST) for number in (USER_NAME, STATE)),
        avp(EAP_MESSAGE, response(1, GTC, b"1" * 1980)),
        *(avp(number, b"x" * 200, MICROSOFT) for number in (1, RESPONSE2)),
    ],
    "a whole password": [ALICE, avp(USER_PASSWORD, b"x" * LONGEST), avp(STATE, b"x" * LONGEST)],
}
"""What gets to the site behind, which answers."""

PEAP_REFUSED = {
    **{f"a name of {size}": [bytes([IDENTITY]) + b"x" * size] for size in (254, 1500, 15000)},
    "a name of others": [bytes([IDENTITY]) + b"\xff" * 253, bytes([GTC]) + b"1234"],
    "empty name": [bytes([IDENTITY])],
    "long answer": [bytes([IDENTITY]) + b"alice", bytes([GTC]) + b"1" * 4000],
    "longest answer": [bytes([IDENTITY]) + b"alice", bytes([GTC]) + b"1" * 15000],
    "another type": [bytes([IDENTITY]) + b"alice", b"\xff" * 3],
    "NAK": [bytes([IDENTITY]) + b"alice", bytes([NAK]) + bytes(range(4, 26))],
}
"""The same through PEAP: one EAP packet after another."""


STATIONS = itertools.count(0x10000)


def impatient(raddb: Path) -> None:
    """A site that is silent is given up after seconds."""
    path = raddb / "sites-available" / "smsotp-gtc"
    text = path.read_text()
    for name in ("response_window", "zombie_period"):
        text, found = re.subn(rf"{name} = 30", f"{name} = 3", text)
        assert found == 1
    path.write_text(text)


@pytest.fixture
def tunnels(share: Callable[..., Radiusd]) -> Radiusd:
    """One in which nobody is locked out, and whatever is silent is given up."""
    return share(
        impatient,
        code={"guesses": 10},
        lockout={"failures": 100_000},
        limits={"per_account_hour": 0, "per_number_hour": 0, "cooldown": 0},
        delivery={"wait": 0},
        pin={"iterations": 1},
    )


def ap(station: bytes = HERE) -> list[tuple[int, bytes]]:
    """What an access point says."""
    return [
        (CALLING_STATION_ID, station),
        (CALLED_STATION_ID, CALLED),
        (NAS_IDENTIFIER, b"hall"),
        vendor(CISCO, 1, b"floor=2"),
    ]


def fresh() -> str:
    """A device that is not known to have the PIN stored."""
    return "02-00-00-{:02X}-{:02X}-{:02X}".format(*next(STATIONS).to_bytes(3))


def assert_alive(radiusd: Radiusd) -> None:
    """The site behind the tunnel was not given up, and answers."""
    assert not re.search("Marking home server .* (zombie|dead)", radiusd.log())
    opened = radiusd.site.kinds("alice").count("challenge-opened")
    with Supplicant(radiusd, TTLS_PAP, password=PIN, station=fresh().replace("-", ":")) as device:
        assert device.question() is None
    assert radiusd.site.kinds("alice").count("challenge-opened") == opened + 1


@pytest.mark.parametrize("said", SHED.values(), ids=SHED)
def test_what_a_login_does_not_need_changes_nothing(tunnels: Radiusd, said: list[bytes]) -> None:
    """Client and station of the login are the access point's, whatever stands around it."""
    stations = [fresh(), fresh()]
    orders = [*said, ALICE, PASSWORD], [ALICE, PASSWORD, *said]
    for station, words in zip(stations, orders, strict=True):
        assert TtlsClient(tunnels, ap(station.encode())).ask(*words).kind == "Access-Reject"
    opened = [one for one in tunnels.site.events("alice") if one.kind == "challenge-opened"]
    assert [(one.client, one.station) for one in opened] == [("local", one) for one in stations]
    assert_alive(tunnels)


@pytest.mark.parametrize("said", UNFIT.values(), ids=UNFIT)
def test_what_makes_no_login_is_refused_with_its_reason(
    tunnels: Radiusd, said: list[bytes]
) -> None:
    for _ in range(2):
        assert TtlsClient(tunnels, ap()).ask(*said).kind == "Access-Reject"
    found = [
        (one.kind, one.detail, one.client, one.station) for one in tunnels.site.events("alice")
    ]
    refused = ("login-refused", {"reason": "unfit"}, "local", HERE.decode())
    assert found == [refused] * 2
    assert_alive(tunnels)


@pytest.mark.parametrize("said", REFUSED.values(), ids=REFUSED)
def test_what_cannot_log_in_is_refused(tunnels: Radiusd, said: list[bytes]) -> None:
    for _ in range(2):
        assert TtlsClient(tunnels, ap()).ask(*said).kind == "Access-Reject"
    assert_alive(tunnels)


@pytest.mark.parametrize("said", PEAP_REFUSED.values(), ids=PEAP_REFUSED)
def test_so_is_what_comes_through_peap(tunnels: Radiusd, said: list[bytes]) -> None:
    for _ in range(2):
        device = PeapClient(tunnels, ap())
        for words in said:
            reply = device.ask(words)
        if reply.kind != "Access-Reject":
            # The tunnel says so first, in an Extensions packet with the result failure.
            reply = device.ask(b"\x21\x80\3\0\2\0\2")
        assert reply.kind == "Access-Reject"
    assert_alive(tunnels)


@pytest.mark.once
def test_random_attributes_keep_nobody_out(tunnels: Radiusd) -> None:
    """Any of those that FreeRADIUS knows, of any length, as often as one likes; none lets in."""
    dice = random.Random(5281)
    for _ in range(60):
        said = [
            avp(dice.choice(KNOWN), dice.randbytes(dice.choice((1, 4, 16, 17, 50, LONGEST))))
            for _ in range(dice.randrange(1, 40))
        ]
        said.insert(dice.randrange(len(said)), ALICE)
        assert TtlsClient(tunnels, ap()).ask(*said).kind != "Access-Accept"
    assert_alive(tunnels)


def test_who_sheds_its_station_answers_no_challenge_of_another_one(
    make_site: Callable[..., Site],
) -> None:
    """`bind` holds, and its guesses cost the challenge none."""
    site = make_site(clients={"local": {"bind": "station"}})
    radiusd = site.start()
    assert TtlsClient(radiusd, ap(HERE)).ask(ALICE, PASSWORD).kind == "Access-Reject"
    code = site.code(site.events("alice")[0].transaction_id.encode())
    both = avp(USER_PASSWORD, f"{PIN}{code}".encode())
    for said in (SHED["16 Class"], SHED["40 Class"], SHED["150 small"], SHED["its own station"]):
        assert TtlsClient(radiusd, ap(THERE)).ask(*said, ALICE, both).kind == "Access-Reject"
    asked = {one.client for one in site.events("alice") if one.client}
    assert asked == {"local"}
    assert TtlsClient(radiusd, ap(HERE)).ask(*SHED["16 Class"], ALICE, both).kind == "Access-Accept"


@pytest.mark.parametrize("name", ["16 Class", "150 small", "two Message-Authenticators", "WiMAX"])
def test_a_login_of_two_questions_goes_through_it_all(tunnels: Radiusd, name: str) -> None:
    """In each round of EAP-GTC; the answers find their questions."""
    more, device = SHED[name], TtlsClient(tunnels, ap())

    def answer(packet: bytes) -> bytes:
        assert device.ask(*more, avp(EAP_MESSAGE, packet)).kind == "Access-Challenge"
        return device.heard()[8:]

    asked = answer(response(1, IDENTITY, b"alice"))
    asked = answer(response(asked[1], GTC, PIN.encode()))
    opened = tunnels.site.events("alice")[0]
    assert (opened.client, opened.station) == ("local", HERE.decode())
    code = tunnels.site.code(opened.transaction_id.encode())
    last = avp(EAP_MESSAGE, response(asked[1], GTC, code.encode()))
    assert device.ask(*more, last).kind == "Access-Accept"


def test_a_device_has_no_state_beside_the_one_that_the_tunnel_keeps(tunnels: Radiusd) -> None:
    """RFC 5281 leaves it to the server; what a device says there is another's, or made up."""
    device = TtlsClient(tunnels, ap())
    assert device.ask(EAP).kind == "Access-Challenge"
    answer = avp(EAP_MESSAGE, response(device.heard()[9], GTC, PIN.encode()))
    assert device.ask(avp(STATE, b"0" * 34), answer).kind == "Access-Reject"
    assert [one.detail for one in tunnels.site.events("alice")] == [{"reason": "unfit"}]


def only_from_the_hall(raddb: Path) -> None:
    """Let in who comes with what the access point above says, and nothing of the device."""
    path = raddb / "policy.d" / "smsotp_first_factor"
    unlang = (
        f'if (("%{{NAS-Identifier[*]}}" == "hall") && ("%{{Cisco-AVPair[*]}}" == "floor=2") '
        f'&& ("%{{Calling-Station-Id[*]}}" == "{HERE.decode()}") '
        f'&& ("%{{Called-Station-Id[*]}}" == "{CALLED.decode()}") && !&Class && !&NAS-Port) '
        f"{{\n\t\tpap\n\t}}\n\telse {{\n\t\treject\n\t}}"
    )
    path.write_text(path.read_text().replace("{\n\tpap\n}", "{\n\t" + unlang + "\n}"))


def test_what_an_access_point_says_is_not_what_a_device_says(share: Callable[..., Radiusd]) -> None:
    """All of it gets to the modules behind the tunnel, whatever the device says in there."""
    radiusd = share(only_from_the_hall)
    own = [
        avp(NAS_IDENTIFIER, b"cellar"),
        avp(*vendor(CISCO, 1, b"floor=0")),
        avp(1, b"floor=0", CISCO),
        avp(CALLING_STATION_ID, THERE),
        avp(CALLED_STATION_ID, b"cellar"),
        avp(CLASS, b"staff"),
        avp(5, bytes(4)),
    ]
    TtlsClient(radiusd, ap()).ask(*own, ALICE, PASSWORD)
    assert "challenge-opened" in radiusd.site.kinds("alice")


@pytest.mark.parametrize(
    "said",
    [
        [(number, b"\1\2\3") for number in range(241, 247)],
        [(245, b"\1\x80" + b"x" * 200), (245, b"\1\0" + b"x" * 200)],
        [(241, b"\1"), (26, b"\0\0"), vendor(WIMAX, 1, b""), (21, b"x"), (5, b"x")],
    ],
    ids=["extended", "long extended", "cut short"],
)
def test_nothing_that_an_access_point_says_keeps_its_users_out(
    share: Callable[..., Radiusd], said: list[tuple[int, bytes]]
) -> None:
    """What FreeRADIUS cannot encode does not go on; who asks does."""
    radiusd = share(impatient)
    TtlsClient(radiusd, [*ap(), *said]).ask(ALICE, PASSWORD)
    opened = radiusd.site.events("alice")[0]
    assert (opened.kind, opened.client, opened.station) == (
        "challenge-opened",
        "local",
        HERE.decode(),
    )


def test_what_does_not_fit_with_what_the_access_point_says_is_refused(tunnels: Radiusd) -> None:
    """A packet has 4096 octets; client and station are in it whatever falls off."""
    much = [*ap(), *[vendor(CISCO, 1, b"x" * 240)] * 10]
    device = TtlsClient(tunnels, much)
    assert device.ask(EAP).kind == "Access-Challenge"
    asked = device.heard()[8:]
    answer = response(asked[1], GTC, b"1" * 1900)
    assert device.ask(avp(EAP_MESSAGE, answer)).kind == "Access-Reject"
    (event,) = tunnels.site.events("alice")
    assert (event.kind, event.detail) == ("login-refused", {"reason": "unfit"})
    assert (event.client, event.station) == ("local", HERE.decode())
    assert_alive(tunnels)
