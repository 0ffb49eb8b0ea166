"""A directory that takes connections and says nothing stops neither FreeRADIUS nor second steps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.cli.check import directories
from radius_smsotp.raddb import freeradius
from tests.freeradius import recipe, stock
from tests.freeradius.directory import Directory
from tests.freeradius.proxy import Proxy
from tests.support.radius import RadiusClient
from tests.support.site import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.freeradius import Site

PATIENCE = 20.0
"""Seconds; without a bound it is for ever."""

UNAVAILABLE = "Login is not possible at the moment. Please try again later."
NAMES = [f"user{number}" for number in range(50)]
PEOPLE = {name: ("s3cret", ["+49 170 1234599"]) for name in NAMES}
SETTINGS = {
    "country": "DE",
    "limits": {"per_number_hour": 0},
    "lockout": {"failures": 1, "minutes": 15},
}


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Directory]:
    """An OpenLDAP that runs."""
    one = Directory(tmp_path / "ldap", PEOPLE)
    one.start()
    yield one
    one.stop()


@pytest.fixture
def proxy(tmp_path: Path, directory: Directory) -> Iterator[Proxy]:
    """HAProxy before it."""
    one = Proxy(tmp_path / "haproxy", directory)
    one.start()
    yield one
    one.stop()


SERVER = freeradius.installed()
WAYS = ["haproxy", *(["directly"] if directories.keeps_time_in_tls(SERVER) else [])]
"""How the directory may be asked, by the recipe, with the libldap that is here."""


@pytest.mark.parametrize("way", WAYS)
def test_while_a_directory_hangs_those_who_have_a_code_get_in(
    make_site: Callable[..., Site], directory: Directory, proxy: Proxy, way: str
) -> None:
    """40 others try to log in meanwhile; none of that counts, and when it goes on, all can."""

    def edit(raddb: Path) -> None:
        replacements = {
            "ldaps://ldap.example.org": directory.url,
            "/etc/ssl/certs/ca-certificates.crt": str(directory.certificate),
        }
        recipe.install(raddb, "LDAP", replacements)
        if way == "haproxy":
            proxy.before(raddb / "mods-enabled" / "ldap")
        # As many threads as on Debian.
        stock.replace(raddb / "radiusd.conf", "start_servers = .*", "start_servers = 5")
        stock.replace(raddb / "radiusd.conf", "max_servers = .*", "max_servers = 32")
        stock.replace(raddb / "radiusd.conf", "max_spare_servers = .*", "max_spare_servers = 10")

    site = make_site(**SETTINGS)
    radiusd = site.start(edit=edit)
    challenges = {name: radiusd.challenge(name, "s3cret") for name in NAMES[40:]}
    codes = {name: site.code(one.state) for name, one in challenges.items()}
    directory.hang()
    with ThreadPoolExecutor(40) as crowd:
        hanging = [
            crowd.submit(RadiusClient(radiusd.port, patience=PATIENCE).ask, name, "s3cret")
            for name in NAMES[:40]
        ]
        eventually(lambda: any(one.done() for one in hanging))
        for name, code in codes.items():
            reply = radiusd.ask(name, code, challenges[name].state)
            assert reply.kind == "Access-Accept"
        replies = [one.result() for one in hanging]
    assert {(one.kind, one.message) for one in replies} == {("Access-Reject", UNAVAILABLE)}
    directory.go_on()
    eventually(lambda: radiusd.ask(NAMES[0], "s3cret").kind == "Access-Challenge")
    assert not {"pin-wrong", "account-locked"} & set(site.kinds(NAMES[0]))
