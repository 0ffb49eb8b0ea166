"""
One login, step by step: facts from the store, a decision of `login.rules`, its effects.

Each method is one request of FreeRADIUS and one transaction.  No network, no password hash.

What spends a code or counts a guess must be durable before the answer leaves.  With `sync` it is
when the method returns; without, whoever calls has to `Store.sync` what was written.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timezone

from radius_smsotp.delivery.courier import Courier
from radius_smsotp.login import answers, attributes, rules, stations
from radius_smsotp.login.answers import Accepted, Challenged, Outcome, Preparation, Rejected
from radius_smsotp.login.candidates import Candidates
from radius_smsotp.login.challenges import Issuer
from radius_smsotp.login.facts import FactReader
from radius_smsotp.login.methods import Methods
from radius_smsotp.login.noise import Report
from radius_smsotp.login.pins import Pins
from radius_smsotp.login.replays import Replays, Use, of_emergency
from radius_smsotp.login.request import Request, Step
from radius_smsotp.login.request import login_event as _event
from radius_smsotp.model import forms, identity, lockout, pin, ways
from radius_smsotp.model.events import REASONS
from radius_smsotp.model.records import (
    Challenge,
    Client,
    Counted,
    Counter,
    Event,
    Known,
    Message,
    Tally,
)
from radius_smsotp.model.text import GTC_OCTETS, REPLY_MESSAGE_OCTETS, fill, fill_within
from radius_smsotp.settings.file import Loaded
from radius_smsotp.settings.keyring import Keyring
from radius_smsotp.settings.policy import ClientPolicy
from radius_smsotp.settings.schema import TextSettings
from radius_smsotp.store import Store, tallies
from radius_smsotp.store.transaction import Transaction

log = logging.getLogger(__name__)

BY_CLIENT = {"reason": "client"}
"""What an event says of a login whose first factor the client has checked."""

EMERGENCY = {"reason": "emergency"}
"""What an event says of a login with an emergency code."""


class Service:
    """
    The logins of one radiusd.

    Args:
        now: The clock: aware UTC.
        replays: What was accepted here, where the store may come to forget it.
    """

    def __init__(
        self,
        loaded: Loaded,
        keyring: Keyring,
        store: Store,
        courier: Courier,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        replays: Replays | None = None,
    ) -> None:
        self._for_all = loaded.values.texts
        self._store = store
        self._courier = courier
        self._issuer = Issuer(loaded, keyring, courier)
        self._candidates = Candidates(self._issuer)
        self._reader = FactReader(loaded, self._issuer)
        self._pins = Pins(loaded.values.pin.iterations, keyring, store)
        self._methods = Methods()
        self._now = now
        self._replays = replays or Replays(None, now())

    def close(self) -> None:
        """Let go of what is its own."""
        self._pins.close()

    # What FreeRADIUS asks

    def prepare(self, request: Request) -> Preparation:
        """Find the account, and tell FreeRADIUS how to check the first factor."""
        asked = request.eap.step if request.eap else None
        if asked is Step.IDENTITY or asked is Step.MSCHAPV2:
            return Preparation(asked, None, None)
        if request.transaction_id is not None and request.password is not None:
            return Preparation(Step.CODE, None, None)
        if request.transaction_id is not None:
            asker = request.asker(request.transaction_id)
            known = self._replays.correct(self._store.look(asker, now := self._now()))
            return self._candidates.answer(known, request.transaction_id, now)
        now = self._now()
        own = self._reader.policy(request)
        typed = forms.first_factor(request.password or "", own.forms)
        if typed != (request.password or ""):
            request = replace(request, password=typed, rewritten=True)
        named = self._reader.named(request)
        asker = request.asker(number_tag=named.tag)
        known = self._replays.correct(self._store.look(asker, now))
        facts = self._reader.facts(None, known, request, named, now)
        decision = rules.admit(facts, own.login, now)
        # FreeRADIUS's own no comes first.
        refused = request.reason or ("sshd" if pin.is_fake(typed) else "")
        refused = refused or (decision.reason if isinstance(decision, rules.Refuse) else "")
        if request.handshake:
            return self._candidates.handshake(request, facts, refused, now, own.forms)
        password = request.password if request.rewritten else None
        sealed = facts.account.pin_hash if facts.account else None
        open_to_codes = not refused or refused in rules.WITHHELD
        if sealed and not self._pins.has_key(sealed) and open_to_codes:
            refused, open_to_codes = "other-key", False
            log.error("%r: %s", request.user, REASONS[refused])
        if sealed is None and not request.known_good:
            # pap would say that it cannot work, and at once: anybody would learn of the account.
            sealed = self._pins.decoy(known.neighbour)
        # A guess at an open challenge is counted even if no more SMS may be sent: with the real
        # PIN it is refused in `begin`, with another one it ends in `first_factor_failed`.
        triggers = () if request.tunnelled else own.first_factor_by_client
        if typed.strip().casefold() in triggers and not refused:
            return Preparation(Step.PIN, None, None, unasked=True)
        read_as = (*own.forms, forms.ALONE) if triggers else own.forms
        tail = self._candidates.tail(request, facts, now, read_as) if open_to_codes else None
        if tail is not None and tail.right:
            pin_hash = self._pins.opened(request.account, sealed)
            step = Step.PIN_AND_OLD_CODE if tail.spent else Step.PIN_AND_CODE
            found = Preparation(step, tail.head or None, pin_hash, tail.transaction_id)
            return replace(found, number=tail.number, unasked=not tail.head)
        if tail is not None and not tail.head:
            newest = facts.running[0].transaction_id
            return Preparation(Step.CODE, None, None, matched=newest, unasked=True)
        if refused and tail is None:
            # Whatever stands against the login, it looks like a wrong PIN and takes as long.
            ours = sealed is not None or not facts.elsewhere
            decoy = self._pins.decoy(known.neighbour) if ours else None
            pin_hash = self._pins.opened(request.account, decoy)
            return Preparation(Step.PIN, password, pin_hash, reason=refused)
        step = Step.PIN if tail is None else Step.PIN_OR_CODE
        return Preparation(step, password, self._pins.opened(request.account, sealed))

    def ask(self, request: Request) -> Challenged:
        """Ask for the first factor, where the protocol begins with a name alone."""
        return Challenged("", self._texts(request).first_factor, "challenge")

    def begin(self, request: Request, *, sync: bool = True) -> Outcome:
        """The first factor was right: open a challenge, or spend the code that came with it."""
        return self._remembered(self._begun(request, sync=sync))

    def _begun(self, request: Request, *, sync: bool) -> Outcome:
        if request.judged and (request.matched or request.number is None):
            return self._judge(request, request.matched, compared=True, sync=sync)
        now = self._now()
        own = self._reader.policy(request)
        durable = sync and request.judged
        named = self._reader.named(request)
        asker = request.asker(number_tag=named.tag)
        with (
            self._courier.sending() as to_send,
            self._store.login(asker, now, durable=durable) as (tx, stored),
        ):
            known = self._replays.correct(stored)
            facts = self._reader.facts(tx, known, request, named, now)
            self._pins.renew(facts.account, None if request.handshake else request.password)
            decision = rules.admit(facts, own.login, now)
            if request.judged and not isinstance(decision, rules.Refuse):
                # An emergency code came with the first factor, and nobody had asked for it.
                own = self._reader.policy(request, self._reader.language(request, facts.account))
                challenge = self._issuer.issue(request, facts, own, now)
                tx.add_challenge(challenge)
                tx.add_event(_event("challenge-opened", request, now, challenge, **EMERGENCY))
                return self._judged(tx, request, known, challenge, own, now, compared=True)[0]
            if isinstance(decision, rules.Refuse):
                told = _told(facts.faults)
                reason = decision.reason
                tx.note(_event("login-refused", request, now, None, reason=reason, **told))
                texts = own.texts
                return Rejected(texts.start_again if reason == "old-code" else texts.failed)
            if isinstance(decision, rules.Trust):
                stations.welcome(tx, request, facts.counter, now)
                tx.add_event(_event("device-accepted", request, now))
                return Accepted()
            if isinstance(decision, rules.Repeat):
                challenge = decision.challenge
                tx.note(_event("challenge-repeated", request, now, challenge))
                own = self._policy_of(request, challenge)
                message = tx.message(challenge.transaction_id)
                return self._challenged(request, challenge, own, message=message)
            own = self._reader.policy(request, self._reader.language(request, facts.account))
            challenge = self._issuer.issue(request, facts, own, now)
            tx.add_challenge(challenge)
            if challenge.emergency:
                tx.add_event(_event("challenge-opened", request, now, challenge, **EMERGENCY))
                return self._challenged(request, challenge, own)
            for waiting in facts.waiting:
                tx.withdraw(waiting)
            less = facts.waiting.values()
            counted = tx.count_message(facts.counter, facts.number_tag, now, less)
            message = self._issuer.address(challenge, request, facts, own, counted, now)
            tx.add_message(message)
            to_send.append((challenge, message))
            if known.number_tag != facts.number_tag:
                tx.put_number_tag(request.account, facts.number_tag)
            told = _told(facts.faults) | (BY_CLIENT if request.unasked else {})
            if facts.account is not None and facts.account.overridden(now):
                told["override"] = identity.mask_number(facts.phone or "")
            tx.add_event(_event("challenge-opened", request, now, challenge, **told))
        asked = self._challenged(request, challenge, own, message=message)
        # It may have gone another way by the time that this is said.
        hints = {one.word: ways.mask(one.address) for one in facts.ways}
        others = {
            word: self._challenged(request, replace(challenge, phone_hint=hint), own).text
            for word, hint in hints.items()
        }
        return replace(asked, by_way=others) if others else asked

    def answer(self, request: Request, *, sync: bool = True) -> Outcome:
        """Judge the answer to a challenge."""
        asked = request.transaction_id or request.matched
        return self._remembered(self._judge(request, asked, compared=False, sync=sync))

    def _judge(
        self, request: Request, transaction_id: str, *, compared: bool, sync: bool
    ) -> Outcome:
        """Judge what came for a challenge, and store what follows; see `Candidates.given`."""
        now = self._now()
        asker = request.asker(transaction_id)
        with self._store.login(asker, now, durable=sync) as (tx, stored):
            known = self._replays.correct(stored)
            challenge = known.named(transaction_id)
            own = self._policy_of(request, challenge)
            outcome, again = self._judged(
                tx, request, known, challenge, own, now, compared=compared
            )
        if again is not None:
            self._courier.hand_over(*again)
        return outcome

    def _judged(
        self,
        tx: Transaction,
        request: Request,
        known: Known,
        challenge: Challenge | None,
        own: ClientPolicy,
        now: datetime,
        *,
        compared: bool,
    ) -> tuple[Outcome, tuple[Challenge, Message] | None]:
        """The same, within a transaction.  Returns also the message that is to be sent now."""
        again: tuple[Challenge, Message] | None = None
        codes = known.emergency
        others = rules.answerable(known.challenges, request.client, own.login, now)
        answer, number = self._candidates.given(
            request, challenge, codes, others, now, compared=compared
        )
        counter = stations.counter_of(known, request, now)
        message = made = None
        tag, tally = "", Tally()
        less: list[Counted] = []
        way = rules.asked_way(answer.text, own.login)
        if challenge is not None and way is not None:
            message = tx.message(challenge.transaction_id)
            made = self._issuer.reissue(challenge, message, now, way) if message else None
            if message is not None and made is None:
                answer = replace(answer, ways=(*message.sealed,))
            tag = self._issuer.message_tag(challenge, made)
            tally = tx.tally(counter, tag, now)
            less = [message.counted] if message is not None and message.waits else []
            tally = tallies.without(tally, counter, tag, less)
        decision = rules.judge(challenge, answer, counter.lockout, tally, own.login, now)
        if isinstance(decision, rules.Resend) and message is not None and made is not None:
            told = {}
            if made.ways:
                hint = ways.mask(self._issuer.address_of(decision.challenge, made) or "")
                decision = rules.Resend(replace(decision.challenge, phone_hint=hint))
                told = {"way": made.way}
            counted = tx.count_message(counter, tag, now, less)
            again = decision.challenge, replace(made, counted=counted)
            tx.save_answer(decision.challenge)
            if message.state == "queued":
                tx.save_message(replace(message, state="replaced"))
            tx.add_message(again[1])
            tx.add_event(_event("sms-resent", request, now, decision.challenge, **told))
        outcome = self._settle(tx, request, counter, decision, own, now, number)
        if isinstance(decision, rules.Accept):
            uses = [Use(one.transaction_id, 0, one.expires_at) for one in decision.spends]
            if number is not None and codes is not None:
                codes = codes.less(number)
                tx.put_emergency(codes)
                uses.append(of_emergency(codes, number))
            outcome = Accepted(tuple(uses), begun=decision.challenge.created_at)
        return outcome, again

    def _remembered(self, outcome: Outcome) -> Outcome:
        """An outcome that is written: what it has spent is spent, whatever becomes of the store."""
        if isinstance(outcome, Accepted):
            self._replays.add(outcome.uses, self._now())
        return outcome

    def first_factor_failed(self, request: Request, *, sync: bool = True) -> Rejected:
        """The PIN was wrong, or the login was refused whatever the PIN."""
        now = self._now()
        own = self._reader.policy(request)
        with self._store.login(request.asker(), now, durable=sync) as (tx, known):
            if reason := request.reason or request.by_domain:
                # As much is written as for a wrong PIN, and synced: it must not show in the time.
                about_number = reason in rules.OF_NUMBERS
                told = _told(self._reader.number(request)[1] if about_number else ())
                tx.note(_event("login-refused", request, now, None, reason=reason, **told))
                tx.note_refusal(request.account, now)
                return Rejected(own.texts.failed)
            counter = stations.counter_of(known, request, now)
            answerable = rules.answerable(known.challenges, request.client, own.login, now)
            reason = self._hopeless(request, known)
            reason = reason or self._mistaken(request, known, answerable, own, now)
            # No code that is open was tried.
            alone = request.step in {Step.PIN, Step.PIN_AND_OLD_CODE}
            uncounted = request.uncompared and alone
            if not uncounted and alone and not request.changes:
                failures = counter.lockout.failures
                if uncounted := self._methods.is_counted(request, failures, now):
                    reason = "in-turn"
            detail = {"reason": reason} if reason else {}
            if request.method:
                detail["method"] = request.method
            guessed: list[Challenge] = []
            if not alone:
                # It may have been the right PIN and a wrong code: that is a guess as well.
                guessed = answerable
            if not all(map(self._issuer.knows, guessed)):
                detail = {"reason": "other-key"}
            self._note(tx, _event("pin-wrong", request, now, None, **detail), request)
            if uncounted:
                # Nobody has guessed, or the guess was counted.
                tx.note_refusal(request.account, now)
                return Rejected(own.texts.failed)
            counted = lockout.after_failure(counter.lockout, own.login, now)
            stations.count_failure(tx, request, counter, counted, now)
            for challenge in filter(self._issuer.knows, guessed):
                tx.save_answer(rules.burn(challenge))
        return Rejected(own.texts.failed)

    def _hopeless(self, request: Request, known: Known) -> str:
        """Why no first factor would have been right; "" if one would."""
        hashed = known.account is not None and known.account.pin_hash is not None
        if request.uncompared:
            return "hashed-pin" if hashed and not request.provable else "unprovable"
        decoy = self._pins.opened(request.account, self._pins.decoy(known.neighbour))
        return "no-pin" if request.mismatch and request.pin_hash == decoy and not hashed else ""

    def _mistaken(
        self,
        request: Request,
        known: Known,
        answerable: Sequence[Challenge],
        own: ClientPolicy,
        now: datetime,
    ) -> str:
        """What a password was that was no first factor; "" if it may have been meant as one."""
        if request.password is None:
            return ""
        if pin.is_garbled(request.password):
            return "garbled"
        if not self._candidates.is_alone(request.password, answerable, known, now):
            return ""
        return "code-alone" if attributes.style(request, own.style) == "reject" else "no-state"

    def first_factor_down(self, request: Request) -> Rejected:
        """The module that checks the first factor did not answer: nobody's fault, not counted."""
        with self._store.write(request.account) as tx:
            tx.note(_event("first-factor-down", request, self._now()))
        return self.unavailable(request)

    def held_back(self, request: Request) -> Rejected:
        """There is too much noise: the words of a wrong PIN; nothing is looked at or written."""
        event = _event("login-refused", request, self._now(), None, reason="noise")
        self._store.trail.count([event])
        return Rejected(self._texts(request).failed)

    def note_noise(self, client: Client, report: Report) -> None:
        """Tell of a client that makes noise."""
        where = f", from station {report.station}" if report.station else ""
        told = f"{report.failures} wrong PINs or unknown names, and {report.held} not looked at"
        log.warning("noise of client %s%s: %s", client.name, where, told)
        detail: dict[str, str | int | float] = {"failures": report.failures, "held": report.held}
        event = Event("noise", self._now(), "", "", client.name, report.station, detail)
        with self._store.write() as tx:
            tx.add_event(event)

    def malformed(self, request: Request | None = None) -> Rejected:
        """The request is nothing that could ever log in."""
        if request is not None and request.nul:
            # No name has one, and PostgreSQL takes none.
            asked = replace(request, user="") if "\0" in request.user else request
            garbled = pin.is_garbled((request.password or "").replace("\0", ""))
            reason = "garbled" if garbled else "nul"
            with self._store.write(asked.account) as tx:
                tx.note(_event("login-refused", asked, self._now(), reason=reason))
        elif request is not None and request.eap is not None and request.eap.fault:
            reason, fault = request.eap.reason, request.eap.fault
            told = _event("eap-refused", request, self._now(), reason=reason, text=fault)
            with self._store.write(request.account) as tx:
                if tx.note(told):
                    log.warning("the device of %r %s", request.user, fault)
        return Rejected(self._texts(request).failed)

    def unavailable(self, request: Request | None = None, *, others: bool = False) -> Rejected:
        """
        The store, or what checks the first factor, did not answer.

        Args:
            others: There are other servers, which the client may turn to if we say nothing.
        """
        down = "reject" if request is None else self._reader.policy(request).store_down
        # A conversation of EAP cannot go on at another server.
        alone = request is None or request.eap is not None or request.tunnelled
        silent = not alone and (down == "silent" or (down == "auto" and others))
        return Rejected(self._texts(request).unavailable, silent=silent)

    def _texts(self, request: Request | None) -> TextSettings:
        """What the users of a client read; those of all, if it is not known who asks."""
        return self._reader.policy(request).texts if request else self._for_all

    def _policy_of(self, request: Request, challenge: Challenge | None) -> ClientPolicy:
        """What holds for an answer, in the language in which its login began."""
        return self._reader.policy(request, challenge.language if challenge else "")

    # Effects

    def _settle(
        self,
        tx: Transaction,
        request: Request,
        counter: Counter,
        decision: rules.Judgement,
        own: ClientPolicy,
        now: datetime,
        number: int | None,
    ) -> Outcome:
        """Store what follows from a judgement, and put it into words; `number`: see `given`."""
        challenge = decision.challenge
        match decision:
            case rules.Accept():
                self._let_in(tx, request, counter, decision, own, now, number)
                return Accepted()
            case rules.Again():
                for one in (decision.challenge, *decision.others):
                    tx.save_answer(one)
                tx.add_event(_event("code-wrong", request, now, challenge))
                stations.count_failure(tx, request, counter, decision.lockout, now)
                before = answers.wrong_code(decision.challenge, own)
                return self._challenged(request, decision.challenge, own, before)
            case rules.Retransmitted():
                tx.note(_event("answer-repeated", request, now, challenge))
                return self._answered(request, decision.challenge, own)
            case rules.Resend():
                return self._challenged(request, decision.challenge, own, own.texts.resent)
            case rules.ResendDenied():
                event = _event("sms-resend-denied", request, now, challenge, reason=decision.limit)
                tx.note(event)
                denied = own.texts.resend_denied
                if decision.limit == "no-way":
                    denied = fill(own.texts.ways, {"ways": ", ".join(decision.ways)})
                return self._challenged(request, decision.challenge, own, denied)
            case rules.Unasked():
                tx.save_answer(decision.challenge)
                tx.note(_event("password-repeated", request, now, challenge))
                return self._challenged(replace(request, style="reject"), decision.challenge, own)
            case rules.Reject():
                for changed in (decision.challenge, *decision.others):
                    if changed is not None:
                        tx.save_answer(changed)
                event = _event("code-rejected", request, now, challenge, reason=decision.reason)
                self._note(tx, event, request)
                if decision.lockout is not None:
                    stations.count_failure(tx, request, counter, decision.lockout, now)
                undelivered = decision.reason == "undelivered"
                texts = own.texts
                return Rejected(texts.undelivered if undelivered else texts.start_again)

    def _let_in(
        self,
        tx: Transaction,
        request: Request,
        counter: Counter,
        decision: rules.Accept,
        own: ClientPolicy,
        now: datetime,
        number: int | None,
    ) -> None:
        """Store what follows from the right code."""
        challenge, asked = decision.challenge, decision.asked
        detail: dict[str, str | int | float] = {}
        if number is not None:
            detail = {**EMERGENCY, "emergency": number}
        tx.save_answer(challenge)
        if asked is not None:
            tx.save_answer(asked)
            detail["asked"] = asked.transaction_id
        codes = () if challenge.emergency else (challenge.spending,)
        stations.welcome(tx, request, counter, now, *codes)
        tx.add_event(_event("code-accepted", request, now, challenge, **detail))
        # The lost device may be one that would be remembered.
        if own.remember.hours and not challenge.emergency:
            message = tx.message(challenge.transaction_id)
            tag = self._issuer.first_tag(challenge, message)
            stations.remember(tx, request, own, tag, now)

    def _note(self, tx: Transaction, event: Event, request: Request) -> None:
        """Note a refusal; in the log stands too, as often as in the trail, what is up to us."""
        if tx.note(event) and event.detail.get("reason") == "other-key":
            log.error("%r: %s", request.user, REASONS["other-key"])

    def _answered(self, request: Request, challenge: Challenge, own: ClientPolicy) -> Outcome:
        """The reply that the same packet got before."""
        if challenge.state == "spent":
            return Accepted(begun=challenge.created_at)
        again = rules.asks_again(request.password or "", own.login)
        before = own.texts.resent if again else answers.wrong_code(challenge, own)
        return self._challenged(request, challenge, own, before)

    def _challenged(
        self,
        request: Request,
        challenge: Challenge,
        own: ClientPolicy,
        before: str = "",
        *,
        message: Message | None = None,
    ) -> Challenged:
        """
        Ask for the code of a challenge, with a sentence before the prompt if there is one.

        Args:
            message: The one whose verdict is worth waiting for, if it is not there yet.
        """
        echo = ""
        if request.eap is not None:
            echo = request.eap.echo or self._issuer.echo(challenge, request.password or "")
        style = attributes.style(request, own.style)
        values = {
            "phone_hint": challenge.phone_hint,
            "digits": challenge.digits,
            "minutes": challenge.minutes,
            "resend": own.login.resend_word,
        }
        template = own.prompt if style == "challenge" else own.texts.code_sent
        if challenge.emergency:
            texts = own.texts
            template = texts.emergency if style == "challenge" else texts.emergency_again
        room = GTC_OCTETS if request.eap and style == "challenge" else REPLY_MESSAGE_OCTETS
        waits = message is not None and message.state == "queued" and not message.postponed
        waited_for = message if waits else None
        return Challenged(
            challenge.transaction_id,
            fill_within(template, values, room, before),
            style,
            own.wait if waited_for else 0.0,
            waited_for.route if waited_for else (),
            echo,
            own.texts.undelivered,
        )


def _told(faults: Sequence[str]) -> dict[str, str]:
    """What is wrong with values of `SMSOTP-Phone`, for an event's detail."""
    # Without the remedies: trace has one of its own, which is to mend them where they come from.
    return {"number": ", ".join(one.partition(";")[0] for one in faults)} if faults else {}
