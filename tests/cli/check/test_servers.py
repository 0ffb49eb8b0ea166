"""``smsotp check`` on two servers of one store, and what Wi-Fi devices are shown at them."""

from __future__ import annotations

import json
import shutil
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.raddb import certificates, files
from tests.cli.check.test_command import OURSELVES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.installation import Installation

pytestmark = pytest.mark.slow
"""Each makes certificates, by openssl."""

NAME = "radius.example.org"


def make(here: Installation, name: str, server: str = NAME) -> Path:
    """A raddb on the store of `here`."""
    folder = here.folder / name
    here.done("raddb", "create", str(folder), "--server-name", server)
    return folder


def told(here: Installation, folder: Path) -> list[dict[str, str]]:
    """What `check` says of the other server, whatever the machine is like."""
    result = here.run("check", "--json", *OURSELVES, "--raddb", str(folder))
    place = str(folder / files.CERTIFICATES)
    return [one for one in json.loads(result.output) if one["path"] == place]


def renamed(here: Installation, folder: Path, host: str) -> None:
    """Let the store know a server of this machine as one of another, which nobody can look at."""
    with here.store.write() as tx:
        found = tx.authorities()[f"{socket.gethostname()}:{folder}"]
        tx.put_authority(f"{host}:{folder}", *found)
    shutil.rmtree(folder)


@pytest.mark.parametrize("elsewhere", [False, True], ids=["this host", "another"])
def test_another_authority_is_said_and_the_remedy_mends_it(
    here: Installation, elsewhere: bool
) -> None:
    """At either server, once each has been made or checked."""
    first, second = make(here, "first"), make(here, "second")
    if elsewhere:
        keep = here.folder / "keep"
        shutil.copytree(first / files.CERTIFICATES, keep)
        renamed(here, first, "radius2")
    else:
        keep = first / files.CERTIFICATES
        assert len(told(here, first)) == 1
    [found] = told(here, second)
    host = "radius2" if elsewhere else socket.gethostname()
    assert found["level"] == "warning"
    assert found["fault"].startswith(f"{first} on {host} had another authority on 20")
    shutil.copytree(keep, second / files.CERTIFICATES, dirs_exist_ok=True)
    assert told(here, second) == []


def test_another_name_is_said(here: Installation) -> None:
    """Devices compare it."""
    first, second = make(here, "first"), make(here, "second")
    place = second / files.CERTIFICATES
    for name in ("ca.pem", "ca.key"):
        shutil.copy(first / files.CERTIFICATES / name, place / name)
    for name in ("server.pem", "server.key"):
        (place / name).unlink()
    certificates.ensure(place, "radius2.example.org")
    [found] = told(here, second)
    assert f"{first} on {socket.gethostname()} had the name {NAME} on 20" in found["fault"]


def test_a_renewed_authority_is_the_same_one(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Devices take what it signs by its file of before."""
    first, second = make(here, "first"), make(here, "second")
    shutil.copytree(first / files.CERTIFICATES, second / files.CERTIFICATES, dirs_exist_ok=True)
    with monkeypatch.context() as then:
        then.setattr(certificates, "LATE", 2 * certificates.LATE * 10)
        assert len(certificates.renew(second / files.CERTIFICATES)) == 2
    assert told(here, second) == told(here, first) == []


def test_a_raddb_that_is_gone_from_this_machine_does_not_count(here: Installation) -> None:
    """Nor one in which Wi-Fi is off."""
    first, second, third = (make(here, name) for name in ("first", "second", "third"))
    shutil.rmtree(first)
    (second / files.WIFI_LINKS[0]).unlink()
    assert told(here, third) == []


def test_one_of_another_authority_is_not_compared(here: Installation, tmp_path: Path) -> None:
    """We do not know which one that is."""
    make(here, "first")
    second = make(here, "second")
    certificates.ensure(tmp_path, "wifi.example.com")
    for name in ("server.pem", "server.key"):
        shutil.copy(tmp_path / name, second / files.CERTIFICATES / name)
    assert told(here, second) == []


def test_without_a_store_the_raddb_is_made_all_the_same(here: Installation) -> None:
    here.store.close()
    for path in here.folder.glob("smsotp.db*"):
        path.unlink()
    make(here, "first")
    assert not (here.folder / "smsotp.db").exists()


def test_the_servers_of_a_store_are_listed(here: Installation) -> None:
    """Where there are several: whoever reads it sees one that is gone, or too many."""
    now = datetime(2026, 3, 2, 12, tzinfo=UTC)
    for number, place in enumerate(("radius1:/etc/smsotp.yaml", "radius2:/etc/smsotp.yaml")):
        with here.store.write() as tx:
            tx.put_server(place, now)
        found = json.loads(here.run("check", "--json", *OURSELVES).output)
        said = [one["fault"] for one in found if one["path"] == "servers"]
        assert len(said) == number
    assert said == [
        "last seen: radius1:/etc/smsotp.yaml (2026-03-02), radius2:/etc/smsotp.yaml (2026-03-02)"
    ]
