"""A directory under test: a real OpenLDAP, with TLS, on a free port."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from tests.freeradius import recipe
from tests.freeradius.tcp_server import TcpServer

if TYPE_CHECKING:
    from pathlib import Path

SLAPD = shutil.which("slapd", path="/usr/sbin:/usr/local/sbin:/usr/bin") or "/usr/sbin/slapd"
SUFFIX = "dc=example,dc=org"
READER_PASSWORD = "not-my-password"

CONFIGURATION = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
pidfile {folder}/slapd.pid
TLSCertificateFile {folder}/cert.pem
TLSCertificateKeyFile {folder}/cert.key
TLSCACertificateFile {folder}/cert.pem
disallow bind_anon
database mdb
suffix "{suffix}"
directory {folder}/data
overlay memberof
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

dn: ou=groups,{SUFFIX}
objectClass: organizationalUnit
ou: groups
"""

PERSON = """
dn: uid={uid},ou=people,{suffix}
objectClass: inetOrgPerson
uid: {uid}
cn: {uid}
sn: {uid}
userPassword: {password}
"""


class Directory(TcpServer):
    """
    People under ``ou=people,dc=example,dc=org``; only ``cn=radius`` may look at them.

    Args:
        people: User name to password and values of ``mobile``.
        groups: User name to the groups under ``ou=groups`` that the person is in.
    """

    def __init__(
        self,
        folder: Path,
        people: dict[str, tuple[str, list[str]]],
        groups: dict[str, list[str]] | None = None,
    ) -> None:
        super().__init__(folder, "slapd")
        (folder / "data").mkdir()
        self._configuration = folder / "slapd.conf"
        self._configuration.write_text(CONFIGURATION.format(folder=folder, suffix=SUFFIX))
        entries = BASE
        for uid, (password, numbers) in people.items():
            entries += PERSON.format(uid=uid, password=password, suffix=SUFFIX)
            entries += "".join(f"mobile: {number}\n" for number in numbers)
            # As the overlay, or Active Directory, keeps it.
            for group in (groups or {}).get(uid, []):
                entries += f"memberOf: cn={group},ou=groups,{SUFFIX}\n"
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
        # A debug level keeps it in the foreground; this one tells of each operation.
        self.run([SLAPD, "-d", "stats", "-h", self.url, "-f", self._configuration])

    def asked(self, raddb: Path) -> None:
        """Have a raddb ask it, by the recipe."""
        replacements = {
            "ldaps://ldap.example.org": self.url,
            "/etc/ssl/certs/ca-certificates.crt": str(self.certificate),
        }
        recipe.install(raddb, "LDAP", replacements)

    def binds(self, uid: str) -> int:
        """How often somebody has tried a password of this person."""
        return self.log().count(f'BIND dn="uid={uid},ou=people,{SUFFIX}" method=')
