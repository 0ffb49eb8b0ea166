"""NetworkManager logs in with the keyfile that `smsotp wifi profile` writes, and reads it whole."""

from __future__ import annotations

import contextlib
import json
import re
import ssl
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.raddb import certificates, profiles
from tests.freeradius import recipe
from tests.freeradius.test_wifi import code
from tests.peers.dialogue import Dialogue, Terminal
from tests.peers.network import own_network, wire
from tests.peers.test_hostapd import access_point
from tests.support.site import PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.freeradius import Site

TOP = Path(__file__).resolve().parents[2]
UNPACKED = TOP / ".cache" / "network-manager" / "usr"

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


BUS = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={folder}/bus</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""

CONFIGURATION = """\
[main]
plugins=keyfile
no-auto-default=*
auth-polkit=false
dns=none
rc-manager=unmanaged
systemd-resolved=false
[keyfile]
path={folder}/connections
"""

# What it writes goes where nobody looks; a /sys to read only keeps it from asking a udev that
# knows other devices.
ENTER = """
mount -t sysfs -o ro sysfs /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib
mkdir /run/NetworkManager /var/lib/NetworkManager
exec "$@"
"""

WIRED = """
[ipv4]
method=manual
address1=10.78.0.2/24

[ipv6]
method=disabled
"""


def wired(keyfile: str) -> str:
    """For a wire, on which it waits longer before it asks again; 802.1X stays as it is."""
    said = "type=ethernet\ninterface-name=there\nautoconnect=false"
    text = keyfile.replace("type=wifi", said)
    text = re.sub(r"\[wifi(-security)?\]\n.*?\n\n", "", text, flags=re.DOTALL)
    return text.replace("[802-1x]\n", "[802-1x]\nauth-timeout=6\n") + WIRED


def test_it_asks_once_at_each_connection(make_site: Callable[..., Site], tmp_path: Path) -> None:
    """The PIN, which fails and sends the code; then PIN and code in one."""
    unpack = ["sh", "-euc", ". tests/setup.sh; need_unpacked network-manager"]
    subprocess.run(unpack, cwd=TOP, check=True)

    def on_bus(*words: object) -> list[str]:
        bus = f"DBUS_SYSTEM_BUS_ADDRESS=unix:path={tmp_path}/bus"
        return ["env", bus, *map(str, words)]

    def nmcli(*words: str) -> list[str]:
        return on_bus(UNPACKED / "bin" / "nmcli", *words)

    def is_there() -> bool:
        _, shown = Dialogue(nmcli("-t", "-f", "DEVICE,STATE", "device")).end()
        return bool(re.search(r"(?m)^there:(dis)?connected", shown))

    with own_network(), wire() as there, contextlib.ExitStack() as stack:
        site = make_site()
        radiusd = site.start()
        authority = (radiusd.folder / "certs" / "smsotp" / "ca.pem").read_text("utf-8")
        network = profiles.Network("Office", "radius.example.org", authority, "alice")
        connection = tmp_path / "connections" / "office.nmconnection"
        connection.parent.mkdir(mode=0o700)
        connection.write_text(wired(profiles.network_manager(network)))
        connection.chmod(0o600)
        (tmp_path / "bus.conf").write_text(BUS.format(folder=tmp_path))
        (tmp_path / "nm.conf").write_text(CONFIGURATION.format(folder=tmp_path))

        def run(*words: str) -> None:
            stack.callback(Dialogue(words).stop)

        stack.callback(access_point(tmp_path, radiusd).stop)
        run("dbus-daemon", f"--config-file={tmp_path}/bus.conf", "--nofork", "--nopidfile")
        eventually((tmp_path / "bus").exists)
        run(*there(*on_bus("wpa_supplicant", "-u")))
        options = ["--no-daemon", f"--config={tmp_path}/nm.conf", f"--state-file={tmp_path}/state"]
        options += ["--config-dir=/nonexistent", "--system-config-dir=/nonexistent"]
        program = [UNPACKED / "sbin" / "NetworkManager", *options, "--pid-file=/run/nm.pid"]
        run(*there(*on_bus("unshare", "--mount", "sh", "-euc", ENTER, "sh", *program)))
        seen = ""
        for told in (
            "Error: Connection activation failed: Secrets were required, but not provided",
            "Connection successfully activated",
        ):
            eventually(is_there)
            password = PIN + code(site) if site.kinds("alice") else PIN
            user = Terminal(nmcli("--ask", "connection", "up", "Office"))
            stack.callback(user.process.kill)
            user.expect("Username (802-1x.identity): alice")
            user.type("")
            user.expect("Password (802-1x.password): ")
            user.type(password)
            user.expect(told)
            seen += user.end()[1]
        recipe.assert_read("NetworkManager", seen)
        assert site.kinds("alice") == ["challenge-opened", "sms-accepted", "code-accepted"]
