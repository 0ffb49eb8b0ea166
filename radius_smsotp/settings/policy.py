"""
What holds for one RADIUS client and SSID, and where in the settings each part of it stands.

One entry of ``clients`` holds for a client, the nearest: that of its short name, else of its
address, else of the smallest network it is in.  Nothing is taken from the other entries.  Field by
field, the SSID's part of that entry goes before the rest of it, and that before what holds for all.

Where one of these names a language, the texts in that language go before what is wider, and after
the texts that stand beside it.  An account's language, if it is another one, goes before all.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from radius_smsotp.model import identity as tags
from radius_smsotp.model.records import LoginPolicy, Style
from radius_smsotp.settings import languages
from radius_smsotp.settings.schema import Settings, TextSettings, network

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from radius_smsotp.settings.schema import ClientSettings, LanguageSettings, SsidSettings

FOR_ALL = {
    "style": "challenge.style",
    "prompt": "challenge.prompt",
    "resend": "challenge.resend",
    "bind": "challenge.bind",
    "wait": "delivery.wait",
    "message": "message",
    "remember": "remember.hours",
    "country": "country",
    "language": "language",
} | {f"texts.{name}": f"texts.{name}" for name in TextSettings.model_fields}
"""What may differ for a client, to where it stands for all."""

TEXTS = ("message", "prompt", *(f"texts.{name}" for name in TextSettings.model_fields))
"""Of these, what a language has."""

SHIPPED = Settings()
"""What holds where nobody has changed anything."""

DEFAULT = "default"
"""Where a value comes from that stands nowhere in the file."""


@dataclass(frozen=True, slots=True)
class Effective:
    """A value that holds, and the path in the file at which it stands, or `DEFAULT`."""

    value: Any
    source: str


@dataclass(frozen=True)
class ClientPolicy:
    """
    What holds for one client and SSID.

    Attributes:
        wait: Seconds for the provider's verdict.
        country: Where national numbers of its requests belong, ISO 3166, or None.
        language: Of the texts.
    """

    login: LoginPolicy
    style: Style
    prompt: str
    message: str
    wait: float
    remember: timedelta
    country: str | None
    language: str
    texts: TextSettings


def policy(
    values: Settings, name: str, address: str, ssid: str, language: str = ""
) -> ClientPolicy:
    """Work out what holds for a client, by short name and address, and the SSID behind it."""
    found = effective(values, name, address, ssid, language)
    own = {field: one.value for field, one in found.items()}
    return ClientPolicy(
        LoginPolicy(
            digits=values.code.digits,
            lifetime=timedelta(seconds=values.code.lifetime),
            guesses=values.code.guesses,
            resend_word=own["resend"],
            cooldown=timedelta(seconds=values.limits.cooldown),
            per_account_hour=values.limits.per_account_hour,
            per_number_hour=values.limits.per_number_hour,
            per_client_hour=values.limits.per_client_hour,
            per_day=values.limits.per_day,
            lockout_failures=values.lockout.failures,
            lockout_time=timedelta(minutes=values.lockout.minutes),
            bind=own["bind"],
        ),
        style=own["style"],
        prompt=own["prompt"],
        message=own["message"],
        wait=own["wait"],
        remember=timedelta(hours=own["remember"]),
        country=own["country"],
        language=own["language"],
        texts=TextSettings(**{text: own[f"texts.{text}"] for text in TextSettings.model_fields}),
    )


def effective(
    values: Settings, name: str, address: str, ssid: str, language: str = ""
) -> dict[str, Effective]:
    """
    Each setting that may differ for a client (see `FOR_ALL`), with its value and source.

    Args:
        language: A known one, of whoever logs in; "" for the client's.
    """
    parts: list[tuple[str, SsidSettings]] = []
    key = _nearest(values.clients, name, address)
    if key is not None:
        own = values.clients[key]
        parts.append((f"clients.{key}", own))
        if ssid in own.ssids:
            parts.append((f"clients.{key}.ssids.{ssid}", own.ssids[ssid]))
    found = {field: _for_all(values, place) for field, place in FOR_ALL.items()}
    # A new settings file has every text written out: only one that was changed is meant.
    changed = {field: found[field] for field in TEXTS if not _is_shipped(field, found[field])}
    found |= _translated(values, values.language) | changed
    for path, scope in parts:
        if scope.language is not None and scope.language != found["language"].value:
            found |= _translated(values, scope.language)
        for field in FOR_ALL:
            value = _own(scope, field)
            if value is not None:
                found[field] = Effective(value, f"{path}.{field}")
    if language and language != found["language"].value:
        found |= _translated(values, language)
        found["language"] = Effective(language, "account")
    return found


def scopes(values: Settings) -> Iterator[tuple[str, SsidSettings]]:
    """Every part of ``clients`` and its path: each client, and each SSID of it."""
    for key, own in values.clients.items():
        yield f"clients.{key}", own
        for ssid, network_own in own.ssids.items():
            yield f"clients.{key}.ssids.{ssid}", network_own


def _nearest(clients: Mapping[str, ClientSettings], name: str, address: str) -> str | None:
    """The key of the entry that holds for a client."""
    if name in clients:
        return name
    try:
        asked = ipaddress.ip_address(address)
    except ValueError:
        return None
    networks = [(found, key) for key in clients if (found := network(key)) and asked in found]
    return max(networks, key=lambda pair: pair[0].prefixlen)[1] if networks else None


def _translated(values: Settings, language: str) -> dict[str, Effective]:
    """The texts in a language: those that come along, and those of the settings before them."""
    found: dict[str, Effective] = {}
    for tag in reversed(tags.language_chain(language)):
        shipped = languages.texts(tag)
        source = DEFAULT if tag == SHIPPED.language else f"shipped ({tag})"
        for texts, path in ((shipped, source), (values.languages.get(tag), f"languages.{tag}")):
            for field in TEXTS:
                value = None if texts is None else _own(texts, field)
                if value is not None:
                    where = path if texts is shipped else f"{path}.{field}"
                    found[field] = Effective(value, where)
    return found


def _is_shipped(field: str, found: Effective) -> bool:
    return bool(found.value == _for_all(SHIPPED, FOR_ALL[field]).value)


def _own(scope: SsidSettings | LanguageSettings, field: str) -> Any:
    """What a part of ``clients``, or a language, says of a setting; None if nothing."""
    section, _, text = field.rpartition(".")
    if not section:
        return getattr(scope, field)
    texts = scope.texts
    # Every text has a default; only those that were written differ.
    return getattr(texts, text) if texts and text in texts.model_fields_set else None


def _for_all(values: Settings, path: str) -> Effective:
    """What holds for all clients."""
    found: Any = values
    written = True
    for part in path.split("."):
        written = written and part in found.model_fields_set
        found = getattr(found, part)
    return Effective(found, path if written else DEFAULT)
