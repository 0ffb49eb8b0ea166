"""EAP that comes to no login at its outer end: who it was, and why, stands in the trail."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from radius_smsotp.cli.trace import Teller, advice
from tests.freeradius.supplicant import PEAP_GTC, STATION, TTLS_PAP, Supplicant
from tests.support.eap import IDENTITY, NAK, PEAP, EapClient, TtlsClient, avp, hello, response
from tests.support.radius import USER_NAME, USER_PASSWORD
from tests.support.site import PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from radius_smsotp.model.records import Event
    from tests.support.freeradius import Radiusd, Site

CALLED, CALLING, NAS_IDENTIFIER = 30, 31, 32
SILENT = 3.0

OTHER = 'ca_cert="{other}"'
OURS = 'ca_cert="{ours}"'
HIDDEN = 'anonymous_identity="anonymous@example.org"'
OLD_TLS = "tls_disable_tlsv1_0=0 tls_disable_tlsv1_1=0 tls_disable_tlsv1_2=1 tls_disable_tlsv1_3=1"

DEVICES = {
    "tls": ('eap=TLS client_cert="{other}" private_key="{key}"', "method", "it asks for TLS"),
    "fast": ('eap=FAST pac_file="blob://pac"', "method", "it asks for FAST"),
    "pwd": ("eap=PWD", "method", "it asks for PWD"),
    "md5": ("eap=MD5", "method", "it asks for MD5"),
    "leap": ("eap=LEAP", "method", "it asks for LEAP"),
    "mschapv2": ("eap=MSCHAPV2", "bare", "it asks for MSCHAPv2"),
    "gtc": ("eap=GTC", "bare", "it asks for GTC"),
    "stranger": (f"{PEAP_GTC} {OTHER}", "authority", "it says 'unknown CA'"),
    "hidden": (f"{TTLS_PAP} {HIDDEN} {OTHER}", "authority", "it says 'unknown CA'"),
    "name": (
        f'{PEAP_GTC} {OURS} domain_match="other.example.org"',
        "certificate",
        "it says 'internal error'",
    ),
    "late": (f"{PEAP_GTC} {OURS}", "dates", "it says 'certificate expired'"),
    "old": (
        f'{PEAP_GTC} openssl_ciphers="DEFAULT@SECLEVEL=0" phase1="{OLD_TLS}"',
        "tls",
        "it was told 'protocol version'",
    ),
}
"""User, and device: its configuration, the reason why it does not get in, and the words to it."""


def impatient(raddb: Path) -> None:
    """Whoever falls silent is told of soon."""
    path = raddb / "mods-available" / "python3_smsotp"
    found = re.search(r'python_path = "(.*)"', path.read_text())
    assert found
    text = path.read_text().replace(found[1], str(raddb))
    path.write_text(text.replace("module = radius_smsotp.hooks", "module = impatient"))
    (raddb / "impatient.py").write_text(
        f"import sys\nsys.path[:0] = {found[1].split(chr(58))!r}\n"
        "from radius_smsotp import server\nfrom radius_smsotp.radius import tunnels\n"
        f"tunnels.SILENT, server.TIDY_LOOKS = {SILENT}, 1\nfrom radius_smsotp.hooks import *\n"
    )


def found(site: Site, name: str, number: int = 1) -> list[Event]:
    """Events of a name or a station, when so many are there."""
    return eventually(lambda: len(events := site.events(name)) >= number and events)


def test_whatever_a_device_cannot_do_is_told_with_its_station(
    share: Callable[..., Radiusd],
) -> None:
    """Methods that are not served, and whatever TLS fails at; one without a name is found too."""
    radiusd = share(impatient)
    site, certificates = radiusd.site, radiusd.folder / "certs" / "smsotp"
    other, key = site.folder / "other.pem", site.folder / "other.key"
    other.write_bytes((certificates / "server.pem").read_bytes())
    key.write_bytes((certificates / "server.key").read_bytes())
    for user, (method, _, _) in DEVICES.items():
        told = method.format(other=other, key=key, ours=certificates / "ca.pem")
        block = re.findall(r'\w+=(?:"[^"]*"|\S+)', told)
        block += ["key_mgmt=WPA-EAP", f'identity="{user}"', f'password="{PIN}"']
        profile = "\n".join(["network={", *block, "}", ""])
        prefix = ("faketime", "-f", "+4y") if user == "late" else ()
        with Supplicant(radiusd, profile=profile, prefix=prefix) as device:
            assert device.question() is None, user
            assert not device.accepted(), user
    for user, (_, reason, words) in DEVICES.items():
        # RFC 7542 section 2.4: the realm says where the account is, not whose it is.
        [event] = found(site, "" if user == "hidden" else user)
        assert (event.kind, event.client) == ("eap-refused", "local"), user
        assert event.station == STATION.replace(":", "-")
        assert event.detail == {"reason": reason, "text": words, "ssid": "Office"}, user
        assert advice(event, radiusd.folder), user
    [hidden] = site.events("")
    assert Teller().tell(hidden).startswith("unknown device at local: the device does not know")
    assert len(found(site, STATION)) == len(DEVICES)
    # Nothing of that is anybody's wrong PIN.
    with site.store.read() as tx:
        assert not any(tx.lockout(user).failures for user in DEVICES)


def test_what_is_no_conversation_is_told(share: Callable[..., Radiusd]) -> None:
    """What anybody may send; and a login that fails in its tunnel is told of there, once."""
    radiusd = share(impatient)
    site, client = radiusd.site, EapClient(radiusd.port)
    cases = {
        "lost": (response(3, PEAP, b"\0"), b"0123456789abcdef", "conversation"),
        "stateless": (response(3, PEAP, b"\0"), None, "conversation"),
        "renamed": (response(3, IDENTITY, b"bob"), None, "identity"),
        "nameless": (response(3, IDENTITY, b""), None, "identity"),
        "cut": (response(3, IDENTITY, b"cut")[:-1], None, "broken"),
        "unasked": (response(3, 26, b"\2xxxx"), b"0123456789abcdef", "conversation"),
    }
    for user, (packet, state, _) in cases.items():
        assert client.send(packet, state, user).kind == "Access-Reject", user
    offered = client.send(response(1, IDENTITY, b"web"), user="web")
    client.send(response(offered.identifier, PEAP, b"\0GET / HTTP/1.0"), offered.state, "web")
    reasons = {user: reason for user, (_, _, reason) in cases.items()} | {"web": "broken"}
    for user, reason in reasons.items():
        [event] = found(site, user)
        assert (event.kind, event.detail["reason"]) == ("eap-refused", reason), user
    for method in (PEAP_GTC, TTLS_PAP):
        with Supplicant(radiusd, method, password="wrong") as device:
            assert device.question() is None
            assert not device.accepted()
    assert site.kinds("alice") == ["pin-wrong"] * 2
    assert site.kinds("anonymous") == site.kinds("") == []


def test_who_falls_silent_after_the_certificate_is_told_of_once(
    share: Callable[..., Radiusd],
) -> None:
    """Not who gets as far as a login, nor who has not been shown it."""
    radiusd = share(impatient)
    site = radiusd.site
    with_station = [(CALLED, b"02-00-00-00-00-FF:Office"), (CALLING, b"02-00-00-00-00-09")]
    for _ in range(2):
        client = EapClient(radiusd.port, more=with_station)
        offered = client.send(response(1, IDENTITY, b"anonymous"), user="anonymous")
        shown = response(offered.identifier, PEAP, hello())
        assert client.send(shown, offered.state, "anonymous").kind == "Access-Challenge"
    probe = EapClient(radiusd.port, more=[(CALLING, b"02-00-00-00-00-08")])
    assert probe.send(response(1, IDENTITY, b"probe"), user="probe").kind == "Access-Challenge"
    said = avp(USER_NAME, b"alice"), avp(USER_PASSWORD, PIN.encode())
    for station, avps in ((b"02-00-00-00-00-07", said), (b"02-00-00-00-00-06", [*said, *said])):
        TtlsClient(radiusd, more=[(CALLING, station)]).ask(*avps)
    [event] = found(site, "02-00-00-00-00-09")
    assert (event.kind, event.account, event.client) == ("eap-abandoned", "", "local")
    assert event.detail == {"ssid": "Office"}
    assert Teller().tell(event).startswith("unknown device at local: the device was shown")
    assert advice(event, radiusd.folder)
    assert "an unknown device (client local, station 02-00-00-00-00-09)" in radiusd.log()
    kinds = {event.kind for end in (6, 7, 8) for event in site.events(f"02-00-00-00-00-0{end}")}
    assert kinds == {"challenge-opened", "sms-accepted", "login-refused"}


def test_what_is_not_utf8_keeps_nobody_out_and_fills_no_log(
    share: Callable[..., Radiusd],
) -> None:
    """rlm_python3 would write four lines of every value: a name costs its sender nothing."""
    radiusd = share(impatient)
    site = radiusd.site
    for number, (user, more) in enumerate(
        (
            (b"lat\xfcn", [(CALLED, b"02-00-00-00-00-FF:Office")]),
            (b"plain", [(NAS_IDENTIFIER, b"B\xfcro"), (CALLED, b"02-00-00-00-00-FF:B\xfcro")]),
            ("zoë".encode(), [(CALLED, "02-00-00-00-00-FF:Büro".encode())]),
        )
    ):
        station = (CALLING, f"02-00-00-00-01-0{number}".encode())
        client = EapClient(radiusd.port, more=[station, *more])
        offered = client.send(response(1, IDENTITY, user), user=user)
        assert (
            client.send(response(offered.identifier, PEAP, hello()), offered.state, user).kind
            == "Access-Challenge"
        )
        offered = client.send(response(1, IDENTITY, user), user=user)
        packet = response(offered.identifier, NAK, bytes([13]))
        assert client.send(packet, offered.state, user).kind == "Access-Reject"
    for number, ssid in enumerate(("Office", "", "Büro")):
        [event] = found(site, f"02-00-00-00-01-0{number}")
        assert (event.kind, event.detail.get("ssid", "")) == ("eap-refused", ssid)
    assert found(site, "zoë")
    assert "populate" not in radiusd.log()
