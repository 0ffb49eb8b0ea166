"""The text of an SMS, from its template."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radius_smsotp.core import placeholder, text

if TYPE_CHECKING:
    from collections.abc import Mapping


def compose(
    template: str,
    values: Mapping[str, object],
    *,
    transliterate: bool = False,
    autofill: str | None = None,
) -> str:
    """
    Fill in a template, and see to it that nobody has to look for the code.

    Args:
        template: With ``{code}`` and whatever else `values` names.
        values: ``code`` and more.
        transliterate: Replace letters that would halve the room (see `text.transliterated`).
        autofill: A domain for whose login pages phones offer the code, or None.  The last line
            is then ``@DOMAIN #CODE``, as the specification "Origin-bound one-time codes
            delivered via SMS" (WICG) has it.

    Returns:
        A text with the code whole in its first part: at the front, if the template put it
        beyond, or did not have it at all.
    """
    code = str(values["code"])
    filled = placeholder.fill(template, values)
    if transliterate:
        filled = text.transliterated(filled)
    last = f"\n@{autofill} #{code}" if autofill else ""
    front = filled[: text.SHORTEST_PART]
    if code not in front and code not in text.split(filled + last)[0]:
        filled = f"{code} {filled}"
    return filled + last
