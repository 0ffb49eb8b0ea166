"""``smsotp check`` names whose accounting gets no answer, and nobody else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from radius_smsotp.cli.check import accounting
from radius_smsotp.raddb import files

OWN = "server own {\n\tauthorize {\n\t\tsmsotp_authorize\n\t}\n%s}\n"
STOCK = "server default {\n\taccounting {\n\t\tdetail\n\t}\n}\n"
WIFI = "server wifi {\n\tauthorize {\n\t\tsmsotp_eap\n\t}\n}\n"
LISTEN = "listen {\n\ttype = acct\n\tport = 1813\n%s}\n"
CLIENT = "client vpn {\n\tvirtual_server = %s\n}\n"


@pytest.fixture
def raddb(tmp_path: Path) -> Path:
    """Our files in a raddb of somebody's."""
    for name in (files.POLICY, files.FIRST_FACTOR, "sites-available/smsotp"):
        place = tmp_path / name.replace("available", "enabled")
        place.parent.mkdir(exist_ok=True)
        shutil.copy(files.source(name), place)
    (tmp_path / "mods-enabled").mkdir()
    (tmp_path / "mods-enabled" / "detail").write_text("detail {\n}\n")
    (tmp_path / "sites-enabled" / "default").write_text(STOCK)
    (tmp_path / "radiusd.conf").write_text("$INCLUDE clients.conf\n$INCLUDE sites-enabled/\n")
    (tmp_path / "clients.conf").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("sites", "clients", "told"),
    [
        (LISTEN % "", CLIENT % "smsotp", []),
        (LISTEN % "" + OWN % "", "", []),
        (LISTEN % "" + OWN % "", CLIENT % "own", ["accounting of client vpn gets no answer"]),
        (LISTEN % "" + OWN % "", CLIENT % '"own"', ["accounting of client vpn gets no answer"]),
        (LISTEN % "" + WIFI, CLIENT % "wifi", ["accounting of client vpn gets no answer"]),
        (LISTEN % "" + OWN % "accounting {\n}\n", CLIENT % "own", ["accounting of client vpn"]),
        (LISTEN % "" + OWN % "accounting {\n-sql\n}\n", CLIENT % "own", ["accounting of client"]),
        (LISTEN % "" + OWN % "accounting {\ndetail\n}\n", CLIENT % "own", []),
        (LISTEN % "" + OWN % "accounting {\nsmsotp_accounting\n}\n", CLIENT % "own", []),
        (LISTEN % "virtual_server = own\n" + OWN % "", "", ["accounting that comes here gets no"]),
        (OWN % (LISTEN % ""), "", ["accounting that comes here gets no answer: server own does"]),
        ("", CLIENT % "smsotp", ["nobody listens for accounting"]),
    ],
)
def test_who_is_named(raddb: Path, sites: str, clients: str, told: list[str]) -> None:
    (raddb / "sites-enabled" / "more").write_text(sites)
    (raddb / "clients.conf").write_text(clients)
    found = list(accounting.findings(raddb))
    assert [one.level for one in found] == ["warning"] * len(told)
    for one, begin in zip(found, told, strict=True):
        assert one.fault.startswith(begin)
        assert one.path.startswith(str(raddb))


def test_nothing_is_said_where_no_login_is_ours(raddb: Path) -> None:
    (raddb / "sites-enabled" / "smsotp").unlink()
    assert list(accounting.findings(raddb)) == []
