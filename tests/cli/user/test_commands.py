"""``smsotp user``: accounts and what a change of them brings about."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.login.answers import Accepted, Rejected
from radius_smsotp.model.records import Account, Lockout, Station
from radius_smsotp.settings import keyring
from tests.cli.installation import ROUNDS, remember
from tests.support.site import kind, pap

if TYPE_CHECKING:
    from tests.cli.installation import Installation

PHONE = "+491701234567"
OTHER = "+491707654321"
PIN = "geheim"


@pytest.fixture
def alice(here: Installation) -> Installation:
    """An installation with the account alice."""
    here.done("user", "add", "alice", "--phone", PHONE, "--pin-stdin", stdin=f"{PIN}\n")
    return here


def refused(here: Installation, *arguments: str, stdin: str | bytes = "") -> str:
    """A call that is wrong usage.  Returns the error."""
    result = here.run("user", *arguments, stdin=stdin)
    assert result.exit_code == 2, result.output
    return result.output.partition("Error: ")[2].strip()


def fields(here: Installation, name: str = "alice") -> list[tuple[str, object]]:
    """Kinds of events of an account that tell of the command line, with the fields they name."""
    return [
        (event.kind, event.detail.get("fields"))
        for event in here.events(name)
        if event.kind.startswith("account-")
    ]


class TestAdd:
    def test_the_account_can_log_in(self, here: Installation) -> None:
        here.done("user", "add", "alice", "--phone", PHONE, "--pin-stdin", stdin=f"{PIN}\n")
        node = here.node()
        challenged = node.challenge("alice", PIN)
        assert isinstance(node.second(challenged, node.code(challenged)), Accepted)
        [sms] = here.outbox.iterdir()
        assert json.loads(sms.read_text())["phone"] == PHONE

    def test_the_pin_is_kept_as_a_hash_with_the_rounds_of_the_settings(
        self, alice: Installation
    ) -> None:
        assert f":{ROUNDS}:" in alice.pin_hash()
        assert pap(alice.pin_hash(), PIN)

    def test_the_number_is_brought_to_one_form(self, here: Installation) -> None:
        here.write(country="DE")
        here.done("user", "add", "alice", "--phone", "0170 / 123 45 67")
        found = here.account("alice")
        assert found is not None
        assert found.phone == PHONE

    def test_a_number_without_country_is_refused_without_being_repeated(
        self, here: Installation
    ) -> None:
        error = refused(here, "add", "alice", "--phone", "0170 1234567")
        assert "the phone number has no country code; write it with one" in error
        assert "1234567" not in error.replace(PHONE, "")

    def test_a_number_that_would_become_somebody_elses_is_refused(self, here: Installation) -> None:
        error = refused(here, "add", "alice", "--phone", "+4917O1234567")
        assert "the phone number holds letters; write digits alone" in error
        assert "17O" not in error
        assert here.account("alice") is None

    def test_a_landline_is_taken_with_a_warning(self, here: Installation) -> None:
        number, doubt = "+49 30 123456", "a landline, which messages hardly ever reach"
        told = here.done("user", "add", "alice", "--phone", number, "--no-pin")
        assert f"alice: the phone number is {doubt}\n" in told
        here.done("user", "set", "alice", "--phone", PHONE)
        assert doubt in here.done("user", "set", "alice", "--phone", number)

    @pytest.mark.parametrize(
        ("number", "fault"),
        [
            ("+1 876 210 1234", "is of JM, which limits.countries does not name"),
            ("+44 7512 345678", "begins with a prefix of limits.refused; correct it"),
            ("+1 900 234 5678", "is a premium number, to which a message costs more"),
            ("+1 800 555 1234", "is a free, shared-cost, personal, voicemail or company-wide"),
        ],
    )
    def test_a_number_that_no_message_may_go_to_is_refused_with_the_reason(
        self, here: Installation, number: str, fault: str
    ) -> None:
        here.write(limits={"countries": ["+1", "GB"], "refused": ["+4475"]})
        error = " ".join(refused(here, "add", "alice", "--phone", number).split())
        assert f"the phone number {fault}" in error
        assert number[-4:] not in error
        here.write(limits={"countries": ["+1", "GB", "JM"], "special": ["+1800", "+1900"]})
        here.done("user", "add", "alice", "--phone", number)
        here.write(limits={"countries": ["DE"]})
        assert "which limits.countries does not name" in " ".join(
            refused(here, "set", "alice", "--phone", number).split()
        )

    def test_names_that_differ_in_case_and_width_are_one_account(self, alice: Installation) -> None:
        for name in ("ALICE", "ＡＬＩＣＥ"):  # noqa: RUF001  # the width is the point
            result = alice.run("user", "add", name, "--phone", OTHER)
            assert result.exit_code == 1
            assert "there is an account 'alice' already; change it with" in result.output
            assert "smsotp user set alice" in result.output
        found = alice.account("alice")
        assert found is not None
        assert found.phone == PHONE

    def test_without_terminal_and_pin_the_account_has_none_and_that_is_said(
        self, here: Installation
    ) -> None:
        shown = here.done("user", "add", "alice", "--phone", PHONE)
        assert "alice has no PIN: FreeRADIUS must check the first factor elsewhere" in shown
        found = here.account("alice")
        assert found is not None
        assert found.pin_hash is None

    @pytest.mark.parametrize("name", ["alice\u200b", "\u202eecila"])
    def test_a_name_that_looks_like_another_is_refused(self, here: Installation, name: str) -> None:
        """It was pasted with a character too many, and nobody could log in with it."""
        error = refused(here, "add", name, "--phone", PHONE)
        assert "a character that is not seen" in error

    @pytest.mark.parametrize("name", ["alice ", "\u00a0alice"])
    def test_blanks_around_a_name_are_none_of_it(self, alice: Installation, name: str) -> None:
        result = alice.run("user", "add", name, "--phone", OTHER)
        assert result.exit_code == 1
        assert "there is an account 'alice' already; change it with" in result.output

    def test_one_that_looks_like_another_can_still_be_deleted(self, here: Installation) -> None:
        """It was made by an earlier version."""
        with here.store.write() as tx:
            tx.put_account(Account("alice\u200b", PHONE), datetime.now(UTC))
        deleted = here.done("user", "delete", "alice\u200b", "--yes")
        assert deleted == "alice\u200b: deleted\n"

    def test_an_unknown_provider_is_refused_with_those_there_are(self, here: Installation) -> None:
        error = refused(here, "add", "alice", "--phone", PHONE, "--provider", "gsm")
        assert "the provider 'gsm' is not one of demo" in error
        here.done("user", "add", "alice", "--phone", PHONE, "--provider", "demo")
        found = here.account("alice")
        assert found is not None
        assert found.provider == "demo"

    @pytest.mark.parametrize(
        ("name", "fault"),
        [
            ("", "is empty"),
            (" ", "is empty"),
            ("a\tb", "holds a control character"),
            ("a" * 254, "is longer than 253 octets"),
            ("ü" * 127, "is longer than 253 octets"),
        ],
        ids=["empty", "blank", "tab", "long", "long in octets"],
    )
    def test_a_name_that_radius_cannot_carry_is_refused(
        self, here: Installation, name: str, fault: str
    ) -> None:
        assert fault in refused(here, "add", name, "--phone", PHONE)

    def test_it_is_an_event(self, alice: Installation) -> None:
        [event] = alice.events("alice")
        assert event.kind == "account-added"
        assert event.detail["by"]


class TestPin:
    @pytest.mark.parametrize(
        ("pin", "fault"),
        [
            (b"", "is empty"),
            (b"12\x0034", "holds a control character"),
            (b"12\x1b[A", "holds a control character"),
            (b"1" * 129, "is longer than 128 octets"),
            ("ü".encode() * 65, "is longer than 128 octets"),
            (b"735", "is shorter than 4 characters (pin.shortest)"),
            ("öäü".encode(), "is shorter than 4 characters (pin.shortest)"),
        ],
        ids=["empty", "nul", "escape", "long", "long in octets", "short", "short in characters"],
    )
    def test_a_pin_that_no_client_can_send_is_refused_without_being_repeated(
        self, here: Installation, pin: bytes, fault: str
    ) -> None:
        stdin = pin + b"\n"
        error = refused(here, "add", "alice", "--phone", PHONE, "--pin-stdin", stdin=stdin)
        assert fault in error
        assert not pin or pin.decode() not in error
        assert here.account("alice") is None

    @pytest.mark.parametrize(
        ("text", "rounds", "told"),
        [
            ("Tr0mbone", ROUNDS, True),
            ("Tr0mbone", 210_000, False),
            ("2718281828", ROUNDS, False),
            ("r0se", ROUNDS, False),
        ],
        ids=["password", "with its rounds", "long PIN", "PIN"],
    )
    def test_a_password_should_have_more_rounds(
        self, here: Installation, text: str, rounds: int, told: bool
    ) -> None:
        """It may be somebody's password elsewhere too."""
        here.write(pin={"iterations": rounds})
        hint = "a password rather than a PIN: for those set pin.iterations to 210000\n"
        add = ("user", "add", "alice", "--phone", PHONE, "--pin-stdin")
        assert (f"alice: {hint}" in here.done(*add, stdin=text)) == told
        assert (f"alice: {hint}" in here.done("user", "set", "alice", "--pin", text)) == told
        rows = "".join(f"{name},{PHONE},{text}\n" for name in ("bob", "carol"))
        (here.folder / "some.csv").write_text(f"name,phone,pin\n{rows}")
        shown = here.done("user", "import", str(here.folder / "some.csv"))
        assert (f"lines 2, 3: {hint}" in shown) == told

    @pytest.mark.parametrize("end", ["", "\n", "\r\n"], ids=["nothing", "LF", "CRLF"])
    def test_the_end_of_the_line_is_no_part_of_it(self, here: Installation, end: str) -> None:
        stdin = f" 12 34 {end}"
        here.done("user", "add", "alice", "--phone", PHONE, "--pin-stdin", stdin=stdin)
        assert pap(here.pin_hash(), " 12 34 ")

    def test_two_ways_to_give_one_exclude_each_other(self, here: Installation) -> None:
        for options in (("--pin", "1", "--pin-stdin"), ("--pin", "1", "--no-pin")):
            error = refused(here, "add", "alice", "--phone", PHONE, *options)
            assert "exclude each other" in error

    def test_an_argument_works_too(self, here: Installation) -> None:
        here.done("user", "add", "alice", "--phone", PHONE, "--pin", PIN)
        assert pap(here.pin_hash(), PIN)

    def test_how_short_it_may_be_is_set_and_those_that_are_there_stay_valid(
        self, here: Installation
    ) -> None:
        here.write(pin={"iterations": ROUNDS, "shortest": 3})
        here.done("user", "add", "alice", "--phone", PHONE, "--pin", "735")
        here.write(pin={"iterations": ROUNDS, "shortest": 6})
        error = refused(here, "set", "alice", "--pin", "73519")
        assert "the PIN is shorter than 6 characters (pin.shortest)" in error
        assert kind(here.node().first("alice", "735")) == "challenged"

    @pytest.mark.parametrize(
        ("pin", "weakness"),
        [
            ("0000", "one character repeated"),
            ("4321", "a sequence"),
            ("Alice1", "taken from the user name"),
            ("0170", "taken from the phone number"),
        ],
    )
    def test_one_that_is_guessed_first_is_taken_with_a_warning(
        self, here: Installation, pin: str, weakness: str
    ) -> None:
        warning = f"alice: the PIN is {weakness}, which is guessed first\n"
        told = here.done("user", "add", "alice", "--phone", PHONE, "--pin", pin)
        assert told == f"alice: added\n{warning}"
        assert here.done("user", "set", "alice", "--pin-stdin", stdin=f"{PIN}\n") == (
            "alice: changed (pin)\n"
        )
        told = here.done("user", "set", "alice", "--pin-stdin", stdin=f"{pin}\n")
        assert told == f"alice: changed (pin)\n{warning}"
        # Only what was set is spoken of.
        assert here.done("user", "set", "alice", "--no-pin") == "alice: changed (pin)\n"


class TestSet:
    def test_what_is_named_changes_and_the_rest_stays(self, alice: Installation) -> None:
        before = alice.account("alice")
        alice.done("user", "set", "Alice", "--phone", OTHER, "--provider", "demo")
        after = alice.account("alice")
        assert before is not None
        assert after is not None
        assert (after.phone, after.provider) == (OTHER, "demo")
        assert after.pin_hash == before.pin_hash
        assert fields(alice)[1:] == [("account-changed", "phone, provider")]

    def test_a_new_pin_counts_at_once(self, alice: Installation) -> None:
        node = alice.node()
        alice.done("user", "set", "alice", "--pin-stdin", stdin="neue\n")
        assert kind(node.first("alice", PIN)) == "rejected"
        assert kind(node.first("alice", "neue")) == "challenged"
        assert fields(alice)[1:] == [("account-changed", "pin")]

    def test_pin_and_provider_can_be_taken_away(self, alice: Installation) -> None:
        alice.done("user", "set", "alice", "--provider", "demo")
        alice.done("user", "set", "alice", "--no-pin", "--no-provider")
        found = alice.account("alice")
        assert found is not None
        assert found.pin_hash is None
        assert found.provider is None

    def test_codes_under_way_become_worthless(self, alice: Installation) -> None:
        node = alice.node()
        challenged = node.challenge("alice", PIN)
        alice.done("user", "set", "alice", "--phone", OTHER)
        assert isinstance(node.second(challenged, node.code(challenged)), Rejected)
        assert node.stored(challenged.transaction_id).state == "cancelled"

    @pytest.mark.parametrize(
        ("change", "forgotten"),
        [
            (("--phone", OTHER), True),
            (("--pin", "neue"), True),
            (("--no-pin",), True),
            (("--provider", "demo"), False),
            (("--phone", PHONE), False),
        ],
        ids=["phone", "pin", "no pin", "provider", "same phone"],
    )
    def test_another_number_or_pin_forgets_devices(
        self, alice: Installation, change: tuple[str, ...], forgotten: bool
    ) -> None:
        remember(alice)
        alice.done("user", "set", "alice", *change)
        shown = alice.done("user", "devices", "alice")
        assert ("no device is remembered" in shown) == forgotten
        assert (alice.events("alice")[-1].kind == "device-forgotten") == forgotten

    def test_what_does_not_change_anything_is_no_event(self, alice: Installation) -> None:
        alice.done("user", "set", "alice", "--phone", PHONE, "--no-provider")
        assert fields(alice) == [("account-added", None)]

    def test_nothing_to_change_is_wrong_usage(self, alice: Installation) -> None:
        assert "there is nothing to change" in refused(alice, "set", "alice")
        options = ("--provider", "demo", "--no-provider")
        assert "exclude each other" in refused(alice, "set", "alice", *options)

    def test_an_unknown_account_is_refused(self, here: Installation) -> None:
        result = here.run("user", "set", "bob", "--phone", PHONE)
        assert result.exit_code == 1
        assert "there is no account 'bob'" in result.output


class TestShow:
    def test_it_shows_the_whole_number_and_whether_there_is_a_pin(
        self, alice: Installation
    ) -> None:
        shown = alice.done("user", "show", "alice").splitlines()
        assert f"Phone               {PHONE}" in shown
        key = keyring.read(alice.folder / "key").sealing
        assert f"PIN                 yes, {ROUNDS} rounds, sealed with {key}" in shown
        assert "State               enabled" in shown

    def test_json_holds_the_same_and_no_hash(self, alice: Installation) -> None:
        remember(alice)
        alice.node().challenge("alice", PIN)
        shown = alice.done("user", "show", "alice", "--json")
        assert json.loads(shown) == {
            "name": "alice",
            "elsewhere": False,
            "override": None,
            "override_until": None,
            "emergency_codes": 0,
            "emergency_until": None,
            "phone": PHONE,
            "ways": [],
            "pin": True,
            "provider": None,
            "language": None,
            "enabled": True,
            "gone": False,
            "failures": 0,
            "locked_until": None,
            "locked_stations": [],
            "devices": 1,
            "open_challenges": 1,
            "refused": None,
            "sessions": [],
        }
        assert "PBKDF2" not in shown


class TestList:
    def test_it_lines_up_when_piped(self, alice: Installation) -> None:
        alice.done("user", "add", "bob", "--phone", OTHER)
        alice.done("user", "disable", "bob")
        assert alice.done("user", "list").splitlines() == [
            "Name   Phone          PIN  Provider  Language  State",
            "alice  +491701234567  yes                      enabled",
            "bob    +491707654321  no                       disabled",
        ]

    def test_a_lock_out_shows_until_it_has_run_its_time(self, alice: Installation) -> None:
        lock(alice, minutes=10)
        assert "locked until 20" in alice.done("user", "list")
        [record] = json.loads(alice.done("user", "list", "--json"))
        assert datetime.fromisoformat(record["locked_until"]) > datetime.now(UTC)
        assert record["failures"] == 10
        lock(alice, minutes=-1)
        assert "enabled" in alice.done("user", "list")

    def test_a_station_that_is_locked_shows_beside_an_account_that_is_not(
        self, alice: Installation
    ) -> None:
        """A station from which the account has logged in has a lock-out of its own."""
        lock_station(alice, minutes=10, station="192.0.2.7")
        lock_station(alice, minutes=-1, station="192.0.2.8")
        lock_station(alice, minutes=10, station="192.0.2.9", name="bob")
        assert "enabled; stations locked: 1" in alice.done("user", "list")
        shown = alice.done("user", "show", "alice")
        assert "Locked station      192.0.2.7 at vpn until 20" in shown
        assert shown.count("192.0.2.") == 1
        for record in (
            json.loads(alice.done("user", "list", "--json"))[0],
            json.loads(alice.done("user", "show", "alice", "--json")),
        ):
            [station] = record["locked_stations"]
            assert (station["station"], station["client"]) == ("192.0.2.7", "vpn")
            assert datetime.fromisoformat(station["until"]) > datetime.now(UTC)
        alice.done("user", "unlock", "alice")
        # bob, whom only a directory knows, is another one
        assert "locked" not in alice.done("user", "list", "alice")

    def test_an_empty_list_says_so_and_is_empty_json(self, here: Installation) -> None:
        assert "There is no account yet" in here.done("user", "list")
        assert json.loads(here.done("user", "list", "--json")) == []


class TestDelete:
    def test_nothing_of_the_account_stays_but_the_audit_trail(self, alice: Installation) -> None:
        node = alice.node()
        challenged = node.challenge("alice", PIN)
        remember(alice)
        lock(alice, minutes=10)
        assert alice.done("user", "delete", "alice", "--yes") == "alice: deleted\n"
        assert alice.account("alice") is None
        assert node.stored(challenged.transaction_id).state == "cancelled"
        assert "no device" in alice.done("user", "devices", "alice")
        with alice.store.read() as tx:
            assert tx.lockout("alice") == Lockout()
        assert fields(alice)[-1] == ("account-deleted", None)

    def test_without_terminal_it_wants_yes(self, alice: Installation) -> None:
        assert "say --yes" in refused(alice, "delete", "alice")
        assert alice.account("alice") is not None

    def test_an_unknown_account_is_refused(self, here: Installation) -> None:
        assert here.run("user", "delete", "alice", "--yes").exit_code == 1


class TestEnable:
    def test_a_disabled_account_cannot_log_in_until_it_is_enabled(
        self, alice: Installation
    ) -> None:
        node = alice.node()
        challenged = node.challenge("alice", PIN)
        alice.done("user", "disable", "alice")
        assert kind(node.second(challenged, node.code(challenged))) == "rejected"
        assert kind(node.first("alice", PIN)) == "rejected"
        alice.done("user", "enable", "alice")
        assert kind(node.first("alice", PIN)) == "challenged"
        assert fields(alice)[1:] == [
            ("account-changed", "disabled"),
            ("account-changed", "enabled"),
        ]


class TestUnlock:
    def test_a_locked_account_can_log_in_again(self, alice: Installation) -> None:
        node = alice.node()
        lock(alice, minutes=10)
        assert kind(node.first("alice", PIN)) == "rejected"
        assert alice.done("user", "unlock", "alice") == "alice: unlocked\n"
        assert kind(node.first("alice", PIN)) == "challenged"
        assert ("account-unlocked", None) in fields(alice)

    def test_one_that_was_not_locked_is_no_error_and_no_event(self, alice: Installation) -> None:
        assert alice.done("user", "unlock", "alice") == "alice: was not locked\n"
        assert fields(alice) == [("account-added", None)]

    def test_a_device_that_gets_no_messages_gets_them_again(self, alice: Installation) -> None:
        alice.node().challenge("alice", PIN)
        assert alice.done("user", "unlock", "alice") == "alice: was not locked\n"
        with alice.store.write() as tx:
            tx._db.execute("UPDATE challenge SET created_at = created_at - 600, expires_at = 1")
        assert alice.done("user", "unlock", "alice") == "alice: unlocked\n"

    def test_a_name_that_only_ldap_knows_can_be_unlocked(self, here: Installation) -> None:
        lock(here, minutes=10, name="from-ldap")
        assert here.done("user", "unlock", "from-ldap") == "from-ldap: unlocked\n"

    def test_a_name_that_nobody_knows_is_refused(self, here: Installation) -> None:
        assert here.run("user", "unlock", "nobody").exit_code == 1


def lock(here: Installation, minutes: int, name: str = "alice") -> None:
    """Lock an account out for so long."""
    now = datetime.now(UTC)
    with here.store.write() as tx:
        tx.put_lockout(name, Lockout(10, now, now + timedelta(minutes=minutes)))


def lock_station(here: Installation, minutes: int, station: str, name: str = "alice") -> None:
    """Lock a station of an account out for so long."""
    now = datetime.now(UTC)
    until = now + timedelta(minutes=minutes)
    with here.store.write() as tx:
        tx.put_station(Station(name, "vpn", station, now, 10, now, until))
