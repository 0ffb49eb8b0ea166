"""
A PostgreSQL under Patroni, its etcd, and the HAProxy before it, as the documents show them.

The configuration is read from docs/how-to/cluster.rst: what is written there is what runs here.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
import subprocess
import textwrap
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from tests.documents import pages
from tests.freeradius.recipe import fill_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.measure.cluster.network import Host

SECTION = "Make it"
PASSWORD = "geheim"
PATIENCE = 120.0
"""Seconds until something is there that has to be."""


@functools.cache
def shown(path: str) -> str:
    """A file as the documents show it."""
    found = re.search(
        rf"(?m)^ *``{re.escape(path)}``::\n\n((?:(?: +.*)?\n)+?)(?=^ {{0,3}}\S|\Z)",
        f"{pages.section(SECTION)}\n",
    )
    assert found, f"section {SECTION} does not show {path}"
    return textwrap.dedent(found[1]).strip() + "\n"


class Machine:
    """
    A host, and one program on it, which goes with this process.

    Args:
        folder: For all that it keeps; whoever it runs as may enter it.
    """

    name = ""
    user = "nobody"

    def __init__(self, host: Host, folder: Path) -> None:
        self.host = host
        self.folder = folder
        folder.mkdir(mode=0o755)
        (folder / "log").touch()
        shutil.chown(folder, self.user)

    def run(self, command: list[str], environment: Mapping[str, str] | None = None) -> None:
        """Start a program, as a user who is not root."""
        rights = ["setpriv", "--pdeathsig", "KILL", "--reuid", self.user, "--clear-groups"]
        rights += ["--regid", "nogroup"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.host.prefix, *rights, *command],
                env={**os.environ, "HOME": str(self.folder), **(environment or {})},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def log(self) -> str:
        """The end of what it has written."""
        return (self.folder / "log").read_text("utf-8", "replace")[-3000:]


class Etcd(Machine):
    """Which database leads is written here."""

    def start(self) -> None:
        """Start it, or start it again."""
        text = fill_in(shown("/etc/default/etcd"), {"/var/lib/etcd/smsotp": f"{self.folder}/data"})
        lines = (line.partition("=") for line in text.splitlines())
        self.run(["etcd"], {name: value for name, _, value in lines})


class Front(Machine):
    """One address of all databases."""

    port = 0

    def leads(self) -> bool:
        """Whether it leads to the primary; before it has looked, to any of them."""
        place = f"postgresql://smsotp@{self.host.address}:{self.port}/smsotp?connect_timeout=2"
        with contextlib.suppress(psycopg.Error):
            for _ in range(6):
                with psycopg.connect(place, password=PASSWORD) as db:
                    if db.execute(b"SELECT pg_is_in_recovery()").fetchone() != (False,):
                        return False
            return True
        return False


class HaProxy(Front):
    """It asks each Patroni."""

    port = 5000

    def start(self) -> None:
        """Start it, or start it again."""
        path = self.folder / "haproxy.cfg"
        path.write_text(shown("/etc/haproxy/haproxy.cfg"))
        self.run(["haproxy", "-db", "-f", str(path)])


class PgBouncer(Front):
    """Before HAProxy: several clients share a connection in turns."""

    port = 6432

    def start(self) -> None:
        """Start it, or start it again."""
        users, settings = self.folder / "userlist.txt", self.folder / "pgbouncer.ini"
        users.write_text(fill_in(shown("/etc/pgbouncer/userlist.txt"), {"SECRET": PASSWORD}))
        said = {"/etc/pgbouncer/userlist.txt": str(users)}
        settings.write_text(fill_in(shown("/etc/pgbouncer/pgbouncer.ini"), said))
        self.run(["/usr/sbin/pgbouncer", str(settings)])


class Member(Machine):
    """
    One database.

    Args:
        number: From 1.
        changed: What its Patroni is told otherwise than in the documents: text to text.
    """

    user = "postgres"

    def __init__(self, host: Host, folder: Path, number: int, changed: Mapping[str, str]) -> None:
        super().__init__(host, folder)
        self.name = f"db{number}"
        text = fill_in(
            shown("/etc/patroni/config.yml"),
            {
                "name: db1": f"name: {self.name}",
                "10.77.0.11": host.address,
                "/var/lib/postgresql/15/smsotp": f"{folder}/data",
                "/usr/lib/postgresql/15/bin": str(_programs()),
                "/run/postgresql": str(folder),
                "SECRET": PASSWORD,
                **changed,
            },
        )
        self._settings = folder / "config.yml"
        self._settings.write_text(text)

    def start(self) -> None:
        """Start it, or start it again; see `Cluster.healthy`."""
        self.run(["patroni", str(self._settings)])

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask its Patroni; None if it does not answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.host.address}:8008{path}", data)
        try:
            with urllib.request.urlopen(request, timeout=5) as reply:
                text = reply.read()
        except (OSError, urllib.error.URLError):
            return None
        return json.loads(text) if text.startswith(b"{") else text.decode()

    def sql(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """
        Run a statement as its administrator.

        Raises:
            psycopg.Error: It does not answer.
        """
        place = f"postgresql://postgres@{self.host.address}/{database}?connect_timeout=2"
        with psycopg.connect(place, password=PASSWORD, autocommit=True) as db:
            done = db.execute(statement.encode())
            return done.fetchall() if done.description else []

    def backends(self, but: str) -> int:
        """How many of the product's connections it serves, those from one address left out."""
        ours = f"usename = 'smsotp' AND client_addr <> '{but}'"
        with contextlib.suppress(psycopg.Error):
            return int(self.sql(f"SELECT count(*) FROM pg_stat_activity WHERE {ours}")[0][0])
        return 0


class Cluster:
    """
    All of them.

    Args:
        hosts: Of etcd, and of each database.
        changed: See `Member`.
    """

    def __init__(self, hosts: list[Host], folder: Path, changed: Mapping[str, str]) -> None:
        self.etcd = Etcd(hosts[0], folder / "etcd")
        self.haproxy = HaProxy(hosts[0], folder / "haproxy")
        self.fronts = {
            "haproxy": self.haproxy,
            "pgbouncer": PgBouncer(hosts[0], folder / "pgbouncer"),
        }
        self.members = [
            Member(host, folder / f"db{number}", number, changed)
            for number, host in enumerate(hosts[1:], 1)
        ]
        self.is_synchronous = "synchronous_mode: true" not in changed

    def start(self) -> None:
        """Start all, and make the database; see `complete`."""
        self.etcd.start()
        first, *others = self.members
        first.start()
        self._wait(lambda: self.roles().get(first.name) == "leader")
        for one in others:
            one.start()
        first.sql(f"CREATE ROLE smsotp LOGIN PASSWORD '{PASSWORD}'")
        first.sql("CREATE DATABASE smsotp OWNER smsotp ENCODING 'UTF8' TEMPLATE template0")

    def complete(self) -> None:
        """Wait until each is what it has to be."""
        self._wait(self.is_healthy)

    def roles(self) -> dict[str, str]:
        """Name of a member to its role, of those that run, as anybody there tells it."""
        for one in self.members:
            found = one.ask("/cluster")
            if found:
                return {
                    member["name"]: member["role"]
                    for member in found["members"]
                    if member["state"] in {"running", "streaming"}
                }
        return {}

    def leader(self) -> Member:
        """The primary."""
        roles = self.roles()
        return next(one for one in self.members if roles.get(one.name) == "leader")

    def standbys(self) -> list[Member]:
        """The others."""
        leader = self.leader()
        return [one for one in self.members if one is not leader]

    def is_healthy(self) -> bool:
        """Whether there is one of each that there ought to be."""
        roles = sorted(self.roles().values())
        standby = "sync_standby" if self.is_synchronous else "replica"
        return roles == sorted(["leader", "replica", standby])

    def story(self) -> str:
        """What they have said last."""
        each = [self.etcd, *self.fronts.values(), *self.members]
        return "\n".join(f"-- {type(one).__name__} {one.name}\n{one.log()}" for one in each)

    def _wait(self, what: Any) -> None:
        until = time.monotonic() + PATIENCE
        while not what():
            assert time.monotonic() < until, self.story()
            time.sleep(0.2)


def _programs() -> Path:
    found = list(Path("/usr/lib/postgresql").glob("*/bin"))
    return max(found, key=lambda path: int(path.parts[-2]))
