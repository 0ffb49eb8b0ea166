"""A VPN concentrator under test: a real ocserv, and openconnect before it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.freeradius import recipe
from tests.freeradius.tcp_server import TcpServer
from tests.peers.dialogue import Dialogue
from tests.support.radius import SECRET

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.support.freeradius import Radiusd

OCSERV = shutil.which("ocserv", path="/usr/sbin:/usr/local/sbin:/usr/bin") or "/usr/sbin/ocserv"

CONFIGURATION = """\
listen-host = 127.0.0.1
tcp-port = {port}
socket-file = {folder}/ocserv.sock
run-as-user = root
run-as-group = root
pid-file = {folder}/ocserv.pid
server-cert = {folder}/cert.pem
server-key = {folder}/cert.key
isolate-workers = false
max-ban-score = 0
max-clients = 16
max-same-clients = 16
device = smsotp
ipv4-network = 192.0.2.0/24
auth-timeout = 60
log-level = 2
"""


class Concentrator(TcpServer):
    """
    ocserv on a free port.

    Args:
        servers: The RADIUS servers, the first one asked first.
        timeout: Seconds after which ocserv gives one of them up.
    """

    def __init__(self, folder: Path, servers: Sequence[Radiusd], timeout: int = 10) -> None:
        super().__init__(folder, "ocserv")
        said = recipe.files("OpenConnect")
        places, accounting = (
            ",".join(f"127.0.0.1:{server.port + more}" for server in servers) for more in (0, 1)
        )
        for name, before, replacements in (
            (
                "ocserv.conf",
                CONFIGURATION.format(folder=folder, port=self.port),
                {"/etc/radcli/radiusclient.conf": f"{folder}/radiusclient.conf"},
            ),
            (
                "radiusclient.conf",
                "",
                {
                    "192.0.2.10:1812,192.0.2.11:1812": places,
                    "192.0.2.10:1813,192.0.2.11:1813": accounting,
                    "/etc/radcli/servers": f"{folder}/servers",
                    "radius_timeout 10": f"radius_timeout {timeout}",
                },
            ),
        ):
            text = recipe.fill_in(said[name], replacements)
            (folder / name).write_text(before + text)
        (folder / "servers").write_text(f"127.0.0.1 {SECRET}\n")

    def start(self) -> None:
        """Start the process and wait until it listens."""
        self.run([OCSERV, "--foreground", "--config", self.folder / "ocserv.conf"])

    def connect(self, user: str = "alice", *, tunnel: bool = False) -> Dialogue:
        """Start openconnect, up to the moment at which it would open the tunnel, or beyond."""
        how = ("--script", "true") if tunnel else ("--authenticate",)
        return Dialogue(
            [
                *("openconnect", *how, "--passwd-on-stdin", "--no-dtls"),
                *("--cafile", str(self.certificate), "--user", user),
                f"https://127.0.0.1:{self.port}",
            ]
        )
