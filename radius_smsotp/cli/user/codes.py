"""``smsotp user code`` and ``codes``: emergency codes, for whose phone is lost or far away."""

from __future__ import annotations

import html
import secrets
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from radius_smsotp.cli import output, results, when
from radius_smsotp.cli.results import Results
from radius_smsotp.cli.site import Site, pass_site
from radius_smsotp.cli.user import account
from radius_smsotp.errors import SmsotpError
from radius_smsotp.model import code as model
from radius_smsotp.model.identity import choose_language
from radius_smsotp.model.lockout import is_locked
from radius_smsotp.model.records import Account, EmergencyCodes, Lockout
from radius_smsotp.model.text import fill
from radius_smsotp.settings import whole_file
from radius_smsotp.store.transaction import Transaction

LONGEST = timedelta(days=92)
"""A quarter of a year: who needs no phone for longer needs another second factor."""

MOST_CODES, MOST_USES = 50, 100
"""50 codes at once are still 200 times as hard to guess as one of an SMS."""

MODE = 0o600


@click.command("code", short_help="Make emergency codes, for whose phone is lost.")
@account.name_argument
@click.option(
    "--for",
    "span",
    callback=when.span_of(LONGEST),
    metavar="SPAN",
    default="1d",
    show_default=True,
    help="How long they are valid: 12h, 1d, 2w.",
)
@click.option(
    "--uses",
    type=click.IntRange(1, MOST_USES),
    default=1,
    show_default=True,
    help="For how many logins each is good.",
)
@click.option(
    "--count",
    type=click.IntRange(1, MOST_CODES),
    default=1,
    show_default=True,
    help="How many: a list for a journey.",
)
@click.option(
    "--page",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write them to a page (HTML) to be printed, instead of here.",
)
@account.elsewhere_option
@results.told
@pass_site
def make_codes(
    site: Site,
    told: Results,
    name: str,
    span: timedelta,
    uses: int,
    count: int,
    page: Path | None,
    elsewhere: bool,
) -> None:
    """
    Make emergency codes: the user types one in place of the code of an SMS.

    They are shown once, here.  As long as one of them is valid no SMS is sent to this user, and the
    prompt asks for an emergency code.  Codes that were made before, and an SMS that is under way,
    are worthless from now on; remembered devices need a code again.

    \b
    Examples:
      smsotp user code alice
      smsotp user code alice --for 3d --uses 5
      smsotp user code alice --for 2w --count 10 --page alice.html
    """
    now = datetime.now(timezone.utc)
    made = EmergencyCodes(
        account=name,
        batch=secrets.token_hex(16),
        key_id=site.keys.current,
        made_at=now,
        expires_at=now + span,
        uses=(uses,) * count,
    )
    with site.store.read() as tx:
        account.refuse_unknown(tx, name, elsewhere=elsewhere)
    found = model.emergency(site.keys.secret, name, made.batch, count)
    until = output.local(made.expires_at)
    many = output.many(count, "emergency code")
    if page is not None:
        # Before they count: what cannot be written must not end those that do.
        whole_file.write(page, _page(site, made, found), MODE)
    with site.store.write(name, durable=True) as tx:
        one, counted = tx.account(name), tx.lockout(name)
        ended = _put(tx, made, now)
    more: dict[str, object] = {"until": made.expires_at, "uses": uses, "ended": ended}
    if page is not None:
        line = f"{name}: {many} in {page}, valid until {until}"
        more["page"] = str(page)
    else:
        each = "" if uses == 1 else f", each for {uses} logins"
        lines = [f"{number:4}  {shown}" for number, shown in enumerate(map(grouped, found), 1)]
        line = "\n".join([f"{name}: {many}, valid until {until}{each}", *lines])
        more["codes"] = found
    told.add(name, "made", line, **more)
    if ended:
        told.note(f"{name}: worthless from now on: {ended} made before", err=True)
    _doubt(told, name, one, counted, now)


def _put(tx: Transaction, made: EmergencyCodes, now: datetime) -> int:
    """Store codes, with all that follows.  Returns how many of before were still valid."""
    name, before = made.account, tx.emergency(made.account)
    ended = len(before.left(now)) if before else 0
    tx.put_emergency(made)
    tx.ask_emergency(name)
    one = account.event("codes-made", name)
    hours = round((made.expires_at - now).total_seconds() / 3600, 1)
    detail: dict[str, str | int | float]
    detail = {
        "codes": len(made.uses),
        "uses": made.uses[0],
        "hours": int(hours) if hours.is_integer() else hours,
    }
    tx.add_event(replace(one, detail={**detail, **one.detail}))
    # One of them may be what is lost.
    if number := tx.forget_devices(name):
        tx.add_event(account.devices_forgotten(name, number))
    return ended


def _doubt(told: Results, name: str, one: Account | None, counted: Lockout, now: datetime) -> None:
    """Say what keeps the user out all the same."""
    if one is not None and not one.enabled:
        told.note(f"{name} is disabled: 'smsotp user enable {name}'", err=True)
    if is_locked(counted, now) and counted.locked_until is not None:
        end = output.local(counted.locked_until)
        told.note(f"{name} is locked until {end}: 'smsotp user unlock {name}'", err=True)


def grouped(code: str) -> str:
    """A code as it is read out: in two halves."""
    half = len(code) // 2
    return f"{code[:half]} {code[half:]}"


def _page(site: Site, made: EmergencyCodes, codes: list[str]) -> str:
    """A page to be printed, in the user's language."""
    with site.store.read() as tx:
        one = tx.account(made.account)
    loaded = site.loaded
    language = choose_language((one and one.language) or "", loaded.languages)
    own = loaded.for_client("", "", "", language)
    digits = {"digits": model.EMERGENCY_DIGITS, "minutes": loaded.values.code.lifetime // 60}
    box = '<span class="box"></span>'
    # No blank between the halves: what is copied can be pasted behind a PIN.
    lines = [
        f'<li><span class="number">{number}</span><code>'
        + "".join(f'<span class="half">{half}</span>' for half in grouped(code).split())
        + f"</code>{box * uses if uses < BOXES else ''}</li>"
        for number, (code, uses) in enumerate(zip(codes, made.uses, strict=True), 1)
    ]
    values = {
        "language": language or loaded.values.language,
        "name": made.account,
        "iso": output.iso(made.expires_at),
        "until": output.local(made.expires_at, "%Y-%m-%d %H:%M"),
        "prompt": fill(own.texts.emergency, digits).strip().removesuffix(":").rstrip() + ".",
        "again": fill(own.texts.emergency_again, digits),
    }
    escaped = {key: html.escape(value) for key, value in values.items()}
    template = (files(__package__) / "codes.html").read_text("utf-8")
    return fill(template, {**escaped, "codes": "\n".join(lines)})


BOXES = 6
"""With so many uses nobody ticks them off."""


@click.command("codes", short_help="List emergency codes, or revoke them.")
@account.names_argument
@click.option("--revoke", type=int, metavar="NUMBER", help="Revoke the one with this number.")
@click.option("--revoke-all", is_flag=True, help="Revoke all: SMS are sent again.")
@output.json_option
@pass_site
def list_codes(
    site: Site, names: tuple[str, ...], revoke: int | None, revoke_all: bool, as_json: bool
) -> None:
    """
    List the emergency codes of users by their numbers, or revoke them.  None is shown.

    \b
    Examples:
      smsotp user codes alice
      smsotp user codes alice --revoke 3
      smsotp user codes alice bob --revoke-all
    """
    if revoke is not None and (revoke_all or len(names) > 1):
        raise click.UsageError("--revoke takes one name, and excludes --revoke-all")
    now = datetime.now(timezone.utc)
    with Results(for_programs=as_json and (revoke is not None or revoke_all)) as told:

        def end(name: str) -> None:
            with site.store.write(name, durable=True) as tx:
                number = _revoke(tx, name, revoke, now)
            line = f"{name}: emergency codes revoked: {number}"
            told.add(name, "revoked" if number else "ok", line, codes=number)

        if revoke is not None or revoke_all:
            told.each(names, end)
            return
        records: list[dict[str, Any]] = []
        known = told.each(names, lambda name: records.extend(_valid(site, name, now)))
        if not known and not as_json:
            return
        columns: dict[str, Any] = {"Account": "account"} if len(names) > 1 else {}
        columns |= {
            "Number": "number",
            "Uses left": lambda one: one["uses"] or "none",
            "Made": "made",
            "Until": "until",
        }
        none = f"{', '.join(known)}: no emergency code is valid"
        numbers = ["Number", "Uses left"]
        output.listing(
            records, columns, for_programs=as_json, empty=none, numbers=numbers, spare=["Made"]
        )


def _valid(site: Site, name: str, now: datetime) -> list[dict[str, Any]]:
    """The codes of an account of which one is valid still.  Raises SmsotpError: see there."""
    with site.store.read() as tx:
        found = tx.emergency(name)
        if found is None:
            account.refuse_unknown(tx, name)
    if found is None or not found.left(now):
        return []
    times = {"made": found.made_at, "until": found.expires_at}
    return [
        {"account": name, "number": number, "uses": uses, **times}
        for number, uses in enumerate(found.uses, 1)
    ]


def _revoke(tx: Transaction, name: str, which: int | None, now: datetime) -> int:
    """Revoke one code, or all.  Returns how many.  Raises SmsotpError if that one is not valid."""
    found = tx.emergency(name)
    left = found.left(now) if found else ()
    if which is not None and which not in left:
        known = f"'smsotp user codes {name}' names all"
        raise SmsotpError(f"{name}: no emergency code {which} is valid; {known}")
    revoked = left if which is None else (which,)
    if found is None or not revoked:
        return 0
    for number in revoked:
        found = found.less(number, None)
    tx.put_emergency(found)
    if not found.left(now):
        tx.cancel_challenges(name)
    one = account.event("codes-revoked", name)
    numbers = " ".join(map(str, revoked))
    tx.add_event(replace(one, detail={"numbers": numbers, **one.detail}))
    return len(revoked)
