"""Any octets as name and password: a correct answer, never an accept, a traceback, a crash."""

from __future__ import annotations

import random
import secrets
from typing import TYPE_CHECKING, Any

import pytest

from tests.freeradius.site import PIN, Radiusd, Site

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

HOSTILE = [
    b"",
    b" ",
    b"\0",
    b"1234\0junk",
    b"\xff\xfe",
    b"\xc3",
    "пароль".encode(),
    b"'; DROP TABLE account; --",
    b'"quoted"',
    b"%{User-Name}%n%s%%",
    b"back\\slash\\",
    b"\\0\\n\\x41",
    b"{code}{0.__class__}",
    b"\r\nAuth-Type := Accept",
    b"\x1b[2J\x07",
    b"a" * 128,
]


@pytest.fixture
def tolerant(make_site: Callable[..., Site]) -> Site:
    """A site that never locks out."""
    return make_site(lockout={"failures": 100_000, "minutes": 1})


def healthy(radiusd: Radiusd) -> None:
    """The server still serves, and nothing of Python reached its log."""
    assert radiusd.ask("alice", PIN).kind == "Access-Challenge"
    log = radiusd.log()
    for sign in ("Traceback", "Exception", "mod_populate_vps", "RLM_MODULE_FAIL", " failed: "):
        assert sign not in log, log


def test_hostile_passwords_are_rejected(tolerant: Site) -> None:
    radiusd = tolerant.start()
    for password in HOSTILE:
        reply = radiusd.ask("alice", password)
        assert (reply.kind, reply.message) == ("Access-Reject", "Login failed."), password
    healthy(radiusd)


def test_nul_octets_at_the_end_are_padding(radiusd: Radiusd) -> None:
    # RFC 2865 5.2 pads User-Password with NULs to a multiple of 16.
    assert radiusd.ask("alice", PIN.encode() + b"\0").kind == "Access-Challenge"


def test_hostile_answers_are_wrong_codes(tolerant: Site) -> None:
    tolerant.write_settings(
        code={"guesses": 10},
        lockout={"failures": 100_000},
        limits={"per_account_hour": 0, "per_number_hour": 0, "cooldown": 0},
    )
    radiusd = tolerant.start()
    for password in HOSTILE:
        challenge = radiusd.challenge()
        reply = radiusd.ask("alice", password, challenge.state)
        assert reply.kind in {"Access-Challenge", "Access-Reject"}, password
        assert reply.state in {challenge.state, None}
    healthy(radiusd)


def test_hostile_names_are_unknown(tolerant: Site) -> None:
    radiusd = tolerant.start()
    for name in HOSTILE:
        client = radiusd.new_client()._client
        request = client.CreateAuthPacket(code=1)
        request.add_message_authenticator()
        request[1] = [name]
        request[2] = [request.PwCrypt(PIN)]
        reply = client.SendPacket(request)
        assert reply.code == 3, name
    healthy(radiusd)


def test_a_name_of_253_octets_can_log_in(site: Site, radiusd: Radiusd) -> None:
    name = "n" * 253
    site.add(name)
    challenge = radiusd.challenge(name)
    assert radiusd.ask(name, site.code(challenge.state), challenge.state).kind == "Access-Accept"


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("pin", ["p\\377\\n", "grüße", 'p\\n"%é', "ÿ", "a\\", "%{User-Name}"])
def test_a_pin_works_in_utf_8_and_in_latin_1(
    site: Site, radiusd: Radiusd, pin: str, encoding: str
) -> None:
    site.add("fritz", pin_text=pin)
    challenge = radiusd.challenge("fritz", pin.encode(encoding))
    code = site.code(challenge.state)
    both = radiusd.ask("fritz", (pin + code).encode(encoding))
    assert both.kind == "Access-Accept"


def test_a_name_works_in_utf_8_and_in_latin_1(site: Site, radiusd: Radiusd) -> None:
    site.add("jürgen")
    client = radiusd.new_client()._client
    for name in ("jürgen".encode(), "JÜRGEN".encode("latin-1")):
        request = client.CreateAuthPacket(code=1)
        request.add_message_authenticator()
        request[1] = [name]
        request[2] = [request.PwCrypt(PIN)]
        assert client.SendPacket(request).code == 11, name


def test_a_name_that_came_as_octets_is_there_again_for_other_modules(
    make_site: Callable[..., Site],
) -> None:
    site = make_site()
    site.add("jürgen", pin_text=None)

    def edit(raddb: Path) -> None:
        path = raddb / "policy.d" / "smsotp_first_factor"
        unlang = 'if (&User-Name == "jürgen") {\n\t\tupdated\n\t}\n\telse {\n\t\treject\n\t}'
        path.write_text(path.read_text().replace("{\n\tpap\n}", "{\n\t" + unlang + "\n}"))

    client = site.start(edit=edit).new_client()._client
    for name in ("jürgen".encode(), "jürgen".encode("latin-1")):
        request = client.CreateAuthPacket(code=1)
        request.add_message_authenticator()
        request[1] = [name]
        request[2] = [request.PwCrypt(PIN)]
        assert client.SendPacket(request).code == 11, name


# RFC 3629 section 4; a NUL ends what FreeRADIUS looks at.
NO_UTF_8 = [
    *(
        b"B\xfcro",
        b"\xff",
        b"\xc3",
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xed\xa0\x80",
        b"\xf0\x80\x80\xaf",
    ),
    *(
        b"\xf4\x90\x80\x80",
        b"\xf5\x80\x80\x80",
        b"a b\tc\xe4",
        b'"\xfc" %{User-Name} \\',
        b"\x80" * 250,
    ),
]
UTF_8 = [
    "Büro",
    "\u0800\ud7ff\ue000\uffff",
    "\U00010000\U0010ffff",
    "\x01\x7f\x80",
    "\r\n",
    '%{x} "\\',
]


NAS_IDENTIFIER, CONNECT_INFO, NAS_PORT_ID, CISCO_AVPAIR = 32, 77, 87, (9, 1)
USUAL = (NAS_IDENTIFIER, CONNECT_INFO, NAS_PORT_ID)


@pytest.mark.parametrize("names", [USUAL, (CISCO_AVPAIR,)])
def test_no_byte_of_an_access_point_keeps_a_user_out(
    make_site: Callable[..., Site], names: Sequence[Any]
) -> None:
    """Whatever it calls itself, its ports and its networks, in both steps."""
    site = make_site(limits={"per_account_hour": 0, "per_number_hour": 0})
    radiusd = site.start()
    client = radiusd.new_client()._client
    for value in NO_UTF_8:
        short = value[:240]
        state: bytes | None = None
        for expected in (11, 2):
            request = client.CreateAuthPacket(code=1)
            request.add_message_authenticator()
            request[1] = [b"alice"]
            request[2] = [request.PwCrypt(PIN if state is None else site.code(state))]
            if state is not None:
                request[24] = [state]
            for name in names:
                several = [b"good", short, b"good too", short]
                request[name] = several if name == CISCO_AVPAIR else [value]
            reply = client.SendPacket(request)
            assert reply.code == expected, (value, radiusd.log()[-2000:])
            state = reply[24][0] if expected == 11 else None
    # Of other attributes rlm_python3 itself says that it could not take them.
    if names == USUAL:
        healthy(radiusd)


@pytest.mark.parametrize("name", UTF_8)
def test_what_is_no_utf_8_is_hex_digits_from_then_on_and_the_rest_as_it_was(
    make_site: Callable[..., Site], name: str
) -> None:
    """For the modules behind ours: nothing else is touched, nothing is lost."""
    site = make_site()

    def edit(raddb: Path) -> None:
        path = raddb / "policy.d" / "smsotp_first_factor"
        pairs = "good,0xff,0x737369643dfc,good too"
        unlang = (
            f'if ((&NAS-Identifier == "0x42fc726f") && ("%{{Cisco-AVPair[*]}}" == "{pairs}") '
            f"&& (&Connect-Info == &NAS-Port-Id)) {{\n\t\tpap\n\t}}\n\telse {{\n\t\treject\n\t}}"
        )
        path.write_text(path.read_text().replace("{\n\tpap\n}", "{\n\t" + unlang + "\n}"))

    client = site.start(edit=edit).new_client()._client
    request = client.CreateAuthPacket(code=1)
    request.add_message_authenticator()
    request[1], request[2] = [b"alice"], [request.PwCrypt(PIN)]
    request[NAS_IDENTIFIER] = [b"B\xfcro"]
    request[CISCO_AVPAIR] = [b"good", b"\xff", b"ssid=\xfc", b"good too"]
    request[CONNECT_INFO] = request[NAS_PORT_ID] = [name.encode()]
    assert client.SendPacket(request).code == 11


def test_a_request_without_name_or_password_is_rejected(radiusd: Radiusd) -> None:
    client = radiusd.new_client()._client
    for name, state in [(None, None), ("alice", None), ("alice", b"0" * 32)]:
        request = client.CreateAuthPacket(code=1)
        request.add_message_authenticator()
        if name:
            request["User-Name"] = name
        if state:
            request["State"] = state
        assert client.SendPacket(request).code == 3, (name, state)
    healthy(radiusd)


def test_random_states_and_passwords_never_get_in(tolerant: Site) -> None:
    tolerant.write_settings(lockout={"failures": 100_000}, delivery={"wait": 0})
    radiusd = tolerant.start()
    dice = random.Random(4226)
    client = radiusd.new_client()
    for _ in range(300):
        password = dice.randbytes(dice.randrange(0, 129))
        state = dice.choice(
            [None, dice.randbytes(dice.randrange(1, 200)), secrets.token_hex(16).encode()]
        )
        assert client.ask("alice", password, state).kind != "Access-Accept"
    healthy(radiusd)
