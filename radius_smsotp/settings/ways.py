"""The section ``ways``: see `model.ways`."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from radius_smsotp.model import ways
from radius_smsotp.model.records import SMS
from radius_smsotp.settings.section import Section


def _way_word(word: str) -> str:
    folded = word.strip().casefold()
    if not ways.WORD.fullmatch(folded) or folded == SMS:
        raise ValueError(f"is no word for a way: letters and digits, and not {SMS}")
    return folded


WayWord = Annotated[str, AfterValidator(_way_word)]


class WaySettings(Section):
    """Another way to the user than the SMS."""

    address: ways.Kind = Field(
        "phone", description="phone: the account's number, or another one; email: a mail address"
    )
    order: tuple[str, ...] = Field(
        (), description="its providers, first choice first; empty: those of SMS"
    )
    everyone: bool = Field(
        False, description="for `phone`: whoever has a number has this way too, the last one"
    )

    @model_validator(mode="after")
    def _fits(self) -> WaySettings:
        if self.address == "email" and not self.order:
            raise ValueError("a mail needs providers of its own; name them in order")
        if self.address == "email" and self.everyone:
            raise ValueError("not everyone has a mail address here; leave out everyone")
        return self
