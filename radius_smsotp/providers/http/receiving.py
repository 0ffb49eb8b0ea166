"""The settings of what a gateway tells later: the part `receipt` of a provider."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from radius_smsotp.providers import Section
from radius_smsotp.providers.http.answer import Condition
from radius_smsotp.providers.http.receipt import SIGNATURES, Reading


def place(text: Any) -> Any:
    """A path, as a setting has it."""
    return Condition.place(text) if isinstance(text, str) else text


def _states(value: Any) -> Any:
    """One state or several; YAML reads Kannel's as numbers."""
    states = value if isinstance(value, list | tuple) else [value]
    return [
        str(one) if isinstance(one, int) and not isinstance(one, bool) else one for one in states
    ]


Place = Annotated[Condition, BeforeValidator(place)]
States = Annotated[tuple[str, ...], BeforeValidator(_states)]


class ReceiptSettings(Section):
    """Where a receipt has what, which states are final, and who signs it."""

    id: Place = Field(description="parameter, or path in JSON, that names the message")
    state: Place = Field(description="the same for its state")
    each: Place | None = Field(
        None, description="path to the list of receipts, if several may come at once"
    )
    delivered: States = Field(
        (),
        description="states that say it has arrived; with `lost` empty too: the usual words, as "
        "``DELIVRD`` and ``undelivered``, in any letter case",
    )
    lost: States = Field((), description="states that say it will not arrive")
    signature: Literal["twilio", "vonage", "seven", "jwt"] | None = Field(
        None, description="how the gateway signs: twilio, vonage, seven or jwt (HS256)"
    )
    secret: SecretStr | None = Field(
        None, description="what it signs with; left out: `password`, as at Twilio"
    )
    header: str | None = Field(
        None, description="where the signature stands, if not where that gateway has it"
    )
    answer: str = Field(
        "", description="what the gateway wants to be answered with, besides status 200"
    )

    @model_validator(mode="after")
    def _usable_together(self) -> ReceiptSettings:
        if bool(self.delivered) != bool(self.lost):
            raise ValueError("delivered and lost go together; set both, or neither")
        if self.secret and not self.signature:
            raise ValueError("secret is set without signature; set both")
        return self

    def reading(self, password: SecretStr | None) -> Reading | None:
        """How to read a receipt; None if its signature could not be checked."""
        secret = (self.secret or password) if self.signature else None
        header = SIGNATURES[self.signature][1] if self.signature else ""
        if self.signature and not secret:
            return None
        return Reading(
            self.id,
            self.state,
            self.each,
            frozenset(map(str.lower, self.delivered)),
            frozenset(map(str.lower, self.lost)),
            self.signature,
            secret.get_secret_value() if secret else "",
            (self.header or header).lower(),
        )
