"""``smsotp init``, and the annotated example that it writes."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import stat
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from click.testing import CliRunner
from pydantic import BaseModel

from radius_smsotp.cli import smsotp
from radius_smsotp.cli.site import acting_as
from radius_smsotp.raddb import files
from radius_smsotp.settings import file, keyring
from radius_smsotp.settings.schema import Settings
from radius_smsotp.store import open_store
from tests.support.site import kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.installation import Installation

EXAMPLE = files.folder() / "smsotp.yaml"


def init(*arguments: str | Path) -> str:
    """Run it; it must succeed.  Returns what it prints."""
    result = CliRunner().invoke(smsotp, ["init", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.output


def mode(path: Path) -> int:
    """The permissions."""
    return stat.S_IMODE(path.stat().st_mode)


def owner(path: Path) -> str:
    """Who it belongs to."""
    return pwd.getpwuid(path.stat().st_uid).pw_name


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user of the machine can go through; those of pytest are closed."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o711)
        yield Path(name)


class TestTheExample:
    def test_it_loads_and_holds_the_default_of_every_setting(self) -> None:
        loaded = file.load(EXAMPLE)
        unlike = {"providers"}  # one is needed, and none is a good default for everybody
        for name in Settings.model_fields:
            assert name in loaded.values.model_fields_set, name
            if name not in unlike:
                assert getattr(loaded.values, name) == getattr(Settings(), name), name

    def test_every_setting_of_every_section_stands_there(self) -> None:
        values = yaml.safe_load(EXAMPLE.read_text("utf-8"))
        for name, field in Settings.model_fields.items():
            section = field.annotation
            if isinstance(section, type) and issubclass(section, BaseModel):
                assert set(values[name]) == set(section.model_fields), name

    def test_every_line_fits_a_screen(self) -> None:
        assert max(map(len, EXAMPLE.read_text("utf-8").splitlines())) <= 100


class TestWhatIsMade:
    def test_settings_key_and_store_stand_in_the_folder(self, tmp_path: Path) -> None:
        folder = tmp_path / "new" / "site"
        shown = init(folder)
        assert mode(folder) == 0o750
        assert mode(folder / "smsotp.yaml") & 0o137 == 0
        assert mode(folder / "key") == 0o600
        assert mode(folder / "smsotp.db") == 0o600
        loaded = file.load(folder / "smsotp.yaml")
        assert loaded.values.store == f"sqlite:///{folder}/smsotp.db"
        assert loaded.key_path == folder / "key"
        assert loaded.providers["demo"].type == "folder"
        assert len(keyring.read(folder / "key").secret) == 32
        for name in ("smsotp.yaml", "key", "smsotp.db"):
            assert f"{folder / name}\n" in shown
        assert shown.count("made") == 3
        assert f"{folder / 'key'} seals the PINs.  Without it no PIN can be checked" in shown

    def test_the_settings_keep_the_comments_of_the_example(self, tmp_path: Path) -> None:
        init(tmp_path / "site")
        made = (tmp_path / "site" / "smsotp.yaml").read_text("utf-8").splitlines()
        example = EXAMPLE.read_text("utf-8").splitlines()
        differing = [new for new, old in zip(made, example, strict=True) if new != old]
        assert [line.partition(":")[0] for line in differing] == ["store", "key_file"]

    def test_what_is_there_stays_as_it_is(self, here: Installation) -> None:
        here.done("user", "add", "alice", "--phone", "+491701234567")
        names = ("smsotp.yaml", "key", "smsotp.db")
        before = {name: (here.folder / name).read_bytes() for name in names}
        shown = init(here.folder)
        assert shown.count("was there") == 3
        assert "made" not in shown
        assert {name: (here.folder / name).read_bytes() for name in names} == before
        assert here.account("alice") is not None

    def test_a_second_folder_on_a_store_gets_its_key_and_no_other(self, tmp_path: Path) -> None:
        init(tmp_path / "one")
        known = keyring.read(tmp_path / "one" / "key").current
        other = ("--store", f"sqlite:///{tmp_path}/one/smsotp.db")
        result = CliRunner().invoke(smsotp, ["init", str(tmp_path / "two"), *other])
        assert result.exit_code == 3
        assert f"the store was used with another key ({known}); bring the file" in result.output
        key = tmp_path / "two" / "key"
        assert not key.exists()
        shutil.copy(tmp_path / "one" / "key", key)
        assert "was there" in init(tmp_path / "two")
        # A key that is there already, and not the store's, is told as well.
        key.write_text("k1 " + "ab" * 32 + "\n")
        assert CliRunner().invoke(smsotp, ["init", str(tmp_path / "two")]).exit_code == 3

    def test_where_the_key_is_lost_a_new_one_takes_its_place(self, here: Installation) -> None:
        here.done("user", "add", "alice", "--phone", "+491701234567", "--pin", "1234")
        challenged = here.node().challenge("alice", "1234")
        lost = keyring.read(here.folder / "key").current
        init(here.folder)
        (here.folder / "key").unlink()
        assert here.run("init", str(here.folder)).exit_code == 3
        shown = init(here.folder, "--new-key")
        assert "1 PIN sealed with a key that is not here; 'smsotp check' names it" in shown
        assert kind(here.node().first("alice", "1234")) == "rejected"
        here.done("user", "set", "alice", "--pin", "1234")
        assert kind(here.node().first("alice", "1234")) == "challenged"
        with here.store.read() as tx:
            assert lost not in tx.known_keys().values()
            ended = tx.challenge(challenged.transaction_id)
        assert ended is not None
        assert ended.state == "cancelled"

    def test_what_is_missing_is_made_where_the_settings_want_it(self, tmp_path: Path) -> None:
        folder = tmp_path / "site"
        init(folder)
        (folder / "key").unlink()
        values = yaml.safe_load((folder / "smsotp.yaml").read_text("utf-8"))
        values |= {"key_file": "other.key", "store": "sqlite:///data/accounts.db"}
        (folder / "smsotp.yaml").write_text(yaml.safe_dump(values), "utf-8")
        init(folder)
        assert keyring.read(folder / "other.key").current
        assert not (folder / "key").exists()
        assert (folder / "data" / "accounts.db").exists()

    def test_a_store_elsewhere_is_named_and_made(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path}/elsewhere/smsotp.db"
        init(tmp_path / "site", "--store", url)
        assert file.load(tmp_path / "site" / "smsotp.yaml").store_url == url
        assert (tmp_path / "elsewhere" / "smsotp.db").exists()
        again = CliRunner().invoke(
            smsotp, ["init", str(tmp_path / "site"), "--store", f"sqlite:///{tmp_path}/third.db"]
        )
        assert again.exit_code == 1
        assert f"names another store already: {url}; change 'store' in it" in again.output

    @pytest.mark.parametrize("url", ["accounts.db", "mysql://db/smsotp", "sqlite:accounts.db"])
    def test_what_is_no_store_is_refused_before_anything_is_made(
        self, tmp_path: Path, url: str
    ) -> None:
        """In settings that are there, it would keep the right one out at the next try."""
        site = tmp_path / "site"
        done = CliRunner().invoke(smsotp, ["init", str(site), "--store", url])
        assert done.exit_code == 3
        assert "is no kind of store" in done.output
        assert not site.exists()
        init(site, "--store", "sqlite:///accounts.db")
        assert (site / "accounts.db").exists()

    def test_the_next_command_can_be_pasted(self, tmp_path: Path) -> None:
        shown = init(tmp_path / "my site")
        assert f"Next: smsotp --config '{tmp_path}/my site/smsotp.yaml' user add" in shown

    @pytest.mark.parametrize("name", ["white space", "q\"uo'te", "back\\slash", "Ümlaut: #1"])
    def test_any_path_may_be_its_own(self, tmp_path: Path, name: str) -> None:
        init(tmp_path / name)
        loaded = file.load(tmp_path / name / "smsotp.yaml")
        assert loaded.key_path == tmp_path / name / "key"
        assert loaded.store_url == f"sqlite:///{tmp_path / name}/smsotp.db"

    def test_settings_that_do_not_work_are_told_of(self, here: Installation) -> None:
        here.write(message="no code")
        result = CliRunner().invoke(smsotp, ["init", str(here.folder)])
        assert result.exit_code == 3
        assert "column 1: message: {code} is missing" in result.output

    def test_a_key_that_others_can_read_is_told_of(self, here: Installation) -> None:
        (here.folder / "key").chmod(0o644)
        result = CliRunner().invoke(smsotp, ["init", str(here.folder)])
        assert result.exit_code == 3
        assert "is open to others (mode 0644)" in result.output


class TestUnits:
    def test_they_start_this_program_with_these_settings_as_who_has_the_key(
        self, tmp_path: Path, open_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sys.argv", ["/opt/100% $x/smsotp"])
        folder, me = open_folder / "my site", pwd.getpwuid(os.geteuid()).pw_name
        user = "nobody" if me == "root" else me
        store = f"sqlite:///{open_folder}/data/smsotp.db"
        shown = init(folder, "--owner", user, "--store", store, "--units", tmp_path)
        assert shown.count("smsotp-prune.timer") == 1
        courier = (tmp_path / "smsotp-courier.service").read_text("utf-8")
        settings = f'--config "{folder}/smsotp.yaml"'
        assert f'\nExecStart="/opt/100%% $$x/smsotp" {settings} courier\n' in courier
        assert f"\nUser={user}\nGroup=" in courier
        assert f'\nReadWritePaths="{folder}" {open_folder}/data -/var/lib' in courier
        assert {one.name for one in tmp_path.iterdir()} == {
            one.name for one in (files.folder() / "systemd").iterdir()
        }

    def test_on_debian_they_are_those_of_the_checkout(self) -> None:
        """But for the program, all that is replaced stands there, and is what is wanted there."""
        for unit in (files.folder() / "systemd").glob("*.service"):
            text = unit.read_text("utf-8")
            for line in ("ReadWritePaths=/etc/radius-smsotp ", "User=freerad\n", "Group=freerad\n"):
                assert text.count(line) == 1, unit

    def test_one_that_is_there_stays_as_it_is(self, tmp_path: Path) -> None:
        (tmp_path / "smsotp-prune.timer").write_text("mine")
        shown = init(tmp_path / "site", "--units", tmp_path)
        assert f"was there  {tmp_path}/smsotp-prune.timer" in shown
        assert (tmp_path / "smsotp-prune.timer").read_text() == "mine"

    def test_a_package_has_brought_them(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Below /etc they would hide those of its next version."""
        monkeypatch.setattr("radius_smsotp.cli.init.UNITS", "no-such-folder")
        result = CliRunner().invoke(
            smsotp, ["init", str(tmp_path / "site"), "--units", str(tmp_path)]
        )
        assert result.exit_code == 1
        assert "the package has brought the units already" in result.output

    def test_an_upgrade_makes_none(self, here: Installation, tmp_path: Path) -> None:
        result = CliRunner().invoke(
            smsotp, ["init", str(here.folder), "--upgrade", "--units", str(tmp_path)]
        )
        assert result.exit_code == 2
        assert "exclude each other" in result.output


class TestOwner:
    def test_an_unknown_user_is_wrong_usage(self, tmp_path: Path) -> None:
        result = CliRunner().invoke(smsotp, ["init", str(tmp_path / "site"), "--owner", "nobody-x"])
        assert result.exit_code == 2
        assert "there is no user 'nobody-x'" in result.output

    def test_ones_own_name_is_always_right(self, tmp_path: Path) -> None:
        me = pwd.getpwuid(os.geteuid()).pw_name
        init(tmp_path / "site", "--owner", me)
        assert owner(tmp_path / "site" / "key") == me

    def test_root_gives_all_of_it_to_the_owner(self, open_folder: Path) -> None:
        folder = open_folder / "site"
        shown = init(folder, "--owner", "nobody")
        assert "All of it belongs to the user nobody." in shown
        paths = [folder, *folder.iterdir()]
        assert {owner(path) for path in paths} == {"nobody"}
        with acting_as(pwd.getpwnam("nobody")):
            keyring.read(folder / "key")
            with contextlib.closing(open_store(f"sqlite:///{folder}/smsotp.db")) as store:
                store.migrate()

    def test_files_of_root_are_given_away_later_as_well(self, open_folder: Path) -> None:
        """FreeRADIUS may be installed afterwards."""
        folder = open_folder / "site"
        init(folder, "--owner", "root")
        assert owner(folder / "key") == "root"
        init(folder, "--owner", "nobody")
        assert {owner(path) for path in [folder, *folder.iterdir()]} == {"nobody"}

    def test_a_folder_with_other_things_in_it_is_not_given_away(self, open_folder: Path) -> None:
        (open_folder / "diary").write_text("of somebody")
        shown = init(open_folder, "--owner", "nobody")
        assert owner(open_folder) == "root"
        assert owner(open_folder / "diary") == "root"
        assert owner(open_folder / "key") == "nobody"
        assert "holds other files too: let nobody write there yourself" in shown

    def test_what_settings_of_another_user_ask_for_is_done_with_the_rights_of_that_user(
        self, open_folder: Path
    ) -> None:
        """Else whoever may write them could have root make, or give away, any file."""
        folder, closed = open_folder / "site", open_folder / "closed"
        closed.mkdir(0o755)
        init(folder, "--owner", "nobody")
        with acting_as(pwd.getpwnam("nobody")):
            text = (folder / "smsotp.yaml").read_text("utf-8")
            text = text.replace(f"{folder}/smsotp.db", f"{closed}/smsotp.db")
            (folder / "smsotp.yaml").write_text(text, "utf-8")
        result = CliRunner().invoke(smsotp, ["init", str(folder)])
        assert result.exit_code == 3
        assert "(Permission denied)" in result.output
        assert list(closed.iterdir()) == []
        assert os.getresuid() == (0, 0, 0)

    def test_files_of_one_user_are_not_given_to_another(self, open_folder: Path) -> None:
        init(open_folder / "site", "--owner", "nobody")
        result = CliRunner().invoke(
            smsotp, ["init", str(open_folder / "site"), "--owner", "daemon"]
        )
        assert result.exit_code == 1
        assert "is of nobody; as root, chown it yourself" in result.output
        assert owner(open_folder / "site" / "key") == "nobody"

    def test_root_leaves_a_store_that_its_owner_can_go_on_writing(self, open_folder: Path) -> None:
        """SQLite's -wal and -shm are made by whoever comes first."""
        folder = open_folder / "site"
        init(folder, "--owner", "nobody")
        config = ("--config", str(folder / "smsotp.yaml"))
        with contextlib.closing(open_store(f"sqlite:///{folder}/smsotp.db")) as ours:
            with ours.write() as tx:
                tx.put_breaker("demo", "closed", datetime.now(UTC), "")
            assert {path.name for path in folder.iterdir()} >= {"smsotp.db-wal", "smsotp.db-shm"}
            assert {owner(path) for path in folder.iterdir()} == {"nobody"}
            with acting_as(pwd.getpwnam("nobody")):
                added = CliRunner().invoke(
                    smsotp, [*config, "user", "add", "alice", "--phone", "+491701234567"]
                )
            assert added.exit_code == 0, added.output
        shown = CliRunner().invoke(smsotp, [*config, "user", "list"])
        assert "alice" in shown.output
