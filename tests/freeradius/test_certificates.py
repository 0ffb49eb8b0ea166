"""The certificate of Wi-Fi on a real server: devices go on with name and authority they know."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.raddb import certificates, files, profiles
from tests.freeradius.supplicant import Supplicant
from tests.freeradius.test_wifi import code
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.freeradius import Radiusd, Site


def let_it_end(folder: Path) -> None:
    """Put a certificate in place that ends in the second in which it begins."""
    key, certificate = folder / "server.key", folder / "server.pem"
    copy = ["-copy_extensions", "copyall"]
    ask = ["openssl", "x509", "-x509toreq", *copy, "-in", certificate, "-key", key]
    request = subprocess.run(ask, capture_output=True, check=True).stdout
    sign = ["openssl", "x509", "-req", "-days", "0", *copy, "-CAcreateserial"]
    sign += ["-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-out", certificate]
    subprocess.run(sign, input=request, capture_output=True, check=True)


def profile(radiusd: Radiusd, ssid: str = "Office", user: str | None = "alice") -> str:
    """What `smsotp wifi profile` writes for wpa_supplicant."""
    place = radiusd.folder / files.CERTIFICATES
    [name] = certificates.read(place / "server.pem").names
    authority = (place / "ca.pem").read_text("utf-8")
    return profiles.wpa_supplicant(profiles.Network(ssid, name, authority, user))


def logs_in(radiusd: Radiusd, told: str) -> bool:
    """Whether a device with a profile gets in, PIN and code typed as it asks for them."""
    with Supplicant(radiusd, profile=told) as device:
        if device.question() is None:
            assert not device.accepted()
            return False
        assert device.answer(PIN) == "Enter the 6-digit code sent to ***67: "
        assert device.answer(code(radiusd.site)) is None
        return device.accepted()


def test_an_ended_certificate_is_renewed_and_devices_go_on(
    make_site: Callable[..., Site],
) -> None:
    """With the profile that they were given before it ended."""
    radiusd = make_site().start(edit=lambda raddb: let_it_end(raddb / files.CERTIFICATES))
    told = profile(radiusd)
    assert not logs_in(radiusd, told)
    certificates.renew(radiusd.folder / files.CERTIFICATES)
    radiusd.stop()
    radiusd.start()
    assert logs_in(radiusd, told)


@pytest.mark.parametrize(
    "ssid", ["Office", 'Büro "A"', "a\\b '1';"], ids=["plain", "umlaut", "sharp"]
)
@pytest.mark.parametrize("user", ["alice", None], ids=["named", "asked"])
def test_wpa_supplicant_logs_in_by_its_profile(
    radiusd: Radiusd, ssid: str, user: str | None
) -> None:
    """As it is written, and its user types PIN and code, and the name where it lacks that."""
    assert logs_in(radiusd, profile(radiusd, ssid, user))


def test_a_profile_trusts_nobody_else(radiusd: Radiusd, make_site: Callable[..., Site]) -> None:
    """A server of the same name by another authority hears no PIN, nor one of another name."""
    told = profile(radiusd)
    other = make_site().start()
    assert profile(other) != told
    assert not logs_in(other, told)
    assert not logs_in(radiusd, told.replace("radius.example.org", "radius2.example.org"))


def test_two_servers_share_the_folder(radiusd: Radiusd, make_site: Callable[..., Site]) -> None:
    """A device that knows the first takes the second, also after that has renewed its copy."""

    def share(raddb: Path) -> None:
        shutil.copytree(
            radiusd.folder / files.CERTIFICATES, raddb / files.CERTIFICATES, dirs_exist_ok=True
        )
        certificates.renew(raddb / files.CERTIFICATES)

    second = make_site().start(edit=share)
    assert logs_in(second, profile(radiusd))
