"""A Squid that asks us, set up by the text of its page, and a browser's requests to it."""

from __future__ import annotations

import base64
import http.client
import http.server
import shutil
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.freeradius import recipe
from tests.freeradius.tcp_server import TcpServer
from tests.freeradius.test_wifi import code
from tests.support.radius import SECRET
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.freeradius import Site

PAGE = recipe.files("Squid")

FRAME = """\
http_port 127.0.0.1:{port}
visible_hostname localhost
pid_filename none
cache deny all
access_log none
cache_log /dev/null
netdb_filename none
shutdown_lifetime 0 seconds
"""


# What it shares with processes of its own outlives it, if it is killed.
ENTER = 'mount -t tmpfs tmpfs /dev/shm && exec /usr/sbin/squid -N -d 1 -f "$0"'


class Page(http.server.BaseHTTPRequestHandler):
    """What is behind the proxy."""

    def do_GET(self) -> None:
        """A page."""
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Of no interest."""


def get(proxy: int, port: int, password: str) -> int:
    """What the proxy says to alice: an HTTP status."""
    typed = base64.b64encode(f"alice:{password}".encode()).decode()
    there = http.client.HTTPConnection("127.0.0.1", proxy, timeout=30)
    there.request(
        "GET", f"http://127.0.0.1:{port}/", headers={"Proxy-Authorization": f"Basic {typed}"}
    )
    status = there.getresponse().status
    there.close()
    return status


@pytest.fixture
def squid() -> Iterator[TcpServer]:
    """It does not run as root, which the folder of a test belongs to."""
    with tempfile.TemporaryDirectory(prefix="squid-") as place:
        Path(place).chmod(0o755)
        one = TcpServer(Path(place) / "squid", "squid")
        shutil.chown(one.folder, "proxy")
        try:
            yield one
        finally:
            one.stop()


@pytest.fixture
def behind() -> Iterator[int]:
    """Port of a server behind the proxy."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_it_lets_in_with_pin_and_code(
    make_site: Callable[..., Site], squid: TcpServer, behind: int
) -> None:
    """The PIN brings the code; then the browser's password is good, and not asked about again."""
    site = make_site(**yaml.safe_load(PAGE["smsotp.yaml"].replace("squid:", "local:")))
    radiusd = site.start()
    path = squid.folder / "squid.conf"
    said = recipe.fill_in(PAGE["squid.conf"], {"/etc/squid/": f"{squid.folder}/"})
    path.write_text(FRAME.format(port=squid.port, folder=squid.folder) + said)
    place = {"192.0.2.10": "127.0.0.1", "1812": str(radiusd.port), "not-my-secret": SECRET}
    servers = squid.folder / "radius.conf"
    servers.write_text(recipe.fill_in(PAGE["radius.conf"], place))
    servers.chmod(0o640)
    shutil.chown(servers, group="proxy")
    squid.run(["unshare", "--mount", "sh", "-euc", ENTER, path])
    assert get(squid.port, behind, PIN) == 407
    password = PIN + code(site)
    assert [get(squid.port, behind, password) for _ in range(3)] == [200] * 3
    assert site.kinds("alice") == ["challenge-opened", "sms-accepted", "code-accepted"]
