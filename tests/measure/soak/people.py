"""Those who log in, those who mistype, and those who guess: what each does, and must get for it."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

from radius_smsotp.model import code
from radius_smsotp.settings import keyring
from tests.support.radius import NoReplyError
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.support.freeradius import Site
    from tests.support.radius import RadiusClient, Reply

DIGITS = 9
"""So many that nobody guesses a code by chance."""


class People:
    """
    One act after the other, each at one of the servers.

    Attributes:
        acts: What was done, how often.
        faults: What they got and should not have, one sentence each.
        retried: Requests that were not answered, as while a server restarts.
    """

    def __init__(self, site: Site, names: Sequence[str]) -> None:
        self.acts: Counter[str] = Counter()
        self.faults: list[str] = []
        self.retried = 0
        self._site = site
        self._names = list(names)
        self._dice = random.Random(8)
        self._key = keyring.read(site.folder / "key").secret
        self._kinds: list[tuple[int, Callable[[str], None]]] = [
            (10, self._logs_in),
            (2, self._mistypes_the_code),
            (2, self._asks_for_another_sms),
            (2, self._sends_both_in_one),
            (2, self._never_answers),
            (3, self._mistypes_the_pin),
            (3, self._does_not_exist),
            (2, self._guesses_a_state),
            (1, self._answers_twice),
        ]
        self.clients: list[RadiusClient] = []

    def act(self) -> None:
        """Somebody does something."""
        weights, kinds = zip(*self._kinds, strict=True)
        kind = self._dice.choices(kinds, weights)[0]
        self.acts[kind.__name__.strip("_").replace("_", " ")] += 1
        kind(self._dice.choice(self._names))

    def _ask(self, name: str, password: str, state: bytes | None = None) -> Reply | None:
        """Ask one server, and the other if it does not answer, as a NAS does."""
        for client in self._dice.sample(self.clients, len(self.clients)):
            try:
                return client.ask(name, password, state)
            except NoReplyError:
                self.retried += 1
        self.faults.append("neither server answered")
        return None

    def _challenged(self, name: str, password: str = PIN) -> bytes | None:
        """A first step.  It may be refused where no gateway takes the SMS."""
        reply = self._ask(name, password)
        if reply is None or reply.kind == "Access-Reject":
            self.acts["… refused: no gateway, or a limit"] += 1
            return None
        self._expect(reply, "Access-Challenge")
        return reply.state

    def _code(self, state: bytes) -> str:
        return code.derive(self._key, state.decode(), DIGITS)

    def _expect(self, reply: Reply | None, *kinds: str) -> None:
        if reply is not None and reply.kind not in kinds:
            self.faults.append(f"{reply.kind} ({reply.message}) in place of {' or '.join(kinds)}")

    def _logs_in(self, name: str) -> None:
        state = self._challenged(name)
        if state is not None:
            self._accept(name, self._code(state), state)

    def _accept(self, name: str, password: str, state: bytes | None) -> bool:
        """A right answer.  It may be too late only where no gateway took the SMS."""
        reply = self._ask(name, password, state)
        if reply is None:
            return False
        if reply.kind == "Access-Accept":
            self.acts["… accepted"] += 1
            return True
        self.acts["… undelivered meanwhile"] += 1
        self._expect(reply, "Access-Reject")
        return False

    def _mistypes_the_code(self, name: str) -> None:
        state = self._challenged(name)
        if state is not None:
            self._expect(self._ask(name, "0" * DIGITS, state), "Access-Challenge", "Access-Reject")
            self._accept(name, self._code(state), state)

    def _asks_for_another_sms(self, name: str) -> None:
        state = self._challenged(name)
        if state is not None:
            self._expect(self._ask(name, "r", state), "Access-Challenge", "Access-Reject")
            self._accept(name, self._code(state), state)

    def _sends_both_in_one(self, name: str) -> None:
        state = self._challenged(name)
        if state is not None:
            self._accept(name, PIN + self._code(state), None)

    def _never_answers(self, name: str) -> None:
        self._challenged(name)

    def _mistypes_the_pin(self, name: str) -> None:
        self._expect(self._ask(name, "4321"), "Access-Reject")

    def _does_not_exist(self, name: str) -> None:
        self._expect(self._ask(f"{name}-{self._dice.randrange(10**6)}", PIN), "Access-Reject")

    def _guesses_a_state(self, name: str) -> None:
        state = self._dice.randbytes(16).hex().encode()
        self._expect(self._ask(name, "0" * DIGITS, state), "Access-Reject")

    def _answers_twice(self, name: str) -> None:
        state = self._challenged(name)
        if state is not None and self._accept(name, self._code(state), state):
            self._expect(self._ask(name, self._code(state), state), "Access-Reject")
