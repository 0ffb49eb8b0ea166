"""
Who asks, what is known of them, and how FreeRADIUS is to check their first factor.

Nothing is decided or stored here: see `core.login` and `service`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from radius_smsotp import counters, devices, elsewhere
from radius_smsotp.core import code, login, phone
from radius_smsotp.core.language import choose
from radius_smsotp.decoy import Decoys
from radius_smsotp.outcome import Preparation
from radius_smsotp.store import questions

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from radius_smsotp.client_policy import ClientPolicy
    from radius_smsotp.core.model import Account
    from radius_smsotp.issuer import Issuer
    from radius_smsotp.pairs import Request
    from radius_smsotp.settings_file import Loaded
    from radius_smsotp.store import Store
    from radius_smsotp.store.questions import Question
    from radius_smsotp.store.transaction import Transaction


class Admission:
    """
    The authorize section's side of a login.

    Args:
        now: The clock: aware UTC.
    """

    def __init__(
        self, loaded: Loaded, store: Store, issuer: Issuer, now: Callable[[], datetime]
    ) -> None:
        self._loaded = loaded
        self._store = store
        self._issuer = issuer
        self._now = now
        self._decoys = Decoys(store, loaded.values.pin.iterations)

    def prepare(self, request: Request) -> Preparation:
        """Find the account, and tell FreeRADIUS how to check the first factor."""
        if request.eap is not None and request.eap.kind in {"identity", "mschapv2"}:
            return Preparation(request.eap.kind, None, None)
        if request.transaction_id is not None and request.password is not None:
            return Preparation("code", None, None)
        if request.transaction_id is not None:
            return Preparation("code", None, None, candidate=self._provable_code(request))
        now = self._now()
        with self._store.read(foreseen=self.questions(request, now)) as tx:
            facts = self.facts(tx, request, now)
        if request.handshake:
            return self._prepare_handshake(request, facts, now)
        password = request.password if request.rewritten else None
        pin_hash = facts.account.pin_hash if facts.account else None
        tail = None if login.obstacle(facts, now) else self._tail(facts, request)
        if tail is not None and tail[1]:
            return Preparation("pin-and-code", tail[0], pin_hash, matched=tail[1])
        decision = login.admit(facts, self.policy(request).login, now)
        # A guess at an open challenge is counted even if no more SMS may be sent: with the real
        # PIN it is refused in `begin`, with another one it ends in `first_factor_failed`.
        if isinstance(decision, login.Refuse) and tail is None:
            # Whatever stands against the login, it looks like a wrong PIN and takes as long.
            ours = pin_hash is not None or not facts.elsewhere
            decoy = self._decoys.of(request.account, pin_hash) if ours else None
            return Preparation("pin", password, decoy, reason=decision.reason)
        return Preparation("pin" if tail is None else "pin-or-code", password, pin_hash)

    def questions(self, request: Request, now: datetime) -> list[Question]:
        """What `facts` asks first."""
        name = request.account
        first = questions.account(name), questions.open_of(name, now)
        return [*first, *counters.questions_of(request)]

    def facts(self, tx: Transaction, request: Request, now: datetime) -> login.Facts:
        """What the rules of a login need to know of who asks, from one transaction."""
        name = request.account
        account = tx.account(name)
        own = self.policy(request)
        countries = self._loaded.values.limits.countries
        if request.phones:
            number = elsewhere.number(request, own.country, countries)
        else:
            number = account.phone if account else None
        tag = "" if number is None else self._issuer.number_tag(number)
        running = tx.open_challenges(now, name)
        counter = counters.find(tx, request, now)
        return login.Facts(
            account=account,
            phone=number,
            elsewhere=bool(request.phones),
            number_tag=tag,
            allowed=number is None or phone.is_allowed(number, countries),
            counter=counter.name,
            lockout=counter.lockout,
            running=login.answerable(running, request.client, own.login, now),
            client=request.client.name,
            remembered=devices.is_known(tx, request, own, tag, now),
            # Last: other accounts of this client may have to wait until it is counted.
            tally=tx.tally(
                counter.name, counters.tagged(counter.name, request, tag), request.client.name, now
            ),
        )

    def policy(self, request: Request, language: str = "") -> ClientPolicy:
        """What holds for whoever asks; in a language if one is given, else in the client's."""
        client = request.client
        return self._loaded.for_client(client.name, client.address, client.ssid, language)

    def language(self, request: Request, account: Account | None) -> str:
        """
        What the person behind a request reads: FreeRADIUS's attribute wins over the account.

        Nobody but who has proved the first factor may be answered in it: it would tell whether
        there is such an account.

        Returns:
            A language that there are texts in; "" if the client's will do.
        """
        known = self._loaded.languages
        given = choose(request.language, known)
        return given or choose((account and account.language) or "", known)

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

    def _provable_code(self, request: Request) -> str | None:
        """What a handshake is to prove in the second step: the code, if it can be accepted."""
        asked = request.transaction_id or ""
        with self._store.read(foreseen=[questions.challenge(asked)]) as tx:
            challenge = tx.challenge(asked)
        if challenge is None or not challenge.is_open(self._now()):
            return None
        return self._issuer.expected(challenge)

    def _prepare_handshake(
        self, request: Request, facts: login.Facts, now: datetime
    ) -> Preparation:
        """
        The same for CHAP and MS-CHAP, which prove a password and do not show it.

        PIN and code in one password can be proved if FreeRADIUS knows the PIN in the clear.  If
        it does not, the code alone may follow the PIN, from the same station only.
        """
        client = request.client
        if login.obstacle(facts, now) is None and facts.running:
            newest = facts.running[0]
            expected = self._issuer.expected(newest)
            near = client.station and (client.name, client.station) == (
                newest.client,
                newest.station,
            )
            if request.cleartext is not None or near:
                candidate = (request.cleartext or "") + expected
                matched = newest.transaction_id
                return Preparation("pin-or-code", None, None, matched, candidate=candidate)
        decision = login.admit(facts, self.policy(request).login, now)
        reason = decision.reason if isinstance(decision, login.Refuse) else ""
        return Preparation("pin", None, None, reason=reason)
