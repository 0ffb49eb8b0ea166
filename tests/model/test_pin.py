"""PINs, as FreeRADIUS's `pap` checks them."""

from __future__ import annotations

import base64
import hashlib
import hmac

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


@pytest.mark.parametrize(
    ("chosen", "weakness"),
    [
        ("0000", "one character repeated"),
        ("xxxxxx", "one character repeated"),
        ("xX", "one character repeated"),
        ("7", "one character repeated"),
        ("    ", "one character repeated"),
        ("1234", "a sequence"),
        ("0123", "a sequence"),
        ("9876", "a sequence"),
        ("7890", "a sequence"),
        ("2109", "a sequence"),
        ("12345678901", "a sequence"),
        ("abcd", "a sequence"),
        ("aBcDeF", "a sequence"),
        ("zyxw", "a sequence"),
        ("\u0661\u0662\u0663\u0664", "a sequence"),  # Arabic-Indic digits
        ("\uff11\uff12\uff13\uff14", "a sequence"),  # of full width
        ("anna.b-77", "taken from the user name"),
        ("Anna", "taken from the user name"),
        ("anna1987", "taken from the user name"),
        ("!ANNA!", "taken from the user name"),
        ("0170", "taken from the phone number"),
        ("2345", "a sequence"),
        ("5832", "taken from the phone number"),
        ("01705832", "taken from the phone number"),
        ("0049170", "taken from the phone number"),
        ("49170", "taken from the phone number"),
        ("+49 170", "taken from the phone number"),
        ("1235", ""),
        ("8901x", ""),
        ("0832", ""),  # the 0 is dialled in front, and nowhere else
        ("anni", ""),
        ("annabella", ""),
        ("b7341", ""),
        ("5823", ""),
        ("2580", ""),
        ("correct horse", ""),
    ],
)
def test_a_pin_that_is_guessed_first_is_known(chosen: str, weakness: str) -> None:
    """Sequences and repetitions in any script, the user's own name, the digits of the number."""
    assert pin.weakness(chosen, "anna.b-77", "+49170583299") == weakness


def test_what_is_not_known_of_a_user_makes_no_pin_weak() -> None:
    """A number comes from a directory, perhaps."""
    assert pin.weakness("5832", "anna", None) == ""
    assert pin.weakness("5678x", "x5678x", None) == "taken from the user name"


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_pin_of_anybody_is_judged(chosen: str, name: str) -> None:
    """None ends a command with an exception, and no judgement repeats the PIN."""
    assert pin.weakness(chosen, name, "+49170583299") in {
        "",
        "one character repeated",
        "a sequence",
        "taken from the user name",
        "taken from the phone number",
    }


KEY = bytes(range(32, 64))


def test_a_seal_is_an_xor_with_the_hmac_of_name_and_salt() -> None:
    """All else stays readable: rounds for the decoys, the salt, and which key it is."""
    plain = pin.digest("geheim", SALT, 1000)
    sealed = pin.seal(plain, "zoë", "p1", KEY)
    assert sealed.rpartition("$")[0] == "p1" + plain.rpartition("$")[0]
    octets = [base64.b64decode(one.rpartition("$")[2], validate=True) for one in (plain, sealed)]
    mask = hmac.new(KEY, b"pin\0\0\0\x04zo\xc3\xab" + SALT, hashlib.sha512).digest()
    assert bytes(one ^ other for one, other in zip(*octets, strict=True)) == mask
    assert pin.unseal(sealed, "zoë", KEY) == plain
    assert (pin.sealed_with(sealed), pin.sealed_with(plain)) == ("p1", "")
    assert pin.iterations(sealed) == pin.iterations(plain) == 1000
    assert pin.salt(sealed) == pin.salt(plain) == SALT


@given(st.text(), st.text(), st.binary(min_size=32), st.binary(max_size=40))
def test_a_seal_opens_for_its_account_and_with_its_key_only(
    name: str, other: str, key: bytes, salt: bytes
) -> None:
    plain = pin.digest("1234", salt, 1)
    sealed = pin.seal(plain, name, "p1", key)
    assert pin.unseal(sealed, name, key) == plain != sealed[2:]
    assert pin.unseal(sealed, name, key + b"x") != plain
    assert (pin.unseal(sealed, other, key) == plain) == (name == other)


def test_no_pin_gives_what_is_kept_of_one() -> None:
    """Neither as it is kept, nor opened with another key or for another account."""
    plain = pin.digest("2580", SALT, 1)
    sealed = pin.seal(plain, "alice", "p1", KEY)
    octets = {
        one.rpartition("$")[2]
        for one in (sealed, pin.unseal(sealed, "alice", KEY[::-1]), pin.unseal(sealed, "bob", KEY))
    }
    tried = {pin.digest(f"{number:04}", SALT, 1).rpartition("$")[2] for number in range(10_000)}
    assert plain.rpartition("$")[2] in tried
    assert len(octets) == 3
    assert not octets & tried


@pytest.mark.parametrize("moved", [1, 5, 12])
def test_name_and_salt_are_told_apart_by_more_than_their_order(moved: int) -> None:
    """What is cut off one and put before the other makes another seal."""
    name, key = "alice-and-bob", KEY
    plain = pin.digest("1234", SALT, 1)
    tail = name[-moved:].encode()
    other = pin.seal(pin.digest("1234", tail + SALT, 1), name[:-moved], "", key)
    masks = [
        int.from_bytes(base64.b64decode(sealed.rpartition("$")[2]), "big")
        ^ int.from_bytes(base64.b64decode(opened.rpartition("$")[2]), "big")
        for sealed, opened in (
            (pin.seal(plain, name, "", key), plain),
            (other, pin.digest("1234", tail + SALT, 1)),
        )
    ]
    assert masks[0] != masks[1]


@pytest.mark.parametrize("text", ["", "p1", "hash", "p1$PBKDF2$", "$PBKDF2$X:1:AA==$AA=="])
def test_what_is_no_hash_is_not_unsealed(text: str) -> None:
    with pytest.raises(ValueError, match=r"not found|no PIN hash"):
        pin.unseal(text, "alice", KEY)
