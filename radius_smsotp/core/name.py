"""User names: which writings mean the same account."""

from __future__ import annotations

import hashlib
import unicodedata

SHARES = 256
"""Into so many shares names are told apart where each cannot have a place of its own."""


def fold_name(name: str) -> str:
    """
    The name by which an account is found.

    "Alice" and "alice" are one account, as in every directory that FreeRADIUS asks: if they
    were two, whoever knows a PIN would get the limits of each writing.  RFC 8265 section 3.3
    (UsernameCaseMapped): width mapping, lower case, normalisation form C; form KC maps width.

    Blanks stand between words, one at a time.  A directory finds "alice" under "alice  " too (RFC
    4518 section 2.6.1), and each writing would have failures of its own.  So a name is one line.
    """
    if not name.isascii():
        # U+0130 is the one capital of which Python, by SpecialCasing.txt, makes more than the one
        # small letter that UnicodeData.txt has, and directories.
        name = unicodedata.normalize("NFKC", name).replace("\u0130", "i")
    name = " ".join(name.lower().split())
    return name if name.isascii() else unicodedata.normalize("NFKC", name)


def share(name: str, shares: int = SHARES) -> int:
    """Which of so many equal shares of all names a folded name is in, always the same."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return int.from_bytes(digest) % shares
