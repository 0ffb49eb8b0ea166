"""Names of languages as people and directories write them, and which of ours is meant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

TAG = re.compile(r"[a-z]{2,8}(-[a-z0-9]{1,8})*")
"""RFC 5646 section 2.1, as far as texts differ by it; folded."""


def fold_language(tag: str) -> str:
    """Bring "de-AT", "de_AT" and "de-at" to one form (RFC 5646 section 2.1.1: case is nothing)."""
    return tag.strip().replace("_", "-").lower()


def language_chain(tag: str) -> tuple[str, ...]:
    """The folded tag, and what is left of it part by part: de-at, de (RFC 4647 section 3.4)."""
    parts = tag.split("-")
    return tuple("-".join(parts[:count]) for count in range(len(parts), 0, -1))


def choose_language(wanted: str, known: Collection[str]) -> str:
    """
    The first language wanted that is known, or "".

    Args:
        wanted: A tag, or several as directories hold them in `preferredLanguage` (RFC 2798
            section 2.7): "de-AT, de;q=0.8, en;q=0.5".
        known: Folded tags.

    Returns:
        The known one: "de" for "de-at", unless "de-at" is known itself.
    """
    if not wanted:
        return ""  # as of nearly all accounts and requests
    ranked = []
    for part in wanted.split(","):
        tag, _, quality = part.partition(";")
        given = re.fullmatch(r"\s*q=(0(?:\.\d*)?|1(?:\.0*)?)\s*", quality)
        ranked.append((float(given[1]) if given else 1.0, fold_language(tag)))
    for weight, tag in sorted(ranked, key=lambda pair: -pair[0]):
        found = next((one for one in language_chain(tag) if one in known), "")
        if weight and found:
            return found
    return ""
