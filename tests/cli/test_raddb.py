"""``smsotp raddb`` as it is typed: what is refused before anything is written."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.raddb import certificates

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.installation import Installation

NAME = ("--server-name", "radius.example.org")


@pytest.fixture
def raddb(here: Installation) -> Path:
    """Where a raddb may be made."""
    return here.folder / "raddb"


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (["--secret", "two\nlines"], "the secret holds a control character"),
        (["--secret", "M\udcfcller"], "or one that is not UTF-8"),
        (["--secret", "pa${confdir}ss"], "which FreeRADIUS would replace"),
        (["--secret", "testing123", "--client", "192.0.2.1"], "give another one by --secret"),
        (["--secret-env", "NO NAME"], "'NO NAME' is no name of a variable"),
        (["--secret-env", ""], "'' is no name of a variable"),
        (["--secret", "x", "--secret-env", "NAME"], "exclude each other"),
        (["--server-name", "radius.müller.example"], "is no DNS name"),
        (["--server-name", 'x",DNS:y'], "is no DNS name"),
        (["--port", "11812"], "port 11812 is given twice"),
        (["--port", "11811"], "port 11812 is given twice"),
        (["--port", "65535"], "port 65536 is needed"),
        (["--acct-port", "1812"], "port 1812 is given twice"),
    ],
)
def test_what_freeradius_could_not_use_is_refused(
    here: Installation, raddb: Path, options: list[str], fault: str
) -> None:
    done = here.run("raddb", "create", str(raddb), *options)
    assert done.exit_code == 2
    assert fault in " ".join(done.output.split())
    assert not raddb.exists()


def test_a_path_with_a_blank_is_refused(here: Installation) -> None:
    """FreeRADIUS ends a name in its configuration at it."""
    folder = here.folder / "my raddb"
    done = here.run("raddb", "create", str(folder))
    assert done.exit_code == 2
    assert "the path holds a blank" in " ".join(done.output.split())
    assert not folder.exists()


def test_the_place_of_a_file_is_wrong_usage(here: Installation) -> None:
    done = here.run("raddb", "create", str(here.settings_path))
    assert done.exit_code == 2
    assert "is a file" in done.output
    assert "Errno" not in done.output


def test_a_secret_in_the_environment_does_not_clash_with_its_name(
    here: Installation, raddb: Path
) -> None:
    """As in the container."""
    options = ("--secret-env", "SMSOTP_SECRET", *NAME)
    done = here.run("raddb", "create", str(raddb), *options, SMSOTP_SECRET="x")
    assert done.exit_code == 0, done.output
    assert "secret = $ENV{SMSOTP_SECRET}\n" in (raddb / "clients.conf").read_text()


class TestWithoutSettings:
    """FreeRADIUS does not start with a module whose settings cannot be read."""

    def test_none_is_made(self, here: Installation, raddb: Path) -> None:
        here.settings_path.unlink()
        done = here.run("raddb", "create", str(raddb))
        assert done.exit_code == 3
        assert "smsotp init" in done.output
        assert not raddb.exists()

    def test_one_that_is_there_stays_as_it_is(self, here: Installation, raddb: Path) -> None:
        here.done("raddb", "create", str(raddb), *NAME)
        before = (raddb / "mods-available" / "python3_smsotp").read_bytes()
        here.settings_path = here.folder / "no.yaml"
        done = here.run("raddb", "install", "--raddb", str(raddb))
        assert done.exit_code == 3
        assert (raddb / "mods-available" / "python3_smsotp").read_bytes() == before


class TestCertificate:
    @pytest.fixture
    def made(self, here: Installation, raddb: Path) -> Path:
        """A raddb with a certificate for Wi-Fi."""
        told = here.done("raddb", "create", str(raddb), *NAME)
        assert f"{raddb}/certs/smsotp/ca.pem and the name radius.example.org." in told
        return raddb

    def test_name_authority_and_days_are_shown(self, here: Installation, made: Path) -> None:
        """And the fingerprint that devices show beside them."""
        told = here.done("raddb", "certificate", "--raddb", str(made)).splitlines()
        authority = certificates.read(made / "certs/smsotp/ca.pem")
        assert [line.split()[:2] for line in told[1:]] == [
            [f"{made}/certs/smsotp/server.pem", "radius.example.org"],
            [f"{made}/certs/smsotp/ca.pem", "Wi-Fi"],
        ]
        assert authority.fingerprint in told[2]
        assert " 824 " in told[1]

    def test_programs_get_json(self, here: Installation, made: Path) -> None:
        command = ("raddb", "certificate", "--raddb", str(made), "--json")
        server, authority = json.loads(here.done(*command))
        assert server["names"] == ["radius.example.org"]
        assert (server["days"], authority["days"]) == (824, 3649)

    def test_it_is_renewed(self, here: Installation, made: Path) -> None:
        server = made / "certs/smsotp/server.pem"
        before = certificates.read(server)
        told = here.done("raddb", "certificate", "--renew", "--raddb", str(made))
        assert "Now restart FreeRADIUS" in told
        after = certificates.read(server)
        assert after.names == before.names
        assert after.fingerprint != before.fingerprint

    def test_one_of_one_s_own_is_shown_and_left(
        self, here: Installation, made: Path, tmp_path: Path
    ) -> None:
        other, place = tmp_path / "other", made / "certs/smsotp"
        certificates.ensure(other, "wifi.example.com")
        for name in ("server.pem", "server.key"):
            (place / name).write_bytes((other / name).read_bytes())
        told = here.done("raddb", "certificate", "--raddb", str(made))
        assert "wifi.example.com" in told
        assert f"server.pem was not signed by {place}/ca.pem" in told
        done = here.run("raddb", "certificate", "--renew", "--raddb", str(made))
        assert done.exit_code == 1
        assert "renew it where it comes from" in done.output
        assert (place / "server.pem").read_bytes() == (other / "server.pem").read_bytes()

    def test_where_there_is_none_the_remedy_is_named(self, here: Installation, made: Path) -> None:
        (made / "certs/smsotp/server.pem").unlink()
        done = here.run("raddb", "certificate", "--raddb", str(made))
        assert done.exit_code == 1
        assert f"'smsotp raddb install --raddb {made}'" in done.output


def test_a_name_that_comes_too_late_is_told(
    here: Installation, raddb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Devices know the one before; and one that has no domain is told before they know it."""
    monkeypatch.setattr(socket, "getfqdn", lambda: "localhost")
    monkeypatch.setattr(socket, "gethostname", lambda: "web")
    create = ("raddb", "create", str(raddb))
    assert "this host has no domain, so the certificate is for web" in here.done(*create)
    for asked, told in ((), False), (("--server-name", "web"), False), (NAME, True):
        said = here.done(*create, *asked)
        assert ("keeps the name web, which devices know" in said) == told, said
        assert "no domain" not in said
    for name in ("server.pem", "server.key"):
        (raddb / "certs" / "smsotp" / name).unlink()
    assert "Mind" not in here.done(*create, *NAME)
    found = certificates.read(raddb / "certs" / "smsotp" / "server.pem")
    assert found.names == ("radius.example.org",)
