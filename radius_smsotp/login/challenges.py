"""Makes challenges and knows their codes: the one place where key, number and challenge meet."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from radius_smsotp.delivery.courier import Courier
from radius_smsotp.login import attributes
from radius_smsotp.login.request import Request
from radius_smsotp.login.rules import Facts
from radius_smsotp.model import code, forms, identity
from radius_smsotp.model.records import SMS, Challenge, Counted, EmergencyCodes, Message, Spent
from radius_smsotp.settings.file import Loaded
from radius_smsotp.settings.keyring import Keyring
from radius_smsotp.settings.policy import ClientPolicy


class Issuer:
    """Issues challenges under one set of settings."""

    def __init__(self, loaded: Loaded, keyring: Keyring, courier: Courier) -> None:
        self._loaded = loaded
        self._keyring = keyring
        self._courier = courier

    def issue(self, request: Request, facts: Facts, own: ClientPolicy, now: datetime) -> Challenge:
        """A new challenge, for an emergency code if there is one, or one has come already."""
        asks = facts.emergency is not None or request.judged
        made = Challenge(
            # RFC 4086 section 8: 128 bits that nobody can guess.
            transaction_id=secrets.token_hex(16),
            account=request.account,
            client=request.client.name,
            station=request.client.station,
            key_id=self._keyring.current,
            digits=code.EMERGENCY_DIGITS if asks else own.login.digits,
            phone_hint="" if asks else identity.mask_number(facts.phone or ""),
            created_at=now,
            expires_at=now + own.login.lifetime,
            guesses_left=own.login.guesses,
            state="open",
            language=own.language,
            emergency=asks,
        )
        # One that was spent lately is known for what it is, and so no guess at another one.
        before: list[Challenge | Spent] = [*facts.running, *facts.spent]
        known = {self.expected(one) for one in before}
        while known and self.expected(made) in known:
            made = replace(made, transaction_id=secrets.token_hex(16))
        return made

    def address(
        self,
        challenge: Challenge,
        request: Request,
        facts: Facts,
        own: ClientPolicy,
        counted: Counted,
        now: datetime,
    ) -> Message:
        """The first message of a challenge, under the courier's lease."""
        transaction_id, number = challenge.transaction_id, facts.phone or ""
        route = self.route(request, facts)
        owner, until = self._courier.lease(now, route)
        return Message(
            transaction_id=transaction_id,
            number=1,
            state="queued",
            route=route,
            sealed_phone=code.seal(self._keyring.secret, transaction_id, number),
            template=attributes.template(request, own.message),
            lease_owner=owner,
            lease_until=until,
            counted=counted,
            ways=tuple(f"{one.word}:{self._sealed(transaction_id, *one)}" for one in facts.ways),
        )

    def route(self, request: Request, facts: Facts) -> tuple[str, ...]:
        """The providers that the first message of a login goes through, in their order."""
        wanted = attributes.provider(request, self._loaded.providers)
        if wanted is None and facts.account is not None:
            wanted = facts.account.provider
        route = self._loaded.route(facts.phone or "")
        if wanted is None or wanted not in self._loaded.providers:
            return route
        return tuple(dict.fromkeys((wanted, *route)))

    def _sealed(self, transaction_id: str, way: str, address: str) -> str:
        return code.seal(self._keyring.secret, code.nonce(transaction_id, way), address)

    def reissue(
        self, challenge: Challenge, message: Message, now: datetime, wanted: str = ""
    ) -> Message | None:
        """
        One more message with the same code, through the provider after the last one; after the last
        one of a way by the next way.

        Args:
            wanted: The way to go; None is returned if there is no such one.
        """
        words = [*message.sealed]
        if wanted and wanted not in words:
            return None
        way = wanted or message.way
        # A message that is still on its way is with the first provider of its route.
        at_it = next(iter(message.route), None)
        last = at_it if message.state == "queued" else message.provider
        order = self._loaded.route(self.address_of(challenge, message) or "", message.way)
        cut = order.index(last) + 1 if last in order else 0
        if not wanted and cut == len(order):
            way = words[(words.index(way) + 1) % len(words)]
        route = order[cut:] + order[:cut]
        made = replace(message, number=message.number + 1, state="queued", provider=None)
        if way != message.way:
            made = replace(made, way=way, sealed_phone=message.sealed[way])
            route = self._loaded.route(self.address_of(challenge, made) or "", way)
        owner, until = self._courier.lease(now, route)
        made = replace(made, not_before=None, tries=0)
        return replace(made, route=route, lease_owner=owner, lease_until=until)

    def knows(self, challenge: Challenge) -> bool:
        """Whether this server has the key of a challenge."""
        return self._keyring.get(challenge.key_id) is not None

    def expected(self, challenge: Challenge | Spent | None) -> str:
        """
        The code of a challenge; of none, or if its key is gone, what no answer equals.

        Nor does any equal that of one that asks for an emergency code: it was not sent.
        """
        if isinstance(challenge, Challenge) and challenge.emergency:
            return secrets.token_hex(16)
        key = self._keyring.get(challenge.key_id) if challenge else None
        if challenge is None or key is None:
            return secrets.token_hex(16)
        return code.derive(key, challenge.transaction_id, challenge.digits)

    def emergency(self, codes: EmergencyCodes | None, number: int | None) -> str:
        """One of the emergency codes of an account, used up or not; if there is none, as above."""
        key = self._keyring.get(codes.key_id) if codes else None
        if codes is None or key is None or number is None:
            return secrets.token_hex(16)
        return code.emergency(key, codes.account, codes.batch, number)[-1]

    def emergency_number(
        self, codes: EmergencyCodes | None, answer: str, numbers: Iterable[int]
    ) -> int | None:
        """Which of these emergency codes of an account an answer is; None if it is none."""
        typed = forms.typed_code(answer)
        key = self._keyring.get(codes.key_id) if codes else None
        if codes is None or key is None or len(typed) != code.EMERGENCY_DIGITS:
            return None
        made = code.emergency(key, codes.account, codes.batch, len(codes.uses))
        # All are compared: which one it is must not show in the delay.
        found = [one for one in numbers if code.matches(typed, made[one - 1])]
        return found[0] if found else None

    def can_judge(self, challenge: Challenge | None, codes: EmergencyCodes | None) -> bool:
        """Whether this server has the key that the right answer is derived with."""
        if challenge is None:
            return True
        if challenge.emergency:
            return codes is None or self._keyring.get(codes.key_id) is not None
        return self.knows(challenge)

    def echo(self, challenge: Challenge, answer: str) -> str:
        """`model.code.echo` of an answer in the conversation that a challenge belongs to."""
        key = self._keyring.get(challenge.key_id) or self._keyring.secret
        return code.echo(key, challenge.transaction_id, answer)

    def number_tag(self, number: str) -> str:
        """The name under which messages to a number are counted; a new key does not change it."""
        return code.number_tag(self._keyring.oldest_secret, number)

    def answer_tag(self, request: Request) -> str:
        """
        The name by which a retransmission of this answer is known.

        Returns:
            "" if there is none: a handshake cannot be compared with the one before, and EAP has
            an identifier for each round.
        """
        if not request.packet or request.handshake or request.eap is not None:
            return ""
        return code.answer_tag(self._keyring.oldest_secret, request.packet, request.password or "")

    def message_tag(self, challenge: Challenge, message: Message | None) -> str:
        """`number_tag` of the address that a message goes to, "" if that is not known."""
        address = None if message is None else self.address_of(challenge, message)
        return "" if address is None else self.number_tag(address)

    def first_tag(self, challenge: Challenge, message: Message | None) -> str:
        """The same of the number that the first message of a challenge went to."""
        if message is not None and message.way != SMS:
            message = replace(message, way=SMS, sealed_phone=message.sealed[SMS])
        return self.message_tag(challenge, message)

    def address_of(self, challenge: Challenge, message: Message) -> str | None:
        """Where a message goes, or None if its key is gone."""
        key = self._keyring.get(challenge.key_id)
        if key is None:
            return None
        try:
            nonce = code.nonce(message.transaction_id, message.way)
            return code.unseal(key, nonce, message.sealed_phone)
        except ValueError:  # another key has taken over its id
            return None
