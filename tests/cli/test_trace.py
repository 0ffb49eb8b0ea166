"""``smsotp trace``: what happened, in plain words."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.cli.trace import REMEDIES, Teller, advice
from radius_smsotp.model import events
from radius_smsotp.model.records import Event
from tests.cli.terminal import Terminal
from tests.providers.gateway import Gateway, answers

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.installation import Installation

PHONE = "+491701234567"
PIN = "geheim"
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+(?: \(\S+\))?  ")


@pytest.fixture
def alice(here: Installation) -> Installation:
    """An installation with the account alice."""
    here.done("user", "add", "alice", "--phone", PHONE, "--pin-stdin", stdin=f"{PIN}\n")
    return here


def trace(here: Installation, *arguments: str) -> list[str]:
    """The lines, without their times."""
    lines = here.done("trace", *arguments).splitlines()
    assert all(TIME.match(line) or line.startswith("=> ") for line in lines), lines
    return [TIME.sub("", line) for line in lines]


def test_a_line_that_stands_for_several_says_so(here: Installation) -> None:
    """With their number, and who asked; one about nobody under no name, and without advice."""
    now = datetime.now(UTC)
    detail = {"reason": "unknown-challenge", "more": 3041}
    with here.store.write() as tx:
        tx.add_event(Event("code-rejected", now, "alice", "", "vpn", "02-00", {**detail}))
        tx.add_event(Event("login-refused", now, "", "", "vpn", "", {"more": 2}))
    told = "3,041 more in this minute: the code was not accepted: State names no challenge of ours"
    assert trace(here, "alice")[0] == f"{told} (client vpn, station 02-00)"
    assert trace(here, "") == ["2 more in this minute: refused:  (client vpn)"]


def test_a_refusal_that_came_several_times_is_told_once(here: Installation) -> None:
    """With its number and methods; not together with another one, nor with one of later."""
    now = datetime.now(UTC)
    wrong = Event("pin-wrong", now, "alice", "", "vpn")
    with here.store.write() as tx:
        for method in ("MS-CHAPv2", "CHAP", "MS-CHAP", "CHAP"):
            tx.add_event(replace(wrong, detail={"reason": "hashed-pin", "method": method}))
        for _ in range(2):
            tx.add_event(wrong)
        for seconds in (0, 61):
            later = now + timedelta(seconds=seconds)
            tx.add_event(replace(wrong, time=later, detail={"reason": "no-pin"}))
    hashed, *rest, _ = trace(here, "alice")
    told = "refused: CHAP and MS-CHAP need the PIN in the clear; this account has a hash"
    assert hashed == f"{told} (by MS-CHAPv2, CHAP, MS-CHAP, 4 times, client vpn)"
    assert [line.partition(" (")[0] for line in rest] == [
        *["the PIN or password was wrong"] * 2,
        *["refused: the account has no PIN"] * 2,
    ]
    assert len(json.loads(here.done("trace", "alice", "--json"))) == 8


class TestALogin:
    def test_it_reads_as_a_story(self, alice: Installation) -> None:
        node = alice.node()
        challenged = node.challenge("alice", PIN)
        node.second(challenged, "000000x")
        node.second(challenged, node.code(challenged))
        lines = trace(alice, "Alice")
        assert lines[0].startswith("an account was added (by ")
        assert lines[1] == (
            "the PIN or password was right, a code was made (client vpn, station "
            f"02-00-00-00-00-01, transaction {challenged.transaction_id})"
        )
        assert re.fullmatch(
            rf"demo took the message \(after 0.\d\d s, message id {challenged.transaction_id}\)",
            lines[2],
        )
        assert lines[3] == "the code was wrong"
        assert re.fullmatch(r"the code was right: logged in \(\d+ s after the PIN\)", lines[4])

    def test_one_login_is_told_alone_by_its_transaction(self, alice: Installation) -> None:
        node = alice.node()
        challenged = node.challenge("alice", PIN)
        lines = trace(alice, challenged.transaction_id)
        assert [line.partition(" (")[0] for line in lines] == [
            "the PIN or password was right, a code was made",
            "demo took the message",
            "=> waiting for the code; if no SMS came, ask the provider about its message id",
        ]

    def test_times_are_those_of_this_machine(self, alice: Installation) -> None:
        done = alice.call("trace", "alice", env={"TZ": "Asia/Kolkata"})
        [event] = alice.events("alice")
        utc = alice.call("trace", "alice", env={"TZ": "UTC"})
        assert utc.stdout.startswith(f"{event.time:%Y-%m-%d %H:%M:%S} UTC  ")
        assert done.stdout[19:].startswith(" IST  ")
        ahead = datetime.fromisoformat(done.stdout[:19]) - datetime.fromisoformat(utc.stdout[:19])
        assert ahead.total_seconds() == 5.5 * 3600

    def test_the_limit_keeps_the_latest(self, alice: Installation) -> None:
        for _ in range(5):
            alice.node().first("alice", "wrong")
        lines = trace(alice, "alice", "--limit", "2")
        assert len(lines) == 3
        assert lines[1].startswith("the PIN or password was wrong")

    def test_json_holds_every_field_with_its_meaning(self, alice: Installation) -> None:
        challenged = alice.node().challenge("alice", PIN)
        _, opened, taken = json.loads(alice.done("trace", "alice", "--json"))
        assert datetime.fromisoformat(opened.pop("time")) <= datetime.now(UTC)
        assert opened == {
            "kind": "challenge-opened",
            "meaning": events.KINDS["challenge-opened"],
            "account": "alice",
            "transaction_id": challenged.transaction_id,
            "client": "vpn",
            "station": "02-00-00-00-00-01",
            "detail": {},
        }
        assert taken["detail"]["provider"] == "demo"

    def test_it_holds_neither_code_nor_pin_nor_number(self, alice: Installation) -> None:
        node = alice.node()
        challenged = node.challenge("alice", PIN)
        node.second(challenged, node.code(challenged))
        for options in ((), ("--json",)):
            shown = alice.done("trace", "alice", *options)
            for secret in (node.code(challenged), PIN, PHONE, PHONE[3:]):
                assert secret not in shown

    def test_a_name_that_nothing_is_known_of_is_refused(self, here: Installation) -> None:
        result = here.run("trace", "nobody")
        assert result.exit_code == 1
        assert "nothing is known of 'nobody'; events are kept for 90 days" in result.output
        assert json.loads(here.done("trace", "nobody", "--json")) == []


class TestFollowing:
    def test_what_happens_is_told_as_it_happens(self, alice: Installation) -> None:
        process = alice.start("trace", "alice", "--follow", stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert "an account was added" in process.stdout.readline()
        node = alice.node()
        challenged = node.challenge("alice", PIN)
        assert "a code was made" in process.stdout.readline()
        assert "demo took the message" in process.stdout.readline()
        node.second(challenged, node.code(challenged))
        assert "the code was right: logged in" in process.stdout.readline()

    def test_one_that_is_not_there_yet_is_waited_for(self, alice: Installation) -> None:
        process = alice.start("trace", "bob", "--follow", "--json", stdout=subprocess.PIPE)
        alice.node().first("bob", PIN)
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert (told["kind"], told["detail"]) == ("login-refused", {"reason": "unknown-account"})


class TestSentences:
    @pytest.mark.parametrize("kind", sorted(events.KINDS))
    def test_there_is_one_for_every_kind_whatever_its_detail_holds(self, kind: str) -> None:
        """Details come from all kinds: none of them may break a line or leave a placeholder."""
        detail = {"provider": "gw", "seconds": 1.0, "reason": "locked", "text": "so", "devices": 2}
        for given in ({}, detail):
            told = Teller().tell(
                Event(kind, datetime.now(UTC), "alice", "0" * 32, "vpn", "", given)
            )
            assert told
            assert "{" not in told
            assert told.count("(") == told.count(")")

    def test_a_terminal_shows_each_login_apart_and_no_line_too_long(
        self, alice: Installation
    ) -> None:
        node = alice.node()
        challenged = node.challenge("alice", PIN)
        node.second(challenged, node.code(challenged))
        node.first("alice", "wrong")
        with Terminal(alice, "trace", "alice", NO_COLOR="1") as terminal:
            assert terminal.wait() == 0
        lines = terminal.shown.splitlines()
        assert max(map(len, lines)) <= 80
        assert lines.count("") == 2
        assert "\x1b" not in terminal.shown
        with Terminal(alice, "trace", "alice") as terminal:
            assert terminal.wait() == 0
        assert "\x1b[32m" in terminal.shown


class TestAdvice:
    """The last line says what to do, where something has failed."""

    def last(self, here: Installation, name: str = "alice") -> str:
        return trace(here, name)[-1]

    def test_an_unknown_user(self, here: Installation) -> None:
        here.node().first("bob", PIN)
        lines = trace(here, "bob")
        assert lines == [
            "refused: there is no such account (client vpn, station 02-00-00-00-00-01)",
            "=> add it: smsotp user add bob --phone NUMBER (or have LDAP or SQL set SMSOTP-Phone; "
            "in SQL with op :=)",
        ]

    @pytest.mark.parametrize(
        ("module", "told"),
        [
            ("", "SMSOTP-Phone"),
            (
                "ldap {\nupdate {\ncontrol:SMSOTP-Phone += 'mobile'\n"
                'control:SMSOTP-Phone += "otherMobile"\nreply:Class := "title"\n}\n}\n',
                "mobile, otherMobile",
            ),
            ("ldap {\nuser {\n}\nupdate {\n&control:SMSOTP-Phone := pager\n}\n}\n", "pager"),
        ],
    )
    def test_where_a_directory_has_no_number(self, tmp_path: Path, module: str, told: str) -> None:
        """The attributes that FreeRADIUS looks at there."""
        (tmp_path / "mods-enabled").mkdir()
        (tmp_path / "mods-enabled" / "ldap").write_text(module)
        refused = Event("login-refused", datetime.now(UTC), "bob", detail={"reason": "no-number"})
        said = advice(refused, tmp_path)
        assert said is not None
        assert said.startswith(f"add it there ({told}), or for a time here: smsotp user set bob ")

    @pytest.mark.parametrize("name", ["alice@example.org", "EXAMPLE\\alice", "example.org/alice"])
    def test_a_name_with_a_realm_that_nobody_strips(self, alice: Installation, name: str) -> None:
        """Told under that name, and under the one that it might have been."""
        alice.node().first(name, PIN)
        line, remedy = trace(alice, name)
        assert line.startswith("refused: there is no such account, but one without the realm, ")
        assert remedy.startswith("=> strip it: in smsotp_name")
        folded = name.lower()
        told = f"somebody was refused as '{folded}': smsotp trace '{folded}'"
        assert self.last(alice) == f"=> {told}"
        alice.node().first(name.replace("alice", "bob"), PIN)
        assert trace(alice, name.replace("alice", "bob"))[0].startswith(
            "refused: there is no such account (client"
        )
        result = alice.run("trace", "bob")
        assert "nothing is known of 'bob'; events are kept for 90 days; somebody" in result.output

    def test_a_disabled_account(self, alice: Installation) -> None:
        alice.done("user", "disable", "alice")
        alice.node().first("alice", PIN)
        assert self.last(alice) == "=> smsotp user enable alice"

    def test_a_wrong_pin(self, alice: Installation) -> None:
        alice.node().first("alice", "wrong")
        assert "smsotp user set alice --pin-stdin" in self.last(alice)

    def test_a_locked_account(self, alice: Installation) -> None:
        for _ in range(10):
            alice.node().first("alice", "wrong")
        assert self.last(alice).endswith("smsotp user unlock alice")

    def test_a_provider_that_refuses(self, alice: Installation) -> None:
        with Gateway(answers(200, "ERR: no credit")) as gateway:
            provider = {
                "type": "http",
                "url": gateway.url,
                "parameter": {"to": "{phone}", "text": "{message}"},
                "return_success": "ID",
            }
            alice.write(providers={"gateway": provider})
            alice.node().challenge("alice", PIN)
        lines = trace(alice, "alice")
        assert lines[2].startswith("gateway refused the message (after 0.")
        assert "ERR: no credit" in lines[2]
        assert lines[3].startswith("no provider took the message: refused")
        assert lines[4].startswith("=> see what the providers said above")

    def test_a_login_that_went_well_needs_none(self, alice: Installation) -> None:
        node = alice.node()
        challenged = node.challenge("alice", PIN)
        node.second(challenged, node.code(challenged))
        assert not self.last(alice).startswith("=>")

    def test_there_is_advice_for_every_kind_and_reason_that_fails(self, tmp_path: Path) -> None:
        """And none for a kind or a reason that does not exist."""
        fine = {"challenge-repeated", "sms-delivered", "sms-resent", "code-accepted", "code-wrong"}
        fine |= {"answer-repeated", "device-remembered", "device-accepted", "device-forgotten"}
        fine |= {
            "session-started",
            "session-ended",
            "provider-skipped",
            "provider-used",
            "account-added",
        }
        fine |= {"account-changed", "account-deleted", "account-unlocked", "store-restored"}
        fine |= {"account-erased", "account-renamed", "codes-made", "codes-revoked"}
        for kind in events.KINDS:
            told = advice(Event(kind, datetime.now(UTC), "alice"), tmp_path)
            assert (told is None) == (kind in fine), kind
        for key in REMEDIES:
            kind, _, reason = key.partition(" ")
            assert kind in events.KINDS
            assert not reason or reason in (
                events.EAP_REASONS if kind == "eap-refused" else events.REASONS
            )
        assert {f"eap-refused {reason}" for reason in events.EAP_REASONS} - REMEDIES.keys() == {
            "eap-refused inner"  # as those of no reason, which older versions have written
        }
