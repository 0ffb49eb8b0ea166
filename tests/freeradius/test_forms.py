"""Codes and passwords as clients send them, each in every way in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from radius_smsotp.cli.trace import advice
from radius_smsotp.model import forms
from tests.freeradius.handshakes import HandshakeClient
from tests.freeradius.supplicant import PEAP_GTC, TTLS_PAP, Supplicant
from tests.freeradius.test_handshakes import failures, in_the_clear
from tests.freeradius.test_wifi import code, wrong
from tests.support.radius import (
    ACCESS_POINT,
    PATIENCE,
    REJECT,
    USER_NAME,
    USER_PASSWORD,
    RadiusClient,
    access_request,
    exchange,
)
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.freeradius import Radiusd, Site

WRITTEN: list[Callable[[str], str]] = [
    lambda one: f"{one[:3]}-{one[3:]}",
    lambda one: f"{one[:3]} {one[3:]}",
    lambda one: "".join(chr(ord(digit) + 0xFEE0) for digit in one),
    lambda one: f"{one}\0",
    lambda one: f"{one}\n",
    lambda one: f"{one}\r\n\0",
]
"""What people and clients make of a code."""

ALL = ["{pin},{code}", "{pin}:{code}", "{pin} {code}", "SCRV1", "{pin}{code}"]


CLASS = 25
"""RFC 2865 section 5.25."""

NO_LIMITS = {"per_account_hour": 0, "per_number_hour": 0}
SSIDS = {"all": {"forms": ALL}, "front": {"forms": ["{code}{pin}"]}, "once": {"style": "reject"}}
CLIENTS = {"local": {"ssids": SSIDS}}
"""One server has all of them: a wireless network may have its own, as a client may."""

FRONT = f"{ACCESS_POINT}:front"


def opened(radiusd: Radiusd) -> str:
    """The code of a challenge that was opened by a first step alone."""
    state = radiusd.challenge().state
    return radiusd.site.code(state)


@pytest.fixture
def radiusd(share: Callable[..., Radiusd]) -> Radiusd:
    return share(clients=CLIENTS, limits=NO_LIMITS)


@pytest.mark.once
def test_a_code_is_taken_as_it_is_written_and_a_pin_with_the_end_of_a_line(
    site: Site, radiusd: Radiusd
) -> None:
    """With State, and behind the PIN."""
    for write in WRITTEN:
        state = radiusd.challenge(password=f"{PIN}\n").state
        assert radiusd.ask("alice", write(site.code(state)), state).kind == "Access-Accept"
        both = PIN + write(opened(radiusd))
        assert radiusd.ask("alice", both).kind == "Access-Accept"
        assert failures(site) == 0


@pytest.mark.once
def test_a_device_may_write_it_so_too(site: Site, radiusd: Radiusd) -> None:
    """In a tunnel: as the answer to the second question, and as one password."""
    with Supplicant(radiusd, PEAP_GTC) as device:
        assert device.question() == "PIN: "
        device.answer(PIN)
        one = code(site)
        assert device.answer(WRITTEN[0](one)) is None
        assert device.accepted()
    assert opened(radiusd) != one
    with Supplicant(radiusd, TTLS_PAP, password=PIN + WRITTEN[2](code(site))) as device:
        assert device.question() is None
        assert device.accepted()


def elsewhere(raddb: Path) -> None:
    """A directory that compares the password, and knows nothing of ours."""
    path = raddb / "policy.d" / "smsotp_first_factor"
    unlang = f'if (&User-Password == "{PIN}") {{\n\t\tok\n\t}}\n\telse {{\n\t\treject\n\t}}'
    path.write_text(path.read_text().replace("{\n\tpap\n}", "{\n\t" + unlang + "\n}"))


@pytest.mark.once
@pytest.mark.parametrize("edit", [None, elsewhere], ids=["hash", "elsewhere"])
def test_pin_and_code_stand_in_one_password_as_the_client_has_it(
    share: Callable[..., Radiusd], edit: Callable[[Path], None] | None
) -> None:
    """Each form, with the right code and then with a wrong one, which costs one guess."""
    radiusd = share(edit, clients=CLIENTS, limits=NO_LIMITS)

    def ask(pin: str, code: str, form: str) -> str:
        return radiusd.ask("alice", forms.join(pin, code, form), called=f"{ACCESS_POINT}:all").kind

    for form in ALL:
        one = opened(radiusd)
        assert ask("4321", one, form) == "Access-Reject"
        assert ask(PIN, wrong(one), form) == "Access-Reject"
        assert failures(radiusd.site) == 2
        assert ask(PIN, one, form) == "Access-Accept"
        assert failures(radiusd.site) == 0
    # OpenVPN's field for the code may be empty.
    assert ask(PIN, "", "SCRV1") == "Access-Challenge"
    assert ask("4321", "", "SCRV1") == "Access-Reject"


@pytest.mark.once
def test_a_form_is_of_its_client(radiusd: Radiusd) -> None:
    """What nobody has set is none."""
    one = opened(radiusd)
    for form in ("{pin},{code}", "{code}{pin}", "SCRV1"):
        assert radiusd.ask("alice", forms.join(PIN, one, form)).kind == "Access-Reject"
    assert radiusd.ask("alice", PIN + one, called=FRONT).kind == "Access-Reject"
    assert radiusd.ask("alice", one + PIN, called=FRONT).kind == "Access-Accept"


def test_a_handshake_proves_the_first_form(share: Callable[..., Radiusd]) -> None:
    """Nobody could compare it with all of them."""
    radiusd = share(in_the_clear, challenge={"forms": ["{code}:{pin}", "{pin}{code}"]})
    client = HandshakeClient(radiusd.port)
    assert client.ask("mschapv2", PIN).kind == "Access-Challenge"
    one = code(radiusd.site)
    assert client.ask("mschapv2", PIN + one).kind == "Access-Reject"
    assert client.ask("mschapv2", f"{one}:{PIN}").kind == "Access-Accept"


def test_what_was_no_first_factor_is_told_for_what_it_was(site: Site, radiusd: Radiusd) -> None:
    """The user reads the same each time; the trail has the reason, and trace what to do."""
    one = opened(radiusd)
    replies = [
        radiusd.ask("alice", WRITTEN[0](one)),
        radiusd.ask("alice", one, called=f"{ACCESS_POINT}:once"),
        radiusd.ask("alice", "ge\0heim"),
        radiusd.ask("alice\0", PIN),
        radiusd.client.send([(USER_NAME, b"alice")]),
    ]
    assert {(one.kind, one.message) for one in replies} == {("Access-Reject", "Login failed.")}
    # Not signed, so that it is not noticed at once; what comes of it is the same on every run.
    asked = [(USER_NAME, b"alice"), (USER_PASSWORD, PIN.encode())]
    for octet in b"abc":
        packet = access_request(b"another", asked, signed=False, authenticator=bytes([octet]) * 16)
        reply = exchange(radiusd.port, packet, PATIENCE)
        assert reply is not None
        assert reply[0] == REJECT
    told = [(event.kind, event.detail.get("reason")) for event in site.events("alice")[2:]]
    assert told == [
        ("pin-wrong", "no-state"),
        ("pin-wrong", "code-alone"),
        ("login-refused", "nul"),
        ("login-refused", "no-password"),
        *[("pin-wrong", "garbled")] * 3,
    ]
    assert all(advice(event, radiusd.folder) for event in site.events("alice")[2:])
    assert [event.detail for event in site.events("")] == [{"reason": "nul"}]
    assert radiusd.ask("alice", PIN + one).kind == "Access-Accept"


def test_what_sshd_sends_for_who_is_unknown_to_it_is_no_password(
    site: Site, radiusd: Radiusd
) -> None:
    """As long as what was typed; refused as any other, not counted, and told for what it is."""
    whole = b"\b\n\r\x7fINCORRECT"
    for size in (1, 2, 3, 4, 6, 13, 15, 40):
        reply = radiusd.ask("alice", (whole * 4)[:size])
        assert (reply.kind, reply.message) == ("Access-Reject", "Login failed.")
    assert failures(site) == 0
    told = [(event.kind, event.detail) for event in site.events("alice")]
    assert told == [("login-refused", {"reason": "sshd"})] * 8
    assert radiusd.ask("alice", whole + b"x").kind == "Access-Reject"
    assert failures(site) == 1


@pytest.mark.once
def test_a_long_prompt_loses_words_and_neither_the_number_nor_how_long_the_code_is(
    share: Callable[..., Radiusd],
) -> None:
    """In what a Reply-Message holds; in EAP-GTC there is room for all of it."""
    prompt = "Read the terms of use before you log in. " * 12 + "{digits} digits to {phone_hint}: "
    radiusd = share(challenge={"prompt": prompt})
    challenged = radiusd.challenge()
    assert len(challenged.message.encode()) <= 253
    assert challenged.message.endswith("... 6 digits to ***67: ")
    again = radiusd.ask("alice", "0", challenged.state)
    assert again.message.startswith("Wrong code, 2 left. Read the terms")
    assert again.message.endswith("... 6 digits to ***67: ")
    with Supplicant(radiusd, PEAP_GTC) as device:
        assert device.question() == "PIN: "
        whole = device.answer(PIN)
        assert whole == prompt.replace("{digits}", "6").replace("{phone_hint}", "***67")


def behind_another(raddb: Path) -> None:
    """Two clients; one, at 127.0.0.2, has checked passwords itself, and nothing else checks any."""
    text = "client citrix {\n\tipaddr = 127.0.0.2\n\tsecret = testing123\n}\n"
    site = raddb / "clients.conf"
    place = site if site.exists() else raddb / "radiusd.conf"
    place.write_text(place.read_text() + text.replace("}", "\tvirtual_server = smsotp\n}"))
    files = "files {\n\tfilename = ${confdir}/users\n}\n"
    (raddb / "mods-enabled" / "files").write_text(files)
    (raddb / "users").write_text('alice SMSOTP-Phone := "+491701234567"\n\tClass += "c1"\n')
    path = raddb / "policy.d" / "smsotp_first_factor"
    text = path.read_text().replace("smsotp_account {\n}", "smsotp_account {\n\tfiles\n}")
    path.write_text(text.replace("{\n\tpap\n}", "{\n\treject\n}"))


def test_a_client_that_has_checked_the_first_factor_has_the_code_sent_by_a_word(
    share: Callable[..., Radiusd],
) -> None:
    """Or by none; the code alone lets in, with State or without, there and nowhere else."""
    citrix = {"first_factor_by_client": ["sms", ""], "remember": 12}
    radiusd = share(behind_another, clients={"citrix": citrix}, limits=NO_LIMITS)
    there = RadiusClient(radiusd.port, source="127.0.0.2")
    for word in ("sms", ""):
        assert radiusd.ask("alice", word).kind == "Access-Reject"
    assert radiusd.site.messages() == []
    for word in ("SMS", ""):
        asked = there.ask("alice", word, station="192.0.2.7")
        assert asked.kind == "Access-Challenge"
        one = radiusd.site.code(asked.state)
        # Nobody else has been asked for a first factor.
        assert radiusd.ask("alice", one, asked.state).kind == "Access-Reject"
        assert radiusd.ask("alice", one).kind == "Access-Reject"
        assert there.ask("alice", wrong(one)).message.startswith("Wrong code, 2 left.")
        assert there.ask("alice", "wrong").kind == "Access-Reject"
        state = asked.state if word else None
        accepted = there.ask("alice", one, state, "192.0.2.7")
        assert (accepted.kind, accepted.joined(CLASS)) == ("Access-Accept", b"c1")
        assert there.ask("alice", one, state).kind == "Access-Reject"
    assert len(radiusd.site.messages()) == 2
    told = [one for one in radiusd.site.events("alice") if one.kind == "challenge-opened"]
    assert [(one.client, one.detail) for one in told] == [("citrix", {"reason": "client"})] * 2
    assert there.ask("nobody", "sms").kind == "Access-Reject"
