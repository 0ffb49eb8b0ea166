"""What happened at a login, told as a story: one sentence for each event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radius_smsotp import audit
from radius_smsotp.core import placeholder

if TYPE_CHECKING:
    from datetime import datetime

    from radius_smsotp.core.model import Event

SENTENCES = {
    "challenge-opened": "the PIN or password was right, a code was made",
    "challenge-repeated": "the first step came once more: the same code counts, no second SMS",
    "login-refused": "refused: {reason}",
    "pin-wrong": "the PIN or password was wrong",
    "pin-wrong hashed-pin": "refused: {reason}",
    "first-factor-down": "the PIN or password could not be checked: that module did not answer",
    "sms-accepted": "{provider} took the message",
    "sms-refused": "{provider} refused the message",
    "sms-unavailable": "{provider} could not be reached or was busy",
    "sms-unknown": "{provider} fell silent; the message may come or not",
    "sms-delivered": "the network reports that the message has arrived",
    "sms-lost": "the network reports that the message has not arrived; the next provider sends it",
    "sms-undelivered": "no provider took the message: refused",
    "sms-resent": "the user asked for one more SMS",
    "sms-resend-denied": "the user asked for one more SMS: {reason}",
    "code-accepted": "the code was right: logged in",
    "code-wrong": "the code was wrong",
    "code-rejected": "the code was not accepted: {reason}",
    "password-repeated": "the device sent the stored password in place of the code; not counted",
    "eap-refused": "the device cannot be asked for a code (EAP-GTC)",
    "device-accepted": "a remembered device, the PIN was right: logged in without a code",
    "device-remembered": "this device needs no code from now on",
}
"""Kind of event, with its reason where that matters, to the sentence; else as in `audit.KINDS`."""

BEGINNINGS = {
    "challenge-opened",
    "challenge-repeated",
    "device-accepted",
    "device-forgotten",
    "device-remembered",
    "eap-refused",
    "first-factor-down",
    "login-refused",
    "pin-wrong",
}
"""Kinds whose line says who asked; the lines after it belong to the same login."""

DETAILS = {
    "message_id": "message id {}",
    "text": "{}",
    "fields": "{}",
    "hours": "for {} hours",
    "devices": "devices: {}",
    "ssid": "SSID {}",
    "by": "by {}",
}
"""What else an event's detail holds, in the order and words of a line."""


class Teller:
    """Tells events in their order: what came before gives a sentence its context."""

    def __init__(self) -> None:
        self._opened: dict[str, datetime] = {}

    def tell(self, event: Event) -> str:
        """One event."""
        detail = event.detail
        reason = str(detail.get("reason", ""))
        sentence = SENTENCES.get(f"{event.kind} {reason}") or SENTENCES.get(event.kind)
        if sentence is None:
            sentence = audit.KINDS.get(event.kind, event.kind)
        values = {"reason": audit.REASONS.get(reason, reason), "provider": detail.get("provider")}
        told = placeholder.fill(sentence, values)
        more = self._more(event)
        return f"{told} ({', '.join(more)})" if more else told

    def _more(self, event: Event) -> list[str]:
        detail = event.detail
        parts = []
        if "seconds" in detail:
            parts.append(f"after {float(detail['seconds']):.2f} s")
        # Account and provider are in the sentence already, the reason mostly.
        if event.kind in {"sms-delivered", "sms-lost"} and detail.get("provider"):
            parts.append(f"provider {detail['provider']}")
        if "reason" in detail and "{reason}" not in SENTENCES.get(event.kind, ""):
            known = str(detail["reason"])
            parts.append(audit.REASONS.get(known, known))
        parts += [
            words.replace("{}", str(detail[key]))
            for key, words in DETAILS.items()
            if detail.get(key)
        ]
        if event.kind == "challenge-opened":
            self._opened[event.transaction_id] = event.time
        elif event.kind == "code-accepted" and event.transaction_id in self._opened:
            took = (event.time - self._opened[event.transaction_id]).total_seconds()
            # Less than nothing: the clock was set in between, or is another server's.
            parts += [f"{took:.0f} s after the PIN"] if took >= 0 else []
        if event.kind in BEGINNINGS:
            parts += [f"client {event.client}"] if event.client else []
            parts += [f"station {event.station}"] if event.station else []
            parts += [f"transaction {event.transaction_id}"] if event.transaction_id else []
        return parts
