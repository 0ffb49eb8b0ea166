"""`style: reject` by client and SSID: the code is sent, then PIN and code come in one password."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.freeradius import Radiusd, Site
from tests.support.radius import (
    ACCESS_POINT,
    CALLED_STATION_ID,
    CALLING_STATION_ID,
)
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SENT = "A code was sent to ***67. Log in again with your PIN followed by the code."


def newest_code(site: Site) -> str:
    """The code of the last message."""
    return site.code(site.messages()[-1]["transaction_id"].encode())


@pytest.mark.once
@pytest.mark.parametrize(
    "clients",
    [
        {"local": {"style": "reject"}},
        {"127.0.0.1": {"style": "reject"}},
        {"127.0.0.0/8": {"ssids": {"Guests": {"style": "reject"}}}},
    ],
    ids=["by short name", "by address", "by SSID"],
)
def test_the_first_attempt_sends_the_code_and_the_second_is_let_in(
    make_site: Callable[..., Site], clients: dict[str, object]
) -> None:
    site = make_site(clients=clients)
    radiusd = site.start()
    called = f"{ACCESS_POINT}:Guests"
    first = radiusd.ask(called=called)
    assert (first.kind, first.message, first.state) == ("Access-Reject", SENT, None)
    # The same once more, as an impatient device does: no second SMS.
    assert radiusd.ask(called=called).message == SENT
    assert len(site.messages()) == 1
    code = newest_code(site)
    assert radiusd.ask(password=PIN + "000000", called=called).kind == "Access-Reject"
    assert radiusd.ask(password=PIN + code, called=called).kind == "Access-Accept"
    assert radiusd.ask(password=PIN + code, called=called).kind == "Access-Reject"


@pytest.mark.once
def test_one_access_point_serves_networks_that_differ(make_site: Callable[..., Site]) -> None:
    # One radiusd for all of them: what differs is in the packet alone.
    networks = {
        "Guests": {"style": "reject", "texts": {"code_sent": "guests: {phone_hint}"}},
        "Café 4": {"prompt": "café"},
        "a:b": {"prompt": "colon"},
    }
    site = make_site(clients={"local": {"prompt": "client", "ssids": networks}})
    radiusd = site.start()
    expected = {
        f"{ACCESS_POINT}:Guests": ("Access-Reject", "guests: ***67"),
        "0200.0000.00ff:Guests": ("Access-Reject", "guests: ***67"),
        "ap-2nd-floor:Guests": ("Access-Reject", "guests: ***67"),
        f"{ACCESS_POINT}:guests": ("Access-Challenge", "client"),
        f"{ACCESS_POINT}:a:b": ("Access-Challenge", "colon"),
        ACCESS_POINT: ("Access-Challenge", "client"),
        "198.51.100.1[4500]": ("Access-Challenge", "client"),
        "": ("Access-Challenge", "client"),
    }
    for called, answer in expected.items():
        got = radiusd.ask(called=called)
        assert (got.kind, got.message) == answer, called


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_an_ssid_of_any_bytes_is_read(share: Callable[..., Radiusd], encoding: str) -> None:
    # A byte that is not UTF-8 must not keep FreeRADIUS from calling the module.
    radiusd = share(clients={"local": {"ssids": {"Café 4": {"prompt": "café"}}}})
    for name, station, prompt in (
        ("Café 4".encode(encoding), b"02-00-00-00-00-01", "café"),
        (b"\xff\xfe\x00x", b"\xe9\xff", "Enter the 6-digit code sent to ***67: "),
    ):
        called = ACCESS_POINT.encode() + b":" + name
        reply = radiusd.ask(more=[(CALLED_STATION_ID, called), (CALLING_STATION_ID, station)])
        assert (reply.kind, reply.message) == ("Access-Challenge", prompt), name
    for sign in ("Traceback", "mod_populate_vps", " failed: "):
        assert sign not in radiusd.log()


def test_what_freeradius_has_cut_off_is_the_ssid(make_site: Callable[..., Site]) -> None:
    # A stock raddb calls rewrite_called_station_id, which moves the SSID into another attribute.
    def edit(raddb: Path) -> None:
        policy = raddb / "policy.d" / "smsotp"
        rewrite = (
            "smsotp_authorize {\n\tif (&Called-Station-Id =~ /^(.{17}):(.+)$/) {\n"
            '\t\tupdate request {\n\t\t\t&Called-Station-SSID := "%{2}"\n'
            '\t\t\t&Called-Station-Id := "%{1}"\n\t\t}\n\t}\n'
        )
        policy.write_text(policy.read_text().replace("smsotp_authorize {\n", rewrite))

    site = make_site(clients={"local": {"ssids": {"Guests": {"style": "reject"}}}})
    answer = site.start(edit=edit).ask(called=f"{ACCESS_POINT}:Guests")
    assert (answer.kind, answer.message) == ("Access-Reject", SENT)
