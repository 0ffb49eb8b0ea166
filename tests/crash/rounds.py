"""
``kill -9`` at random moments, again and again: ``sh tests/crash.sh``.

Each round ends one process under load: radiusd (with its couriers in it), ``smsotp courier``, or a
``smsotp user import``; it is started again, and then everything that anybody was told must hold.
"""

from __future__ import annotations

import contextlib
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.crash.load import User
from tests.radius.site import PHONE, PIN, Radiusd, Site, eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash.load import Ledger

KINDS = ("radiusd", "courier", "command")
USERS = 4
IMPORTED = 600
REPLAYS = 12
"""Codes of a round that are tried again."""

GUESSES = 3

SETTINGS: dict[str, Any] = {
    "limits": {"cooldown": 0}
    | dict.fromkeys(("per_account_hour", "per_number_hour", "per_day"), 10**6),
    "lockout": {"failures": 1000},
    "code": {"guesses": GUESSES, "lifetime": 3600},
    # A lease is as long as an attempt, and 5 s: so soon is a message taken up that a crash left.
    "providers": {"demo": {"type": "folder", "path": "outbox", "timeout": 1}},
}


class BrokenPromiseError(AssertionError):
    """Something that was acknowledged is not so any more."""


class Target:
    """One site with a running radiusd, and, if couriers are not inside it, one of those."""

    def __init__(self, folder: Path, courier: str) -> None:
        folder.mkdir()
        self.site = Site(folder, **SETTINGS, delivery={"courier": courier, "wait": 0})
        for number in range(USERS):
            self.site.add(f"user{number}")
        self.site.add("canary")
        self.courier: subprocess.Popen[bytes] | None = None
        if courier == "external":
            self.courier = self.command("courier")
        self.radiusd: Radiusd = self.site.start()

    def command(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command."""
        whole = [sys.executable, "-m", "radius_smsotp", "--config", self.site.settings_path, *words]
        with (self.site.folder / "commands.log").open("ab") as log:
            return subprocess.Popen(whole, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def close(self) -> None:
        """End everything."""
        if self.courier is not None:
            self.courier.kill()
            self.courier.wait(20)
        self.site.close()


class Crashes:
    """
    Rounds, one after the other.

    Args:
        seed: The same moments and guesses again, as far as the machine lets them.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._random = random.Random(seed)
        self._inside = Target(folder / "inside", "internal")
        self._beside: Target | None = None
        try:
            self._beside = Target(folder / "beside", "external")
        except BaseException:
            self._inside.close()
            raise
        self.counts: Counter[str] = Counter()

    def run(self, kind: str) -> None:
        """
        One round.

        Raises:
            BrokenPromiseError: With everything that does not hold.
        """
        target = self._target(kind)
        seeds = [self._random.randrange(10**9) for _ in range(USERS)]
        users = [User(f"user{n}", target.radiusd, seed) for n, seed in enumerate(seeds)]
        for user in users:
            user.start()
        try:
            getattr(self, f"_kill_{kind}")(target)
            # Those who were at it see what becomes of them.
            time.sleep(self._random.uniform(0.1, 0.4))
        finally:
            for user in users:
                user.stop()
        faults = [fault for user in users for fault in self._faults(target, user.ledger)]
        faults += self._store_faults(target) + self._canary(target)
        self.counts["rounds"] += 1
        self.counts[f"kills of {kind}"] += 1
        if faults:
            raise BrokenPromiseError(f"{kind}: {'; '.join(faults)}")

    def finish(self) -> None:
        """After the last round: every message that was promised has been sent."""
        for target in self._targets():

            def unsent(target: Target = target) -> list[str]:
                with target.site.store.read() as tx:
                    return [
                        one.transaction_id
                        for one in tx.open_challenges(datetime.now(UTC))
                        if not (target.site.outbox / f"{one.transaction_id}.json").exists()
                    ]

            eventually(lambda unsent=unsent: not unsent(), 60)

    def close(self) -> None:
        """End everything."""
        for target in self._targets():
            target.close()

    def _targets(self) -> list[Target]:
        return [self._inside] + ([self._beside] if self._beside is not None else [])

    def _target(self, kind: str) -> Target:
        assert self._beside is not None
        return self._beside if kind == "courier" else self._inside

    # The three ways to die

    def _kill_radiusd(self, target: Target) -> None:
        time.sleep(self._random.uniform(0.05, 0.8))
        target.radiusd.stop(signal.SIGKILL)
        target.radiusd.start()

    def _kill_courier(self, target: Target) -> None:
        time.sleep(self._random.uniform(0.05, 0.8))
        assert target.courier is not None
        target.courier.kill()
        target.courier.wait(20)
        target.courier = target.command("courier")

    def _kill_command(self, target: Target) -> None:
        number = self.counts["kills of command"]
        names = [f"staff{number}-{one}" for one in range(IMPORTED)]
        file = target.site.folder / f"staff{number}.csv"
        file.write_text("name,phone,pin\n" + "".join(f"{one},{PHONE},{PIN}\n" for one in names))
        command = target.command("user", "import", str(file))
        try:
            status = command.wait(self._random.uniform(0.4, 2.5))
        except subprocess.TimeoutExpired:
            command.kill()
            status = command.wait(20)
        self.counts["imports that had ended"] += status == 0
        self._see_accounts(target, names, whole=status == 0)
        again = target.command("user", "import", "--update", str(file))
        if again.wait(120) != 0:
            raise BrokenPromiseError("command: the import does not work when it is called again")
        self._see_accounts(target, names, whole=True)

    def _see_accounts(self, target: Target, names: list[str], *, whole: bool) -> None:
        with target.site.store.read() as tx:
            found = [one for one, _ in tx.accounts() if one.name in set(names)]
        if any(one.phone is None or one.pin_hash is None for one in found):
            raise BrokenPromiseError("command: there is half an account")
        if whole and len(found) != len(names):
            raise BrokenPromiseError(f"command: {len(names) - len(found)} accounts are missing")

    # What must hold

    def _faults(self, target: Target, ledger: Ledger) -> list[str]:
        """What of a user's ledger does not hold."""
        faults = list(ledger.odd)
        for state in ledger.owners:
            with target.site.store.read() as tx:
                found = tx.challenge(state)
                events = [one.kind for one in tx.events(state, 100)]
            if found is None:
                faults.append("a challenge is lost")
                continue
            if state in ledger.accepted and found.state != "spent":
                faults.append(f"an accepted code is {found.state}")
            if events.count("code-accepted") != (found.state == "spent"):
                faults.append(f"{events.count('code-accepted')} acceptances of one code")
            if GUESSES - found.guesses_left < ledger.wrong.get(state, 0):
                faults.append("a wrong code is not counted")
        self.counts["challenges"] += len(ledger.owners)
        self.counts["logins"] += len(ledger.accepted)
        self.counts["answers without reply"] += len(ledger.unanswered)
        return faults + self._replay(target, ledger)

    def _replay(self, target: Target, ledger: Ledger) -> list[str]:
        """Try codes again: those that let somebody in let nobody in, others one time at most."""
        faults = []
        known = sorted(ledger.accepted)
        chosen = self._random.sample(known, min(len(known), REPLAYS // USERS))
        for state in [*chosen, *ledger.unanswered]:
            with target.site.store.read() as tx:
                found = tx.challenge(state)
            spent = found is None or found.state == "spent"
            user, code = ledger.owners[state], ledger.codes[state]
            replies = [target.radiusd.ask(user, code, state.encode()).kind for _ in range(2)]
            if replies.count("Access-Accept") > (0 if spent else 1):
                faults.append("a code was accepted twice")
            self.counts["codes tried again"] += 2
        return faults

    def _store_faults(self, target: Target) -> list[str]:
        with contextlib.closing(sqlite3.connect(target.site.folder / "smsotp.db")) as db:
            found = [row[0] for row in db.execute("PRAGMA integrity_check")]
        return [] if found == ["ok"] else [f"the store is damaged: {found[:3]}"]

    def _canary(self, target: Target) -> list[str]:
        """Somebody logs in: it serves."""
        reply = target.radiusd.challenge("canary")
        code = target.site.code(reply.state)
        kind = target.radiusd.ask("canary", code, reply.state).kind
        return [] if kind == "Access-Accept" else [f"then nobody gets in ({kind})"]
