"""Nobody learns which accounts there are, nor what they lack, from what is answered on the wire."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.login.noise import of_name
from radius_smsotp.model.records import Lockout
from tests.freeradius.handshakes import HandshakeClient
from tests.freeradius.supplicant import STATION, Supplicant
from tests.freeradius.test_eap_gtc import directly
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.freeradius import Radiusd, Site

USERS = f"""clara Cleartext-Password := "{PIN}", SMSOTP-Phone := "+491701234567"
phone SMSOTP-Phone := "+491701234567"
"""


def from_files(raddb: Path) -> None:
    """Let FreeRADIUS know clara's password, and of another one the number only."""
    (raddb / "users").write_text(USERS)
    (raddb / "mods-enabled" / "files").write_text("files {\n\tfilename = ${confdir}/users\n}\n")
    path = raddb / "policy.d" / "smsotp_first_factor"
    text = path.read_text()
    assert "smsotp_account {\n}" in text
    path.write_text(text.replace("smsotp_account {\n}", "smsotp_account {\n\tfiles\n}"))


def without_a_tunnel(raddb: Path) -> None:
    """The same where a gateway passes EAP on, as for IKEv2."""
    from_files(raddb)
    directly(raddb)


def populate(site: Site) -> None:
    """An account for each thing that may stand against a login; all names are of one length."""
    site.add("locky")
    site.add("empty", text=None)
    now = datetime.now(UTC)
    with site.store.write() as tx:
        tx.put_lockout("locky", Lockout(10, now, now + timedelta(hours=1)))


NAMES = {
    "alice": ("pin-wrong", None),
    "empty": ("pin-wrong", "no-pin"),
    "phone": ("pin-wrong", "no-pin"),
    "clara": ("pin-wrong", None),
    "locky": ("login-refused", "locked"),
    "nobod": ("login-refused", "unknown-account"),
}
"""Name to what the trail says of a wrong password."""


def test_an_account_that_pap_knows_no_password_of_is_answered_like_a_wrong_pin(
    share: Callable[..., Radiusd],
) -> None:
    """It is no first factor that is down; whether it exists is in the trail only."""
    radiusd = share(from_files)
    site = radiusd.site
    populate(site)
    replies = {name: radiusd.ask(name, "9999") for name in NAMES}
    kinds = {(one.kind, one.message, tuple(n for n, _ in one.pairs)) for one in replies.values()}
    assert len(kinds) == 1, replies
    assert replies["empty"].message == "Login failed."
    told = {name: site.events(name)[-1] for name in NAMES}
    assert {name: (one.kind, one.detail.get("reason")) for name, one in told.items()} == NAMES


Packets = list[tuple[int, list[tuple[int, int, str]]]]


def conversation(device: Supplicant) -> Packets:
    """
    All that went over the wire, in both directions.

    Returns:
        Of each packet its code, and of each attribute number, length, and of EAP code and type.
    """
    packets: Packets = []
    for line in device.output().splitlines():
        if found := re.match(r"RADIUS message: code=(\d+)", line):
            packets.append((int(found[1]), []))
        elif found := re.match(r" +Attribute (\d+) \(.*\) length=(\d+)", line):
            packets[-1][1].append((int(found[1]), int(found[2]), ""))
        elif (found := re.match(r" +Value: ([0-9a-f]+)", line)) and packets[-1][1]:
            number, length, _ = packets[-1][1][-1]
            # A long EAP packet is in several of them.
            if number == 79 and [one for one, *_ in packets[-1][1]].count(79) == 1:
                shown = found[1][:2] + found[1][8:10]
                packets[-1][1][-1] = (number, length, shown)
    return packets


def kinds(packets: Packets) -> list[tuple[int, list[tuple[int, str]]]]:
    """Without the lengths: a server's signature in TLS is of one or another."""
    return [(code, [(number, kind) for number, _, kind in pairs]) for code, pairs in packets]


MSCHAPV2 = {
    "alice": ("pin-wrong", "hashed-pin"),
    "empty": ("pin-wrong", "unprovable"),
    "clara": ("pin-wrong", None),
    "locky": ("login-refused", "locked"),
    "nobod": ("login-refused", "unknown-account"),
}


@pytest.mark.parametrize(
    ("edit", "method", "inside"),
    [
        (without_a_tunnel, "eap=MSCHAPV2", 6),
        (from_files, 'eap=PEAP phase2="auth=MSCHAPV2"', 6),
        (from_files, 'eap=TTLS phase2="autheap=MSCHAPV2"', 6),
        (from_files, 'eap=TTLS phase2="auth=MSCHAPV2"', 2),
    ],
    ids=["no tunnel", "PEAP", "TTLS", "TTLS without EAP"],
)
def test_whoever_asks_for_mschapv2_has_the_same_conversation(
    share: Callable[..., Radiusd], edit: Callable[[Path], None], method: str, inside: int
) -> None:
    """Whether there is such an account, and how its password is known, or whether it is locked."""
    radiusd = share(edit)
    site = radiusd.site
    populate(site)
    said = {}
    for name in MSCHAPV2:
        with Supplicant(radiusd, method, name, password="9999") as device:
            assert device.question() is None
            assert not device.accepted()
            said[name] = conversation(device)
        assert len(said[name]) > 4
    for name, one in said.items():
        assert kinds(one) == kinds(said["clara"]), name
        assert one[-inside:] == said["clara"][-inside:], name
    told = {name: site.events(name)[-1] for name in MSCHAPV2}
    assert {name: (one.kind, one.detail.get("reason")) for name, one in told.items()} == MSCHAPV2
    # A device that knows no other method locks nobody out: nobody has guessed.
    with site.store.read() as tx:
        failures = {name: tx.lockout(name).failures for name in ("alice", "empty", "clara")}
    assert failures == {"alice": 0, "empty": 0, "clara": 1}


def test_a_handshake_that_is_held_back_is_refused_like_a_wrong_one(
    share: Callable[..., Radiusd],
) -> None:
    """Too many have failed from there; whoever it is, and in EAP too."""
    radiusd = share(without_a_tunnel)
    populate(radiusd.site)
    client = HandshakeClient(radiusd.port, STATION)
    said = {}
    for name in ("clara", "nobod"):
        for _ in range(int(of_name(10).burst)):
            assert client.ask("chap", "9999", user=name).message == "Login failed."
        with Supplicant(radiusd, "eap=MSCHAPV2", name, password=PIN) as device:
            assert device.question() is None
            assert not device.accepted()
            said[name] = conversation(device)
    with Supplicant(radiusd, "eap=MSCHAPV2", "alice", password="9999") as device:
        assert device.question() is None
        assert conversation(device) == said["clara"] == said["nobod"]
    assert "challenge-opened" not in radiusd.site.kinds("clara")
