"""``smsotp client show``: what holds for a client, and where it stands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.settings.schema import TextSettings

if TYPE_CHECKING:
    from tests.cli.installation import Installation

NAMES = [
    "bind",
    "country",
    "first_factor_by_client",
    "forms",
    "language",
    "message",
    "prompt",
    "remember.hours",
    "resend",
    "store_down",
    "style",
    *sorted(f"texts.{name}" for name in TextSettings.model_fields),
    "wait",
]


@pytest.fixture
def site(here: Installation) -> Installation:
    """An installation with a client, and a network with two SSIDs."""
    wifi = {"remember": 12, "ssids": {"Guests": {"style": "reject", "texts": {"failed": "No. "}}}}
    here.write(clients={"vpn": {"wait": 3}, "10.1.0.0/16": wifi})
    return here


def shown(here: Installation, *arguments: str) -> dict[str, Any]:
    """The settings as JSON."""
    found: dict[str, Any] = json.loads(here.done("client", "show", *arguments, "--json"))
    return found


def test_each_value_stands_beside_its_place(site: Installation) -> None:
    head, *lines = site.done("client", "show", "10.1.4.7", "--ssid", "Guests").splitlines()
    assert head.split() == ["Setting", "From", "Value"]
    cells = {line.split()[0]: line.split(maxsplit=2)[1:] for line in lines}
    assert list(cells) == NAMES
    entry = "clients.10.1.0.0/16"
    assert cells["style"] == [f"{entry}.ssids.Guests.style", "reject"]
    assert cells["texts.failed"] == [f"{entry}.ssids.Guests.texts.failed", '"No. "']
    assert cells["remember.hours"] == [f"{entry}.remember.hours", "12"]
    # `init` writes a whole file: what it holds is told apart from what it leaves out.
    assert cells["wait"] == ["delivery.wait", "1.0"]
    assert cells["country"][1] == "null"


def test_json_says_who_was_asked_about(site: Installation) -> None:
    found = shown(site, "ap7", "--address", "10.1.4.7", "--ssid", "Guests")
    assert (found["name"], found["address"], found["ssid"]) == ("ap7", "10.1.4.7", "Guests")
    assert found["settings"]["style"] == {
        "value": "reject",
        "from": "clients.10.1.0.0/16.ssids.Guests.style",
    }
    assert list(found["settings"]) == NAMES


@pytest.mark.parametrize("ssid", [(), ("--ssid", "Staff")])
def test_another_ssid_or_none_has_what_the_client_has(
    site: Installation, ssid: tuple[str, ...]
) -> None:
    settings = shown(site, "10.1.4.7", *ssid)["settings"]
    assert settings["style"]["value"] == "challenge"
    assert settings["remember.hours"]["value"] == 12


def test_a_name_goes_before_the_address(site: Installation) -> None:
    settings = shown(site, "vpn", "--address", "10.1.4.7")["settings"]
    assert settings["wait"] == {"value": 3.0, "from": "clients.vpn.wait"}
    assert settings["remember.hours"]["value"] == 0


def test_a_client_that_nobody_knows_has_what_all_have(site: Installation) -> None:
    settings = shown(site, "nobody")["settings"]
    assert not [one for one in settings.values() if one["from"].startswith("clients")]


def test_an_address_that_is_none_is_wrong_usage(site: Installation) -> None:
    result = site.run("client", "show", "ap7", "--address", "10.1.4")
    assert result.exit_code == 2
    assert "this is no IP address" in result.output


def test_check_looks_at_every_ssid(site: Installation) -> None:
    """Texts that are too long and waits that are too long cost the same there."""
    guests = {"wait": 9, "message": "{code} " + "x" * 160}
    site.write(clients={"wifi": {"ssids": {"Guests": guests}}})
    told = site.run("check", "--user", "root").output
    assert "clients.wifi.ssids.Guests.wait: many clients ask again" in told
    assert "clients.wifi.ssids.Guests.message: 2 SMS, " in told
