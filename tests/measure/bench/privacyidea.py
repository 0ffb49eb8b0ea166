"""
privacyIDEA beside ours: the same two steps, on the same machine, in the same run.

``sh tests/bench.sh privacyidea`` installs it into .cache, with some hundred packages, for which it
asks the package index; so it is none of the ordinary parts.  It is asked by HTTP, as FreeRADIUS's
``rlm_perl`` does, without FreeRADIUS in between; with its PBKDF2 for the PIN, a file as its
database, and a gateway that answers at once.
"""

from __future__ import annotations

import itertools
import os
import queue
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from tests.measure.bench import logins
from tests.measure.bench.gateways import provider
from tests.measure.bench.logins import BUSY, CHEAP
from tests.measure.bench.servers import Server
from tests.measure.bench.table import Row, compared
from tests.providers.gateway import Call, Gateway
from tests.support.ports import free_port
from tests.support.site import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.measure.bench.extent import Extent

VERSION = "3.14"
PLACE = Path(__file__).resolve().parents[3] / ".cache" / f"privacyidea-{VERSION}"

WORKERS, THREADS = 2, 8
"""Of gunicorn: twice as many workers were no faster on two cores."""

SECONDS_MORE = 4.0
"""Its rounds are so many times longer: one login of 32 takes seconds."""

USERS = CHEAP[:64]


def measure(folder: Path, extent: Extent) -> Iterator[Row]:
    """Logins a second of ours with default settings, against privacyIDEA's."""
    install()
    ours, theirs = [], []
    codes: dict[str, queue.SimpleQueue[str]] = {}

    def take(call: Call) -> None:
        query = call.request.query
        codes.setdefault(query["to"][0], queue.SimpleQueue()).put(query["text"][0])
        call.answer(200, "ID: 4711")

    with Gateway() as our_gateway, Gateway(take) as their_gateway:
        settings = {"gateway": provider(our_gateway.url)}
        with (
            Server(folder / "ours", rounds=extent.hashes[0], providers=settings) as server,
            running(folder / "theirs", their_gateway.url) as port,
        ):
            server.add(CHEAP)
            names = itertools.cycle(CHEAP)
            for _ in range(extent.rounds):
                ours.append([logins.run(server, names, BUSY, extent.seconds).rate])
                theirs.append([_rate(port, codes, SECONDS_MORE * extent.seconds)])
    what = f"logins a second, {BUSY} users, default settings, gateway answers at once"
    yield compared(what, ours, theirs, f"privacyIDEA {VERSION}, PBKDF2, without RADIUS")


def install() -> None:
    """Into a virtual environment of its own, once."""
    if (PLACE / "complete").exists():
        return
    print(f"installing privacyIDEA {VERSION} into {PLACE} …", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", PLACE], check=True)
    pip = [PLACE / "bin" / "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, f"privacyidea=={VERSION}", "gunicorn"], check=True)
    (PLACE / "complete").touch()


@contextmanager
def running(folder: Path, gateway: str) -> Iterator[int]:
    """A site of it, and the port at which it is asked."""
    folder.mkdir()
    python = PLACE / "bin" / "python"
    # -P: our module of the same name stands beside it.
    making = [python, "-P", Path(__file__).with_name("privacyidea_site.py"), folder]
    with (folder / "log").open("wb") as log:
        subprocess.run([*making, gateway, ",".join(USERS)], check=True, stdout=log, stderr=log)
        port = free_port()
        command = [python, "-m", "gunicorn", "-b", f"127.0.0.1:{port}", "-k", "gthread"]
        command += ["-w", str(WORKERS), "--threads", str(THREADS), "--timeout", "300"]
        app = f"privacyidea.app:create_app('production', config_file='{folder}/pi.cfg')"
        with subprocess.Popen([*command, app], stdout=log, stderr=log, env=os.environ) as process:
            try:
                eventually(lambda: _answers(port, process, folder), 120)
                yield port
            finally:
                process.terminate()


def _answers(port: int, process: subprocess.Popen[bytes], folder: Path) -> bool:
    assert process.poll() is None, (folder / "log").read_text()
    try:
        return requests.get(f"http://127.0.0.1:{port}/", timeout=60).ok
    except requests.ConnectionError:
        return False


def _rate(port: int, codes: dict[str, queue.SimpleQueue[str]], seconds: float) -> float:
    """Logins a second; each was accepted."""
    done: list[float] = []
    failed: list[BaseException] = []
    until = time.perf_counter() + seconds

    def log_in_again_and_again(number: int) -> None:
        # Two names for each user: none comes again while its message is on the way.
        own = itertools.cycle([number, number + BUSY])
        try:
            with requests.Session() as session:
                while time.perf_counter() < until and not failed:
                    _log_in(session, port, next(own), codes)
                    done.append(time.perf_counter())
        except BaseException as error:  # noqa: BLE001  # raised below
            failed.append(error)

    began = time.perf_counter()
    threads = [threading.Thread(target=log_in_again_and_again, args=[one]) for one in range(BUSY)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    if failed:
        raise failed[0]
    return len(done) / (max(done) - began)


def _log_in(
    session: requests.Session, port: int, number: int, codes: dict[str, queue.SimpleQueue[str]]
) -> None:
    url, phone = f"http://127.0.0.1:{port}/validate/check", f"+49170{number:07}"
    waiting = codes.setdefault(phone, queue.SimpleQueue())
    asked = session.post(url, {"user": USERS[number], "pass": "1234"}, timeout=300).json()
    try:
        code = waiting.get(timeout=60)
    except queue.Empty:
        raise AssertionError(f"no message came: {asked}") from None
    answer = {"user": USERS[number], "pass": code}
    answer["transaction_id"] = asked["detail"]["transaction_id"]
    said = session.post(url, answer, timeout=300).json()
    assert said["result"]["value"] is True, said
