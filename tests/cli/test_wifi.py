"""``smsotp wifi profile``: the right authority and name, or a word why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from radius_smsotp.raddb import certificates, profiles

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.installation import Installation

pytestmark = pytest.mark.slow
"""Each makes certificates, by openssl."""

NAME = "radius.example.org"


@pytest.fixture
def raddb(here: Installation) -> Path:
    """A raddb with a certificate for Wi-Fi."""
    folder = here.folder / "raddb"
    here.done("raddb", "create", str(folder), "--server-name", NAME)
    return folder


def command(raddb: Path, kind: str, ssid: str = "Office") -> list[str]:
    """What is typed."""
    return ["wifi", "profile", "--raddb", str(raddb), "--ssid", ssid, "--for", kind]


@pytest.mark.parametrize("kind", profiles.FORMATS)
def test_it_holds_authority_and_name_of_the_raddb(
    here: Installation, raddb: Path, kind: str
) -> None:
    told = here.done(*command(raddb, kind, "Büro"), "--user", "alice")
    authority = (raddb / "certs/smsotp/ca.pem").read_text("utf-8")
    network = profiles.Network("Büro", NAME, authority, "alice")
    assert told == profiles.FORMATS[kind](network)


def test_it_is_whole_in_a_pipe_that_knows_no_umlauts(here: Installation, raddb: Path) -> None:
    done = here.call(*command(raddb, "windows", "Büro"), env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert "<name>Büro</name>" in done.stdout


def test_words_around_the_authority_are_left_out(here: Installation, raddb: Path) -> None:
    """As ``openssl x509 -text`` leaves them."""
    before = here.done(*command(raddb, "apple"))
    path = raddb / "certs/smsotp/ca.pem"
    path.write_text(f"Certificate:\n    Data:\n{path.read_text('utf-8')}", "utf-8")
    assert here.done(*command(raddb, "apple")) == before


@pytest.mark.parametrize(
    ("ssid", "fault"),
    [
        ("", "has 1 to 32 octets, this one 0"),
        ("ü" * 17, "has 1 to 32 octets, this one 34"),
        ("a\nb", "'a b' holds a control character"),
        ("a\udcffb", "is not UTF-8"),
    ],
)
def test_what_is_no_ssid_is_refused(here: Installation, raddb: Path, ssid: str, fault: str) -> None:
    done = here.run(*command(raddb, "windows", ssid))
    assert done.exit_code == 2
    assert fault in " ".join(done.output.split())


def test_networkmanager_wants_a_name(here: Installation, raddb: Path) -> None:
    """Without one it does not read the file at all."""
    done = here.run(*command(raddb, "networkmanager"))
    assert done.exit_code == 2
    assert "--user NAME" in done.output


def test_a_certificate_of_another_authority_is_none_to_tell_of(
    here: Installation, raddb: Path, tmp_path: Path
) -> None:
    """Devices that trusted ``ca.pem`` would refuse it, until its own authority lies there."""
    certificates.ensure(tmp_path, "wifi.example.com")
    place = raddb / "certs/smsotp"
    for name in ("server.pem", "server.key"):
        (place / name).write_bytes((tmp_path / name).read_bytes())
    done = here.run(*command(raddb, "apple"))
    assert done.exit_code == 1
    assert f"was not signed by {place}/ca.pem: put what has signed it there" in done.output
    (place / "ca.pem").write_bytes((tmp_path / "ca.pem").read_bytes())
    assert "wifi.example.com" in here.done(*command(raddb, "apple"))


def test_where_there_is_no_certificate_the_remedy_is_named(here: Installation, raddb: Path) -> None:
    (raddb / "certs/smsotp/server.pem").unlink()
    done = here.run(*command(raddb, "apple"))
    assert done.exit_code == 1
    assert f"is not there; make it with 'smsotp raddb install --raddb {raddb}'" in done.output


def test_of_several_authorities_one_has_to_be_left(here: Installation, raddb: Path) -> None:
    path = raddb / "certs/smsotp/ca.pem"
    path.write_bytes(path.read_bytes() * 2)
    done = here.run(*command(raddb, "apple"))
    assert done.exit_code == 1
    assert "holds 2 certificates: leave the one" in done.output
