"""``smsotp trace``: what happened, in plain words."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from radius_smsotp import audit
from radius_smsotp.cli.advice import REMEDIES, advice
from radius_smsotp.core.model import Event
from tests.providers.gateway import Gateway, answers

if TYPE_CHECKING:
    from tests.cli.installation import Installation

PHONE = "+491701234567"
PIN = "geheim"
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ")


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


class TestALogin:
    def test_it_reads_as_a_story(self, alice: Installation) -> None:
        node = alice.node()
        challenged = node.challenge("alice", PIN)
        node.second(challenged, "000000x")
        node.second(challenged, node.code(challenged))
        lines = trace(alice, "Alice")
        assert lines[0].startswith("an account was added (by ")
        assert lines[1] == (
            "a code was asked for and the challenge was opened (client vpn, station "
            f"02-00-00-00-00-01, transaction {challenged.transaction_id})"
        )
        assert lines[2].startswith(
            f"a provider took the message (provider demo, message id {challenged.transaction_id}, "
        )
        assert lines[3:] == ["the code was wrong", "the code was right; the challenge is spent"]

    def test_one_login_is_told_alone_by_its_transaction(self, alice: Installation) -> None:
        node = alice.node()
        challenged = node.challenge("alice", PIN)
        lines = trace(alice, challenged.transaction_id)
        assert [line.partition(" (")[0] for line in lines] == [
            "a code was asked for and the challenge was opened",
            "a provider took the message",
            "=> waiting for the code; if no SMS came, ask the provider about its message id",
        ]

    def test_times_are_those_of_this_machine(self, alice: Installation) -> None:
        done = alice.call("trace", "alice", env={"TZ": "Asia/Kolkata"})
        [event] = alice.events("alice")
        utc = alice.call("trace", "alice", env={"TZ": "UTC"})
        assert utc.stdout.startswith(f"{event.time:%Y-%m-%d %H:%M:%S}  ")
        ahead = datetime.fromisoformat(done.stdout[:19]) - datetime.fromisoformat(utc.stdout[:19])
        assert ahead.total_seconds() == 5.5 * 3600

    def test_the_limit_keeps_the_latest(self, alice: Installation) -> None:
        for _ in range(5):
            alice.node().first("alice", "wrong")
        lines = trace(alice, "alice", "--limit", "2")
        assert len(lines) == 3
        assert lines[1].startswith("the first factor was wrong")

    def test_json_holds_every_field_with_its_meaning(self, alice: Installation) -> None:
        challenged = alice.node().challenge("alice", PIN)
        _, opened, taken = json.loads(alice.done("trace", "alice", "--json"))
        assert datetime.fromisoformat(opened.pop("time")) <= datetime.now(UTC)
        assert opened == {
            "kind": "challenge-opened",
            "meaning": audit.KINDS["challenge-opened"],
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


class TestAdvice:
    """The last line says what to do, where something has failed."""

    def last(self, here: Installation, name: str = "alice") -> str:
        return trace(here, name)[-1]

    def test_an_unknown_user(self, here: Installation) -> None:
        here.node().first("bob", PIN)
        lines = trace(here, "bob")
        assert lines == [
            "the first step was refused; the reason says why (there is no such account, "
            "client vpn, station 02-00-00-00-00-01)",
            "=> add it: smsotp user add bob --phone NUMBER (or have LDAP or SQL set SMSOTP-Phone)",
        ]

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
        assert lines[2].startswith("a provider refused the message (provider gateway, seconds 0.")
        assert lines[3].startswith("no provider took the message; the challenge was closed")
        assert lines[4].startswith("=> see what the providers said above")

    def test_a_login_that_went_well_needs_none(self, alice: Installation) -> None:
        node = alice.node()
        challenged = node.challenge("alice", PIN)
        node.second(challenged, node.code(challenged))
        assert not self.last(alice).startswith("=>")

    def test_there_is_advice_for_every_kind_and_reason_that_fails(self) -> None:
        """And none for a kind or a reason that does not exist."""
        fine = {"challenge-repeated", "sms-delivered", "sms-resent", "code-accepted", "code-wrong"}
        fine |= {"answer-repeated", "device-remembered", "device-accepted", "device-forgotten"}
        fine |= {"provider-skipped", "provider-used", "account-added"}
        fine |= {"account-changed", "account-deleted", "account-unlocked"}
        for kind in audit.KINDS:
            told = advice(Event(kind, datetime.now(UTC), "alice"))
            assert (told is None) == (kind in fine), kind
        for key in REMEDIES:
            kind, _, reason = key.partition(" ")
            assert kind in audit.KINDS
            assert not reason or reason in audit.REASONS
