"""The configured providers, and what is known of each: one attempt at a time."""

from __future__ import annotations

import functools
import logging
import math
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from radius_smsotp import providers
from radius_smsotp.delivery import breaker
from radius_smsotp.delivery.pace import Pace
from radius_smsotp.errors import Busy, DeliveryError, Problem, Refused, StoreError, Unknown
from radius_smsotp.model.records import Attempt, Event, Message
from radius_smsotp.settings.file import Loaded
from radius_smsotp.store import Store

log = logging.getLogger(__name__)

BREAKERS = "\nbreakers"
"""What nobody is called: who notes the state of a provider makes no login wait."""

PATIENT = timedelta(seconds=1)
"""So long a message waits for its turn at a provider, where another one would take it now."""

PROBE = timedelta(seconds=1)
"""Between two messages that come again, at a provider that is skipped."""


def passed() -> timedelta:
    """The time that has passed since some start, by a clock that nobody sets."""
    return timedelta(seconds=time.monotonic())


def build(name: str, loaded: Loaded, store: Store) -> providers.Provider:
    """One provider of the settings."""
    here = loaded.path.parent
    around = providers.Surroundings(
        here, loaded.values.smtp_servers, store.folder or here, loaded.values.receiver.address
    )
    return providers.build(name, loaded.providers[name], around)


def try_once(
    provider: providers.Provider, message: providers.Message, timeout: float
) -> tuple[Attempt, DeliveryError | None]:
    """
    Send a message through one provider, of which nothing is noted.

    Args:
        timeout: Seconds that it may take.

    Returns:
        What became of it, and the error that it ended with.  Never raises for what the provider
        does.
    """
    began = time.monotonic()
    message = replace(message, attempt=str(uuid.uuid4()))
    error: DeliveryError | None = None
    message_id = None
    try:
        message_id = provider.send(message, began + timeout).message_id
    except DeliveryError as caught:
        error = caught
    except Exception as caught:  # noqa: BLE001  # a fault of a provider must not lose the message
        # The type only: the text may hold the message.
        error = Unknown(f"internal error ({type(caught).__name__})")
    verdict = "accepted" if error is None else error.verdict
    seconds = round(time.monotonic() - began, 3)
    return Attempt(provider.name, verdict, str(error or ""), message_id, seconds), error


class Chain:
    """
    The providers of one settings file, each with its circuit breaker and its pace.

    Args:
        now: The clock: aware UTC.
        on_receipt: Called with provider, message id, whether it was delivered, and the network's
            words, for each delivery receipt.
        passed: The clock of the circuit breakers, see `delivery.breaker`.

    Attributes:
        passed: As it was given.
    """

    def __init__(
        self,
        loaded: Loaded,
        store: Store,
        now: Callable[[], datetime],
        on_receipt: Callable[[str, str, bool, str], None] | None = None,
        passed: Callable[[], timedelta] = passed,
    ) -> None:
        self._loaded = loaded
        self._store = store
        self._now = now
        self.passed = passed
        self._providers = {name: build(name, loaded, store) for name in loaded.providers}
        for name, provider in self._providers.items():
            if on_receipt is not None and isinstance(provider, providers.GivesReceipts):
                provider.on_receipt = functools.partial(on_receipt, name)
        self._lock = threading.Lock()
        self._health: dict[str, breaker.Health] = {}
        self._tried: dict[str, timedelta] = {}
        self._paces = {name: Pace(one.per_second) for name, one in loaded.providers.items()}

    def usable(self, route: Sequence[str]) -> list[str]:
        """The providers of a route that exist, in the order in which to try them now."""
        known = [name for name in route if name in self._providers]
        with self._lock:
            return breaker.usable(known, self._health, self.passed())

    def turn(self, route: Sequence[str], message: Message) -> tuple[str, float]:
        """
        Which provider of a route a message goes through next, and in how many seconds.

        If that is at once, its turn is taken, and else kept for it: see `delivery.pace`.

        Args:
            route: Not empty, as `usable` orders it.
        """
        again, ahead = message.tries > 0, message.number > 1
        with self._lock:
            now = self.passed()
            used = [name for name in route if self._state(name, now) != "open"] or route
            paced, waits = {}, {}
            for name in used:
                paced[name] = self._paces[name].wait(message.key, now, again=again, ahead=ahead)
                probed = self._probed(name, now) if again else paced[name]
                waits[name] = max(paced[name], probed)
            name = min(used, key=lambda one: max(waits[one], PATIENT))
            if waits[name] == paced[name]:
                self._paces[name].line_up(message.key, now, again=again, ahead=ahead)
            if not waits[name]:
                self._tried[name] = now
            return name, waits[name].total_seconds()

    def wait(self, route: Sequence[str], message: Message) -> float:
        """Seconds until any provider of a route would have a message again."""
        with self._lock:
            now = self.passed()
            waits = [self._paces[name].wait(message.key, now, again=True) for name in route]
            return min(waits).total_seconds()

    def patience(self, name: str, seconds: float) -> float:
        """`delivery.breaker.patience` of a provider, in seconds."""
        most = timedelta(seconds=seconds)
        with self._lock:
            health = self._health.get(name, breaker.Health())
            return breaker.patience(health, most, self.passed()).total_seconds()

    def timeout(self, name: str) -> float:
        """Seconds that one attempt at this provider may take."""
        settings = self._loaded.providers.get(name)
        return settings.timeout if settings else 0.0

    def longest(self, route: Sequence[str]) -> float:
        """Seconds that one attempt at any provider of a route may take."""
        return max(map(self.timeout, route), default=0.0)

    def attempt(
        self,
        name: str,
        sms: providers.Message,
        *,
        number: int = 1,
        tries: int = 0,
        seconds: float = math.inf,
    ) -> Attempt:
        """
        Send a message through one provider.  Never raises for what the provider does.

        Args:
            number, tries: Of the message.
            seconds: For how long it is worth anything.
        """
        start = self.passed()
        self._note(name, lambda health: breaker.started(health, start))
        timeout = min(self.timeout(name), max(seconds, 0.0))
        attempt, error = try_once(self._providers[name], sms, timeout)
        with self._lock:
            self._paces[name].ended(
                (sms.transaction_id, number),
                start,
                attempt.verdict,
                self.passed(),
                again=tries > 0,
                retry_after=error.retry_after if isinstance(error, Busy) else None,
            )
        changed = self._note(
            name,
            lambda health: breaker.ended(
                health,
                start,
                attempt.verdict,
                self.passed(),
                out_of_order=isinstance(error, Refused) and error.out_of_order,
            ),
        )
        if changed is not None:
            self._tell(name, changed, attempt)
        return attempt

    def listen(self) -> None:
        """Hear receipts from now on, also of what other processes have sent."""
        for provider in self._providers.values():
            provider.listen()

    def check(self) -> list[Problem]:
        """Every problem that the providers find in their own configuration."""
        found: list[Problem] = []
        for name, one in self._providers.items():
            try:
                found += one.check()
            except Exception as error:  # noqa: BLE001  # of another package, say
                fault = f"looking at it has failed ({type(error).__name__})"
                found.append(Problem(f"providers.{name}", fault, "tell those who have made it"))
        return found

    def weaknesses(self) -> list[Problem]:
        """What their settings let others read or do; each once, also if several name it."""
        found = (weakness for one in self._providers.values() for weakness in one.weaknesses())
        return [*dict.fromkeys(found)]

    def close(self) -> None:
        """Let go of connections and devices."""
        for provider in self._providers.values():
            provider.close()

    def _state(self, name: str, now: timedelta) -> breaker.BreakerState:
        return breaker.state(self._health.get(name, breaker.Health()), now)

    def _probed(self, name: str, now: timedelta) -> timedelta:
        """
        For how long a message that comes again is kept from a provider that is skipped.

        They go to it one by one: many that wait for a gateway that hangs hold all threads else.
        """
        if self._state(name, now) != "open":
            return timedelta(0)
        sending = self._health.get(name, breaker.Health()).sending_since
        lately = now - self._tried.get(name, -PROBE) < PROBE
        return PROBE if sending or lately else timedelta(0)

    def _note(
        self, name: str, change: Callable[[breaker.Health], breaker.Health]
    ) -> breaker.Health | None:
        """Change what is known of a provider.  Returns it if the breaker opened or closed."""
        with self._lock:
            before = self._health.get(name, breaker.Health())
            after = self._health[name] = change(before)
        return after if (before.skip_until is None) != (after.skip_until is None) else None

    def _tell(self, name: str, health: breaker.Health, attempt: Attempt) -> None:
        """Log and record that a provider is skipped from now on, or used again."""
        now = self._now()
        skipped = health.skip_until is not None
        if skipped:
            pause = int(health.pause.total_seconds())
            log.warning("provider %s is skipped for %d s: %s", name, pause, attempt.text)
        else:
            log.warning("provider %s works again", name)
        kind = "provider-skipped" if skipped else "provider-used"
        try:
            with self._store.write(BREAKERS) as tx:
                tx.put_breaker(name, "open" if skipped else "closed", now, attempt.text)
                tx.add_event(Event(kind, now, "", detail={"provider": name, "text": attempt.text}))
        except StoreError as error:
            # The verdict on the message counts for more than the record of the breaker.
            log.warning("the state of provider %s could not be recorded: %s", name, error)
