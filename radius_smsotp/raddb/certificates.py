"""
A certificate for Wi-Fi, made on the spot: an authority of our own, and a server's certificate
signed by it.

By the program `openssl`, which FreeRADIUS's package brings along.  What is there already is kept:
a certificate of yours in its place stays, and a removed one is made anew by the same authority.
"""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from radius_smsotp.errors import SmsotpError

AUTHORITY_DAYS = 3650
"""Devices are told once which authority to trust; that should last for their lives."""

SERVER_DAYS = 825
"""The longest that Apple's devices take (support.apple.com/103769)."""

# P-256: known to every device that speaks TLS 1.2.
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")

AUTHORITY = """
[req]
distinguished_name = name
[name]
[extensions]
basicConstraints = critical, CA:true, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""

SERVER = """
[req]
distinguished_name = name
[name]
[extensions]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:NAME
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""
"""Windows wants the purpose serverAuth, Android the name as subjectAltName."""


def ensure(folder: Path, name: str) -> list[Path]:
    """
    Make what is missing of ``ca.pem``, ``ca.key``, ``server.pem`` and ``server.key``.

    Args:
        name: DNS name that devices compare with what they were told.

    Returns:
        The files that were made; the keys have mode 0600.

    Raises:
        SmsotpError: `openssl` is not there or fails, or the authority's key is gone.
    """
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    server = [folder / "server.pem", folder / "server.key"]
    authority = [folder / "ca.pem", folder / "ca.key"]
    if all(path.exists() for path in server):
        return []
    made = []
    if not authority[0].exists():
        _request(AUTHORITY, f"Wi-Fi authority of {name}", authority, AUTHORITY_DAYS)
        made += authority
    elif not authority[1].exists():
        raise SmsotpError(
            f"{authority[1]} is gone: put a certificate of yours at {server[0]} and its key at "
            f"{server[1]}, or remove {authority[0]} as well for a new authority"
        )
    signed = ("-CA", str(authority[0]), "-CAkey", str(authority[1]))
    _request(SERVER.replace("NAME", name), name, server, SERVER_DAYS, *signed)
    return made + server


def _request(config: str, name: str, files: list[Path], days: int, *options: str) -> None:
    """Make a certificate and its key, both or none."""
    # RFC 5280 appendix A.1: ub-common-name.
    subject = f"/CN={name[:64]}"
    with TemporaryDirectory(dir=files[0].parent) as place:
        cnf, certificate, key = (Path(place) / name for name in ("cnf", "pem", "key"))
        cnf.write_text(config, encoding="utf-8")
        command: list[str | Path] = ["req", "-x509", "-utf8", "-config", cnf, *KEY, *options]
        command += ["-subj", subject, "-days", str(days), "-extensions", "extensions"]
        done = _openssl(*command, "-out", certificate, "-keyout", key)
        if done.returncode != 0:
            raise SmsotpError(f"openssl made no certificate: {done.stderr.strip()[-200:]}")
        key.chmod(0o600)
        certificate.chmod(0o644)
        key.replace(files[1])
        certificate.replace(files[0])


def expires_at(certificate: Path) -> datetime:
    """
    Until when a certificate is valid.

    Raises:
        SmsotpError: It cannot be read, or `openssl` is not there.
    """
    shown = _openssl("x509", "-noout", "-enddate", "-in", certificate).stdout
    _, _, text = shown.strip().partition("notAfter=")
    try:
        # "Nov 25 03:04:05 2027 GMT"
        return datetime.strptime(text, "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
    except ValueError:
        raise SmsotpError(f"{certificate} is no certificate that openssl can read") from None


def _openssl(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run it, for a minute at most.  Raises SmsotpError if it does not run."""
    try:
        return subprocess.run(  # noqa: S603  # arguments of ours
            ["openssl", *arguments],  # noqa: S607  # wherever it is
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SmsotpError(f"openssl does not run: {error}; apt-get install openssl") from None
