"""What may be set for one RADIUS client, and for one wireless network behind it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from radius_smsotp.core.model import Bind, Style
from radius_smsotp.setting_types import Country, MessageText, Prompt, Section, TextSettings

SSID_OCTETS = 32
"""IEEE 802.11 section 9.4.2.2."""


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
    texts: TextSettings | None = Field(
        None, description='as texts, those that differ: {failed: "…"}'
    )


class ClientSettings(SsidSettings):
    """What differs for one RADIUS client; what is absent is as for all."""

    ssids: Mapping[str, SsidSettings] = Field(
        default_factory=dict,
        description="all of this once more, for single wireless networks: "
        '{"Guests": {style: reject}}',
    )

    @field_validator("ssids")
    @classmethod
    def _lengths(cls, value: Mapping[str, SsidSettings]) -> Mapping[str, SsidSettings]:
        if not all(1 <= len(ssid.encode()) <= SSID_OCTETS for ssid in value):
            raise PydanticCustomError(
                "ssid", "an SSID has 1 to {most} octets; write it as it is", {"most": SSID_OCTETS}
            )
        return value


def network(key: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """The network, or single address, that a key of ``clients`` names; None for a short name."""
    try:
        return ipaddress.ip_network(key, strict=False)
    except ValueError:
        return None
