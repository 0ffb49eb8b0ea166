"""A client that sends the same packet again: one SMS, one code, one guess, and the same reply."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import socket
import struct
from typing import TYPE_CHECKING

from tests.support.freeradius import Radiusd, Site
from tests.support.radius import SECRET
from tests.support.site import PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

USER_NAME, USER_PASSWORD, STATE, MESSAGE_AUTHENTICATOR = 1, 2, 24, 80
ACCEPT, REJECT, CHALLENGE = 2, 3, 11
"""RFC 2865 section 3 and 5, RFC 3579 section 3.2."""


def packet(user: str, password: str, state: bytes = b"", authenticator: bytes = b"") -> bytes:
    """An Access-Request, its octets the same as often as they are sent."""
    authenticator = authenticator or secrets.token_bytes(16)
    padded = password.encode().ljust(16, b"\0")
    assert len(padded) == 16
    # RFC 2865 section 5.2, for a password of one block.
    digest = hashlib.md5(SECRET.encode() + authenticator).digest()
    hidden = bytes(a ^ b for a, b in zip(padded, digest, strict=True))
    pairs = [(USER_NAME, user.encode()), (USER_PASSWORD, hidden)]
    pairs += [(STATE, state)] if state else []
    body = b"".join(bytes([kind, len(value) + 2]) + value for kind, value in pairs)
    length = 20 + len(body) + 18
    signed = bytes([MESSAGE_AUTHENTICATOR, 18])
    head = struct.pack("!BBH", 1, secrets.randbelow(256), length) + authenticator
    mark = hmac.digest(SECRET.encode(), head + body + signed + bytes(16), "md5")
    return head + body + signed + mark


class Nas:
    """A client with one socket: a retransmission comes from the same port."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(2)

    def __enter__(self) -> Nas:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, octets: bytes, radiusd: Radiusd) -> tuple[int, bytes]:
        """Send a packet until it is answered.  Returns code and octets of the reply to it."""
        for _ in range(10):
            self._socket.sendto(octets, ("127.0.0.1", radiusd.port))
            try:
                while True:
                    reply = self._socket.recv(4096)
                    if answers(reply, octets):
                        return reply[0], reply
            except TimeoutError:
                # FreeRADIUS drops a duplicate of what it is just answering.
                continue
        raise AssertionError(radiusd.log()[-5000:])


def answers(reply: bytes, request: bytes) -> bool:
    """Whether a reply is one to this very request (RFC 2865 section 3)."""
    text = reply[:4] + request[4:20] + reply[20:] + SECRET.encode()
    return reply[1] == request[1] and reply[4:20] == hashlib.md5(text).digest()


def send_anew(octets: bytes, radiusd: Radiusd) -> tuple[int, bytes]:
    """
    Send a packet that FreeRADIUS has no memory of.

    It knows a duplicate by address, port, identifier and authenticator, for ``cleanup_delay``
    seconds; another port is as good as a long time.
    """
    with Nas() as nas:
        return nas.send(octets, radiusd)


def state_of(reply: bytes) -> bytes:
    """The State of a reply."""
    at = 20
    while reply[at] != STATE:
        at += reply[at + 1]
    return reply[at + 2 : at + reply[at + 1]]


def test_freeradius_itself_answers_a_packet_that_it_still_remembers(
    site: Site, radiusd: Radiusd
) -> None:
    with Nas() as nas:
        first = packet("alice", PIN)
        _, challenge = nas.send(first, radiusd)
        assert nas.send(first, radiusd) == (CHALLENGE, challenge)
        second = packet("alice", site.code(state_of(challenge)), state_of(challenge))
        code, accept = nas.send(second, radiusd)
        assert code == ACCEPT
        assert nas.send(second, radiusd) == (ACCEPT, accept)
    assert site.kinds("alice") == ["challenge-opened", "sms-accepted", "code-accepted"]


def test_a_packet_that_freeradius_has_forgotten_gets_the_same_reply(
    site: Site, radiusd: Radiusd
) -> None:
    first = packet("alice", PIN)
    _, challenge = send_anew(first, radiusd)
    state = state_of(challenge)
    eventually(lambda: "sms-accepted" in site.kinds("alice"))
    assert send_anew(first, radiusd) == (CHALLENGE, challenge)
    wrong = packet("alice", "000000", state)
    code, again = send_anew(wrong, radiusd)
    assert code == CHALLENGE
    for _ in range(5):
        assert send_anew(wrong, radiusd) == (CHALLENGE, again)
    second = packet("alice", site.code(state), state)
    code, accept = send_anew(second, radiusd)
    assert code == ACCEPT
    for _ in range(5):
        assert send_anew(second, radiusd) == (ACCEPT, accept)
    # The same code in another packet is the code once more, and that is no good.
    assert send_anew(packet("alice", site.code(state), state), radiusd)[0] == REJECT
    assert site.kinds("alice") == [
        *("challenge-opened", "sms-accepted", "challenge-repeated", "code-wrong"),
        *["answer-repeated"] * 5,
        "code-accepted",
        *["answer-repeated"] * 5,
        "code-rejected",
    ]


def test_a_packet_that_comes_after_the_cleanup_delay_gets_the_same_reply(site: Site) -> None:
    def forget_soon(raddb: Path) -> None:
        conf = raddb / "radiusd.conf"
        text = conf.read_text()
        assert "cleanup_delay = 5" in text
        conf.write_text(text.replace("cleanup_delay = 5", "cleanup_delay = 1"))

    radiusd = site.start(edit=forget_soon)
    challenge = radiusd.challenge()
    assert challenge.state is not None
    with Nas() as nas:
        second = packet("alice", site.code(challenge.state), challenge.state)
        accepted = nas.send(second, radiusd)
        assert accepted[0] == ACCEPT

        def repeated() -> bool:
            assert nas.send(second, radiusd) == accepted
            return site.kinds("alice")[-2:] == ["code-accepted", "answer-repeated"]

        eventually(repeated)


def test_a_packet_that_comes_to_the_other_server_gets_the_same_answer(site: Site) -> None:
    """As behind an address that moves from one server to the other."""
    one, two = site.start("one"), site.start("two")
    with Nas() as nas:
        first = packet("alice", PIN)
        _, challenge = nas.send(first, one)
        state = state_of(challenge)
        code, again = nas.send(first, two)
        assert (code, state_of(again)) == (CHALLENGE, state)
        second = packet("alice", site.code(state), state)
        assert nas.send(second, one)[0] == ACCEPT
        assert nas.send(second, two)[0] == ACCEPT
    assert len(site.messages()) == 1
    assert site.kinds("alice").count("code-accepted") == 1


def test_a_new_answer_with_an_authenticator_that_was_used_is_judged(site: Site) -> None:
    """A client may be so simple-minded as to use one authenticator for all."""
    radiusd = site.start()
    constant = bytes(range(16))
    with Nas() as nas:
        _, challenge = nas.send(packet("alice", PIN, b"", constant), radiusd)
        state = state_of(challenge)
        assert nas.send(packet("alice", "000000", state, constant), radiusd)[0] == CHALLENGE
        code = site.code(state)
        assert nas.send(packet("alice", code, state, constant), radiusd)[0] == ACCEPT


def test_a_code_without_its_state_is_a_first_step(site: Site, radiusd: Radiusd) -> None:
    """And a wrong PIN: a client that drops State cannot do two steps."""
    challenge = radiusd.challenge()
    reply = radiusd.ask("alice", site.code(challenge.state))
    assert (reply.kind, reply.message) == ("Access-Reject", "Login failed.")
    assert site.kinds("alice")[-1] == "pin-wrong"


def test_an_altered_state_is_none_of_ours(site: Site, radiusd: Radiusd) -> None:
    challenge = radiusd.challenge()
    code = site.code(challenge.state)
    assert challenge.state is not None
    flipped = b"%x" % (int(challenge.state[:1], 16) ^ 1) + challenge.state[1:]
    for state in (
        flipped,
        challenge.state.upper() + b"A",
        challenge.state[:-1],
        challenge.state + b"0",
        challenge.state[:31] + b"\0",
        bytes.fromhex(challenge.state.decode()),
    ):
        assert radiusd.ask("alice", code, state).kind == "Access-Reject", state
    assert radiusd.ask("alice", code, challenge.state).kind == "Access-Accept"


def test_a_challenge_is_answered_by_the_client_that_got_it(
    make_site: Callable[..., Site],
) -> None:
    for bind, accepted in (("client", False), ("station", False), ("account", True)):
        site = make_site(challenge={"bind": bind})
        one = site.start("one")

        def rename(raddb: Path) -> None:
            path = raddb / "clients.conf"
            path.write_text(path.read_text().replace("client local {", "client other {"))

        two = site.start("two", edit=rename)
        challenge = one.challenge()
        code = site.code(challenge.state)
        reply = two.ask("alice", code, challenge.state)
        assert (reply.kind == "Access-Accept") == accepted
        if not accepted:
            assert site.events("alice")[-1].detail == {"reason": "foreign-client"}
            assert one.ask("alice", code, challenge.state).kind == "Access-Accept"
