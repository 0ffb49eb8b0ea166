"""What holds for a client and SSID: field by field, SSID before client before all."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.settings import languages, policy
from radius_smsotp.settings.policy import ClientPolicy
from radius_smsotp.settings.schema import Settings, SsidSettings, TextSettings
from tests.settings.test_file import loaded

if TYPE_CHECKING:
    from pathlib import Path

    from radius_smsotp.settings.file import Loaded

SSID: dict[str, Any] = {
    "style": "reject",
    "prompt": "ssid",
    "resend": "again",
    "bind": "station",
    "forms": ["{code}{pin}"],
    "wait": 3,
    "message": "ssid {code}",
    "remember": 12,
    "store_down": "reject",
    "country": "AT",
    "language": "fr",
    "texts": {"failed": "ssid"},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the settings are."""
    return tmp_path / "smsotp.yaml"


def sources(one: Loaded, name: str, address: str = "", ssid: str = "") -> dict[str, str]:
    """Where each setting comes from that is no default."""
    found = policy.effective(one.values, name, address, ssid)
    return {
        ".".join(field): own.source
        for field, own in found.items()
        if own.source != policy.DEFAULT and "shipped" not in own.source
    }


def test_whatever_may_be_set_is_taken_from_the_ssid(path: Path) -> None:
    """And from nothing else, where another SSID or none is asked for."""
    assert set(SSID) == set(SsidSettings.model_fields)
    one = loaded(path, clients={"wifi": {"ssids": {"Guests": SSID}}})
    own = one.for_client("wifi", "", "Guests")
    assert (own.style, own.prompt, own.wait, own.message) == ("reject", "ssid", 3, "ssid {code}")
    assert (own.login.resend_word, own.login.bind) == ("again", "station")
    assert own.forms == ("{code}{pin}",)
    assert (own.remember.time, own.country) == (timedelta(hours=12), "AT")
    french = languages.texts("fr")
    assert french
    assert french.texts
    assert own.texts == french.texts.model_copy(update={"failed": "ssid"})
    for ssid in ("guests", "Guests ", "Staff", ""):
        assert one.for_client("wifi", "", ssid) == one.for_client("unknown", "")
    assert one.for_client("unknown", "", "Guests") == one.for_client("unknown", "")


@pytest.mark.parametrize("field", SSID)
def test_each_field_goes_its_own_way(path: Path, field: str) -> None:
    """SSID before client before all; what one does not say, the next one does."""
    inner = {"texts": "texts.failed", "remember": "remember.hours"}.get(field, field)
    wifi = {field: SSID[field], "ssids": {"Silent": {}}}
    one = loaded(path, clients={"wifi": wifi})
    assert sources(one, "wifi", ssid="Silent") == {inner: f"clients.wifi.{inner}"}
    wifi = {**SSID, "ssids": {"Guests": {field: SSID[field]}}}
    one = loaded(path, clients={"wifi": wifi})
    found = sources(one, "wifi", ssid="Guests")
    assert found.pop(inner) == f"clients.wifi.ssids.Guests.{inner}"
    assert len(found) == len(SSID) - 1
    assert all(source.startswith("clients.wifi.") for source in found.values())


def test_each_text_goes_its_own_way(path: Path) -> None:
    """A client that writes one keeps the others, not their defaults."""
    one = loaded(
        path,
        texts={"failed": "all", "resent": "all", "code_sent": "all"},
        clients={
            "wifi": {
                "texts": {"failed": "client", "resent": "client"},
                "ssids": {"Guests": {"texts": {"failed": "ssid"}}},
            }
        },
    )
    texts = one.for_client("wifi", "", "Guests").texts
    assert (texts.failed, texts.resent, texts.code_sent) == ("ssid", "client", "all")
    assert texts.unavailable == TextSettings().unavailable
    assert one.for_client("wifi", "").texts.failed == "client"


def test_one_entry_holds_and_nothing_comes_from_another(path: Path) -> None:
    """What a client gets can be read in one place."""
    one = loaded(
        path,
        remember={"hours": 3},
        clients={
            "10.0.0.0/8": {"style": "reject", "ssids": {"Guests": {"wait": 5}}},
            "10.1.0.0/16": {"remember": 2},
            "ap7": {"prompt": "by name"},
        },
    )
    everywhere = {"remember.hours": "remember.hours"}
    assert sources(one, "ap7", "10.1.0.7", "Guests") == everywhere | {
        "prompt": "clients.ap7.prompt"
    }
    assert sources(one, "ap8", "10.1.0.8", "Guests") == {
        "remember.hours": "clients.10.1.0.0/16.remember.hours"
    }
    assert sources(one, "ap9", "10.2.0.9", "Guests") == everywhere | {
        "style": "clients.10.0.0.0/8.style",
        "wait": "clients.10.0.0.0/8.ssids.Guests.wait",
    }
    assert sources(one, "other") == everywhere


def test_zero_false_and_empty_are_said(path: Path) -> None:
    """They win over what holds for all."""
    ssid = {"wait": 0, "remember": 0, "resend": "", "prompt": ""}
    one = loaded(
        path,
        delivery={"wait": 2},
        remember={"hours": 5},
        clients={"wifi": {"remember": 7, "ssids": {"Guests": ssid}}},
    )
    own = one.for_client("wifi", "", "Guests")
    assert (own.wait, own.remember.hours, own.login.resend_word, own.prompt) == (0, 0, "", "")


@pytest.mark.parametrize("field", SSID)
def test_what_stands_there_empty_is_not_said(path: Path, field: str) -> None:
    """YAML has null for it; in a language too."""
    silent = {"clients": {"wifi": {field: None, "ssids": {"Guests": {field: None}}}}}
    one = loaded(path, languages={"fr": {"message": None, "prompt": None, "texts": None}}, **silent)
    assert sources(one, "wifi", ssid="Guests") == {}
    for language in ("", "fr"):
        own = one.for_client("wifi", "", "Guests", language)
        assert own == one.for_client("unknown", "", "", language)


@pytest.mark.parametrize("written", [12, {"hours": 12}])
def test_how_long_devices_are_remembered_may_be_a_number(path: Path, written: Any) -> None:
    """For all as for a client."""
    one = loaded(path, remember=written, clients={"wifi": {"remember": written}})
    assert sources(one, "wifi") == {"remember.hours": "clients.wifi.remember.hours"}
    assert one.for_client("wifi", "") == one.for_client("unknown", "")
    assert one.for_client("unknown", "").remember.time == timedelta(hours=12)


def test_what_a_client_may_set_stands_for_all_too(path: Path) -> None:
    """Under one name each, and nothing else is taken from there."""
    assert set(policy.settings(Settings())) == set(policy.settings(SsidSettings()))
    held = {*ClientPolicy.model_fields} - {"login", policy.TRIGGERS}
    assert held == {field for field, *_ in policy.settings(Settings())}


def test_every_part_of_the_section_is_walked(path: Path) -> None:
    """`smsotp check` looks at each of them."""
    one = loaded(path, clients={"wifi": {"ssids": {"a.b": {}, "c": {}}}, "vpn": {}})
    assert [where for where, _ in policy.scopes(one.values)] == [
        "clients.wifi",
        "clients.wifi.ssids.a.b",
        "clients.wifi.ssids.c",
        "clients.vpn",
    ]
