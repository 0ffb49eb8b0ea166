"""
What the answer to an HTTP request means.

Pure: an `Answer` in, a `Receipt` or the error to raise out.  An error may quote the gateway,
but never what it was sent.
"""

from __future__ import annotations

import http
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from radius_smsotp.errors import Busy, DeliveryError, Refused, Unavailable, Unknown
from radius_smsotp.providers import Receipt

EXCERPT = 120
"""Characters of an answer that an error text quotes at most."""

MESSAGE_ID = 128
"""Characters of a message id that are kept at most."""

LONGEST_PAUSE = 3600.0
"""Seconds for which a gateway may ask to be left alone; it may ask for years."""

# Every message would get the same answer: wrong password (401, 407), no credit (402), locked
# out (403).
_OUT_OF_ORDER = {401, 402, 403, 407}

_THROTTLED = re.compile(r"throughput exceeded", re.I)
"""What Jasmin says with a 403 (`ThroughputExceededError` of its HTTP API)."""

_QUEUED = re.compile(r"3: Queued for later delivery")
"""What Kannel says where no SMSC is connected: it sends the message once one is, if ever (User's
Guide, "Using the HTTP interface to send SMS messages")."""


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What came back.

    Attributes:
        status: HTTP status code.
        headers: Header fields; names in any letter case.
        body: Its first octets, 64 KiB at most.
        fault: Why the body is not whole ("the connection broke"), or "" if it is.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """
    A path into a JSON answer, with or without a value: ``messages.0.status = 0``.

    Steps are keys, or positions in a list, counted from 0.  Without a value the condition
    holds if there is something at that place other than null, false, 0 or nothing at all.
    """

    path: tuple[str, ...]
    wanted: str | None = None

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read ``PATH`` or ``PATH = VALUE``.  Raises ValueError."""
        path, equals, wanted = text.partition("=")
        steps = tuple(step.strip() for step in path.split("."))
        if not all(steps):
            raise ValueError("is no path; write PATH or PATH = VALUE, as messages.0.status = 0")
        value = wanted.strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        return cls(steps, value if equals else None)

    @classmethod
    def place(cls, text: str) -> Condition:
        """Read ``PATH``.  Raises ValueError."""
        path = cls.parse(text)
        if path.wanted is not None:
            raise ValueError("is a path and takes no value; leave out the equals sign")
        return path

    def holds(self, document: Any) -> bool:
        """Whether the decoded answer meets the condition."""
        found = self.find(document)
        return bool(found) if self.wanted is None else _as_text(found) == self.wanted

    def find(self, document: Any) -> Any:
        """What stands at the end of the path, or None."""
        for step in self.path:
            if isinstance(document, dict):
                document = document.get(step)
            elif isinstance(document, list) and step.isdecimal() and int(step) < len(document):
                document = document[int(step)]
            else:
                return None
        return document


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True, slots=True)
class Signs:
    """What to look for in an answer.  Those that are set are looked for."""

    text: str | None = None
    regex: re.Pattern[str] | None = None
    path: Condition | None = None

    def results(self, text: str, document: Any) -> list[bool]:
        """One result for each that is set."""
        results = []
        if self.text is not None:
            results.append(self.text in text)
        if self.regex is not None:
            results.append(self.regex.search(text) is not None)
        if self.path is not None:
            results.append(self.path.holds(document))
        return results


REFUSALS = (
    "INVALID",
    "NOT OK",
    "INVALID TOKEN",
    "UNSUCCESSFUL",
    "NOT ACCEPTED",
    "NOT QUEUED",
    "NOT SENT",
    "UNDELIVERED",
    '"success": false',
    '"status": "error"',
    "ERROR",
    "FAILED",
    "REJECTED",
)
"""What gateways say when they refuse."""


@dataclass(frozen=True, slots=True)
class Rules:
    """
    How to read an answer.

    Attributes:
        success: All of these must be met.
        fail: None of these may be met, whatever `success` says.
        busy: Any of these says so, whatever status and the others say.
        id_path: Where the message id stands in a JSON answer.
        id_regex: The same for any answer: its one group.
    """

    success: Signs = Signs()
    fail: Signs = Signs()
    busy: Signs = Signs()
    id_path: Condition | None = None
    id_regex: re.Pattern[str] | None = None

    def loose(self) -> str | None:
        """A refusal that counts as a success, if a text alone decides: INVALID, by ID."""
        text = self.success.text
        if text is None or self.success != Signs(text) or self.fail != Signs():
            return None
        if text.isdecimal():
            return "any longer number"
        said = (form(one) for one in REFUSALS for form in (str, str.lower, str.capitalize))
        return next((one for one in said if text in one), None)


def judge(
    answer: Answer, rules: Rules, quote: Callable[[str, int], str], now: datetime
) -> Receipt | DeliveryError:
    """
    Decide what became of the message.

    Args:
        answer: What came back.
        rules: What the settings say about answers.
        quote: Makes a text fit to be told, in that many characters.
        now: Aware UTC time, for a ``Retry-After`` that names a date.
    """
    text = _decoded(answer.body)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    quoted = quote(text, EXCERPT)
    said = f"the gateway answered {answer.status}" + (f": {quoted}" if quoted else "")
    if any(rules.busy.results(text, document)):
        return Busy(f"what return_busy looks for is there; {said}", _wait(answer.headers, now))
    if not 200 <= answer.status < 300:
        return _not_taken(answer, text, said, now)
    if answer.fault:
        return Unknown(f"the gateway answered {answer.status}, but {answer.fault}")
    if _QUEUED.match(text):
        return Unknown(said)
    if any(rules.fail.results(text, document)):
        missed = "what return_fail looks for is there"
    elif not all(rules.success.results(text, document)):
        missed = "what return_success looks for is not there"
    else:
        return Receipt(quote(_message_id(rules, text, document), MESSAGE_ID) or None)
    return Refused(f"{missed}; {said if quoted else f'{said}: nothing'}")


def _decoded(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("latin-1")


def _not_taken(answer: Answer, text: str, said: str, now: datetime) -> DeliveryError:
    if answer.status == http.HTTPStatus.GATEWAY_TIMEOUT:
        # RFC 9110 15.6.5: it passed the message on, and then heard nothing.
        return Unknown(said)
    retry_after = _wait(answer.headers, now)
    throttled = answer.status == http.HTTPStatus.FORBIDDEN and _THROTTLED.search(text)
    if answer.status in (429, 503) or throttled:
        return Busy(said, retry_after)
    if answer.status == http.HTTPStatus.REQUEST_TIMEOUT or answer.status >= 500:
        return Unavailable(said) if retry_after is None else Busy(said, retry_after)
    if answer.status >= 400:
        return Refused(said, out_of_order=answer.status in _OUT_OF_ORDER)
    if answer.status >= 300:
        # Number, code and credentials would travel on to a place that nobody has chosen.
        return Refused(
            f"the gateway redirects ({answer.status}), and redirects are not followed; "
            "set url to the address where it ends",
            out_of_order=True,
        )
    return Unknown(said)


def _wait(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds for which the gateway asks to be left alone."""
    # RFC 9110 10.2.3: a date, or a number of seconds
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch("[0-9]{1,9}", value):
        seconds = float(value)
    else:
        try:
            date = parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return None
        date = date if date.tzinfo else date.replace(tzinfo=timezone.utc)
        seconds = (date - now).total_seconds()
    return min(max(seconds, 0.0), LONGEST_PAUSE)


def _message_id(rules: Rules, text: str, document: Any) -> str:
    found: Any = None
    if rules.id_path:
        found = rules.id_path.find(document)
    elif rules.id_regex and (match := rules.id_regex.search(text)):
        found = match[1]
    if found is None or isinstance(found, dict | list | bool):
        return ""
    return _as_text(found)
