"""
The code, and the seal around a phone number: both derived from the key, neither stored.

``code = HOTP(HMAC-SHA256(key, transaction_id), 0)``, RFC 4226.  A challenge has one code; a
resend sends the same one.
"""

from __future__ import annotations

import hashlib
import hmac
import re

import pyotp

from radius_smsotp.model.records import SMS
from radius_smsotp.model.ways import MAIL_ADDRESS

KEY_OCTETS = 32
"""Length of a key: the output length of HMAC-SHA256, as RFC 2104 section 3 advises."""

SEALED_MAXIMUM = 254
"""Longest text `seal` takes, octets: a mail address (see `model.ways`).  E.164 has 16."""


def mac(key: bytes, text: bytes, digest: str = "sha256") -> bytes:
    """HMAC, RFC 2104."""
    # `hmac.digest` lets go of the interpreter, and may have to wait a millisecond for it.
    return hmac.new(key, text, digest).digest()


class _Hotp(pyotp.HOTP):
    """pyotp's, its secret as octets: the way to base32 and back takes longer than the rest."""

    def __init__(self, secret: bytes, digits: int) -> None:
        self._octets = secret
        super().__init__("", digits=digits)

    def byte_secret(self) -> bytes:
        """See `pyotp.OTP`."""
        return self._octets


def derive(key: bytes, transaction_id: str, digits: int) -> str:
    """The code of a challenge: `digits` decimal digits."""
    return _Hotp(mac(key, transaction_id.encode()), digits).at(0)


EMERGENCY_DIGITS = 10
"""Of an emergency code, which is valid for days and beside others: 10,000 times as hard to guess as
one of six digits, and not too long to be read out on the phone."""


EMERGENCY_OCTETS = 8
"""That one is made of: of 10^10 remainders of 2^64 none is likelier than another by 10^-9."""


def emergency(key: bytes, account: str, batch: str, count: int) -> list[str]:
    """
    The emergency codes of an account, from the first on: `EMERGENCY_DIGITS` decimal digits each.

    All come from one hash (SHAKE256, FIPS 202, of an HMAC): whoever asks waits for them, and it
    must not show in the time that there are many.

    Args:
        account: Folded name: a row that is copied to another account makes other codes.
        batch: Of `records.EmergencyCodes`.
        count: How many; with more of them the first ones are the same.
    """
    seed = mac(key, f"emergency {batch} {account}".encode("utf-8", "surrogatepass"))
    octets = hashlib.shake_256(seed).digest(EMERGENCY_OCTETS * count)
    cut = (octets[at : at + EMERGENCY_OCTETS] for at in range(0, len(octets), EMERGENCY_OCTETS))
    return [
        f"{int.from_bytes(one, 'big') % 10**EMERGENCY_DIGITS:0{EMERGENCY_DIGITS}}" for one in cut
    ]


def key_fingerprint(key: bytes) -> str:
    """A name for a key, by which a store knows it again: 16 hex digits, not reversible."""
    return mac(key, b"key-fingerprint").hex()[:16]


def matches(answer: str, expected: str) -> bool:
    """Compare an answer with the expected code: the only place that does."""
    # Constant time: the digits that match must not show in the delay.
    return hmac.compare_digest(answer.encode("utf-8", "replace"), expected.encode())


def echo(key: bytes, transaction_id: str, answer: str) -> str:
    """
    A name for an answer, by which the same answer is known again: 16 hex digits.

    It tells nothing of the answer to whoever lacks the key.
    """
    said = f"echo {transaction_id} {answer}".encode("utf-8", "replace")
    return mac(key, said).hex()[:16]


def seal(key: bytes, nonce: str, address: str) -> str:
    """
    Make a number, or mail address, unreadable without the key, for the message's row.

    A stream cipher with HMAC-SHA256 as pseudo-random function.

    Args:
        nonce: Used for one address only: see `nonce`.

    Returns:
        Lower-case hex, twice as long as `address` in octets.

    Raises:
        ValueError: `address` is longer than `SEALED_MAXIMUM` octets.
    """
    octets = address.encode()
    if len(octets) > SEALED_MAXIMUM:
        raise ValueError("the address is too long to be sealed")
    return _mask(key, nonce, octets).hex()


def unseal(key: bytes, nonce: str, sealed: str) -> str:
    """Undo `seal`.  Raises ValueError if `sealed` was not made with this key."""
    address = _mask(key, nonce, bytes.fromhex(sealed)).decode("latin-1")
    # Any key makes something of any seal; only the right one makes an address.
    if not re.fullmatch(r"\+[0-9]+", address) and not MAIL_ADDRESS.fullmatch(address):
        raise ValueError("the seal does not open with this key")
    return address


def nonce(transaction_id: str, way: str) -> str:
    """What the address of one way of a challenge is sealed with."""
    return transaction_id if way == SMS else f"{transaction_id} {way}"


def number_tag(key: bytes, phone: str) -> str:
    """
    A name for a number, or mail address, by which its messages are counted: 16 hex digits, not
    reversible.
    """
    return mac(key, b"number-tag " + phone.encode()).hex()[:16]


def answer_tag(key: bytes, authenticator: str, answer: str) -> str:
    """
    A name for one answer in one packet: 32 hex digits, not reversible.

    A retransmission has the same Request Authenticator and the same attributes (RFC 2865
    section 3); a client that uses an authenticator twice has not given the same answer.
    """
    text = f"answer-tag {authenticator} {answer}".encode("utf-8", "replace")
    return mac(key, text).hex()[:32]


def _mask(key: bytes, nonce: str, octets: bytes) -> bytes:
    stream, block = b"", ""
    while len(stream) < len(octets):
        # The first block has no number: as it was while there were numbers alone.
        stream += mac(key, f"phone-seal {nonce}{block}".encode())
        block = f" {len(stream)}"
    stream = stream[: len(octets)]
    masked = int.from_bytes(octets, "big") ^ int.from_bytes(stream, "big")
    return masked.to_bytes(len(octets), "big")
