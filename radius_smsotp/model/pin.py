"""
PINs: a hash as FreeRADIUS's `pap` checks it, and the seal under which it is kept.

The 64 octets of a sealed hash are XORed with HMAC-SHA512 of account and salt under a key that the
store does not hold: what is in the store alone tells nothing of the PIN.  The name in it keeps a
hash from being copied to another account.  Each salt is used for one hash.
"""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata

from radius_smsotp.model import code
from radius_smsotp.model.identity import fold_name

SALT_OCTETS = 16
"""RFC 8018 section 4.1 asks for at least 8."""

HASH_OCTETS = 64
"""Output of HMAC-SHA512, and so of its PBKDF2."""

SCHEME = "$PBKDF2$"
"""How a hash begins that is not sealed; before it stands the id of the key of one that is."""

LONGEST = 128
"""Octets; RFC 2865 section 5.2 carries no more in User-Password."""

FAKE = "\b\n\r\x7fINCORRECT"
"""See `is_fake`."""

SHORTEST = 4
"""Characters (ISO 9564-1: a PIN has 4 to 12 digits)."""


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


def typed(password: str) -> str:
    """
    A password without what clients put behind it: the end of a C string, or of a line.

    What sshd sends in place of one stays whole: it may end so.
    """
    return password if is_fake(password) else password.rstrip("\0\r\n")


def is_fake(password: str) -> bool:
    """Whether it is what sshd sends in place of a password, as long as that, for who is unknown to
    it (OpenSSH, auth-pam.c, ``fake_password``)."""
    return password != "" and (FAKE * (len(password) // len(FAKE) + 1)).startswith(password)


def is_garbled(password: str) -> bool:
    """Whether nobody types such: what a password becomes that was hidden with another secret."""
    return any(unicodedata.category(char) == "Cc" for char in password)


def digest(pin: str, salt: bytes, iterations: int) -> str:
    """
    The hash of a PIN.

    Returns:
        ``$PBKDF2$HMACSHA2+512:ROUNDS:SALT$HASH``, the form of Perl's Crypt::PBKDF2, which
        `rlm_pap` reads in `PBKDF2-Password` from FreeRADIUS 3.0.22 on.
    """
    octets = normalise(pin).encode()
    return _text(salt, hashlib.pbkdf2_hmac("sha512", octets, salt, iterations), iterations)


def is_hash_of(pin_hash: str, pin: str) -> bool:
    """Whether an open hash was made of a PIN, for who may see the hash: the time may show more."""
    return digest(pin, salt(pin_hash), iterations(pin_hash)) == pin_hash


def decoy(random: bytes, iterations: int) -> str:
    """
    A hash that no PIN has, for accounts that cannot log in: checking it takes as long.

    Args:
        random: `SALT_OCTETS` + `HASH_OCTETS` random octets.
    """
    return _text(random[:SALT_OCTETS], random[SALT_OCTETS:], iterations)


def iterations(pin_hash: str) -> int:
    """How many rounds a hash was made with, sealed or not."""
    return int(pin_hash.rsplit(":", 2)[1])


def salt(pin_hash: str) -> bytes:
    """What a hash was made with."""
    return base64.b64decode(pin_hash.rpartition("$")[0].rpartition(":")[2])


def sealed_with(pin_hash: str) -> str:
    """The id of the key that a hash is sealed with, "" if it is not."""
    return pin_hash.partition(SCHEME)[0]


def seal(pin_hash: str, name: str, key_id: str, key: bytes) -> str:
    """
    Make a hash worthless without the key.

    Args:
        pin_hash: As `digest` leaves it.
        name: Of the account, folded.

    Returns:
        ``KEY_ID$PBKDF2$HMACSHA2+512:ROUNDS:SALT$SEALED``.
    """
    return key_id + _masked(pin_hash, name, key)


def unseal(sealed: str, name: str, key: bytes) -> str:
    """
    Undo `seal`; of another account, or with another key, it makes a hash that no PIN has.

    Raises:
        ValueError: This is no sealed hash.
    """
    return _masked(sealed[sealed.index(SCHEME) :], name, key)


def _masked(pin_hash: str, name: str, key: bytes) -> str:
    head, _, encoded = pin_hash.rpartition("$")
    octets = base64.b64decode(encoded)
    if len(octets) != HASH_OCTETS:
        raise ValueError("this is no PIN hash")
    # With the length before it, no other name and salt make the same text.
    whose = name.encode("utf-8", "surrogatepass")
    text = b"pin" + len(whose).to_bytes(4, "big") + whose + salt(pin_hash)
    mask = int.from_bytes(code.mac(key, text, "sha512"), "big")
    masked = (int.from_bytes(octets, "big") ^ mask).to_bytes(HASH_OCTETS, "big")
    return f"{head}${base64.b64encode(masked).decode()}"


def _text(salt: bytes, key: bytes, rounds: int) -> str:
    # Crypt::PBKDF2 separates by colons and one dollar sign, base64 as in RFC 4648 section 4.
    encoded = [base64.b64encode(octets).decode() for octets in (salt, key)]
    return f"{SCHEME}HMACSHA2+512:{rounds}:{encoded[0]}${encoded[1]}"


def weakness(pin: str, name: str, phone: str | None) -> str:
    """
    Why a PIN is one of those that are guessed first.

    Args:
        name: Of its user, folded.
        phone: E.164, or None.

    Returns:
        What it is, as "a sequence"; "" if nothing is known against it.
    """
    plain = fold_name(pin)
    steps = set(map(_step, plain, plain[1:]))
    if steps <= {0}:
        return "one character repeated"
    if steps in ({1}, {-1}):
        return "a sequence"
    # "alice1!" is no better than "alice".
    bare = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", plain)
    if plain in name or bare == name or (bare[2:] and bare in re.split(r"[\W_]+", name)):
        return "taken from the user name"
    if phone is not None and _is_of_number(plain, phone.removeprefix("+")):
        return "taken from the phone number"
    return ""


def _step(one: str, other: str) -> int:
    """How far it is from one character to another; 0 comes behind 9."""
    here, there = unicodedata.decimal(one, -1), unicodedata.decimal(other, -1)
    return ord(other) - ord(one) if -1 in {here, there} else (there - here + 1) % 10 - 1


def _is_of_number(pin: str, digits: str) -> bool:
    """Whether a PIN is part of a number, or how it begins where it is dialled."""
    bare = re.sub("[-+ /.]", "", pin)
    if not bare.isdecimal():
        return False
    plain = "".join(str(unicodedata.decimal(char)) for char in bare)
    # A country code has one to three digits; 0 stands in place of it, or 00 before it.
    dialled = (f"00{digits}", *(f"0{digits[length:]}" for length in (1, 2, 3)))
    return plain in digits or any(one.startswith(plain) for one in dialled)
