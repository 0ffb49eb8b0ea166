"""
Stations: whose failures and messages a login is counted with, and which need no code for a while.

A station from which an account has logged in whole has counters of its own.  So whoever guesses
at the account, or has messages sent to it, from anywhere else uses up the account's common ones,
and its user is let in all the same.

A remembered device is a station that needs only the first factor for a while after a whole login.
The station is what the client says in Calling-Station-Id, and anybody can claim another's: this
spares a code where the first factor still stands.

Devices keep what let them in.  So a station is known by its last codes as well: behind the first
factor one of them is no guess, and from a remembered device no more than the first factor.
"""

from __future__ import annotations

from datetime import datetime

from radius_smsotp.login.request import Request, Step, login_event
from radius_smsotp.model.lockout import STATION_KNOWN, is_locked
from radius_smsotp.model.records import SKEW, Counter, Device, Known, Lockout, Spent, Station
from radius_smsotp.settings.policy import ClientPolicy
from radius_smsotp.store.transaction import Transaction

CODES = 4
"""Of a station that are kept, and of an account: several devices may have one each."""


def counter_of(known: Known, request: Request, now: datetime) -> Counter:
    """The counter of whoever asks: the station's if that is known."""
    client = request.client
    found = known.station
    if found is not None and now - found.seen_at < STATION_KNOWN:
        place = (request.account, client.name, found.station)
        return Counter(*place, found.lockout, found.seen_at, found.spent, known.kept)
    since = known.lockout.last_failure_at
    return Counter(request.account, client.name, "", known.lockout, since, kept=known.kept)


def welcome(
    tx: Transaction, request: Request, counter: Counter, now: datetime, *spent: Spent
) -> None:
    """
    A login was whole: forget the failures before it, and know the station from now on.

    Args:
        spent: The code that let it in, if one did.
    """
    if not counter.station and counter.lockout != Lockout():
        tx.clear_lockout(counter.account)
    station = request.client.station
    if station:
        codes = (*spent, *counter.spent)[:CODES]
        tx.put_station(Station(counter.account, counter.client, station, now, spent=codes))
    if spent and request.step is not Step.CODE:
        codes = (*spent, *counter.kept)[:CODES]
        tx.put_station(Station(counter.account, "", "", now, spent=codes))


def count_failure(
    tx: Transaction, request: Request, counter: Counter, counted: Lockout, now: datetime
) -> None:
    """Store failures with one more in them; if that locks the account, forget its devices."""
    if counter.station:
        place = (counter.account, counter.client, counter.station, now)
        failed = (counted.failures, counted.last_failure_at, counted.locked_until)
        tx.put_station(Station(*place, *failed, counter.spent))
    else:
        tx.put_lockout(counter.account, counted)
    if not is_locked(counted, now) or is_locked(counter.lockout, now):
        return
    tx.add_event(login_event("account-locked", request, now))
    # Somebody guesses, and with a remembered device has only the PIN to go.
    number = tx.forget_devices(request.account)
    if number:
        event = login_event("device-forgotten", request, now, reason="locked", devices=number)
        tx.add_event(event)


def spent_codes(counter: Counter) -> tuple[Spent, ...]:
    """The codes by which this station is known, and the account wherever it is."""
    return tuple(dict.fromkeys((*counter.spent, *counter.kept)))


def is_remembered(known: Known, own: ClientPolicy, number_tag: str, now: datetime) -> bool:
    """
    Whether the device that asks needs no code for now.

    One for which that is not over for longer yet than devices are remembered was noted by a clock
    that has gone back since, or under other settings.
    """
    device = known.device
    if not own.remember.hours or device is None or device.number_tag != number_tag:
        return False
    return now < device.expires_at <= now + own.remember.time + SKEW


def remember(
    tx: Transaction, request: Request, own: ClientPolicy, number_tag: str, now: datetime
) -> None:
    """Remember the device of a whole login, if the settings of its client say so."""
    client = request.client
    # Without a name all devices that do not say who they are would be one.
    if not own.remember.hours or not client.station:
        return
    until = now + own.remember.time
    place = (client.name, client.ssid, client.station)
    tx.remember_device(Device(request.account, *place, number_tag, until))
    detail: dict[str, str | int | float] = {"hours": own.remember.hours}
    if client.ssid:
        detail["ssid"] = client.ssid
    tx.add_event(login_event("device-remembered", request, now, None, **detail))
