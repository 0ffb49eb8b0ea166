"""Alphabets, lengths, parts and transliteration of texts."""

# ruff: noqa: RUF001 -- letters that look like others are what is tested

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smspdudecoder.codecs import GSM

from radius_smsotp.model.text import (
    DEFAULT,
    ESCAPE,
    EXTENSION,
    Alphabet,
    alphabet,
    fit,
    is_plain,
    septets,
    split,
    transliterated,
    units,
)

GSM7_LETTERS = sorted({*DEFAULT.replace("\x1b", ""), *EXTENSION})
gsm7_texts = st.text(st.sampled_from(GSM7_LETTERS), max_size=500)
any_texts = st.text(max_size=300) | gsm7_texts


def test_the_alphabet_is_that_of_another_implementation() -> None:
    assert GSM.ALPHABET == DEFAULT
    assert GSM.ALPHABET_EXT_INV == EXTENSION


def test_every_letter_of_the_alphabet_is_known_but_the_escape() -> None:
    assert all(alphabet(letter) is Alphabet.GSM7 for letter in GSM7_LETTERS)
    assert alphabet("\x1b") is Alphabet.UCS2


@pytest.mark.parametrize("letter", ["ç", "„", "`", "\t", "ő", "Я", "汉", "😀", "\ud800"])
def test_one_letter_outside_the_alphabet_makes_the_whole_text_ucs2(letter: str) -> None:
    assert alphabet("Your code: 123456" + letter) is Alphabet.UCS2


def test_escaped_letters_and_surrogate_pairs_count_twice() -> None:
    assert units("5 €") == 4
    assert units("a😀") == 3
    assert units("") == 0


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("", [0]),
        ("x" * 160, [160]),
        ("x" * 161, [153, 8]),
        ("x" * 306, [153, 153]),
        ("x" * 307, [153, 153, 1]),
        ("€" * 80, [80]),
        ("€" * 81, [76, 5]),
        ("Я" * 70, [70]),
        ("Я" * 71, [67, 4]),
        ("😀" * 35, [35]),
        ("😀" * 36, [33, 3]),
    ],
)
def test_a_text_is_cut_where_the_standard_cuts_it(text: str, sizes: list[int]) -> None:
    # 160 and 153 septets, 70 and 67 words: TS 23.040 9.2.3.16 and 9.2.3.24.1.
    assert [len(part) for part in split(text)] == sizes


@given(any_texts)
def test_parts_make_the_text_again_and_fit(text: str) -> None:
    parts = split(text)
    needed = alphabet(text)
    room = needed.alone if len(parts) == 1 else needed.in_part
    assert "".join(parts) == text
    assert all(sum(map(needed.units, part)) <= room for part in parts)
    assert units(text) == sum(sum(map(needed.units, part)) for part in parts)


@given(gsm7_texts)
def test_no_part_ends_between_an_escape_and_its_letter(text: str) -> None:
    for part in split(text):
        codes = septets(part)
        assert not codes.endswith(bytes([ESCAPE]))
    assert b"".join(septets(part) for part in split(text)) == septets(text)


def test_septets_of_another_alphabet_are_refused_without_naming_the_text() -> None:
    with pytest.raises(ValueError, match="not in the GSM 7 bit alphabet") as caught:
        septets("Код 739154")
    assert "739154" not in str(caught.value)


def test_plain_letters_have_one_code_in_ascii_and_gsm() -> None:
    assert is_plain("739154 is your login code. Don't share it (5 min)!")
    for letter in "@$_[]{}^~\\|`äé€\n\r\x1a":
        assert not is_plain(letter), letter


@pytest.mark.parametrize(
    ("text", "nearer"),
    [
        ("„Grüße“ – jetzt …", '"Grüße" - jetzt ...'),
        ("“It’s”—5 €", '"It\'s"-5 €'),
        ("café, Garçon, naïve", "café, Garcon, naive"),
        ("e\u0301", "é"),  # two characters, one letter
        ("ő ű ǘ ẫ ł Ø Œuvre ß ẞ", "o u ü a l Ø OEuvre ß SS"),
        ("ﬁ ½ ² ™ © Ａ\u00a0z\u200b", "fi 1/2 2 TM (C) A z"),
        ("a\u0300\u0323", "a"),  # no letter has both accents: a second character remains
        ("", ""),
    ],
)
def test_transliteration_keeps_what_gsm_knows_and_finds_near_letters(
    text: str, nearer: str
) -> None:
    assert transliterated(text) == nearer


@pytest.mark.parametrize("text", ["„Код“ 739154", "code 😀 …", "汉"])
def test_a_text_that_stays_ucs2_is_not_touched(text: str) -> None:
    assert transliterated(text) == text


@given(any_texts)
def test_transliteration_saves_the_alphabet_or_changes_nothing(text: str) -> None:
    nearer = transliterated(text)
    assert nearer == text or alphabet(nearer) is Alphabet.GSM7
    assert transliterated(nearer) == nearer


def test_a_reply_message_is_cut_between_two_characters() -> None:
    assert fit("Grüße", 3) == "Gr"  # the third octet is half of ü
    assert fit("Grüße", 4) == "Grü"
    assert fit("€", 2) == ""
    assert fit("Grüße", 253) == "Grüße"
    assert fit("Grüße", 0) == fit("Grüße", -1) == ""
    assert fit("a\ud800b", 253) == "a?b"


@given(st.text(), st.integers(0, 300))
def test_a_cut_text_is_the_longest_beginning_that_fits(text: str, octets: int) -> None:
    cut = fit(text, octets)
    assert text.startswith(cut)
    assert len(cut.encode()) <= octets
    if cut != text:
        assert len(text[: len(cut) + 1].encode()) > octets
