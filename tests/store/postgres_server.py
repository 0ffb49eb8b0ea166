"""A PostgreSQL server of the tests' own, in a temporary folder, as a user who is not root."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

from radius_smsotp.store import open_store
from tests.support.frozen import freeze
from tests.support.ports import free_port

USER = "smsotp"
PASSWORD = "geheim%word"
"""Of the role; local connections need none.  The per cent sign must be written %25 in a URL."""

START_SECONDS = 60.0

ROOM_OCTETS = 4 << 30


def programs() -> Path:
    """Where the newest PostgreSQL of this machine is."""
    found = list(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    assert found, "PostgreSQL is not installed"
    return max(found, key=lambda path: int(path.parts[-3])).parent


def room() -> str:
    """Where it is quick to make and to remove thousands of files, if there is room for them."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > ROOM_OCTETS
    return str(memory) if roomy else tempfile.gettempdir()


def become_nobody() -> list[str]:
    """The start of a command line: not as root, which PostgreSQL refuses, and not beyond us."""
    # The server ends with us, however we end.
    command = ["setpriv", "--pdeathsig", "QUIT"]
    if os.getuid() == 0:
        command += ["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
    return command


class PostgresServer:
    """
    One server.

    Args:
        standby_of: The primary that it follows.
    """

    def __init__(self, standby_of: PostgresServer | None = None) -> None:
        # Whoever the server runs as may not enter pytest's folders.
        self.folder = Path(tempfile.mkdtemp(prefix="smsotp-postgres-", dir=room()))
        self.folder.chmod(0o755)
        self.data = self.folder / "data"
        self.data.mkdir(mode=0o700)
        if os.getuid() == 0:
            shutil.chown(self.folder, "nobody", "nogroup")
            shutil.chown(self.data, "nobody", "nogroup")
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._names = itertools.count()
        if standby_of is None:
            self._initialise()
        else:
            self._run("pg_basebackup", "-R", "-D", self.data, "-c", "fast", "-d", standby_of.url())

    def url(self, database: str = "postgres", user: str = USER, host: str = "127.0.0.1") -> str:
        """What names a database of it."""
        return f"postgresql://{user}@{host}:{self.port}/{database}"

    def make_url(self, *, store: bool = False) -> str:
        """A new database: empty, or with a new store in it, copied from one that was made so."""
        name = f"smsotp{next(self._names)}"
        like = f" STRATEGY file_copy TEMPLATE {self._new_store}" if store else ""
        self.run_sql(f"CREATE DATABASE {name}{like}")
        return self.url(name)

    @functools.cached_property
    def _new_store(self) -> str:
        """The database that has it."""
        url = self.make_url()
        one = open_store(url, START_SECONDS)
        one.migrate()
        one.close()
        return url.rpartition("/")[2]

    def run_sql(self, sql: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run a statement as the role that owns the server."""
        with psycopg.connect(self.url(database), autocommit=True) as db:
            done = db.execute(sql.encode())
            return done.fetchall() if done.description else []

    def start(self, *settings: str) -> None:
        """Start it, with `settings` on top, and wait until it answers."""
        options = [
            f"port={self.port}",
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={self.folder}",
            "shared_buffers=16MB",
            "dynamic_shared_memory_type=mmap",
            "max_wal_size=64MB",
            *settings,
        ]
        command = [*become_nobody(), programs() / "postgres", "-D", self.data]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *(part for one in options for part in ("-c", one))],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        until = time.monotonic() + START_SECONDS
        while not self.answers():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < until, self.log()
            time.sleep(0.02)

    def answers(self) -> bool:
        """Whether it takes connections."""
        try:
            self.run_sql("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, sign: int = signal.SIGINT) -> None:
        """End it: fast by default, with SIGQUIT as a crash does."""
        if self.process is not None:
            self.process.send_signal(sign)
            self.process.wait(60)
            self.process = None

    def kill(self) -> None:
        """End all of it with ``kill -9``."""
        assert self.process is not None
        numbers = self._processes()
        for number in numbers:
            # A child may end by itself once the server is gone.
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        self.process.wait(60)
        self.process = None
        # While one of them lives it cannot be started again.
        until = time.monotonic() + START_SECONDS
        while any(Path(f"/proc/{number}").exists() for number in numbers):
            assert time.monotonic() < until, "a process of the server does not end"
            time.sleep(0.01)

    def freeze(self) -> None:
        """From now on it takes connections and says nothing, like a machine whose disk hangs."""
        freeze(*self._processes())

    def thaw(self) -> None:
        """It goes on."""
        for number in self._processes():
            with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                os.kill(number, signal.SIGCONT)

    def close(self) -> None:
        """End it, and remove everything."""
        if self.process is not None:
            self.thaw()
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def log(self) -> str:
        """What it has written."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def _initialise(self) -> None:
        options = ["--auth=trust", f"--username={USER}", "--encoding=UTF8", "--locale=C", "-N"]
        self._run("initdb", *options, "-D", self.data)

    def _run(self, program: str, *arguments: object) -> None:
        command = [*become_nobody(), programs() / program, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr

    def _processes(self) -> list[int]:
        """The server and its children."""
        assert self.process is not None
        main = self.process.pid
        children = Path(f"/proc/{main}/task/{main}/children").read_text()
        return [main, *map(int, re.findall(r"\d+", children))]
