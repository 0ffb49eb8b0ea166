"""NetworkManager's own reader takes the keyfile that `smsotp wifi profile` writes."""

from __future__ import annotations

import json
import ssl
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.raddb import certificates, profiles

if TYPE_CHECKING:
    from pathlib import Path

READER = """
import gi, json, sys
gi.require_version("NM", "1.0")
from gi.repository import GLib, NM
file = GLib.KeyFile()
text = sys.stdin.read()
file.load_from_data(text, len(text.encode()), GLib.KeyFileFlags.NONE)
def handle(file, connection, kind, data, *_):
    if kind == NM.KeyfileHandlerType.WARN:
        sys.exit(data.get()[1])
    return False
read = NM.keyfile_read(file, "/", NM.KeyfileHandlerFlags.NONE, handle, None)
read.normalize()
read.verify()
wifi, eap = read.get_setting_wireless(), read.get_setting_802_1x()
json.dump({
    "id": read.get_id(),
    "type": read.get_connection_type(),
    "ssid": wifi.get_ssid().get_data().hex(),
    "key-mgmt": read.get_setting_wireless_security().get_key_mgmt(),
    "eap": [eap.get_eap_method(at) for at in range(eap.get_num_eap_methods())],
    "phase2": eap.get_phase2_auth(),
    "identity": eap.get_identity(),
    "anonymous": eap.get_anonymous_identity(),
    "authority": eap.get_ca_cert_blob().get_data().hex(),
    "name": eap.get_domain_match(),
    "asks": eap.get_password_flags() == NM.SettingSecretFlags.NOT_SAVED,
}, sys.stdout)
"""
"""For the system's Python, with libnm as GObject introspection has it."""


def read(keyfile: str) -> dict[str, Any]:
    """What libnm makes of a keyfile; fails on what it does not understand."""
    done = subprocess.run(
        ["/usr/bin/python3", "-c", READER],
        input=keyfile,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("ssid", ["Office", 'Büro "A"; [\\x] ', " 1;2;", "#=", "0x41"])
@pytest.mark.parametrize("user", ["alice", " zoë\\s ", "a;b#=c"])
def test_it_reads_what_was_meant(ssid: str, user: str, tmp_path: Path) -> None:
    """Whatever the names of network and user are."""
    certificates.ensure(tmp_path, "radius.example.org")
    authority = (tmp_path / "ca.pem").read_text("utf-8")
    network = profiles.Network(ssid, "radius.example.org", authority, user)
    assert read(profiles.network_manager(network)) == {
        "id": ssid,
        "type": "802-11-wireless",
        "ssid": ssid.encode().hex(),
        "key-mgmt": "wpa-eap",
        "eap": ["ttls"],
        "phase2": "pap",
        "identity": user,
        "anonymous": "anonymous",
        "authority": ssl.PEM_cert_to_DER_cert(authority).hex(),
        "name": "radius.example.org",
        "asks": True,
    }
