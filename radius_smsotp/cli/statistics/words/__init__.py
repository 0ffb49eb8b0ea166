"""
The words of the report, in each language whose texts for logins come along: one YAML file each.

Numbers and dates are written as the Unicode CLDR has them for the language.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from radius_smsotp.model.text import fill
from radius_smsotp.settings import strict_yaml

FILES = {path.stem: path for path in sorted(Path(__file__).parent.glob("*.yaml"))}
"""Every language, in alphabetical order."""

NOTHING = "\N{EN DASH}"
"""Where there is no number."""


class Words:
    """
    One language.

    Attributes:
        tag: As in ``lang`` of HTML.
        reasons: Why logins are refused, in the words of who reads a report.
        weekdays: Monday first.
    """

    def __init__(self, tag: str) -> None:
        self._known: Mapping[str, Any] = strict_yaml.parse(strict_yaml.read(FILES[tag]), tag)
        self._texts: Mapping[str, str] = self._known["texts"]
        self.tag = tag
        self.reasons: Mapping[str, str] = self._known["reasons"]
        self.weekdays: list[str] = self._known["weekdays"]

    def __call__(self, text: str, **values: object) -> str:
        """A text, with its values."""
        return fill(self._texts[text], values)

    def number(self, value: float, decimals: int = 0) -> str:
        """12,855.18."""
        whole, _, part = f"{value:,.{decimals}f}".partition(".")
        whole = whole.replace(",", str(self._known["group"]))
        return f"{whole}{self._known['decimal']}{part}" if part else whole

    def percent(self, part: float) -> str:
        """93%."""
        return fill(self._known["percent"], {"number": self.number(100 * part)})

    def seconds(self, value: float | None) -> str:
        """0.58 s, 1.1 s, 17 s."""
        if value is None:
            return NOTHING
        decimals = 2 if value < 0.995 else 1 if value < 9.95 else 0
        return fill(self._known["seconds"], {"number": self.number(value, decimals)})

    def day(self, at: date) -> str:
        """2 November 2026."""
        return self._written("date", "months", at)

    def short_day(self, at: date) -> str:
        """2 Nov."""
        return self._written("short_date", "short_months", at)

    def month(self, at: date) -> str:
        """Nov."""
        return str(self._known["short_months"][at.month - 1])

    def _written(self, form: str, months: str, at: date) -> str:
        number = self._known.get("first", 1) if at.day == 1 else at.day
        values = {"day": number, "month": self._known[months][at.month - 1], "year": at.year}
        return fill(self._known[form], values)
