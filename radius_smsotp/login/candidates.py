"""
What a password or a handshake is compared with: the codes of challenges, and emergency codes.

A password is taken apart, and shows which code it ends in.  A handshake proves one that has to be
named before.  Nothing is stored here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from radius_smsotp.login import rules
from radius_smsotp.login.answers import Preparation
from radius_smsotp.login.challenges import Issuer
from radius_smsotp.login.request import Request, Step
from radius_smsotp.model import code, forms
from radius_smsotp.model.records import Challenge, EmergencyCodes, Known


class Tail(NamedTuple):
    """
    A password that ends in a code.

    Attributes:
        head: What stands before it.
        right: Whether it is the code of `transaction_id`, or emergency code `number`.
        spent: Whether it was spent before.
    """

    head: str
    right: bool
    transaction_id: str = ""
    number: int | None = None
    spent: bool = False


class Candidates:
    """Finds them, and takes them up again when the first factor was right."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    def tail(
        self, request: Request, facts: rules.Facts, now: datetime, read_as: Sequence[str]
    ) -> Tail | None:
        """
        Try what stands beside the PIN as code of a challenge, open or spent, or as emergency code.

        Args:
            read_as: Forms of a password, see `model.forms`.

        Returns:
            None if the password has no form of both, or no challenge is open.
        """
        found: Tail | None = None
        password, held = request.password or "", facts.held
        parts = forms.split(password, code.EMERGENCY_DIGITS, read_as)
        if held is not None and parts is not None:
            number = self._issuer.emergency_number(held, parts[1], held.numbers)
            if number in held.left(now):
                return Tail(parts[0], right=True, transaction_id=_asking(facts), number=number)
            if number is not None:
                return Tail(parts[0], right=True, number=number, spent=True)
        for challenge in facts.running:
            parts = forms.split(password, challenge.digits, read_as)
            if parts is None:
                continue
            if code.matches(parts[1], self._issuer.expected(challenge)):
                return Tail(parts[0], right=True, transaction_id=challenge.transaction_id)
            found = Tail(parts[0], right=False)
        for one in facts.spent:
            parts = forms.split(password, one.digits, read_as)
            if parts is not None and code.matches(parts[1], self._issuer.expected(one)):
                return Tail(parts[0], right=True, transaction_id=one.transaction_id, spent=True)
        return found

    def is_alone(
        self, password: str, challenges: Sequence[Challenge], known: Known, now: datetime
    ) -> bool:
        """Whether a password is the code of one of these, or an emergency code, without a PIN."""
        typed, codes = forms.typed_code(password), known.emergency
        found = [code.matches(typed, self._issuer.expected(one)) for one in challenges]
        numbers = codes.left(now) if codes else ()
        return any(found) or self._issuer.emergency_number(codes, typed, numbers) is not None

    def answer(self, known: Known, transaction_id: str, now: datetime) -> Preparation:
        """What a handshake is to prove in the second step: the code, if it can be accepted."""
        challenge = known.named(transaction_id)
        if challenge is None or not challenge.is_open(now):
            return Preparation(Step.CODE, None, None)
        if not challenge.emergency:
            expected = self._issuer.expected(challenge)
            return Preparation(Step.CODE, None, None, candidate=expected)
        number, candidate = self._first_code(known.emergency, now)
        matched = challenge.transaction_id
        return Preparation(Step.CODE, None, None, matched, candidate=candidate, number=number)

    def handshake(
        self,
        request: Request,
        facts: rules.Facts,
        refused: str,
        now: datetime,
        read_as: Sequence[str],
    ) -> Preparation:
        """
        The same in the first step: CHAP and MS-CHAP prove a password and do not show it.

        PIN and code in one password can be proved if FreeRADIUS knows the PIN in the clear, in the
        first form.  If it does not, the code alone may follow the PIN, from the same station only.
        One can be tried beside the first factor: what a device may have kept, or a code that is
        not spent.
        """
        client, codes = request.client, facts.emergency
        running = [one for one in facts.running if one.emergency == (codes is not None)]
        kept = facts.remembered or not (running or codes)
        if request.changes or (refused and refused not in rules.WITHHELD):
            running = []
        elif kept and facts.spent and request.cleartext is not None and read_as:
            old, step = facts.spent[0], Step.PIN_AND_OLD_CODE
            candidate = forms.join(request.cleartext, self._issuer.expected(old), read_as[0])
            return Preparation(step, None, None, old.transaction_id, candidate=candidate)
        elif running or (codes is not None and request.cleartext is not None and read_as):
            place, newest = (client.name, client.station), next(iter(running), None)
            near = client.station and newest and place == (newest.client, newest.station)
            near = near and request.provable
            known = request.cleartext if read_as else None
            if known is not None or near:
                number, expected = None, self._issuer.expected(newest)
                if codes is not None:
                    number, expected = self._first_code(codes, now)
                candidate = expected
                if known is not None:
                    candidate = forms.join(known, expected, read_as[0])
                return Preparation(
                    Step.PIN_OR_CODE,
                    None,
                    None,
                    matched=newest.transaction_id if newest else "",
                    candidate=candidate,
                    number=number,
                )
        return Preparation(Step.PIN, None, None, reason=refused)

    def given(
        self,
        request: Request,
        challenge: Challenge | None,
        codes: EmergencyCodes | None,
        others: Sequence[Challenge],
        now: datetime,
        *,
        compared: bool,
    ) -> tuple[rules.Answer, int | None]:
        """
        The answer that a request holds, and what it is to be compared with.

        Args:
            codes: Of the account.
            others: What else may be answered from here.
            compared: It was the code behind a PIN, and found right before the PIN was checked.

        Returns:
            Also the number of the emergency code that it is, if it is one.
        """
        expected, typed, number = self._issuer.expected(challenge), request.password or "", None
        whole = compared or (request.handshake and request.proved)
        if challenge is not None and challenge.emergency:
            number = request.number
            if not whole:
                number = self._issuer.emergency_number(
                    codes, typed, codes.left(now) if codes else ()
                )
            elif codes is None or number not in codes.left(now):
                whole = False  # it was used up, or came to an end, since it was compared
            expected = self._issuer.emergency(codes, number)
        answer = rules.Answer(
            request.account,
            request.client,
            expected if whole else typed,
            expected,
            judgeable=self._issuer.can_judge(challenge, codes),
        )
        if compared:
            return answer, number
        echoed, tag = self._is_echo(request, challenge), self._issuer.answer_tag(request)
        # What is proved was named before, and is compared with nothing else.
        beside = [] if request.handshake else [one for one in others if one != challenge]
        codes_beside = [
            (one, self._issuer.expected(one))
            for one in beside
            if self._issuer.knows(one) and not one.emergency
        ]
        return replace(answer, echoed=echoed, tag=tag, others=codes_beside), number

    def _first_code(self, codes: EmergencyCodes | None, now: datetime) -> tuple[int | None, str]:
        """
        The emergency code that a handshake can prove, and its number.

        What is compared must be named before: so of several codes the next one counts.
        """
        number = next(iter(codes.left(now)), None) if codes else None
        return number, self._issuer.emergency(codes, number)

    def _is_echo(self, request: Request, challenge: Challenge | None) -> bool:
        """Whether a device has answered in EAP what it had answered to the first question."""
        if challenge is None or request.eap is None or not request.eap.echo:
            return False
        echo = self._issuer.echo(challenge, request.password or "")
        return code.matches(echo, request.eap.echo)


def _asking(facts: rules.Facts) -> str:
    """The newest open challenge that asks for an emergency code, "" if there is none."""
    return next((one.transaction_id for one in facts.running if one.emergency), "")
