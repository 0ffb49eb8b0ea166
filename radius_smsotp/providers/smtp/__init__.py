"""Mail to SMS, by SMTP."""

from radius_smsotp.providers.smtp.provider import Provider, Settings

__all__ = ["Provider", "Settings"]
