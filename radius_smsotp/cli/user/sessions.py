"""The sessions of an account, as far as its clients account for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from radius_smsotp.cli import output
from radius_smsotp.model import events
from radius_smsotp.model.records import Event

RECENT = 500
"""Events of an account that are looked through."""

SHOWN = 5
"""Sessions that are shown to a person."""


@dataclass(frozen=True, slots=True)
class Session:
    """
    One session.

    Attributes:
        session: The client's name for it.
        started, ended: None where the client has not reported it, or longer ago than is kept.
        lasted: Seconds, as the client says; None before the end, as what follows.
        received, sent: Octets from the user, and to the user.
        cause: Why it has ended, in the words of RFC 2866 section 5.10.
    """

    client: str
    station: str
    session: str
    started: datetime | None = None
    ended: datetime | None = None
    address: str = ""
    lasted: int | None = None
    received: int | None = None
    sent: int | None = None
    cause: str = ""


def paired(trail: Iterable[Event]) -> list[Session]:
    """What events tell of sessions, in the order in which these were first heard of."""
    found: list[Session] = []
    open_ones: dict[tuple[str, str], int] = {}
    for event in trail:
        detail = event.detail
        key = event.client, str(detail.get("session", ""))
        address = str(detail.get("address", ""))
        if event.kind == events.SESSION_STARTED:
            open_ones[key] = len(found)
            found.append(Session(event.client, event.station, key[1], event.time, None, address))
        elif event.kind == events.SESSION_ENDED:
            place = open_ones.pop(key, len(found))
            if place == len(found):
                found.append(Session(event.client, event.station, key[1]))
            found[place] = replace(
                found[place],
                ended=event.time,
                address=address or found[place].address,
                lasted=int(detail.get("lasted", 0)),
                received=int(detail.get("received", 0)),
                sent=int(detail.get("sent", 0)),
                cause=str(detail.get("cause", "")),
            )
    return found


def told(session: Session) -> str:
    """One session, in a line."""
    words = [f"since {output.local(session.started)}"] if session.started else []
    if session.ended:
        words = [output.local(session.started)] if session.started else []
        words = [f"{' '.join([*words, 'to'])} {output.local(session.ended)}"]
    parts = [("at", session.client), ("from", session.station), ("with", session.address)]
    words += [f"{word} {value}" for word, value in parts if value]
    line = " ".join(words)
    if session.lasted is None or session.received is None or session.sent is None:
        return f"{line}, no end reported"
    amounts = f"{output.octets(session.received)} in, {output.octets(session.sent)} out"
    return f"{line}: {output.span(session.lasted)}, {amounts}"
