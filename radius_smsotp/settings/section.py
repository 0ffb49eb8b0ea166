"""What all parts of the file are made of."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import AfterValidator

from radius_smsotp.model.text import check_template, placeholders
from radius_smsotp.providers import Strict


class Section(Strict):
    """A part of the file."""


def template(*known: str, needs: Sequence[str] = ()) -> AfterValidator:
    """A validator for texts with placeholders: only `known` ones, and one of `needs` among them."""

    def check(text: str) -> str:
        check_template(text, known)
        if needs and not placeholders(text) & set(needs):
            raise ValueError(f"{{{needs[0]}}} is missing")
        return text

    return AfterValidator(check)
