"""What logins come to, in words: the same in tables, charts and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radius_smsotp import audit

if TYPE_CHECKING:
    from radius_smsotp.core.figures import Summary

FIRST = {
    "pin-wrong": ("wrong-pin", "wrong PIN"),
    "first-factor-down": ("first-factor-down", "the first factor could not be checked"),
    "eap-refused": ("eap", "the device cannot do EAP-GTC"),
    "sms-undelivered": ("undelivered", "no provider took the message"),
}
SECOND = {"code-wrong": ("wrong-code", "wrong code")}
"""Kind of event to the reason and the words for it, where the event has no reason of its own."""

REASONED = {"login-refused": "first", "code-rejected": "second"}
"""Kinds that have one, and the step at which they happen."""


def refusals(summary: Summary) -> dict[tuple[str, str], tuple[str, int]]:
    """
    What was not let in.

    Returns:
        Step (``first`` or ``second``) and reason to words and number, most frequent first.
    """
    found: dict[tuple[str, str], tuple[str, int]] = {}
    for step, kinds in (("first", FIRST), ("second", SECOND)):
        for kind, (reason, words) in kinds.items():
            found[step, reason] = (words, summary.kinds[kind])
    for (kind, reason), number in summary.reasons.items():
        if kind in REASONED:
            words = audit.REASONS.get(reason, reason)
            before = found.get((REASONED[kind], reason), (words, 0))[1]
            found[REASONED[kind], reason] = (words, before + number)
    return dict(sorted(found.items(), key=lambda item: (-item[1][1], item[0])))


def by_words(summary: Summary) -> dict[str, int]:
    """The same by words alone: what can happen at both steps counts once."""
    found: dict[str, int] = {}
    for words, number in refusals(summary).values():
        if number:
            found[words] = found.get(words, 0) + number
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def refused(summary: Summary) -> int:
    """How many answers were a refusal.  One login may be refused several times."""
    return sum(number for _, number in refusals(summary).values())
