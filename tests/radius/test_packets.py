"""Attribute pairs of FreeRADIUS to a request, and a reply back."""

from __future__ import annotations

import enum
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from radius_smsotp.login.request import Request, Step
from radius_smsotp.model.text import REPLY_MESSAGE_OCTETS
from radius_smsotp.radius import packets

ID = "0123456789abcdef0123456789abcdef"
SERVER_SAID = (
    "ldap: Server said: 80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error,"
)
NTLM_SAID = "Program returned code (1) and output 'What it means."


def request(*attributes: tuple[str, str], config: Any = ()) -> Request:
    """What is read from these attributes beside a user name."""
    parsed = packets.parse({"request": (("User-Name", "alice"), *attributes), "config": config})
    assert parsed is not None
    return parsed


def octets(text: str | bytes) -> str:
    """As FreeRADIUS shows octets."""
    raw = text.encode() if isinstance(text, str) else text
    return f"0x{raw.hex()}"


class TestName:
    def test_the_name_is_what_was_sent(self) -> None:
        """Or what a module before ours made of it."""
        assert request().user == "alice"
        assert request(("Stripped-User-Name", "bob")).user == "bob"

    @pytest.mark.parametrize(
        "raw", ["jürgen".encode(), "jürgen".encode("latin-1"), "ju\u0308rgen".encode()]
    )
    def test_a_name_that_came_as_octets_is_decoded(self, raw: bytes) -> None:
        """UTF-8, or Latin-1 from clients that know no better."""
        parsed = packets.parse({"request": (("Tmp-Octets-0", octets(raw)),)})
        assert parsed is not None
        assert parsed.user == "jürgen"

    @pytest.mark.parametrize(
        "lists", [None, {}, {"request": None}, {"request": ()}, {"request": (("User-Name", ""),)}]
    )
    def test_without_a_name_it_is_nothing_for_us(self, lists: Any) -> None:
        """Status-Server, say."""
        assert packets.parse(lists) is None


class TestPassword:
    def test_a_plain_password_stays_where_it_is(self) -> None:
        """FreeRADIUS has the same text: nothing is to be written."""
        parsed = request(("User-Password", "geheim"))
        assert (parsed.password, parsed.rewritten) == ("geheim", False)

    def test_no_password_is_none(self) -> None:
        """CHAP, or EAP."""
        parsed = request()
        assert (parsed.password, parsed.rewritten) == (None, False)

    def test_an_empty_password_is_one(self) -> None:
        """And a wrong one."""
        assert request(("User-Password", "")).password == ""

    @pytest.mark.parametrize("raw", ["über".encode(), "über".encode("latin-1")])
    def test_a_password_that_came_as_octets_is_written_back(self, raw: bytes) -> None:
        """In the form in which the PIN was hashed."""
        parsed = request(("Tmp-Octets-1", octets(raw)))
        assert (parsed.password, parsed.rewritten) == ("über", True)

    def test_another_composition_is_written_back(self) -> None:
        """An umlaut as letter and mark is not what was hashed."""
        parsed = request(("User-Password", "u\u0308ber"))
        assert (parsed.password, parsed.rewritten) == ("über", True)

    @pytest.mark.parametrize("which", ["Tmp-Octets-0", "Tmp-Octets-1"])
    def test_a_nul_is_malformed(self, which: str) -> None:
        """FreeRADIUS would compare what stands before it."""
        assert request((which, octets(b"alice\0x"))).malformed
        assert not request((which, octets(b"alice"))).malformed

    def test_neither_password_nor_number_show(self) -> None:
        """The repr of a request may come into a log."""
        shown = repr(request(("User-Password", "geheim"), config=(("SMSOTP-Phone", "+4917"),)))
        assert "geheim" not in shown
        assert "+4917" not in shown


class TestWhatFreeradiusKnows:
    @pytest.mark.parametrize(
        "name", ["Cleartext-Password", "NT-Password", "SSHA2-512-Password", "PBKDF2-Password"]
    )
    def test_a_password_that_pap_can_compare_with(self, name: str) -> None:
        """Of whatever form."""
        assert request(config=((name, "0x00"),)).known_good
        assert not request(config=(("Auth-Type", "smsotp"),)).known_good

    @pytest.mark.parametrize("name", ["LDAP-UserDN", "corporate-LDAP-UserDn"])
    def test_whom_a_directory_can_be_asked_about(self, name: str) -> None:
        """Whatever that one's attribute is called."""
        assert request(config=((name, "uid=alice,dc=example"),)).known_good

    @pytest.mark.parametrize(
        ("name", "provable"),
        [("Cleartext-Password", True), ("SMSOTP-MSCHAP", True), ("Crypt-Password", False)],
    )
    def test_one_that_a_handshake_can_prove(self, name: str, provable: bool) -> None:
        """In the clear, or its NT hash; or Active Directory is asked."""
        assert request(config=((name, "x"),)).provable == provable

    @pytest.mark.parametrize(
        ("said", "mismatch"),
        [
            ([], False),
            (['pap: PBKDF2 digest does not match "known good" digest'], True),
            (["ldap: Bind credentials incorrect"], False),
            (["pap: PBKDF2 digest does not match", "ldap: Bind credentials incorrect"], False),
            (['pap: Crypt digest does not match "known good" digest'], False),
        ],
    )
    def test_that_pap_alone_has_refused_a_password(self, said: list[str], mismatch: bool) -> None:
        """And no directory beside it."""
        assert request(*(("Module-Failure-Message", one) for one in said)).mismatch == mismatch

    def test_that_there_was_nothing_to_compare_a_handshake_with(self) -> None:
        """As mschap says it.  Of a password it means nothing: what others say may hold a name."""
        said = ("FAILED: No NT-Password.  Cannot perform authentication", "MS-CHAP2-Response is")
        pairs = [("Module-Failure-Message", f"mschap: {one}") for one in said]
        proof = ("MS-CHAP2-Response", octets("x"))
        assert request(proof, *pairs).uncompared
        assert not request(proof, pairs[1]).uncompared
        assert not request(("User-Password", "x"), *pairs).uncompared

    def test_the_hash_is_the_text_that_was_set(self) -> None:
        """FreeRADIUS shows it as octets."""
        given = request(config=(("PBKDF2-Password", octets("$PBKDF2$x")),))
        assert given.pin_hash == "$PBKDF2$x"


class TestState:
    def test_ours_is_the_transaction_id(self) -> None:
        """32 lower-case hex digits, which FreeRADIUS shows as hex once more."""
        assert request(("State", octets(ID))).transaction_id == ID

    @pytest.mark.parametrize(
        "state",
        [
            "",
            "0x",
            ID,  # not as FreeRADIUS shows it
            octets(ID[:-1]),
            octets(ID + "0"),
            octets(ID.upper()),
            octets(ID[:-1] + "\n"),
            octets(f"{ID}\n"),
            octets(bytes(16)),
            octets(bytes(32)),
            octets("g" * 32),
            octets(b"\xff" * 32),
            "0xzz",
            "0x0",
        ],
    )
    def test_anything_else_is_not_ours(self, state: str) -> None:
        """`rlm_eap` has states of its own."""
        assert request(("State", state)).transaction_id is None


class TestClient:
    @pytest.mark.parametrize(
        ("attributes", "name", "address"),
        [
            (
                [("SMSOTP-Client", "vpn"), ("SMSOTP-Client-Address", "192.0.2.1")],
                "vpn",
                "192.0.2.1",
            ),
            ([("SMSOTP-Client-Address", "192.0.2.1")], "192.0.2.1", "192.0.2.1"),
            (
                [("SMSOTP-Client", ""), ("SMSOTP-Client-Address", "192.0.2.1")],
                "192.0.2.1",
                "192.0.2.1",
            ),
            ([("NAS-Identifier", "nas")], "nas", ""),
            ([], "unknown", ""),
        ],
    )
    def test_a_client_is_its_short_name_or_its_address(
        self, attributes: list[tuple[str, str]], name: str, address: str
    ) -> None:
        """What the client says of itself is the last resort."""
        client = request(*attributes, ("Calling-Station-Id", "02-00")).client
        assert (client.name, client.address, client.station) == (name, address, "02-00")

    @pytest.mark.parametrize(
        "attributes",
        [
            [("Called-Station-Id", "00-10-A4-23-19-C0:Büro 2")],
            [("Tmp-Octets-3", octets("00-10-A4-23-19-C0:Büro 2"))],
            [("Tmp-Octets-3", octets("00-10-A4-23-19-C0:Büro 2".encode("latin-1")))],
            # FreeRADIUS's rewrite_called_station_id takes the SSID off.
            [("Called-Station-Id", "00-10-A4-23-19-C0"), ("Called-Station-SSID", "Büro 2")],
        ],
    )
    def test_the_ssid_is_read_wherever_it_stands(self, attributes: list[tuple[str, str]]) -> None:
        """In octets, if the bytes were not plain."""
        assert request(*attributes).client.ssid == "Büro 2"

    @pytest.mark.parametrize(
        "attribute",
        [("Calling-Station-Id", "0010.a423.19c0"), ("Tmp-Octets-4", octets("0010a42319c0"))],
    )
    def test_a_station_has_one_form(self, attribute: tuple[str, str]) -> None:
        """Whatever the make of the access point."""
        client = request(attribute).client
        assert (client.station, client.ssid) == ("00-10-A4-23-19-C0", "")

    def test_a_nul_ends_a_station_and_an_ssid(self) -> None:
        """A store on PostgreSQL takes none, and would refuse the login."""
        called = ("Tmp-Octets-3", octets("00-10-A4-23-19-C0:Guests\0more"))
        client = request(called, ("Tmp-Octets-4", octets("0010a42319c0\0"))).client
        assert (client.station, client.ssid) == ("00-10-A4-23-19-C0", "Guests")


class TestConfig:
    def test_what_modules_of_freeradius_say_is_read(self) -> None:
        """From the control list: a client cannot set it."""
        said = (
            ("SMSOTP-Phone", "0170 1234567"),
            ("SMSOTP-Phone", ""),
            ("SMSOTP-Phone", "0170 7654321"),
            ("SMSOTP-Provider", "backup"),
            ("SMSOTP-Style", "reject"),
            ("SMSOTP-Text", "{code}"),
            ("SMSOTP-Language", "de-AT, en;q=0.5"),
            ("SMSOTP-Step", "pin-and-code"),
            ("SMSOTP-Matched", ID),
            ("SMSOTP-Reason", "locked"),
            ("SMSOTP-Settled", "refused"),
        )
        parsed = request(config=said)
        assert parsed.phones == ("0170 1234567", "0170 7654321")
        assert (parsed.provider, parsed.style, parsed.template) == ("backup", "reject", "{code}")
        assert (parsed.step, parsed.matched, parsed.reason) == (Step.PIN_AND_CODE, ID, "locked")
        assert parsed.settled
        assert parsed.language == "de-AT, en;q=0.5"
        none = request(*said)
        assert none.phones == ()
        assert (none.provider, none.style, none.template) == (None,) * 3
        assert (none.step, none.matched, none.reason, none.settled) == (None, "", "", False)
        assert none.language == ""

    def test_the_reply_list_says_it_too(self) -> None:
        """radreply of SQL, or an indented line of a users file; the control list counts first."""
        reply = (("SMSOTP-Phone", "0170 7654321"), ("SMSOTP-Style", "reject"))
        config = (("SMSOTP-Phone", "0170 1234567"), ("SMSOTP-Style", "challenge"))
        lists = {"request": (("User-Name", "alice"),), "reply": reply, "config": config}
        parsed = packets.parse(lists)
        assert parsed is not None
        assert (parsed.phones, parsed.style) == (("0170 1234567", "0170 7654321"), "challenge")
        parsed = packets.parse(lists | {"config": ()})
        assert parsed is not None
        assert (parsed.phones, parsed.style) == (("0170 7654321",), "reject")

    @pytest.mark.parametrize(
        ("said", "reason"),
        [
            (f"{SERVER_SAID} data 52e, v1db1. ", ""),
            (f"{SERVER_SAID} data 533, v1db1. ", "domain-disabled"),
            (f"{SERVER_SAID} data 775, v4563. ", "domain-locked"),
            (f"ldap2.example: {SERVER_SAID[6:]} data 532, v1db1. ", "domain-password-expired"),
            (f"mschap: {NTLM_SAID} (0xc0000072)'", "domain-disabled"),
            (f"ntlm_auth: {NTLM_SAID} (0xC0000193) '", "domain-expired"),
            (f"mschap: {NTLM_SAID} (0xc000006d)'", ""),
            # What somebody has typed.
            ("AcceptSecurityContext error, data 533, v1db1", ""),
            ("pap: data 533, v1db1", ""),
        ],
    )
    def test_why_a_domain_refuses_somebody(self, said: str, reason: str) -> None:
        assert request(("Module-Failure-Message", said)).by_domain == reason

    def test_an_empty_value_says_nothing(self) -> None:
        """An LDAP entry whose number is empty has none."""
        said = [(f"SMSOTP-{name}", "") for name in ("Phone", "Provider", "Style", "Text")]
        parsed = request(config=said)
        assert parsed.phones == ()
        assert (parsed.provider, parsed.style, parsed.template) == (None,) * 3

    def test_the_first_value_of_an_attribute_counts(self) -> None:
        """As everywhere in FreeRADIUS."""
        assert request(("User-Password", "one"), ("User-Password", "two")).password == "one"

    def test_a_ticket_is_read(self) -> None:
        """From the first instance to the second."""
        assert packets.ticket({"config": (("SMSOTP-Ticket", "7"),)}) == "7"
        assert packets.ticket({}) == packets.ticket({"config": None}) == ""


NAMES = st.sampled_from(
    [
        "User-Name",
        "Stripped-User-Name",
        "User-Password",
        "State",
        "Tmp-Octets-0",
        "Tmp-Octets-1",
        "SMSOTP-Client",
        "SMSOTP-Phone",
        "SMSOTP-Style",
        "Calling-Station-Id",
    ]
)
VALUES = st.text() | st.binary(max_size=40).map(octets) | st.text("0x123 \0g", max_size=8)
ATTRIBUTES = st.lists(st.tuples(NAMES | st.text(), VALUES)).map(tuple)


@given(asked=ATTRIBUTES, config=ATTRIBUTES)
@example(asked=(("User-Name", "\ud800"),), config=())
def test_any_attributes_are_read(asked: Any, config: Any) -> None:
    """Whatever a client sends, nothing is raised, and what comes out is text."""
    parsed = packets.parse({"request": asked, "config": config})
    if parsed is not None:
        assert parsed.user
        assert parsed.transaction_id is None or packets.STATE.fullmatch(parsed.transaction_id)


class Code(enum.IntEnum):
    """As somebody might write FreeRADIUS's return codes."""

    OK = 2


class Text(str):
    """A text that is not exactly one."""

    __slots__ = ()


def is_plain(value: Any) -> bool:
    """Whether rlm_python3 takes it: exact types only."""
    if type(value) is dict:
        return all(type(key) is str and is_plain(one) for key, one in value.items())
    if type(value) is tuple:
        return all(map(is_plain, value))
    return type(value) in {int, str}


class TestResult:
    @given(
        code=st.integers(0, 9) | st.just(Code.OK) | st.booleans(),
        reply=st.lists(st.tuples(st.text(), st.text() | st.builds(Text, st.text()))),
        config=st.lists(st.tuples(st.text(), st.text())),
        asked=st.lists(st.tuples(st.text(), st.text())),
    )
    def test_it_is_made_of_exact_types(
        self, code: int, reply: Any, config: Any, asked: Any
    ) -> None:
        """Anything else is dropped by rlm_python3, or fails the call."""
        made = packets.result(code, reply, config, asked)
        assert is_plain(made)
        number, lists = made
        assert number == int(code)
        assert set(lists) <= {"reply", "config", "request"}
        for updates in lists.values():
            assert updates
            assert all(len(pair) == 3 and pair[1] == ":=" for pair in updates)

    @pytest.mark.parametrize("text", ["a\\b", "\\", "\\\\n", "C:\\neu", 'quote "', "tab\t"])
    def test_a_backslash_arrives_as_it_is(self, text: str) -> None:
        """FreeRADIUS reads returned values like a string in double quotes."""
        [(_, _, value)] = packets.result(2, [("A", text)])[1]["reply"]
        assert value.replace("\\\\", "\0").replace("\\", "!").replace("\0", "\\") == text


class TestReplyMessage:
    @given(st.text(st.characters(exclude_characters="\0"), max_size=300))
    @example("ü" * 300)
    @example("a" + "ü" * 300)
    @example("\U0001f600" * 100)
    @example("bad \ud800")
    def test_it_fits_and_is_cut_between_characters(self, text: str) -> None:
        """RFC 2865 section 5: 253 octets at most; what fits stays whole."""
        name, value = packets.reply_message(text)
        assert name == "Reply-Message"
        assert len(value.encode()) <= REPLY_MESSAGE_OCTETS
        clean = text.encode("utf-8", "replace").decode()
        assert clean.startswith(value)
        if len(clean.encode()) <= REPLY_MESSAGE_OCTETS:
            assert value == clean
        else:
            assert len(value.encode()) > REPLY_MESSAGE_OCTETS - 4
