"""The provider ``http``: what the answers mean.  No socket: an answer in, a verdict out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from radius_smsotp.errors import Busy, DeliveryError, Refused, Unavailable, Unknown
from radius_smsotp.providers import Receipt
from radius_smsotp.providers.contract import PHONE, message
from radius_smsotp.providers.excerpt import excerpt
from radius_smsotp.providers.http.answer import LONGEST_PAUSE, Answer, judge
from radius_smsotp.providers.http.provider import Settings
from tests.providers.http.http_tests import KEYS

NOW = datetime(2024, 5, 6, 12, 0, tzinfo=UTC)


def judged(
    status: int = 200,
    body: str | bytes = "",
    headers: dict[str, str] | None = None,
    fault: str = "",
    **settings: Any,
) -> Receipt | DeliveryError:
    """What becomes of a message after this answer."""
    given = {"type": "http", "url": "http://localhost", **KEYS, **settings}
    octets = body.encode() if isinstance(body, str) else body
    answer = Answer(status, headers or {}, octets, fault)
    rules = Settings.model_validate(given).rules()
    return judge(answer, rules, partial(excerpt, message=message()), NOW)


@pytest.mark.parametrize(
    ("status", "kind", "out_of_order"),
    [
        (302, Refused, True),
        (400, Refused, False),
        (401, Refused, True),
        (402, Refused, True),
        (403, Refused, True),
        (404, Refused, False),
        (407, Refused, True),
        (422, Refused, False),
        (408, Unavailable, None),
        (429, Busy, None),
        (500, Unavailable, None),
        (503, Busy, None),
        (599, Unavailable, None),
        (504, Unknown, None),  # RFC 9110 15.6.5: passed on, and nobody answered in time
        (100, Unknown, None),
    ],
)
def test_the_status_decides_first(
    status: int, kind: type[DeliveryError], out_of_order: bool | None
) -> None:
    error = judged(status, "ID: 4711", return_success="ID")
    assert type(error) is kind
    assert str(status) in str(error)
    assert getattr(error, "out_of_order", None) is out_of_order


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_2xx_will_do_where_nothing_is_looked_for(status: int) -> None:
    assert judged(status) == Receipt(None)


def test_an_answer_that_is_not_whole_is_no_yes() -> None:
    error = judged(200, "ID: 1", fault="the connection broke", return_success="ID")
    assert isinstance(error, Unknown)
    assert str(error) == "the gateway answered 200, but the connection broke"


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("30", 30),
        (" 30 ", 30),
        ("999999999", LONGEST_PAUSE),
        ("Mon, 06 May 2024 12:20:00 GMT", 1200),
        ("Mon, 06 May 2024 12:20:00", 1200),
        ("Mon, 06 May 2024 14:20:00 +0200", 1200),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("", None),
        ("-1", None),
        ("soon", None),
        ("1e9", None),
        ("²", None),
        ("Thu, 99 Foo 0000 99:99:99 X", None),
    ],
)
def test_retry_after_is_kept_within_bounds(given: str, seconds: float | None) -> None:
    """Seconds, or a date (RFC 9110 section 10.2.3)."""
    for status in (429, 503):
        error = judged(status, headers={"Retry-After": given})
        assert isinstance(error, Busy)
        assert error.retry_after == seconds
    for status in (408, 500, 502):
        error = judged(status, headers={"Retry-After": given})
        assert type(error) is (Unavailable if seconds is None else Busy)


@pytest.mark.parametrize(
    ("status", "body", "settings"),
    [
        (403, 'Error "Throughput exceeded"', {}),
        (200, '{"messages": [{"status": "1"}]}', {"return_busy_json": "messages.0.status = 1"}),
        (200, "ERR 12: ID of the queue", {"return_busy": "ERR 12", "return_success": "ID"}),
        (200, "QUEUE FULL, ID: 1", {"return_busy_regex": "(?i)queue full", "return_fail": "ID"}),
        (400, "slow down", {"return_busy": "slow down"}),
    ],
)
def test_busy_is_not_no(status: int, body: str, settings: dict[str, str]) -> None:
    """Jasmin's 403, Vonage's 200, and what a site says is busy, before anything else."""
    error = judged(status, body, headers={"Retry-After": "3"}, **settings)
    assert isinstance(error, Busy)
    assert error.retry_after == 3
    assert str(status) in str(error)


def test_another_403_is_no() -> None:
    assert isinstance(judged(403, 'Error "Authentication failure"'), Refused)


def test_what_kannel_has_only_queued_is_unknown() -> None:
    """No SMSC is connected: it may leave in an hour, or never."""
    error = judged(202, "3: Queued for later delivery", return_success_regex="^[03]: ")
    assert isinstance(error, Unknown)
    assert "Queued for later delivery" in str(error)


JSON = json.dumps({"messages": [{"status": "0", "id": 17, "to": PHONE}], "errors": [], "ok": True})


@pytest.mark.parametrize(
    ("body", "settings"),
    [
        ("ID: 1", {"return_success": "ID"}),
        ("ID: 1", {"return_success_regex": r"^ID: \d+$"}),
        ("ID: 1", {"return_fail": "ERR", "return_fail_regex": "^ERR"}),
        ("ID: 1", {"return_fail_json": "errors"}),
        ("ID: 1", {"return_success": "ID", "return_fail": "ERR"}),
        (JSON, {"return_success_json": "messages.0.status = 0"}),
        (JSON, {"return_success_json": 'messages.0.status="0"'}),
        (JSON, {"return_success_json": "messages.0.id = 17"}),
        (JSON, {"return_success_json": "messages.0.id"}),
        (JSON, {"return_success_json": "ok = true", "return_fail_json": "errors"}),
        (JSON, {"return_fail_json": "messages.1.status"}),
        ("\ufeff" + JSON, {"return_success_json": "ok"}),
    ],
)
def test_a_message_is_accepted_on_these_signs(body: str, settings: dict[str, str]) -> None:
    assert judged(body=body, **settings) == Receipt()


@pytest.mark.parametrize(
    ("body", "settings"),
    [
        ("nothing", {"return_success": "ID"}),
        ("ID ERR", {"return_success": "ID", "return_fail": "ERR"}),
        ("ID ERR 3", {"return_success": "ID", "return_fail_regex": r"ERR \d"}),
        ("ID: x", {"return_success_regex": r"^ID: \d+$"}),
        (JSON, {"return_success_json": "messages.0.status = 1"}),
        (JSON, {"return_success_json": "messages.0.status.x"}),
        (JSON, {"return_success_json": "messages.x"}),
        (JSON, {"return_success_json": "errors"}),
        (JSON, {"return_success": "messages", "return_fail_json": "ok"}),
        (JSON, {"return_success": "messages", "return_success_json": "errors"}),
        ("no JSON", {"return_success_json": "ok"}),
        ("[" * 60000, {"return_success_json": "ok"}),
    ],
)
def test_a_message_is_refused_on_these_signs(body: str, settings: dict[str, str]) -> None:
    error = judged(body=body, **settings)
    assert isinstance(error, Refused)
    assert not error.out_of_order


@pytest.mark.parametrize(
    ("body", "settings", "message_id"),
    [
        (JSON, {"message_id_json": "messages.0.id"}, "17"),
        (JSON, {"message_id_json": "messages.0.status"}, "0"),
        (JSON, {"message_id_json": "messages.0"}, None),
        (JSON, {"message_id_json": "messages.0.to"}, "***"),
        (JSON, {"message_id_json": "nowhere"}, None),
        ("ID: abc-1\n", {"message_id_regex": r"ID: (\S+)"}, "abc-1"),
        ("nothing", {"message_id_regex": r"ID: (\S+)"}, None),
        ("a\nb\x1b[0m", {"message_id_regex": "((?s:.+))"}, "a b [0m"),
        ("x" * 500, {"message_id_regex": "(x+)"}, "x" * 127 + "…"),
    ],
)
def test_the_message_id_is_kept(
    body: str, settings: dict[str, str], message_id: str | None
) -> None:
    assert judged(body=body, **settings) == Receipt(message_id)


def test_an_error_quotes_the_answer_in_one_short_line() -> None:
    told = str(judged(400, b"Unknown\r\n\tsender\x00\x1b[1m <ACME> \xff " + b"x" * 999))
    assert told.startswith("the gateway answered 400: Unknown sender [1m <ACME> ÿ xxx")
    assert told.endswith("x…")
    assert told.isprintable()
    assert len(told) == len("the gateway answered 400: ") + 120
