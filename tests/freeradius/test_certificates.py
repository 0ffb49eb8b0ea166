"""The certificate of Wi-Fi on a server: devices go on with the name and authority they know."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from radius_smsotp.raddb import certificates, files
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
    asked = ["openssl", "x509", "-x509toreq", "-copy_extensions", "copyall"]
    request = subprocess.run(
        [*asked, "-in", certificate, "-key", key], capture_output=True, check=True
    ).stdout
    sign = [
        "openssl",
        "x509",
        "-req",
        "-days",
        "0",
        "-copy_extensions",
        "copyall",
        "-CAcreateserial",
    ]
    sign += ["-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-out", certificate]
    subprocess.run(sign, input=request, capture_output=True, check=True)


def is_asked(radiusd: Radiusd) -> bool:
    """Whether a device that checks authority and name comes as far as the PIN."""
    with Supplicant(radiusd) as device:
        return device.question() is not None


def test_an_ended_certificate_is_renewed_and_devices_go_on(
    make_site: Callable[..., Site],
) -> None:
    """With what they were told before it ended: file and name of the authority."""
    radiusd = make_site().start(edit=lambda raddb: let_it_end(raddb / files.CERTIFICATES))
    place = radiusd.folder / files.CERTIFICATES
    known = (place / "ca.pem").read_bytes()
    assert not is_asked(radiusd)
    certificates.renew(place)
    radiusd.stop()
    radiusd.start()
    assert (place / "ca.pem").read_bytes() == known
    with Supplicant(radiusd) as device:
        device.question()
        device.answer(PIN)
        device.answer(code(radiusd.site))
        assert device.accepted()
