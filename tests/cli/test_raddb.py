"""``smsotp raddb`` as it is typed: what is refused before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

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
        (["--secret-env", "NO NAME"], "'NO NAME' is no name of a variable"),
        (["--secret-env", ""], "'' is no name of a variable"),
        (["--secret", "x", "--secret-env", "NAME"], "exclude each other"),
        (["--server-name", "radius.müller.example"], "is no DNS name"),
        (["--server-name", 'x",DNS:y'], "is no DNS name"),
        (["--port", "11812"], "port 11812 is given twice"),
        (["--workers", "2", "--worker-port", "11812"], "port 11813 is given twice"),
        (["--workers", "2", "--worker-port", "65535"], "port 65536 is needed"),
        (["--workers", "2", "--gtc-port", "65534"], "port 65536 is needed"),
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
    done = here.call("raddb", "create", str(raddb), *options, env={"SMSOTP_SECRET": "x"})
    assert done.returncode == 0, done.stderr
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
