"""HAProxy before a directory, by docs/how-to/accounts/hanging.rst, below Debian's settings."""

from __future__ import annotations

import re
from pathlib import Path

from tests.freeradius import recipe, stock
from tests.freeradius.tcp_server import TcpServer

TITLE = "A directory that hangs"
STOCK = Path("/etc/haproxy/haproxy.cfg")
AS_A_SERVICE = re.compile(r"^\s*(?:chroot|stats|user|group|daemon|log /dev/log).*\n", re.MULTILINE)


class Proxy(TcpServer):
    """One before `behind`, at a socket in `folder`."""

    def __init__(self, folder: Path, behind: TcpServer) -> None:
        super().__init__(folder, "haproxy")
        self.socket = folder / "ldap.sock"
        self._configuration = folder / "haproxy.cfg"
        self._configuration.write_text(
            AS_A_SERVICE.sub("", STOCK.read_text())
            + recipe.fill_in(
                recipe.files(TITLE)[str(STOCK)],
                {
                    "/run/haproxy/ldap.sock user freerad": str(self.socket),
                    "/etc/ssl/certs/ca-certificates.crt": str(behind.certificate),
                    "ldap.example.org:636": f"127.0.0.1:{behind.port}",
                },
            )
        )

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self.run(["haproxy", "-db", "-f", self._configuration])

    def answers(self) -> bool:
        """Whether its socket is there."""
        return self.socket.exists()

    def asked(self, raddb: Path) -> None:
        """Have a raddb that asks a directory ask it in its place."""
        module = raddb / "mods-enabled" / "ldap"
        said = recipe.fill_in(
            recipe.code(TITLE, "text"),
            {"%2Frun%2Fhaproxy%2Fldap.sock": str(self.socket).replace("/", "%2F")},
        )
        stock.replace(module, r"^\s*server = .*\n", said)
        stock.replace(module, r"^ {8}tls \{\n(?:.*\n)*? {8}\}\n", "")
