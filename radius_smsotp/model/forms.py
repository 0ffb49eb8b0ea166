"""
Forms of what is typed: a code, and PIN and code in one password.

One password is read in one form, so it is a guess at one code, whatever a client's forms are.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from radius_smsotp.model import pin as pins

USUAL = "{pin}{code}"
"""The PIN, and the code behind it."""

ALONE = "{code}"
"""The code, where nobody asks for a PIN; no form that `check` lets pass."""

SCRV1 = "SCRV1"
"""OpenVPN's static challenge (management-notes.txt, "Static challenge/response protocol"):
``SCRV1:PIN:CODE``, both in base64."""

LONGEST_SEPARATOR = 8
"""Characters."""

BETWEEN = r"[\s\u2010-\u2015\u2212-]"
"""What people type between digits: "123 456", "123-456"."""


def typed_code(text: str) -> str:
    """A code as it was meant: without what stands between digits, and those as 0 to 9."""
    bare = re.sub(BETWEEN, "", text)
    return "".join(str(unicodedata.decimal(char, char)) for char in bare)


def check(form: str) -> str:
    """
    Look whether a form of a password can be read.

    Raises:
        ValueError: "FAULT; REMEDY".
    """
    if form == SCRV1:
        return form
    pieces = re.split(r"(\{pin\}|\{code\})", form)
    if sorted(pieces[1::2]) != ["{code}", "{pin}"]:
        raise ValueError(f'names not one PIN and one code; write "{USUAL}", or {SCRV1}')
    before, between, behind = pieces[::2]
    if before or behind:
        raise ValueError('has something before or behind both; write it as "{pin},{code}"')
    if len(between) > LONGEST_SEPARATOR or re.search(r"[\d{}]", between):
        fault = f"has more than {LONGEST_SEPARATOR} characters, a digit or a brace in between"
        raise ValueError(f'{fault}; write it as "{{pin}},{{code}}"')
    return form


def split(password: str, digits: int, forms: Sequence[str]) -> tuple[str, str] | None:
    """
    Take PIN and code in one password apart, in the first of these forms that it has.

    Args:
        digits: Length of the code.
        forms: That `check` finds no fault with.  Those with more between PIN and code go first.

    Returns:
        The PIN, empty only if ALONE is among them, and the code, `digits` of 0 to 9; None if it has
        none of them.
    """
    for form in _ordered(tuple(forms)):
        if form == SCRV1:
            parts = _scrv1(password)
            if parts is not None and parts[1]:
                code = typed_code(parts[1])
                fits = parts[0] and len(code) == digits and code.isascii() and code.isdigit()
                return (parts[0], code) if fits else None
        elif found := _pattern(form, digits).fullmatch(password):
            return found.groupdict().get("pin", ""), typed_code(found["code"])
    return None


def join(pin: str, code: str, form: str) -> str:
    """PIN and code as they stand in one password of a form."""
    if form == SCRV1:
        encoded = [base64.b64encode(one.encode()).decode() for one in (pin, code)]
        return ":".join((SCRV1, *encoded))
    both = (pin, code) if form.startswith("{pin}") else (code, pin)
    return re.sub(r"\{\w+\}", "", form).join(both)


def first_factor(password: str, forms: Sequence[str]) -> str:
    """What is to be checked of a password without code: all of it, but for OpenVPN's envelope."""
    parts = _scrv1(password) if SCRV1 in forms else None
    return password if parts is None or parts[1] else parts[0]


@lru_cache
def _ordered(forms: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(forms, key=lambda one: (one != SCRV1, -len(one))))


@lru_cache
def _pattern(form: str, digits: int) -> re.Pattern[str]:
    code = rf"(?P<code>\d(?:{BETWEEN}?\d){{{digits - 1}}})"
    pieces = {"{pin}": "(?P<pin>.+)", "{code}": code}
    parts = re.split(r"(\{pin\}|\{code\})", form)
    return re.compile("".join(pieces.get(one) or re.escape(one) for one in parts), re.DOTALL)


def _scrv1(password: str) -> tuple[str, str] | None:
    """PIN and answer in OpenVPN's envelope, None if it is none."""
    head, *parts = password.split(":")
    if head != SCRV1 or len(parts) != 2:
        return None
    try:
        pin, answer = (pins.decode(base64.b64decode(one, validate=True)) for one in parts)
    except ValueError:
        return None
    return None if "\0" in pin + answer else (pin, answer)
