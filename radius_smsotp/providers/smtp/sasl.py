"""
Who we are, as a mail server wants to hear it (SASL, RFC 4422).

smtplib has ASCII passwords only, and no tokens.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import NamedTuple


class Mechanism(NamedTuple):
    """
    One way to log in.

    Attributes:
        initial: What is said with the command, or None.
        answers: What is said to one challenge after the other, each from the challenge.
    """

    initial: bytes | None
    answers: tuple[Callable[[bytes], bytes], ...] = ()


def with_password(username: str, password: str) -> Mapping[str, Mechanism]:
    """The ways for a password, the best first; all in UTF-8, as RFC 4616 2 has it for PLAIN."""
    name, secret = username.encode(), password.encode()

    def digest(challenge: bytes) -> bytes:
        return name + b" " + hmac.digest(secret, challenge, "md5").hex().encode()

    return {
        "CRAM-MD5": Mechanism(None, (digest,)),  # RFC 2195 2
        "PLAIN": Mechanism(b"\0" + name + b"\0" + secret),  # RFC 4616 2
        "LOGIN": Mechanism(None, (lambda _: name, lambda _: secret)),  # draft-murchison-sasl-login
    }


def with_token(username: str, token: str) -> Mapping[str, Mechanism]:
    """The ways for a token of OAuth 2."""
    bearer = f"\1auth=Bearer {token}\1\1"
    return {
        # Google's and Microsoft's; a challenge says what is wrong, and wants an empty answer.
        "XOAUTH2": Mechanism(f"user={username}{bearer}".encode(), (lambda _: b"",)),
        # RFC 7628 3.1; a comma and an equals sign in a name are written otherwise (RFC 5801 4).
        "OAUTHBEARER": Mechanism(
            f"n,a={username.replace('=', '=3D').replace(',', '=2C')},{bearer}".encode(),
            (lambda _: b"\1",),
        ),
    }
