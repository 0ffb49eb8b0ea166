"""What holds for one RADIUS client."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.errors import ConfigurationError
from tests.settings.test_file import lines, loaded

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the settings are."""
    return tmp_path / "smsotp.yaml"


class TestClients:
    CLIENTS: dict[str, Any] = {  # noqa: RUF012  # constant
        "fortigate": {"prompt": "by name"},
        "192.0.2.1": {"prompt": "by address"},
        "192.0.2.0/24": {"prompt": "by prefix"},
        "192.0.2.128/25": {"prompt": "by longer prefix"},
        "2001:db8::/32": {"prompt": "by IPv6 prefix"},
        "2001:db8:0:1::/64": {"prompt": "by longer IPv6 prefix"},
        "2001:db8::1": {"prompt": "by IPv6 address"},
    }

    @pytest.mark.parametrize(
        ("name", "address", "prompt"),
        [
            ("fortigate", "192.0.2.1", "by name"),
            ("fortigate", "", "by name"),
            ("other", "192.0.2.1", "by address"),
            ("other", "192.0.2.2", "by prefix"),
            ("other", "192.0.2.200", "by longer prefix"),
            ("other", "2001:db8::2", "by IPv6 prefix"),
            ("other", "2001:db8:0:1::2", "by longer IPv6 prefix"),
            ("other", "2001:0db8:0000::0001", "by IPv6 address"),
            ("192.0.2.2", "192.0.2.2", "by prefix"),  # a client that has no name of its own
            ("other", "198.51.100.1", "for all"),
            ("other", "::ffff:198.51.100.1", "for all"),
            ("other", "no address", "for all"),
            ("", "", "for all"),
        ],
    )
    def test_the_nearest_section_holds(
        self, path: Path, name: str, address: str, prompt: str
    ) -> None:
        """By short name, then by address, then by the longest prefix."""
        one = loaded(path, clients=self.CLIENTS, challenge={"prompt": "for all"})
        assert one.for_client(name, address).prompt == prompt

    def test_what_a_client_does_not_say_is_as_for_all(self, path: Path) -> None:
        """And what it says wins, even if it is empty or zero."""
        one = loaded(
            path,
            challenge={"style": "reject", "resend": "again"},
            delivery={"wait": 2},
            remember={"hours": 5},
            clients={
                "own": {
                    "style": "challenge",
                    "prompt": "",
                    "resend": "",
                    "wait": 0,
                    "remember": 0,
                    "message": "{code}",
                },
                "silent": {},
            },
        )
        own = one.for_client("own", "")
        assert (own.style, own.prompt, own.message, own.wait) == ("challenge", "", "{code}", 0)
        assert (own.login.resend_word, own.remember.hours) == ("", 0)
        silent = one.for_client("silent", "")
        assert silent == one.for_client("unknown", "")
        assert (silent.style, silent.wait, silent.login.resend_word) == ("reject", 2, "again")
        assert silent.remember.time == timedelta(hours=5)

    def test_limits_and_lockout_are_the_same_for_all(self, path: Path) -> None:
        """Brought into the units of the rules."""
        one = loaded(
            path,
            code={"digits": 8, "lifetime": 60, "guesses": 5},
            lockout={"failures": 4, "minutes": 7},
            limits={
                "cooldown": 9,
                "per_account_hour": 1,
                "per_number_hour": 2,
                "per_client_hour": 3,
            },
        )
        rules = one.for_client("any", "").login
        assert (rules.digits, rules.lifetime, rules.guesses) == (8, timedelta(seconds=60), 5)
        assert (rules.lockout_failures, rules.lockout_time) == (4, timedelta(minutes=7))
        assert (rules.per_account_hour, rules.per_number_hour, rules.per_client_hour) == (1, 2, 3)
        assert (rules.cooldown, rules.per_day) == (timedelta(seconds=9), 5000)


class TestErrors:
    def test_each_stands_with_its_path(self, path: Path) -> None:
        """All at once, within the SSID too."""
        text = """
            providers: {demo: {type: folder, path: outbox}}
            clients:
              wifi:
                country: ZZ
                texts: {faild: x, wrong_code: "{code}"}
                ssids:
                  Guests: {style: nono, stile: reject, ssids: {}, bind: nas}
                  "": {}
                  1234: {}
                  this is longer than any SSID can be: {}
              10.0.0.0/33: {}
              style: {ssids: {a: {waiit: 1}}}
        """
        found = {line.partition(": clients.")[2] for line in lines(path, text)}
        assert found == {
            'wifi.country: \'ZZ\' is no country; write its ISO 3166 code, as "DE" or "GB"',
            "wifi.texts.faild: there is no such setting; did you mean 'failed'?",
            "wifi.texts.wrong_code: {code} is no placeholder here; known: {guesses}",
            "wifi.ssids.Guests.style: has to be 'challenge' or 'reject'; this is: challenge: "
            "Access-Challenge; reject: Access-Reject, for clients that know no challenge and send "
            "PIN and code in one password afterwards",
            "wifi.ssids.Guests.stile: there is no such setting; did you mean 'style'?",
            "wifi.ssids.Guests.ssids: there is no such setting; known here: bind, country, "
            "forms, language, message, prompt, remember, resend, store_down, style, texts, wait",
            "wifi.ssids.Guests.bind: has to be 'account', 'client' or 'station'; this is: "
            "who may answer a challenge: account: its account, through any client; client: only "
            "through the client that it was opened for; station: only from the same "
            "`Calling-Station-Id` behind that client",
            "wifi.ssids: is no SSID: those have 1 to 32 octets; write it as access points show it",
            "wifi.ssids.1234: has to be a valid string; put it in quotes",
            "wifi.ssids.this is longer than any SSID can be: is no SSID: those have 1 to 32 "
            "octets; write it as access points show it",
            "10.0.0.0/33: is no network; write one as 192.0.2.0/24 or 2001:db8::/32",
            # A client may be called like a setting.
            "style.ssids.a.waiit: there is no such setting; did you mean 'wait'?",
        }

    @pytest.mark.parametrize("name", ["ap/7", "10.1.2.3/16", "vpn-1", "Büro", "fe80::1"])
    def test_a_name_or_network_is_taken_as_it_is(self, path: Path, name: str) -> None:
        """Host bits in a network do not matter."""
        assert loaded(path, clients={name: {"wait": 3}}).for_client(name, "").wait == 3

    def test_an_ssid_is_found_however_its_letters_are_composed(self, path: Path) -> None:
        """An editor may write an umlaut as letter and mark."""
        one = loaded(path, clients={"wifi": {"ssids": {"Bu\u0308ro": {"wait": 3}}}})
        assert one.for_client("wifi", "", "Büro").wait == 3


def test_who_has_checked_the_first_factor_is_one_client(path: Path) -> None:
    """It holds for that short name alone, whatever else finds an entry; passwords are folded."""
    citrix = {"first_factor_by_client": ["SMS ", ""], "ssids": {"Office": {"wait": 2}}}
    one = loaded(path, clients={"citrix": citrix, "10.0.0.0/8": {"wait": 3}})
    own = one.for_client("citrix", "10.1.2.3", "Office")
    assert (own.first_factor_by_client, own.wait) == (("sms", ""), 2)
    assert one.for_client("vpn", "10.1.2.3").first_factor_by_client == ()
    assert own.login.unasked == {"citrix"}
    assert one.for_client("vpn", "").login.unasked == {"citrix"}


@pytest.mark.parametrize(
    ("clients", "fault"),
    [
        ({"10.1.2.3": {"first_factor_by_client": "sms"}}, "is for one client"),
        ({"10.0.0.0/8": {"first_factor_by_client": "sms"}}, "is for one client"),
        ({"vpn": {"first_factor_by_client": "123-456"}}, "could be a code"),
        ({"vpn": {"ssids": {"Guests": {"first_factor_by_client": "sms"}}}}, "no such setting"),
    ],
)
def test_whose_word_is_not_taken_for_it(path: Path, clients: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        loaded(path, clients=clients)
