"""Errors, sorted by what the caller does next."""

from __future__ import annotations

import inspect
from typing import get_args

import pytest

from radius_smsotp import errors
from radius_smsotp.errors import Busy, ConfigurationError, Problem, Refused, Unavailable, Unknown
from radius_smsotp.model.records import Verdict


def test_a_problem_says_where_what_and_what_to_do() -> None:
    """In one line; without a remedy, the line ends after the fault."""
    problem = Problem("smsotp.yaml: code.digits", "is too small", "write at least 6")
    assert str(problem) == "smsotp.yaml: code.digits: is too small; write at least 6"
    assert str(Problem("key", "is empty")) == "key: is empty"


def test_a_configuration_error_holds_every_problem() -> None:
    """A line for each, and the list for who wants to show them otherwise."""
    problems = [Problem("a", "b"), Problem("c", "d", "e")]
    error = ConfigurationError(problems)
    assert str(error).splitlines() == ["a: b", "c: d; e"]
    assert error.problems == problems


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (Refused("no"), "refused"),
        (Busy("throttled"), "busy"),
        (Unavailable("no route"), "unavailable"),
        (Unknown("silence"), "unknown"),
    ],
)
def test_a_delivery_error_is_a_verdict(error: errors.DeliveryError, verdict: Verdict) -> None:
    """The audit trail has a word for each."""
    assert error.verdict == verdict
    assert verdict in get_args(Verdict)


def test_a_delivery_error_says_how_it_concerns_other_messages() -> None:
    """Unless told otherwise: not at all."""
    assert Refused("no").out_of_order is False
    assert Refused("no credit", out_of_order=True).out_of_order is True
    assert Busy("throttled").retry_after is None
    assert Busy("throttled", 30.0).retry_after == 30.0


def test_who_is_busy_is_unavailable_too() -> None:
    """To whoever only asks whether another provider may succeed."""
    assert issubclass(Busy, Unavailable)


def test_every_error_is_one_of_ours() -> None:
    """One `except SmsotpError` at the edge catches whatever is raised on purpose."""
    raised = [one for _, one in inspect.getmembers(errors, inspect.isclass)]
    for one in raised:
        if issubclass(one, Exception):
            assert issubclass(one, errors.SmsotpError)
