"""
One login, step by step: facts from the store, a decision of `core.login`, its effects.

Each method is one request of FreeRADIUS and one transaction.  No network, no password hash.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from radius_smsotp import elsewhere, prompt
from radius_smsotp.core import code, lockout, login, phone, pin
from radius_smsotp.core.model import Challenge, Event, Lockout, Tally
from radius_smsotp.core.name import fold
from radius_smsotp.issuer import Issuer
from radius_smsotp.outcome import Accepted, Challenged, Outcome, Preparation, Rejected

if TYPE_CHECKING:
    from collections.abc import Callable

    from radius_smsotp.courier import Courier
    from radius_smsotp.keyring import Keyring
    from radius_smsotp.pairs import Request
    from radius_smsotp.settings_file import ClientPolicy, Loaded
    from radius_smsotp.store import Store
    from radius_smsotp.store.transaction import Transaction

log = logging.getLogger(__name__)


class Service:
    """
    The logins of one radiusd.

    Args:
        now: The clock: aware UTC.
    """

    def __init__(
        self,
        loaded: Loaded,
        keyring: Keyring,
        store: Store,
        courier: Courier,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._loaded = loaded
        self._texts = loaded.values.texts
        self._store = store
        self._courier = courier
        self._issuer = Issuer(loaded, keyring, courier)
        self._now = now
        self._decoy = pin.decoy(
            secrets.token_bytes(pin.SALT_OCTETS + 64), loaded.values.pin.iterations
        )

    # What FreeRADIUS asks

    def prepare(self, request: Request) -> Preparation:
        """Find the account, and tell FreeRADIUS how to check the first factor."""
        now = self._now()
        with self._store.read() as tx:
            facts = self._facts(tx, request, now)
        password = request.password if request.rewritten else None
        pin_hash = facts.account.pin_hash if facts.account else None
        tail = None if login.obstacle(facts, now) else self._tail(facts, request)
        if tail is not None and tail[1]:
            return Preparation("pin-and-code", tail[0], pin_hash, matched=tail[1])
        decision = login.admit(facts, self._policy(request).login, now)
        # A guess at an open challenge is counted even if no more SMS may be sent: with the real
        # PIN it is refused in `begin`, with another one it ends in `first_factor_failed`.
        if isinstance(decision, login.Refuse) and tail is None:
            # Whatever stands against the login, it looks like a wrong PIN and takes as long.
            ours = pin_hash is not None or not facts.elsewhere
            decoy = self._decoy if ours else None
            return Preparation("pin", password, decoy, reason=decision.reason)
        return Preparation("pin" if tail is None else "pin-or-code", password, pin_hash)

    def begin(self, request: Request) -> Outcome:
        """The first factor was right: open a challenge, or spend the code that came with it."""
        if request.step == "pin-and-code":
            return self._spend_matched(request)
        now = self._now()
        own = self._policy(request)
        with self._store.write() as tx:
            facts = self._facts(tx, request, now)
            decision = login.admit(facts, own.login, now)
            if isinstance(decision, login.Refuse):
                tx.add_event(_event("login-refused", request, now, reason=decision.reason))
                return Rejected(self._texts.failed)
            if isinstance(decision, login.Trust):
                tx.clear_lockout(fold(request.user))
                tx.add_event(_event("device-accepted", request, now))
                return Accepted()
            if isinstance(decision, login.Repeat):
                tx.add_event(_event("challenge-repeated", request, now, decision.challenge))
                return self._challenged(request, decision.challenge, own)
            challenge = self._issuer.issue(request, facts, own, now)
            tx.add_challenge(challenge)
            tag = self._issuer.number_tag(facts.phone or "")
            tx.count_message(challenge.account, tag, challenge.client, now)
            tx.add_event(_event("challenge-opened", request, now, challenge))
        self._courier.hand_over(challenge)
        return self._challenged(request, challenge, own)

    def answer(self, request: Request) -> Outcome:
        """Judge the answer to a challenge."""
        now = self._now()
        own = self._policy(request)
        name = fold(request.user)
        answer = request.password or ""
        again = None
        with self._store.write(durable=True) as tx:
            challenge = tx.challenge(request.transaction_id or "")
            tally = Tally()
            if challenge is not None and login.asks_again(answer, own.login):
                tag = self._issuer.challenge_tag(challenge)
                tally = tx.tally(name, tag, challenge.client, now)
            decision = login.judge(
                challenge,
                name,
                answer,
                self._issuer.expected(challenge),
                tx.lockout(name),
                tally,
                own.login,
                now,
                client=request.client,
                tag=self._issuer.answer_tag(request),
            )
            if isinstance(decision, login.Resend):
                again = self._resend(tx, request, decision.challenge, now)
            outcome = self._settle(tx, request, decision, own, now)
        if again is not None:
            self._courier.hand_over(again)
        return outcome

    def first_factor_failed(self, request: Request) -> Rejected:
        """The PIN was wrong, or the login was refused whatever the PIN."""
        now = self._now()
        name = fold(request.user)
        with self._store.write(durable=not request.reason) as tx:
            if request.reason:
                tx.add_event(_event("login-refused", request, now, reason=request.reason))
                return Rejected(self._texts.failed)
            policy = self._policy(request).login
            counted = lockout.after_failure(tx.lockout(name), policy, now)
            tx.add_event(_event("pin-wrong", request, now))
            self._count_failure(tx, request, counted, now)
            if request.step != "pin":
                # It may have been the right PIN and a wrong code: that is a guess as well.
                for challenge in tx.open_challenges(now, name):
                    tx.save_answer(login.burn(challenge))
        return Rejected(self._texts.failed)

    def first_factor_down(self, request: Request) -> Rejected:
        """The module that checks the first factor did not answer: nobody's fault, not counted."""
        with self._store.write() as tx:
            tx.add_event(_event("first-factor-down", request, self._now()))
        return Rejected(self._texts.unavailable)

    def undelivered(self) -> Rejected:
        """Every provider refused while the first step waited."""
        return Rejected(self._texts.undelivered)

    def malformed(self) -> Rejected:
        """The request is nothing that could ever log in."""
        return Rejected(self._texts.failed)

    def unavailable(self) -> Rejected:
        """The store did not answer."""
        return Rejected(self._texts.unavailable)

    # Facts

    def _facts(self, tx: Transaction, request: Request, now: datetime) -> login.Facts:
        name = fold(request.user)
        account = tx.account(name)
        if request.phones:
            number = elsewhere.number(request, self._loaded.values)
        else:
            number = account.phone if account else None
        tag = "" if number is None else self._issuer.number_tag(number)
        countries = self._loaded.values.limits.countries
        client = request.client
        may_be_remembered = bool(self._policy(request).remember) and client.station != ""
        return login.Facts(
            account=account,
            phone=number,
            elsewhere=bool(request.phones),
            allowed=number is None or phone.is_allowed(number, countries),
            lockout=tx.lockout(name),
            tally=tx.tally(name, tag, client.name, now),
            running=tx.open_challenges(now, name),
            client=client.name,
            remembered=may_be_remembered
            and tx.is_remembered(name, client.name, client.station, now),
        )

    def _policy(self, request: Request) -> ClientPolicy:
        return self._loaded.for_client(request.client.name, request.client.address)

    def _tail(self, facts: login.Facts, request: Request) -> tuple[str, str] | None:
        """
        Try the end of a password as code of an open challenge.

        Returns:
            The head, and the challenge that the tail is the code of, or ""; None if the
            password does not end in a code, or no challenge is open.
        """
        found: tuple[str, str] | None = None
        for challenge in facts.running:
            parts = login.split_password(request.password or "", challenge.digits)
            if parts is None:
                continue
            if code.matches(parts[1], self._issuer.expected(challenge)):
                return parts[0], challenge.transaction_id
            found = (parts[0], "")
        return found

    # Effects

    def _spend_matched(self, request: Request) -> Outcome:
        """The PIN was right, and the code behind it was compared before: spend its challenge."""
        now = self._now()
        own = self._policy(request)
        name = fold(request.user)
        # Both factors came in one request: nothing half-open is taken over from elsewhere.
        policy = replace(own.login, binding="account")
        with self._store.write(durable=True) as tx:
            challenge = tx.challenge(request.matched)
            expected = self._issuer.expected(challenge)
            decision = login.judge(
                challenge,
                name,
                expected,
                expected,
                tx.lockout(name),
                Tally(),
                policy,
                now,
                client=request.client,
            )
            return self._settle(tx, request, decision, own, now)

    def _settle(
        self,
        tx: Transaction,
        request: Request,
        decision: login.Judgement,
        own: ClientPolicy,
        now: datetime,
    ) -> Outcome:
        """Store what follows from a judgement, and put it into words."""
        challenge = decision.challenge
        match decision:
            case login.Accept():
                tx.save_answer(decision.challenge)
                tx.clear_lockout(fold(request.user))
                if own.remember and request.client.station:
                    name, station = request.client.name, request.client.station
                    tx.remember_device(fold(request.user), name, station, now + own.remember)
                tx.add_event(_event("code-accepted", request, now, challenge))
                return Accepted()
            case login.Again():
                tx.save_answer(decision.challenge)
                tx.add_event(_event("code-wrong", request, now, challenge))
                self._count_failure(tx, request, decision.lockout, now)
                before = prompt.wrong_code(decision.challenge, self._texts)
                return self._challenged(request, decision.challenge, own, before)
            case login.Echo():
                tx.add_event(_event("answer-repeated", request, now, challenge))
                return self._echoed(request, decision.challenge, own)
            case login.Resend():
                return self._challenged(request, decision.challenge, own, self._texts.resent)
            case login.ResendDenied():
                event = _event("sms-resend-denied", request, now, challenge, reason=decision.limit)
                tx.add_event(event)
                denied = self._texts.resend_denied
                return self._challenged(request, decision.challenge, own, denied)
            case login.Reject():
                if decision.challenge is not None:
                    tx.save_answer(decision.challenge)
                event = _event("code-rejected", request, now, challenge, reason=decision.reason)
                tx.add_event(event)
                if decision.lockout is not None:
                    self._count_failure(tx, request, decision.lockout, now)
                undelivered = decision.reason == "undelivered"
                return self.undelivered() if undelivered else Rejected(self._texts.start_again)

    def _echoed(self, request: Request, challenge: Challenge, own: ClientPolicy) -> Outcome:
        """The reply that the same packet got before."""
        if challenge.state == "spent":
            return Accepted()
        again = login.asks_again(request.password or "", own.login)
        before = self._texts.resent if again else prompt.wrong_code(challenge, self._texts)
        return self._challenged(request, challenge, own, before)

    def _resend(
        self, tx: Transaction, request: Request, challenge: Challenge, now: datetime
    ) -> Challenge:
        again = self._issuer.reissue(challenge, now)
        tx.save_answer(again)
        tx.save_delivery(again, sends_before=challenge.delivery.sends)
        tag = self._issuer.challenge_tag(challenge)
        tx.count_message(challenge.account, tag, challenge.client, now)
        tx.add_event(_event("sms-resent", request, now, challenge))
        return again

    def _count_failure(
        self, tx: Transaction, request: Request, counted: Lockout, now: datetime
    ) -> None:
        name = fold(request.user)
        before = tx.lockout(name)
        tx.put_lockout(name, counted)
        if lockout.is_locked(counted, now) and not lockout.is_locked(before, now):
            tx.add_event(_event("account-locked", request, now))

    def _challenged(
        self, request: Request, challenge: Challenge, own: ClientPolicy, before: str = ""
    ) -> Challenged:
        return prompt.ask(request, challenge, own, self._texts, before)


def _event(
    kind: str,
    request: Request,
    now: datetime,
    challenge: Challenge | None = None,
    **detail: str | int | float,
) -> Event:
    asked = request.matched or request.transaction_id or ""
    return Event(
        kind,
        now,
        fold(request.user),
        challenge.transaction_id if challenge else asked,
        request.client.name,
        request.client.station,
        detail,
    )
