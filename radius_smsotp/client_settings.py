"""What may be set for one RADIUS client, and for one wireless network behind it."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from radius_smsotp.model.records import Bind, Style
from radius_smsotp.setting_types import (
    Country,
    Language,
    MessageText,
    Prompt,
    Section,
    TextSettings,
)

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
        raise PydanticCustomError(
            "network", "is no network; write one as 192.0.2.0/24 or 2001:db8::/32"
        )
    return key


def _ssid(name: str) -> str:
    if not 1 <= len(name.encode()) <= SSID_OCTETS:
        raise PydanticCustomError(
            "ssid",
            "is no SSID: those have 1 to {most} octets; write it as access points show it",
            {"most": SSID_OCTETS},
        )
    # As `pin.decode` leaves what comes in.
    return unicodedata.normalize("NFC", name)


ClientKey = Annotated[str, AfterValidator(_client_key)]
Ssid = Annotated[str, AfterValidator(_ssid)]


class SsidSettings(Section):
    """What differs for one SSID; what is absent is as for its client."""

    style: Style | None = Field(None, description="as challenge.style")
    prompt: Prompt | None = Field(None, description="as challenge.prompt")
    resend: str | None = Field(None, max_length=20, description="as challenge.resend")
    bind: Bind | None = Field(None, description="as challenge.bind")
    wait: float | None = Field(None, ge=0, le=10, description="as delivery.wait")
    message: MessageText | None = Field(None, description="as message")
    remember: int | None = Field(None, ge=0, le=8760, description="as remember.hours")
    country: Country | None = Field(
        None, description="as country, for numbers that FreeRADIUS gives with a request"
    )
    language: Language | None = Field(None, description="as language")
    texts: TextSettings | None = Field(
        None, description='as texts, those that differ: {failed: "…"}'
    )


class ClientSettings(SsidSettings):
    """What differs for one RADIUS client; what is absent is as for all."""

    ssids: Mapping[Ssid, SsidSettings] = Field(
        default_factory=dict,
        description="all of this once more, for single wireless networks: "
        '{"Guests": {style: reject}}',
    )
