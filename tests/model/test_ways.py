"""Ways as people write them, and as users are told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from radius_smsotp.model import ways
from radius_smsotp.model.ways import Way

if TYPE_CHECKING:
    from radius_smsotp.model.ways import Kind

KNOWN: dict[str, Kind] = {"call": "phone", "mail": "email", "private": "email", "second": "phone"}


@pytest.mark.parametrize(
    ("text", "way"),
    [
        ("mail=alice@example.org", Way("mail", "alice@example.org")),
        (" Mail = Alice.B@EXAMPLE.org ", Way("mail", "Alice.B@example.org")),
        ("alice@example.org", Way("mail", "alice@example.org")),
        ("mail=a=b@example.org", Way("mail", "a=b@example.org")),
        ("private=a=b@[192.0.2.1]", Way("private", "a=b@[192.0.2.1]")),
        ("call", Way("call")),
        ("CALL", Way("call")),
        ("second=0170 1234567", Way("second", "+491701234567")),
        ("+49 (170) 1234567", Way("call", "+491701234567")),
        ("0170/1234567", Way("call", "+491701234567")),
    ],
)
def test_a_way_is_read_in_any_writing(text: str, way: Way) -> None:
    found = ways.read(text, KNOWN, "DE")
    assert found == way
    assert ways.of(str(found)) == way


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("pigeon=a@example.org", "the way 'pigeon' is not one of the settings' ways"),
        ("pigeon", "the way 'pigeon' is not one of"),
        ("mail", "needs an address; write mail=name@example.org"),
        ("mail=alice", "is no mail address"),
        ("mail=alice@exämple.org", "is no mail address"),
        ("mail=a@b@c.d", "is no mail address"),
        ("mail=a b@example.org", "is no mail address"),
        (f"{'a' * 250}@b.cd", "is no mail address"),
        ("call=alice", "is not a phone number"),
        ("second=12", "wrong length"),
        (" ", "the way is empty"),
        ("mail@", "is no mail address"),
    ],
)
def test_what_is_no_way_is_told_without_the_address(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault) as caught:
        ways.read(text, KNOWN, "DE")
    assert "example.org" not in str(caught.value).replace("name@example.org", "")


def test_an_address_alone_needs_a_way_for_its_kind() -> None:
    with pytest.raises(ValueError, match=r"no way for its address \(email\)"):
        ways.read("alice@example.org", {"call": "phone"}, None)


@pytest.mark.parametrize(
    ("address", "hint"),
    [
        ("+491701234567", "***67"),
        ("alice.b@example.org", "a…@e….org"),
        ("a@mail.example.co.uk", "a…@m….uk"),
        ("root@localhost", "r…@l…"),
    ],
)
def test_a_hint_tells_the_user_and_no_stranger(address: str, hint: str) -> None:
    assert ways.mask(address) == hint
