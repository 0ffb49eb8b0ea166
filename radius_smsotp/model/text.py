"""
Texts: their placeholders, and what they need as an SMS: alphabet, length, parts.

Tables and lengths: 3GPP TS 23.038 6.2.1 (alphabets) and TS 23.040 9.2.3.24.1 (parts).
"""

# ruff: noqa: RUF001 -- letters that look like others are what the tables are about

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Collection, Mapping
from datetime import timedelta
from enum import Enum

REPLY_MESSAGE_OCTETS = 253
"""RFC 2865 section 5: a value holds 253 octets at most."""

GTC_OCTETS = 1020 - 5
"""RFC 3748 section 3.1: every lower layer carries packets of 1020 octets; five are its header."""

CUT = "... "
"""Where words are missing."""

ESCAPE = 0x1B
"""The septet before a letter of the extension table (TS 23.038 6.2.1)."""

DEFAULT = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The GSM 7 bit default alphabet in the order of its codes (TS 23.038 6.2.1)."""

EXTENSION = {
    "\f": 0x0A,
    "^": 0x14,
    "{": 0x28,
    "}": 0x29,
    "\\": 0x2F,
    "[": 0x3C,
    "~": 0x3D,
    "]": 0x3E,
    "|": 0x40,
    "€": 0x65,
}
"""The extension table: each of these letters takes two septets (TS 23.038 6.2.1.1)."""

_SEPTETS = {letter: bytes([code]) for code, letter in enumerate(DEFAULT) if code != ESCAPE} | {
    letter: bytes([ESCAPE, code]) for letter, code in EXTENSION.items()
}

_PLAIN = frozenset(
    letter for code, letter in enumerate(DEFAULT) if code == ord(letter) and letter.isprintable()
)

# Letters without a decomposition in Unicode, and signs that people type or paste.
_NEAREST = {
    ord(letter): nearest
    for letters, nearest in (
        ("“”„‟«»″", '"'),
        ("‘’‚‛‹›′ʼ`´", "'"),
        ("‐‑‒–—―−", "-"),
        ("•·", "*"),
        ("÷", ":"),
        ("⁄", "/"),
        ("\t", " "),
        # Not visible: soft hyphen, zero width letters, marks of direction, byte order mark.
        ("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff", ""),
        *zip("łŁđĐðÐħĦıŧŦ×¢", "lLdDdDhHitTxc", strict=True),
        *zip("œŒþÞẞ©®", ("oe", "OE", "th", "Th", "SS", "(C)", "(R)"), strict=True),
    )
    for letter in letters
}


SHORTEST_PART = 33
"""Letters that the first part of any message holds: of UCS2, with a surrogate pair for each."""


class Alphabet(Enum):
    """The two alphabets of an SMS.  Units are septets in GSM7 and 16-bit words in UCS2."""

    GSM7 = "gsm7"
    UCS2 = "ucs2"

    @property
    def alone(self) -> int:
        """Units in a message of one part: 140 octets (TS 23.040 9.2.3.16)."""
        return 160 if self is Alphabet.GSM7 else 70

    @property
    def in_part(self) -> int:
        """Units in one of several parts: six octets go to the header (TS 23.040 9.2.3.24.1)."""
        return 153 if self is Alphabet.GSM7 else 67

    def units(self, letter: str) -> int:
        """Units that one letter takes."""
        if self is Alphabet.GSM7:
            return len(_SEPTETS[letter])
        return 2 if ord(letter) > 0xFFFF else 1  # beyond the BMP: a surrogate pair


def shown(value: object) -> str:
    """
    What somebody wrote into a file, as far as it is a name or a number.

    Behind a missing blank or quote may stand a password, and whole lines of the file.
    """
    text = str(value)
    name = re.match(r"\+?[\w.-]*", text)
    return text if name is None or name[0] == text else f"{name[0]}…"


def alphabet(text: str) -> Alphabet:
    """The alphabet that `text` needs: UCS2 as soon as one letter is not in GSM7."""
    return Alphabet.GSM7 if all(letter in _SEPTETS for letter in text) else Alphabet.UCS2


def units(text: str) -> int:
    """The length of `text` in units of its alphabet."""
    needed = alphabet(text)
    return sum(needed.units(letter) for letter in text)


def split(text: str) -> tuple[str, ...]:
    """
    Cut `text` into the parts that are sent; a single part if it fits.

    An escaped letter and a surrogate pair stay whole, as TS 23.040 9.2.3.24.1 demands.  All parts
    are in the alphabet of the whole text.
    """
    needed = alphabet(text)
    if units(text) <= needed.alone:
        return (text,)
    parts: list[str] = []
    start, filled = 0, 0
    for position, letter in enumerate(text):
        size = needed.units(letter)
        if filled + size > needed.in_part:
            parts.append(text[start:position])
            start, filled = position, 0
        filled += size
    return (*parts, text[start:])


def extent(text: str) -> str:
    """What a text takes, as people are told: "1 SMS, 53 of 160 characters (gsm7)"."""
    needed, parts = alphabet(text), len(split(text))
    room = needed.alone if parts == 1 else needed.in_part * parts
    return f"{parts} SMS, {units(text)} of {room} characters ({needed.value})"


def septets(text: str) -> bytes:
    """
    The codes of `text` in GSM7, one septet in each byte.

    Raises:
        ValueError: a letter is not in the alphabet.  Its text holds nothing of `text`.
    """
    if alphabet(text) is not Alphabet.GSM7:
        raise ValueError("the text holds letters that are not in the GSM 7 bit alphabet")
    return b"".join(_SEPTETS[letter] for letter in text)


def is_plain(text: str) -> bool:
    """True if every letter has the same code in ASCII and in GSM7, and is no control character."""
    return all(letter in _PLAIN for letter in text)


def transliterated(text: str) -> str:
    """
    Write `text` with letters of GSM7, so that it needs fewer parts.

    What the alphabet knows stays (é, ü, €); other accents fall (ç is c, ő is o), quotation marks
    and dashes become plain ones.  If one letter has no near one (Cyrillic, an emoji), the text
    comes back as it was: all of it is sent in UCS2 then, and nothing would be gained.
    """
    nearer = "".join(_nearest(letter) for letter in unicodedata.normalize("NFC", text))
    return nearer if alphabet(nearer) is Alphabet.GSM7 else text


def _nearest(letter: str) -> str:
    if letter in _SEPTETS:
        return letter
    if ord(letter) in _NEAREST:
        return _NEAREST[ord(letter)]
    pieces = unicodedata.normalize("NFKD", letter)
    if pieces == letter:
        return "" if unicodedata.combining(letter) else letter
    if unicodedata.combining(pieces[-1]):
        # One accent less each time: "ǘ" is not in the alphabet, but "ü" is.
        pieces = unicodedata.normalize("NFC", pieces[:-1])
    return "".join(_nearest(piece) for piece in pieces)


def fit(text: str, octets: int) -> str:
    """
    Cut `text` to at most `octets` octets of UTF-8, between two characters.

    A Reply-Message holds `REPLY_MESSAGE_OCTETS`.
    """
    # A lone surrogate is no character, and UTF-8 cannot hold it: it becomes "?".
    encoded = text.encode("utf-8", "replace")
    return encoded[: max(octets, 0)].decode("utf-8", "ignore")


_TOKEN = re.compile(r"\{\{|\}\}|\{(\w+)\}|<(phone|phone_digits|message|otp|code)>|[{}]")
"""The grammar of all templates: ``{name}``, doubled braces for one brace, and for what providers
send also ``<phone>``, as old versions of privacyIDEA have it."""

OF_CODE = ("code", "otp")
"""The placeholders that stand for the code alone: ours, and privacyIDEA's."""


def fill(template: str, values: Mapping[str, object]) -> str:
    """
    Fill in a template, in one pass: what is put in is not looked at again.

    Args:
        template: What `check_template` finds fault with is left as it is: such a text comes from
            FreeRADIUS at the time of a login, when there is nobody to mend it.
        values: By the name of the placeholder, escaped for the place where the template stands.
    """

    def one(found: re.Match[str]) -> str:
        name = _placeholder(found)
        if name in values:
            return str(values[name])
        return found[0][0] if found[0] in {"{{", "}}"} else found[0]

    return _TOKEN.sub(one, template)


def fill_within(template: str, values: Mapping[str, object], octets: int, before: str = "") -> str:
    """
    Fill in a template, for a place that holds no more than so many octets of UTF-8.

    What is too long loses words of its own, the longest piece first, and nothing of what is filled
    in: the number, and how long the code is.

    Args:
        before: Stands before it.
    """
    filled = before + fill(template, values)
    if _octets(filled) <= octets:
        return filled
    pieces, end = [before], 0
    for found in _TOKEN.finditer(template):
        pieces += [template[end : found.start()], fill(found[0], values)]
        end = found.end()
    pieces.append(template[end:])
    # The words, between what is filled in.
    words = {0, *range(1, len(pieces), 2)}
    while words and (excess := _octets("".join(pieces)) - octets) > 0:
        longest = max(words, key=lambda place: _octets(pieces[place]))
        left = _octets(pieces[longest]) - excess - len(CUT)
        pieces[longest] = fit(pieces[longest], left).rstrip() + CUT if left > 0 else ""
        words.remove(longest)
    return fit("".join(pieces), octets)


def _octets(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def placeholders(template: str) -> set[str]:
    """The names of the placeholders in a template, known or not."""
    return {name for found in _TOKEN.finditer(template) if (name := _placeholder(found))}


def check_template(template: str, known: Collection[str], where: str = "") -> None:
    """
    Look whether a template of the settings can be filled in.

    Args:
        known: The placeholders that it may have.
        where: What it is a part of, for the error.

    Raises:
        ValueError: "FAULT; REMEDY", in which a placeholder that is none is all that is quoted.
    """
    place = f" at {where}" if where else ""
    for found in _TOKEN.finditer(template):
        if found[0] in {"{", "}"}:
            fault = f"a brace stands alone{place}"
            raise ValueError(f"{fault}; write a brace that is meant as such twice")
        if found[1] and found[1] not in known:
            fault = f"{found[0]}{place} is no placeholder here"
            raise ValueError(f"{fault}; {_suggestion(found[1].lower(), known)}")


def _placeholder(found: re.Match[str]) -> str:
    """The placeholder that a piece of a template is, or "": a tag that is closed is markup."""
    tag = found[2]
    return found[1] or (tag if tag and f"</{tag}>" not in found.string else "")


def _suggestion(name: str, known: Collection[str]) -> str:
    near = [one for one in known if one in name] or difflib.get_close_matches(name, known, 1)
    if near:
        return f"did you mean {{{near[0]}}}?"
    return f"known: {', '.join(f'{{{one}}}' for one in known) or 'none'}"


def whole_minutes(lifetime: timedelta) -> int:
    """How long something is valid, as people are told: whole minutes, at least one."""
    return max(1, lifetime // timedelta(minutes=1))


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
        template: With ``{code}``, and whatever else `values` names.
        values: ``code`` and more; ``otp`` is the same.
        transliterate: Replace letters that would halve the room (see `text.transliterated`).
        autofill: A domain for whose login pages phones offer the code, or None.  The last line
            is then ``@DOMAIN #CODE``, as the specification "Origin-bound one-time codes
            delivered via SMS" (WICG) has it.

    Returns:
        A text with the code whole in its first part: at the front, if the template put it
        beyond, or did not have it at all.
    """
    code = str(values["code"])
    filled = fill(template, dict.fromkeys(OF_CODE, code) | {**values})
    if transliterate:
        filled = transliterated(filled)
    last = f"\n@{autofill} #{code}" if autofill else ""
    front = filled[:SHORTEST_PART]
    if code not in front and code not in split(filled + last)[0]:
        filled = f"{code} {filled}"
    return filled + last
