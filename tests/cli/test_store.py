"""``smsotp store``, as an administrator calls it; and settings that name PostgreSQL."""

from __future__ import annotations

import os
import pwd
import re
import stat
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.store import open_store
from tests.cli.installation import Installation
from tests.cli.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.store.postgres_server import PostgresServer

PHONE = "+491701234567"


@pytest.fixture
def shared(tmp_path: Path, postgres_server: PostgresServer) -> Iterator[Installation]:
    """An installation whose store is a PostgreSQL database."""
    one = Installation(tmp_path / "shared", "--store", postgres_server.make_url())
    yield one
    one.close()


def url_of(here: Installation) -> str:
    """Its store as one writes it on a command line."""
    return f"sqlite:///{here.folder}/smsotp.db"


class TestRestored:
    def test_it_ends_what_is_open(self, here: Installation) -> None:
        """Where nothing shows that the store was put back."""
        here.done("user", "add", "alice", "--phone", "+491701234567", "--pin", "1234")
        challenged = here.node().challenge("alice", "1234")
        assert here.done("store", "restored") == "open challenges ended: 1\n"
        assert here.node().stored(challenged.transaction_id).state == "cancelled"
        assert here.done("store", "restored") == "open challenges ended: 0\n"


class TestCopy:
    def test_a_challenge_that_is_open_ends_in_the_copy(
        self, here: Installation, tmp_path: Path
    ) -> None:
        """Its code is spent in one of the two only; in the one that is in use it goes on."""
        here.done("user", "add", "alice", "--phone", "+491701234567", "--pin", "1234")
        node = here.node()
        challenged = node.challenge("alice", "1234")
        here.done("store", "copy", url_of(here), f"sqlite:///{tmp_path}/copy.db")
        copy = open_store(f"sqlite:///{tmp_path}/copy.db")
        with copy.read() as tx:
            found = tx.challenge(challenged.transaction_id)
        copy.close()
        assert found is not None
        assert found.state == "cancelled"
        assert node.stored(challenged.transaction_id).state == "open"

    def test_a_backup_is_a_store_of_the_same_user(self, here: Installation, tmp_path: Path) -> None:
        """With everything in it, and closed to everybody else."""
        here.done("user", "add", "alice", "--phone", PHONE, "--no-pin")
        if os.geteuid() == 0:
            os.chown(here.folder / "smsotp.db", 65534, 65534)
        backup = tmp_path / "backup.db"
        told = here.done("store", "copy", url_of(here), f"sqlite:///{backup}")
        assert re.match(r"accounts: 1, lock-outs: 0, .* events: 1, ", told)
        status = backup.stat()
        assert stat.S_IMODE(status.st_mode) == 0o600
        assert status.st_uid == (here.folder / "smsotp.db").stat().st_uid
        copy = open_store(f"sqlite:///{backup}")
        with copy.read() as tx:
            found = tx.account("alice")
        copy.close()
        assert found == here.account("alice")

    def test_a_path_may_count_from_here(
        self, here: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As files on a command line do."""
        monkeypatch.chdir(tmp_path)
        here.done("store", "copy", "sqlite:///site/smsotp.db", "sqlite:///backup.db")
        assert (tmp_path / "backup.db").exists()

    def test_what_is_there_is_kept_unless_told(self, here: Installation, tmp_path: Path) -> None:
        """A backup of yesterday is not lost by a slip."""
        backup = f"sqlite:///{tmp_path}/backup.db"
        here.done("user", "add", "alice", "--phone", PHONE, "--no-pin")
        here.done("store", "copy", url_of(here), backup)
        again = here.run("store", "copy", url_of(here), backup)
        assert again.exit_code == 1
        assert f"{backup} is not empty; --overwrite replaces what is there" in again.output
        here.done("store", "copy", url_of(here), backup, "--overwrite")

    @pytest.mark.parametrize(
        ("source", "target", "code", "words"),
        [
            ("{here}", "{here}", 1, "FROM and TO are the same store"),
            ("{here}x", "{here}", 3, "is not there"),
            ("{here}", "oracle://x", 3, "'oracle' is no kind of store"),
            ("{here}", "postgresql://u:geheim@127.0.0.1:1/d", 3, "cannot be reached"),
        ],
    )
    def test_what_cannot_be_copied_is_said(
        self, here: Installation, source: str, target: str, code: int, words: str
    ) -> None:
        """In a sentence, and with nothing done."""
        names = [one.replace("{here}", url_of(here)) for one in (source, target)]
        failed = here.run("store", "copy", *names)
        assert failed.exit_code == code
        assert words in failed.output
        assert "geheim" not in failed.output

    def test_a_terminal_shows_how_far_it_is(self, here: Installation, tmp_path: Path) -> None:
        """And the bar is gone when it is done."""
        here.done("user", "add", "alice", "--phone", PHONE, "--no-pin")
        target = f"sqlite:///{tmp_path}/backup.db"
        with Terminal(here, "store", "copy", url_of(here), target) as terminal:
            terminal.expect("Copying")
            terminal.expect("accounts: 1, ")
            assert terminal.wait() == 0

    def test_accounts_go_to_postgresql_and_back(
        self, here: Installation, shared: Installation, tmp_path: Path
    ) -> None:
        """Several servers from now on; or one again."""
        here.done("user", "add", "alice", "--phone", PHONE, "--no-pin")
        database = re.search(r"store: (postgresql\S+)", shared.settings_path.read_text())
        assert database
        here.done("store", "copy", url_of(here), database[1])
        assert "alice" in shared.done("user", "list")
        shared.done("user", "add", "bob", "--phone", PHONE, "--no-pin")
        here.done("store", "copy", database[1], url_of(here), "--overwrite")
        assert "bob" in here.done("user", "list")


class TestOnPostgresql:
    def test_init_makes_it_and_check_knows_it(self, shared: Installation) -> None:
        """Which PostgreSQL, and of which schema."""
        shared.done("user", "add", "alice", "--phone", PHONE, "--pin", "123456")
        me = pwd.getpwuid(os.getuid()).pw_name
        told = shared.run("check", *(["--user", me] if me == "root" else [])).output
        assert re.search(r"note +store: PostgreSQL \d+\.\d+, schema \d+\n", told)
        assert not re.search(r"error +store", told)
        lines = shared.settings_path.read_text("utf-8").splitlines()
        [line] = [number for number, one in enumerate(lines, 1) if one.startswith("store:")]
        path = rf"smsotp\.yaml, line {line}: store \(postgresql://\S+\)"
        assert re.search(rf"warning +{path}: fsync is off", told)

    @pytest.mark.parametrize("command", [["check"], ["user", "list"], ["prune"], ["init"]])
    def test_one_that_does_not_answer_is_said_without_its_password(
        self, shared: Installation, command: list[str]
    ) -> None:
        """By every command, with exit code 3."""
        shared.write(store="postgresql://smsotp:geheim@127.0.0.1:1/smsotp")
        if command == ["init"]:
            command = ["init", str(shared.folder)]
        elif command == ["check"] and os.getuid() == 0:
            command = ["check", "--user", "root"]
        failed = shared.run(*command)
        assert failed.exit_code == 3
        assert "store (postgresql://smsotp@127.0.0.1:1/smsotp): cannot be reached" in failed.output
        assert "geheim" not in failed.output

    def test_it_is_not_written_anew(self, shared: Installation) -> None:
        """That would lock out every server; it says who may do so."""
        failed = shared.run("prune", "--compact")
        assert failed.exit_code == 1
        assert "the database uses the room again by itself" in failed.output

    def test_an_import_is_whole(self, shared: Installation, tmp_path: Path) -> None:
        """In slices, as on SQLite."""
        lines = [f"user{number},+4917012{number:05}" for number in range(250)]
        file = tmp_path / "staff.csv"
        file.write_text("\n".join(["name,phone", *lines]))
        assert "added: 250" in shared.done("user", "import", str(file))
        assert "removed: 0" in shared.done("prune")


def test_a_folder_that_is_not_there_is_named_with_what_makes_it(here: Installation) -> None:
    there = here.folder / "backups"
    source = f"sqlite:///{here.folder}/smsotp.db"
    done = here.run("store", "copy", source, f"sqlite:///{there}/smsotp.db")
    assert done.exit_code == 3
    assert f"its folder is not there; mkdir {there}\n" in done.output
