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
