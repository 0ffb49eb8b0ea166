"""What a first step would lead to if the first factor were right.  Nothing is written or sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal

from radius_smsotp.delivery.courier import Courier
from radius_smsotp.login import attributes, rules
from radius_smsotp.login.challenges import Issuer
from radius_smsotp.login.facts import FactReader
from radius_smsotp.login.request import Request
from radius_smsotp.model import identity, lockout, ways
from radius_smsotp.model.records import Style
from radius_smsotp.settings.file import Loaded
from radius_smsotp.settings.keyring import Keyring
from radius_smsotp.store import Store

Source = Literal["", "account", "override", "freeradius"]
"""Where a number is from: our store, the helpdesk's there, `SMSOTP-Phone`; "" if there is none."""

ADMISSIONS = {rules.Open: "open", rules.Repeat: "repeat", rules.Trust: "trust"}
"""What `rules.admit` says, in a word; a refusal has a reason."""


@dataclass(frozen=True, slots=True)
class Prospect:
    """
    Holds no number and no secret.

    Attributes:
        account: The name by which the account is found and counted.
        here: Whether our store has it.
        pin: Whether it has a PIN there.
        admission: ``open``: a code is sent, or an emergency code asked for; ``repeat``: one that
            was sent counts; ``trust``: a remembered device; ``refused``.
        reason: Why it is refused, as a reason of events; "" if it is not.
        number: A hint to it, "" if there is none.
        source: Where that is from.
        faults: See `attributes.number`.
        failures, most_failures: Wrong first factors and codes in a row, and how many lock.
        locked_until: While it is locked.
        sent: Limit to the messages that count for it now, and how many it allows, 0 for any.
        providers: Through which a message would go, in their order.
        skipped: Those of them that a server has found to fail.
        ways: Hints to all ways to the user, by their words, if there are several.
        emergency: Whether an emergency code would be asked for, and nothing sent.
        style: How the code is asked for.
        digits: Of the code.
    """

    account: str
    here: bool
    pin: bool
    admission: str
    reason: str
    number: str
    source: Source
    faults: tuple[str, ...]
    failures: int
    most_failures: int
    locked_until: datetime | None
    sent: dict[str, tuple[int, int]]
    providers: tuple[str, ...]
    skipped: tuple[str, ...]
    ways: dict[str, str]
    emergency: bool
    style: Style
    digits: int


class Foresight:
    """Looks ahead, under one set of settings; see `login.service.Service`."""

    def __init__(self, loaded: Loaded, keyring: Keyring, store: Store, courier: Courier) -> None:
        self._store = store
        self._issuer = Issuer(loaded, keyring, courier)
        self._reader = FactReader(loaded, self._issuer)

    def of(self, request: Request) -> Prospect:
        """
        What a request would lead to.

        Raises:
            StoreError: The store did not answer in time.
        """
        now = datetime.now(timezone.utc)
        named = self._reader.named(request)
        own = self._reader.policy(request)
        # As `Service.begin` has it from its transaction, which this is not: nobody waits for it.
        known = self._store.look(request.asker(), now)
        with self._store.read() as tx:
            facts = self._reader.facts(tx, known, request, named, now)
            breakers = tx.breakers()
        decision = rules.admit(facts, own.login, now)
        refused = decision.reason if isinstance(decision, rules.Refuse) else ""
        own = self._reader.policy(request, self._reader.language(request, facts.account))
        account, tally, policy = facts.account, facts.tally, own.login
        source: Source = ""
        if facts.phone is not None:
            overridden = account is not None and account.overridden(now)
            source = "override" if overridden else "freeradius" if request.phones else "account"
        route = self._issuer.route(request, facts) if facts.phone is not None else ()
        until = facts.lockout.locked_until if lockout.is_locked(facts.lockout, now) else None
        return Prospect(
            account=request.account,
            here=account is not None and not (account.is_bare and account.enabled),
            pin=account is not None and account.pin_hash is not None,
            admission="refused" if refused else ADMISSIONS[type(decision)],
            reason=refused,
            number=identity.mask_number(facts.phone) if facts.phone else "",
            source=source,
            faults=tuple(facts.faults),
            failures=facts.lockout.failures,
            most_failures=policy.lockout_failures,
            locked_until=until,
            sent={
                "per_account_hour": (tally.account_hour, policy.per_account_hour),
                "per_number_hour": (tally.number_hour, policy.per_number_hour),
                "per_client_hour": (tally.client_hour, policy.per_client_hour),
                "per_day": (tally.day, policy.per_day),
            },
            providers=route,
            skipped=tuple(one for one in route if breakers.get(one, ("",))[0] == "open"),
            ways={one.word: ways.mask(one.address) for one in facts.ways},
            emergency=facts.emergency is not None,
            style=attributes.style(request, own.style),
            digits=policy.digits,
        )
