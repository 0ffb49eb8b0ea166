"""
OpenVPN, whose plugins know no challenge: the PIN first, then PIN and code in one password.

Server and client are real; the tunnel ends in a network namespace of the test.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.freeradius import recipe
from tests.peers.dialogue import Dialogue
from tests.peers.network import own_network
from tests.peers.pam import SERVICE, Pam, in_service_folder
from tests.support.freeradius import Radiusd, Site
from tests.support.ports import free_port
from tests.support.radius import SECRET
from tests.support.site import PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PAM_PLUGIN = "/usr/lib/openvpn/openvpn-plugin-auth-pam.so"
RADIUS_PLUGIN = "/usr/lib/openvpn/radiusplugin.so"

SERVER = """\
local 127.0.0.1
port {port}
proto tcp-server
dev tun
server 192.0.2.0 255.255.255.0
topology subnet
dh none
ca {folder}/cert.pem
cert {folder}/cert.pem
key {folder}/cert.key
verify-client-cert none
status {folder}/status 1
verb 3
tmp-dir {folder}
"""

RADIUS_PLUGIN_CONFIGURATION = """\
NAS-Identifier=openvpn
Service-Type=5
Framed-Protocol=1
NAS-Port-Type=5
NAS-IP-Address=127.0.0.1
OpenVPNConfig={folder}/server.conf
overwriteccfiles=true
server
{{
	authport={port}
	acctport={accounting}
	name=127.0.0.1
	retry=1
	wait=5
	sharedsecret={secret}
}}
"""


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    """A network of its own for each test here."""
    with own_network():
        yield


class OpenVpn:
    """A server with one plugin."""

    def __init__(self, folder: Path, plugin: str, services: Path) -> None:
        self.folder = folder
        self.port = free_port()
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"),
                *("ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=vpn"),
                *("-keyout", folder / "cert.key", "-out", folder / "cert.pem"),
            ],
            check=True,
            capture_output=True,
        )
        path = folder / "server.conf"
        own = SERVER.format(folder=folder, port=self.port)
        said = recipe.files("OpenVPN")["server.conf"]
        path.write_text(own + recipe.fill_in(said, {f"{PAM_PLUGIN} openvpn": plugin}))
        self.server = Dialogue(in_service_folder(services, "openvpn", "--config", str(path)))
        self.server.expect("Initialization Sequence Completed")

    def client(self, password: str, *options: str) -> Dialogue:
        """Start alice's client."""
        credentials = self.folder / "credentials"
        credentials.write_text(f"alice\n{password}\n")
        credentials.chmod(0o600)
        return Dialogue(
            [
                *("openvpn", "--client", "--dev", "tun", "--proto", "tcp-client", "--nobind"),
                *("--remote", "127.0.0.1", str(self.port), "--ifconfig-noexec"),
                *("--route-noexec", "--ca", str(self.folder / "cert.pem")),
                *("--auth-user-pass", str(credentials), "--connect-retry-max", "1"),
                *("--verb", "3", *options),
            ]
        )

    def connect(self, password: str) -> str:
        """Log alice in.  Returns what her client shows, up to the moment it knows."""
        client = self.client(password)
        try:
            eventually(lambda: client.reads_one_of("AUTH_FAILED", "Initialization Sequence"))
        finally:
            client.stop()
        return client.shown

    def stop(self) -> None:
        """End it."""
        self.server.stop()


def log_in(site: Site, vpn: OpenVpn) -> None:
    """The PIN is refused and sends the code; PIN and code are let in, once."""
    assert "AUTH_FAILED" in vpn.connect(PIN)
    [message] = eventually(site.messages)
    code = site.code(message["transaction_id"].encode())
    assert "Initialization Sequence Completed" in vpn.connect(PIN + code)
    assert "AUTH_FAILED" in vpn.connect(PIN + code)
    kinds = site.kinds("alice")
    assert kinds[:3] == ["challenge-opened", "sms-accepted", "code-accepted"]
    assert "code-accepted" not in kinds[3:]


def test_with_its_pam_plugin_and_pam_radius(make_site: Callable[..., Site], tmp_path: Path) -> None:
    site = make_site(challenge={"style": "reject"})
    pam = Pam(tmp_path / "pam", [site.start()])
    vpn = OpenVpn(tmp_path, f"{PAM_PLUGIN} {SERVICE}", pam.services)
    try:
        log_in(site, vpn)
    finally:
        vpn.stop()


def test_a_renegotiation_needs_no_code(make_site: Callable[..., Site], tmp_path: Path) -> None:
    """OpenVPN asks for name and password again every hour: `auth-gen-token` answers that."""
    site = make_site(challenge={"style": "reject"})
    pam = Pam(tmp_path / "pam", [site.start()])
    vpn = OpenVpn(tmp_path, f"{PAM_PLUGIN} {SERVICE}", pam.services)
    try:
        vpn.connect(PIN)
        [message] = eventually(site.messages)
        code = site.code(message["transaction_id"].encode())
        client = vpn.client(PIN + code, "--reneg-sec", "2")
        try:
            client.expect("Initialization Sequence Completed")
            client.expect("TLS: soft reset")
            vpn.server.expect(
                "TLS: Username/auth-token authentication succeeded for username 'alice'"
            )
        finally:
            client.stop()
        assert "AUTH_FAILED" not in client.shown
    finally:
        vpn.stop()
    assert site.kinds("alice") == ["challenge-opened", "sms-accepted", "code-accepted"]


def test_with_the_plugin_of_openvpn_auth_radius(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    site = make_site(challenge={"style": "reject"})
    radiusd: Radiusd = site.start()
    values = {"port": radiusd.port, "accounting": radiusd.port + 1, "secret": SECRET}
    (tmp_path / "radiusplugin.cnf").write_text(
        RADIUS_PLUGIN_CONFIGURATION.format(folder=tmp_path, **values)
    )
    pam = Pam(tmp_path / "pam", [])
    vpn = OpenVpn(tmp_path, f"{RADIUS_PLUGIN} {tmp_path}/radiusplugin.cnf", pam.services)
    try:
        log_in(site, vpn)
        eventually(lambda: "session-ended" in site.kinds("alice"))
    finally:
        vpn.stop()
