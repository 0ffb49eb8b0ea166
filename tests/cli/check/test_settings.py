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
