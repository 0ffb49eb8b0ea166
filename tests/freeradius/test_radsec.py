"""A login over RadSec (RFC 6614), with radsecproxy as the client's end of the tunnel."""

from __future__ import annotations

import re
import subprocess
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.documents import pages
from tests.freeradius.wall_clock import WallClock
from tests.support.freeradius import Site
from tests.support.ports import free_port
from tests.support.radius import (
    PROXY_STATE,
    REJECT,
    SECRET,
    USER_NAME,
    USER_PASSWORD,
    NoReplyError,
    RadiusClient,
    access_request,
    exchange,
)
from tests.support.site import PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.radius import Reply

START_SECONDS = 120.0


def block(opening: str) -> str:
    """What stands in the recipe, from this line to the end of its block."""
    text = pages.section("BlastRADIUS, and RadSec in front")
    found = re.search(rf"\n(    {re.escape(opening)}.*?\n)(?=\S|\Z)", text, re.DOTALL)
    assert found, opening
    return textwrap.dedent(found[1])


def changed(text: str, **values: str) -> str:
    """A recipe with some of its values replaced; each stands there once at least."""
    for before, after in values.items():
        assert before in text
        text = text.replace(before, after)
    return text


def certificates(folder: Path) -> None:
    """A CA and what it has signed, "radius" and "vpn"; and "stranger", of another CA."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    folder.mkdir()
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for authority, names in (("ca", ("radius", "vpn")), ("other", ("stranger",))):
        made = ("-x509", *curve, "-keyout", f"{authority}.key", "-out", f"{authority}.pem")
        openssl("req", *made, "-subj", f"/CN={authority}", "-days", "2")
        for name in names:
            asked = ("-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
            openssl("req", *curve, *asked)
            signer = ("-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-CAcreateserial")
            openssl("x509", "-req", "-in", f"{name}.csr", *signer, "-out", f"{name}.pem")


class Tunnel:
    """A radsecproxy with one certificate, in front of one server."""

    def __init__(self, folder: Path, name: str, server_port: int, clock: WallClock) -> None:
        self.port = free_port()
        config = folder / f"radsecproxy-{name}.conf"
        text = changed(
            block("ListenUDP"),
            **{
                "127.0.0.1:1812": f"127.0.0.1:{self.port}",
                "/etc/radsecproxy/vpn": f"{folder}/certs/{name}",
                "/etc/radsecproxy/ca.pem": f"{folder}/certs/ca.pem",
                "port 2083": f"port {server_port}",
                "radius.example.org": "127.0.0.1",
                "SECRET": SECRET,
            },
        )
        config.write_text(text, encoding="utf-8")
        self._log = (folder / f"radsecproxy-{name}.log").open("wb")
        command = [*clock.prefix(), "radsecproxy", "-f", "-c", config, "-i", folder / f"{name}.pid"]
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log)

    def client(self, timeout: float) -> RadiusClient:
        """A RADIUS client that asks through it."""
        return RadiusClient(self.port, patience=timeout)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._log.close()


@pytest.fixture
def clock(tmp_path: Path) -> WallClock:
    """Of all of them."""
    return WallClock(tmp_path / "clock")


@pytest.fixture
def over_tls(site: Site, clock: WallClock) -> Iterator[tuple[Tunnel, Tunnel]]:
    """Tunnels to a FreeRADIUS with the recipe: of the VPN, and of somebody unknown."""
    certificates(site.folder / "certs")
    port = free_port()

    def edit(raddb: Path) -> None:
        path = raddb / "sites-available" / "smsotp"
        recipe = changed(
            block("listen {\n            type = auth\n            proto = tcp"),
            **{
                "ipaddr = *": "ipaddr = 127.0.0.1",
                "port = 2083": f"port = {port}",
                "/etc/freeradius/3.0": str(site.folder),
                "192.0.2.1": "127.0.0.1",
            },
        )
        path.write_text(path.read_text() + recipe, encoding="utf-8")

    site.start(edit=edit, prefix=clock.prefix())
    tunnels = [Tunnel(site.folder, name, port, clock) for name in ("vpn", "stranger")]
    yield tunnels[0], tunnels[1]
    for tunnel in tunnels:
        tunnel.close()


def test_a_login_over_tls(site: Site, over_tls: tuple[Tunnel, Tunnel], clock: WallClock) -> None:
    """Also where FreeRADIUS is started anew between the steps, after a while without logins."""
    known, stranger = over_tls
    until = time.monotonic() + START_SECONDS

    def answer(seconds: float, password: str, state: bytes | None = None) -> Reply | None:
        try:
            return known.client(seconds).ask("alice", password, state)
        except NoReplyError:
            assert time.monotonic() < until
            return None

    challenge = eventually(lambda: answer(2, PIN))
    assert challenge.kind == "Access-Challenge"
    code = site.code(challenge.state)
    # FreeRADIUS would close what has been idle for 30 s, unless told not to; and radsecproxy
    # connects once in 30 s only (util.c, connect_wait).
    clock.jump(60)
    [radiusd] = site.daemons
    for _ in range(2):  # it looks at its timers between two requests
        radiusd.ask("nobody", "wrong")
        time.sleep(1)
    radiusd.stop()
    radiusd.start()
    # radsecproxy keeps a request for 10 s, and a second writing of it would be a second answer.
    until = time.monotonic() + START_SECONDS
    assert eventually(lambda: answer(12, code, challenge.state)).kind == "Access-Accept"
    assert site.events("alice")[-1].client == "vpn"
    # Nobody can change what TLS carries.
    unsigned = access_request(
        *(SECRET.encode(), [(USER_NAME, b"alice"), (USER_PASSWORD, b"wrong"), (PROXY_STATE, b"x")]),
        signed=False,
    )
    reply = exchange(known.port, unsigned)
    assert reply is not None
    assert reply[0] == REJECT
    assert site.kinds("alice")[-1] == "pin-wrong"
    with pytest.raises(NoReplyError):
        stranger.client(2).ask("alice", PIN)
    assert site.kinds("alice").count("code-accepted") == 1
