"""What settings of providers let others read or do, although they work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp import providers
from radius_smsotp.providers import Surroundings, is_loopback, presets
from radius_smsotp.settings import strict_yaml

if TYPE_CHECKING:
    from pathlib import Path

HTTP = {"type": "http", "parameter": {"to": "{phone}", "text": "{message}"}, "password": "s3cret"}
HTTP |= {"username": "me"}
SIPGATE = {"type": "sipgate", "username": "me", "password": "s3cret"}
SMTP = {"type": "smtp", "mailto": "{phone_digits}@sms.example.org"}
LOGIN = {"mailuser": "me", "mailpassword": "s3cret"}
SMPP = {"type": "smpp", "smsc_host": "smsc.example.org", "password": "s3cret"}
SERVERS = {
    "open": {"server": "mail.example.org", "username": "me", "password": "s3cret"},
    "said": {"server": "smtp://mail.example.org", "tls": "none"},
    "safe": {"server": "smtp+tls://mail.example.org"},
}

CLEAR = "numbers, codes and passwords go to sms.example.org in the clear"
UNVERIFIED = "the certificate of {} is not verified: whoever is on the way can pose as it"
MAIL = "numbers, codes and the password go to mail.example.org in the clear"
ANONYMOUS = "numbers and codes go to mail.example.org in the clear"
SMSC = "numbers, codes and the password go to smsc.example.org in the clear"
PROXY = "user name and password for the proxy go to proxy.example.org in the clear"
MODEM = (
    "numbers, codes and the PIN of the SIM go to 192.0.2.7 in the clear, and whoever reaches it "
    "can send"
)


def weaknesses(entry: dict[str, Any], folder: Path) -> list[tuple[str, str]]:
    """Path and fault of each, for a provider named one."""
    settings = providers.module(entry["type"]).Settings.model_validate(entry)
    provider = providers.build("one", settings, Surroundings(folder, SERVERS, folder))
    found = provider.weaknesses()
    provider.close()
    assert all(one.remedy for one in found)
    assert "s3cret" not in str(found)
    return [(one.path, one.fault) for one in found]


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        (HTTP | {"url": "https://sms.example.org/send"}, []),
        (HTTP | {"url": "http://sms.example.org/send"}, [("providers.one.url", CLEAR)]),
        (HTTP | {"url": "HTTP://me:s3cret@SMS.example.org:80"}, [("providers.one.url", CLEAR)]),
        (HTTP | {"url": "http://127.0.0.1:13013/cgi-bin/sendsms"}, []),
        (HTTP | {"url": "http://[::1]:13013/"}, []),
        (
            HTTP | {"url": "https://sms.example.org", "CHECK_SSL": False},
            [("providers.one.check_ssl", UNVERIFIED.format("sms.example.org"))],
        ),
        (
            HTTP | {"url": "https://sms.example.org", "proxy": "me:s3cret@proxy.example.org:8080"},
            [("providers.one.proxy", PROXY)],
        ),
        (HTTP | {"url": "https://sms.example.org", "proxy": "proxy.example.org:8080"}, []),
        (HTTP | {"url": "https://sms.example.org", "proxy": "me:s3cret@localhost:8080"}, []),
        # What goes to this host through a proxy elsewhere goes there, and what goes through one
        # on this host goes on.
        (
            HTTP | {"url": "http://localhost/send", "http_proxy": "http://sms.example.org:3128"},
            [("providers.one.url", CLEAR)],
        ),
        (
            HTTP | {"url": "http://sms.example.org", "http_proxy": "http://localhost:3128"},
            [("providers.one.url", CLEAR)],
        ),
        (
            HTTP
            | {"url": "https://sms.example.org", "username": None, "password": None}
            | {"token": {"url": "http://sms.example.org/token"}},
            [("providers.one.token.url", CLEAR)],
        ),
        (SIPGATE, []),
        (SIPGATE | {"url": "http://sms.example.org/RPC2"}, [("providers.one.url", CLEAR)]),
        (
            SIPGATE | {"proxy": "http://me:s3cret@proxy.example.org:3128"},
            [("providers.one.proxy", PROXY)],
        ),
        (SMTP | {"mailserver": "smtps://mail.example.org"}, []),
        (SMTP | {"mailserver": "mail.example.org:465"}, []),
        (SMTP | {"mailserver": "mail.example.org", "tls": "starttls"}, []),
        (SMTP | {"mailserver": "localhost"} | LOGIN, []),
        (SMTP | {"mailserver": "mail.example.org"}, [("providers.one.mailserver", ANONYMOUS)]),
        (
            SMTP | LOGIN | {"mailserver": "smtp://mail.example.org"},
            [("providers.one.mailserver", MAIL)],
        ),
        (
            SMTP | LOGIN | {"mailserver": "mail.example.org", "tls": False},
            [("providers.one.tls", MAIL)],
        ),
        (SMTP | {"identifier": "open"}, [("smtp_servers.open.server", MAIL)]),
        (SMTP | {"identifier": "said"}, [("smtp_servers.said.tls", ANONYMOUS)]),
        (SMTP | {"identifier": "safe"}, []),
        (SMTP | {"identifier": "gone"}, []),  # an error of its own
        (SMPP, [("providers.one.smsc_host", SMSC)]),
        (SMPP | {"tls": False}, [("providers.one.tls", SMSC)]),
        (SMPP | {"tls": True}, []),
        (
            SMPP | {"tls": True, "check_ssl": False},
            [("providers.one.check_ssl", UNVERIFIED.format("smsc.example.org"))],
        ),
        (SMPP | {"smsc_host": "127.0.0.1"}, []),
        ({"type": "modem", "port": "/dev/ttyUSB0"}, []),
        ({"type": "modem", "port": "socket://localhost:4000"}, []),
        ({"type": "modem", "port": "socket://192.0.2.7:4000"}, [("providers.one.port", MODEM)]),
        ({"type": "folder", "path": "outbox"}, []),
        ({"type": "script", "script": "send.sh"}, []),
    ],
)
def test_what_others_can_read_or_pretend_on_the_way(
    entry: dict[str, Any], found: list[tuple[str, str]], tmp_path: Path
) -> None:
    """Where it is set, which host it is, and nothing secret."""
    assert weaknesses(entry, tmp_path) == found


@pytest.mark.parametrize("name", presets.names())
def test_a_preset_is_not_weak(name: str, tmp_path: Path) -> None:
    """Whoever pastes one is not warned of it; SMPP and a phone say themselves what to do."""
    path = tmp_path / "some.yaml"
    path.write_text(presets.text(name))
    for entry in strict_yaml.parse(strict_yaml.read(path), path.name).values():
        found = weaknesses({"type": providers.kind(entry)} | entry, tmp_path)
        assert bool(found) == (name in {"smpp", "sms-gate"})


@pytest.mark.parametrize(
    ("host", "near"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("gateway.localhost", True),
        ("ip6-localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.168.1.1", False),
        ("10.0.0.1", False),
        ("::ffff:192.0.2.1", False),
        ("0.0.0.0", False),
        ("gateway", False),
        ("localhost.example.org", False),
        ("127.0.0.1.example.org", False),
        ("", False),
    ],
)
def test_what_goes_to_this_host_stays_here(host: str, near: bool) -> None:
    """By its name or address, without asking anybody."""
    assert is_loopback(host) is near
