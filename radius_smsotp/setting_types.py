"""What the settings are made of: a section, texts with placeholders, a country."""

from __future__ import annotations

from string import Formatter
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from radius_smsotp.model import identity


def template(*known: str, needs: str | None = None) -> AfterValidator:
    """A validator for texts with placeholders: only `known` ones, and `needs` among them."""

    def check(text: str) -> str:
        try:
            fields = [_field(*parts) for _, *parts in Formatter().parse(text)]
        except ValueError as error:
            raise PydanticCustomError(
                "template",
                "{fault}; write a brace that is meant as such twice",
                {"fault": str(error)},
            ) from None
        choice = ", ".join(f"{{{name}}}" for name in known) or "none"
        used = {name for name in fields if name is not None}
        if unknown := sorted(used - set(known)):
            raise PydanticCustomError(
                "template",
                "{unknown} is no placeholder here; known: {known}",
                {"unknown": f"{{{unknown[0]}}}", "known": choice},
            )
        if needs and needs not in used:
            raise PydanticCustomError("template", "{needs} is missing", {"needs": f"{{{needs}}}"})
        return text

    return AfterValidator(check)


def _field(name: str | None, form: str | None, conversion: str | None) -> str | None:
    """A placeholder as it was written; only its bare name is ever filled in."""
    if name is None:
        return None
    return name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")


Prompt = Annotated[str, template("phone_hint", "digits", "minutes", "resend")]
MessageText = Annotated[str, template("code", "minutes", "name", needs="code")]


def _numbering_plan(country: str) -> str:
    """A country's code, as phone numbers go by it."""
    if not identity.is_country(country):
        raise PydanticCustomError(
            "country",
            '\'{country}\' is no country; write its ISO 3166 code, as "DE" or "GB"',
            {"country": country},
        )
    return country


Country = Annotated[str, AfterValidator(_numbering_plan)]


def _tag(name: str) -> str:
    """A language, folded."""
    folded = identity.fold_language(name)
    if not identity.TAG.fullmatch(folded):
        raise PydanticCustomError("language", 'is no language; write it as "de" or "pt-BR"')
    return folded


Language = Annotated[str, AfterValidator(_tag)]


class Section(BaseModel):
    """A part of the file: unknown keys are errors, values never change."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class TextSettings(Section):
    """What users read besides the prompt."""

    first_factor: Annotated[str, template()] = Field(
        "PIN: ",
        description="what a device asks for first, where it is us who asks: Wi-Fi with EAP-GTC",
    )
    failed: Annotated[str, template()] = Field(
        "Login failed.",
        description="wrong PIN, unknown or locked account, limit reached: all alike on purpose",
    )
    start_again: Annotated[str, template()] = Field(
        "This code is not valid any more. Please log in again from the start.",
        description="challenge expired, spent, unknown, or of somebody else",
    )
    undelivered: Annotated[str, template()] = Field(
        "The SMS with your code could not be sent. Please try again later.",
        description="every provider refused",
    )
    wrong_code: Annotated[str, template("guesses")] = Field(
        "Wrong code, {guesses} left. ", description="stands before the prompt after a wrong code"
    )
    resent: Annotated[str, template()] = Field(
        "Sent again. ", description="stands before the prompt after a resend"
    )
    resend_denied: Annotated[str, template()] = Field(
        "No more SMS can be sent now. ",
        description="stands before the prompt when a limit forbids a resend",
    )
    code_sent: Annotated[str, template("phone_hint", "digits", "minutes")] = Field(
        "A code was sent to {phone_hint}. Log in again with your PIN followed by the code.",
        description="answer to the first step with `style: reject`",
    )
    unavailable: Annotated[str, template()] = Field(
        "Login is not possible at the moment. Please try again later.",
        description="the store does not answer",
    )


class LanguageSettings(Section):
    """The texts in one language; what is absent is as it comes along, or as for the client."""

    message: MessageText | None = Field(None, description="as message")
    prompt: Prompt | None = Field(None, description="as challenge.prompt")
    texts: TextSettings | None = Field(
        None, description='as texts, those that differ: {failed: "…"}'
    )
