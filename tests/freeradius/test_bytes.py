"""Any octets as name and password: a correct answer, never an accept, a traceback, a crash."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.support.freeradius import Radiusd, Site
from tests.support.radius import (
    NAS_IDENTIFIER,
    STATE,
    USER_NAME,
    vendor,
)
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOSTILE = [
    b"",
    b" ",
    b"\0",
    PIN.encode() + b"\0junk",
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
def tolerant(share: Callable[..., Radiusd]) -> Radiusd:
    """One that never locks out, and never counts."""
    return share(
        code={"guesses": 10},
        lockout={"failures": 100_000},
        limits={"per_account_hour": 0, "per_number_hour": 0, "cooldown": 0},
        delivery={"wait": 0},
    )


def healthy(radiusd: Radiusd) -> None:
    """The server still serves, and nothing of Python reached its log."""
    assert radiusd.ask("alice", PIN).kind == "Access-Challenge"
    log = radiusd.log()
    for sign in ("Traceback", "Exception", "mod_populate_vps", "RLM_MODULE_FAIL", " failed: "):
        assert sign not in log, log


def test_hostile_passwords_are_rejected(tolerant: Radiusd) -> None:
    for password in HOSTILE:
        reply = tolerant.ask("alice", password)
        assert (reply.kind, reply.message) == ("Access-Reject", "Login failed."), password
    healthy(tolerant)


def test_nul_octets_at_the_end_are_padding(radiusd: Radiusd) -> None:
    # RFC 2865 5.2 pads User-Password with NULs to a multiple of 16.
    assert radiusd.ask("alice", PIN.encode() + b"\0").kind == "Access-Challenge"


@pytest.mark.once
def test_hostile_answers_are_wrong_codes(tolerant: Radiusd) -> None:
    for password in HOSTILE:
        challenge = tolerant.challenge()
        reply = tolerant.ask("alice", password, challenge.state)
        assert reply.kind in {"Access-Challenge", "Access-Reject"}, password
        assert reply.state in {challenge.state, None}
    healthy(tolerant)


def test_hostile_names_are_unknown(tolerant: Radiusd) -> None:
    for name in HOSTILE:
        assert tolerant.ask(name).kind == "Access-Reject", name
    healthy(tolerant)


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
    site.add("fritz", text=pin)
    challenge = radiusd.challenge("fritz", pin.encode(encoding))
    code = site.code(challenge.state)
    both = radiusd.ask("fritz", (pin + code).encode(encoding))
    assert both.kind == "Access-Accept"


def test_a_name_works_in_utf_8_and_in_latin_1(site: Site, radiusd: Radiusd) -> None:
    site.add("jürgen")
    for name in ("jürgen".encode(), "JÜRGEN".encode("latin-1")):
        assert radiusd.ask(name).kind == "Access-Challenge", name


def test_a_name_that_came_as_octets_is_there_again_for_other_modules(
    make_site: Callable[..., Site],
) -> None:
    site = make_site()
    site.add("jürgen", text=None)

    def edit(raddb: Path) -> None:
        path = raddb / "policy.d" / "smsotp_first_factor"
        unlang = 'if (&User-Name == "jürgen") {\n\t\tupdated\n\t}\n\telse {\n\t\treject\n\t}'
        path.write_text(path.read_text().replace("{\n\tpap\n}", "{\n\t" + unlang + "\n}"))

    radiusd = site.start(edit=edit)
    for name in ("jürgen".encode(), "jürgen".encode("latin-1")):
        assert radiusd.ask(name).kind == "Access-Challenge", name


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


CONNECT_INFO, NAS_PORT_ID = 77, 87


def cisco(value: bytes) -> tuple[int, bytes]:
    """A Cisco-AVPair."""
    return vendor(9, 1, value)


def usual(value: bytes) -> list[tuple[int, bytes]]:
    """What an access point says of itself."""
    return [(number, value) for number in (NAS_IDENTIFIER, CONNECT_INFO, NAS_PORT_ID)]


def pairs_of_cisco(value: bytes) -> list[tuple[int, bytes]]:
    """Good ones between those that are not."""
    return [cisco(one) for one in (b"good", value[:240], b"good too", value[:240])]


@pytest.mark.parametrize("says", [usual, pairs_of_cisco])
def test_no_byte_of_an_access_point_keeps_a_user_out(
    tolerant: Radiusd, says: Callable[[bytes], list[tuple[int, bytes]]]
) -> None:
    """Whatever it calls itself, its ports and its networks, in both steps."""
    for value in NO_UTF_8:
        first = tolerant.ask(more=says(value))
        assert first.kind == "Access-Challenge", (value, tolerant.log()[-2000:])
        code = tolerant.site.code(first.state)
        assert tolerant.ask("alice", code, first.state, more=says(value)).kind == "Access-Accept"
    # Of other attributes rlm_python3 itself says that it could not take them.
    if says is usual:
        healthy(tolerant)


def compare(raddb: Path) -> None:
    """Let in who comes with what the test below sends."""
    path = raddb / "policy.d" / "smsotp_first_factor"
    pairs = "good,0xff,0x737369643dfc,good too"
    unlang = (
        f'if ((&NAS-Identifier == "0x42fc726f") && ("%{{Cisco-AVPair[*]}}" == "{pairs}") '
        f"&& (&Connect-Info == &NAS-Port-Id)) {{\n\t\tpap\n\t}}\n\telse {{\n\t\treject\n\t}}"
    )
    path.write_text(path.read_text().replace("{\n\tpap\n}", "{\n\t" + unlang + "\n}"))


@pytest.mark.parametrize("name", UTF_8)
def test_what_is_no_utf_8_is_hex_digits_from_then_on_and_the_rest_as_it_was(
    share: Callable[..., Radiusd], name: str
) -> None:
    """For the modules behind ours: nothing else is touched, nothing is lost."""
    values = (b"good", b"\xff", b"ssid=\xfc", b"good too")
    more = [(NAS_IDENTIFIER, b"B\xfcro"), *map(cisco, values)]
    more += [(number, name.encode()) for number in (CONNECT_INFO, NAS_PORT_ID)]
    assert share(compare).ask(more=more).kind == "Access-Challenge"


def test_a_request_without_name_or_password_is_rejected(radiusd: Radiusd) -> None:
    name, state = (USER_NAME, b"alice"), (STATE, b"0" * 32)
    for pairs in ([], [name], [name, state]):
        assert radiusd.client.send(pairs).kind == "Access-Reject", pairs
    healthy(radiusd)


@pytest.mark.once
def test_random_states_and_passwords_never_get_in(tolerant: Radiusd) -> None:
    dice = random.Random(4226)
    for _ in range(300):
        password = dice.randbytes(dice.randrange(0, 129))
        state = dice.choice(
            [None, dice.randbytes(dice.randrange(1, 200)), dice.randbytes(16).hex().encode()]
        )
        assert tolerant.ask("alice", password, state).kind != "Access-Accept"
    healthy(tolerant)
