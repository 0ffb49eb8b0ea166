"""``smsotp check`` on who may ask: what is signed, and with which secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from radius_smsotp.cli.check import clients
from radius_smsotp.raddb import freeradius, install

SETTINGS = Path("/etc/radius-smsotp/smsotp.yaml")
AUTO = "require_message_authenticator is 'auto'"
LIMIT = "may send Proxy-State without a signature (limit_proxy_state = no)"
KNOWN = "is one that everybody knows"


@pytest.fixture
def raddb(tmp_path: Path) -> Path:
    """One whose clients stand where FreeRADIUS's own have them, or in a file of their own."""
    (tmp_path / "clients.d").mkdir()
    (tmp_path / "radiusd.conf").write_text(
        "security {\n}\n$INCLUDE clients.conf\n$INCLUDE ${confdir}/clients.d/\n"
        "$-INCLUDE ${confdir}/not-there\n$INCLUDE radiusd.conf\n"
    )
    (tmp_path / "clients.conf").write_text("# none\n")
    return tmp_path


def told(raddb: Path, *lines: str, name: str = "vpn", auto: bool = True) -> list[str]:
    """What is said of one client with these lines."""
    text = "".join(f"\t{line}\n" for line in lines)
    (raddb / "clients.d" / "one.conf").write_text(f"\n# mine\nclient {name} {{\n{text}}}\n")
    found = list(clients.findings(raddb, auto=auto))
    assert all(one.path == f"{raddb}/clients.d/one.conf, line 3" for one in found)
    assert all(one.level == "warning" and one.remedy and one.why for one in found)
    return [one.fault for one in found]


class TestAuto:
    """One section for several devices, in which the first one to ask decides."""

    @pytest.mark.parametrize(
        "address",
        [
            "ipaddr = 192.0.2.0/24",
            "ipaddr = *",
            "ipaddr = 0.0.0.0",
            "ipaddr = 0.0.0.0/0",
            "ipv4addr = 10/8",
            "ipv4addr = 172.16/12",
            "ipv6addr = 2001:db8::/64",
            "ipv6addr = ::",
            'ipaddr = "127.0.0.0/8"',
            "ipaddr = 192.0.2.0\n\tnetmask = 31",
        ],
    )
    def test_a_network_is_warned_of(self, raddb: Path, address: str) -> None:
        [fault] = told(raddb, address, "secret = q8vX2rKp0aZt")
        assert fault.endswith(f"{AUTO} by default")
        assert told(raddb, address, "require_message_authenticator = AUTO")[0].endswith(AUTO)
        for value in ("yes", "no", "true", "0"):
            assert told(raddb, address, f"require_message_authenticator = {value}") == []
        # Before 3.2.5 it is "no" where nothing is said.
        assert told(raddb, address, auto=False) == []

    @pytest.mark.parametrize(
        "address",
        [
            "ipaddr = 192.0.2.1",
            "ipaddr = 192.0.2.1/32",
            "ipv6addr = 2001:db8::1",
            "ipaddr = vpn.example.org",
            "ipaddr = 192.0.2.0/24\n\tproto = tls",
            "ipaddr = 192.0.2.0/24\n\tdynamic_clients = dynamic",
        ],
    )
    def test_one_device_is_not(self, raddb: Path, address: str) -> None:
        """Nor what comes by TLS, nor a network that only makes clients."""
        assert told(raddb, address, "require_message_authenticator = auto") == []

    def test_the_name_is_the_address_where_none_is_given(self, raddb: Path) -> None:
        assert len(told(raddb, "secret = q8vX2rKp0aZt", name="192.0.2.0/24")) == 1
        assert told(raddb, "secret = q8vX2rKp0aZt", name="192.0.2.1") == []

    def test_the_section_security_says_it_for_all(self, raddb: Path) -> None:
        conf = raddb / "radiusd.conf"
        said = "security {\n\trequire_message_authenticator = no\n"
        conf.write_text(conf.read_text().replace("security {\n", said))
        assert told(raddb, "ipaddr = 192.0.2.0/24") == []
        assert len(told(raddb, "ipaddr = *", "require_message_authenticator = auto")) == 1

    def test_the_section_of_a_module_is_no_client(self, raddb: Path) -> None:
        (raddb / "clients.conf").write_text("ldap {\n\tclient {\n\t\tbase_dn = x\n\t}\n}\n")
        assert told(raddb, "ipaddr = 192.0.2.1") == []

    def test_nor_is_there_a_word_of_what_we_make(self, tmp_path: Path) -> None:
        """Whatever network it is for."""
        for version in ((3, 2, 1), (3, 2, 7)):
            server = freeradius.FreeRadius(Path("/usr/sbin/freeradius"), version)
            made = tmp_path / str(version[2])
            networks = ("127.0.0.0/8", "::1", "10.0.0.0/8", "192.0.2.1")
            install.create(made, SETTINGS, server, clients=networks)
            assert not list(clients.findings(made, auto=server.limits_proxy_state))

    def test_a_client_within_a_server_counts_too(self, raddb: Path) -> None:
        text = "clients some {\n\tclient vpn {\n\t\tipaddr = 192.0.2.0/24\n\t}\n}\n"
        (raddb / "clients.conf").write_text(f"server x {{\n{text}}}\n")
        [found] = clients.findings(raddb, auto=True)
        assert found.path == f"{raddb}/clients.conf, line 3"


class TestProxyState:
    @pytest.mark.parametrize("auto", [False, True])
    def test_who_may_send_it_unsigned_is_named(self, raddb: Path, auto: bool) -> None:
        """By FreeRADIUS of any version: our policy asks for the same setting."""
        no = ("ipaddr = 192.0.2.1", "limit_proxy_state = no")
        [fault] = told(raddb, *no, auto=auto)
        assert fault.endswith(LIMIT)
        assert told(raddb, *no, "require_message_authenticator = yes", auto=auto) == []
        assert told(raddb, *no, "proto = tls", auto=auto) == []
        for value in ("yes", "auto"):
            assert told(raddb, no[0], f"limit_proxy_state = {value}", auto=auto) == []


class TestSecret:
    @pytest.mark.parametrize("address", ["192.0.2.1", "192.0.2.1/31", "*", "::", "vpn.example.org"])
    def test_one_that_everybody_knows_is_for_this_machine(self, raddb: Path, address: str) -> None:
        signed = "require_message_authenticator = yes"
        assert told(raddb, f"ipaddr = {address}", 'secret = "q8vX2rKp0aZt"', signed) == []
        [fault] = told(raddb, f"ipaddr = {address}", "secret = testing123", signed)
        assert fault.endswith(KNOWN)
        for own in ("127.0.0.1", "::1", "127.0.0.0/8"):
            assert told(raddb, f"ipaddr = {own}", "secret = testing123", signed) == []

    def test_a_short_one_is_for_this_machine_too(self, raddb: Path) -> None:
        """Who has one packet tries them all; FreeRADIUS says so, in debug mode or at its start."""
        [fault] = told(raddb, "ipaddr = 192.0.2.1", "secret = q8vX2rKp0aZ")
        assert fault == "the secret of client vpn has only 11 characters"
        assert told(raddb, "ipaddr = 127.0.0.1", "secret = q8vX2rKp0aZ") == []
        assert told(raddb, "ipaddr = 192.0.2.1", "secret = $ENV{S}") == []
        # TLS asks for a certificate instead (RFC 6614 section 2.3: the secret is "radsec").
        assert told(raddb, "ipaddr = 192.0.2.1", "secret = radsec", "proto = tls") == []


@pytest.mark.parametrize("key", ["auth_badpass", "auth_goodpass"])
def test_a_log_of_passwords_is_warned_of(raddb: Path, key: str) -> None:
    conf = raddb / "radiusd.conf"
    before = conf.read_text()
    for value in ("yes", "on", "TRUE"):
        conf.write_text(f"log {{\n\tauth = yes\n\t{key} = {value}\n}}\n{before}")
        [found] = clients.findings(raddb, auto=True)
        assert found.path == f"{conf}, line 3"
        assert (found.level, found.fault) == (
            "warning",
            f"{key} writes PINs and codes into the log",
        )
    conf.write_text(f"log {{\n\t{key} = no\n}}\n{before}")
    assert list(clients.findings(raddb, auto=True)) == []


@pytest.mark.parametrize(
    ("address", "number"),
    [
        ("192.0.2.9", 0),
        ("192.0.2.0/24", 1),
        ("192.0.2.9/32", 0),
        ("*", 1),
        ("a.example.org", 0),
    ],
)
def test_only_one_may_be_said_to_check_the_first_factor(
    raddb: Path, address: str, number: int
) -> None:
    """What the settings say of a short name holds for all who have it."""
    (raddb / "clients.d" / "one.conf").write_text(
        f"client first {{\n\tipaddr = {address}\n\tshortname = citrix\n}}\n"
        "client vpn {\n\tipaddr = 10.0.0.0/8\n}\n"
    )
    found = list(clients.unasked_findings(raddb, {"citrix"}))
    fault = "client citrix is a network, and is said to check the first factor itself"
    assert [(one.level, one.fault) for one in found] == [("error", fault)] * number
    assert list(clients.unasked_findings(raddb, set())) == []
