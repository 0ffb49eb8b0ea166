"""An SMSC by SMPP 3.4."""

from radius_smsotp.providers.smpp.provider import Provider, Settings

__all__ = ["Provider", "Settings"]
