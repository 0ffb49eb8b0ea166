"""
Every reply is signed before all else, and what BlastRADIUS (CVE-2024-3596) needs is refused: in
our own sites, and where our policy is called in another virtual server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from radius_smsotp.cli.check import clients
from tests.freeradius import stock
from tests.freeradius.test_radsec import block
from tests.freeradius.test_wifi import code
from tests.support.eap import TtlsClient, avp
from tests.support.freeradius import Radiusd, Site
from tests.support.radius import (
    ACCEPT,
    CHALLENGE,
    PROXY_STATE,
    REJECT,
    SECRET,
    STATE,
    STATUS_SERVER,
    USER_NAME,
    USER_PASSWORD,
    access_request,
    attributes,
    exchange,
    is_signed,
)
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from radius_smsotp.cli.check.finding import Finding

KEY = SECRET.encode()
SILENCE = 0.5
"""Seconds after which no reply has come; what is answered at all is answered in milliseconds."""

LOGIN = [(USER_NAME, b"alice"), (USER_PASSWORD, PIN.encode())]
STRANGER = [(USER_NAME, b"nobody"), (USER_PASSWORD, b"wrong")]
MARK = (PROXY_STATE, b"x")
FROM_A_PROXY = [*LOGIN, MARK]


class Place(NamedTuple):
    """A FreeRADIUS that asks for codes, and how it came to."""

    site: Site
    radiusd: Radiusd
    kind: str


def ask(
    radiusd: Radiusd, pairs: list[tuple[int, bytes]], *, signed: bool = True, source: str = ""
) -> int:
    """The code of the reply to a request, which is signed whether the request is or not."""
    request = access_request(KEY, pairs, signed=signed)
    reply = exchange(radiusd.port, request, source=source)
    assert reply is not None, radiusd.log()[-3000:]
    assert is_signed(KEY, request, reply), attributes(reply)
    # RFC 2865 section 5.33: what came in it goes back, in its order.
    back = [pair for pair in attributes(reply) if pair[0] == PROXY_STATE]
    assert back == [pair for pair in pairs if pair[0] == PROXY_STATE]
    return reply[0]


def unanswered(radiusd: Radiusd, pairs: list[tuple[int, bytes]], source: str = "") -> bool:
    """Whether an unsigned request with these attributes is dropped."""
    request = access_request(KEY, pairs, signed=False)
    return exchange(radiusd.port, request, SILENCE, source=source) is None


def called(raddb: Path) -> None:
    """Debian's raddb, as documented; what a user may have comes from a module before ours."""
    stock.call(raddb)
    stock.replace(raddb / "radiusd.conf", r"^\s*auth = no$", "auth = yes")
    own = "client localhost {\n\trequire_message_authenticator = no"
    stock.replace(raddb / "clients.conf", r"^client localhost \{", own)
    site = raddb / "sites-available" / "default"
    stock.replace(site, r"^\s+smsotp_authorize$", BEFORE_OURS)
    status = raddb / "smsotp_status_server"
    status.write_text(block("Autz-Type Status-Server {"))
    stock.replace(site, r"^authorize \{$", f"authorize {{\n$INCLUDE {status}")


BEFORE_OURS = "\tupdate reply {\n\t\tClass := 0x01\n\t}\n\tsmsotp_authorize"


@pytest.fixture(scope="module", params=["ours", "stock"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("blast") / "site"
    folder.mkdir()
    site = Site(folder, limits={"cooldown": 0})
    site.add("alice")
    try:
        ours = request.param == "ours"
        radiusd = site.start() if ours else stock.start(site, "raddb", called)
        yield Place(site, radiusd, request.param)
    finally:
        site.close()


class TestSignature:
    """It is the first attribute of every reply: all of the rest may be Proxy-State."""

    def test_of_a_login(self, place: Place) -> None:
        challenge = place.radiusd.challenge()
        assert challenge.state
        right = place.site.code(challenge.state).encode()
        answer = [(USER_NAME, b"alice"), (USER_PASSWORD, right), (STATE, challenge.state)]
        wrong = [*answer[:1], (USER_PASSWORD, b"000000"), *answer[2:]]
        assert ask(place.radiusd, [*wrong, MARK]) == CHALLENGE
        assert ask(place.radiusd, [*answer, MARK, MARK]) == ACCEPT
        assert ask(place.radiusd, [*answer, MARK]) == REJECT

    @pytest.mark.parametrize(
        "pairs",
        [
            [(USER_NAME, b"alice"), (USER_PASSWORD, b"wrong")],
            STRANGER,
            LOGIN[:1],
            [(USER_NAME, b"alice"), (3, bytes(17))],
            [(USER_PASSWORD, b"wrong")],
            [(USER_NAME, b"alice"), (79, b"\2\1\0\6\6x"), (STATE, b"1" * 16)],
        ],
        ids=["PIN", "stranger", "no password", "CHAP", "no name", "EAP"],
    )
    def test_of_a_refusal(self, place: Place, pairs: list[tuple[int, bytes]]) -> None:
        for marks in ([], [MARK], [MARK] * 8):
            assert ask(place.radiusd, [*marks, *pairs]) == REJECT

    @pytest.mark.parametrize("place", ["ours"], indirect=True)
    def test_of_a_tunnel(self, place: Place) -> None:
        """`TtlsClient` takes no other reply."""
        for pin, kind in ((b"wrong", "Access-Reject"), (PIN.encode(), "Access-Reject")):
            tunnel = TtlsClient(place.radiusd, more=[MARK])
            reply = tunnel.ask(avp(USER_NAME, b"alice"), avp(USER_PASSWORD, pin))
            assert reply.kind == kind
        both = (PIN + code(place.site)).encode()
        tunnel = TtlsClient(place.radiusd, more=[MARK])
        reply = tunnel.ask(avp(USER_NAME, b"alice"), avp(USER_PASSWORD, both))
        assert reply.kind == "Access-Accept"

    def test_of_status_server(self, place: Place) -> None:
        """RFC 5997; also where our site is one of several virtual servers."""
        for marks in ([], [MARK]):
            request = access_request(KEY, marks, code=STATUS_SERVER)
            reply = exchange(place.radiusd.port, request)
            assert reply is not None
            assert reply[0] == ACCEPT
            assert is_signed(KEY, request, reply), attributes(reply)

    def test_goes_to_who_does_not_sign_too(self, place: Place) -> None:
        """It may check what it does not send."""
        assert ask(place.radiusd, LOGIN, signed=False) == CHALLENGE
        assert ask(place.radiusd, STRANGER, signed=False) == REJECT


def limits(client: str = "", security: str = "") -> Callable[[Path], None]:
    """Let ``limit_proxy_state`` be this in the client's section, and that in ``security``."""

    def edit(raddb: Path) -> None:
        path = raddb / "clients.conf"
        said = f"limit_proxy_state = {client}" if client else ""
        stock.replace(path, r"^\tlimit_proxy_state = .*$", said)
        if security:
            said = f"security {{\n\tlimit_proxy_state = {security}"
            stock.replace(raddb / "radiusd.conf", r"^security \{", said)

    return edit


class TestProxyState:
    """An unsigned request that could hide something in it is refused, unless somebody allows it."""

    @pytest.mark.parametrize(
        ("client", "security", "allowed"),
        [("", "", False), ("no", "", True), ("", "no", True), ("yes", "no", False)],
    )
    def test_it_is_allowed_where_the_configuration_says_so(
        self, site: Site, client: str, security: str, allowed: bool
    ) -> None:
        radiusd = site.start(edit=limits(client, security))
        assert site.server is not None
        if client == "yes" and site.server.limits_proxy_state:
            assert unanswered(radiusd, FROM_A_PROXY)
        elif allowed:
            assert ask(radiusd, FROM_A_PROXY, signed=False) == CHALLENGE
        else:
            assert ask(radiusd, FROM_A_PROXY, signed=False) == REJECT
            assert [one.detail for one in site.events("alice")] == [{"reason": "unsigned"}]
            assert site.events("alice")[-1].kind == "login-refused"
        assert ask(radiusd, FROM_A_PROXY) == CHALLENGE
        assert ask(radiusd, STRANGER, signed=False) == REJECT

    def test_in_another_virtual_server(self, site: Site) -> None:
        """
        From the first request on, which FreeRADIUS 3.2.5 and later believe; whoever it is for.
        """
        radiusd = stock.start(site, "raddb", called)
        for name in (b"alice", b"nobody", "müller".encode("latin-1")):
            pairs = [(USER_NAME, name), (USER_PASSWORD, b"wrong"), MARK]
            assert ask(radiusd, pairs, signed=False) == REJECT
        assert [one.detail for one in site.events("nobody")] == [{"reason": "unsigned"}]
        failure = "Login incorrect (Proxy-State without Message-Authenticator: BlastRADIUS)"
        assert failure in radiusd.log()


class TestClients:
    """A section of ``clients.conf`` as ``smsotp raddb create`` writes it."""

    @pytest.mark.parametrize("first", [True, False], ids=["signed first", "unsigned first"])
    def test_those_of_a_network_need_not_do_alike(self, site: Site, first: bool) -> None:
        radiusd = site.start()
        for signed in (first, not first, first):
            source = f"127.0.0.{1 + signed}"
            assert ask(radiusd, STRANGER, signed=signed, source=source) == REJECT

    def test_where_the_first_request_decides_check_says_so(self, site: Site) -> None:
        """From 3.2.5 on; before, FreeRADIUS does not know the word."""
        assert site.server is not None
        said: list[Finding] = []

        def edit(raddb: Path) -> None:
            said.extend(clients.findings(raddb, auto=True))
            stock.replace(raddb / "clients.conf", DEMANDED.replace("yes", "no"), CHANCE)
            said.extend(clients.findings(raddb, auto=True))

        if site.server.limits_proxy_state:
            radiusd = site.start(edit=edit)
            assert ask(radiusd, STRANGER, source="127.0.0.1") == REJECT
            assert unanswered(radiusd, STRANGER, source="127.0.0.2")
        else:
            edit(site.make_raddb()[0])
        [found] = said
        assert "locked out" in found.why

    def test_signatures_can_be_demanded_of_every_request(self, site: Site) -> None:
        """On FreeRADIUS of any version."""

        def edit(raddb: Path) -> None:
            path = raddb / "clients.conf"
            stock.replace(path, DEMANDED.replace("yes", "no"), DEMANDED)

        radiusd = site.start(edit=edit)
        assert unanswered(radiusd, LOGIN)
        assert unanswered(radiusd, FROM_A_PROXY)
        assert ask(radiusd, LOGIN) == CHALLENGE


DEMANDED = "require_message_authenticator = yes"
CHANCE = "require_message_authenticator = auto"
