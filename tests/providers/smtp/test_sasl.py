"""What is said to log in, as the documents have it that define it."""

from __future__ import annotations

import base64

import pytest

from radius_smsotp.providers.smtp.sasl import with_password, with_token


def test_cram_md5() -> None:
    """RFC 2195 2."""
    mechanism = with_password("tim", "tanstaaftanstaaf")["CRAM-MD5"]
    [answer] = mechanism.answers
    challenge = b"<1896.697170952@postoffice.reston.mci.net>"
    assert answer(challenge) == b"tim b913a602c7eda7a495b4e6e7334d3890"
    assert mechanism.initial is None


def test_plain() -> None:
    """RFC 4616 4."""
    assert with_password("tim", "tanstaaftanstaaf")["PLAIN"].initial == b"\0tim\0tanstaaftanstaaf"


def test_login_has_any_letters() -> None:
    answers = with_password("jürgen", "pässwörd")["LOGIN"].answers
    assert [answer(b"").decode() for answer in answers] == ["jürgen", "pässwörd"]


def test_xoauth2() -> None:
    """Google's example: https://developers.google.com/workspace/gmail/imap/xoauth2-protocol"""
    token = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"
    mechanism = with_token("someuser@example.com", token)["XOAUTH2"]
    assert base64.b64encode(mechanism.initial or b"").decode() == (
        "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhk"
        "SFJoZG1semRHRXVZMjl0Q2cBAQ=="
    )


@pytest.mark.parametrize(
    ("name", "written"), [("user@example.com", "user@example.com"), ("a=b,c", "a=3Db=2Cc")]
)
def test_oauthbearer(name: str, written: str) -> None:
    """RFC 7628 3.1, 4.1; RFC 5801 4."""
    mechanism = with_token(name, "vF9dft4qmTc")["OAUTHBEARER"]
    assert mechanism.initial == f"n,a={written},\1auth=Bearer vF9dft4qmTc\1\1".encode()
