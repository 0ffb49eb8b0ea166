"""Whether the servers of a store show Wi-Fi devices the same authority and name."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from radius_smsotp.cli.check.finding import MACHINE, Finding
from radius_smsotp.cli.site import Site, acting_as
from radius_smsotp.errors import SmsotpError
from radius_smsotp.raddb import certificates, files

warning = MACHINE.warning

Shown = tuple[str, str]
"""Fingerprint of an authority's key, and the server's names."""


def introduce(config: Path, raddb: Path) -> dict[str, tuple[str, str, datetime]]:
    """
    Make known to the store what devices are shown here, as far as the two can be read.

    Returns:
        What is known of all its servers, see `store.servers.ServerStatements`.
    """
    with contextlib.suppress(SmsotpError, OSError):
        shown = _shown(raddb)
        if shown is None:
            return {}
        with Site(config) as site, acting_as(site.owner), site.store.write() as tx:
            tx.put_authority(_place(raddb), *shown, datetime.now(timezone.utc))
            return tx.authorities()
    return {}


def findings(config: Path, raddb: Path) -> Iterator[Finding]:
    """One for each server that shows something else; this one is introduced."""
    known = introduce(config, raddb)
    here = known.pop(_place(raddb), None)
    folder = raddb / files.CERTIFICATES
    for place, (fingerprint, name, seen_at) in known.items():
        host, _, path = place.partition(":")
        if here is None or (fingerprint, name) == here[:2]:
            continue
        # Of this machine we need not believe what was once so.
        if host == socket.gethostname() and _shown(Path(path)) in {None, here[:2]}:
            continue
        what = f"the name {name}" if fingerprint == here[0] else "another authority"
        fault = f"{path} on {host} had {what} on {seen_at:%Y-%m-%d}"
        remedy = (
            f"put the {files.CERTIFICATES} of one, owners and modes too, in the place of the "
            "other's, restart FreeRADIUS and run 'smsotp check' there"
        )
        why = (
            "Devices that know the one refuse the other.  A server that is gone is forgotten after "
            "audit.days without 'smsotp check'."
        )
        yield warning(str(folder), fault, remedy, why=why)


def _place(raddb: Path) -> str:
    return f"{socket.gethostname()}:{raddb.absolute()}"


def _shown(raddb: Path) -> Shown | None:
    """What a raddb shows to devices; None without Wi-Fi, or with an authority that is not here."""
    folder = raddb / files.CERTIFICATES
    with contextlib.suppress(SmsotpError, OSError):
        if (raddb / files.WIFI_LINKS[0]).exists() and certificates.is_signed(folder):
            names = certificates.read(folder / "server.pem").names
            return certificates.read(folder / "ca.pem").key, ", ".join(names)
    return None
