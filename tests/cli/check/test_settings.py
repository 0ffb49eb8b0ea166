"""``smsotp check``: settings that do what nobody expects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from radius_smsotp.cli.check import site
from radius_smsotp.settings import file

if TYPE_CHECKING:
    from tests.cli.installation import Installation


def found(here: Installation, **sections: object) -> list[tuple[str, str]]:
    """Path and fault of what there is to say of clients."""
    here.write(**{"challenge": {}, "clients": {}} | sections)
    findings = site.client_findings(file.load(here.settings_path))
    return [(one.path.rpartition(": ")[2], one.fault) for one in findings]


@pytest.mark.parametrize("first", ["{pin}{code}", "{code}{pin}"])
def test_two_orders_of_pin_and_code_with_nothing_between_them(
    here: Installation, first: str
) -> None:
    """Of a PIN of digits only one can be meant; with something in between, both can."""
    orders = [first, *({"{pin}{code}", "{code}{pin}"} - {first})]
    fault = f"PINs of digits are read as {first} only"
    assert found(here, challenge={"forms": orders}) == [("challenge.forms", fault)]
    vpn = {"vpn": {"ssids": {"Office": {"forms": orders}}}}
    assert found(here, clients=vpn) == [("clients.vpn.ssids.Office.forms", fault)]
    assert found(here, challenge={"forms": ["{pin}{code}", "{code},{pin}", "SCRV1"]}) == []


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        ({}, []),
        ({"per_client_hour": 0, "cooldown": 1}, []),
        ({"cooldown": 0}, ["cooldown"]),
        ({"per_day": 0}, ["per_day"]),
        ({"per_account_hour": 0}, []),
        ({"per_number_hour": 0}, []),
        ({"per_account_hour": 0, "per_number_hour": 0}, ["per_account_hour"]),
    ],
)
def test_messages_without_end_are_named(
    here: Installation, limits: dict[str, int], named: list[str]
) -> None:
    here.write(limits=limits)
    warned = [one for one in site.findings(here.settings_path) if one.fault.startswith("0 is no")]
    assert [one.path.rpartition(".")[2] for one in warned] == named
    assert all((one.level, bool(one.remedy), bool(one.why)) == ("warning", 1, 1) for one in warned)


def test_a_first_factor_that_a_client_has_checked(here: Installation) -> None:
    """What a code is worth alone: 144 challenges a day, each of three guesses; or the lock-out."""
    here.write(clients={"citrix": {"first_factor_by_client": "sms"}})
    [told] = site.client_findings(file.load(here.settings_path))
    assert told.path.endswith(": clients.citrix.first_factor_by_client")
    assert (told.level, told.fault) == (
        "warning",
        "a code alone lets in, and anybody's name has one sent",
    )
    assert "1 : 2,314 a day" in told.why
    assert told.remedy.endswith("; set limits.per_client_hour")
    here.write(limits={"per_account_hour": 0, "per_client_hour": 100})
    [told] = site.client_findings(file.load(here.settings_path))
    assert "1 : 1,041 a day" in told.why
    assert told.remedy.endswith("(require_message_authenticator = yes)")


def too_long(here: Installation, **sections: object) -> list[tuple[str, str]]:
    """Path and fault of what does not fit into a reply."""
    here.write(**{"challenge": {}, "clients": {}, "languages": {}, "texts": {}} | sections)
    findings = site.findings(here.settings_path)
    return [
        (one.path.rpartition(": ")[2], one.fault)
        for one in findings
        if "a reply holds 253" in one.fault
    ]


def test_what_users_read_and_a_reply_does_not_hold(here: Installation) -> None:
    """RFC 2865 section 5: 253 octets, of which an umlaut takes two; each where it stands."""
    long = "x" * 490 + " {phone_hint} {digits}"
    fault = "498 octets: a reply holds 253"
    assert too_long(here) == []
    assert too_long(here, challenge={"prompt": long}) == [("challenge.prompt", fault)]
    clients = {"vpn": {"prompt": long, "ssids": {"Guests": {"texts": {"failed": "ü" * 127}}}}}
    assert too_long(here, clients=clients, languages={"de": {"prompt": long}}) == [
        ("clients.vpn.prompt", fault),
        ("clients.vpn.ssids.Guests.texts.failed", "254 octets: a reply holds 253"),
        ("languages.de.prompt", fault),
    ]
    assert too_long(here, challenge={"prompt": "x" * 253}) == [
        (
            "challenge.prompt",
            "282 octets, texts.resend_denied and the prompt together: a reply holds 253",
        )
    ]
    assert too_long(here, texts={"resent": "x" * 230}) == [
        ("texts.resent", "268 octets, texts.resent and the prompt together: a reply holds 253")
    ]
