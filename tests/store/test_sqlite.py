"""The store in one SQLite file."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.errors import ConfigurationError, StoreError
from radius_smsotp.store import open_store, sqlite
from radius_smsotp.store.schema import VERSIONS
from radius_smsotp.store.transaction import Transaction
from tests.store.contract_crowd import BEGIN, is_whole
from tests.store.contract_whole import WholeContract
from tests.store.samples import ALICE, NOW, add, challenge, event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from radius_smsotp.store import Store
    from tests.support.site import Gateways, Site


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store goes; its name needs quoting in a URI."""
    return tmp_path / "a store?#%.db"


class TestContract(WholeContract):
    @pytest.fixture
    def make_url(self, path: Path) -> Callable[[], str]:
        numbers = itertools.count()
        return lambda: f"sqlite:///{path}{next(numbers)}"


@pytest.fixture
def store(path: Path) -> Any:
    """A store in the file `path`."""
    one = open_store(f"sqlite:///{path}", patience=5)
    one.migrate()
    yield one
    one.close()


def run(program: str, *arguments: object) -> str:
    """What a process of its own prints."""
    whole = [sys.executable, "-c", BEGIN + program, *map(str, arguments)]
    return subprocess.run(whole, check=True, capture_output=True, text=True, timeout=60).stdout


def pragma(store: Any, connection: str, name: str) -> Any:
    """A setting of one of its connections."""
    return store._connections[connection].execute(f"PRAGMA {name}").fetchone()[0]


class TestTheFile:
    def test_nobody_else_may_read_it(self, store: Store, path: Path) -> None:
        """The store, its log and its index hold phone numbers and PIN hashes."""
        with store.write() as tx:
            tx.put_account(ALICE, NOW)
        files = list(path.parent.glob(f"{path.name}*"))
        assert len(files) == 5
        for file in files:
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name

    @pytest.mark.parametrize("mode", [0o604, 0o602, 0o644])
    def test_a_file_that_is_open_to_everybody_is_refused(self, path: Path, mode: int) -> None:
        """It holds numbers, and whoever writes to it lets in whom they like."""
        path.touch()
        path.chmod(mode)
        with pytest.raises(ConfigurationError, match="is open to everybody"):
            open_store(f"sqlite:///{path}").migrate()

    def test_a_group_may_be_let_in(self, path: Path) -> None:
        """Of the administrator's choice, for reports and backups."""
        path.touch()
        path.chmod(0o640)
        one = open_store(f"sqlite:///{path}")
        one.migrate()
        one.close()

    def test_readers_and_writers_do_not_wait_for_each_other(self, store: Store) -> None:
        """Write-ahead logging, as the contract needs it."""
        with store.write():
            assert pragma(store, "writer", "journal_mode") == "wal"


class TestDurability:
    def test_others_may_write_while_the_disk_is_waited_for(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A disk takes longer than all the rest; courier and other processes need not wait."""
        kinds: list[str] = []

        def sync(handle: int) -> None:
            assert os.fstat(handle).st_ino == Path(f"{store.path}-wal").stat().st_ino
            with store.write() as tx:
                kinds.extend(one.kind for one in tx.events("alice", 10))
            os.fsync(handle)

        monkeypatch.setattr(os, "fdatasync", sync)
        with store.write(durable=True) as tx:
            tx.add_event(event("spent"))
        assert kinds == ["spent"]

    def test_a_store_behind_a_link_is_synced_as_well(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its log lies beside the file, not beside the link."""
        (tmp_path / "elsewhere").mkdir()
        path.symlink_to(tmp_path / "elsewhere" / "file.db")
        synced: list[int] = []
        monkeypatch.setattr(os, "fdatasync", lambda handle: synced.append(os.fstat(handle).st_ino))
        one = open_store(f"sqlite:///{path}")
        (tmp_path / "elsewhere" / "file.db").touch(mode=0o600)
        one.migrate()
        with one.write(durable=True) as tx:
            tx.add_event(event("spent"))
        assert synced[-1] == (tmp_path / "elsewhere" / "file.db-wal").stat().st_ino
        one.close()

    def test_a_log_that_is_gone_is_an_error(self, store: Store, path: Path) -> None:
        """Nobody can say then what a power cut would leave."""
        with pytest.raises(StoreError, match="log of the store"), store.write(durable=True):
            path.with_name(f"{path.name}-wal").unlink()

    def test_a_disk_that_does_not_sync_is_an_error(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No answer leaves that a power cut could take back."""

        def fail(_: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(os, "fdatasync", fail)
        failed = pytest.raises(StoreError, match="the disk under the store fails")
        with failed, store.write(durable=True) as tx:
            tx.add_event(event("spent"))
        with store.write() as tx:
            tx.add_event(event("not durable"))

    def test_many_commits_are_synced_at_once(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By whoever answers for them, when the next one may write already."""
        synced: list[int] = []
        monkeypatch.setattr(os, "fdatasync", synced.append)
        for _ in range(5):
            with store.write() as tx:
                tx.add_event(event("spent"))
        assert synced == []
        position = store.position
        store.sync(position)
        store.sync(position - 1)
        assert len(synced) == 1
        with store.write(durable=True) as tx:
            tx.add_event(event("spent"))
        store.sync(store.position)
        assert len(synced) == 2

    @pytest.mark.server  # strace
    @pytest.mark.parametrize(("durable", "synced"), [(True, True), (False, False)])
    def test_the_disk_is_told(self, store: Store, path: Path, durable: bool, synced: bool) -> None:
        """Twenty durable commits are twenty calls of fdatasync at least; the others hardly any."""
        store.close()
        program = f"""
with store.write(durable={durable}) as tx:
    tx.add_event(event())
sys.stderr.write("ready")
for _ in range(20):
    with store.write(durable={durable}) as tx:
        tx.add_event(event())
sys.stderr.write("done")
"""
        trace = path.with_name("trace")
        command = ["strace", "-f", "-o", trace, "-e", "trace=fsync,fdatasync,write"]
        whole = [*command, sys.executable, "-c", BEGIN + program, f"sqlite:///{path}"]
        subprocess.run(whole, capture_output=True, timeout=60, check=True)
        between = trace.read_text().split('"ready"')[1].split('"done"')[0]
        calls = len(re.findall(r"f(?:data)?sync\(", between))
        assert (calls >= 20) if synced else (calls <= 2)


class TestFaults:
    """Whatever is wrong with the file: one sentence that says what to do."""

    def faults(self, path: Path) -> str:
        """What `migrate` says."""
        one = open_store(f"sqlite:///{path}", patience=0.1)
        with pytest.raises(ConfigurationError) as caught:
            one.migrate()
        one.close()
        [problem] = caught.value.problems
        assert str(path) in problem.path
        assert problem.remedy
        return f"{problem.fault}; {problem.remedy}"

    def test_a_folder_that_is_missing(self, tmp_path: Path) -> None:
        """The store does not make folders: it could only guess whose they are."""
        assert "No such file or directory" in self.faults(tmp_path / "missing" / "smsotp.db")

    def test_a_folder_in_its_place(self, tmp_path: Path) -> None:
        """A path that ends too early."""
        assert "cannot be opened" in self.faults(tmp_path)

    def test_a_file_that_is_no_database(self, path: Path) -> None:
        """Somebody's notes are not overwritten."""
        path.write_text("my notes\n" * 1000)
        assert "is no SQLite file" in self.faults(path)
        assert path.read_text().startswith("my notes")

    def test_a_store_of_a_newer_program(self, store: Store, path: Path) -> None:
        """Going back is refused, and the store is left as it is."""
        store.close()
        newer = len(VERSIONS) + 1
        with sqlite3.connect(path) as db:
            db.execute(f"PRAGMA user_version = {newer}")
        db.close()
        assert "upgrade radius-smsotp" in self.faults(path)
        with sqlite3.connect(path) as db:
            assert db.execute("PRAGMA user_version").fetchone() == (newer,)
        db.close()

    def test_a_file_that_may_only_be_read(self) -> None:
        """Said at the start, and at a login if it happens later."""
        program = """
import os
from radius_smsotp.errors import ConfigurationError, StoreError
store.migrate()
store.close()
store.path.chmod(0o444)
store.folder.chmod(0o555)
if os.getuid() == 0:  # who may write everywhere
    os.setresuid(65534, 65534, 65534)
try:
    store.migrate()
except ConfigurationError as error:
    say(error)
try:
    with store.write() as tx:
        tx.add_event(event())
except StoreError as error:
    say(error)
"""
        # Not below the folder of pytest, which only its owner may enter.
        with tempfile.TemporaryDirectory() as folder:
            started, at_login = run(program, f"sqlite:///{folder}/smsotp.db").splitlines()
            Path(folder).chmod(0o700)
        assert "run this as root, by sudo" in started
        for sentence in (started, at_login):
            assert re.search("the store (is read-only|cannot be opened)", sentence)

    def test_a_damaged_file(self, store: Store, path: Path) -> None:
        """Garbage in the middle: an error, never a wrong answer."""
        with store.write() as tx:
            for number in range(500):
                add(tx, challenge(number))
        store.close()
        octets = bytearray(path.read_bytes())
        octets[4096:] = b"\xa5" * (len(octets) - 4096)
        path.write_bytes(octets)
        with pytest.raises(StoreError, match="the store is damaged"), store.read() as tx:
            tx.challenge(challenge(1).transaction_id)
        with pytest.raises(StoreError, match="the store is damaged"):
            store.inspect()

    def test_damage_that_no_login_meets(self, store: Store, path: Path) -> None:
        """Is found by `smsotp check`, while there is still a whole backup."""
        with store.write() as tx:
            for _ in range(500):
                tx.add_event(event(detail={"text": "x" * 500}))
            tx.put_account(ALICE, NOW)
        store.close()
        octets = bytearray(path.read_bytes())
        at = octets.index(b"x" * 300) // 4096 * 4096
        octets[at : at + 100] = b"\xa5" * 100
        path.write_bytes(octets)
        with store.read() as tx:
            assert tx.account("alice") == ALICE
        with pytest.raises(StoreError, match="the store is damaged"):
            store.inspect()

    def test_a_store_that_has_gone_away(self, store: Store, path: Path) -> None:
        """Removed while we run: no second, empty store is made in its place at a login."""
        store.close()
        path.unlink()
        with pytest.raises(StoreError, match="cannot be opened"), store.write() as tx:
            tx.put_account(ALICE, NOW)
        assert not path.exists()

    def test_a_disk_that_is_full(self, store: Store, path: Path) -> None:
        """The login fails with a sentence; what was committed before stays, and so does order."""
        store.close()
        program = """
import resource
from radius_smsotp.errors import StoreError
size = 1_000_000
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
try:
    for number in range(100_000):
        with store.write(durable=True) as tx:
            add(tx, challenge(number))
            tx.add_event(event("opened"))
except StoreError as error:
    say(number)
    say(error)
with store.read() as tx:
    say(len(tx.events("alice", 1_000_000)))
"""
        number, sentence, seen = run(program, f"sqlite:///{path}").splitlines()
        assert sentence.startswith(("the disk is full", "the disk under the store fails"))
        assert int(seen) == int(number) > 10
        assert is_whole(store)
        with store.write() as tx:
            add(tx, challenge(10**6))

    def test_another_kind_of_store(self) -> None:
        """There is one; what looks like a path that would be guessed at is refused as well."""
        for url in (
            "oracle://x",
            "smsotp.db",
            "sqlite://smsotp.db",
            "sqlite:smsotp.db",
            "sqlite://",
        ):
            with pytest.raises(ConfigurationError, match="sqlite:///PATH"):
                open_store(url)


def faults(path: Path) -> Iterator[sqlite3.Error]:
    """Errors of SQLite's own."""

    def fault(*statements: str, place: Path | str = path) -> sqlite3.Error:
        try:
            with contextlib.closing(sqlite3.connect(place, timeout=0, isolation_level=None)) as db:
                for statement in statements:
                    db.execute(statement)
        except sqlite3.Error as error:
            return error
        pytest.fail(f"{statements} is no fault")

    yield fault("SELECT 1", place=path.parent / "nowhere" / "db")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("CREATE TABLE a (b)")
        db.execute("BEGIN IMMEDIATE")
        yield fault("BEGIN IMMEDIATE")
    yield fault("PRAGMA query_only = on", "INSERT INTO a VALUES (1)")
    yield fault("PRAGMA max_page_count = 2", "INSERT INTO a VALUES (zeroblob(100000))")
    strange = path.parent / "strange"
    strange.write_bytes(b"no store" * 1000)
    yield fault("SELECT * FROM a", place=strange)
    whole = bytearray(path.read_bytes())
    whole[100:120] = b"\xff" * 20
    strange.write_bytes(whole)
    yield fault("SELECT * FROM a", place=strange)


def test_what_sqlite_means_is_known_by_its_words_too(tmp_path: Path) -> None:
    """All that Python 3.10 hands down."""
    found = {str(error): error.sqlite_errorname for error in faults(tmp_path / "db")}
    assert len(found) == 6
    assert found.items() <= sqlite.WORDS.items()


def test_a_fork_after_close_shares_nothing(store: Store, path: Path) -> None:
    """radiusd forks after it has loaded us; parent and child then each open their own."""
    store.close()
    program = """
import os
store.migrate()
store.close()
child = os.fork()
name = "parent" if child else "child"
for _ in range(50):
    with store.write(durable=True) as tx:
        tx.add_event(event(account=name))
store.close()
if not child:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    run(program, f"sqlite:///{path}")
    with store.read() as tx:
        assert [len(tx.events(name, 100)) for name in ("parent", "child")] == [50, 50]


def test_starting_again_writes_nothing(store: Store, path: Path) -> None:
    """A store of this version is only looked at: `migrate` does not write."""
    store.close()
    before = path.read_bytes()
    store.migrate()
    log = path.with_name(f"{path.name}-wal")
    assert not log.exists() or log.stat().st_size == 0
    store.close()
    assert path.read_bytes() == before


class Recorder:
    """A connection that notes the statements which pass through it."""

    def __init__(self, connection: Any, statements: dict[str, Any]) -> None:
        self._connection = connection
        self._statements = statements

    def execute(self, sql: str, parameters: Any = ()) -> Any:
        self._statements[sql] = parameters
        return self._connection.execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any) -> Any:
        rows = list(parameters)
        self._statements[sql] = rows[0]
        return self._connection.executemany(sql, rows)


def test_no_statement_of_a_login_reads_a_whole_table(
    site: Site, gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many accounts, challenges and events there are, each is found by an index."""
    node = site.node(remember={"hours": 1})
    statements: dict[str, Any] = {}

    def recorded(connection: sqlite3.Connection, **more: Any) -> Transaction:
        return Transaction(Recorder(connection, statements), **more)

    monkeypatch.setattr(sqlite, "Transaction", recorded)
    challenged = node.challenge()
    node.first()  # a repeat
    node.second(challenged, "r")
    node.settle(challenged.transaction_id)
    node.second(challenged, "000000")
    node.first(password="wrong")
    node.first(password="wrong000000")
    node.second(challenged, node.code(challenged))
    node.first()  # a remembered device
    node.courier.sweep()
    gateways.report("first", "first-1", delivered=True)
    monkeypatch.undo()
    assert len(statements) >= 15
    assert any("SET receipt" in sql for sql in statements)
    db = sqlite3.connect(site.store_path)
    for sql, parameters in statements.items():
        plan = db.execute(f"EXPLAIN QUERY PLAN {sql}", parameters).fetchall()
        # What stands in the statement itself is no table.
        scans = [step for *_, step in plan if re.search("SCAN (?!asker|known|.*CONST)", step)]
        assert not scans, (sql, plan)
    db.close()


def open_in(path: Path) -> int:
    """How many challenges are open in a store, once somebody has opened it."""
    one = open_store(f"sqlite:///{path}", patience=5)
    one.migrate()
    with one.read() as tx:
        found = len(tx.open_challenges(NOW))
    one.close()
    return found


class TestMark:
    @pytest.fixture
    def used(self, store: Store, path: Path) -> Path:
        """A store with an open challenge, and a copy of it; things went on since."""
        with store.write() as tx:
            add(tx, challenge())
            tx.add_event(event("opened"))
        store.close()
        shutil.copy(path, path.with_name("copy"))
        with store.write() as tx:
            tx.add_event(event("code-accepted"))
        store.close()
        return path

    def test_nothing_ends_where_nothing_was_put_back(self, used: Path) -> None:
        """However often it is opened, and where others write meanwhile."""
        assert [open_in(used) for _ in range(3)] == [1, 1, 1]

    def test_what_was_open_ends_where_the_file_was_put_back(self, used: Path) -> None:
        """By whatever way: into the same file, or another one in its place; once."""
        shutil.copy(used.with_name("copy"), used)
        assert open_in(used) == 0
        used.unlink()
        shutil.copy(used.with_name("copy"), used)
        assert open_in(used) == 0

    def test_a_later_copy_of_before_shows_as_well(self, store: Store, used: Path) -> None:
        """What went on after the first one was put back is not as much as went on before."""
        with store.write() as tx:
            add(tx, challenge(2))
            for _ in range(5):
                tx.add_event(event("opened"))
        store.close()
        later = shutil.copy(used, used.with_name("later"))
        with store.write() as tx:
            tx.add_event(event("code-accepted"))
        store.close()
        shutil.copy(used.with_name("copy"), used)
        assert open_in(used) == 0
        shutil.copy(later, used)
        assert open_in(used) == 0

    def test_what_was_open_ends_in_a_copy_elsewhere(self, used: Path) -> None:
        """Beside it stands no mark, or that of another store."""
        other = used.with_name("other")
        shutil.copy(used, other)
        assert open_in(other) == 0
        assert open_in(used) == 1
        other.unlink()
        elsewhere = open_store(f"sqlite:///{other}", patience=5)
        elsewhere.migrate()
        elsewhere.close()
        shutil.copy(used, other)
        assert open_in(other) == 0

    def test_a_store_of_the_version_before_loses_nothing(self, used: Path) -> None:
        """It was not marked yet."""
        with contextlib.closing(sqlite3.connect(used)) as db:
            db.execute("PRAGMA application_id = 0")
        used.with_name(f"{used.name}-mark").unlink()
        assert [open_in(used), open_in(used)] == [1, 1]

    def test_it_is_closed_to_others(self, used: Path) -> None:
        """It tells how much is going on."""
        status = used.with_name(f"{used.name}-mark").stat()
        assert stat.S_IMODE(status.st_mode) == 0o600
        assert status.st_uid == used.stat().st_uid

    def test_one_that_cannot_be_written_keeps_nobody_from_writing(
        self, store: Store, path: Path
    ) -> None:
        """It stays behind, no more."""
        store.close()
        path.with_name(f"{path.name}-mark").unlink()
        with store.write() as tx:
            tx.put_account(ALICE, NOW)
        with store.read() as tx:
            assert tx.account("alice") == ALICE
