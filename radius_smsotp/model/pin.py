"""PINs, as FreeRADIUS's `pap` checks them.  Hashing is for the command line, never for radiusd."""

from __future__ import annotations

import base64
import hashlib
import unicodedata

SALT_OCTETS = 16
"""RFC 8018 section 4.1 asks for at least 8."""

LONGEST = 128
"""Octets; RFC 2865 section 5.2 carries no more in User-Password."""


def normalise(pin: str) -> str:
    """One form for every way to type the same characters (RFC 8265 section 4.2: NFC)."""
    return unicodedata.normalize("NFC", pin)


def decode(octets: bytes) -> str:
    """
    The password a client sent: UTF-8, or Latin-1 from clients that know no better.

    RFC 2865 names no encoding for User-Password.
    """
    try:
        return normalise(octets.decode("utf-8"))
    except UnicodeDecodeError:
        return normalise(octets.decode("latin-1"))


def digest(pin: str, salt: bytes, iterations: int) -> str:
    """
    The hash of a PIN.

    Returns:
        ``$PBKDF2$HMACSHA2+512:ROUNDS:SALT$HASH``, the form of Perl's Crypt::PBKDF2, which
        `rlm_pap` reads in `PBKDF2-Password` from FreeRADIUS 3.0.22 on.
    """
    octets = normalise(pin).encode()
    return _text(salt, hashlib.pbkdf2_hmac("sha512", octets, salt, iterations), iterations)


def decoy(random: bytes, iterations: int) -> str:
    """
    A hash that no PIN has, for accounts that cannot log in: checking it takes as long.

    Args:
        random: `SALT_OCTETS` + 64 random octets.
    """
    return _text(random[:SALT_OCTETS], random[SALT_OCTETS:], iterations)


def iterations(pin_hash: str) -> int:
    """How many rounds a hash was made with."""
    return int(pin_hash.split(":")[1])


def _text(salt: bytes, key: bytes, rounds: int) -> str:
    # Crypt::PBKDF2 separates by colons and one dollar sign, base64 as in RFC 4648 section 4.
    encoded = [base64.b64encode(octets).decode() for octets in (salt, key)]
    return f"$PBKDF2$HMACSHA2+512:{rounds}:{encoded[0]}${encoded[1]}"
