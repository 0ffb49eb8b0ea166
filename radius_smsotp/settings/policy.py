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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from radius_smsotp.model import identity as tags
from radius_smsotp.model.records import SMS, LoginPolicy
from radius_smsotp.settings import languages
from radius_smsotp.settings.schema import (
    ClientSettings,
    LanguageSettings,
    PerClient,
    Settings,
    SsidSettings,
    network,
)
from radius_smsotp.settings.section import Section

TRIGGERS = "first_factor_by_client"

DEFAULT = "default"
"""Where a value comes from that stands nowhere in the file."""


@dataclass(frozen=True, slots=True)
class Effective:
    """A value that holds, and the path in the file at which it stands, or `DEFAULT`."""

    value: Any
    source: str


Found = dict[tuple[str, ...], Effective]
"""Settings by their name in an entry of ``clients``: ("wait",), ("texts", "failed")."""


class ClientPolicy(SsidSettings):
    """What holds for one client and SSID, nothing left out."""

    login: LoginPolicy
    first_factor_by_client: tuple[str, ...] = ()


def policy(
    values: Settings, name: str, address: str, ssid: str, language: str = ""
) -> ClientPolicy:
    """Work out what holds for a client, by short name and address, and the SSID behind it."""
    found: dict[str, Any] = {}
    for (field, *inner), one in effective(values, name, address, ssid, language).items():
        if inner:
            found.setdefault(field, {})[inner[0]] = one.value
        else:
            found[field] = one.value
    triggers = found.pop(TRIGGERS)
    own = SsidSettings.model_validate(found)
    login = LoginPolicy(
        digits=values.code.digits,
        lifetime=timedelta(seconds=values.code.lifetime),
        guesses=values.code.guesses,
        resend_word=own.resend,
        cooldown=timedelta(seconds=values.limits.cooldown),
        per_account_hour=values.limits.per_account_hour,
        per_number_hour=values.limits.per_number_hour,
        per_client_hour=values.limits.per_client_hour,
        per_day=values.limits.per_day,
        lockout_failures=values.lockout.failures,
        lockout_time=timedelta(minutes=values.lockout.minutes),
        bind=own.bind,
        ways=frozenset((*values.ways, SMS)) if values.ways else frozenset(),
        unasked=frozenset(key for key, one in values.clients.items() if one.first_factor_by_client),
    )
    own_triggers = {TRIGGERS: triggers}
    return ClientPolicy.model_construct(**dict(own), **own_triggers, login=login)


def effective(values: Settings, name: str, address: str, ssid: str, language: str = "") -> Found:
    """
    Each setting of which a client may have its own, with its value and source.

    Args:
        language: A known one, of whoever logs in; "" for the client's.
    """
    found = settings(values)
    # A new settings file has every text written out: only one that was changed is meant.
    changed = {text: found[text] for text in TEXTS if found[text].value != SHIPPED[text].value}
    spoken = values.language
    found |= _translated(values, spoken) | changed
    for path, scope in _scopes_of(values, name, address, ssid):
        if "language" in scope.model_fields_set and scope.language != spoken:
            spoken = scope.language
            found |= _translated(values, spoken)
        found |= _written(scope, path)
    # It has to be this very client: an entry for a network, or an address, does not say so.
    triggers = values.clients[name].first_factor_by_client if name in values.clients else ()
    source = f"clients.{name}.{TRIGGERS}" if triggers else DEFAULT
    found[TRIGGERS,] = Effective(triggers, source)
    if language and language != spoken:
        found |= _translated(values, language)
        found["language",] = Effective(language, "account")
    return found


def settings(section: Section, path: str = "") -> Found:
    """
    Each setting of which a client may have its own, as a part of the file has it.

    Args:
        section: That part: the whole file, or an entry of ``clients`` or ``languages``.
        path: Where it stands.
    """
    found: Found = {}
    for name, value in section:
        place = f"{path}.{name}" if path else name
        if isinstance(value, PerClient):
            found |= settings(value, place)
        elif isinstance(section, PerClient) and name not in SsidSettings.model_fields:
            continue
        elif isinstance(value, Section):
            found |= {(name, *inner): one for inner, one in settings(value, place).items()}
        else:
            written = name in section.model_fields_set
            found[name,] = Effective(value, place if written else DEFAULT)
    return found


SHIPPED = settings(Settings())
"""What holds where nobody has changed anything."""

TEXTS = tuple(settings(LanguageSettings()))
"""Of these, what a language has."""


def scopes(values: Settings) -> Iterator[tuple[str, SsidSettings]]:
    """Every part of ``clients`` and its path: each client, and each SSID of it."""
    for key, own in values.clients.items():
        yield f"clients.{key}", own
        for ssid, network_own in own.ssids.items():
            yield f"clients.{key}.ssids.{ssid}", network_own


def _scopes_of(
    values: Settings, name: str, address: str, ssid: str
) -> Iterator[tuple[str, SsidSettings]]:
    """What a client has of its own, then what the SSID behind it has, and where each stands."""
    key = _nearest(values.clients, name, address)
    if key is not None:
        own = values.clients[key]
        yield f"clients.{key}", own
        if ssid in own.ssids:
            yield f"clients.{key}.ssids.{ssid}", own.ssids[ssid]


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


def _translated(values: Settings, language: str) -> Found:
    """The texts in a language: those that come along, and those of the settings before them."""
    found: Found = {}
    for tag in reversed(tags.language_chain(language)):
        if shipped := languages.texts(tag):
            source = DEFAULT if tag == Settings().language else f"shipped ({tag})"
            found |= {text: replace(one, source=source) for text, one in _written(shipped).items()}
        if tag in values.languages:
            found |= _written(values.languages[tag], f"languages.{tag}")
    return found


def _written(section: Section, path: str = "") -> Found:
    """What is written in a part of the file."""
    return {name: one for name, one in settings(section, path).items() if one.source != DEFAULT}
