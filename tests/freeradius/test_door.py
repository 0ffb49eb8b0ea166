"""Nobody gets in without a code, and whom FreeRADIUS refuses, we refuse: by each of its ways."""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import md5
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from radius_smsotp.cli.check import ways
from tests.freeradius import stock
from tests.freeradius.supplicant import PEAP_GTC, Supplicant
from tests.support.accounting import START, STOP, account, number, told
from tests.support.freeradius import Radiusd, Site
from tests.support.radius import NAS_PORT, SESSION_TIMEOUT, USER_NAME, Reply
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBER = 'SMSOTP-Phone := "+491701234568"'
USERS = f"""
bob Cleartext-Password := "pw", {NUMBER}
carl Cleartext-Password := "pw", Auth-Type := Reject, {NUMBER}
dora Cleartext-Password := "pw", Auth-Type := Accept, {NUMBER}
once Cleartext-Password := "pw", Simultaneous-Use := 1, {NUMBER}
until Cleartext-Password := "pw", Expiration := "01 Jan 2099", {NUMBER}
anybody Auth-Type := Accept
"""
FAILED = ("Access-Reject", "Login failed.")
DIGEST_RESPONSE, DIGEST_ATTRIBUTES, EAP = 206, 207, 79
"""draft-sterman-aaa-sip-00, as FreeRADIUS's dictionary has it."""


def site_in(folder: Path) -> Site:
    """A site with an account of ours."""
    folder.mkdir()
    limits = {"cooldown": 0, "per_account_hour": 1000, "per_number_hour": 1000}
    site = Site(folder, limits=limits)
    site.add("alice")
    return site


class Door(NamedTuple):
    """A server, and whether it is stock: nothing calls ours."""

    site: Site
    radiusd: Radiusd
    place: str


PLACES = {
    "stock": "",
    "behind suffix": "eap \\{",
    "last": "pap",
    "unguarded": "pap",
    "beside": "pap",
}


@pytest.fixture(scope="module", params=PLACES)
def door(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Door]:
    site = site_in(tmp_path_factory.mktemp("door") / "site")
    before = PLACES[request.param]

    def edit(raddb: Path) -> None:
        (raddb / "mods-config" / "files" / "authorize").write_text(USERS)
        if before:
            stock.call(raddb, before)
        else:
            # What 3.2.1 does not sign, a client of the tests does not take.
            signed = "post-auth {\nupdate reply {\n&Message-Authenticator := 0x00\n}"
            stock.replace(raddb / "sites-available" / "default", r"^post-auth \{", signed)
        if request.param in {"last", "unguarded"}:
            # No round of the conversation but the last one gets any further than to "eap".
            eap = raddb / "mods-available" / "eap"
            stock.replace(eap, r"default_eap_type = md5$", "default_eap_type = peap", 1)
        if request.param == "unguarded":
            stock.replace(raddb / "sites-available" / "default", r"^\s*smsotp_admit$", "")
        if request.param == "beside":
            block = "smsotp_beside {\n\tif (&EAP-Type == Identity || &EAP-Type == NAK "
            block += "|| &EAP-Type == PEAP) {\n\t\tok\n\t}\n"
            policy = raddb / "policy.d" / "smsotp_first_factor"
            stock.replace(policy, r"^smsotp_beside \{\n", block)

    try:
        yield Door(site, stock.start(site, "raddb", edit), request.param)
    finally:
        site.close()


class TestOtherMethods:
    """Debian's raddb, and what lets in there."""

    @pytest.mark.parametrize(
        "method",
        ["eap=MD5", 'eap=PEAP phase2="auth=MSCHAPV2"', 'eap=TTLS phase2="auth=PAP"'],
        ids=["MD5", "PEAP", "TTLS"],
    )
    def test_eap_of_the_server_itself(self, door: Door, method: str) -> None:
        asked = "bob" if "MD5" in method else "anonymous"
        seen = len(door.site.kinds(asked))
        with Supplicant(door.radiusd, method, "bob", "pw") as device:
            assert device.question() is None
            accepted = "code=2 (Access-Accept)" in device.output()
        left = door.place in {"beside", "unguarded"} and "PEAP" in method
        allowed = door.place == "stock" or left
        assert accepted is allowed
        if not allowed:
            assert door.site.kinds(asked)[seen:] == ["login-refused"]
            assert door.site.events(asked)[-1].detail == {"reason": "other-method"}

    def test_digest(self, door: Door) -> None:
        def hashed(*words: str) -> str:
            return md5(":".join(words).encode()).hexdigest()

        said = {1: "example.org", 2: "c0ffee", 3: "INVITE", 4: "sip:example.org", 10: "bob"}
        right = hashed(hashed("bob", said[1], "pw"), said[2], hashed(said[3], said[4]))
        parts = [bytes((kind, len(text) + 2)) + text.encode() for kind, text in said.items()]
        pairs = [(DIGEST_ATTRIBUTES, part) for part in parts]
        pairs += [(USER_NAME, b"bob"), (DIGEST_RESPONSE, right.encode())]
        self.assert_let_in_by_stock_only(door, door.radiusd.client.send(pairs), "bob")

    @pytest.mark.parametrize("name", ["dora", "anybody"])
    def test_a_request_without_a_password(self, door: Door, name: str) -> None:
        reply = door.radiusd.client.send([(USER_NAME, name.encode())])
        self.assert_let_in_by_stock_only(door, reply, name, "no-password")

    @pytest.mark.parametrize("name", ["dora", "anybody"])
    def test_any_password_where_a_module_says_accept(self, door: Door, name: str) -> None:
        reply = door.radiusd.ask(name, "anything")
        assert reply.kind == ("Access-Accept" if door.place == "stock" else "Access-Reject")

    def test_who_has_a_code(self, door: Door) -> None:
        # Behind suffix nothing has told us of bob.
        name, password = ("alice", PIN) if door.place == "behind suffix" else ("bob", "pw")
        if door.place != "stock":
            challenge = door.radiusd.challenge(name, password)
            code = door.site.code(challenge.state)
            assert door.radiusd.ask(name, code, challenge.state).kind == "Access-Accept"

    def test_what_check_says(self, door: Door) -> None:
        found = list(ways.findings(door.radiusd.folder))
        told = [one.fault for one in found]
        if door.place == "unguarded":
            assert {one.level for one in found} == {"error"}
            for way in ("PEAP", "EAP-TTLS", "EAP-TLS", "EAP-MD5", "Digest", "Auth-Type := Accept"):
                assert any(one.startswith(way) and "past the code" in one for one in told), way
        elif door.place == "beside":
            assert [(one.level, one.fault) for one in found] == [
                ("warning", "smsotp_beside lets in what it names")
            ]
        else:
            assert told == []

    @staticmethod
    def assert_let_in_by_stock_only(
        door: Door, reply: Reply, name: str, reason: str = "other-method"
    ) -> None:
        if door.place == "stock":
            assert reply.kind == "Access-Accept"
        else:
            assert (reply.kind, reply.message) == FAILED
            assert door.site.events(name)[-1].detail == {"reason": reason}


WAYS = {
    "Auth-Type": "update control {\n&Auth-Type := Reject\n}",
    "Expiration": 'update control {\n&Expiration := "01 Jan 2020"\n}',
    "Login-Time": 'update control {\n&Login-Time := "@LATER@"\n}',
    "Response-Packet-Type": "update control {\n&Response-Packet-Type := Access-Reject\n}",
    "reject": "reject",
    "userlock": "userlock",
    "invalid": "invalid",
}
"""By which FreeRADIUS says no; a request whose NAS-Port is the number of one is refused so."""


@pytest.fixture(scope="module", params=["before ours", "smsotp_account"])
def radiusd(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Radiusd]:
    later = datetime.now().astimezone() + timedelta(hours=12)
    words = "".join(
        f"if (&NAS-Port == {number}) {{\n{way}\n}}\n" for number, way in enumerate(WAYS.values())
    ).replace("@LATER@", f"Al{later:%H}00-{later:%H}01")
    words += "if (&NAS-Port == 50) {\nnotfound\n}\nelsif (&NAS-Port == 51) {\nok\n}\n"

    def edit(raddb: Path) -> None:
        for name in ("always", "files", "expiration", "logintime", "radutmp"):
            text = (stock.STOCK / "mods-available" / name).read_text()
            # Nobody is there whom checkrad could ask.
            text = text.replace("check_with_nas = yes", "check_with_nas = no")
            (raddb / "mods-enabled" / name).write_text(text)
        (raddb / "mods-config" / "files").mkdir()
        for name in ("authorize", "accounting", "pre-proxy"):
            text = f"{USERS}DEFAULT Auth-Type := Accept\n" if name == "authorize" else ""
            (raddb / "mods-config" / "files" / name).write_text(text)
        site = raddb / "sites-available" / "smsotp"
        if request.param == "before ours":
            stock.replace(site, r"^\t\tsmsotp_authorize$", f"files\n{words}smsotp_authorize")
        else:
            policy = raddb / "policy.d" / "smsotp_first_factor"
            stock.replace(policy, r"^smsotp_account \{", f"smsotp_account {{\nfiles\n{words}")
        late = "smsotp_admit\nif (&NAS-Port == 99) {\nreject\n}"
        stock.replace(site, r"^\t\tsmsotp_admit$", late)

    site = site_in(tmp_path_factory.mktemp("no") / "site")
    try:
        yield site.start(edit=edit)
    finally:
        site.close()


class TestWaysToSayNo:
    """Our own sites, where another module refuses: before ours, or where accounts are looked up."""

    @pytest.mark.parametrize("way", WAYS)
    def test_in_the_first_step(self, radiusd: Radiusd, way: str) -> None:
        port = (NAS_PORT, list(WAYS).index(way).to_bytes(4, "big"))
        sent = len(radiusd.site.messages())
        for password in ("pw", "wrong"):
            assert radiusd.ask("bob", password, more=[port]).kind == "Access-Reject"
        assert len(radiusd.site.messages()) == sent
        assert "pin-wrong" not in radiusd.site.kinds("bob")[-2:]

    @pytest.mark.parametrize("way", WAYS)
    def test_in_the_second_step(self, radiusd: Radiusd, way: str) -> None:
        challenge = radiusd.challenge("bob", "pw")
        code = radiusd.site.code(challenge.state)
        port = (NAS_PORT, list(WAYS).index(way).to_bytes(4, "big"))
        reply = radiusd.ask("bob", code, challenge.state, more=[port])
        assert reply.kind == "Access-Reject"
        assert "pin-wrong" not in radiusd.site.kinds("bob")[-2:]
        radiusd.ask("bob", code, challenge.state)

    def test_an_account_that_is_refused_everywhere(self, radiusd: Radiusd) -> None:
        for password in ("pw", "wrong", ""):
            reply = radiusd.ask("carl", password)
            assert (reply.kind, reply.message) == FAILED
        assert radiusd.site.events("carl")[-1].detail == {"reason": "refused"}
        with Supplicant(radiusd, PEAP_GTC, "carl") as device:
            assert device.question() == "PIN: "
            assert device.answer("pw") is None
            assert not device.accepted()

    def test_as_many_sessions_as_may_be(self, radiusd: Radiusd) -> None:
        challenge = radiusd.challenge("once", "pw")
        code = radiusd.site.code(challenge.state)
        assert radiusd.ask("once", code, challenge.state).kind == "Access-Accept"
        port = [(NAS_PORT, number(1))]
        assert account(radiusd.port + 1, told(START, user=b"once", more=port)) == {}
        challenge = radiusd.challenge("once", "pw")
        code = radiusd.site.code(challenge.state)
        assert radiusd.ask("once", code, challenge.state).kind == "Access-Reject"
        assert "pin-wrong" not in radiusd.site.kinds("once")
        assert account(radiusd.port + 1, told(STOP, user=b"once", more=port)) == {}
        challenge = radiusd.challenge("once", "pw")
        code = radiusd.site.code(challenge.state)
        assert radiusd.ask("once", code, challenge.state).kind == "Access-Accept"

    def test_what_refuses_in_post_auth_is_no_wrong_pin(self, radiusd: Radiusd) -> None:
        challenge = radiusd.challenge("bob", "pw")
        code = radiusd.site.code(challenge.state)
        port = (NAS_PORT, (99).to_bytes(4, "big"))
        assert radiusd.ask("bob", code, challenge.state, more=[port]).kind == "Access-Reject"
        assert radiusd.site.kinds("bob")[-1] == "code-accepted"

    def test_how_long_an_account_may_stay_is_said_with_the_accept(self, radiusd: Radiusd) -> None:
        challenge = radiusd.challenge("until", "pw")
        assert not challenge.joined(SESSION_TIMEOUT)
        code = radiusd.site.code(challenge.state)
        reply = radiusd.ask("until", code, challenge.state)
        assert reply.kind == "Access-Accept"
        assert int.from_bytes(reply.joined(SESSION_TIMEOUT), "big") > 1_000_000

    @pytest.mark.parametrize("port", [50, 51])
    def test_a_module_that_has_nothing_to_say_keeps_nobody_out(
        self, radiusd: Radiusd, port: int
    ) -> None:
        more = [(NAS_PORT, port.to_bytes(4, "big"))]
        challenge = radiusd.ask("alice", PIN, more=more)
        code = radiusd.site.code(challenge.state)
        assert radiusd.ask("alice", code, challenge.state, more=more).kind == "Access-Accept"

    @pytest.mark.parametrize("name", ["dora", "anybody"])
    def test_a_module_that_says_accept_lets_nobody_in(self, radiusd: Radiusd, name: str) -> None:
        reply = radiusd.client.send([(USER_NAME, name.encode())])
        assert (reply.kind, reply.message) == FAILED
        assert radiusd.ask(name, "anything").kind == "Access-Reject"
        assert (
            radiusd.client.send([(USER_NAME, name.encode()), (NAS_PORT, bytes(3) + b"x")]).kind
            == "Access-Reject"
        )
