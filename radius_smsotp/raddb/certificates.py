"""
A certificate for Wi-Fi, made on the spot: an authority of our own, and a server's certificate
signed by it.

By the program `openssl`, which FreeRADIUS's package brings along.  What is there already is kept:
a certificate of yours in its place stays, and one that is renewed, or was removed, keeps its name
and its authority: they are what devices were told.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import socket
import subprocess
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

from radius_smsotp.errors import SmsotpError, package_command
from radius_smsotp.settings import whole_file

AUTHORITY_DAYS = 3650
"""Devices are told once which authority to trust; that should last for their lives."""

SERVER_DAYS = 825
"""The longest that Apple's devices take (support.apple.com/103769)."""

SOON = timedelta(days=60)
"""A server's certificate that ends sooner should be renewed."""

LATE = timedelta(days=365)
"""An authority that ends sooner should be, as each device has to be given it again."""

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


BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----\n.*?\n-----END CERTIFICATE-----\n", re.DOTALL)
"""A certificate in PEM; a file may hold several, and words around them (RFC 7468)."""

AUTHORITY_OF = "Wi-Fi authority of "

COMMON_NAME = 64
"""Characters that it may have: RFC 5280 appendix A.1, ub-common-name."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """
    What a file says of itself; of a chain, its first certificate.

    Attributes:
        names: DNS names, which devices compare with what they were told (RFC 5280 4.2.1.6).
        subject: Whose it is, in words.
        fingerprint: SHA-256 of it, as openssl shows it: ``3F:A0:…``.
        key: SHA-256 of its public key in hexadecimal: renewed, an authority has the same.
    """

    path: Path
    names: tuple[str, ...]
    subject: str
    fingerprint: str
    key: str
    ends_at: datetime

    def left(self, now: datetime) -> timedelta:
        """How long it is valid still."""
        return self.ends_at - now


def ensure(folder: Path, name: str | None) -> list[Path]:
    """
    Make what is missing of ``ca.pem``, ``ca.key``, ``server.pem`` and ``server.key``.

    Args:
        name: DNS name that devices compare with what they were told; None for the one that the
            authority was made for, or for this host's.  Without effect on a certificate that is
            there.

    Returns:
        The files that were made; the keys have mode 0600.

    Raises:
        SmsotpError: `openssl` is not there or fails, or the authority's key is gone, or its name
            was cut, or this host has none.
    """
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    server = [folder / "server.pem", folder / "server.key"]
    authority = [folder / "ca.pem", folder / "ca.key"]
    # One of the administrator's own may have its key in the same file, or elsewhere.
    if server[0].exists() and (server[1].exists() or not is_signed(folder)):
        return []
    made = []
    if not authority[0].exists():
        name = name or _host_name()
        _request(AUTHORITY, f"{AUTHORITY_OF}{name}", authority, AUTHORITY_DAYS)
        made += authority
    elif not authority[1].exists():
        raise SmsotpError(
            f"{authority[1]} is gone: put a certificate of yours at {server[0]} and its key at "
            f"{server[1]}, or remove {authority[0]} as well for a new authority"
        )
    name = name or _name_of_authority(authority[0]) or _host_name()
    signed = ("-CA", str(authority[0]), "-CAkey", str(authority[1]))
    _request(SERVER.replace("NAME", name), name, server, SERVER_DAYS, *signed)
    return made + server


def _host_name() -> str:
    """This host's, with its domain if it has one; not the one that every host has for itself."""
    for name in (socket.getfqdn(), socket.gethostname()):
        if name.partition(".")[0] not in {"", "localhost"}:
            return name
    raise SmsotpError("this host is called localhost, as any is: say a name with --server-name")


def _name_of_authority(path: Path) -> str | None:
    """The name that its servers have, None if it is not one of ours."""
    subject = read(path).subject
    if not subject.startswith(own := f"CN={AUTHORITY_OF}"):
        return None
    if len(subject) == len("CN=") + COMMON_NAME:
        raise SmsotpError(f"the name in {path} was too long for it: say it with --server-name")
    return subject.removeprefix(own)


def renew(folder: Path) -> list[Path]:
    """
    Sign the server's certificate again, and the authority's where it would end within `LATE`.

    Names, keys, owners and modes stay, so that devices notice nothing: those that were told of the
    authority before it was renewed trust what it signs until that one ends.

    Returns:
        The files that were renewed.

    Raises:
        SmsotpError: The certificate is not the authority's, or the authority's key is not here, or
            `openssl` is not there or fails.
        OSError: This user may not write there.
    """
    server, authority, key = (folder / name for name in ("server.pem", "ca.pem", "ca.key"))
    if not is_signed(folder):
        raise SmsotpError(
            f"{server} was not signed by {authority}: renew it where it comes from, and put it "
            "there again with the same name, which devices know"
        )
    if not key.exists():
        raise SmsotpError(f"{key} is not here: bring it back, or renew {server} where it is")
    renewed = []
    if read(authority).left(datetime.now(timezone.utc)) < LATE:
        _sign_again(authority, key, AUTHORITY_DAYS, "-key", key)
        renewed.append(authority)
    own = folder / "server.key"
    _sign_again(server, own, SERVER_DAYS, "-CA", authority, "-CAkey", key)
    return [*renewed, server]


def _sign_again(certificate: Path, key: Path, days: int, *by: str | Path) -> None:
    """Write a certificate with all that was in it, but later dates and another number."""
    # openssl signs requests: first it is made one again.
    again = ("-copy_extensions", "copyall")
    asked = _openssl("x509", "-x509toreq", *again, "-in", certificate, "-key", key)
    # RFC 5280 section 4.1.2.2: positive, 20 octets at most.
    serial = ("-set_serial", str(secrets.randbits(158) + 1))
    options = (*again, "-days", str(days), *serial, *by)
    done = _openssl("x509", "-req", *options, given=asked.stdout)
    for step in (asked, done):
        if step.returncode != 0:
            raise SmsotpError(f"openssl did not renew {certificate}: {step.stderr.strip()[-200:]}")
    whole_file.write(certificate, done.stdout, 0o777)


def is_signed(folder: Path) -> bool:
    """
    Whether devices that trust ``ca.pem`` take ``server.pem``, its dates aside.

    Raises:
        SmsotpError: `openssl` is not there.
    """
    server, authority = folder / "server.pem", folder / "ca.pem"
    # The one may bring intermediate ones along, the other may end below the root.
    trusted = ("-partial_chain", "-no-CApath", "-CAfile", authority, "-untrusted", server)
    done = _openssl("verify", "-no_check_time", *trusted, server)
    return done.returncode == 0


def _request(config: str, name: str, files: list[Path], days: int, *options: str) -> None:
    """Make a certificate and its key, both or none."""
    subject = f"/CN={name[:COMMON_NAME]}"
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


def read(certificate: Path) -> Certificate:
    """
    Read a file.

    Raises:
        SmsotpError: It holds no certificate, or `openssl` is not there.
        PermissionError: This user may not read it.
    """
    wanted = ("-pubkey", "-subject", "-nameopt", "RFC2253", "-enddate", "-fingerprint", "-sha256")
    shown = _openssl("x509", "-noout", *wanted, "-ext", "subjectAltName", "-in", certificate).stdout
    told = dict(re.findall(r"(?m)^(subject|notAfter|\w+ Fingerprint)=(.*)$", shown))
    try:
        # "Nov 25 03:04:05 2027 GMT"
        end = datetime.strptime(told["notAfter"], "%b %d %H:%M:%S %Y GMT").replace(
            tzinfo=timezone.utc
        )
    except (KeyError, ValueError):
        if certificate.exists() and not os.access(certificate, os.R_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), certificate) from None
        raise SmsotpError(f"{certificate} is no certificate that openssl can read") from None
    return Certificate(
        path=certificate,
        names=tuple(re.findall(r"\bDNS:([^,\s]+)", shown)),
        subject=told["subject"],
        fingerprint=told["sha256 Fingerprint"],
        key=hashlib.sha256(shown.partition("-----END")[0].encode()).hexdigest(),
        ends_at=end,
    )


def _openssl(*arguments: str | Path, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run it, for a minute at most.  Raises SmsotpError if it does not run."""
    try:
        return subprocess.run(  # noqa: S603  # arguments of ours
            ["openssl", *arguments],  # noqa: S607  # wherever it is
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SmsotpError(f"openssl does not run: {error}; {package_command('openssl')}") from None
