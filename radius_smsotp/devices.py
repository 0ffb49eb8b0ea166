"""
Remembered devices: after a whole login the same station needs only the first factor for a while.

The station is what the client says in Calling-Station-Id, and anybody can claim another's: this
spares a code where the first factor still stands.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from radius_smsotp.audit import login_event
from radius_smsotp.core.model import Device

if TYPE_CHECKING:
    from datetime import datetime

    from radius_smsotp.client_policy import ClientPolicy
    from radius_smsotp.pairs import Request
    from radius_smsotp.store.transaction import Transaction


def is_known(
    tx: Transaction, request: Request, own: ClientPolicy, number_tag: str, now: datetime
) -> bool:
    """Whether the device that asks needs no code for now."""
    if not own.remember or not request.client.station:
        return False
    return tx.is_remembered(request.account, request.client, number_tag, now, own.remember)


def remember(
    tx: Transaction, request: Request, own: ClientPolicy, number_tag: str, now: datetime
) -> None:
    """Remember the device of a whole login, if the settings of its client say so."""
    client = request.client
    # Without a name all devices that do not say who they are would be one.
    if not own.remember or not client.station:
        return
    until = now + own.remember
    account = request.account
    place = (client.name, client.ssid, client.station)
    tx.remember_device(Device(account, *place, number_tag, until))
    detail: dict[str, str | int | float] = {"hours": own.remember // timedelta(hours=1)}
    if client.ssid:
        detail["ssid"] = client.ssid
    tx.add_event(login_event("device-remembered", request, now, None, **detail))


def forget_locked(tx: Transaction, request: Request, now: datetime) -> None:
    """Forget all devices of an account that was locked: somebody guesses, with the PIN to go."""
    number = tx.forget_devices(request.account)
    if number:
        event = login_event("device-forgotten", request, now, reason="locked", devices=number)
        tx.add_event(event)
