"""``smsotp backup`` and ``smsotp restore``, as an administrator calls them."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shlex
import shutil
import sqlite3
import stat
import subprocess
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from radius_smsotp.cli import smsotp
from radius_smsotp.cli.backup import archive, seal
from radius_smsotp.model.records import Client
from radius_smsotp.raddb import files as raddb_files
from radius_smsotp.settings import file, keyring
from radius_smsotp.store.schema import TABLES, VERSIONS
from tests.cli.installation import PROGRAM, Installation, environ
from tests.cli.terminal import Terminal
from tests.raddb.test_install import snapshot
from tests.support.site import eventually, kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result

    from tests.store.postgres_server import PostgresServer

pytestmark = pytest.mark.server  # gpg

PASSPHRASE = "correct horse battery"
NAME = ("--server-name", "radius.example.org")
GATEWAY = {"type": "http", "url": "https://localhost/?t={phone}&m={message}", "username": "me"}
SYSTEMS = "/etc/ssl/certs/ca-certificates.crt"
"""Each machine has its own."""
UNLIMITED = {"per_account_hour": 0, "per_number_hour": 0, "per_day": 0, "cooldown": 0}

ELSEWHERE = Client("wifi", "192.0.2.9", "02-00-00-00-00-09")
NOW = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A seal that is tried in no time, but by programs of their own."""
    monkeypatch.setattr(seal, "SEALING", (*seal.SEALING[:-1], "65536"))


@pytest.fixture
def passphrase(tmp_path: Path) -> tuple[str, str]:
    """The option that names it."""
    path = tmp_path / "passphrase"
    path.write_text(f"{PASSPHRASE}\nsecond line\n")
    path.chmod(0o600)
    return "--passphrase-file", str(path)


@pytest.fixture
def sealed(here: Installation, tmp_path: Path, passphrase: tuple[str, str]) -> Path:
    """A backup of an installation with alice."""
    here.done("user", "add", "alice", "--phone", "+491701234567", "--pin", "2580")
    path = tmp_path / "smsotp.backup"
    here.done("backup", str(path), *passphrase)
    return path


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """Where another installation may come to be, beside nothing."""
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "elsewhere" / "site"


def restore(folder: Path, *arguments: str | Path, stdin: str = "") -> Result:
    """Call it for an installation in a folder."""
    words = ["--config", str(folder / "smsotp.yaml"), "restore", *map(str, arguments)]
    return CliRunner().invoke(smsotp, words, input=stdin)


def restored(folder: Path, *arguments: str | Path) -> dict[str, Any]:
    """Call it; it must succeed.  Returns what it says it has done."""
    done = restore(folder, *arguments, "--json")
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def command_of(told: dict[str, Any]) -> list[str]:
    """The next one, as it says."""
    [line] = [one for one in told["notes"] if one.startswith("Next: smsotp ")]
    return shlex.split(line.removeprefix("Next: smsotp "))


class Restored(Installation):
    """An installation that `restore` makes."""

    def __init__(self, folder: Path, *arguments: str | Path) -> None:
        self._arguments = arguments
        super().__init__(folder)

    def _make(self, _: object) -> None:
        self.told = restored(self.folder, *self._arguments)


def unsealed(path: Path, folder: Path) -> Path:
    """What is in a backup, in a folder."""
    folder.mkdir()
    target = folder / "opened"
    seal.open_(path, PASSPHRASE, target)
    with tarfile.open(target) as opened:
        opened.extractall(folder)
    return folder


def resealed(folder: Path, path: Path, *, manifest: dict[str, Any] | None = None) -> Path:
    """What `unsealed` has left, sealed again as another version may have done it."""
    if manifest is not None:
        (folder / archive.MANIFEST).write_text(json.dumps(manifest))
    with tarfile.open(folder / "again", "w") as made:
        for name in (archive.MANIFEST, archive.FILES, archive.STORE):
            made.add(folder / name, name)
    sealed_as(path, (folder / "again").read_bytes())
    return path


def sealed_as(path: Path, content: bytes) -> None:
    """Seal anything, as somebody may have done with gpg."""
    (path.parent / "content").write_bytes(content)
    with path.open("wb") as target:
        seal.seal(path.parent / "content", PASSPHRASE, target.fileno())
    (path.parent / "content").unlink()


class TestThereAndBack:
    def test_logins_go_on_as_before(
        self, here: Installation, tmp_path: Path, elsewhere: Path, passphrase: tuple[str, str]
    ) -> None:
        """By the old PIN; a device that is remembered still is.  What was open has ended."""
        here.write(remember={"hours": 12})
        here.done("user", "add", "alice", "--phone", "+491701234567", "--pin", "2580")
        here.done("user", "add", "bob", "--phone", "+491701234568", "--pin", "2580")
        node = here.node()
        spent = node.challenge("alice", "2580")
        code = node.code(spent)
        assert kind(node.second(spent, code)) == "accepted"
        opened = node.challenge("bob", "2580")
        here.done("user", "add", "carol", "--phone", "+491701234569", "--pin", "2580")
        here.done("user", "code", "carol", "--count", "3")
        path = tmp_path / "smsotp.backup"
        here.done("backup", str(path), *passphrase)
        # The one that was there goes on.
        assert kind(node.second(opened, node.code(opened), "bob")) == "accepted"
        there = Restored(elsewhere, path, *passphrase)
        ended = "; ended: 1 login that waited for a code, 3 emergency codes."
        assert [one for one in there.told["notes"] if one.endswith(ended)]
        again = there.node()
        assert again.stored(opened.transaction_id).state == "cancelled"
        assert kind(again.second(opened, again.code(opened), "bob")) == "rejected"
        assert kind(again.first("alice", "2580")) == "accepted"
        assert kind(again.second(spent, code)) == "rejected"
        challenged = again.challenge("bob", "2580", client=ELSEWHERE)
        assert kind(again.second(challenged, again.code(challenged), "bob")) == "accepted"
        with again.store.read() as tx:
            assert "store-restored" in {one.kind for one in tx.events("", 10)}
            assert not [one for one in tx.emergencies(NOW) if one.left(NOW)]
        there.close()

    def test_the_settings_and_what_they_name(
        self, here: Installation, tmp_path: Path, elsewhere: Path, passphrase: tuple[str, str]
    ) -> None:
        """What lay beside them does again; what lay elsewhere is there again."""
        beside, apart = here.folder / "keys", tmp_path / "apart"
        for folder in (beside, apart):
            folder.mkdir()
            (folder / "gateway").write_text("geheim-4711\n")
            (folder / "gateway").chmod(0o600)
        program = beside / "send"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o750)
        here.write(
            providers={
                "one": GATEWAY | {"password": {"file": str(apart / "gateway")}},
                "two": {"type": "script", "script": "send", "directory": str(beside)},
                "three": GATEWAY | {"password": {"file": "keys/gateway"}, "ca_file": SYSTEMS},
            }
        )
        told = here.done("backup", str(tmp_path / "smsotp.backup"), *passphrase)
        assert f"in it      {apart}/gateway\n" in told
        assert SYSTEMS not in told
        shutil.rmtree(apart)
        restored(elsewhere, tmp_path / "smsotp.backup", *passphrase)
        assert (apart / "gateway").read_text() == "geheim-4711\n"
        loaded = file.load(elsewhere / "smsotp.yaml")
        assert (elsewhere / "keys/gateway") in loaded.secret_files
        two: Any = loaded.providers["two"]
        assert two.directory == elsewhere / "keys"
        assert modes(elsewhere) == {
            "smsotp.yaml": 0o640,
            "key": 0o600,
            "smsotp.db": 0o600,
            "smsotp.db-mark": 0o600,
            "smsotp.db-reserve": 0o600,
            "keys": 0o750,
            "keys/gateway": 0o600,
            "keys/send": 0o750,
        }
        assert str(here.folder) not in (elsewhere / "smsotp.yaml").read_text("utf-8")

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
    @pytest.mark.parametrize("umask", [0o077, 0o000])
    def test_it_belongs_to_who_freeradius_runs_as(
        self, sealed: Path, passphrase: tuple[str, str], umask: int
    ) -> None:
        """Whatever the umask is, and whoever made the folders around it."""
        nobody = pwd.getpwnam("nobody")
        with tempfile.TemporaryDirectory() as name:
            Path(name).chmod(0o755)
            folder, before = Path(name) / "a" / "site", os.umask(umask)
            try:
                restored(folder, sealed, *passphrase, "--owner", "nobody")
            finally:
                os.umask(before)
            assert {one.stat().st_uid for one in (folder, *folder.iterdir())} == {nobody.pw_uid}
            assert stat.S_IMODE(folder.stat().st_mode) == 0o750
            assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o755
            shown = subprocess.run(
                [*PROGRAM, "--config", folder / "smsotp.yaml", "user", "list"],
                user="nobody",
                env=environ(),
                capture_output=True,
                text=True,
                check=False,
            )
            assert "alice" in shown.stdout, shown.stderr

    def test_the_authority_of_wifi_and_edited_files(
        self, here: Installation, tmp_path: Path, elsewhere: Path, passphrase: tuple[str, str]
    ) -> None:
        """Of a raddb that is there; the rest of it is FreeRADIUS's own."""
        raddbs = [tmp_path / "one", tmp_path / "two"]
        for one in raddbs:
            for name in ("mods-enabled", "sites-enabled"):
                (one / name).mkdir(parents=True)
            for name in ("radiusd.conf", "clients.conf"):
                (one / name).write_text("# stock\n")
        first, second = map(str, raddbs)
        here.done("raddb", "install", "--raddb", first, *NAME)
        edited = raddbs[0] / raddb_files.FIRST_FACTOR
        edited.write_text(edited.read_text("utf-8") + "# mine\n", "utf-8")
        path = tmp_path / "smsotp.backup"
        told = json.loads(here.done("backup", str(path), *passphrase, "--raddb", first, "--json"))
        names = [one["name"] for one in told["results"]]
        of_raddb = [one for one in names if one.startswith(first)]
        names = ("ca.key", "ca.pem", "server.key", "server.pem")
        certificates = [f"certs/smsotp/{one}" for one in names]
        assert of_raddb == [
            f"{first}/{name}"
            for name in (raddb_files.MANIFEST, *certificates, raddb_files.FIRST_FACTOR)
        ]
        restored(elsewhere, path, *passphrase, "--raddb", second)
        for one in (*certificates, raddb_files.FIRST_FACTOR):
            assert (raddbs[1] / one).read_bytes() == (raddbs[0] / one).read_bytes(), one
            assert (raddbs[1] / one).stat().st_mode == (raddbs[0] / one).stat().st_mode, one
        there = ["--config", str(elsewhere / "smsotp.yaml"), "raddb", "install", "--raddb", second]
        done = CliRunner().invoke(smsotp, there)
        assert done.exit_code == 0, done.output
        assert f"edited     {second}/{raddb_files.FIRST_FACTOR}: kept" in done.output
        assert (raddbs[1] / "certs/smsotp/ca.pem").read_bytes() == (
            raddbs[0] / "certs/smsotp/ca.pem"
        ).read_bytes()

    def test_a_raddb_of_ours_gets_its_secret_and_its_authority_back(
        self, here: Installation, tmp_path: Path, elsewhere: Path, passphrase: tuple[str, str]
    ) -> None:
        """Beside the settings, as in the container; `raddb create` makes the rest again."""
        here.done("raddb", "create", str(here.folder / "raddb"), *NAME)
        here.done("backup", str(tmp_path / "smsotp.backup"), *passphrase)
        told = restored(elsewhere, tmp_path / "smsotp.backup", *passphrase)
        assert command_of(told)[-3:] == ["raddb", "create", f"{elsewhere}/raddb"]
        made = CliRunner().invoke(smsotp, command_of(told))
        assert made.exit_code == 0, made.output
        for name in ("clients.conf", "certs/smsotp/ca.pem", "certs/smsotp/server.key"):
            before, after = (one / "raddb" / name for one in (here.folder, elsewhere))
            assert after.read_bytes() == before.read_bytes(), name

    def test_it_opens_without_this_program(self, sealed: Path, tmp_path: Path) -> None:
        """By gpg and tar alone, as the document says."""
        command = f"gpg --homedir {tmp_path} --batch --pinentry-mode loopback --passphrase-fd 0 "
        command += f"--decrypt {sealed} | tar -x -C {tmp_path}"
        subprocess.run(["sh", "-c", command], input=PASSPHRASE, text=True, check=True)
        names = {str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*") if one.is_file()}
        assert {archive.MANIFEST, archive.STORE} <= names
        with sqlite3.connect(tmp_path / archive.STORE) as db:
            assert db.execute("SELECT name FROM account").fetchall() == [("alice",)]
        subprocess.run(["gpgconf", "--homedir", tmp_path, "--kill", "all"], check=False)

    @pytest.mark.slow
    def test_logins_go_on_meanwhile(
        self, here: Installation, tmp_path: Path, elsewhere: Path, passphrase: tuple[str, str]
    ) -> None:
        """And what comes of it is one state of the store."""
        here.done("user", "add", "alice", "--phone", "+491701234567", "--pin", "1234")
        here.write(limits=UNLIMITED)
        path = tmp_path / "smsotp.backup"
        process = here.start("backup", str(path), *passphrase, stdout=subprocess.PIPE)
        assert here.log_in_during(process, 10) > 0
        assert process.returncode == 0
        assert Restored(elsewhere, path, *passphrase).run("check").exit_code in {0, 3}


def modes(folder: Path) -> dict[str, int]:
    """The permissions of what is in a folder."""
    return {
        str(one.relative_to(folder)): stat.S_IMODE(one.stat().st_mode) for one in folder.rglob("*")
    }


class TestBackup:
    def test_only_its_owner_can_read_it_and_nothing_is_left_beside_it(self, sealed: Path) -> None:
        assert stat.S_IMODE(sealed.stat().st_mode) == 0o600
        assert {one.name for one in sealed.parent.iterdir()} == {"passphrase", "site", sealed.name}

    def test_what_is_there_is_replaced_only_if_that_is_said(
        self, here: Installation, sealed: Path, passphrase: tuple[str, str]
    ) -> None:
        before = sealed.read_bytes()
        done = here.run("backup", str(sealed), *passphrase)
        assert done.exit_code == 1
        assert done.output == f"smsotp: {sealed} is there already; --overwrite replaces it\n"
        assert sealed.read_bytes() == before
        here.done("backup", str(sealed), *passphrase, "--overwrite")
        assert sealed.read_bytes() != before
        done = here.run("backup", "/dev/null", *passphrase, "--overwrite")
        assert done.output == "smsotp: /dev/null is no file\n"

    @pytest.mark.parametrize(
        "program", ["cat >/dev/null; echo 'gpg: no room' >&2; exit 2", "exit 2"]
    )
    def test_it_is_made_whole_or_not_at_all(
        self,
        here: Installation,
        sealed: Path,
        passphrase: tuple[str, str],
        monkeypatch: pytest.MonkeyPatch,
        program: str,
    ) -> None:
        """A disk that is full, say."""
        before = sealed.read_bytes()
        stand_in(here.folder, program, monkeypatch)
        done = here.run("backup", str(sealed), *passphrase, "--overwrite")
        assert done.exit_code == 1
        assert "gpg has not sealed it: " in done.output
        assert sealed.read_bytes() == before
        assert {one.name for one in sealed.parent.iterdir()} == {"passphrase", "site", sealed.name}

    def test_it_may_be_ended(
        self,
        here: Installation,
        tmp_path: Path,
        passphrase: tuple[str, str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """By systemd or cron, in the middle: nothing of the store is left lying about."""
        stand_in(here.folder, f"echo $$ >{here.folder}/begun; exec sleep 60", monkeypatch)
        process = here.start("backup", str(tmp_path / "x"), *passphrase, stderr=subprocess.PIPE)
        eventually((here.folder / "begun").exists)
        assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")]
        process.terminate()
        assert process.wait(60) == 130
        assert {one.name for one in tmp_path.iterdir()} == {"passphrase", "site"}

    def test_others_see_no_passphrase(
        self,
        here: Installation,
        sealed: Path,
        elsewhere: Path,
        passphrase: tuple[str, str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Neither in the arguments of gpg nor in its environment."""
        seen = here.folder / "seen"
        real = shutil.which("gpg")
        stand_in(here.folder, f'echo "$@" >>{seen}; env >>{seen}; exec {real} "$@"', monkeypatch)
        here.done("backup", str(sealed), *passphrase, "--overwrite")
        restored(elsewhere, sealed, *passphrase)
        text = seen.read_text()
        assert text.count("--passphrase-fd") == 2
        assert PASSPHRASE not in text

    def test_without_gpg_it_is_said_what_to_install(
        self, here: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        for words in (["backup", str(tmp_path / "x")], ["restore", str(here.settings_path)]):
            done = here.run(*words)
            assert done.exit_code == 1
            assert "gpg is not installed, which seals backups: install gpg" in done.output

    def test_a_key_that_is_not_the_stores_is_told_before_it_is_of_no_use(
        self, here: Installation, sealed: Path, passphrase: tuple[str, str]
    ) -> None:
        (here.folder / "key").write_text("k1 " + "ab" * 32 + "\n")
        done = here.run("backup", str(sealed), *passphrase, "--overwrite")
        assert done.exit_code == 3
        assert "the store was used with another key" in done.output


def stand_in(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gpg that does something else."""
    (folder / "bin").mkdir()
    (folder / "bin/gpg").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "bin/gpg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}/bin", prepend=os.pathsep)


class TestPassphrase:
    def test_it_is_asked_for_twice_and_then_once(
        self, here: Installation, elsewhere: Path, tmp_path: Path
    ) -> None:
        path = tmp_path / "smsotp.backup"
        with Terminal(here, "backup", str(path)) as terminal:
            terminal.expect("Passphrase: ")
            terminal.press(f"{PASSPHRASE}\r")
            terminal.expect("The same passphrase again: ")
            terminal.press(f"{PASSPHRASE}\r")
            terminal.expect("It opens with the passphrase alone")
            assert PASSPHRASE not in terminal.shown
        elsewhere.mkdir()
        there = Restored.__new__(Restored)
        there.settings_path = elsewhere / "smsotp.yaml"
        with Terminal(there, "restore", str(path)) as terminal:
            terminal.expect("Passphrase: ")
            terminal.press(f"{PASSPHRASE}\r")
            terminal.expect("Next: ")

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("geheim\n", "too short: take 12 characters or more"),
            ("\n", "holds no passphrase in its first line"),
            ("", "holds no passphrase in its first line"),
            ("x" * 5000, "holds no passphrase in its first line"),
            ("correct\0horse battery", "holds no passphrase in its first line"),
        ],
    )
    def test_one_that_is_none(
        self, here: Installation, tmp_path: Path, text: str, fault: str
    ) -> None:
        path = tmp_path / "smsotp.backup"
        done = here.run("backup", str(path), "--passphrase-file", "-", stdin=text)
        assert done.exit_code in {1, 2}
        assert fault in " ".join(done.output.split())
        assert not path.exists()

    def test_a_file_that_others_can_read_is_refused(
        self, here: Installation, tmp_path: Path
    ) -> None:
        path = tmp_path / "passphrase"
        path.write_text(PASSPHRASE)
        path.chmod(0o640)
        done = here.run("backup", str(tmp_path / "x"), "--passphrase-file", str(path))
        assert done.output == f"smsotp: {path} is open to others; chmod 600 {path}\n"

    def test_a_program_is_told_how_to_say_it(self, here: Installation, tmp_path: Path) -> None:
        done = here.run("backup", str(tmp_path / "x"))
        assert done.exit_code == 2
        assert "give the passphrase by --passphrase-file" in done.output


class TestRefused:
    """Nothing is changed then, nor anything left."""

    def refused(self, folder: Path, *arguments: str | Path, stdin: str = "") -> str:
        before = snapshot(folder.parent)
        done = restore(folder, *arguments, stdin=stdin)
        assert done.exit_code in {1, 3}, done.output
        assert snapshot(folder.parent) == before
        return " ".join(done.output.split())

    def test_a_wrong_passphrase(self, sealed: Path, elsewhere: Path) -> None:
        told = self.refused(elsewhere, sealed, "--passphrase-file", "-", stdin="wrong, wrong\n")
        assert told == f"smsotp: the passphrase does not open {sealed}"

    @pytest.mark.parametrize("part", [0.2, 0.5, 0.999])
    @pytest.mark.parametrize("what", ["cut", "changed"])
    def test_a_file_that_is_not_whole(
        self, sealed: Path, elsewhere: Path, passphrase: tuple[str, str], part: float, what: str
    ) -> None:
        octets = bytearray(sealed.read_bytes())
        place = int(len(octets) * part)
        if what == "cut":
            del octets[place:]
        else:
            octets[place] ^= 1
        sealed.write_bytes(octets)
        told = self.refused(elsewhere, sealed, *passphrase)
        assert f"{sealed} is not whole: it was cut off, or changed" in told

    @pytest.mark.parametrize("content", [b"", b"no backup", bytes(range(256)) * 9])
    def test_a_file_that_is_none(
        self, tmp_path: Path, elsewhere: Path, passphrase: tuple[str, str], content: bytes
    ) -> None:
        path = tmp_path / "strange"
        path.write_bytes(content)
        assert f"{path} is no backup" in self.refused(elsewhere, path, *passphrase)
        path.unlink()
        assert f"{path} is not there" in self.refused(elsewhere, path, *passphrase)

    @pytest.mark.parametrize("content", [b"a letter", b"{}"])
    def test_something_else_under_the_same_seal(
        self, tmp_path: Path, elsewhere: Path, passphrase: tuple[str, str], content: bytes
    ) -> None:
        path = tmp_path / "strange"
        sealed_as(path, content)
        told = self.refused(elsewhere, path, *passphrase)
        assert told == f"smsotp: {path} is no backup of this program's"

    @pytest.mark.parametrize("what", ["format", "schema"])
    def test_one_of_a_newer_version(
        self, sealed: Path, elsewhere: Path, passphrase: tuple[str, str], what: str, tmp_path: Path
    ) -> None:
        folder = unsealed(sealed, tmp_path / "in")
        manifest = json.loads((folder / archive.MANIFEST).read_text())
        newer = manifest | {what: manifest[what] + 1, "version": "9.9.9", "unheard": [1]}
        resealed(folder, sealed, manifest=newer)
        told = self.refused(elsewhere, sealed, *passphrase)
        assert f"was made by version 9.9.9, with {what} {manifest[what] + 1}" in told
        assert "install that one" in told

    @pytest.mark.parametrize("name", ["smsotp.yaml", "key", "smsotp.db"])
    def test_what_is_there(
        self, sealed: Path, elsewhere: Path, passphrase: tuple[str, str], name: str
    ) -> None:
        """Another one, that is: who calls it again after half of it goes on."""
        elsewhere.mkdir()
        (elsewhere / name).write_text("mine")
        told = self.refused(elsewhere, sealed, *passphrase)
        assert f"{elsewhere / name} is there already" in told.replace("sqlite:///", "")
        assert "move it away first" in told

    def test_what_is_there_and_the_same_is_no_fault(
        self, here: Installation, sealed: Path, elsewhere: Path, passphrase: tuple[str, str]
    ) -> None:
        elsewhere.mkdir()
        shutil.copy(here.folder / "key", elsewhere / "key")
        told = restored(elsewhere, sealed, *passphrase)
        assert {one["name"]: one["result"] for one in told["results"]} == {
            str(elsewhere / "smsotp.yaml"): "made",
            str(elsewhere / "key"): "ok",
            f"sqlite:///{elsewhere}/smsotp.db": "made",
        }

    def test_settings_that_do_not_work_there(
        self, here: Installation, tmp_path: Path, elsewhere: Path, passphrase: tuple[str, str]
    ) -> None:
        """As a secret that is in the environment, and so in no backup."""
        here.write(providers={"one": GATEWAY | {"password": {"env": "GATEWAY"}}})
        path = tmp_path / "smsotp.backup"
        done = here.run("backup", str(path), *passphrase, GATEWAY="geheim-4711")
        assert done.exit_code == 0, done.output
        assert "$GATEWAY is not set" in self.refused(elsewhere, path, *passphrase)

    def test_a_second_server_on_a_file(
        self, sealed: Path, elsewhere: Path, passphrase: tuple[str, str]
    ) -> None:
        told = self.refused(elsewhere, sealed, *passphrase, "--join")
        assert "a file of SQLite is for one server alone; move that to PostgreSQL" in told

    def test_a_key_that_is_not_of_the_store_that_is_there(
        self, here: Installation, sealed: Path, elsewhere: Path, passphrase: tuple[str, str]
    ) -> None:
        """Another one was made since, and PINs are sealed with that."""
        elsewhere.mkdir()
        CliRunner().invoke(smsotp, ["init", str(elsewhere)])
        (elsewhere / "smsotp.yaml").unlink()
        (elsewhere / "key").unlink()
        told = self.refused(elsewhere, sealed, *passphrase, "--join")
        assert "the store was used with another key" in told


def test_a_key_that_was_lost_comes_back_and_the_store_stays(
    here: Installation, sealed: Path, passphrase: tuple[str, str]
) -> None:
    """With what has happened since the backup."""
    here.done("user", "add", "bob", "--phone", "+491701234568", "--pin", "2580")
    opened = here.node().challenge("bob", "2580")
    (here.folder / "key").unlink()
    told = here.run("user", "add", "carol", "--phone", "+491701234569", "--pin", "2580").output
    assert "bring it back from a backup ('smsotp restore')" in told
    restored(here.folder, sealed, *passphrase, "--join")
    node = here.node()
    assert kind(node.second(opened, node.code(opened), "bob")) == "accepted"


def test_a_backup_of_an_older_version_is_brought_forward(
    sealed: Path, elsewhere: Path, passphrase: tuple[str, str], tmp_path: Path
) -> None:
    """Its store has an older schema."""
    folder = unsealed(sealed, tmp_path / "in")
    with contextlib.closing(sqlite3.connect(folder / archive.STORE)) as db, db:
        for table in TABLES:
            db.execute(f"DROP TABLE {table}")
        for statements in VERSIONS[:5]:
            for statement in statements:
                db.execute(statement)
        db.execute("PRAGMA user_version = 5")
        db.execute("INSERT INTO account VALUES ('old', '+491701234569', NULL, NULL, 1, 0, 0, NULL)")
    manifest = json.loads((folder / archive.MANIFEST).read_text()) | {"schema": 5}
    resealed(folder, sealed, manifest=manifest)
    there = Restored(elsewhere, sealed, *passphrase)
    found = there.account("old")
    assert found is not None
    assert found.phone == "+491701234569"
    there.close()


class TestDatabase:
    """Settings that name PostgreSQL."""

    @pytest.fixture
    def shared(self, tmp_path: Path, postgres_server: PostgresServer) -> Iterator[Installation]:
        """An installation with alice on one."""
        one = Installation(tmp_path / "shared", "--store", postgres_server.make_url())
        one.done("user", "add", "alice", "--phone", "+491701234567", "--pin", "2580")
        yield one
        one.close()

    @pytest.fixture
    def whole(self, shared: Installation, tmp_path: Path, passphrase: tuple[str, str]) -> Path:
        """A backup of it."""
        path = tmp_path / "smsotp.backup"
        shared.done("backup", str(path), *passphrase)
        return path

    def test_a_second_server_joins(
        self, shared: Installation, whole: Path, elsewhere: Path, passphrase: tuple[str, str]
    ) -> None:
        """What is opened at one is answered at the other."""
        first = shared.node()
        challenged = first.challenge("alice", "2580")
        there = Restored(elsewhere, whole, *passphrase, "--join")
        assert there.told["results"][-1]["result"] == "ok"
        second = there.node()
        assert kind(second.second(challenged, second.code(challenged))) == "accepted"
        assert kind(first.second(challenged, first.code(challenged))) == "rejected"
        there.close()
        assert "copy the key file" not in there.run("check").output

    def test_a_database_that_is_not_empty_is_left_alone(
        self, shared: Installation, whole: Path, elsewhere: Path, passphrase: tuple[str, str]
    ) -> None:
        shared.done("user", "add", "bob", "--phone", "+491701234568", "--pin", "2580")
        told = TestRefused().refused(elsewhere, whole, *passphrase)
        assert "is not empty; --join makes a further server on it, as it is" in told
        assert "bob" in shared.done("user", "list")

    def test_a_database_of_an_older_version_is_left_alone(
        self,
        shared: Installation,
        whole: Path,
        elsewhere: Path,
        passphrase: tuple[str, str],
        postgres_server: PostgresServer,
    ) -> None:
        """Servers that use it would not find their tables any more."""
        name = file.load(shared.settings_path).store_url.rpartition("/")[2]
        postgres_server.run_sql("UPDATE smsotp_schema SET version = version - 1", name)
        assert "is not empty" in TestRefused().refused(elsewhere, whole, *passphrase)
        [[version]] = postgres_server.run_sql("SELECT version FROM smsotp_schema", name)
        assert version == len(VERSIONS) - 1
        shared.close()

    def test_an_empty_database_is_filled(
        self,
        shared: Installation,
        whole: Path,
        elsewhere: Path,
        passphrase: tuple[str, str],
        postgres_server: PostgresServer,
    ) -> None:
        """The old one was lost, and another one made under its name."""
        name = file.load(shared.settings_path).store_url.rpartition("/")[2]
        told = TestRefused().refused
        shared.close()
        postgres_server.run_sql(f"DROP DATABASE {name} WITH (FORCE)")
        assert "cannot be reached" in told(elsewhere, whole, *passphrase)
        postgres_server.run_sql(f"CREATE DATABASE {name}")
        assert "is empty; without --join" in told(elsewhere, whole, *passphrase, "--join")
        there = Restored(elsewhere, whole, *passphrase)
        node = there.node()
        challenged = node.challenge("alice", "2580")
        assert kind(node.second(challenged, node.code(challenged))) == "accepted"
        there.close()

    def test_a_key_that_came_since(
        self, shared: Installation, whole: Path, elsewhere: Path, passphrase: tuple[str, str]
    ) -> None:
        """Codes of the others would count for nothing at the new server."""
        shared.done("key", "rotate", "--in", "5")
        told = TestRefused().refused(elsewhere, whole, *passphrase, "--join")
        newest = keyring.read(shared.folder / "key").waiting
        assert newest is not None
        assert f"with a key that is not in the backup ({newest[0]})" in told

    def test_an_older_version(
        self, whole: Path, elsewhere: Path, passphrase: tuple[str, str], tmp_path: Path
    ) -> None:
        """It would bring the store forward, under the servers that use it."""
        folder = unsealed(whole, tmp_path / "in")
        manifest = json.loads((folder / archive.MANIFEST).read_text())
        older = manifest | {"schema": manifest["schema"] - 1, "version": "0.0.9"}
        resealed(folder, whole, manifest=older)
        told = TestRefused().refused(elsewhere, whole, *passphrase, "--join")
        assert f"the other servers have version 0.0.9, with schema {older['schema']}" in told

    def test_the_files_that_the_url_names(
        self, shared: Installation, tmp_path: Path, elsewhere: Path, passphrase: tuple[str, str]
    ) -> None:
        """The password's."""
        password = shared.folder / "pgpass"
        password.write_text("*:*:*:*:geheim\n")
        password.chmod(0o600)
        url = file.load(shared.settings_path).store_url
        shared.write(store=f"{url}?passfile={password}")
        path = tmp_path / "smsotp.backup"
        shared.done("backup", str(path), *passphrase)
        restored(elsewhere, path, *passphrase, "--join")
        assert (elsewhere / "pgpass").read_text() == "*:*:*:*:geheim\n"
        assert f"passfile={elsewhere}/pgpass" in file.load(elsewhere / "smsotp.yaml").store_url
