"""
What the YAML file may hold: the kinds of values, what a client may have of its own, and the rest.

The classes are the reference: each field's `description` is what the documents print.  Where a
setting stands says who may set it: what is in a class `PerClient` stands in the file once for all,
and may stand once more in an entry of ``clients``, of its ``ssids`` and, if it is a text, of
``languages``.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from radius_smsotp.model import identity
from radius_smsotp.model import pin as pins
from radius_smsotp.model.forms import USUAL, typed_code
from radius_smsotp.model.forms import check as check_form
from radius_smsotp.model.lockout import LONGEST
from radius_smsotp.model.records import Bind, Style
from radius_smsotp.model.text import OF_CODE, shown
from radius_smsotp.settings.section import Section, template
from radius_smsotp.settings.ways import WaySettings, WayWord

Text = Annotated[str, template()]
Prompt = Annotated[str, template("phone_hint", "digits", "minutes", "resend")]
MessageText = Annotated[str, template(*OF_CODE, "minutes", "name", needs=OF_CODE)]


def _numbering_plan(country: str) -> str:
    """A country's code, as phone numbers go by it."""
    if not identity.is_country(country):
        raise ValueError(f'\'{country}\' is no country; write its ISO 3166 code, as "DE" or "GB"')
    return country


Country = Annotated[str, AfterValidator(_numbering_plan)]


def _tag(name: str) -> str:
    """A language, folded."""
    folded = identity.fold_language(name)
    if not identity.TAG.fullmatch(folded):
        raise ValueError('is no language; write it as "de" or "pt-BR"')
    return folded


Language = Annotated[str, AfterValidator(_tag)]

PasswordForm = Annotated[str, AfterValidator(check_form)]


def _ten_words(text: str) -> str:
    if len(text.split()) != 10:
        raise ValueError("is not ten words, one for each digit from 0")
    return text


class PerClient(Section):
    """Settings of which a client may have its own."""


class PromptSettings(PerClient):
    """The question for the code."""

    prompt: Prompt = Field(
        "Enter the {digits}-digit code sent to {phone_hint}: ",
        description="what the user reads; knows {phone_hint}, {digits}, {minutes}, {resend}",
    )


class ChallengeSettings(PromptSettings):
    """How the second step is asked for."""

    style: Style = Field(
        "challenge",
        description="challenge: Access-Challenge; reject: Access-Reject, for clients that know "
        "no challenge and send PIN and code in one password afterwards",
    )
    resend: str = Field(
        "r", max_length=20, description="the answer that asks for one more SMS; empty: none does"
    )
    forms: tuple[PasswordForm, ...] = Field(
        (USUAL,),
        description="how PIN and code may stand in one password: `{pin}{code}`, `{code}{pin}`, "
        "either with something in between, as `{pin},{code}`; SCRV1: OpenVPN's static challenge; a "
        "password is read in one of them, and that with more in between goes first; a handshake is "
        "compared with the first; empty: not at all",
    )
    bind: Bind = Field(
        "account",
        description="who may answer a challenge: account: its account, through any client; client: "
        "only through the client that it was opened for; station: only from the same "
        "`Calling-Station-Id` behind that client",
    )


class WaitSettings(PerClient):
    """How long a login waits for its message."""

    wait: float = Field(
        1.0,
        ge=0,
        le=10,
        description="seconds the first step waits for the provider's verdict at most; 0: never",
    )


class TextSettings(Section):
    """What users read besides the prompt."""

    first_factor: Text = Field(
        "PIN: ",
        description="what a device asks for first, where it is us who asks: Wi-Fi with EAP-GTC",
    )
    failed: Text = Field(
        "Login failed.",
        description="wrong PIN, unknown or locked account, limit reached: all alike on purpose",
    )
    start_again: Text = Field(
        "This code is not valid any more. Please log in again from the start.",
        description="challenge expired, spent, unknown, or of somebody else",
    )
    undelivered: Text = Field(
        "The SMS with your code could not be sent. Please try again later.",
        description="every provider refused",
    )
    wrong_code: Annotated[str, template("guesses")] = Field(
        "Wrong code, {guesses} left. ", description="stands before the prompt after a wrong code"
    )
    resent: Text = Field("Sent again. ", description="stands before the prompt after a resend")
    resend_denied: Text = Field(
        "No more SMS can be sent now. ",
        description="stands before the prompt when a limit forbids a resend",
    )
    code_sent: Annotated[str, template("phone_hint", "digits", "minutes")] = Field(
        "A code was sent to {phone_hint}. Log in again with your PIN followed by the code.",
        description="answer to the first step with `style: reject`",
    )
    emergency: Annotated[str, template("digits", "minutes")] = Field(
        "Enter one of your emergency codes ({digits} digits): ",
        description="the prompt while an emergency code is valid (`smsotp user code`)",
    )
    emergency_again: Annotated[str, template("digits", "minutes")] = Field(
        "Log in again with your PIN followed by one of your emergency codes.",
        description="the same as answer to the first step with `style: reject`",
    )
    ways: Annotated[str, template("ways")] = Field(
        "Your ways: {ways}. ",
        description="stands before the prompt if an answer asks for a way that there is not",
    )
    spoken: Annotated[str, template("code_spoken", "minutes", needs=["code_spoken"])] = Field(
        "Your login code is: {code_spoken}. Once more: {code_spoken}.",
        description="{message_spoken}: what a voice call says",
    )
    digits_spoken: Annotated[str, AfterValidator(_ten_words)] = Field(
        "zero one two three four five six seven eight nine",
        description="{code_spoken}: the words for the digits from 0 to 9, with blanks between them",
    )
    unavailable: Text = Field(
        "Login is not possible at the moment. Please try again later.",
        description="the store does not answer",
    )


class WordingSettings(PerClient):
    """What users read, but for the prompt."""

    message: MessageText = Field(
        "{code} is your login code. It is valid for {minutes} minutes.",
        description="the SMS; {code}, {minutes} and {name} are filled in, <otp> as {code}",
    )
    texts: TextSettings = TextSettings()


class RememberSettings(Section):
    """Devices that need no code for a while; a number alone is `hours`."""

    hours: int = Field(
        0,
        ge=0,
        le=8760,
        description="for so long after a whole login the same account needs only its PIN, from the "
        "same `Calling-Station-Id` in the same SSID behind the same client; 0: every login needs a "
        "code; ``remember: 8`` says the same as ``remember: {hours: 8}``",
    )

    @property
    def time(self) -> timedelta:
        """`hours`."""
        return timedelta(hours=self.hours)

    @model_validator(mode="before")
    @classmethod
    def _hours(cls, value: Any) -> Any:
        return value if isinstance(value, Mapping | cls) else {"hours": value}


class CommonSettings(WordingSettings):
    """What stands at the top: of the file, of a client's entry, and of an SSID's."""

    country: Country | None = Field(
        None,
        examples=["DE"],
        description='where numbers without country code belong, as "DE"; absent: all need one; for '
        "a client: those that FreeRADIUS gives with its requests",
    )
    language: Language = Field(
        "en",
        description="of message, prompt and texts; those that are as they came are replaced by the "
        "ones in this language",
    )
    remember: RememberSettings = RememberSettings()
    store_down: Literal["auto", "silent", "reject"] = Field(
        "auto",
        description="what a client hears while the store does not answer: `silent`: nothing, so "
        "that it turns to another server; `reject`: Access-Reject with `texts.unavailable`; "
        "`auto`: nothing where other servers use the store",
    )


class Partial(Section):
    """An entry that says what differs; what is absent, or empty as YAML has it, does not."""

    @model_validator(mode="before")
    @classmethod
    def _written(cls, entry: Any) -> Any:
        if not isinstance(entry, Mapping):
            return entry
        known = cls.model_fields
        return {name: own for name, own in entry.items() if own is not None or name not in known}


class LanguageSettings(Partial, PromptSettings, WordingSettings):
    """The texts in one language; what is absent is as it comes along, or as for the client."""


SSID_OCTETS = 32
"""IEEE 802.11 section 9.4.2.2."""


def network(key: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """The network, or single address, that a key of ``clients`` names; None for a short name."""
    try:
        return ipaddress.ip_network(key, strict=False)
    except ValueError:
        return None


def _client_key(key: str) -> str:
    # A short name may hold a slash; what looks like an address before one is meant as a network.
    if re.fullmatch(r"[0-9a-fA-F.:]+/[0-9]+", key) and network(key) is None:
        raise ValueError("is no network; write one as 192.0.2.0/24 or 2001:db8::/32")
    return key


def _trigger(word: str) -> str:
    if re.sub(r"[\W_]", "", typed_code(word)).isdigit():
        raise ValueError('could be a code; take a word, or "" for an empty password')
    return word.strip().casefold()


def _ssid(name: str) -> str:
    if not 1 <= len(name.encode()) <= SSID_OCTETS:
        fault = f"is no SSID: those have 1 to {SSID_OCTETS} octets"
        raise ValueError(f"{fault}; write it as access points show it")
    # As `pin.decode` leaves what comes in.
    return unicodedata.normalize("NFC", name)


ClientKey = Annotated[str, AfterValidator(_client_key)]
Trigger = Annotated[str, AfterValidator(_trigger)]
Ssid = Annotated[str, AfterValidator(_ssid)]


class SsidSettings(Partial, ChallengeSettings, WaitSettings, CommonSettings):
    """What differs for one SSID; what is absent is as for its client."""


class ClientSettings(SsidSettings):
    """What differs for one RADIUS client; what is absent is as for all."""

    ssids: Mapping[Ssid, SsidSettings] = Field(
        default_factory=dict,
        description="all of this once more, for single wireless networks: "
        '{"Guests": {style: reject}}',
    )
    first_factor_by_client: tuple[Trigger, ...] = Field(
        (),
        description='passwords, as [sms, ""], in place of a first factor that this client has '
        "checked itself before it asks: each has the code sent, and then the code alone lets in, "
        "through this client only; for a client that is named by its short name; empty: none does",
    )

    @field_validator("first_factor_by_client", mode="before")
    @classmethod
    def _triggers(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


class CodeSettings(Section):
    """The one-time code."""

    digits: int = Field(6, ge=6, le=9, description="length of the code (RFC 4226: at least 6)")
    lifetime: int = Field(300, ge=30, le=3600, description="seconds for which it is valid")
    guesses: int = Field(3, ge=1, le=10, description="wrong answers after which it is worthless")


class PinSettings(Section):
    """What PINs are like, and how they are kept."""

    shortest: int = Field(
        pins.SHORTEST,
        ge=1,
        le=pins.LONGEST,
        description="characters that a new PIN has at least; those that are there stay valid; "
        f"`smsotp check` warns below {pins.SHORTEST}",
    )
    iterations: int = Field(
        10_000,
        ge=1,
        description="PBKDF2-HMAC-SHA512 rounds of PINs; `smsotp check` warns below 10000; 210000 "
        "where they are passwords",
    )


class LockoutSettings(Section):
    """When guessing ends."""

    failures: int = Field(
        10, ge=1, description="wrong PINs and codes in a row that lock an account"
    )
    minutes: int = Field(
        15, ge=1, le=LONGEST // timedelta(minutes=1), description="how long it stays locked"
    )


def number_prefix(value: Any) -> str:
    """Bring "+49", "0049", "49" or 49 to "+49"."""
    prefix = str(value).replace(" ", "").removeprefix("+").removeprefix("00")
    # ITU-T E.164: no country code begins with 0.
    if not re.fullmatch("[1-9][0-9]*", prefix):
        raise ValueError(f"'{shown(prefix)}' is no number prefix; write it as \"+49\"")
    return f"+{prefix}"


def destination(value: Any) -> str:
    """Bring an entry of `limits.countries` to "+49" or "DE"."""
    if isinstance(value, str) and identity.is_country(value):
        return value
    try:
        return number_prefix(value)
    except ValueError:
        # YAML reads NO, which is Norway, as false.
        fault = f"'{shown(value)}' is neither a number prefix nor a country"
        raise ValueError(f'{fault}; write it as "+49" or "DE", in quotes') from None


class LimitSettings(Section):
    """What is spent at most; 0 is no limit."""

    cooldown: int = Field(
        60, ge=0, le=3600, description="seconds in which a repeated first step sends no second SMS"
    )
    per_account_hour: int = Field(6, ge=0, description="messages for one account in an hour")
    per_number_hour: int = Field(6, ge=0, description="messages to one number in an hour")
    per_client_hour: int = Field(0, ge=0, description="messages for one RADIUS client in an hour")
    per_day: int = Field(5000, ge=0, description="messages in 24 hours, all together")
    countries: tuple[str, ...] = Field(
        (),
        examples=[["DE", "+43"]],
        description='where messages may go, by country ("DE") or number prefix ("+49"); a country '
        'code that several share means the one it is named for: "+1" is US and Canada, "+44" not '
        "Jersey; empty: anywhere",
    )
    refused: tuple[str, ...] = Field(
        (),
        examples=[["+4475"]],
        description='number prefixes that messages may not go to all the same, as "+4475"',
    )
    special: tuple[str, ...] = Field(
        (),
        examples=[["+1800"]],
        description="number prefixes of premium, free, shared-cost, personal, voicemail and "
        'company-wide numbers that messages may go to, as "+1800"; the others are refused, unless '
        "`countries` names them by a prefix with two digits or more behind the country code",
    )

    @field_validator("countries", "refused", "special", mode="before")
    @classmethod
    def _prefixes(cls, value: Any, field: ValidationInfo) -> Any:
        entries = value if isinstance(value, list | tuple) else [value]
        read = destination if field.field_name == "countries" else number_prefix
        return tuple(read(entry) for entry in entries)

    @property
    def destinations(self) -> identity.Destinations:
        """Where messages may go."""
        return identity.Destinations(self.countries, self.refused, self.special)


class DeliverySettings(WaitSettings):
    """How messages leave."""

    order: tuple[str, ...] = Field(
        (),
        examples=[["clickatell", "backup"]],
        description="providers, first choice first; empty: all, as they stand in the file, but for "
        "those of `ways`",
    )
    prefixes: Mapping[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(
        default_factory=dict,
        examples=[{"+43": ["austria", "backup"]}],
        description='another order for numbers that begin so, as {"+43": [austria, backup]}; the '
        "longest prefix counts",
    )
    wait_share: float = Field(
        0.25,
        ge=0,
        le=1,
        description="part of the time without work that all logins together may spend waiting, "
        "where FreeRADIUS lets one login at a time into the module; 1: no ration",
    )
    threads: int = Field(64, ge=1, le=512, description="messages sent at once, at most")
    courier: Literal["internal", "external"] = Field(
        "internal",
        description="internal: radiusd sends; external: the process `smsotp courier` does",
    )
    unknown: Literal["next", "stop"] = Field(
        "next",
        description="after silence of a provider: try the next one (the code is the same), or stop",
    )

    @field_validator("prefixes", mode="before")
    @classmethod
    def _number_prefixes(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {number_prefix(prefix): order for prefix, order in value.items()}


def _receiver(url: SecretStr) -> SecretStr:
    """Where gateways reach us, without a slash at the end."""
    text = url.get_secret_value().rstrip("/")
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and parts.hostname and (parts.port, True)
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or not parts.path:
        raise ValueError("is no address with a path; write https://HOST/SECRET")
    if re.search(r"[^!-~]|[{}]", text):
        raise ValueError("has characters that addresses write as %20; take letters and digits")
    return SecretStr(text)


class ReceiverSettings(Section):
    """Where gateways send receipts."""

    url: Annotated[SecretStr, AfterValidator(_receiver)] | None = Field(
        None,
        examples=["https://sms.example.org/9f3c5b1e77a04d2c"],
        description="how gateways reach `smsotp receiver`, with a secret in its path: "
        "``https://HOST/SECRET``; ``{receipt_url}`` in a provider is this, a slash and its name",
    )

    @property
    def address(self) -> str:
        """`url`, "" if there is none."""
        return self.url.get_secret_value() if self.url else ""


class SmsSettings(Section):
    """What is done to every text."""

    transliterate: bool = Field(
        False,
        description="replace letters that the GSM alphabet lacks, which would halve the room",
    )
    autofill: str | None = Field(
        None,
        examples=["vpn.example.org"],
        pattern=r"^[a-z0-9.-]+$",
        description="a domain for whose login pages phones offer the code: adds @DOMAIN #CODE",
    )


def _syslog(address: str) -> str:
    """Where a syslog server listens."""
    parts = urlsplit(address) if "://" in address else None
    try:
        known = parts and parts.scheme in {"udp", "tcp"} and parts.hostname and (parts.port, True)
    except ValueError:
        known = None
    if not address.startswith("/") and not known:
        raise ValueError("is no syslog; write /dev/log, udp://HOST:514 or tcp://HOST:601")
    return address


class AuditSettings(Section):
    """The audit trail."""

    days: int = Field(
        90, ge=1, le=36500, description="events older than this are removed by `smsotp prune`"
    )
    events: int = Field(
        3_000_000,
        ge=1000,
        le=1_000_000_000,
        description="if there are more, `smsotp prune` removes the oldest of them, however young; "
        "a million takes about 250 MB",
    )
    sink: Literal["none", "journal", "syslog", "file"] = Field(
        "none",
        description="where `smsotp events --sink` writes events besides the store",
    )
    file: Path = Field(
        Path("events.json"),
        description="for `sink: file`: a line of JSON for each; a path that is not absolute counts "
        "from the settings file",
    )
    syslog: Annotated[str, AfterValidator(_syslog)] = Field(
        "/dev/log",
        description="for `sink: syslog`: a socket, udp://HOST[:514] or tcp://HOST[:601]",
    )


class Settings(CommonSettings):
    """The whole file."""

    store: str = Field(
        "sqlite:////var/lib/radius-smsotp/smsotp.db",
        examples=["postgresql://smsotp@db.example.org/smsotp?sslmode=verify-full"],
        description="sqlite:///PATH (a path that is not absolute counts from the settings file) "
        "or postgresql://USER@HOST/DATABASE with any parameter of libpq; a password lies better "
        "in ``~/.pgpass`` or a service file; see Stores",
    )
    key_file: Path = Field(
        Path("key"),
        description="the keys that codes are derived from and PINs sealed with; mode 0600",
    )
    code: CodeSettings = CodeSettings()
    challenge: ChallengeSettings = ChallengeSettings()
    pin: PinSettings = PinSettings()
    lockout: LockoutSettings = LockoutSettings()
    limits: LimitSettings = LimitSettings()
    delivery: DeliverySettings = DeliverySettings()
    receiver: ReceiverSettings = ReceiverSettings()
    ways: Mapping[WayWord, WaySettings] = Field(
        default_factory=dict,
        examples=[{"mail": {"address": "email", "order": ["office"]}, "private": {}}],
        description="other ways to the user, each a word of your choice: "
        "{mail: {address: email, order: [office]}, call: {order: [voice]}}; empty: SMS alone",
    )
    sms: SmsSettings = SmsSettings()
    audit: AuditSettings = AuditSettings()
    languages: Mapping[Language, LanguageSettings] = Field(
        default_factory=dict,
        examples=[{"fr": {"message": "{code} est votre code ACME."}}],
        description='your own texts for whoever reads another language: {fr: {message: "…"}}',
    )
    # As they were written, with their passwords: not in repr().
    providers: Mapping[str, Any] = Field(
        default_factory=dict,
        repr=False,
        examples=[{"backup": {"type": "modem", "port": "/dev/ttyUSB0", "timeout": 30}}],
        description="each a name of your choice, with `type` and its settings",
    )
    currency: str = Field(
        "EUR",
        pattern="^[A-Z]{3}$",
        description="what the `price` of providers is in, as ISO 4217 has it",
    )
    smtp_servers: Mapping[str, Any] = Field(
        default_factory=dict,
        repr=False,
        examples=[{"office": {"server": "smtps://mail.example.org", "sender": "sms@example.org"}}],
        description="mail servers that providers of type smtp name",
    )
    clients: Mapping[ClientKey, ClientSettings] = Field(
        default_factory=dict,
        description="by short name, address or network of the RADIUS client: what differs for it, "
        "and under `ssids` for one of its wireless networks",
    )
