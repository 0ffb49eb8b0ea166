"""Any gateway with an HTTP API."""

from radius_smsotp.providers.http.provider import Provider, Settings

__all__ = ["Provider", "Settings"]
