"""User names: which writings mean the same account."""

from __future__ import annotations

import unicodedata


def fold(name: str) -> str:
    """
    The name by which an account is found.

    "Alice" and "alice" are one account, as in every directory that FreeRADIUS asks: if they
    were two, whoever knows a PIN would get the limits of each writing.  RFC 8265 section 3.3
    (UsernameCaseMapped): width mapping, lower case, normalisation form C; form KC maps width.
    """
    if name.isascii():
        return name.lower()  # what the rest comes to
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).lower())
