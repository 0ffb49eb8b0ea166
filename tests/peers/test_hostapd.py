"""hostapd and wpa_supplicant, set up by the text of their page, at the two ends of a wire."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from radius_smsotp.raddb import profiles
from tests.freeradius import recipe
from tests.freeradius.test_wifi import code, wrong
from tests.peers.dialogue import Dialogue
from tests.peers.network import own_network, wire
from tests.support.radius import SECRET
from tests.support.site import PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.freeradius import Radiusd, Site


PROMPT = "Enter the 6-digit code sent to ***67: "


def access_point(folder: Path, radiusd: Radiusd) -> Dialogue:
    """A hostapd at this end of the wire."""
    said = {
        "interface=eth1": "interface=here",
        "own_ip_addr=192.0.2.1\n": "own_ip_addr=127.0.0.1\n",
        "192.0.2.10": "127.0.0.1",
        "auth_server_port=1812": f"auth_server_port={radiusd.port}",
        "acct_server_port=1813": f"acct_server_port={radiusd.port + 1}",
        "not-my-secret": SECRET,
    }
    path = folder / "hostapd.conf"
    path.write_text(recipe.fill_in(recipe.files("hostapd")["hostapd.conf"], said))
    return Dialogue(["hostapd", str(path)])


def names(raddb: Path) -> None:
    """What `smsotp-gtc` has commented out: accounting shall tell the name inside the tunnel."""
    path = raddb / "sites-available" / "smsotp-gtc"
    text, times = re.subn(
        r"(?m)^\t\t#  (update reply \{)\n\t\t#  \t(&User-Name .*)\n\t\t#  \}$",
        r"\t\t\1\n\t\t\t\2\n\t\t}",
        path.read_text(),
    )
    assert times == 1
    path.write_text(text)


def wired(profile: str) -> str:
    """What `smsotp wifi profile` prints, on a wire, as the page says."""
    told = dict(
        re.findall(r"``(key_mgmt|eapol_flags|ap_scan)=(\w+)``", recipe.section("wpa_supplicant"))
    )
    text, times = re.subn(
        r"(?m)^\tkey_mgmt=.*$",
        f"\tkey_mgmt={told['key_mgmt']}\n\teapol_flags={told['eapol_flags']}",
        profile,
    )
    assert times == 1
    return f"ap_scan={told['ap_scan']}\n{text}"


def test_a_device_is_asked_twice_and_accounted_for(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    """In one conversation; a wrong code is asked for again; `wpa_cli` shows what is asked."""
    with own_network(), wire() as there:
        site = make_site()
        radiusd = site.start(edit=names)
        authority = (radiusd.folder / "certs" / "smsotp" / "ca.pem").read_text("utf-8")
        profile = profiles.wpa_supplicant(
            profiles.Network("Office", "radius.example.org", authority, "alice")
        )
        path = tmp_path / "wpa_supplicant.conf"
        path.write_text(f"ctrl_interface={tmp_path}/control\n{wired(profile)}")
        point = access_point(tmp_path, radiusd)
        device = Dialogue(there("wpa_supplicant", "-D", "wired", "-i", "there", "-c", path))
        try:
            eventually((tmp_path / "control" / "there").exists)
            user = Dialogue(["wpa_cli", "-p", f"{tmp_path}/control", "-i", "there"])
            try:
                user.expect("CTRL-REQ-OTP-0:[PIN: ] needed for SSID Office")
                user.type(f"otp 0 {PIN}")
                user.expect(f"CTRL-REQ-OTP-0:[{PROMPT}] needed for SSID Office")
                user.type(f"otp 0 {wrong(code(site))}")
                user.expect(f"CTRL-REQ-OTP-0:[Wrong code, 2 left. {PROMPT}] needed for SSID Office")
                user.type(f"otp 0 {code(site)}")
                user.expect("CTRL-EVENT-EAP-SUCCESS")
            finally:
                user.stop()
            recipe.assert_read("wpa_supplicant", user.shown)
            eventually(lambda: "session-started" in site.kinds("alice"))
        finally:
            device.stop()
            point.stop()
        eventually(lambda: "session-ended" in site.kinds("alice"))
        kinds = ["challenge-opened", "sms-accepted", "code-wrong", "code-accepted"]
        assert site.kinds("alice") == [*kinds, "session-started", "session-ended"]
