"""User names: which writings mean the same account."""

from __future__ import annotations

import functools
import hashlib
import ipaddress
import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import phonenumbers

NAMES = 4096
"""Remembered results: a login asks for its name a dozen times."""

SHARES = 256
"""Into so many shares names are told apart where each cannot have a place of its own."""


@functools.lru_cache(NAMES)
def fold_name(name: str) -> str:
    """
    The name by which an account is found.

    "Alice" and "alice" are one account, as in every directory that FreeRADIUS asks: if they
    were two, whoever knows a PIN would get the limits of each writing.  RFC 8265 section 3.3
    (UsernameCaseMapped): width mapping, lower case, normalisation form C; form KC maps width.

    Blanks stand between words, one at a time.  A directory finds "alice" under "alice  " too (RFC
    4518 section 2.6.1), and each writing would have failures of its own.  So a name is one line.
    """
    if not name.isascii():
        # U+0130 is the one capital of which Python, by SpecialCasing.txt, makes more than the one
        # small letter that UnicodeData.txt has, and directories.
        name = unicodedata.normalize("NFKC", name).replace("\u0130", "i")
    name = " ".join(name.lower().split())
    return name if name.isascii() else unicodedata.normalize("NFKC", name)


def bare_name(name: str) -> str:
    """A name without its realm, as "alice@example.org", "EXAMPLE\\alice" or "example.org/alice" has
    one; "" if it has none."""
    user = re.sub(r"^[^\\/]*[\\/]", "", name)
    user = user.rpartition("@")[0] or user
    return "" if user == name else user


def share(name: str) -> int:
    """Which of `SHARES` equal shares of all names a folded name is in, always the same."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    return int.from_bytes(digest, "big") % SHARES


def is_anonymous(name: str) -> bool:
    """Whether a folded name is what a device says for nobody's (RFC 7542 section 2.4; RFC 5281
    section 7.3); behind it may stand a realm."""
    return name.partition("@")[0] in {"", "anonymous"}


NUMBERS = 4096
"""Remembered results: the number of a directory is read in each request of a login."""

_EXAMPLE = "write it as +491701234567"
_NO_NUMBER = f"is not a phone number; {_EXAMPLE}"
_NO_COUNTRY = "has no country code; write it with one, as +491701234567, or set 'country'"
_NO_PLUS = f"begins with a country code, and neither + nor 00 before it; {_EXAMPLE}"
_TWO_WAYS = f"can be read as a number of two countries; {_EXAMPLE}"
_LETTERS = "holds letters; write digits alone, as +491701234567"
_EXTENSION = "holds an extension, which no message reaches; write the number of a mobile phone"
_SEVERAL = "is more than one number; write one"
_LENGTH = "has the wrong length for a phone number of its country; correct it"
_UNUSED = (
    "is in no range that its country uses; correct it, or, if the range is new, upgrade the Python "
    "package phonenumbers"
)

_REMARK = re.compile(r"(?:\([^()0-9]*[^\W\d_][^()0-9]*\) ?)+$")
"""Words in brackets at the end, without a digit that might be meant to be dialled."""

_EXTENSIONS = re.compile(
    r"[;,]?(?:#|(?:ext(?:n|ension)?|x|app|int|dw|durchwahl)[.:=# ]*[0-9]).*|[;,][0-9]{1,5}",
    re.IGNORECASE,
)
"""What begins with the first character that no number holds, if it is an extension (RFC 3966)."""

_SECOND = re.compile(r"(?:/ ?[0-9]{1,2}|\([0-9 ]*\))$")
"""0170 1234567/8: the digit stands in place of the one before it; or behind it, in brackets."""


@functools.lru_cache(NUMBERS)
def normalise_number(number: str, country: str | None = None) -> str:
    """
    Bring a number to E.164.

    A code that goes to somebody else is worse than none: a number that is one only if something
    is left out, added, or guessed is refused.

    Args:
        number: In any national or international writing; "00" stands for the plus, whatever the
            country.  Words in round brackets behind it, "(private)", are none of it.
        country: Where national writings belong, ISO 3166-1 alpha-2 ("DE"), or None if only
            international ones are taken.

    Returns:
        "+491701234567".

    Raises:
        ValueError: With a sentence that names fault and remedy, without the number.
    """
    digits = _dialled(number)
    if digits.startswith("00"):
        abroad = f"+{digits[2:]}"
        # Some countries have another prefix for abroad, or one more digit that names a carrier.
        readings = {one for one in (_reading(abroad), _reading(digits, country)) if one}
        if len(readings) > 1:
            raise ValueError(_TWO_WAYS)
        return readings.pop() if readings else _e164(abroad)
    if digits.startswith("+"):
        return _e164(digits)
    if country is None:
        raise ValueError(_NO_COUNTRY)
    if _lacks_plus(digits, country):
        raise ValueError(_NO_PLUS)
    return _e164(digits, country)


def _dialled(number: str) -> str:
    """The digits of a number as they stand, after the plus if there is one."""
    # Cf: marks that steer the direction of writing come along from other programs.
    text = "".join(_plain(one) for one in number if unicodedata.category(one) != "Cf").strip()
    text = re.sub("^tel:", "", _REMARK.sub("", text), flags=re.IGNORECASE).strip()
    strange = re.search("[^-+0-9 ./()]", text)
    if strange is not None:
        begun = re.search("[0-9]", text[: strange.start()])
        if begun and _EXTENSIONS.fullmatch(text, strange.start()):
            raise ValueError(_EXTENSION)
        if any(map(str.isalpha, text)) and any(map(str.isdigit, text)):
            raise ValueError(_LETTERS)
        raise ValueError(_NO_NUMBER)
    if "+" in text[1:].lstrip("(+") or _SECOND.search(text):
        raise ValueError(_SEVERAL)
    digits = re.sub("[^+0-9]", "", text)
    if not re.fullmatch(r"\+?[0-9]+", digits):
        raise ValueError(_NO_NUMBER)
    return digits


def _plain(char: str) -> str:
    """A digit, blank, dash, bracket, slash or plus of any script as ASCII has it."""
    if char.isascii():
        return " " if char.isspace() else char
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    if char.isspace():
        return " "
    if unicodedata.category(char) == "Pd" or char == "\u2212":
        return "-"
    # NFKC alone would make a digit of a footnote's mark.
    folded = unicodedata.normalize("NFKC", char)
    return folded if folded in {"+", "(", ")", "/", "."} else char


def _lacks_plus(digits: str, country: str) -> bool:
    """Whether a national writing may be an international one without plus or 00."""
    abroad = _reading(f"+{digits}")
    if abroad is None:
        return False
    code = str(phonenumbers.country_code_for_region(country))
    prefix = phonenumbers.ndd_prefix_for_region(country, True) or ""
    if digits.startswith(code):
        # North America dials 1 before its own numbers as well: both readings are the same one.
        return prefix != code
    if prefix and digits.startswith(prefix):
        return False
    here = _reading(digits, country)
    kinds = number_kind(abroad), here and number_kind(here)
    return here is None or kinds == ("mobile", "landline")


def _reading(digits: str, country: str | None = None) -> str | None:
    try:
        return _e164(digits, country)
    except ValueError:
        return None


def _e164(digits: str, country: str | None = None) -> str:
    try:
        parsed = _parse(digits, country)
    except phonenumbers.NumberParseException as error:
        if error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE:
            raise ValueError(_NO_COUNTRY) from None
        raise ValueError(_NO_NUMBER) from None
    if not phonenumbers.is_valid_number(parsed):
        # Not `is_possible_number`: it takes numbers too which only dial within their own town.
        possible = phonenumbers.is_possible_number_with_reason(parsed)
        fits = possible == phonenumbers.ValidationResult.IS_POSSIBLE
        raise ValueError(_UNUSED if fits else _LENGTH)
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


_parse = functools.lru_cache(64)(phonenumbers.parse)
"""The same number is looked at from several sides, one after the other."""

INTERNATIONAL = "001"
"""Whose numbering plan a number is in that is no country's (UN M49, as phonenumbers has it)."""

NumberKind = Literal["mobile", "landline", "premium", "special"]
"""mobile: may take messages, as far as is known; landline: does hardly ever; premium: calls to it
cost more than others, as those to satellites and to networks of no country do; special: free,
shared-cost, personal, voicemail and company-wide numbers."""

_KINDS: dict[int, NumberKind] = {
    phonenumbers.PhoneNumberType.FIXED_LINE: "landline",
    phonenumbers.PhoneNumberType.PREMIUM_RATE: "premium",
    phonenumbers.PhoneNumberType.TOLL_FREE: "special",
    phonenumbers.PhoneNumberType.SHARED_COST: "special",
    phonenumbers.PhoneNumberType.PERSONAL_NUMBER: "special",
    phonenumbers.PhoneNumberType.UAN: "special",
    phonenumbers.PhoneNumberType.VOICEMAIL: "special",
}


def number_kind(phone: str) -> NumberKind:
    """
    What kind of number it is.

    Args:
        phone: E.164; what is none is of no kind that is known, and so "mobile".
    """
    try:
        parsed = _parse(phone, None)
    except phonenumbers.NumberParseException:
        return "mobile"
    kind = _KINDS.get(phonenumbers.number_type(parsed), "mobile")
    # ITU-T E.164 has codes of no country: +870, +881 and +882 are satellites and the like.
    where = phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    return "premium" if kind == "mobile" and where == INTERNATIONAL else kind


def is_country(country: str) -> bool:
    """Whether `country` names a numbering plan, as "DE" does."""
    return country in phonenumbers.SUPPORTED_REGIONS


def mask_number(phone: str) -> str:
    """The hint that a user recognises and a stranger cannot use: "***67"."""
    return f"***{phone[-2:]}"


@dataclass(frozen=True, slots=True)
class Destinations:
    """
    Where messages may go.

    Attributes:
        countries: Prefixes ("+49") and countries, by ISO 3166-1 alpha-2 ("DE"); empty: anywhere.  A
            country code alone means the country that it is named for, if several share it.
        refused: Prefixes that they may not go to all the same.
        special: Prefixes of premium and special numbers that they may go to; the others need an
            entry of `countries` with `NAMES` digits or more behind the country code.
    """

    countries: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    special: tuple[str, ...] = ()


NAMES = 2
"""Digits behind the country code: +1 900, +44 70; +44 7 would be mobile phones besides."""

_CODES = phonenumbers.COUNTRY_CODE_TO_REGION_CODE

_GUESTS = {
    # The first is whom metadata has the code under.  Canada does not count as a guest in +1.
    f"+{code}": frozenset(regions[1:]) - {"CA"}
    for code, regions in _CODES.items()
    if len(regions) > 1
}
"""A country code that several share (ITU-T E.164.D) to the countries that it does not mean alone:
messages to them cost another price, and those to some of +1 are what fraud lives on."""

Obstacle = Literal["country", "prefix", "premium", "special"]
"""What stands against messages to a number: see `Destinations`."""

_OBSTACLES: dict[Obstacle, str] = {
    "country": "is of {region}, which limits.countries does not name; correct it, or name the "
    "country there",
    "prefix": "begins with a prefix of limits.refused; correct it",
    "premium": "is a premium number, to which a message costs more; correct it, or name its "
    "prefix in limits.special",
    "special": "is a free, shared-cost, personal, voicemail or company-wide number, which takes "
    "no messages; correct it, or name its prefix in limits.special",
}


@functools.lru_cache(NUMBERS)
def obstacle(phone: str, may: Destinations) -> Obstacle | None:
    """
    What stands against messages to a number, None if nothing does.

    Args:
        phone: E.164.
    """
    if phone.startswith(may.refused):
        return "prefix"
    if may.countries:
        where = region(phone)
        if not any(_is_of(phone, where, entry) for entry in may.countries):
            return "country"
    kind = number_kind(phone)
    if kind in {"mobile", "landline"} or phone.startswith((*may.special, *_narrow(may.countries))):
        return None
    return "premium" if kind == "premium" else "special"


def tell_obstacle(phone: str, found: Obstacle) -> str:
    """A sentence that names obstacle and remedy, without the number."""
    known = {"": "a country that is not known", INTERNATIONAL: "an international service"}
    where = region(phone)
    return _OBSTACLES[found].replace("{region}", known.get(where, where))


def region(phone: str) -> str:
    """
    Whose numbering plan a number is in, "DE"; `INTERNATIONAL`, or "" if that is not known.

    Args:
        phone: E.164.
    """
    try:
        return phonenumbers.region_code_for_number(_parse(phone, None)) or ""
    except phonenumbers.NumberParseException:
        return ""


def _is_of(phone: str, where: str, entry: str) -> bool:
    """Whether a number of a region is what an entry of `Destinations.countries` means."""
    if not entry.startswith("+"):
        return where == entry
    return phone.startswith(entry) and where not in _GUESTS.get(entry, ())


def _narrow(prefixes: tuple[str, ...]) -> tuple[str, ...]:
    """Those that name numbers within a country, and not all or most of it."""
    codes = {one: next((n for n in (1, 2, 3) if one[1 : n + 1] in _DIALLED), 3) for one in prefixes}
    return tuple(one for one, length in codes.items() if len(one) > length + NAMES)


_DIALLED = {str(code) for code in _CODES}


_MAC = re.compile("[0-9a-f]{2}(?:[-:. ]?[0-9a-f]{2}){5}", re.IGNORECASE)
"""AA-BB-CC-DD-EE-FF, aa:bb:cc:dd:ee:ff, aabb.ccdd.eeff, aabb-ccdd-eeff, aabbccddeeff."""

_PORT = re.compile(r"\[(?P<bracketed>[^]]+)\](?::\d+)?|(?P<strongswan>.+)\[\d+\]|(?P<v4>[^:]+):\d+")
"""[2001:db8::1]:4500; 192.0.2.1[4500], as strongSwan writes it; 192.0.2.1:4500."""

STATIONS = 4096
"""Remembered results: the same station is in each request of a login, and comes back."""


@functools.lru_cache(STATIONS)
def normalise_station(station: str) -> str:
    """
    One form for all writings of a Calling-Station-Id.

    Returns:
        A MAC address as "00-10-A4-23-19-C0" (RFC 3580 section 3.21), an IP address in its short
        form and without the port that some VPN servers add, anything else without the blanks
        around it.
    """
    station = station.strip()
    return station_address(station) or station


def station_address(station: str) -> str:
    """The MAC or IP address that a station is, in that form; "" if it is neither."""
    if _MAC.fullmatch(station):
        digits = re.sub("[^0-9A-F]", "", station.upper())
        return "-".join(digits[at : at + 2] for at in range(0, 12, 2))
    return _address(station)


@functools.lru_cache(STATIONS)
def ssid(called: str) -> str:
    """
    The SSID in a Called-Station-Id, "" if there is none.

    Args:
        called: "00-10-A4-23-19-C0:Guests" (RFC 3580 section 3.20); the MAC address of the access
            point in any writing, or its name or IP address.  An SSID may hold colons itself.
    """
    mac = _MAC.match(called)
    if mac and (mac.end() == len(called) or not re.match("[0-9a-f]", called[mac.end() :], re.I)):
        # Whatever separates the two, as in FreeRADIUS's own policy.d/canonicalization.
        return called[mac.end() + 1 :]
    return "" if _address(called) else called.partition(":")[2]


def _address(text: str) -> str:
    """The IP address that a text is, with or without a port; "" if it is none."""
    found = _PORT.fullmatch(text)
    bare = text if found is None else next(part for part in found.groups() if part)
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return ""
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


TAG = re.compile(r"[a-z]{2,8}(-[a-z0-9]{1,8})*")
"""RFC 5646 section 2.1, as far as texts differ by it; folded."""


def fold_language(tag: str) -> str:
    """Bring "de-AT", "de_AT" and "de-at" to one form (RFC 5646 section 2.1.1: case is nothing)."""
    return tag.strip().replace("_", "-").lower()


def language_chain(tag: str) -> tuple[str, ...]:
    """The folded tag, and what is left of it part by part: de-at, de (RFC 4647 section 3.4)."""
    parts = tag.split("-")
    return tuple("-".join(parts[:count]) for count in range(len(parts), 0, -1))


def choose_language(wanted: str, known: Collection[str]) -> str:
    """
    The first language wanted that is known, or "".

    Args:
        wanted: A tag, or several as directories hold them in `preferredLanguage` (RFC 2798
            section 2.7): "de-AT, de;q=0.8, en;q=0.5".
        known: Folded tags.

    Returns:
        The known one: "de" for "de-at", unless "de-at" is known itself.
    """
    if not wanted:
        return ""  # as of nearly all accounts and requests
    ranked = []
    for part in wanted.split(","):
        tag, _, quality = part.partition(";")
        given = re.fullmatch(r"\s*q=(0(?:\.\d*)?|1(?:\.0*)?)\s*", quality)
        ranked.append((float(given[1]) if given else 1.0, fold_language(tag)))
    for weight, tag in sorted(ranked, key=lambda pair: -pair[0]):
        found = next((one for one in language_chain(tag) if one in known), "")
        if weight and found:
            return found
    return ""
