"""The way between the tunnel and the site behind it, and devices that come back to it."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

from tests.freeradius.supplicant import PEAP_GTC, TTLS_PAP, Supplicant
from tests.freeradius.test_wifi import CODE_PROMPT, code
from tests.support.freeradius import Site
from tests.support.site import PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def edited(path: Path, before: str, after: str) -> None:
    """Replace a text in a file that holds it."""
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def test_after_a_site_that_did_not_answer_the_next_login_gets_in(site: Site) -> None:
    """FreeRADIUS gives up a home server that is silent; ours must be asked again."""
    slow = site.folder / "slow"
    script = site.folder / "delay"
    script.write_text(f"#!/bin/sh\nif [ -e {slow} ]; then sleep 4; fi\n")
    script.chmod(0o755)

    def hesitate(raddb: Path) -> None:
        path = raddb / "sites-available" / "smsotp-gtc"
        edited(path, "response_window = 30", "response_window = 1")
        edited(path, "zombie_period = 30", "zombie_period = 1")
        delay = f'update request {{ &Tmp-String-0 := "%{{exec:{script}}}" }}'
        edited(path, "\t\tsmsotp_tunnelled", f"\t\t{delay}\n\t\tsmsotp_tunnelled")
        (raddb / "mods-enabled" / "exec").write_text("exec {\n\twait = yes\n}\n")

    radiusd = site.start(edit=hesitate)
    slow.touch()
    for _ in range(3):
        with Supplicant(radiusd) as device:
            assert device.question() is None
            assert not device.accepted()
    assert re.search("Marking home server .* dead", radiusd.log())
    slow.unlink()

    def let_in() -> bool:
        with Supplicant(radiusd) as device:
            if device.question() is None or device.answer(PIN) != CODE_PROMPT:
                return False
            device.answer(code(site))
            return device.accepted()

    eventually(let_in)


def test_a_resumed_tls_session_needs_neither_pin_nor_code(site: Site) -> None:
    """TLS session resumption is off; where it is enabled, a device comes back without us."""

    def cache(raddb: Path) -> None:
        edited(raddb / "mods-available" / "eap_smsotp", "enable = no", "enable = yes")

    radiusd = site.start(edit=cache)
    # -r 1: authenticate a second time, with the session of the first.
    with Supplicant(radiusd, PEAP_GTC, "alice", None, "-r", "1") as device:
        device.question()
        device.answer(PIN)
        assert device.answer(code(site)) is None
        assert device.accepted()
        assert "OpenSSL: Handshake finished - resumed=1" in device.output()
    assert device.prompts == ["PIN: ", CODE_PROMPT]
    assert site.kinds("alice").count("code-accepted") == 1


def test_without_it_a_device_that_comes_back_is_asked_again(site: Site) -> None:
    radiusd = site.start()
    with Supplicant(radiusd, PEAP_GTC, "alice", None, "-r", "1") as device:
        device.question()
        device.answer(PIN)
        assert device.answer(code(site)) == "PIN: "
        assert device.answer(PIN) == CODE_PROMPT
        device.answer(code(site))
        assert device.accepted()


def test_a_remembered_device_needs_the_pin_only(make_site: Callable[..., Site]) -> None:
    site = make_site(remember={"hours": 12})
    radiusd = site.start()
    with Supplicant(radiusd) as device:
        device.question()
        device.answer(PIN)
        device.answer(code(site))
        assert device.accepted()
    for method, station, asked in (
        (PEAP_GTC, "02:00:00:00:00:01", None),
        (PEAP_GTC, "02:00:00:00:00:02", CODE_PROMPT),
    ):
        with Supplicant(radiusd, method, station=station) as device:
            device.question()
            assert device.answer(PIN) == asked
            if asked is None:
                assert device.accepted()
    with Supplicant(radiusd, TTLS_PAP, password=PIN) as device:
        assert device.question() is None
        assert device.accepted()
    with Supplicant(radiusd, TTLS_PAP, password="9999") as device:
        assert device.question() is None
        assert not device.accepted()


def test_devices_can_check_the_certificate(site: Site) -> None:
    """The name that devices compare is in it, and so is what Windows and Apple's devices want."""
    folder = site.start().folder / "certs" / "smsotp"
    shown = subprocess.run(
        ["openssl", "x509", "-in", folder / "server.pem", "-noout", "-text"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "DNS:radius.example.org" in shown
    assert "TLS Web Server Authentication" in shown
    assert "CA:FALSE" in shown
    verified = ["openssl", "verify", "-CAfile", folder / "ca.pem", folder / "server.pem"]
    assert subprocess.run(verified, capture_output=True, check=False).returncode == 0
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "ca.key": 0o600,
        "ca.pem": 0o644,
        "server.key": 0o600,
        "server.pem": 0o644,
    }
