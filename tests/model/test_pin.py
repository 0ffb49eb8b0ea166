"""PINs, as FreeRADIUS's `pap` checks them."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radius_smsotp.model import pin

SALT = bytes(range(16))


def test_a_hash_is_pbkdf2_as_freeradius_reads_it() -> None:
    """``$PBKDF2$HMACSHA2+512:ROUNDS:SALT$HASH``; the hash has 64 octets."""
    _, scheme, fields, checksum = pin.digest("geheim", SALT, 1000).split("$")
    algorithm, rounds, salt = fields.split(":")
    assert (scheme, algorithm, rounds) == ("PBKDF2", "HMACSHA2+512", "1000")
    assert base64.b64decode(salt, validate=True) == SALT
    assert base64.b64decode(checksum, validate=True) == hashlib.pbkdf2_hmac(
        "sha512", b"geheim", SALT, 1000
    )


def test_a_hash_is_the_one_that_passlib_makes() -> None:
    """From passlib's own tests of pbkdf2_sha512, with its signs for base64 replaced."""
    salt = base64.b64decode("RHY0Fr3IDMSVO/RSZyb5ow==")
    assert pin.digest("password", salt, 1212) == (
        "$PBKDF2$HMACSHA2+512:1212:RHY0Fr3IDMSVO/RSZyb5ow==$"
        "eNLfBK+eVozomMr+1gYa17k9B7KIK25NOEshvhrSX+esqY3s"
        "+FvWZViXz4KoLlQI+BzY/YTNJOiKc5gBYFYGww=="
    )


def test_every_way_to_type_a_pin_gives_one_hash() -> None:
    """An umlaut as one character or as letter and mark is the same key on another keyboard."""
    assert pin.digest("u\u0308ber", SALT, 1) == pin.digest("über", SALT, 1)
    assert pin.digest("Über", SALT, 1) != pin.digest("über", SALT, 1)


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"geheim", "geheim"),
        ("über".encode(), "über"),
        ("über".encode("latin-1"), "über"),
        ("u\u0308ber".encode(), "über"),
        (b"", ""),
        (b"\xff\xfe", "ÿþ"),
    ],
)
def test_a_password_is_read_as_utf8_else_latin1(octets: bytes, text: str) -> None:
    """Clients that know no UTF-8 send Latin-1; both type the same PIN."""
    assert pin.decode(octets) == text


@given(st.binary(max_size=128))
def test_any_octets_are_read_as_some_text(octets: bytes) -> None:
    """A password never ends a login with an exception, and comes out normalised."""
    text = pin.decode(octets)
    assert pin.normalise(text) == text
    text.encode()  # there is no surrogate in it


def test_a_decoy_takes_as_long_and_looks_the_same() -> None:
    """Same form, same rounds, same lengths: nothing but the PIN that it does not have."""
    decoy = pin.decoy(bytes(range(pin.SALT_OCTETS + 64)), 1234)
    real = pin.digest("x", SALT, 1234)
    assert [len(part) for part in decoy.split("$")] == [len(part) for part in real.split("$")]
    assert decoy.split(":")[:2] == real.split(":")[:2]
    assert pin.iterations(decoy) == pin.iterations(real) == 1234
