"""A directory under test: a real OpenLDAP, with TLS, on a free port."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

SLAPD = shutil.which("slapd", path="/usr/sbin:/usr/local/sbin:/usr/bin") or "/usr/sbin/slapd"
SUFFIX = "dc=example,dc=org"
READER_PASSWORD = "not-my-password"
READY_SECONDS = 20.0

CONFIGURATION = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
TLSCertificateFile {folder}/cert.pem
TLSCertificateKeyFile {folder}/cert.key
TLSCACertificateFile {folder}/cert.pem
disallow bind_anon
database mdb
suffix "{suffix}"
directory {folder}/data
access to attrs=userPassword by anonymous auth
access to * by dn.exact="cn=radius,{suffix}" read
"""

BASE = f"""\
dn: {SUFFIX}
objectClass: domain
dc: example

dn: cn=radius,{SUFFIX}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: radius
userPassword: {READER_PASSWORD}

dn: ou=people,{SUFFIX}
objectClass: organizationalUnit
ou: people
"""

PERSON = """
dn: uid={uid},ou=people,{suffix}
objectClass: inetOrgPerson
uid: {uid}
cn: {uid}
sn: {uid}
userPassword: {password}
"""


def free_tcp_port() -> int:
    """A TCP port of the loopback address that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Directory:
    """
    People under ``ou=people,dc=example,dc=org``; only ``cn=radius`` may look at them.

    Args:
        people: User name to password and values of ``mobile``.
    """

    def __init__(self, folder: Path, people: dict[str, tuple[str, list[str]]]) -> None:
        self.folder = folder
        self.port = free_tcp_port()
        self.process: subprocess.Popen[bytes] | None = None
        (folder / "data").mkdir(parents=True)
        self.certificate = folder / "cert.pem"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"),
                *("ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=ldap"),
                *("-addext", "subjectAltName=IP:127.0.0.1"),
                *("-keyout", folder / "cert.key", "-out", self.certificate),
            ],
            check=True,
            capture_output=True,
        )
        self._configuration = folder / "slapd.conf"
        self._configuration.write_text(CONFIGURATION.format(folder=folder, suffix=SUFFIX))
        entries = BASE
        for uid, (password, numbers) in people.items():
            entries += PERSON.format(uid=uid, password=password, suffix=SUFFIX)
            entries += "".join(f"mobile: {number}\n" for number in numbers)
        subprocess.run(
            [SLAPD, "-T", "add", "-f", self._configuration],
            input=entries.encode(),
            check=True,
            capture_output=True,
        )

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"ldaps://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the process and wait until it listens."""
        with (self.folder / "slapd.log").open("ab") as log:
            self.process = subprocess.Popen(
                # A debug level, even none, keeps it in the foreground.
                [SLAPD, "-d", "0", "-h", self.url, "-f", self._configuration],
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + READY_SECONDS
        while not self.answers():
            assert self.process.poll() is None, (self.folder / "slapd.log").read_text()
            assert time.monotonic() < until
            time.sleep(0.05)

    def answers(self) -> bool:
        """Whether somebody listens at its port."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None
