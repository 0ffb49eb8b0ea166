"""A GSM modem on a serial line (3GPP TS 27.005, 23.040)."""

from radius_smsotp.providers.modem.provider import Provider, Settings

__all__ = ["Provider", "Settings"]
