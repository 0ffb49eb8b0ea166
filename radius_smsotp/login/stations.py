"""
Under which name the failures and messages of a login are counted.

A station from which an account has logged in whole has counters of its own.  So whoever guesses
at the account, or has messages sent to it, from anywhere else uses up the account's common ones,
and its user is let in all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from radius_smsotp.login.request import login_event
from radius_smsotp.model.lockout import STATION_KNOWN
from radius_smsotp.model.records import Device, Lockout
from radius_smsotp.store import questions

if TYPE_CHECKING:
    from datetime import datetime

    from radius_smsotp.login.request import Request
    from radius_smsotp.settings.policy import ClientPolicy
    from radius_smsotp.store.questions import Question
    from radius_smsotp.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Counter:
    """
    Where the failures and messages of one login are counted, and what was counted before.

    Attributes:
        name: The folded name of the account, or of its station if that is known.
    """

    name: str
    lockout: Lockout


def find(tx: Transaction, request: Request, now: datetime) -> Counter:
    """The counter of whoever asks: of the account, or of its station if that is known."""
    own = _own(request)
    if own:
        found = tx.lockout(own)
        seen = found.last_failure_at
        if seen is not None and now - seen < STATION_KNOWN:
            return Counter(own, found)
    name = request.account
    return Counter(name, tx.lockout(name))


def questions_of(request: Request) -> list[Question]:
    """What `find` asks."""
    return [questions.lockout(name) for name in (_own(request), request.account) if name]


def tagged(counter: str, request: Request, number_tag: str) -> str:
    """The tag under which messages to a number are counted with the counter of that name."""
    return number_tag if counter == request.account else f"{number_tag} {counter}"


def welcome(tx: Transaction, request: Request, counter: Counter, now: datetime) -> None:
    """A login was whole: forget the failures before it, and know the station from now on."""
    own = _own(request)
    if counter.name != own and counter.lockout != Lockout():
        tx.clear_lockout(counter.name)
    if own:
        # No failure, and when that was so; a failure counts on from there.
        tx.put_lockout(own, Lockout(0, now))


def _own(request: Request) -> str:
    """The name of the station's counters, "" if it does not say who it is."""
    client = request.client
    if not client.station:
        return ""
    # An account's name is one line.
    return "\n".join((request.account, client.name, client.station))


def is_known(
    tx: Transaction, request: Request, own: ClientPolicy, number_tag: str, now: datetime
) -> bool:
    """Whether the device that asks needs no code for now."""
    if not own.remember.hours or not request.client.station:
        return False
    return tx.is_remembered(request.account, request.client, number_tag, now, own.remember.time)


def remember(
    tx: Transaction, request: Request, own: ClientPolicy, number_tag: str, now: datetime
) -> None:
    """Remember the device of a whole login, if the settings of its client say so."""
    client = request.client
    # Without a name all devices that do not say who they are would be one.
    if not own.remember.hours or not client.station:
        return
    until = now + own.remember.time
    account = request.account
    place = (client.name, client.ssid, client.station)
    tx.remember_device(Device(account, *place, number_tag, until))
    detail: dict[str, str | int | float] = {"hours": own.remember.hours}
    if client.ssid:
        detail["ssid"] = client.ssid
    tx.add_event(login_event("device-remembered", request, now, None, **detail))


def forget_locked(tx: Transaction, request: Request, now: datetime) -> None:
    """Forget all devices of an account that was locked: somebody guesses, with the PIN to go."""
    number = tx.forget_devices(request.account)
    if number:
        event = login_event("device-forgotten", request, now, reason="locked", devices=number)
        tx.add_event(event)
