"""A directory or database that says nothing stops neither FreeRADIUS nor second steps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import pytest

from radius_smsotp.cli.check import directories
from radius_smsotp.raddb import freeradius
from tests.freeradius import stock
from tests.freeradius.database import Database
from tests.freeradius.directory import Directory
from tests.freeradius.proxy import Proxy
from tests.support.radius import RadiusClient
from tests.support.site import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.freeradius.tcp_server import TcpServer
    from tests.support.freeradius import Site

PATIENCE = 20.0
"""Seconds; without a bound it is for ever."""

UNAVAILABLE = "Login is not possible at the moment. Please try again later."
PASSWORD = "s3cret"
NAMES = [f"user{number}" for number in range(50)]
PEOPLE = {name: (PASSWORD, ["+49 170 1234599"]) for name in NAMES}
SETTINGS = {
    "country": "DE",
    "limits": {"per_number_hour": 0},
    "lockout": {"failures": 1, "minutes": 15},
}


SERVER = freeradius.installed()
WAYS = ["haproxy", "mariadb", *(["ldaps"] if directories.keeps_time_in_tls(SERVER) else [])]
"""How people are looked up by the recipes, with the libldap that is here."""


class Behind(NamedTuple):
    """What FreeRADIUS asks, and what makes it do so."""

    server: TcpServer
    edit: Callable[[Path], None]


@pytest.fixture
def behind(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Behind]:
    """By the way that is wanted."""
    with ExitStack() as stack:
        if request.param == "mariadb":
            database = Database(tmp_path / "mariadb")
            stack.callback(database.stop)
            database.put(PEOPLE)
            yield Behind(database, database.asked)
            return
        directory = Directory(tmp_path / "ldap", PEOPLE)
        directory.start()
        stack.callback(directory.stop)
        if request.param == "ldaps":
            yield Behind(directory, directory.asked)
            return
        proxy = Proxy(tmp_path / "haproxy", directory)
        proxy.start()
        stack.callback(proxy.stop)

        def edit(raddb: Path) -> None:
            directory.asked(raddb)
            proxy.asked(raddb)

        yield Behind(directory, edit)


@pytest.mark.parametrize("behind", WAYS, indirect=True)
def test_while_it_hangs_those_who_have_a_code_get_in(
    make_site: Callable[..., Site], behind: Behind
) -> None:
    """40 others try to log in meanwhile; none of that counts, and when it goes on, all can."""

    def edit(raddb: Path) -> None:
        behind.edit(raddb)
        # As many threads as on Debian.
        stock.replace(raddb / "radiusd.conf", "start_servers = .*", "start_servers = 5")
        stock.replace(raddb / "radiusd.conf", "max_servers = .*", "max_servers = 32")
        stock.replace(raddb / "radiusd.conf", "max_spare_servers = .*", "max_spare_servers = 10")

    site = make_site(**SETTINGS)
    radiusd = site.start(edit=edit)
    challenges = {name: radiusd.challenge(name, PASSWORD) for name in NAMES[40:]}
    codes = {name: site.code(one.state) for name, one in challenges.items()}
    behind.server.hang()
    with ThreadPoolExecutor(40) as crowd:
        hanging = [
            crowd.submit(RadiusClient(radiusd.port, patience=PATIENCE).ask, name, PASSWORD)
            for name in NAMES[:40]
        ]
        eventually(lambda: any(one.done() for one in hanging))
        for name, code in codes.items():
            reply = radiusd.ask(name, code, challenges[name].state)
            assert reply.kind == "Access-Accept"
        replies = [one.result() for one in hanging]
    assert {(one.kind, one.message) for one in replies} == {("Access-Reject", UNAVAILABLE)}
    behind.server.go_on()
    eventually(lambda: radiusd.ask(NAMES[0], PASSWORD).kind == "Access-Challenge")
    assert not {"pin-wrong", "account-locked"} & set(site.kinds(NAMES[0]))
