"""
The same code at four servers' hooks at once, on one store: ``sh tests/races.sh``.

Four processes, each with settings, store and hooks of its own.  One of them opens a challenge,
then all are given its code for the same instant.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from radius_smsotp.model import code
from radius_smsotp.model.records import Account
from radius_smsotp.settings import file, keyring
from radius_smsotp.store import open_store
from tests.store.postgres_server import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from radius_smsotp.settings.keyring import Keyring

SERVERS = 4
LEAD = 0.003
"""Seconds between telling the servers and the instant that they wait for."""


@dataclass
class Result:
    """
    What came of the races.

    Attributes:
        outcomes: How many servers said OK, to the number of races in which that was so.
        together: Races in which all servers were inside their hooks at one moment.
        others: Answers that were neither OK nor REJECT.
    """

    races: int = 0
    outcomes: Counter[int] = field(default_factory=Counter)
    together: int = 0
    others: int = 0

    def __str__(self) -> str:
        accepted = ", ".join(f"{count} by {ok}" for ok, count in sorted(self.outcomes.items()))
        return (
            f"{self.races} races of {SERVERS} servers, all inside at once in {self.together}; "
            f"accepted: {accepted}; other answers: {self.others}"
        )


class Server:
    """
    One process with hooks.

    Args:
        before: The command that runs it, if it does not run by itself.
    """

    def __init__(self, settings: Path, *before: str) -> None:
        self._process = subprocess.Popen(
            [*before, sys.executable, "-m", "tests.measure.racer", str(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        assert self.hears() == ["ready"]

    def tell(self, step: str, when: float, password: str, state: str = "-") -> None:
        """Give it a request of alice's."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{step} {when} alice {password} {state}\n")

    def hears(self) -> list[str]:
        """Its answer."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().split()

    def end(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait(20)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def run(folder: Path, url: str, races: int) -> Result:
    """Let `races` be run on the store that a URL names."""
    settings, keys = prepare(folder, url)
    result = Result()
    with contextlib.ExitStack() as stack:
        servers = []
        for _ in range(SERVERS):
            server = Server(settings)
            stack.callback(server.end)
            servers.append(server)
        for number in range(races):
            opener = servers[number % SERVERS]
            opener.tell("pin", 0.0, "1234")
            kind, state, *_ = opener.hears()
            assert kind == "HANDLED", kind
            _race(servers, state, code.derive(keys.secret, state, 6), result)
    return result


def prepare(folder: Path, url: str) -> tuple[Path, Keyring]:
    """Settings, key, and a store with alice in it."""
    settings = folder / "smsotp.yaml"
    values = {
        "store": url,
        "key_file": "key",
        "limits": {
            "cooldown": 0,
            **dict.fromkeys(("per_account_hour", "per_number_hour", "per_day"), 10**6),
        },
        "providers": {"demo": {"type": "folder", "path": "outbox"}},
        # Nobody sends: that would only take time.
        "delivery": {"wait": 0, "courier": "external"},
    }
    settings.write_text(json.dumps(values), encoding="utf-8")
    keyring.create(folder / "key")
    loaded = file.load(settings)
    keys = keyring.read(loaded.key_path)
    store = open_store(loaded.store_url, 10)
    store.migrate()
    with store.write("alice", durable=True) as tx:
        tx.put_account(Account("alice", "+491701234567", None), datetime.now(UTC))
    store.close()
    return settings, keys


def _race(servers: Sequence[Server], state: str, answer: str, result: Result) -> None:
    when = time.monotonic() + LEAD
    for server in servers:
        server.tell("code", when, answer, state)
    answers = [server.hears() for server in servers]
    kinds = [kind for kind, *_ in answers]
    spans = [(float(begun), float(ended)) for _, _, begun, ended in answers]
    result.races += 1
    result.outcomes[kinds.count("OK")] += 1
    result.others += SERVERS - kinds.count("OK") - kinds.count("REJECT")
    result.together += max(begun for begun, _ in spans) < min(ended for _, ended in spans)


@contextlib.contextmanager
def stores() -> Iterator[dict[str, str]]:
    """A store of each kind, by its name."""
    with tempfile.TemporaryDirectory(prefix="smsotp-races-") as folder:
        server = PostgresServer()
        try:
            server.start()
            yield {"SQLite": f"sqlite:///{folder}/smsotp.db", "PostgreSQL": server.make_url()}
        finally:
            server.close()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser("tests/races.sh", description="A code counts once.")
    parser.add_argument("races", type=int, nargs="?", default=2000, help="for each store [2000]")
    races = parser.parse_args().races
    good = True
    with stores() as urls:
        for name, url in urls.items():
            with tempfile.TemporaryDirectory(prefix="smsotp-races-") as folder:
                result = run(Path(folder), url, races)
            print(f"{name}: {result}", flush=True)
            good = good and result.outcomes == {1: races} and result.others == 0
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
