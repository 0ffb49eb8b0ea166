"""
Some with a code and some without, and realms, in Debian's own raddb, as docs/how-to/mixed says.

One FreeRADIUS has all of the recipes, each in a virtual server and at a port of its own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.cli.check import rehearsal, ways
from tests.freeradius import recipe, stock
from tests.freeradius.directory import Directory
from tests.freeradius.supplicant import PEAP_GTC, Supplicant
from tests.freeradius.test_wifi import code
from tests.support.freeradius import Radiusd, Site
from tests.support.ports import free_port
from tests.support.radius import SECRET
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PEOPLE = {"erin": ("s3cret", ["+491701234599"]), "frank": ("s3cret", ["+491701234588"])}
PILOT = {"erin": ["pilot"]}
MSCHAP = 'eap=PEAP phase2="auth=MSCHAPV2"'

GUESTS = """
home_server guests {{
	type = auth
	ipaddr = 127.0.0.1
	port = {port}
	secret = {secret}
}}
home_server_pool guests {{
	home_server = guests
}}
realm example.net {{
	auth_pool = guests
	nostrip
}}
realm example.edu {{
	auth_pool = guests
	nostrip
}}
"""
"""Two organisations, one of which is welcome; what answers for them is a server here."""


class Mixed:
    """
    The server, and its ports.

    Attributes:
        at: Name of a virtual server to a FreeRADIUS at its port.
    """

    def __init__(self, site: Site, directory: Directory) -> None:
        self.site = site
        self._directory = directory
        self._ports: dict[str, int] = {}
        self.radiusd = stock.start(site, "raddb", self._edit)
        self.at: dict[str, Radiusd] = {"group": self.radiusd}
        for name, port in self._ports.items():
            self.at[name] = Radiusd(site, self.radiusd.folder, port)

    def _edit(self, raddb: Path) -> None:
        available = raddb / "sites-available"
        for name in ("list", "client", "exempt", "ssid", "guests"):
            self._ports[name] = free_port()
            text = (
                (available / "default").read_text().replace("server default {", f"server {name} {{")
            )
            for at in (self._ports[name], free_port()):
                text = re.sub(r"(?m)^\tport = (?!@)\d+$", f"\tport = @{at}", text, count=1)
            (available / name).write_text(text.replace("port = @", "port = "))
            (raddb / "sites-enabled" / name).symlink_to(f"../sites-available/{name}")
        (raddb / "mods-config" / "files" / "authorize").write_text(
            recipe.files("A pilot group")["mods-config/files/authorize"]
            + "".join(
                f'{name} Cleartext-Password := "pw"\n'
                for name in ("bob", "bob@example.net", "bob@example.edu")
            )
        )
        self._pilot(raddb)
        self._ssid(raddb)
        self._realms(raddb)

    def _pilot(self, raddb: Path) -> None:
        self._directory.asked(raddb)
        group = recipe.code("Groups of a directory", "text")
        stock.replace(raddb / "mods-enabled" / "ldap", r"^\s*#  \"\+=\" takes all.*$", group)
        recipe.replace_policies(
            raddb / "policy.d" / "smsotp_first_factor",
            recipe.files("A pilot group")["policy.d/smsotp_first_factor"],
        )
        stock.call(raddb, title="A pilot group")
        said = recipe.section("A pilot group")
        group = r'&LDAP-Group == "[^"]*"'
        for name, condition in (
            ("list", '&control:Tmp-String-0 == "code"'),
            ("client", '"%{client:shortname}" == "vpn"'),
        ):
            assert f"``{condition}``" in said
            stock.call(raddb, site=name, title="A pilot group")
            here = condition.replace('"vpn"', '"localhost"')
            stock.replace(raddb / "sites-available" / name, group, here)
        stock.call(raddb, site="exempt", title="A pilot group")
        [condition] = set(re.findall(group, said))
        stock.replace(raddb / "sites-available" / "exempt", group, f"!({condition})")

    def _ssid(self, raddb: Path) -> None:
        stock.call(raddb, r"eap \{", "ssid", "One SSID with a code")
        said = recipe.files("One SSID with a code")["sites-enabled/office"]
        self._ports["office"] = free_port()
        places = {"ipaddr = *": "ipaddr = 127.0.0.1", "1822": str(self._ports["office"])}
        places["1823"] = str(free_port())
        (raddb / "sites-enabled" / "office").write_text(recipe.fill_in(said, places))

    def _realms(self, raddb: Path) -> None:
        with (raddb / "proxy.conf").open("a") as file:
            file.write(recipe.files("Realms in Wi-Fi")["proxy.conf"])
            file.write(GUESTS.format(port=self._ports["guests"], secret=SECRET))
        available = raddb / "sites-available"
        first = recipe.code("Realms in Wi-Fi", "text")
        stock.replace(available / "smsotp", r"^\tauthorize \{$", f"\tauthorize {{\n{first}")
        name = "policy.d/smsotp_first_factor"
        recipe.replace_policies(raddb / name, recipe.files("Realms in Wi-Fi")[name])
        # Where guests are at home nobody sends them on.
        stock.replace(available / "guests", r"^\tsuffix$", "")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mixed]:
    folder = tmp_path_factory.mktemp("mixed")
    directory = Directory(folder / "ldap", PEOPLE, PILOT)
    (folder / "site").mkdir()
    site = Site(folder / "site", limits={"cooldown": 0})
    site.add("alice")
    try:
        directory.start()
        yield Mixed(site, directory)
    finally:
        site.close()
        directory.stop()


@pytest.mark.parametrize(
    ("place", "pilot", "other"),
    [
        ("group", ("erin", "s3cret"), ("frank", "s3cret")),
        ("list", ("alice", PIN), ("bob", "pw")),
        ("client", ("alice", PIN), None),
        ("exempt", ("frank", "s3cret"), ("erin", "s3cret")),
    ],
)
def test_a_pilot_needs_a_code_and_nobody_else(
    mixed: Mixed, place: str, pilot: tuple[str, str], other: tuple[str, str] | None
) -> None:
    """Whose wrong passwords count with us; what the others get is signed, too."""
    radiusd, name = mixed.at[place], pilot[0]
    seen = len(mixed.site.kinds(name))
    others = len(mixed.site.kinds(other[0])) if other else 0
    challenge = radiusd.challenge(*pilot)
    answer = mixed.site.code(challenge.state)
    assert radiusd.ask(name, answer, challenge.state).kind == "Access-Accept"
    assert radiusd.ask(name, "wrong").kind == "Access-Reject"
    kinds = ["challenge-opened", "sms-accepted", "code-accepted", "pin-wrong"]
    assert mixed.site.kinds(name)[seen:] == kinds
    if other:
        assert radiusd.ask(*other).kind == "Access-Accept"
        assert radiusd.ask(other[0], "wrong").kind == "Access-Reject"
        assert len(mixed.site.kinds(other[0])) == others


@pytest.mark.once
def test_who_is_of_the_pilot_is_told_beforehand(mixed: Mixed) -> None:
    """By the condition, at the port that the client sends to."""
    for name, outcome, reply in (("erin", "open", []), ("frank", "without-code", [])):
        folder, port = mixed.radiusd.folder, mixed.radiusd.port
        told = rehearsal.tell(mixed.site.settings_path, folder, None, name, "localhost", port=port)
        assert (told["outcome"], told["first_factor"]) == (outcome, ["ldap"])
        assert told["auth_type"] == ("smsotp" if outcome == "open" else "LDAP")
        asked = '(&LDAP-Group == "cn=pilot,ou=groups,dc=example,dc=org")'
        met = [one["meaning"] for one in told["steps"] if one["what"] == asked]
        assert met == (["met"] if outcome == "open" else ["not met"]) * 2  # post-auth, too
        assert told["client"]["server"] == "default"
        assert told["client"]["other_ports"][str(mixed.at["client"].port)] == "client"
        assert [*told["reply"]] == reply


def asked_twice(mixed: Mixed, place: str, **more: str) -> bool:
    """Whether alice's device gets in so."""
    with Supplicant(mixed.at[place], PEAP_GTC, **more) as device:
        assert device.question() == "PIN: "
        assert device.answer(PIN) == "Enter the 6-digit code sent to ***67: "
        assert device.answer(code(mixed.site)) is None
        return device.accepted()


def gets_in(mixed: Mixed, place: str, **more: str) -> bool:
    """Whether bob's device does, which has stored his password and knows MSCHAPv2."""
    with Supplicant(mixed.at[place], MSCHAP, "bob", "pw", **more) as device:
        assert device.question() is None
        return device.accepted()


@pytest.mark.parametrize("place", ["ssid", "office"])
def test_one_ssid_needs_a_code(mixed: Mixed, place: str) -> None:
    """By what the access point says, or by the port that it asks at."""
    assert asked_twice(mixed, place)
    assert not gets_in(mixed, place)


def test_the_other_ssid_is_as_it_was(mixed: Mixed) -> None:
    assert gets_in(mixed, "ssid", ssid="Guests")


def profile(mixed: Mixed, method: str, name: str, more: str = "") -> str:
    """A network block of somebody with a realm."""
    authority = mixed.radiusd.folder / "certs" / "smsotp" / "ca.pem"
    lines = [*method.split(), f'identity="{name}"', f'ca_cert="{authority}"', more]
    lines.append(f'anonymous_identity="anonymous@{name.partition("@")[2]}"')
    return "\n".join(("network={", "key_mgmt=WPA-EAP", *lines, "}")) + "\n"


def test_a_realm_of_ours_is_cut_off(mixed: Mixed) -> None:
    """In Wi-Fi, and for a VPN: the account is alice."""
    seen = len(mixed.site.kinds("alice"))
    assert asked_twice(mixed, "office", profile=profile(mixed, PEAP_GTC, "alice@example.org"))
    office = mixed.at["office"]
    challenge = office.challenge("alice@example.org", PIN)
    answer = mixed.site.code(challenge.state)
    assert office.ask("alice@example.org", answer, challenge.state).kind == "Access-Accept"
    kinds = ["challenge-opened", "sms-accepted", "code-accepted"]
    assert mixed.site.kinds("alice")[seen:] == 2 * kinds


@pytest.mark.parametrize(("realm", "welcome"), [("example.net", True), ("example.edu", False)])
def test_guests_are_asked_by_their_own_server(mixed: Mixed, realm: str, welcome: bool) -> None:
    """If `smsotp_beside` says so."""
    said = profile(mixed, MSCHAP, f"bob@{realm}", 'password="pw"')
    assert gets_in(mixed, "office", profile=said) is welcome
    assert mixed.site.kinds(f"anonymous@{realm}") == ([] if welcome else ["login-refused"])


def test_check_finds_no_way_past_the_code_but_the_one_that_is_meant(mixed: Mixed) -> None:
    """The conditions are the same in both places."""
    found = list(ways.findings(mixed.radiusd.folder))
    assert [one.fault for one in found] == ["smsotp_beside lets in what it names"]
