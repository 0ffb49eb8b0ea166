"""Users who log in all the while, and what they were told: what a crash must not undo."""

from __future__ import annotations

import random
import re
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.radius import NoReplyError, RadiusClient
from tests.support.site import PIN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.freeradius import Radiusd
    from tests.support.radius import Reply

PATIENCE = 1.0
"""Seconds that a user waits for a reply, and for an SMS."""

RADIUS_REFUSAL = re.compile("try again", re.IGNORECASE)


@dataclass
class Ledger:
    """
    What users were told.

    Attributes:
        owners: transaction_id to the user who was asked for its code.
        codes: transaction_id to the code that came by SMS.
        wrong: transaction_id to the wrong codes that were answered.
        accepted: Let in.
        unanswered: The right code was sent, and no reply came.
        odd: Replies that nobody should get.
    """

    owners: dict[str, str] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, int] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=set)
    unanswered: set[str] = field(default_factory=set)
    odd: list[str] = field(default_factory=list)


class User(threading.Thread):
    """One user, who logs in again and again until told to stop."""

    def __init__(self, name: str, radiusd: Radiusd, seed: int) -> None:
        super().__init__(name=name, daemon=True)
        self.ledger = Ledger()
        self._client = RadiusClient(radiusd.port, patience=PATIENCE)
        self._outbox = radiusd.site.outbox
        self._random = random.Random(seed)
        self._ending = threading.Event()

    def run(self) -> None:
        """Log in."""
        while not self._ending.is_set():
            try:
                self._log_in()
            except NoReplyError:
                self._ending.wait(0.02)

    def stop(self) -> None:
        """Finish the login that was begun, and end."""
        self._ending.set()
        self.join(30)
        assert not self.is_alive()

    def _log_in(self) -> None:
        reply = self._client.ask(self.name, PIN)
        if reply.kind != "Access-Challenge" or reply.state is None:
            self._refused(reply)
            return
        state = reply.state.decode()
        self.ledger.owners[state] = self.name
        code = self._read(self._outbox / f"{state}.json")
        if code is None:
            return
        self.ledger.codes[state] = code
        if self._random.random() < 0.3:
            wrong = f"{(int(code) + 1) % 10**6:06}"
            again = self._client.ask(self.name, wrong, reply.state)
            if again.kind != "Access-Challenge":
                self._refused(again)
                return
            self.ledger.wrong[state] = 1
        self.ledger.unanswered.add(state)
        last = self._client.ask(self.name, code, reply.state)
        self.ledger.unanswered.discard(state)
        if last.kind == "Access-Accept":
            self.ledger.accepted.add(state)
        else:
            self._refused(last)

    def _refused(self, reply: Reply) -> None:
        """A store that is busy for a moment says so; anything else has no reason here."""
        if reply.kind != "Access-Reject" or not RADIUS_REFUSAL.search(reply.message):
            self.ledger.odd.append(f"{reply.kind}: {reply.message}")

    def _read(self, path: Path) -> str | None:
        """The code in an SMS, None if it does not come."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and not self._ending.is_set():
            if path.exists():
                found = re.search(r"\b\d{6}\b", path.read_text("utf-8"))
                assert found, "half an SMS"
                return found[0]
            time.sleep(0.005)
        return None
