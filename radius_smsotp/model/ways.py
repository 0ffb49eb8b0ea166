"""
Ways to a user beside the SMS to their number: a word, which the settings know, and an address.

An administrator, or a directory, writes a way as ``mail=alice@example.org``, as the word alone
where the number is the account's, or as the address alone, which finds the first word for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from radius_smsotp.model import identity
from radius_smsotp.model.text import shown

Kind = Literal["phone", "email"]

WORD = re.compile("[a-z][a-z0-9-]{0,15}")

# RFC 5321 4.1.2: a Dot-string, then a domain or an address literal.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
MAIL_ADDRESS = re.compile(
    rf"{_ATOM}(?:\.{_ATOM})*@(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*|\[[0-9A-Za-z.:]+\])"
)

LONGEST = 254
"""Octets of a mail address (RFC 5321 4.5.3.1.3, which counts the brackets around it)."""


class Way(NamedTuple):
    """
    One way to a user.

    Attributes:
        word: What chooses it.
        address: E.164, a mail address, or "" for the account's number.
    """

    word: str
    address: str = ""

    def __str__(self) -> str:
        return f"{self.word}={self.address}" if self.address else self.word


def of(text: str) -> Way:
    """Undo `str`."""
    word, _, address = text.partition("=")
    return Way(word, address)


def read(text: str, known: Mapping[str, Kind], country: str | None) -> Way:
    """
    Read a way as people write it.

    Args:
        known: The words of the settings, each with the kind of its address.
        country: Where national writings of numbers belong.

    Raises:
        ValueError: With a sentence, which does not hold the address.
    """
    word, equals, address = text.strip().partition("=")
    if not word:
        raise ValueError("the way is empty")
    # A mail address may hold an equals sign itself.
    if not equals or not WORD.fullmatch(word.strip().lower()):
        word, address = ("", text.strip()) if re.search("[@+0-9]", text) else (text, "")
    word, address = word.strip().lower(), address.strip()
    if not word:
        kind: Kind = "email" if "@" in address else "phone"
        word = next((one for one, needed in known.items() if needed == kind), "")
        if not word:
            raise ValueError(f"the settings have no way for its address ({kind})")
    if word not in known:
        names = ", ".join(known) or "there is none"
        raise ValueError(f"the way '{shown(word)}' is not one of the settings' ways ({names})")
    if known[word] == "email" and not address:
        raise ValueError(f"the way '{word}' needs an address; write {word}=name@example.org")
    if known[word] == "email":
        return Way(word, read_mail(address))
    return Way(word, identity.normalise_number(address, country) if address else "")


def read_mail(address: str) -> str:
    """A mail address in the one form that is kept.  Raises ValueError with a sentence."""
    if not MAIL_ADDRESS.fullmatch(address) or len(address) > LONGEST:
        raise ValueError("is no mail address; write it as name@example.org")
    name, _, domain = address.rpartition("@")
    return f"{name}@{domain.lower()}"  # RFC 5321 2.4: only the domain may be folded


def is_mail(address: str) -> bool:
    """Whether an address is one for mails."""
    return "@" in address


def mask(address: str) -> str:
    """The hint that a user recognises and a stranger cannot use: "***67", "a…@e….org"."""
    if not is_mail(address):
        return identity.mask_number(address)
    name, _, domain = address.rpartition("@")
    host, dot, last = domain.rpartition(".")
    return f"{name[:1]}…@{(host or last)[:1]}…{dot + last if host else ''}"
