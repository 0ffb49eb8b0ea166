"""
Delivery: what walks a message down the chain of providers.

No hook sends anything: FreeRADIUS lets one login at a time into the module, so a slow
gateway would stop everyone.  This is the only place that tries again.
"""

from __future__ import annotations

import contextlib
import logging
import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from functools import partial

from radius_smsotp.delivery import compose, pace
from radius_smsotp.delivery.alarm import Alarm
from radius_smsotp.delivery.chain import Chain, passed
from radius_smsotp.delivery.departures import Departures
from radius_smsotp.delivery.events import attempt_event, challenge_event, postponed_event
from radius_smsotp.delivery.leases import Leases, due_in, postpone
from radius_smsotp.delivery.receipts import FREE, Receipts
from radius_smsotp.delivery.threads import Threads
from radius_smsotp.errors import StoreConflictError, StoreError
from radius_smsotp.model import code, ways
from radius_smsotp.model.receipts import Receipt
from radius_smsotp.model.records import (
    SMS,
    Attempt,
    Challenge,
    Counter,
    Message,
    MessageState,
)
from radius_smsotp.settings.file import Loaded
from radius_smsotp.settings.keyring import Keyring
from radius_smsotp.store import Store, insist
from radius_smsotp.store.transaction import Transaction

log = logging.getLogger(__name__)

SWEEP_SECONDS = {"internal": 2.0, "external": 0.04}
"""How often the store is looked through for messages that nobody holds."""

SWEEP_MOST = 100
"""Messages that one sweep takes up."""

LATE_SECONDS = 2.0
"""How often it is looked for messages whose code has come to its end."""

TROUBLE_SECONDS = 1.0
"""How long to leave a store alone that did not answer."""

RECORD_SECONDS = 0.25
"""How often it is tried to record what became of a message, while the store does not answer."""

POLL_SECONDS = 0.02
"""How often a hook looks for the verdict of another process."""


@dataclass(eq=False)
class Sending:
    """
    A message that this process sends, and its state once there is a verdict.

    Attributes:
        provider: Where it has its turn now, if that is known already.
    """

    challenge: Challenge
    message: Message
    provider: str | None = None
    done: threading.Event = field(default_factory=threading.Event)
    state: MessageState = "queued"


class Courier:
    """
    Sends messages for one set of settings.

    Args:
        now: The clock: aware UTC.
        passed: A clock that nobody sets, see `chain.passed`.
        chance: From 0 to 1: spreads messages that come again.
    """

    def __init__(
        self,
        loaded: Loaded,
        keyring: Keyring,
        store: Store,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        passed: Callable[[], timedelta] = passed,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.chain = Chain(loaded, store, now, self._reported, passed)
        self._leases = Leases(self.chain)
        self.owner = self._leases.owner
        self._loaded = loaded
        self._keyring = keyring
        self._store = store
        self._now = now
        self._threads = Threads(self._run, loaded.values.delivery.threads)
        self._lock = threading.Lock()
        self._sendings: dict[str, Sending] = {}
        self._receipts = Receipts(store, now, self._sweep_now)
        self._recorded: deque[tuple[str, str]] = deque()
        self._departures = Departures()
        self._withheld: deque[Challenge] = deque()
        self._chance = chance
        self._alarm = Alarm()
        self._closing = threading.Event()
        self._sweeping = threading.Lock()
        self._late_at = 0.0

    @property
    def internal(self) -> bool:
        """Whether this process sends what its hooks hand over."""
        return self._loaded.values.delivery.courier == "internal"

    def lease(self, now: datetime, route: tuple[str, ...]) -> tuple[str | None, datetime]:
        """Owner and end of the lease with which a hook stores a new message."""
        if not self.internal or not route:
            return None, FREE
        return self.owner, self._leases.end(now, route)

    def hand_over(self, challenge: Challenge, message: Message) -> None:
        """Send a message that is in the store under this courier's lease."""
        if self.internal:
            self._take(Sending(challenge, message))

    @contextlib.contextmanager
    def sending(self) -> Iterator[list[tuple[Challenge, Message]]]:
        """
        Around a transaction that opens a challenge: what is put into the list is handed over when
        it has ended.  Where it fails, see `_see_to_withheld`.
        """
        stored: list[tuple[Challenge, Message]] = []
        try:
            yield stored
        except StoreError as error:
            # Whoever has asked is given no challenge; whether there is one nobody knows.
            if self.internal and not isinstance(error, StoreConflictError):
                self._withheld.extend(challenge for challenge, _ in stored)
            raise
        for one in stored:
            self.hand_over(*one)

    def waiting(self, transaction_id: str) -> Callable[[float], MessageState]:
        """
        `wait` for one challenge, for who comes later: what this process is sending now it will
        know then, without asking the store.
        """
        with self._lock:
            sending = self._sendings.get(transaction_id)
        return partial(self._wait, transaction_id, sending)

    def wait(self, transaction_id: str, until: float) -> MessageState:
        """
        Wait for the verdict on the newest message of a challenge.

        Args:
            until: `time.monotonic()` seconds.

        Returns:
            The state of the message then.
        """
        return self.waiting(transaction_id)(until)

    def _wait(self, transaction_id: str, sending: Sending | None, until: float) -> MessageState:
        if sending is not None:
            sending.done.wait(max(0.0, until - time.monotonic()))
            return sending.state
        while True:
            with self._store.read() as tx:
                message = tx.message(transaction_id)
            state: MessageState = message.state if message else "failed"
            left = until - time.monotonic()
            if message is None or message.postponed or state != "queued" or left <= 0:
                return state
            time.sleep(min(POLL_SECONDS, left))

    def way(self, transaction_id: str) -> str:
        """The way that the newest message of a challenge goes."""
        with self._store.read() as tx:
            message = tx.message(transaction_id)
        return message.way if message else SMS

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
        self._receipts.look_again()
        with self._sweeping:
            # A lease lasts for an attempt, not for a wait: no more than can be begun at once.
            most = min(self._loaded.values.delivery.threads - len(self._sendings), SWEEP_MOST)
            if most <= 0 or self._closing.is_set():
                return 0
            self._see_to_withheld()
            now = self._now()
            with self._lock:
                under_way = {one.message.key for one in self._sendings.values()}
            # What may not be taken up yet stands in nobody's way.
            looked_at = most + len(under_way) + self._leases.watched
            with self._store.read() as tx:
                unsent = {message: challenge for challenge, message in tx.unsent(now, looked_at)}
            due = self._leases.left_behind(unsent, under_way)[:most]
            taken: list[Sending] = []
            if due:
                turns = {one: self._turn(one) for one in due}
                with self._store.write(*{unsent[message].account for message in due}) as tx:
                    # Another process may have been faster.
                    for challenge, message in tx.unsent(now, looked_at):
                        name, wait = turns.get(message, ("", math.inf))
                        lost = self._departures.lost(tx, message) if message in turns else None
                        if lost is not None:
                            left = [one for one in message.route if one != lost.provider]
                            after = self._after(challenge, message, lost, left, ())
                            self._note(tx, challenge, after, lost)
                        elif wait == 0:
                            taken.append(Sending(challenge, self._lease(tx, message, now), name))
                        elif message in turns:
                            later = postpone(message, now, wait)
                            tx.save_message(later)
                            if not message.postponed:
                                tx.add_event(postponed_event(challenge, later, now, name))
                            self._alarm.set(wait)
            for sending in taken:
                self._take(sending)
            self._close_late(now)
            return len(taken)

    def _see_to_withheld(self) -> None:
        """
        See to messages whose hook did not hear that they are stored.  Those whose challenge a
        client was given when it asked again are sent; the others nobody could use.
        """
        while self._withheld:
            asked = self._withheld[0]
            # Who still waits for a standby to confirm it holds the lock of the account.
            with self._store.write(asked.account) as tx:
                found = self._wanted_after_all(tx, asked.transaction_id)
            self._withheld.popleft()
            if found is not None:
                self._take(found)

    def _wanted_after_all(self, tx: Transaction, transaction_id: str) -> Sending | None:
        """What is to be sent after all; the challenge is ended where there is nothing."""
        now = self._now()
        challenge, message = tx.challenge(transaction_id), tx.message(transaction_id)
        if challenge is None or message is None or not challenge.is_open(now):
            return None
        if (message.state, message.lease_owner) != ("queued", self.owner):
            return None
        if any(one.kind == "challenge-repeated" for one in tx.events(transaction_id, SWEEP_MOST)):
            return Sending(challenge, self._lease(tx, message, now))
        tx.save_message(replace(message, state="failed"))
        tx.give_back(message)
        tx.save_answer(replace(challenge, state="cancelled"))
        tx.add_event(challenge_event("login-refused", challenge, now, reason="unconfirmed"))
        return None

    def _turn(self, message: Message) -> tuple[str | None, float]:
        """`Chain.turn` of a message; at once where it has no provider: that is found out then."""
        route = self.chain.usable(self._route(message))
        return self.chain.turn(route, message) if route else (None, 0.0)

    def _close_late(self, now: datetime) -> None:
        """Close messages that were never sent and whose code has come to its end."""
        if time.monotonic() - self._late_at < LATE_SECONDS:
            return
        self._late_at = time.monotonic()
        with self._store.read() as tx:
            late = tx.too_late(now, SWEEP_MOST)
        if late:
            with self._store.write(*{challenge.account for challenge, _ in late}) as tx:
                messages = [message for _, message in tx.too_late(now, SWEEP_MOST)]
                for message in messages:
                    tx.save_message(replace(message, state="failed"))
                tx.give_back(*messages)

    def sweep_forever(self) -> None:
        """Sweep until `close`, and hear receipts meanwhile; for a thread of its own."""
        self.chain.listen()
        pause = SWEEP_SECONDS[self._loaded.values.delivery.courier]
        in_trouble = False
        while not self._closing.is_set():
            self._alarm.wait(pause)
            if self._closing.is_set():
                return
            try:
                self.sweep()
                in_trouble = False
            except StoreError as error:
                if not in_trouble:
                    log.warning("cannot look for messages to send: %s", error)
                in_trouble = True
                self._closing.wait(TROUBLE_SECONDS)
            except Exception as error:  # noqa: BLE001  # nobody else would send what is left behind
                log.error("looking for messages to send met %s", type(error).__name__)
                self._closing.wait(TROUBLE_SECONDS)

    def close(self, patience: float = 0.0) -> None:
        """Wait up to `patience` seconds for the messages under way, then let go of everything."""
        self._closing.set()
        self._alarm.set(0)
        deadline = time.monotonic() + patience
        with self._sweeping:
            pass  # what a sweep is taking up now is among the errands after it
        while self._sendings and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        self._threads.dismiss()
        self.chain.close()

    def _take(self, sending: Sending) -> None:
        with self._lock:
            self._sendings[sending.message.transaction_id] = sending
        if not self._threads.add(sending):
            log.error("too many messages wait to be sent; more stay in the store")
            self._forget(sending)

    def _run(self, sending: Sending) -> None:
        try:
            state = self._deliver(sending)
            while state == "failed" and self._goes_on(sending):
                state = self._deliver(sending)
            sending.state = state
        except StoreError as error:
            # The lease runs out, and a later sweep takes the message up again.
            log.warning("a delivery could not be recorded: %s", error)
        finally:
            self._forget(sending)
        # Nobody waits any more.  A receipt may have been faster than the record of its attempt.
        while self._recorded:
            self._receipts.recorded(*self._recorded.popleft())

    def _forget(self, sending: Sending) -> None:
        with self._lock:
            if self._sendings.get(sending.message.transaction_id) is sending:
                del self._sendings[sending.message.transaction_id]
        sending.done.set()

    def _deliver(self, sending: Sending) -> MessageState:
        """Walk one message down its route, and store what every attempt came to."""
        challenge, name = sending.challenge, sending.provider
        held = insist(self._hold, challenge, sending.message)
        if held is None:
            return sending.message.state
        message = held
        sms = compose.message(challenge, message, self._keyring, self._loaded)
        left = self.chain.usable(message.route) if sms is not None else []
        full: list[str] = []  # those of this round that had no room, or could not be reached
        while sms is not None and left and challenge.is_open(self._now()):
            if name is None:
                name, wait = self.chain.turn(left, message)
                if wait >= (challenge.expires_at - self._now()).total_seconds():
                    break
                if wait:
                    route = (name, *(one for one in left if one != name), *full)
                    waiting = postpone(replace(message, route=route), self._now(), wait)
                    return insist(self._record, challenge, waiting)[0].state
            left.remove(name)
            life = (challenge.expires_at - self._now()).total_seconds()
            attempt = self.chain.attempt(
                name, sms, number=message.number, tries=message.tries, seconds=life
            )
            if attempt.verdict == "accepted":  # who waits need not wait for the store as well
                sending.state = "accepted"
                sending.done.set()
            if attempt.verdict in {"busy", "unavailable"}:
                full.append(name)
            elif attempt.verdict != "refused" and self._store.generation:
                self._departures.add(challenge, message, attempt, self._now())
            name = None
            message = self._after(challenge, message, attempt, left, full)
            message, is_wanted = self._keep(challenge, message, attempt)
            if attempt.message_id:
                self._recorded.append((attempt.provider, attempt.message_id))
            if message.lease_owner is None or not is_wanted:
                return message.state
        over = replace(message, state="failed", lease_owner=None, lease_until=None)
        return insist(self._record, challenge, over)[0].state

    def _after(
        self,
        challenge: Challenge,
        message: Message,
        attempt: Attempt,
        left: Sequence[str],
        full: Sequence[str],
    ) -> Message:
        """
        What becomes of a message after one attempt.

        Args:
            left: Providers that are still to be tried in this round.
            full: Those that may take it in another one.
        """
        now, verdict = self._now(), attempt.verdict
        counted = () if verdict in {"accepted", "unknown"} else message.counted
        message = replace(
            message,
            route=(*left, *full),
            provider=attempt.provider,
            counted=counted,
            lease_owner=None,
            lease_until=None,
        )
        if verdict == "accepted":
            return replace(message, state="accepted")
        if verdict == "unknown" and self._loaded.values.delivery.unknown == "stop":
            return replace(message, state="unknown")
        if left:
            until = self._leases.end(now, message.route)
            return replace(message, lease_owner=self.owner, lease_until=until)
        # Who can be reached another way need not wait until a gateway is there again.
        if full and not (verdict == "unavailable" and message.ways_left):
            wait = max(pace.backoff(message.tries, self._chance()), self.chain.wait(full, message))
            if now + timedelta(seconds=wait) < challenge.expires_at:
                return replace(postpone(message, now, wait), tries=message.tries + 1)
        return replace(message, state="failed")

    def _keep(
        self, challenge: Challenge, message: Message, attempt: Attempt
    ) -> tuple[Message, bool]:
        """
        `_record` one attempt, when the store is back if it is gone: else another courier would
        send once more what has left.

        Raises:
            StoreError: It did not come back while the code was valid, or this courier closes.
        """
        is_again = False
        while True:
            try:
                return insist(self._record, challenge, message, attempt, is_again=is_again)
            except StoreError as error:
                if self._closing.wait(RECORD_SECONDS) or not challenge.is_open(self._now()):
                    raise
                if not is_again:
                    log.warning("a delivery is recorded when the store is back: %s", error)
                is_again = True

    def _record(
        self,
        challenge: Challenge,
        message: Message,
        attempt: Attempt | None = None,
        *,
        is_again: bool = False,
    ) -> tuple[Message, bool]:
        """
        Store what one attempt came to, or that there can be none.

        Args:
            is_again: It may have been done before, and nobody has heard of it.

        Returns:
            The message as it is now, and whether anybody still waits for it.
        """
        with self._store.write(challenge.account) as tx:
            if is_again and tx.message(message.transaction_id) == message:
                return message, True
            return self._note(tx, challenge, message, attempt)

    def _note(
        self, tx: Transaction, challenge: Challenge, message: Message, attempt: Attempt | None
    ) -> tuple[Message, bool]:
        """The same, in a transaction."""
        now = self._now()
        if attempt is not None:
            tx.add_attempt(message, attempt, now)
            tx.add_event(attempt_event(challenge, message, attempt, now), message)
        return self._save(tx, message, now, attempt)

    def _reported(self, provider: str, message_id: str, delivered: bool, words: str) -> None:
        """A receipt came: note it, and move on by itself if the message is lost."""
        self._receipts.hear(provider, message_id, Receipt(delivered, words))

    def _sweep_now(self) -> None:
        """Take up a message that was lost; if that fails, any courier's next sweep does."""
        try:
            self.sweep()
        except StoreError as error:
            log.warning("a lost message is sent another way a little later: %s", error)

    def _save(
        self, tx: Transaction, message: Message, now: datetime, attempt: Attempt | None
    ) -> tuple[Message, bool]:
        """Store a message; close its challenge if nobody will ever have the code; see `_record`."""
        if message.state == "accepted":
            tx.save_message(message)
            # There is nothing left to send, whoever waits; so nothing is asked.
            return message, True
        tx.save_message(message, self.owner)
        newest = tx.message(message.transaction_id)
        if newest != message:
            if newest is not None and newest.number > message.number:
                tx.give_back(message)  # it was replaced while it was with a provider
            return message, False
        challenge = tx.challenge(message.transaction_id)
        is_open = challenge is not None and challenge.is_open(now)
        if message.state == "unknown" or (message.state == "queued" and is_open):
            if challenge is not None and message.postponed:
                paced = message.route[0] if attempt is None else None
                tx.add_event(postponed_event(challenge, message, now, paced))
                self._alarm.set(due_in(message, now))
            return message, is_open
        attempts = tx.attempts(message.transaction_id)
        silent = (message.number, "unknown") in {(number, one.verdict) for number, one in attempts}
        state: MessageState = "unknown" if silent else "failed"
        message = replace(message, state=state, lease_owner=None, lease_until=None)
        tx.save_message(message)
        tx.give_back(message)
        is_lost = challenge is not None and is_open and not silent
        if challenge and is_lost and self._goes_another_way(tx, challenge, message, now):
            return message, is_open
        # A resend that failed says nothing of a message before it that has left.
        left = any(one.verdict in {"accepted", "unknown"} for _, one in attempts)
        if challenge and is_lost and (message.number == 1 or not left):
            tx.save_answer(replace(challenge, state="undelivered"))
            tx.add_event(challenge_event("sms-undelivered", challenge, now))
        return message, is_open

    def _goes_another_way(
        self, tx: Transaction, challenge: Challenge, message: Message, now: datetime
    ) -> bool:
        """Let a message that no provider of its way took go the next one, if there is one."""
        limit = self._loaded.values.limits.per_number_hour
        for way in message.ways_left:
            made = replace(message, way=way, sealed_phone=message.sealed[way], provider=None)
            address = compose.address(challenge, made, self._keyring)
            if address is None:
                return False
            tag = code.number_tag(self._keyring.oldest_secret, address)
            counter = Counter(challenge.account, challenge.client)
            if limit and tx.tally(counter, tag, now).number_hour >= limit:
                continue
            route = self._loaded.route(address, way)
            until = self._leases.end(now, route)
            made = replace(made, number=message.number + 1, state="queued", route=route, tries=0)
            made = replace(made, counted=tx.count_message(counter, tag, now), not_before=None)
            tx.add_message(replace(made, lease_owner=self.owner, lease_until=until))
            tx.save_answer(replace(challenge, phone_hint=ways.mask(address)))
            tx.add_event(challenge_event("sms-next-way", challenge, now, way=way))
            return True
        return False

    def _goes_on(self, sending: Sending) -> bool:
        """Whether a message that failed goes another way: then that is what is sent now."""
        failed = sending.message
        if not failed.ways:
            return False
        with self._store.read() as tx:
            newest = tx.message(failed.transaction_id)
        if newest is None or (newest.state, newest.lease_owner) != ("queued", self.owner):
            return False
        sending.message, sending.provider = newest, None
        return newest.number > failed.number

    def _hold(self, challenge: Challenge, message: Message) -> Message | None:
        """Make the lease last for the next attempt.  None if somebody else has taken it over."""
        now = self._now()
        longest = timedelta(seconds=self.chain.longest(message.route))
        if message.lease_until is not None and message.lease_until - now >= longest:
            return message
        with self._store.write(challenge.account) as tx:
            if tx.message(message.transaction_id) != message:
                return None
            return self._lease(tx, message, now)

    def _lease(self, tx: Transaction, message: Message, now: datetime) -> Message:
        """Take the lease of a message that nobody else holds."""
        route = self._route(message)
        until = self._leases.end(now, route)
        leased = replace(message, route=route, lease_owner=self.owner, lease_until=until)
        leased = replace(leased, not_before=None)
        tx.save_message(leased)
        return leased

    def _route(self, message: Message) -> tuple[str, ...]:
        """The providers that a message is to go through; the settings may have changed since."""
        known = tuple(one for one in message.route if one in self._loaded.providers)
        return known or self._loaded.route("", message.way)
