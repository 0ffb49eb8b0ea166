"""
What a gateway tells later by a request of its own: of which message, and what became of it.

Pure.  Parameters of the address, of a form and of JSON are one document; where a gateway signs what
it sends, nothing is read before the signature is right.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from radius_smsotp.model import code, receipts
from radius_smsotp.model.receipts import Receipt
from radius_smsotp.providers.http.answer import Condition

MOST = 1000
"""Receipts in one request that are looked at; Infobip sends 100."""

FRESH = 300
"""Seconds by which the time in a signature may differ from ours, as in seven's own libraries."""


class ReceiptError(ValueError):
    """
    Why a request is not taken; the text is safe to log.

    Attributes:
        status: HTTP status to answer with.
    """

    status = 400


class ForgedError(ReceiptError):
    """The signature is missing or wrong."""

    status = 403


@dataclass(frozen=True, slots=True)
class Incoming:
    """
    A request of a gateway.

    Attributes:
        url: As the gateway has it, with its query.
        headers: Header fields; names in lower case.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def query(self) -> list[tuple[str, str]]:
        """The parameters of the address."""
        return parse_qsl(urlsplit(self.url).query, keep_blank_values=True)

    def form(self) -> list[tuple[str, str]]:
        """The parameters of the body, if it is a form."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            return []
        return parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)

    def document(self) -> Any:
        """All parameters, those of the body before those of the address; or a list of JSON."""
        found: dict[str, Any] = dict(self.query()) | dict(self.form())
        try:
            written = json.loads(self.body)
        except (ValueError, RecursionError):
            return found
        return found | written if isinstance(written, dict) else written


Check = Callable[[Incoming, str, str, datetime], Any]
"""
Checks a signature.

Args: the request, the secret, the name of the header (lower case) and aware UTC time.  Returns the
document, where that is in the signature; else None.  Raises `ForgedError`.
"""


def _twilio(request: Incoming, secret: str, header: str, now: datetime) -> None:
    """https://www.twilio.com/docs/usage/security#validating-requests."""
    told = request.url + "".join(f"{key}{value}" for key, value in sorted(set(request.form())))
    algorithm = request.headers.get("x-twilio-webhooks-signature-settings", "")
    kind = "sha256" if "HMAC_SHA256" in algorithm else "sha1"
    expected = base64.b64encode(hmac.digest(secret.encode(), told.encode(), kind)).decode()
    _same(request.headers.get(header, ""), expected)


def _vonage(request: Incoming, secret: str, header: str, now: datetime) -> None:
    """https://developer.vonage.com/en/getting-started/concepts/signing-messages."""
    document = request.document()
    given = {key: str(value) for key, value in document.items()} if _is_mapping(document) else {}
    signature = given.pop("sig", "").lower()
    kind = {64: "sha256", 128: "sha512"}.get(len(signature))
    if kind is None:
        raise ForgedError("sig is missing, or not made with SHA-256 or SHA-512 HMAC")
    plain = {key: re.sub("[&=]", "_", value) for key, value in given.items()}
    told = "".join(f"&{key}={value}" for key, value in sorted(plain.items()))
    _same(signature, hmac.digest(secret.encode(), told.encode(), kind).hex())
    _fresh(given.get("timestamp", ""), now)


def _seven(request: Incoming, secret: str, header: str, now: datetime) -> None:
    """https://docs.seven.io/en/rest-api/signing."""
    times, nonce = (request.headers.get(one, "") for one in ("x-timestamp", "x-nonce"))
    body = hashlib.md5(request.body, usedforsecurity=False).hexdigest()
    told = "\n".join((times, nonce, request.method, request.url, body))
    expected = hmac.digest(secret.encode(), told.encode(), "sha256").hex()
    _same(request.headers.get(header, "").lower(), expected)
    _fresh(times, now)


def _jwt(request: Incoming, secret: str, header: str, now: datetime) -> Any:
    """RFC 7519, HS256 alone; the claims are the document, unless they have the body's hash."""
    token = request.headers.get(header, "").removeprefix("Bearer ").strip()
    signed, _, signature = token.rpartition(".")
    try:
        head, claims = (json.loads(_decoded(part)) for part in signed.split("."))
        given = base64.b64encode(_decoded(signature)).decode()
    except (ValueError, RecursionError):
        raise ForgedError(f"the header {header} is no JWT") from None
    if not _is_mapping(head) or not _is_mapping(claims) or head.get("alg") != "HS256":
        raise ForgedError("the JWT is not of HS256")
    digest = hmac.digest(secret.encode(), signed.encode(), "sha256")
    _same(given, base64.b64encode(digest).decode())
    for name, sign in (("exp", 1), ("nbf", -1)):
        limit = claims.get(name)
        # RFC 7519 4.1.4: "some small leeway"
        if isinstance(limit, int | float) and sign * (now.timestamp() - limit) > FRESH:
            raise ForgedError("the JWT is not valid any more, or not yet")
    hashes = {"payload_hash": request.body, "url_hash": request.url.encode()}
    claimed = [name for name in hashes if claims.get(name)]
    for name in claimed:
        _same(str(claims[name]).lower(), hashlib.sha256(hashes[name]).hexdigest())
    return None if claimed else claims


SIGNATURES: dict[str, tuple[Check, str]] = {
    "twilio": (_twilio, "X-Twilio-Signature"),
    "vonage": (_vonage, ""),
    "seven": (_seven, "X-Signature"),
    "jwt": (_jwt, "Authorization"),
}
"""How a gateway signs: what checks it, and in which header the signature usually stands."""


@dataclass(frozen=True, slots=True)
class Reading:
    """
    How to read what a gateway tells.

    Attributes:
        id, state: Where both stand.
        each: Where a list of receipts stands; None: there is one, or all of it is a list.
        delivered, lost: States that say so, in lower case; both empty: `model.receipts.outcome`.
        signature: One of `SIGNATURES`, or None.
        secret: What it is made with.
        header: Where it stands, in lower case.
    """

    id: Condition
    state: Condition
    each: Condition | None = None
    delivered: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()
    signature: str | None = None
    secret: str = field(default="", repr=False)
    header: str = ""

    def outcome(self, state: str) -> bool | None:
        """Whether a state says that the message has arrived; None if it is on its way."""
        if not self.delivered and not self.lost:
            return receipts.outcome(state)
        told = dict.fromkeys(self.delivered, True) | dict.fromkeys(self.lost, False)
        return told.get(state.lower())


def read(request: Incoming, reading: Reading, now: datetime) -> list[tuple[str, Receipt]]:
    """
    The receipts in a request, each with the id of its message.

    Returns:
        Those that say what became of a message; of one that is on its way, none.

    Raises:
        ReceiptError: It is not signed as it has to be, or has no place for id and state.
    """
    document = None
    if reading.signature is not None:
        check, _ = SIGNATURES[reading.signature]
        document = check(request, reading.secret, reading.header, now)
    document = request.document() if document is None else document
    inner = reading.each.find(document) if reading.each else document
    each = inner if isinstance(inner, list) else [inner]
    found, places = [], 0
    for one in each[:MOST]:
        message_id, state = (_as_text(place.find(one)) for place in (reading.id, reading.state))
        if not message_id or not state:
            continue
        places += 1
        outcome = reading.outcome(state)
        if outcome is not None:
            found.append((message_id, Receipt(outcome, receipts.word(state))))
    if not places:
        raise ReceiptError("there is no id or no state where receipt.id and receipt.state say")
    return found


def _as_text(value: Any) -> str:
    """A text or a number as text; whatever else there is says nothing."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _same(given: str, expected: str) -> None:
    if not code.matches(given, expected):
        raise ForgedError("the signature is missing or wrong; compare the secret, and receiver.url")


def _fresh(seconds: str, now: datetime) -> None:
    if not seconds.isdecimal() or abs(now.timestamp() - int(seconds)) > FRESH:
        raise ForgedError("the time of the signature is too far from ours")


def _decoded(part: str) -> bytes:
    """RFC 7515 2: base64url, and without padding."""
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict)
