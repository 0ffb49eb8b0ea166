"""
strongSwan as gateway and as client, both set up by the text of their page, over a wire.

The kernel's part, ESP, is done by strongSwan itself (kernel-libipsec): not every kernel has it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.freeradius import recipe
from tests.freeradius.test_wifi import code
from tests.peers.network import HERE, own_network, wire
from tests.support.ports import free_port
from tests.support.radius import SECRET
from tests.support.site import PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.freeradius import Site

PAGE = recipe.files("strongSwan")

FRAME = """\
charon-systemd {{
    load = random nonce x509 constraints revocation pubkey pkcs1 pem openssl pkcs8 kdf hmac sha2 \
aes gcm kernel-libipsec kernel-netlink socket-default vici updown xauth-generic eap-identity \
eap-gtc eap-ttls eap-radius
    filelog {{
        log {{
            path = {folder}/log
        }}
    }}
    plugins {{
        vici {{
            socket = unix://{folder}/vici
        }}
    }}
}}
"""
"""What is Debian's own, in the folder of a test."""


def here(*words: object) -> list[str]:
    """A command that runs where this test does."""
    return [str(word) for word in words]


class Charon:
    """
    One strongSwan.

    Args:
        connections: Its ``swanctl.conf`` of the page.
        place: What makes of a command one that runs where it is.
    """

    def __init__(
        self, folder: Path, connections: str, place: Callable[..., list[str]] = here
    ) -> None:
        self.folder = folder
        self._place = place
        for part in ("x509", "private", "x509ca"):
            (folder / part).mkdir(parents=True)
        (folder / "swanctl.conf").write_text(connections)
        self._environment = os.environ | {
            "STRONGSWAN_CONF": f"{folder}/strongswan.conf",
            "SWANCTL_DIR": str(folder),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, said: str = "") -> None:
        """Start it with the ``strongswan.conf`` of the page, and load its connections."""
        self._write(said)
        with (self.folder / "output").open("wb") as output:
            self._process = subprocess.Popen(
                self._place("charon-systemd"),
                env=self._environment,
                stdout=output,
                stderr=output,
            )
        eventually(lambda: "successfully loaded" in self.control("--load-all", may_fail=True))

    def reload(self, said: str) -> None:
        """Another ``strongswan.conf``."""
        self._write(said)
        self.control("--reload-settings")

    def initiate(self, connection: str) -> str:
        """What a user sees."""
        words = ("--initiate", "--child", connection, "--timeout", "30")
        return self.control(*words, may_fail=True)

    def control(self, *words: str, may_fail: bool = False) -> str:
        """What ``swanctl`` says."""
        done = subprocess.run(
            self._place("swanctl", *words, "--uri", f"unix://{self.folder}/vici"),
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        said = done.stdout + done.stderr
        assert may_fail or done.returncode == 0, said
        return said

    def type(self, old: str, new: str) -> None:
        """Another password."""
        path = self.folder / "swanctl.conf"
        path.write_text(
            recipe.fill_in(path.read_text(), {f"secret = {old}\n": f"secret = {new}\n"})
        )
        self.control("--load-creds", "--clear")

    def _write(self, said: str) -> None:
        (self.folder / "strongswan.conf").write_text(FRAME.format(folder=self.folder) + said)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Charon]:
    """The gateway, with a network behind it, and its certificate."""
    with own_network():
        subprocess.run(["ip", "address", "add", "10.1.0.1/16", "dev", "lo"], check=True)
        one = Charon(tmp_path / "gateway", PAGE["swanctl.conf"])
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"),
                *("ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
                *("-subj", "/CN=vpn.example.org", "-addext", "subjectAltName=DNS:vpn.example.org"),
                *("-keyout", one.folder / "private" / "vpn.pem"),
                *("-out", one.folder / "x509" / "vpn.pem"),
            ],
            check=True,
            capture_output=True,
        )
        try:
            yield one
        finally:
            one.stop()


@pytest.fixture
def client(tmp_path: Path, gateway: Charon) -> Iterator[Charon]:
    """Alice's, at the other end of a wire; it knows the gateway's certificate."""
    with wire() as there:
        said = {"remote_addrs = vpn.example.org": f"remote_addrs = {HERE}"}
        one = Charon(tmp_path / "client", recipe.fill_in(PAGE["office.conf"], said), there)
        shutil.copy(gateway.folder / "x509" / "vpn.pem", one.folder / "x509ca")
        try:
            yield one
        finally:
            one.stop()


def test_gateway_and_client_work_by_their_page(
    gateway: Charon, client: Charon, make_site: Callable[..., Site]
) -> None:
    """IKEv2 with EAP-GTC and EAP-TTLS, IKEv1 with XAuth; each session is accounted for."""
    settings = yaml.safe_load(PAGE["smsotp.yaml"])
    settings["clients"]["local"] = settings["clients"]["vpn"]
    site = make_site(**settings)
    port = free_port(1)

    def edit(raddb: Path) -> None:
        """Two ports more, for the client as the page has it; at the others it is sent to smsotp."""
        said = {"192.0.2.1": "127.0.0.1", "not-my-secret": SECRET}
        more = f"clients page {{\n{recipe.fill_in(PAGE['clients.conf'], said)}}}\n"
        for kind, at in (("auth", port), ("acct", port + 1)):
            more += f"listen {{\n\ttype = {kind}\n\tipaddr = 127.0.0.1\n\tport = {at}\n"
            more += "\tclients = page\n}\n"
        with (raddb / "radiusd.conf").open("a") as file:
            file.write(more)

    radiusd = site.start(edit=edit)
    shutil.copy(radiusd.folder / "certs" / "smsotp" / "ca.pem", client.folder / "x509ca")

    def servers(at: int) -> str:
        place = f"address = 127.0.0.1\nauth_port = {at}\nacct_port = {at + 1}"
        said = {"address = 192.0.2.10": place, "not-my-secret": SECRET}
        return recipe.fill_in(PAGE["strongswan.conf"], said)

    client.start()
    gateway.start(servers(port))
    seen = ""
    ways = [(port, "gtc"), (port, "xauth"), (radiusd.port, "xauth"), (radiusd.port, "ttls")]
    for at, connection in ways:
        gateway.reload(servers(at))
        client.type("1234", PIN)
        seen += client.initiate(connection)
        client.type(PIN, PIN + (sent := code(site)))
        assert "initiate completed successfully" in client.initiate(connection)
        client.control("--terminate", "--ike", connection)
        client.type(PIN + sent, "1234")
    recipe.assert_read("strongSwan", seen)
    eventually(lambda: site.kinds("alice").count("session-ended") == len(ways))
    kinds = Counter(site.kinds("alice"))
    assert kinds.pop("password-repeated", 0) <= 2  # the PIN, in answer to the question for the code
    assert kinds == dict.fromkeys(
        ("challenge-opened", "sms-accepted", "code-accepted", "session-started", "session-ended"),
        len(ways),
    )
