"""SMS one-time codes as second factor for FreeRADIUS."""

__version__ = "0.1.0"
