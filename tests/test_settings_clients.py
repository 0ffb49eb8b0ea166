"""What holds for one RADIUS client."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.test_settings_file import loaded

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
        assert (own.login.resend_word, own.remember) == ("", timedelta(0))
        silent = one.for_client("silent", "")
        assert silent == one.for_client("unknown", "")
        assert (silent.style, silent.wait, silent.login.resend_word) == ("reject", 2, "again")
        assert silent.remember == timedelta(hours=5)

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
