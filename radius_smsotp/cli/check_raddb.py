"""What is wrong with the configuration of FreeRADIUS that is in use."""

from __future__ import annotations

import contextlib
import re
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from radius_smsotp import certificates, raddb_files
from radius_smsotp import raddb as files
from radius_smsotp.cli import check_waits
from radius_smsotp.cli.finding import Finding, error, note, warning
from radius_smsotp.errors import SmsotpError

PLACES = ("/etc/freeradius/3.0", "/etc/raddb", "/usr/local/etc/raddb")
"""Where it is: Debian; Red Hat, SUSE and Alpine; FreeBSD and from source."""

RENEW = timedelta(days=30)
"""A certificate that ends sooner is worth a word."""

CALLED = re.compile(r"^[^#\n]*(\bvirtual_server\s*=\s*\"?smsotp\"?\s*$|\bsmsotp_authorize\b)", re.M)
"""What sends a request to us: a client, a listener, or a site of the administrator's own."""

OURS = {"smsotp", "smsotp-gtc", "smsotp-inner-tunnel"}


def place(config: Path) -> Path:
    """The raddb of this machine: one beside the settings, else where packages have it."""
    for folder in (config.parent / "raddb", *map(Path, PLACES)):
        # Whoever may not look beside the settings hears of that as their fault.
        with contextlib.suppress(PermissionError):
            if (folder / "radiusd.conf").exists():
                return folder
    return Path(PLACES[0])


def findings(raddb: Path, config: Path) -> list[Finding]:
    """Our files, whether anything leads to them, and what Wi-Fi needs."""
    try:
        if not (raddb / "radiusd.conf").exists():
            return [note(str(raddb), "no configuration of FreeRADIUS; name it with --raddb")]
        found = files.compare(raddb, config)
        if set(found.values()) == {"missing"}:
            why = "FreeRADIUS does not know the module: logins there need no code."
            return [
                warning(str(raddb), "holds none of our files", "'smsotp raddb install'", why=why)
            ]
        return [
            *_files(raddb, found),
            *_links(raddb),
            *_dictionary(raddb),
            *_calls(raddb),
            *_wifi(raddb),
            *check_waits.raddb_findings(raddb, config),
        ]
    except PermissionError as raised:
        fault = f"this user may not read {raised.filename}"
        return [note(str(raddb), f"{fault}; root can check it")]


def _files(raddb: Path, found: dict[str, files.State]) -> Iterator[Finding]:
    again = f"smsotp raddb install --raddb {raddb}"
    for name, state in found.items():
        path = str(raddb / name)
        if state == "missing":
            why = "Other files of ours count on it; FreeRADIUS may not start."
            yield error(path, "is missing", again, why=why)
        elif state == "older":
            why = "It was made by another version, or for other settings, and nobody has edited it."
            yield warning(path, "is not as this version writes it", again, why=why)
        elif state == "edited and older":
            why = "Your edits were kept; what this version has changed is not in it."
            fault = "was edited, and differs from this version's"
            yield warning(path, fault, f"diff {path} {raddb_files.source(name)}", why=why)
        elif state == "edited":
            yield note(path, "was edited; 'smsotp raddb install' leaves it alone")


def _links(raddb: Path) -> Iterator[Finding]:
    for name in files.LINKS:
        if not (raddb / name).exists():
            why = "FreeRADIUS reads only what is enabled."
            remedy = f"smsotp raddb install --raddb {raddb}"
            yield error(str(raddb / name), "is not enabled", remedy, why=why)


def _dictionary(raddb: Path) -> Iterator[Finding]:
    path = raddb / "dictionary"
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    if not any(line.strip() == files.INCLUDE for line in text.splitlines()):
        why = "FreeRADIUS does not know our attributes, and does not start."
        yield error(
            str(path),
            f"the line '{files.INCLUDE}' is missing",
            f"smsotp raddb install --raddb {raddb}",
            why=why,
        )


def _calls(raddb: Path) -> Iterator[Finding]:
    """Whether any request gets to our policy."""
    places = [raddb / "clients.conf", raddb / "radiusd.conf", raddb / "worker.conf"]
    for folder in ("sites-enabled", "clients.d", "mods-enabled"):
        if (raddb / folder).is_dir():
            places += [one for one in sorted((raddb / folder).iterdir()) if one.name not in OURS]
    for path in places:
        if path.is_file():
            found = CALLED.search(path.read_text(encoding="utf-8", errors="replace"))
            if found:
                yield note(str(raddb), f"{path.relative_to(raddb)} leads to our policy")
                return
    why = "Whoever logs in now needs no code."
    fault = "no client is sent through the virtual server smsotp"
    remedy = "write 'virtual_server = smsotp' into the client's block, and restart FreeRADIUS"
    yield error(str(raddb / "clients.conf"), fault, remedy, why=why)


def _wifi(raddb: Path) -> Iterator[Finding]:
    """The certificate that devices are shown, and the secret of the tunnels, if Wi-Fi is on."""
    if not (raddb / files.WIFI_LINKS[0]).exists():
        return
    secret = raddb / files.GTC
    if not secret.exists():
        why = "The tunnels of Wi-Fi do not get to us."
        remedy = f"smsotp raddb install --raddb {raddb}"
        yield error(str(secret), "is missing", remedy, why=why)
    elif secret.stat().st_mode & (stat.S_IRWXO):
        why = "With it, anybody on this machine may pose as the tunnel of somebody else."
        yield error(str(secret), "is open to everybody", f"chmod o= {secret}", why=why)
    certificate = raddb / files.CERTIFICATES / "server.pem"
    try:
        end = certificates.expires_at(certificate)
    except SmsotpError as raised:
        why = "Devices that join the Wi-Fi are shown this certificate."
        remedy = f"rm -f {certificate}; smsotp raddb install --raddb {raddb}"
        yield error(str(certificate), str(raised), remedy, why=why)
        return
    why = "Devices refuse an expired certificate: nobody gets into the Wi-Fi."
    remedy = f"rm {certificate} && smsotp raddb install --raddb {raddb}, and restart FreeRADIUS"
    left = end - datetime.now(UTC)
    if left <= timedelta(0):
        yield error(str(certificate), f"has expired on {end:%Y-%m-%d}", remedy, why=why)
    elif left < RENEW:
        yield warning(str(certificate), f"expires in {left.days} days", remedy, why=why)
    else:
        yield note(str(certificate), f"is valid for {left.days} days more")
