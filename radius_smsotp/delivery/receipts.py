"""Receipts, as they come in: each is noted at its message, whichever process hears of either."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from radius_smsotp.delivery.events import challenge_event
from radius_smsotp.errors import StoreError
from radius_smsotp.model import receipts
from radius_smsotp.model.receipts import HABITS_SEEN, LIVES, Match, Receipt
from radius_smsotp.model.records import SKEW
from radius_smsotp.store import Store, insist

log = logging.getLogger(__name__)

FREE = datetime.fromtimestamp(0, timezone.utc)
"""When the lease of a message has ended that nobody holds: long ago by the clock of any courier."""

EARLY = "\nreceipts"
"""What nobody is called: who keeps a receipt for later makes no login wait."""

KEPT = timedelta(minutes=15)
"""For how long a receipt is kept whose message is not in the store yet: no attempt takes longer,
and no clocks differ by more (see `model.records.SKEW`)."""

KEPT_MOST = 10_000
"""Of those that a process has kept it remembers so many; it says nothing of the others."""

AGAIN_SECONDS = 1.0
"""Between two looks at what is kept because the store did not answer."""

ALL_SECONDS = 60.0
"""Between two looks at everything that is kept: of processes that have ended, too."""

ALL_MOST = 1000
"""What one such look takes at most."""

NEW_MOST = 100
"""What a look in between takes at most."""

STRANGE_SECONDS = 15.0
"""After so long a receipt is said to match nothing: most attempts have ended, and are written."""


class Receipts:
    """
    The receipts of one store's messages.

    Two find each other here, a receipt and the record of its attempt: each writes itself down
    first, then looks for the other one.

    Args:
        now: The clock: aware UTC.
        on_lost: Called when a message was lost, and waits for a courier to send it another way.
    """

    def __init__(
        self,
        store: Store,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._now = now
        self._on_lost = on_lost
        self._lock = threading.Lock()
        self._strange: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._unwritten: OrderedDict[tuple[str, str], Receipt] = OrderedDict()
        self._looked = self._looked_at_all = -ALL_SECONDS

    def hear(self, provider: str, message_id: str, receipt: Receipt) -> None:
        """
        Take a receipt that has come.

        Raises:
            StoreError: The store did not answer; it is tried again by `look_again`, and may come
                again from the network as well.
        """
        provider_id = receipts.normalise(message_id)
        try:
            self._hear(provider, provider_id, receipt)
        except StoreError:
            with self._lock:
                self._unwritten[provider, provider_id] = receipt
                if len(self._unwritten) > KEPT_MOST:
                    self._unwritten.popitem(last=False)
            raise

    def is_known(self, provider: str, message_id: str) -> bool:
        """Whether a provider took a message under this id lately."""
        return self._match(provider, receipts.normalise(message_id)) is not None

    def recorded(self, provider: str, message_id: str) -> None:
        """
        Look for the receipt of an attempt that has just been recorded.

        The store is asked only if one was heard here; of other processes `look_again` learns.
        """
        provider_id = receipts.normalise(message_id)
        writings = (provider_id, *receipts.other_writings(provider_id))
        with self._lock:
            if not any((provider, one) in self._strange for one in writings):
                return
        try:
            with self._store.read() as tx:
                early = tx.early(provider, writings)
            for one, receipt in early.items():
                self._settle(provider, one, receipt)
        except StoreError as error:
            log.warning("whether a receipt came early is looked up later: %s", error)

    def look_again(self) -> None:
        """
        See to what could not be written, what has no message yet, and what is kept in vain.

        Raises:
            StoreError: The store did not answer.
        """
        now = time.monotonic()
        with self._lock:
            if now < self._looked + AGAIN_SECONDS:
                return
            self._looked = now
            all_due = now >= self._looked_at_all + ALL_SECONDS
            self._looked_at_all = now if all_due else self._looked_at_all
            unwritten = [*self._unwritten.items()]
            strange = [one for one, at in self._strange.items() if now >= at + STRANGE_SECONDS]
        for (provider, provider_id), receipt in unwritten:
            self._hear(provider, provider_id, receipt)
            with self._lock:
                self._unwritten.pop((provider, provider_id), None)
        for one in strange:
            self._wonder(*one)
        self._look_at_kept(whole=all_due)

    def _hear(self, provider: str, provider_id: str, receipt: Receipt) -> None:
        if self._settle(provider, provider_id, receipt):
            return
        with self._store.write(EARLY) as tx:
            tx.keep_early(provider, provider_id, receipt, self._now())
        with self._lock:
            self._strange[provider, provider_id] = time.monotonic()
            if len(self._strange) > KEPT_MOST:
                self._strange.popitem(last=False)
        self._settle(provider, provider_id, receipt)

    def _settle(self, provider: str, provider_id: str, receipt: Receipt) -> bool:
        """Note a receipt, if its message is there.  Returns whether it is."""
        match = self._match(provider, provider_id)
        if match is None:
            return False
        is_lost = insist(self._note, provider, provider_id, receipt, match)
        with self._lock:
            self._strange.pop((provider, provider_id), None)
        if is_lost:
            self._on_lost()
        return True

    def _match(self, provider: str, provider_id: str) -> Match | None:
        """The message that a receipt is of, as far as the store knows by now."""
        writings = (provider_id, *receipts.other_writings(provider_id))
        with self._store.read() as tx:
            found = tx.sent(provider, writings, self._now() - LIVES)
            usual = None
            if any(one.provider_id != provider_id for one in found):
                usual = receipts.habit(tx.told_ids(provider, HABITS_SEEN))
        return receipts.choose(found, provider_id, usual)

    def _note(self, provider: str, provider_id: str, receipt: Receipt, match: Match) -> bool:
        """Note a receipt at its message.  Returns whether that waits for another way now."""
        now, sent = self._now(), match.sent
        kind = "sms-delivered" if receipt.delivered else "sms-lost"
        message = sent.message
        with self._store.write(sent.challenge.account) as tx:
            tx.drop_early(provider, provider_id)
            if not tx.note_receipt(sent, provider, kind, provider_id if match.telling else None):
                return False  # it has come before, here or to another process
            detail: dict[str, str | int | float] = {"provider": provider, "text": receipt.words}
            took = (now - sent.time).total_seconds()
            # Less than nothing: the clock was set in between, or is another server's.
            detail |= {"seconds": round(took, 3)} if took >= 0 else {}
            tx.add_event(challenge_event(kind, sent.challenge, now, **detail))
            if receipt.delivered:
                return False
            found, newest = tx.challenge(message.transaction_id), tx.message(message.transaction_id)
            if found is None or not found.is_open(now) or found.emergency or newest != message:
                return False
            taken_by = message.provider if message.state == "accepted" else None
            if taken_by != provider or not message.route:
                return False
            tx.save_message(replace(message, state="queued", lease_owner=None, lease_until=FREE))
            return True

    def _wonder(self, provider: str, provider_id: str) -> None:
        """Say of a receipt that it matches nothing, once; unless its message has come."""
        with self._store.read() as tx:
            receipt = tx.early(provider, (provider_id,)).get(provider_id)
        with self._lock:
            self._strange.pop((provider, provider_id), None)
        if receipt is not None and not self._settle(provider, provider_id, receipt):
            told = "a receipt of %s matches no message of ours (message id %s): %s"
            log.warning(told, provider, provider_id, receipt.words)

    def _look_at_kept(self, *, whole: bool) -> None:
        """
        Look for the messages of what any process has heard: it may have ended, as does `smsotp
        delivered`, before the attempt was recorded.  What is too old is kept no longer.

        Args:
            whole: Not only what came since it was last looked at whole.
        """
        now = self._now()
        until = now - KEPT
        since = None if whole else now - timedelta(seconds=ALL_SECONDS)
        with self._store.read() as tx:
            kept = tx.all_early(now + SKEW, ALL_MOST if whole else NEW_MOST, since)
        for provider, provider_id, receipt, _ in kept:
            self._settle(provider, provider_id, receipt)
        if any(since < until for *_, since in kept):
            with self._store.write(EARLY) as tx:
                tx.forget_early(until)
