"""The audit trail: every kind of event, in words for a person."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import get_args

import pytest

import radius_smsotp
from radius_smsotp.delivery import receipts
from radius_smsotp.login.rules import RefusalReason, RejectionReason
from radius_smsotp.model import events
from radius_smsotp.model.records import Verdict
from tests.login.test_rules import NOW, challenge

PACKAGE = Path(radius_smsotp.__file__).parent
FROM_VERDICTS = {f"sms-{verdict}" for verdict in get_args(Verdict)}


def literals() -> set[str]:
    """Every text in the package that looks like the name of something."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        if path.name == "audit.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return found


def recorded() -> set[str]:
    """Every kind of event that is written as such where an event is made."""
    kinds = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and node.args):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            first = node.args[0]
            if name.lower().endswith("event") and isinstance(first, ast.Constant):
                kinds.add(str(first.value))
    return kinds


def test_every_event_that_is_recorded_has_words() -> None:
    """Else `smsotp trace` could only show its name."""
    assert len(recorded()) > 10
    assert recorded() | FROM_VERDICTS <= set(events.KINDS)


def test_every_kind_with_words_is_recorded_somewhere() -> None:
    """Nothing is explained that never happens."""
    assert set(events.KINDS) - FROM_VERDICTS <= literals()


def test_every_reason_has_words() -> None:
    """Of a first step that is refused, and of an answer that is not accepted."""
    assert {*get_args(RefusalReason), *get_args(RejectionReason)} <= set(events.REASONS)


@pytest.mark.parametrize("words", [events.KINDS, events.REASONS], ids=["kinds", "reasons"])
def test_words_are_for_a_person(words: dict[str, str]) -> None:
    """A name in lower case, and a sentence without its full stop."""
    for name, sentence in words.items():
        assert re.fullmatch(r"[a-z]+([-_][a-z]+)*", name)
        assert " " in sentence
        assert not sentence.endswith(".")


def test_an_event_of_a_challenge_says_whose_it_is() -> None:
    """Account, client and station are those that opened it."""
    one = challenge(station="02-00")
    event = receipts.challenge_event("sms-accepted", one, NOW, provider="first", seconds=0.5)
    assert (event.kind, event.time, event.account) == ("sms-accepted", NOW, "alice")
    assert (event.transaction_id, event.client) == (one.transaction_id, "vpn")
    assert event.station == "02-00"
    assert event.detail == {"provider": "first", "seconds": 0.5}
