"""``smsotp key``: what codes are derived from, and PINs sealed with."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import click

from radius_smsotp.cli import output, results
from radius_smsotp.cli.results import Results
from radius_smsotp.cli.site import Site, acting_as, pass_site
from radius_smsotp.cli.user import bulk
from radius_smsotp.errors import SmsotpError
from radius_smsotp.model.records import Challenge, EmergencyCodes
from radius_smsotp.server import introduce
from radius_smsotp.settings import keyring
from radius_smsotp.settings.keyring import Keyring

NOTICE = timedelta(seconds=10)
"""Every process of a host has read the new keys by then: they look each second."""

LONGEST_NOTICE = 60 * 24 * 365
"""Minutes: a slip of the keyboard, beyond that."""


@click.group()
def key() -> None:
    """
    Keys: what codes are derived from, and PINs sealed with.

    Without the key file no PIN in the store can be checked.  It is in each 'smsotp backup': make
    one after each change.

    \b
    Example:
      smsotp key rotate
    """


@key.command("list", short_help="List the keys, newest first.")
@output.json_option
@pass_site
def list_keys(site: Site, as_json: bool) -> None:
    """
    List the keys, newest first, and what hangs on each.  No secret is shown.

    \b
    Examples:
      smsotp key list
      smsotp key list --json
    """
    keys = keyring.read(site.loaded.key_path)
    needed, sealed = Counter(one.key_id for one in _open(site)), bulk.sealed(site.store)
    codes: Counter[str] = Counter()
    for held in _emergencies(site):
        codes[held.key_id] += len(held.left(datetime.now(timezone.utc)))
    records = [
        {
            "id": one,
            "state": _state(keys, one)[0],
            "open_challenges": needed[one],
            "emergency_codes": codes[one],
            "pins": sealed[one],
        }
        for one in keys.pin_keys
    ]
    columns = {
        "Key": "id",
        "State": lambda one: " ".join(_state(keys, one["id"])),
        "Open challenges": "open_challenges",
        "Emergency codes": "emergency_codes",
        "PINs": "pins",
    }
    numbers = ["Open challenges", "Emergency codes", "PINs"]
    output.listing(records, columns, for_programs=as_json, numbers=numbers, sentences=["State"])


@key.command(short_help="Make new keys, which take over soon.")
@click.option(
    "--in",
    "minutes",
    type=click.IntRange(1, LONGEST_NOTICE),
    metavar="MINUTES",
    help="When the new keys take over: time to copy the file.  [default: in 10 seconds]",
)
@results.told
@pass_site
def rotate(site: Site, told: Results, minutes: int | None) -> None:
    """
    Make new keys: one for the challenges to come, and one that PINs are sealed with.

    Challenges that run end under the old one.  The PINs in the store are sealed with the new one as
    soon as it has taken over; nobody needs to type one for that.

    With several servers the key file must be on all of them before the new keys take over: give
    yourself time with --in, and copy it.  Then, and in a database that others may share, the PINs
    follow when the old key is retired.

    \b
    Examples:
      smsotp key rotate
      smsotp key rotate --in 60
    """
    with acting_as(site.owner):
        path = site.loaded.key_path
        keys = keyring.read(path)
        waiting = keys.waiting or keys.pin_waiting
        if waiting is not None:
            raise SmsotpError(f"{waiting[0]} is waiting already, until {output.local(waiting[1])}")
        introduce(keys, site.loaded, site.store)
        # Those that are not sealed at all need no new key.
        bulk.seal(site.store, keys)
        begins = datetime.now(timezone.utc) + (timedelta(minutes=minutes) if minutes else NOTICE)
        sealing = keyring.add(path, begins, for_pins=True)
        made = keyring.add(path, begins)
        introduce(keyring.read(path), site.loaded, site.store)
        lifetime = site.loaded.values.code.lifetime
        line = f"{made}: signs new challenges from {output.local(begins)} on"
        told.add(made, "made", line, use="codes", begins=begins)
        told.add(sealing, "made", f"{sealing}: seals PINs from then on", use="pins", begins=begins)
        if minutes:
            told.note(f"Copy {path} to every other server before that.")
        elif site.store.folder is not None and bulk.sealed(site.store):
            time.sleep(max(0.0, (begins - datetime.now(timezone.utc)).total_seconds()))
            number = bulk.seal(site.store, keyring.read(path))
            told.note(f"PINs sealed with it: {number}")
    # What is derived with the old one: codes of SMS, and emergency codes.
    ends = [begins + timedelta(seconds=lifetime), *(one.expires_at for one in _emergencies(site))]
    unused = output.local(max(ends))
    old = " ".join(dict.fromkeys((keys.current, keys.sealing)))
    which = "the old one" if keys.current == keys.sealing else "the old ones"
    told.note(f"From {unused} on {which} may go: smsotp key retire {old}")


@key.command()
@click.argument("key_ids", metavar="ID...", nargs=-1, required=True)
@click.option(
    "--cancel",
    is_flag=True,
    help="End the open challenges and emergency codes that hang on it.",
)
@results.told
@pass_site
def retire(site: Site, told: Results, key_ids: tuple[str, ...], cancel: bool) -> None:
    """
    Remove keys that sign, or seal, no more.

    PINs that still hang on one are sealed with the key of now.  What that cannot be done with keeps
    its key.

    Where a key has become known to others: rotate, then retire it with --cancel.  The store knows
    it no more: a server that has no other one does not start.

    \b
    Examples:
      smsotp key retire k20260301-77e1b0d4 p20260301-0c95ab3e
      smsotp key retire k20260301-77e1b0d4 --cancel
    """
    with acting_as(site.owner):
        path = site.loaded.key_path
        keys = keyring.read(path)
        introduce(keys, site.loaded, site.store)
        with site.store.read() as tx:
            known = set(tx.known_keys().values())
        for key_id in key_ids:
            if key_id not in keys.pin_keys and key_id not in known:
                raise SmsotpError(f"there is no key '{key_id}'; see 'smsotp key list'")
            if key_id in {keys.current, keys.sealing}:
                does = "signs new challenges" if key_id == keys.current else "seals PINs"
                raise SmsotpError(f"{key_id} {does}; first 'smsotp key rotate'")
        bulk.seal(site.store, keys)
        needing = [one for one in _open(site) if one.key_id in key_ids]
        sealed = bulk.sealed(site.store)
        lost = sum(sealed[key_id] for key_id in key_ids)
        if lost:
            pins, verb = output.many(lost, "PIN"), "is" if lost == 1 else "are"
            fault = f"{pins} {verb} sealed with it, and it is not here"
            raise SmsotpError(f"{fault}; see 'smsotp check'")
        if needing and not cancel:
            challenges = output.many(len(needing), "open challenge")
            verb = "needs" if len(needing) == 1 else "need"
            raise SmsotpError(f"{challenges} still {verb} it; wait, or end them with --cancel")
        holding = [one for one in _emergencies(site) if one.key_id in key_ids]
        if holding and not cancel:
            whose = output.many(len(holding), "account")
            fault = f"emergency codes of {whose} hang on it, as those of {holding[0].account}"
            raise SmsotpError(f"{fault}; wait, or end them with --cancel")
        for key_id in key_ids:
            keyring.remove(path, key_id)
        accounts = {one.account for one in needing} | {one.account for one in holding}
        with site.store.write(*accounts, durable=True) as tx:
            for key_id in key_ids:
                tx.forget_key(key_id)
            for one in needing:
                tx.save_answer(replace(one, state="cancelled"))
            for held in holding:
                tx.put_emergency(replace(held, uses=(0,) * len(held.uses)))
    for key_id in key_ids:
        told.add(key_id, "retired")


def _open(site: Site) -> list[Challenge]:
    with site.store.read() as tx:
        return [one for one, _ in tx.open_challenges(datetime.now(timezone.utc))]


def _emergencies(site: Site) -> list[EmergencyCodes]:
    """The emergency codes of each account that has one left."""
    now = datetime.now(timezone.utc)
    with site.store.read() as tx:
        return [one for one in tx.emergencies(now) if one.left(now)]


def _state(keys: Keyring, key_id: str) -> tuple[str, ...]:
    if key_id == keys.current:
        return ("signs, seals" if key_id == keys.sealing else "signs",)
    if key_id == keys.sealing:
        return ("seals",)
    for waiting in (keys.waiting, keys.pin_waiting):
        if waiting is not None and key_id == waiting[0]:
            return ("waits", f"until {output.local(waiting[1])}")
    return ("old",)
