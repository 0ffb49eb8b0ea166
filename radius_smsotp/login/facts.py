"""
What is known of who asks, from the request, the settings and the store.

Nothing is decided or stored here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from radius_smsotp.login import attributes, rules, stations
from radius_smsotp.login.challenges import Issuer
from radius_smsotp.login.request import Request
from radius_smsotp.model import identity, ways
from radius_smsotp.model.identity import choose_language
from radius_smsotp.model.records import SMS, Account, Known
from radius_smsotp.settings.file import Loaded
from radius_smsotp.settings.policy import ClientPolicy
from radius_smsotp.store import tallies
from radius_smsotp.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Named:
    """
    The number that a request names.

    Attributes:
        number, faults: See `attributes.number`.
        tag: Of the number (see `model.code.number_tag`), "" if there is none; None if the request
            names none, so that the account's counts.
    """

    number: str | None = field(default=None, repr=False)
    faults: tuple[str, ...] = ()
    tag: str | None = field(default=None, repr=False)


class FactReader:
    """
    Brings together what the rules of a login need to know, under one set of settings.

    Args:
        issuer: Knows under which name messages to a number are counted.
    """

    def __init__(self, loaded: Loaded, issuer: Issuer) -> None:
        self._loaded = loaded
        self._issuer = issuer
        self._may = loaded.values.limits.destinations

    def named(self, request: Request) -> Named:
        """The number that FreeRADIUS has said, if it has."""
        if not request.phones:
            return Named()
        number, faults = self.number(request)
        return Named(number, faults, self._tag(number))

    def facts(
        self,
        tx: Transaction | None,
        known: Known,
        request: Request,
        named: Named,
        now: datetime,
    ) -> rules.Facts:
        """
        What the rules of a first step need, out of what the store knows of who asks.

        Args:
            tx: In which to ask for messages to the number, where the store did not know its tag.
                Without one there are none: that it takes longer would tell of the account.
        """
        account, own = known.account, self.policy(request)
        if account is not None and account.overridden(now):
            named = Named(account.override)
        elif account is not None and not request.phones:
            named = Named(account.phone)
        number, faults = named.number, named.faults
        tag = self._tag(number) if named.tag is None else named.tag
        codes = known.emergency
        counter = stations.counter_of(known, request, now)
        tally = known.tally
        if known.number_tag != tag:
            tally = tx.tally(counter, tag, now) if tx else replace(tally, number_hour=0)
        running = rules.answerable(known.challenges, request.client, own.login, now)
        waiting = {
            one.transaction_id: known.waiting[one.transaction_id]
            for one in running
            if one.transaction_id in known.waiting
        }
        return rules.Facts(
            account=account,
            phone=number,
            elsewhere=bool(request.phones),
            checkable=request.known_good,
            held=codes,
            emergency=codes if codes is not None and codes.left(now) else None,
            faults=faults,
            ways=self.ways(request, account, number),
            number_tag=tag,
            barred=None if number is None else identity.obstacle(number, self._may),
            counter=counter,
            lockout=counter.lockout,
            running=running,
            waiting=waiting,
            asker=request.client,
            patient=request.tunnelled,
            stored=rules.is_stored(
                known.challenges,
                request.client,
                own.login,
                now,
                since=counter.seen_at,
                asked_once=attributes.STYLES.get(request.style or "", own.style) == "reject",
            ),
            spent=stations.spent_codes(counter),
            old_code=request.old_code,
            # What is said to have been checked elsewhere is not enough by itself.
            remembered=not request.unasked and stations.is_remembered(known, own, tag, now),
            tally=tallies.without(tally, counter, tag, waiting.values()),
        )

    def ways(
        self, request: Request, account: Account | None, number: str | None
    ) -> tuple[ways.Way, ...]:
        """
        All ways to a user, the first one that of the SMS; none if there is no other.

        Args:
            number: Where the SMS goes.
        """
        known, country = self._loaded.way_kinds, self.policy(request).country
        if not known or number is None:
            return ()
        own = attributes.other_ways(request, known, country)
        if not own and account is not None:
            own = [one for one in map(ways.of, account.ways) if one.word in known]
        settings = self._loaded.values.ways
        own += [ways.Way(word) for word in known if settings[word].everyone]
        found = {SMS: number}
        for word, address in own:
            to = address or number
            if ways.is_mail(to) or identity.obstacle(to, self._may) is None:
                found.setdefault(word, to)
        return tuple(map(ways.Way._make, found.items())) if len(found) > 1 else ()

    def _tag(self, number: str | None) -> str:
        return "" if number is None else self._issuer.number_tag(number)

    def number(self, request: Request) -> tuple[str | None, tuple[str, ...]]:
        """See `attributes.number`."""
        return attributes.number(request, self.policy(request).country, self._may)

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
        given = choose_language(request.language, known)
        return given or choose_language((account and account.language) or "", known)
