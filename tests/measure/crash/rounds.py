"""
``kill -9`` at random moments, again and again: ``sh tests/crash.sh``.

Each round ends one process under load: radiusd (with its couriers in it), ``smsotp courier``, a
``smsotp user import``, or the database; it is started again, and then everything that anybody was
told must hold.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from radius_smsotp.errors import StoreError
from tests.measure.crash.load import User
from tests.support.freeradius import Radiusd, Site
from tests.support.site import PHONE, PIN, eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.measure.crash.load import Ledger
    from tests.measure.crash.stores import Stores

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

    def __init__(self, folder: Path, courier: str, stores: Stores) -> None:
        folder.mkdir()
        self.store_url = stores.make(folder)
        delivery = {"courier": courier, "wait": 0}
        self.site = Site(folder, **SETTINGS, store=self.store_url, delivery=delivery)
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
        stores: Where they keep what they know; `close` is left to the caller.
        seed: The same moments and guesses again, as far as the machine lets them.
    """

    def __init__(self, folder: Path, stores: Stores, seed: int) -> None:
        self._random = random.Random(seed)
        self._stores = stores
        self._inside = Target(folder / "inside", "internal", stores)
        self._beside: Target | None = None
        try:
            self._beside = Target(folder / "beside", "external", stores)
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
        may_lose = kind == "database"
        faults = [one for user in users for one in self._faults(target, user.ledger, may_lose)]
        faults += [f"the store is damaged: {one}" for one in self._stores.damage(target.store_url)]
        faults += self._canary(target)
        self.counts["rounds"] += 1
        self.counts[f"kills of {kind}"] += 1
        if faults:
            raise BrokenPromiseError(f"{kind}: {'; '.join(faults)}")

    def finish(self) -> None:
        """
        After the last round: every message that was promised has been sent.

        Who logged in again before it was has got another one in its place.
        """
        for target in self._targets():

            def unsent(target: Target = target) -> list[str]:
                with target.site.store.read() as tx:
                    return [
                        one.transaction_id
                        for one, message in tx.open_challenges(datetime.now(UTC))
                        if (message is None or message.state != "replaced")
                        and not (target.site.outbox / f"{one.transaction_id}.json").exists()
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
        if kind == "database":
            return self._random.choice([self._inside, self._beside])
        return self._beside if kind == "courier" else self._inside

    # The ways to die

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

    def _kill_database(self, target: Target) -> None:
        time.sleep(self._random.uniform(0.05, 0.8))
        self._stores.kill()
        # Each finds out by itself that it is back.
        eventually(lambda: self._works(target))
        eventually(lambda: target.radiusd.ask("canary", PIN).kind == "Access-Challenge")
        if target.courier is not None and target.courier.poll() is not None:
            raise BrokenPromiseError("database: the courier has ended as well")

    def _works(self, target: Target) -> bool:
        try:
            with target.site.store.read() as tx:
                return tx.account("canary") is not None
        except StoreError:
            return False

    def _see_accounts(self, target: Target, names: list[str], *, whole: bool) -> None:
        with target.site.store.read() as tx:
            found = [one for one, _ in tx.accounts() if one.name in set(names)]
        if any(one.phone is None or one.pin_hash is None for one in found):
            raise BrokenPromiseError("command: there is half an account")
        if whole and len(found) != len(names):
            raise BrokenPromiseError(f"command: {len(names) - len(found)} accounts are missing")

    # What must hold

    def _faults(self, target: Target, ledger: Ledger, may_lose: bool) -> list[str]:
        """
        What of a user's ledger does not hold.

        Args:
            may_lose: A challenge may be gone that nobody has answered: it is not synced when it is
                opened (docs/explanation/stores.rst, What is durable), and its user logs in again.
        """
        faults = list(ledger.odd)
        for state in ledger.owners:
            with target.site.store.read() as tx:
                found = tx.challenge(state)
                events = [one.kind for one in tx.events(state, 100)]
            if found is None:
                if not may_lose or state in ledger.accepted or state in ledger.wrong:
                    faults.append("a challenge is lost")
                self.counts["challenges lost"] += 1
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

    def _canary(self, target: Target) -> list[str]:
        """Somebody logs in: it serves."""
        reply = target.radiusd.challenge("canary")
        code = target.site.code(reply.state)
        kind = target.radiusd.ask("canary", code, reply.state).kind
        return [] if kind == "Access-Accept" else [f"then nobody gets in ({kind})"]
