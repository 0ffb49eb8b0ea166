"""What the administrator has written: the settings, keys, texts in each language."""

from pathlib import Path

DEFAULT_PATH = Path("/etc/radius-smsotp/smsotp.yaml")
"""Where the settings are, if nobody says otherwise."""
