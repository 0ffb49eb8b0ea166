"""The texts that come along are whole, in every language, and their SMS is one."""

from __future__ import annotations

from string import Formatter

import pytest

from radius_smsotp.model import identity, text
from radius_smsotp.model.text import REPLY_MESSAGE_OCTETS
from radius_smsotp.settings import languages
from radius_smsotp.settings.schema import Settings, TextSettings

VALUES = {
    "code": "0" * 9,
    "minutes": 60,
    "phone_hint": "***67",
    "digits": 6,
    "guesses": 10,
    "ways": "sms, mail, call, whatsapp",
    "code_spoken": ", ".join(["sieben"] * 9),
}
GSM = {"de", "en", "es", "fr", "it", "nl", "pl"}
"""Languages whose SMS needs no letter beyond the GSM alphabet."""

EVERY = pytest.mark.parametrize("name", languages.FILES)


def placeholders(template: str) -> set[str]:
    """The names in braces."""
    return {name for _, name, _, _ in Formatter().parse(template) if name}


@EVERY
def test_no_text_is_missing(name: str) -> None:
    found = languages.texts(name)
    assert found is not None
    assert found.message
    assert found.prompt
    assert found.texts
    assert found.texts.model_fields_set == set(TextSettings.model_fields)
    assert identity.TAG.fullmatch(name)


@EVERY
def test_each_text_tells_what_the_english_one_does(name: str) -> None:
    """The same placeholders, and a blank at the end where something follows."""
    found, english = languages.texts(name), languages.texts("en")
    assert found is not None
    assert english is not None
    pairs = [(found.message, english.message), (found.prompt, english.prompt)]
    assert found.texts
    assert english.texts
    ours, theirs = found.texts.model_dump(), english.texts.model_dump()
    pairs += [(ours[field], theirs[field]) for field in ours]
    for mine, other in pairs:
        assert placeholders(str(mine)) == placeholders(str(other)), mine
        assert str(mine).endswith(" ") == str(other).endswith(" "), mine


@EVERY
def test_the_sms_is_one_and_begins_with_what_it_is_for(name: str) -> None:
    """A second one would cost as much again; a phone shows the beginning on its lock screen."""
    found = languages.texts(name)
    assert found is not None
    whole = text.compose(str(found.message), VALUES)
    assert len(text.split(whole)) == 1
    assert whole.startswith("000000000 ")
    assert (text.alphabet(whole) is not text.Alphabet.UCS2) == (name in GSM)


@EVERY
def test_no_prompt_is_cut(name: str) -> None:
    """The longest that anybody is answered: a sentence, then the prompt."""
    found = languages.texts(name)
    assert found is not None
    assert found.texts
    before = max(found.texts.wrong_code, found.texts.resent, found.texts.resend_denied, key=len)
    longest = [before + str(found.prompt), *found.texts.model_dump().values()]
    for template in longest:
        filled = template.format_map(VALUES)
        assert len(filled.encode()) <= REPLY_MESSAGE_OCTETS, filled


def test_english_is_what_holds_where_nothing_is_set() -> None:
    english = languages.texts("en")
    usual = Settings()
    assert english is not None
    assert (english.message, english.prompt) == (usual.message, usual.challenge.prompt)
    assert english.texts == usual.texts
    assert usual.language == "en"


def test_another_one_does_not_come_along() -> None:
    for name in ("tlh", "../languages/de", ""):
        assert languages.texts(name) is None
