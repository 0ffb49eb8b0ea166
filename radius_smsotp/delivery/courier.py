"""
Delivery: what walks a message down the chain of providers.

No hook sends anything: FreeRADIUS lets one login at a time into the module, so a slow
gateway would stop everyone.  This is the only place that tries again.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from radius_smsotp.delivery import compose
from radius_smsotp.delivery.chain import Chain, passed
from radius_smsotp.delivery.leases import Leases
from radius_smsotp.delivery.receipts import Reports
from radius_smsotp.delivery.threads import Crew
from radius_smsotp.errors import StoreError
from radius_smsotp.model.records import Attempt, Challenge, DeliveryState, Event
from radius_smsotp.store import Store, insist

if TYPE_CHECKING:
    from collections.abc import Callable

    from radius_smsotp.settings.file import Loaded
    from radius_smsotp.settings.keyring import Keyring
    from radius_smsotp.store.transaction import Transaction

log = logging.getLogger(__name__)

FREE = datetime.fromtimestamp(0, UTC)
"""When the lease of a message has ended that nobody held: long ago by the clock of any courier."""

SWEEP_SECONDS = {"internal": 2.0, "external": 0.04}
"""How often the store is looked through for messages that nobody holds."""

SWEEP_MOST = 100
"""Messages that one sweep takes up."""

TROUBLE_SECONDS = 1.0
"""How long to leave a store alone that did not answer."""

POLL_SECONDS = 0.02
"""How often a hook looks for the verdict of another process."""


@dataclass(eq=False)
class Errand:
    """One message on its way: its challenge, and the verdict once it is there."""

    challenge: Challenge
    done: threading.Event = field(default_factory=threading.Event)
    state: DeliveryState = "queued"


class Courier:
    """
    Sends messages for one set of settings.

    Args:
        now: The clock: aware UTC.
        passed: A clock that nobody sets, see `chain.passed`.
    """

    def __init__(
        self,
        loaded: Loaded,
        keyring: Keyring,
        store: Store,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        passed: Callable[[], timedelta] = passed,
    ) -> None:
        self.chain = Chain(loaded, store, now, self._reported, passed)
        self._leases = Leases(self.chain)
        self.owner = self._leases.owner
        self._loaded = loaded
        self._keyring = keyring
        self._store = store
        self._now = now
        self._crew = Crew(self._run, loaded.values.delivery.threads)
        self._lock = threading.Lock()
        self._errands: dict[str, Errand] = {}
        self._reports = Reports()
        self._closing = threading.Event()
        self._sweeping = threading.Lock()

    @property
    def internal(self) -> bool:
        """Whether this process sends what its hooks hand over."""
        return self._loaded.values.delivery.courier == "internal"

    def lease(self, now: datetime, route: tuple[str, ...]) -> tuple[str | None, datetime]:
        """Owner and end of the lease with which a hook stores a new message."""
        if not self.internal or not route:
            return None, FREE
        return self.owner, self._leases.end(now, route)

    def hand_over(self, challenge: Challenge) -> None:
        """Send the message of a challenge that is in the store under this courier's lease."""
        if self.internal:
            self._take(Errand(challenge))

    def wait(self, transaction_id: str, until: float) -> DeliveryState:
        """
        Wait for the verdict on a message.

        Args:
            until: `time.monotonic()` seconds.

        Returns:
            The state of the delivery then.
        """
        with self._lock:
            errand = self._errands.get(transaction_id)
        if errand is not None:
            errand.done.wait(max(0.0, until - time.monotonic()))
            return errand.state
        while True:
            with self._store.read() as tx:
                challenge = tx.challenge(transaction_id)
            state: DeliveryState = challenge.delivery.state if challenge else "failed"
            left = until - time.monotonic()
            if state != "queued" or left <= 0:
                return state
            time.sleep(min(POLL_SECONDS, left))

    def patience(self, route: tuple[str, ...], seconds: float) -> float:
        """Of `seconds`, those that make sense to wait for a verdict: see `delivery.breaker`."""
        first = self.chain.usable(route)[:1]
        return self.chain.patience(first[0], seconds) if first else 0.0

    def sweep(self) -> int:
        """
        Take up messages that nobody sends: of a process that died, or of hooks elsewhere.

        Returns:
            How many.
        """
        with self._sweeping:
            # A lease lasts for an attempt, not for a wait: no more than can be begun at once.
            most = min(self._loaded.values.delivery.threads - len(self._errands), SWEEP_MOST)
            if most <= 0 or self._closing.is_set():
                return 0
            now = self._now()
            with self._store.read() as tx:
                due = self._leases.left_behind(tx.unsent(now, most), self._errands)
            if not due:
                return 0
            with self._store.write(*{challenge.account for challenge in due}) as tx:
                # Another process may have been faster.
                found = [one for one in tx.unsent(now, most) if one in due]
                taken = [self._lease(tx, challenge, now) for challenge in found]
            for challenge in taken:
                self._take(Errand(challenge))
            return len(taken)

    def sweep_forever(self) -> None:
        """Sweep until `close`, for a thread of its own."""
        pause = SWEEP_SECONDS[self._loaded.values.delivery.courier]
        while not self._closing.wait(pause):
            try:
                self.sweep()
            except StoreError as error:
                log.warning("cannot look for messages to send: %s", error)
                self._closing.wait(TROUBLE_SECONDS)
            except Exception as error:  # noqa: BLE001  # nobody else would send what is left behind
                log.error("looking for messages to send met %s", type(error).__name__)
                self._closing.wait(TROUBLE_SECONDS)

    def close(self, patience: float = 0.0) -> None:
        """Wait up to `patience` seconds for the messages under way, then let go of everything."""
        self._closing.set()
        deadline = time.monotonic() + patience
        with self._sweeping:
            pass  # what a sweep is taking up now is among the errands after it
        while self._errands and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        self._crew.dismiss()
        self.chain.close()

    def _take(self, errand: Errand) -> None:
        with self._lock:
            self._errands[errand.challenge.transaction_id] = errand
        if not self._crew.add(errand):
            log.error("too many messages wait to be sent; more stay in the store")
            self._forget(errand)

    def _run(self, errand: Errand) -> None:
        try:
            errand.state = self._deliver(errand.challenge)
        except StoreError as error:
            # The lease runs out, and a later sweep takes the message up again.
            log.warning("a delivery could not be recorded: %s", error)
        finally:
            self._forget(errand)

    def _forget(self, errand: Errand) -> None:
        with self._lock:
            if self._errands.get(errand.challenge.transaction_id) is errand:
                del self._errands[errand.challenge.transaction_id]
        errand.done.set()

    def _deliver(self, challenge: Challenge) -> DeliveryState:
        """Walk one message down its route, and store what every attempt came to."""
        held = insist(self._hold, challenge)
        if held is None:
            return challenge.delivery.state
        challenge = held
        sms = compose.message(challenge, self._keyring, self._loaded.values.sms)
        route = self.chain.usable(challenge.delivery.route)
        if sms is None or not route:
            return insist(self._give_up, challenge)
        silent = False
        for position, name in enumerate(route):
            if not challenge.is_open(self._now()):
                break
            attempt = self.chain.attempt(name, sms)
            silent = silent or attempt.verdict == "unknown"
            rest = tuple(route[position + 1 :])
            state: DeliveryState = "queued"
            if attempt.verdict == "accepted":
                state = "accepted"
            elif not rest or (silent and self._loaded.values.delivery.unknown == "stop"):
                state = "unknown" if silent else "failed"
            challenge, is_wanted = insist(self._record, challenge, attempt, state, rest)
            self._await_report(challenge, attempt)
            if state != "queued" or not is_wanted:
                break
        return challenge.delivery.state

    def _record(
        self, challenge: Challenge, attempt: Attempt, state: DeliveryState, rest: tuple[str, ...]
    ) -> tuple[Challenge, bool]:
        """
        Store what one attempt came to, and what is left to try.

        Returns:
            The challenge as it is then, and whether anybody still waits for this message.
        """
        now = self._now()
        going_on = state == "queued"
        delivery = replace(
            challenge.delivery,
            state=state,
            route=rest,
            provider=attempt.provider,
            lease_owner=self.owner if going_on else None,
            lease_until=self._leases.end(now, rest) if going_on else None,
        )
        challenge = replace(challenge, delivery=delivery)
        with self._store.write(challenge.account) as tx:
            tx.add_event(attempt_event(challenge, attempt, now))
            is_wanted = self._save(tx, challenge, now)
        return challenge, is_wanted

    def _await_report(self, challenge: Challenge, attempt: Attempt) -> None:
        """Behind the record of the attempt; the report may have come before either."""
        if attempt.message_id and attempt.provider in self.chain.giving_receipts:
            for early in self._reports.expect(attempt.provider, attempt.message_id, challenge):
                self._reported(attempt.provider, attempt.message_id, *early)

    def _reported(self, provider: str, message_id: str, delivered: bool, words: str) -> None:
        """A delivery receipt came: record it, and move on by itself if the message is lost."""
        challenge = self._reports.take(provider, message_id, delivered, words)
        if challenge is None:
            return
        try:
            lost = insist(self._note_report, challenge, provider, delivered, words)
        except StoreError as error:
            log.warning("a delivery receipt could not be recorded: %s", error)
            return
        if lost is not None:
            self._take(Errand(lost))

    def _note_report(
        self, challenge: Challenge, provider: str, delivered: bool, words: str
    ) -> Challenge | None:
        """Returns the challenge, leased, if its message goes through the next provider."""
        now = self._now()
        kind = "sms-delivered" if delivered else "sms-lost"
        with self._store.write(challenge.account) as tx:
            detail = {"provider": provider, "text": words}
            tx.add_event(challenge_event(kind, challenge, now, **detail))
            found = tx.challenge(challenge.transaction_id)
            if delivered or found is None or not found.is_open(now):
                return None
            if found.delivery != challenge.delivery or not found.delivery.route:
                return None
            queued = replace(found, delivery=replace(found.delivery, state="queued"))
            return self._lease(tx, queued, now)

    def _give_up(self, challenge: Challenge) -> DeliveryState:
        """There is no way to send this message."""
        delivery = replace(challenge.delivery, state="failed", lease_owner=None, lease_until=None)
        with self._store.write(challenge.account) as tx:
            self._save(tx, replace(challenge, delivery=delivery), self._now())
        return "failed"

    def _save(self, tx: Transaction, challenge: Challenge, now: datetime) -> bool:
        """
        Store the delivery; close the challenge if nobody will ever have its code.

        Returns:
            False if the message was asked for again, or the challenge answered, meanwhile.
        """
        if not tx.save_delivery(challenge):
            return False
        if challenge.delivery.state == "accepted":
            return True  # there is nothing left to send, whoever waits
        current = tx.challenge(challenge.transaction_id)
        if current is None or not current.is_open(now):
            return False
        # A resend that failed says nothing of the message before it.
        if challenge.delivery.state == "failed" and current.delivery.sends == 1:
            tx.save_answer(replace(current, state="undelivered"))
            tx.add_event(challenge_event("sms-undelivered", challenge, now))
        return True

    def _hold(self, challenge: Challenge) -> Challenge | None:
        """Make the lease last for the next attempt.  None if somebody else has taken it over."""
        now = self._now()
        delivery = challenge.delivery
        longest = timedelta(seconds=self.chain.longest(delivery.route))
        if delivery.lease_until is not None and delivery.lease_until - now >= longest:
            return challenge
        with self._store.write(challenge.account) as tx:
            found = tx.challenge(challenge.transaction_id)
            if found is None or found.delivery != delivery:
                return None
            return self._lease(tx, found, now)

    def _lease(self, tx: Transaction, challenge: Challenge, now: datetime) -> Challenge:
        """Take the lease of a message that nobody else holds."""
        known = tuple(one for one in challenge.delivery.route if one in self._loaded.providers)
        route = known or self._loaded.order
        delivery = replace(
            challenge.delivery,
            route=route,
            lease_owner=self.owner,
            lease_until=self._leases.end(now, route),
        )
        challenge = replace(challenge, delivery=delivery)
        tx.save_delivery(challenge)
        return challenge


def challenge_event(
    kind: str, challenge: Challenge, now: datetime, **detail: str | int | float
) -> Event:
    """An event of a challenge, with nobody asking: of its delivery."""
    return Event(
        kind,
        now,
        challenge.account,
        challenge.transaction_id,
        challenge.client,
        challenge.station,
        detail,
    )


def attempt_event(challenge: Challenge, attempt: Attempt, now: datetime) -> Event:
    """The event of one attempt at one provider."""
    detail: dict[str, str | int | float] = {
        "provider": attempt.provider,
        "seconds": attempt.seconds,
    }
    detail |= {"text": attempt.text} if attempt.text else {}
    detail |= {"message_id": attempt.message_id} if attempt.message_id else {}
    return challenge_event(f"sms-{attempt.verdict}", challenge, now, **detail)
