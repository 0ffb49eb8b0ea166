"""
What has happened at the site whose commands the documents show: ``python -m tests.support.past``.

It is written into the store of the machine on which they are typed, so that a page can show what
a command says of it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from radius_smsotp.delivery.events import attempt_event, challenge_event
from radius_smsotp.model.records import Attempt, Challenge, Device, Event, Lockout, Message
from radius_smsotp.store import open_store

STORE = "sqlite:////etc/radius-smsotp/smsotp.db"
CLIENT, STATION = "vpn", "02-00-00-00-00-03"
SPENT, OPEN = "0b9f3e0c5d7a4f16a2c84d9e6b1f7a30", "dae4199499e614a4dce16cfa0a16cd3d"
"""The transactions of two logins of alice."""


def write(store: str, now: datetime) -> None:
    """
    Alice has logged in through the second provider, waits for a code, and has had two sessions.

    Dave, whom nobody knows, was refused; a device did not know the authority; bob is locked; the
    first provider is skipped.
    """
    refused = "the message was not sent: connection refused"
    failed = Attempt("clickatell", "unavailable", refused, seconds=0.03)
    events: list[Event] = []

    def ago(minutes: float) -> datetime:
        return now - timedelta(minutes=minutes)

    def tell(
        kind: str, minutes: float, account: str, station: str = "", **detail: str | int
    ) -> None:
        client = CLIENT if kind != "eap-refused" else "wifi"
        events.append(Event(kind, ago(minutes), account, "", client, station, {**detail}))

    tell("session-started", 300, "alice", session="1", address="192.0.2.9")
    traffic = {"received": 1_200_000_000, "sent": 310_400_000}
    tell("session-ended", 50, "alice", session="1", lasted=14968, **traffic)
    tell("code-rejected", 90, "alice", reason="unknown-challenge", more=3041)
    tell("code-rejected", 91, "alice", reason="expired")
    tell("code-wrong", 92, "alice")
    tell("pin-wrong", 93, "alice")
    tell("session-started", 8, "alice", session="2", address="192.0.2.9")
    tell("login-refused", 6, "dave", "02-00-00-00-00-07", reason="unknown-account")
    tell("eap-refused", 5, "", "02-00-00-00-00-01", reason="authority", text="unknown CA")
    with open_store(store).write() as tx:
        for number in (1, 7):
            other = f"02-00-00-00-00-0{number}"
            until = now + timedelta(days=1)
            tx.remember_device(Device("alice", "wifi", "Office Wi-Fi", other, "tag", until))
        if tx.challenge(SPENT):
            return
        for identity, minutes, provider, named in (
            (SPENT, 9, "backup", "42"),
            (OPEN, 1, "gateway", "4711"),
        ):
            begun = ago(minutes)
            end = begun + timedelta(hours=1)
            challenge = Challenge(
                *(identity, "alice", CLIENT, STATION, "k1", 6, "***67", begun, end, 3),
                state="spent" if identity == SPENT else "open",
            )
            message = Message(identity, 1, "accepted", (), "00", "", provider)
            taken = Attempt(provider, "accepted", message_id=named, seconds=3.12)
            tx.add_challenge(challenge)
            tx.add_message(message)
            events.append(challenge_event("challenge-opened", challenge, begun))
            for tried in (failed, taken):
                tx.add_attempt(message, tried, begun)
                events.append(attempt_event(challenge, message, tried, begun))
            if challenge.state == "spent":
                passed = begun + timedelta(seconds=21)
                events.append(challenge_event("code-accepted", challenge, passed))
        for event in sorted(events, key=lambda one: one.time):
            tx.add_event(event)
        tx.put_lockout("bob", Lockout(10, now, now + timedelta(minutes=15)))
        tx.put_breaker("clickatell", "open", ago(9), "the gateway answered 502")


if __name__ == "__main__":
    write(STORE, datetime.now(UTC))
