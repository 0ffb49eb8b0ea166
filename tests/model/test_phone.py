"""Phone numbers: writings, masks, countries."""

# ruff: noqa: RUF001  # characters that look alike are the subject

from __future__ import annotations

import re

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radius_smsotp.model import identity
from radius_smsotp.model.identity import Destinations


@pytest.mark.parametrize(
    "written",
    [
        "+491701234567",
        "+49 170 1234567",
        "+49 (0) 170 / 123-4567",
        "0170 1234567",
        "0049 170 1234567",
        "tel:+49-170-1234567",
        "\u202a+49 170 1234567\u202c",  # as copied from a contact on Windows
        "＋４９１７０１２３４５６７",
    ],
)
def test_every_writing_of_a_number_becomes_one(written: str) -> None:
    """National writings belong to the country that is given."""
    assert identity.normalise_number(written, "DE") == "+491701234567"


def test_without_a_country_only_international_writings_are_taken() -> None:
    """A national one is refused with what to do about it."""
    assert identity.normalise_number("+49 170 1234567") == "+491701234567"
    with pytest.raises(ValueError, match="no country code; write it with one"):
        identity.normalise_number("0170 1234567")


@pytest.mark.parametrize(
    ("written", "country", "number"),
    [
        ("0049 170 1234567", None, "+491701234567"),
        ("00 1 202 555 0123", "US", "+12025550123"),
        ("011 49 170 1234567", "US", "+491701234567"),
        ("0014 49 170 1234567", "BR", "+491701234567"),  # 14: a carrier
        ("1 202 555 0123", "US", "+12025550123"),
        ("1701234567", "DE", "+491701234567"),  # a spreadsheet has taken its 0
        ("0170/1234567", "DE", "+491701234567"),
        ("+49 170 1234501 (private)", None, "+491701234501"),
        ("+49 170 1234501 (private) (new)", None, "+491701234501"),
        ("0170 1234567 (Büro, mobil)", "DE", "+491701234567"),
        ("\u0660\u0661\u0667\u0660 1234567", "DE", "+491701234567"),
    ],
)
def test_what_can_be_read_in_one_way_only_is_taken(
    written: str, country: str | None, number: str
) -> None:
    """00 is the plus everywhere; North America dials its country code within itself too."""
    assert identity.normalise_number(written, country) == number


NO_NUMBER = "is not a phone number; write it as +491701234567"
NO_COUNTRY = "has no country code; write it with one, as +491701234567, or set 'country'"
LETTERS = "holds letters; write digits alone, as +491701234567"
EXTENSION = "holds an extension, which no message reaches; write the number of a mobile phone"
NO_PLUS = "begins with a country code, and neither + nor 00 before it; write it as +491701234567"
SEVERAL = "is more than one number; write one"
LENGTH = "has the wrong length for a phone number of its country; correct it"
UNUSED = (
    "is in no range that its country uses; correct it, or, if the range is new, upgrade the "
    "Python package phonenumbers"
)
TWO_WAYS = "can be read as a number of two countries; write it as +491701234567"
REFUSALS = {
    *(NO_NUMBER, NO_COUNTRY, LETTERS, EXTENSION, NO_PLUS, SEVERAL, LENGTH, UNUSED, TWO_WAYS)
}


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", NO_NUMBER),
        ("alice", NO_NUMBER),
        ("+", NO_NUMBER),
        ("++491701234567", NO_NUMBER),
        ("=0170", NO_NUMBER),
        ("1" * 300, NO_NUMBER),
        ("+4917O1234567", LETTERS),
        ("+1 800 FLOWERS", LETTERS),
        ("0170 1234567 gsm", LETTERS),
        ("0170 1234567 x", LETTERS),
        ("Zimmer 3041", LETTERS),
        ("n/a 555123", LETTERS),
        ("ext. 4711", LETTERS),
        ("4.91701E+11", LETTERS),
        ("tel:1234567;phone-context=+49170", LETTERS),
        ("+49 30 123456 (ext. 789)", EXTENSION),
        ("+49 170 123456\u00b2", NO_NUMBER),  # a footnote's mark
        ("+49 30 123456 ext. 789", EXTENSION),
        ("+49 30 123456 x789", EXTENSION),
        ("+49 30 123456#789", EXTENSION),
        ("tel:+49-30-123456;ext=789", EXTENSION),
        ("+49 30 123456,789", EXTENSION),
        ("491701234567", NO_PLUS),
        ("436641234567", NO_PLUS),  # a landline, if 0 was left out
        ("0170 1234567/8", SEVERAL),
        ("+49 170 1234567 / +49 170 7654321", SEVERAL),
        ("+4917", LENGTH),
        ("+49170123456789012345678901", NO_NUMBER),
        ("110", LENGTH),
        ("+1 253 0000", LENGTH),  # a number of seven digits that only dials within its town
        ("000000", NO_COUNTRY),
        ("+999 1234567", NO_COUNTRY),
        ("+49 00170 1234567", UNUSED),
        ("+49 12 345678", UNUSED),
        ("+1 999 555 0123", UNUSED),
    ],
)
def test_what_would_be_somebody_elses_is_refused_with_the_reason(written: str, reason: str) -> None:
    """Nothing is left out of a number, nothing added, and nothing guessed."""
    with pytest.raises(ValueError, match="^" + re.escape(reason) + "$"):
        identity.normalise_number(written, "DE")


def test_a_prefix_for_abroad_that_means_two_countries_is_refused() -> None:
    """In Singapore 001 leads abroad: to Norway, or with 00 for the plus to Arkansas."""
    assert identity.normalise_number("001 47 92 34 56 78", "DE") == "+14792345678"
    assert identity.normalise_number("001 49 170 1234567", "SG") == "+491701234567"
    with pytest.raises(ValueError, match="^" + TWO_WAYS.partition(";")[0]):
        identity.normalise_number("001 47 92 34 56 78", "SG")


EXAMPLES = sorted(
    (region, kind, phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
    for region in phonenumbers.SUPPORTED_REGIONS
    for kind in range(11)
    if (number := phonenumbers.example_number_for_type(region, kind)) is not None
    and phonenumbers.is_valid_number(number)
)
"""A number of every kind of every numbering plan, as libphonenumber's metadata has them."""


@pytest.mark.parametrize("writing", ["E164", "INTERNATIONAL", "NATIONAL", "RFC3966"])
def test_no_countrys_own_writing_is_refused(writing: str) -> None:
    """National, international and as a link, each of each kind."""
    assert len(EXAMPLES) > 1000
    form = getattr(phonenumbers.PhoneNumberFormat, writing)
    for region, _, number in EXAMPLES:
        written = phonenumbers.format_number(phonenumbers.parse(number), form)
        assert identity.normalise_number(written, region) == number, (region, written)


NUMBERS = st.sampled_from(EXAMPLES)
WRITINGS = st.text() | st.from_regex(r"(\+|00)?[0-9]{1,3}0*[0-9 ]{4,12}", fullmatch=True)
COUNTRIES = st.sampled_from([None, "DE", "BR", "CN", "IT", "US"])


@given(WRITINGS, COUNTRIES)
def test_a_normal_form_is_its_own_and_a_refusal_never_shows_what_was_written(
    written: str, country: str | None
) -> None:
    """The sentence goes into logs; the number does not."""
    try:
        result = identity.normalise_number(written, country)
    except ValueError as error:
        refusal = str(error)
    else:
        refusal = NO_NUMBER
        assert re.fullmatch(r"\+[0-9]{4,17}", result)
        assert identity.normalise_number(result) == result
        assert identity.normalise_number(result, country) == result
    assert refusal in REFUSALS


@given(NUMBERS, st.integers(1, 15), st.characters(categories=["L"]), COUNTRIES)
def test_a_letter_in_place_of_a_digit_makes_no_number(
    example: tuple[str, int, str], place: int, letter: str, country: str | None
) -> None:
    """Whatever the alphabet, and whether it looks like a digit or not."""
    number = example[2]
    place = min(place, len(number) - 1)
    with pytest.raises(ValueError, match=r"holds letters|extension"):
        identity.normalise_number(number[:place] + letter + number[place + 1 :], country)


@given(NUMBERS, st.sampled_from(["gsm", "x", "(2)", "ext 1", "*", "#2", "priv. 1", "=", "²"]))
def test_nothing_that_stands_behind_a_number_becomes_part_of_it(
    example: tuple[str, int, str], remark: str
) -> None:
    """A remark changes no number: it is dropped, or refused."""
    number, refusal = example[2], NO_NUMBER
    try:
        assert identity.normalise_number(f"{number} {remark}") == number
    except ValueError as error:
        refusal = str(error)
    assert refusal in REFUSALS


@given(NUMBERS)
def test_the_own_country_code_needs_its_plus(example: tuple[str, int, str]) -> None:
    """Without, it is refused, but where it is dialled within the country as well."""
    region, _, number = example
    code = str(phonenumbers.country_code_for_region(region))
    if phonenumbers.ndd_prefix_for_region(region, True) == code:
        assert identity.normalise_number(number[1:], region) == number
        return
    with pytest.raises(ValueError, match=r"^begins with a country code"):
        identity.normalise_number(number[1:], region)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("+491701234567", "mobile"),
        ("+12025550123", "mobile"),  # landlines and mobile phones share ranges
        ("+4930123456", "landline"),
        ("+499001234567", "premium"),
        ("+498001234567", "special"),
        ("+4918012345678", "special"),
        ("+447012345678", "special"),  # personal numbers: calls to them cost as to premium ones
        ("nonsense", "mobile"),
    ],
)
def test_a_number_has_a_kind(number: str, kind: str) -> None:
    """As far as its range says."""
    assert identity.number_kind(number) == kind


def test_a_mask_shows_two_digits() -> None:
    """The hint is short, and tells nobody the number."""
    assert identity.mask_number("+491701234567") == "***67"


@pytest.mark.parametrize(
    ("number", "countries", "allowed"),
    [
        ("+491701234567", [], True),
        ("+491701234567", ["+49"], True),
        ("+491701234567", ["+43", "+49"], True),
        ("+491701234567", ["+4"], True),
        ("+491701234567", ["+43", "+1"], False),
        ("+12025550100", ["+1202"], True),
        # A country by its code, and nobody else who shares its prefix.
        ("+491701234567", ["DE"], True),
        ("+436641234567", ["DE"], False),
        ("+12025550123", ["US"], True),
        ("+14165550123", ["US"], False),
        ("+14165550123", ["CA"], True),
        ("+447400123456", ["GB"], True),
        ("+447797712345", ["GB"], False),
        ("+447797712345", ["GB", "JE"], True),
        # A shared code alone: the country that it is named for.
        ("+12025550123", ["+1"], True),
        ("+14165550123", ["+1"], True),
        ("+18762101234", ["+1"], False),
        ("+18092345678", ["+1"], False),
        ("+17872345678", ["+1"], False),
        ("+18762101234", ["+1", "JM"], True),
        ("+18762101234", ["+1", "+1876"], True),
        ("+447797712345", ["+44"], False),
        ("+447797712345", ["+44", "+447797"], True),
        ("+77011234567", ["+7"], False),
        ("+79161234567", ["+7"], True),
        ("+77011234567", ["KZ"], True),
        ("+390669812345", ["+39"], False),
        # What was stored before is perhaps in a range that is too new for the library.
        ("+15550100", ["+1"], True),
        ("+15550100", ["US"], False),
        ("nonsense", ["DE"], False),
    ],
)
def test_messages_go_to_allowed_countries_only(
    number: str, countries: list[str], allowed: bool
) -> None:
    """An empty list allows any."""
    found = identity.obstacle(number, Destinations(tuple(countries)))
    assert found == (None if allowed else "country")


def test_a_refused_prefix_wins() -> None:
    """Also over what names the same."""
    may = Destinations(("DE", "+49170"), refused=("+49170", "+4475"))
    assert identity.obstacle("+491701234567", may) == "prefix"
    assert identity.obstacle("+491511234567", may) is None


PREMIUM, FREE, PERSONAL = "+19002345678", "+18005551234", "+447012345678"


@pytest.mark.parametrize(
    ("number", "countries", "special", "found"),
    [
        (PREMIUM, [], [], "premium"),
        (PREMIUM, ["+1"], [], "premium"),
        (PREMIUM, ["US"], [], "premium"),
        (PREMIUM, ["+1", "+1900"], [], None),
        (PREMIUM, ["+1", "+19"], [], "premium"),
        (PREMIUM, ["+1"], ["+1900"], None),
        (PREMIUM, [], ["+1900"], None),
        (PREMIUM, [], ["+1800"], "premium"),
        (PREMIUM, ["DE"], ["+1900"], "country"),
        (FREE, ["+1"], [], "special"),
        (FREE, [], ["+1"], None),
        (PERSONAL, ["+44"], [], "special"),
        (PERSONAL, ["+447"], [], "special"),
        (PERSONAL, ["+4470"], [], None),
        ("+4918012345678", ["DE"], [], "special"),
        ("+979123456789", [], [], "premium"),
        ("+870773111632", [], [], "premium"),
        ("+881612345678", [], [], "premium"),
        ("+881612345678", [], ["+8816"], None),
        ("+8823421234", [], [], "premium"),
        ("+883510012345", ["+883"], [], "premium"),
        ("+979123456789", ["+979"], [], "premium"),
        ("+80012345678", [], ["+800"], None),
        ("+4930123456", [], [], None),
        ("+12025550123", ["+1"], [], None),
    ],
)
def test_premium_and_special_numbers_are_refused_unless_they_are_named(
    number: str, countries: list[str], special: list[str], found: str | None
) -> None:
    """By a prefix that names hardly anything else, or in a list of their own."""
    may = Destinations(tuple(countries), special=tuple(special))
    assert identity.obstacle(number, may) == found


def test_a_country_takes_its_own_numbers_and_nobody_elses() -> None:
    """Of all kinds and numbering plans; the sharers of a code are told apart."""
    sharers = phonenumbers.COUNTRY_CODE_TO_REGION_CODE
    for plan, _, number in EXAMPLES:
        code = phonenumbers.country_code_for_region(plan)
        every = (f"+{code}",)
        # Some plans have an example that is the first one's of their code.
        owner = identity.region(number)
        assert owner == plan or owner in sharers[code], (plan, number)
        assert identity.obstacle(number, Destinations((owner,), special=every)) is None, number
        others = tuple(phonenumbers.SUPPORTED_REGIONS - {owner})
        may = Destinations(others, special=every)
        assert identity.obstacle(number, may) == "country", number
        first = owner == sharers[code][0] or owner == "CA"
        may = Destinations(every, special=every)
        assert (identity.obstacle(number, may) is None) == first, number


def test_of_all_kinds_those_that_cost_more_or_take_no_messages_are_refused() -> None:
    """Anywhere, as far as the metadata tell."""
    kinds = phonenumbers.PhoneNumberType
    refused = {kinds.PREMIUM_RATE: "premium"} | dict.fromkeys(
        (
            *(kinds.TOLL_FREE, kinds.SHARED_COST, kinds.PERSONAL_NUMBER),
            *(kinds.UAN, kinds.VOICEMAIL),
        ),
        "special",
    )
    found = set()
    for _, _, number in EXAMPLES:
        kind = phonenumbers.number_type(phonenumbers.parse(number))
        assert identity.obstacle(number, Destinations()) == refused.get(kind), number
        found.add(kind)
    assert found > refused.keys()


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        ("+18762101234", "is of JM, which limits.countries does not name"),
        ("+881612345678", "is of an international service, which limits.countries does not name"),
        ("+15550100", "is of a country that is not known, which limits.countries does not name"),
    ],
)
def test_an_obstacle_is_told_without_the_number(number: str, sentence: str) -> None:
    """With the country, since its code alone tells nobody why +1 does not take it."""
    may = Destinations(("DE",))
    found = identity.obstacle(number, may)
    assert found is not None
    assert identity.tell_obstacle(number, found).partition(";")[0] == sentence


def test_a_country_is_one_that_has_a_numbering_plan() -> None:
    """ "UK" is what people write and no such country: the code is "GB"."""
    assert identity.is_country("DE")
    assert identity.is_country("GB")
    assert not identity.is_country("UK")
    assert not identity.is_country("de")
