"""Codes, seals and tags: what is derived from the key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radius_smsotp.model import code

RFC_4226 = json.loads((Path(__file__).parent / "rfc4226.json").read_text("utf-8"))

KEYS = st.binary(min_size=code.KEY_OCTETS, max_size=code.KEY_OCTETS)
IDS = st.text("0123456789abcdef", min_size=32, max_size=32)
PHONES = st.from_regex(r"\+[1-9][0-9]{5,20}", fullmatch=True)


def hotp(secret: bytes, counter: int, digits: int) -> str:
    """HOTP as RFC 4226 section 5.3 writes it down, step by step."""
    hs = hmac.new(secret, counter.to_bytes(8, "big"), hashlib.sha1).digest()
    offset = hs[19] & 0x0F
    p = int.from_bytes(hs[offset : offset + 4], "big")
    return str((p & 0x7FFFFFFF) % 10**digits).zfill(digits)


@pytest.mark.parametrize(("count", "value"), list(enumerate(RFC_4226["values"])))
def test_the_hotp_we_call_gives_the_values_of_rfc_4226(count: int, value: str) -> None:
    """Appendix D: ten values of one secret."""
    secret = RFC_4226["secret"].encode("ascii")
    assert pyotp.HOTP(base64.b32encode(secret).decode(), digits=6).at(count) == value
    assert hotp(secret, count, 6) == value


@given(key=KEYS, transaction_id=IDS, digits=st.integers(6, 9))
def test_a_code_is_hotp_of_key_and_transaction(
    key: bytes, transaction_id: str, digits: int
) -> None:
    """An independent computation comes to the same digits, leading zeros included."""
    secret = hmac.new(key, transaction_id.encode(), hashlib.sha256).digest()
    assert code.derive(key, transaction_id, digits) == hotp(secret, 0, digits)


def test_codes_of_other_transactions_or_keys_say_nothing_of_each_other() -> None:
    """Change one digit of the transaction or one bit of the key, and the code is another."""
    key = bytes(32)
    other = bytes(31) + b"\1"
    codes = {code.derive(key, f"{n:032x}", 9) for n in range(200)}
    codes |= {code.derive(other, f"{n:032x}", 9) for n in range(200)}
    assert len(codes) > 398  # two of 400 random numbers below 10^9 may meet; hardly more


@pytest.mark.parametrize("digits", [6, 7, 8, 9])
def test_every_digit_is_as_likely_as_any_other(digits: int) -> None:
    """Over 10,000 codes no digit of any place is far from a tenth."""
    codes = [code.derive(b"k" * 32, f"{n:032x}", digits) for n in range(10_000)]
    # 31 bits are no multiple of 10^9: its first digit may be 0 or 1 more often (RFC 4226 A).
    for place in range(1 if digits == 9 else 0, digits):
        for digit in "0123456789":
            share = sum(one[place] == digit for one in codes) / len(codes)
            assert 0.08 < share < 0.12, (place, digit)


def test_the_right_code_matches_and_nothing_else_does() -> None:
    """Length, blanks and other writings of digits all count."""
    assert code.matches("012345", "012345")
    for wrong in ("", "12345", "0123456", " 012345", "012346", "٠١٢٣٤٥", "012345\0", "\ud800"):
        assert not code.matches(wrong, "012345"), wrong


@given(key=KEYS, transaction_id=IDS, phone=PHONES)
def test_a_sealed_number_opens_with_its_key(key: bytes, transaction_id: str, phone: str) -> None:
    """`unseal` undoes `seal`, and the seal does not show the number."""
    sealed = code.seal(key, transaction_id, phone)
    assert len(sealed) == 2 * len(phone)
    assert phone.encode().hex() != sealed
    assert code.unseal(key, transaction_id, sealed) == phone


def test_one_number_is_sealed_differently_in_each_transaction() -> None:
    """Who reads the store cannot tell which challenges went to one number."""
    seals = {code.seal(b"k" * 32, f"{n:032x}", "+491701234567") for n in range(100)}
    assert len(seals) == 100


@pytest.mark.parametrize("length", [31, 32, 33, 64, 65, 254])
def test_a_seal_hides_addresses_of_any_length(length: int) -> None:
    """The key stream comes in blocks of 32 octets, none of which comes twice."""
    address = "a" * (length - 4) + "@b.c"
    sealed = code.seal(b"k" * 32, "0", address)
    assert code.unseal(b"k" * 32, "0", sealed) == address
    blocks = [sealed[at : at + 64] for at in range(0, 2 * (length - 4) - 64, 64)]
    assert len({*blocks}) == len(blocks)


def test_two_addresses_of_one_challenge_have_seals_of_their_own() -> None:
    """What is common to both must not show."""
    nonces = [code.nonce("0" * 32, way) for way in ("sms", "call", "mail")]
    assert nonces[0] == "0" * 32  # as it was while there were numbers alone
    assert len({code.seal(b"k" * 32, nonce, "+491701234567") for nonce in nonces}) == 3


def test_what_is_too_long_is_not_sealed_in_part() -> None:
    with pytest.raises(ValueError, match="too long"):
        code.seal(b"k" * 32, "0", "+" + "1" * 254)


def test_another_key_does_not_open_a_seal() -> None:
    """It raises, or gives something that is no number: never the number."""
    for n in range(200):
        sealed = code.seal(b"k" * 32, f"{n:032x}", "+491701234567")
        with pytest.raises(ValueError, match="seal"):
            code.unseal(b"K" * 32, f"{n:032x}", sealed)


def test_a_seal_that_is_no_seal_is_an_error() -> None:
    """Whatever stands in the row, `unseal` raises ValueError and nothing else."""
    for damaged in ("zz", "0", "00" * 40):
        with pytest.raises(ValueError):  # noqa: PT011  # whatever its text
            code.unseal(b"k" * 32, "0" * 32, damaged)


@given(key=KEYS, one=PHONES, two=PHONES)
def test_a_tag_names_one_number_and_does_not_show_it(key: bytes, one: str, two: str) -> None:
    """Equal numbers have equal tags, others others; the digits are not in it."""
    tag = code.number_tag(key, one)
    assert len(tag) == 16
    assert set(tag) <= set("0123456789abcdef")
    assert (tag == code.number_tag(key, two)) == (one == two)
    assert one not in tag


def test_an_answer_has_one_tag_in_one_packet() -> None:
    """Another answer, packet or key has another; the answer is not in it."""
    tag = code.answer_tag(b"k" * 32, "0x01", "123456")
    assert tag == code.answer_tag(b"k" * 32, "0x01", "123456")
    others = [
        (b"k" * 32, "0x02", "123456"),
        (b"k" * 32, "0x01", "123457"),
        (b"K" * 32, "0x01", "123456"),
    ]
    assert len({tag, *(code.answer_tag(*one) for one in others)}) == 4
    assert len(tag) == 32
    assert "123456" not in tag


def test_code_seal_and_tags_come_from_separate_streams() -> None:
    """Knowing one of them does not give another: their HMAC inputs never meet."""
    key, transaction_id = b"k" * 32, "0" * 32
    phone = "+491701234567"
    inputs = {
        transaction_id,
        f"phone-seal {transaction_id}",
        f"number-tag {phone}",
        "answer-tag 0x00 123456",
    }
    assert len({hmac.digest(key, text.encode(), "sha256") for text in inputs}) == 4
    stream = hmac.digest(key, f"phone-seal {transaction_id}".encode(), "sha256")
    sealed = bytes.fromhex(code.seal(key, transaction_id, phone))
    assert bytes(a ^ b for a, b in zip(sealed, stream, strict=False)) == phone.encode()


def test_emergency_codes_are_those_of_one_list_of_one_account_under_one_key() -> None:
    """A longer list begins with the shorter one, so that one has its number for good."""
    key, batch = b"k" * 32, "ab" * 16
    codes = code.emergency(key, "alice", batch, 50)
    assert codes[:3] == code.emergency(key, "alice", batch, 3)
    others = [(b"K" * 32, "alice", batch), (key, "bob", batch), (key, "alice", "cd" * 16)]
    found = {*codes, *(one for other in others for one in code.emergency(*other, 50))}
    assert len(found) == 200
    assert {len(one) for one in found if one.isdecimal()} == {code.EMERGENCY_DIGITS}
