"""Waits that are longer than those who ask us wait for us."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from radius_smsotp import client_policy, settings_file
from radius_smsotp.cli.finding import Finding, error, warning
from radius_smsotp.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from radius_smsotp.settings_file import Loaded

CLIENT_PATIENCE = 3.0
"""Seconds after which clients ask again or give up: radclient and pam_radius_auth; others, such as
Cisco IOS and FortiOS, take 5."""

HOME_SERVER = re.compile(r"^[ \t]*home_server[ \t]+(smsotp_\w+)[ \t]*\{(.*?)^[ \t]*\}", re.M | re.S)
WINDOW = re.compile(r"^[ \t]*response_window[ \t]*=[ \t]*([0-9.]+)", re.M)

DEFAULT_WINDOW = 30.0
"""Where a home server says nothing (FreeRADIUS, src/main/realms.c)."""

ASKED_BY = {
    "workers.conf": "While a gateway is slow, the front thinks that the worker that waits for it "
    "is dead, and asks another one.",
    "sites-enabled/smsotp-gtc": "While a gateway is slow, the tunnels think that nobody is there "
    "to answer: nobody gets into the Wi-Fi.",
}
"""Files of raddb in which FreeRADIUS asks itself, and what comes of giving up too soon."""


def waits(loaded: Loaded) -> dict[str, float]:
    """How long the first step may wait for a verdict, seconds, by the path of the setting."""
    found = {"delivery.wait": loaded.values.delivery.wait}
    return found | {
        f"{path}.wait": own.wait
        for path, own in client_policy.scopes(loaded.values)
        if own.wait is not None
    }


def client_findings(loaded: Loaded) -> Iterator[Finding]:
    """Waits that many clients do not sit out."""
    for path, seconds in waits(loaded).items():
        if seconds > CLIENT_PATIENCE:
            fault = f"many clients ask again or give up after {CLIENT_PATIENCE:.0f} s"
            remedy = f"take less than {seconds:g}, or raise the clients' timeout above it"
            why = "The user sees a failed login, and the SMS comes all the same."
            yield warning(f"{loaded.path.name}: {path}", fault, remedy, why=why)


def raddb_findings(raddb: Path, config: Path) -> Iterator[Finding]:
    """Waits that FreeRADIUS itself does not sit out, where it hands requests to itself."""
    try:
        loaded = settings_file.load(config)
    except ConfigurationError:
        return  # said with the settings
    for name, why in ASKED_BY.items():
        window = _shortest(raddb / name)
        for path, seconds in waits(loaded).items():
            if window is not None and seconds >= window:
                fault = f"{seconds:g} s, and FreeRADIUS waits for {window:g} s ({raddb / name})"
                remedy = f"take less than {window:g}, or raise response_window there"
                yield error(f"{loaded.path.name}: {path}", fault, remedy, why=why)


def _shortest(path: Path) -> float | None:
    """The shortest ``response_window`` of our home servers in a file, seconds; None without any."""
    if not path.exists():
        return None
    blocks = HOME_SERVER.findall(path.read_text(encoding="utf-8", errors="replace"))
    windows = [WINDOW.search(block) for _, block in blocks]
    return min((float(one[1]) if one else DEFAULT_WINDOW for one in windows), default=None)
