"""
What holds for one RADIUS client and SSID, and where in the settings each part of it stands.

One entry of ``clients`` holds for a client, the nearest: that of its short name, else of its
address, else of the smallest network it is in.  Nothing is taken from the other entries.  Field by
field, the SSID's part of that entry goes before the rest of it, and that before what holds for all.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from radius_smsotp.client_settings import network
from radius_smsotp.core.model import LoginPolicy, Style
from radius_smsotp.setting_types import TextSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from radius_smsotp.client_settings import ClientSettings, SsidSettings
    from radius_smsotp.settings import Settings

FOR_ALL = {
    "style": "challenge.style",
    "prompt": "challenge.prompt",
    "resend": "challenge.resend",
    "bind": "challenge.bind",
    "wait": "delivery.wait",
    "message": "message",
    "remember": "remember.hours",
    "country": "country",
} | {f"texts.{name}": f"texts.{name}" for name in TextSettings.model_fields}
"""What may differ for a client, to where it stands for all."""

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
    """

    login: LoginPolicy
    style: Style
    prompt: str
    message: str
    wait: float
    remember: timedelta
    country: str | None
    texts: TextSettings


def policy(values: Settings, name: str, address: str, ssid: str) -> ClientPolicy:
    """Work out what holds for a client, by short name and address, and the SSID behind it."""
    own = {field: one.value for field, one in effective(values, name, address, ssid).items()}
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
        texts=TextSettings(**{text: own[f"texts.{text}"] for text in TextSettings.model_fields}),
    )


def effective(values: Settings, name: str, address: str, ssid: str) -> dict[str, Effective]:
    """Each setting that may differ for a client (see `FOR_ALL`), with its value and source."""
    parts: list[tuple[str, SsidSettings]] = []
    key = _nearest(values.clients, name, address)
    if key is not None:
        own = values.clients[key]
        parts.append((f"clients.{key}", own))
        if ssid in own.ssids:
            parts.append((f"clients.{key}.ssids.{ssid}", own.ssids[ssid]))
    found = {}
    for field, place in FOR_ALL.items():
        found[field] = _for_all(values, place)
        for path, scope in parts:
            value = _own(scope, field)
            if value is not None:
                found[field] = Effective(value, f"{path}.{field}")
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


def _own(scope: SsidSettings, field: str) -> Any:
    """What a part of ``clients`` says of a setting; None if nothing."""
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
