"""``smsotp trace``: what happened to an account or to one login, in plain words."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from radius_smsotp.cli import completion, output
from radius_smsotp.cli.check import directories
from radius_smsotp.cli.check.raddb import place
from radius_smsotp.cli.site import Site, pass_site
from radius_smsotp.errors import SmsotpError
from radius_smsotp.model import events, text
from radius_smsotp.model.identity import bare_name, fold_name, station_address
from radius_smsotp.model.records import Event
from radius_smsotp.store.transaction import Transaction

T = TypeVar("T", bound=Callable[..., Any])

STARTS = {"challenge-opened", "device-accepted", "login-refused", "pin-wrong"}
STARTS |= {"eap-refused", "eap-abandoned"}
"""Kinds with which a login begins: on a terminal there is a gap before them."""

GOOD = {"code-accepted", "device-accepted", "sms-accepted", "sms-delivered"}
BAD = {
    "account-locked",
    "code-rejected",
    "eap-abandoned",
    "eap-refused",
    "first-factor-down",
    "login-refused",
    "sms-refused",
    "sms-undelivered",
}

FOLLOWED = 200
"""Events that are looked through each time; no account has more within half a second."""

LATELY = timedelta(hours=1)
"""In which a refusal under another name is worth a word."""

MOST_NAMES = 3
"""Of those."""

TOGETHER = timedelta(minutes=1)
"""In which the same refusal is told once."""

LOOK_SECONDS = 0.5
"""How often to look for more."""


def limit_option(default: int) -> Callable[[T], T]:
    """How many of the last lines are told."""
    return click.option(
        "--limit",
        default=default,
        show_default=True,
        type=click.IntRange(min=1),
        metavar="N",
        help="How many lines, the latest ones.",
    )


follow_option = click.option(
    "--follow", "-f", is_flag=True, help="Go on as things happen, until Ctrl-C."
)


@click.command()
@click.argument("name", metavar="NAME|TRANSACTION_ID|STATION", shell_complete=completion.accounts)
@limit_option(50)
@follow_option
@click.option(
    "--json", "as_json", is_flag=True, help="For programs; with --follow one object a line."
)
@pass_site
def trace(site: Site, name: str, limit: int, follow: bool, as_json: bool) -> None:
    """
    Tell what happened to an account, to one login, or at one device or address.

    A device that says no name outside of its tunnel is found by its MAC address.  The latest
    comes last; after it, where something has failed, what to do.  Codes, PINs and whole phone
    numbers are in no line: they are not kept.

    \b
    Examples:
      smsotp trace alice
      smsotp trace alice --follow
      smsotp trace 02:00:00:00:00:01
      smsotp trace 0b9f3e0c5d7a4f16a2c84d9e6b1f7a30 --json
    """
    with site.store.read() as tx:
        newest = tx.history.newest()
        found = _told_of_realms(tx, tx.numbered_events(fold_name(name), limit))
        others = _with_realm(tx, fold_name(name))
    if follow:
        _follow(site, name, newest, found, as_json=as_json)
    trail = [event for _, event in found]
    if as_json:
        output.as_json([record(event) for event in trail])
        return
    if not trail:
        kept = f"events are kept for {site.loaded.values.audit.days} days"
        told = "; ".join([f"nothing is known of '{output.clean(name)}'", kept, *others])
        raise SmsotpError(told)
    teller = Teller(names=bool(station_address(name)))
    for number, event in enumerate(folded(trail)):
        _show(teller, event, first=number == 0)
    for sentence in (advice(trail[-1], place(site.loaded.path)), *others):
        if sentence:
            told = f"=> {output.clean(sentence)}"
            click.echo(output.wrapped(told, "") if sys.stdout.isatty() else told)


def _follow(
    site: Site, name: str, newest: int, found: list[tuple[int, Event]], *, as_json: bool
) -> NoReturn:
    """What has happened, and then what happens: events behind the one that was the newest."""
    teller = Teller(names=bool(station_address(name)))
    seen: set[int] = set()
    while True:
        # By numbers that were seen, not by the highest: on PostgreSQL one may come late.
        fresh = [(number, event) for number, event in found if number not in seen]
        for event in [one for _, one in fresh] if as_json else ():
            output.as_json(record(event), indent=None)
        for number, event in enumerate(folded(one for _, one in fresh) if not as_json else ()):
            _show(teller, event, first=not seen and number == 0)
        seen.update(number for number, _ in fresh)
        sys.stdout.flush()
        time.sleep(LOOK_SECONDS)
        with site.store.read() as tx:
            seen_until, newest = newest, tx.history.newest()
            numbered = tx.numbered_events(fold_name(name), FOLLOWED, seen_until)
            found = _told_of_realms(tx, numbered)


def _with_realm(tx: Transaction, name: str) -> list[str]:
    """Under which other names somebody was refused lately who may be meant, as sentences."""
    refused = (
        tx.figures.recent("login-refused", datetime.now(timezone.utc) - LATELY) if name else []
    )
    names = sorted({one.account for one in refused if bare_name(one.account) == name})
    return [f"somebody was refused as '{one}': smsotp trace '{one}'" for one in names[:MOST_NAMES]]


def _told_of_realms(tx: Transaction, found: list[tuple[int, Event]]) -> list[tuple[int, Event]]:
    """Events, those of unknown names told from those of names that only have a realm too many."""
    unknown = {one.account for _, one in found if one.detail.get("reason") == "unknown-account"}
    bare = {name: short for name in unknown if (short := bare_name(name))}
    known = tx.accounts_named([*bare.values()]) if bare else {}
    return [
        (number, replace(event, detail=event.detail | {"reason": "realm"}))
        if event.detail.get("reason") == "unknown-account" and bare.get(event.account) in known
        else (number, event)
        for number, event in found
    ]


def _show(teller: Teller, event: Event, *, first: bool) -> None:
    if event.kind in STARTS and not first and sys.stdout.isatty():
        click.echo()
    say(event, teller.tell(event))


def say(event: Event, told: str) -> None:
    """Print what is told of an event beside its time."""
    when, told = output.local(event.time), output.clean(told)
    if sys.stdout.isatty():
        colour = "green" if event.kind in GOOD else "red" if event.kind in BAD else None
        lines = output.wrapped(told, " " * (len(when) + 2)).lstrip()
        told = output.styled(lines, colour) if colour else lines
    click.echo(f"{when}  {told}")


def folded(trail: Iterable[Event]) -> list[Event]:
    """Events in their order, a refusal that came several times, maybe by several methods, once."""
    told: list[Event] = []
    for event in trail:
        before = told[-1] if told else None
        if before is None or not _is_same_refusal(before, event):
            told.append(event)
            continue
        detail = before.detail | {"times": int(before.detail.get("times", 1)) + 1}
        methods = [*str(before.detail.get("method", "")).split(", "), event.detail.get("method")]
        if known := [str(one) for one in dict.fromkeys(methods) if one]:
            detail["method"] = ", ".join(known)
        told[-1] = replace(before, detail=detail)
    return told


def _is_same_refusal(before: Event, event: Event) -> bool:
    apart = {"method", "times"}
    reasons = [
        {key: one.detail[key] for key in one.detail.keys() - apart} for one in (before, event)
    ]
    return (
        replace(before, time=event.time, detail=event.detail) == event
        and event.kind in {"pin-wrong", "login-refused"}
        and reasons[0] == reasons[1]
        and "reason" in event.detail
        and "more" not in event.detail
        and event.time - before.time < TOGETHER
    )


def record(event: Event) -> dict[str, Any]:
    return asdict(event) | {"meaning": events.KINDS.get(event.kind, event.kind)}


TEST = "try it with 'smsotp provider test {provider} --phone NUMBER'"
TRY_LATER = "raise it in the settings, or wait"
START_AGAIN = "the user has to log in again from the start"

BOUND = START_AGAIN + "; if clients share their logins, set challenge.bind: account"

OTHER_KEY = "copy the key file from the other server: 'smsotp key list' and 'smsotp check' on both"

COMPARE = (
    "compare the shared secret of {client} with the one in clients.conf; let it sign "
    "(Message-Authenticator), and the log says at once that they differ"
)

CHANGE_IT = "let the user change it at a computer of the domain"

PHASE_2 = "set the device's inner authentication (phase 2) to GTC, or to PAP with TTLS"

REMEDIES = {
    "login-refused unknown-account": "add it: smsotp user add {account} --phone NUMBER "
    "(or have LDAP or SQL set SMSOTP-Phone; in SQL with op :=)",
    "login-refused no-number": "add it there ({attributes}), or for a time here: smsotp user set "
    "{account} --phone NUMBER --until friday; or: smsotp user code {account}",
    "login-refused disabled": "smsotp user enable {account}",
    "login-refused refused": "look for Auth-Type := Reject, Expiration, Login-Time and the like "
    "where FreeRADIUS has the account from",
    "login-refused domain-disabled": "enable it in the domain",
    "login-refused domain-expired": "prolong it in the domain (accountExpires)",
    "login-refused domain-password-expired": CHANGE_IT,
    "login-refused domain-must-change": CHANGE_IT,
    "login-refused domain-hours": "change the account's logon hours in the domain (logonHours)",
    "login-refused domain-workstation": "add the domain controllers to the computers that the "
    "account may log on to (userWorkstations), as they see no other one in a bind",
    "login-refused domain-locked": "unlock it in the domain, and look who tries passwords there",
    "login-refused domain-changed": "the user has to log in again, with the new password",
    "login-refused domain-rules": "tell the user what the domain wants of a new password: "
    "its length, its letters, how old the one before has to be",
    "login-refused other-method": "set the client to PAP, or to EAP of ours; what may come in "
    "beside is said in smsotp_beside, in policy.d/smsotp_first_factor",
    "login-refused unsigned": "let the proxy sign its requests; until it can, write "
    "limit_proxy_state = no into its client section in clients.conf, for RadSec proto = tls",
    "login-refused realm": "strip it: in smsotp_name, of policy.d/smsotp_first_factor, the usual "
    "cases are ready",
    "login-refused no-password": "a client that looks whether the server is there may do so; else "
    "set it to PAP: a MAC address or a certificate alone is no login here",
    "login-refused nul": "nobody types one: look what the client puts into name and password; if "
    "its shared secret is another one, passwords become such",
    "login-refused garbled": COMPARE,
    "login-refused sshd": "make the account known on that host (getent passwd {account}), and "
    "allowed in its sshd_config: AllowUsers, PermitRootLogin",
    "login-refused unfit": "no device sends a password beside EAP, or a name twice: this one is "
    "broken, or somebody tries things",
    "login-refused locked": "wait for lockout.minutes, or: smsotp user unlock {account}",
    "login-refused no-phone": "smsotp user set {account} --phone NUMBER",
    "login-refused bad-phone": "mend the number where it comes from ({attributes})",
    "login-refused country": "set another number, or add its country to limits.countries; of a "
    "code that several share, as +1 or +44, each but the main one is named on its own",
    "login-refused prefix": "set another number, or take the prefix out of limits.refused",
    "login-refused premium": "set another number, or add its prefix to limits.special",
    "login-refused special": "set another number, or add its prefix to limits.special",
    "login-refused other-key": OTHER_KEY,
    "login-refused noise": "a device may have kept an old PIN: change it there; if somebody "
    "guesses, 'smsotp check' names the client: stop it there",
    "login-refused old-code": "let the device keep the PIN alone, or ask each time; or have it "
    "remembered ('remember' of its client or SSID); OpenVPN: auth-gen-token with "
    "auth-gen-token-secret",
    "login-refused stored-password": "take the password off the device, or log in from it once, "
    "with PIN and code, and have it remembered ('remember' of its client or SSID); if somebody is "
    "there: smsotp user unlock {account}",
    "login-refused": TRY_LATER,
    "pin-wrong": "if the PIN is forgotten: smsotp user set {account} --pin-stdin; if it is wrong "
    "for everybody, compare the client's shared secret with clients.conf",
    "pin-wrong hashed-pin": "CHAP and MS-CHAP cannot check our PINs: let FreeRADIUS know "
    "the password from LDAP, SQL, a users file or Active Directory, or set the client to PAP, a "
    "Wi-Fi device's inner authentication (phase 2) to GTC",
    "pin-wrong no-state": "a client has to send State back with the code (RFC 2865 section 5.24): "
    "if {client} cannot, give it 'style: reject'; if the user has begun anew, the PIN comes first",
    "pin-wrong code-alone": "tell the user to type the PIN as well: 'smsotp client show {client}' "
    "says in which forms, and texts.code_sent what users read",
    "pin-wrong garbled": COMPARE,
    "pin-wrong in-turn": "the client tries several methods with what was typed once: set it to "
    "PAP, and an error is one request",
    "pin-wrong unprovable": "let FreeRADIUS know the password from LDAP, SQL, a users file or "
    "Active Directory, or set the client to PAP, a Wi-Fi device's inner authentication (phase 2) "
    "to GTC",
    "pin-wrong no-pin": "smsotp user set {account} --pin-stdin; where the password is known "
    "elsewhere, name what checks it in smsotp_first_factor (policy.d); in SQL with op :=",
    "pin-wrong other-key": OTHER_KEY,
    "password-repeated": "the device has stored the password: the user gives it both in one",
    "eap-refused": PHASE_2,
    "eap-refused method": "set the device to PEAP or EAP-TTLS: 'smsotp wifi profile' writes what "
    "it needs",
    "eap-refused bare": "a VPN gateway (IKEv2): virtual_server = smsotp-gtc in its client section, "
    "in clients.conf; a Wi-Fi device: set it to PEAP or EAP-TTLS",
    "eap-refused outer": "write virtual_server = smsotp into the client section, in clients.conf",
    "eap-refused authority": "give the device the authority: 'smsotp raddb certificate' shows it, "
    "'smsotp wifi profile' writes it down for the device",
    "eap-refused certificate": "compare the name and the authority that the device expects with "
    "'smsotp raddb certificate', and look at its clock",
    "eap-refused dates": "see 'smsotp raddb certificate', and renew it with --renew; if it is "
    "valid, the device's clock is wrong",
    "eap-refused tls": "update the device; versions and ciphers are set in "
    "mods-available/eap_smsotp",
    "eap-refused ended": "compare with 'smsotp raddb certificate' what the device expects",
    "eap-refused broken": "if other devices there get in, it is broken, or somebody tries things; "
    "if none does, something on the way changes or cuts packets",
    "eap-refused conversation": "the device begins again by itself; if it goes on, let whatever "
    "shares requests out send a whole conversation to one server, and see that users answer within "
    "timer_expire (mods-available/eap_smsotp)",
    "eap-refused full": "if these are users, raise max_sessions in mods-available/eap_smsotp",
    "eap-refused identity": "let the access point send the name that the device says, and a device "
    "without a name say 'anonymous'",
    "eap-abandoned": "the device may not trust the certificate, or have asked its user: give it a "
    "profile ('smsotp wifi profile'); if it has gone out of reach, there is nothing to do",
    "first-factor-down": "look into FreeRADIUS's log: its LDAP, SQL or other module does not work",
    "noise": "find out who is behind that client, and stop it there",
    "account-locked": "wait for lockout.minutes, or: smsotp user unlock {account}",
    "challenge-opened emergency": "the user has to type an emergency code; SMS are sent again "
    "after: smsotp user codes {account} --revoke-all",
    "challenge-opened": "the message was not sent yet; if it stays so, see 'smsotp check'",
    "sms-accepted": "waiting for the code; if no SMS came, ask the provider about its message id",
    "sms-refused": TEST,
    "sms-busy": "if this is often so, set per_second of {provider} to what the gateway takes",
    "sms-unavailable": TEST,
    "sms-unknown": "if no SMS came, " + TEST,
    "sms-lost": "if no SMS came through another provider either, " + TEST,
    "sms-postponed": "it is sent as soon as a provider takes it, while its code is valid",
    "sms-undelivered": "see what the providers said above; 'smsotp provider test' tries one",
    "sms-resend-denied": TRY_LATER,
    "sms-resend-denied no-way": "tell the user the words, or: smsotp user set {account} --way "
    "WORD=ADDRESS",
    "sms-next-way": "the message was not sent yet; if it stays so, see 'smsotp check'",
    "code-rejected expired": START_AGAIN + "; if SMS come late, raise code.lifetime",
    "code-rejected clock": START_AGAIN + "; if it comes again, keep the servers' clocks (NTP)",
    "code-rejected locked": "wait for lockout.minutes, or: smsotp user unlock {account}",
    "code-rejected undelivered": "see what the providers said; 'smsotp provider test' tries one",
    "code-rejected foreign-client": BOUND,
    "code-rejected foreign-station": BOUND,
    "code-rejected other-key": OTHER_KEY,
    "code-rejected": START_AGAIN,
}
"""Kind of event, with its reason where that matters, to what to do."""


def advice(event: Event, raddb: Path) -> str | None:
    """
    One sentence, None where all is well.

    Args:
        raddb: That says where a directory is looked at for numbers.
    """
    reason = event.detail.get("reason", "")
    remedy = REMEDIES.get(f"{event.kind} {reason}") or REMEDIES.get(event.kind)
    several = not event.account and "more" in event.detail
    if remedy is None or several:  # of several names there is nothing to do for one
        return None
    values = {"account": event.account, "provider": event.detail.get("provider", "NAME")}
    if "{attributes}" in remedy:
        values["attributes"] = _looked_at(raddb)
    return text.fill(remedy, values | {"client": event.client})


def _looked_at(raddb: Path) -> str:
    """Where FreeRADIUS looks for numbers: "mobile, otherMobile"."""
    found: tuple[str, ...] = ()
    with contextlib.suppress(OSError):  # whoever may read the trail need not be root
        found = directories.number_attributes(raddb)
    return ", ".join(found) or "SMSOTP-Phone"


SENTENCES = {
    "challenge-opened": "the PIN or password was right, a code was made",
    "challenge-opened client": "the client has checked the first factor, a code was made",
    "challenge-opened emergency": "the PIN or password was right, an emergency code is asked for",
    "challenge-repeated": "the first step came once more: the same code counts, no second SMS",
    "login-refused": "refused: {reason}",
    "pin-wrong": "the PIN or password was wrong",
    "pin-wrong hashed-pin": "refused: {reason}",
    "pin-wrong unprovable": "refused: {reason}",
    "pin-wrong no-pin": "refused: {reason}",
    "pin-wrong no-state": "refused: {reason}",
    "pin-wrong code-alone": "refused: {reason}",
    "pin-wrong garbled": "refused: {reason}",
    "pin-wrong in-turn": "the PIN or password was wrong; {reason}",
    "first-factor-down": "the PIN or password could not be checked: that module did not answer",
    "sms-accepted": "{provider} took the message",
    "sms-refused": "{provider} refused the message",
    "sms-busy": "{provider} was busy",
    "sms-unavailable": "{provider} could not be reached, or was out of service",
    "sms-unknown": "{provider} fell silent; the message may come or not",
    "sms-delivered": "the network reports that the message has arrived",
    "sms-lost": "the network reports that the message has not arrived; the next provider sends it",
    "sms-postponed pace": "the message waits for its turn at {provider}",
    "sms-postponed busy": "no provider takes the message now: it is sent again",
    "sms-undelivered": "no provider took the message: refused",
    "sms-next-way": "no provider of that way took the message: it goes the next one",
    "sms-resent": "the user asked for one more SMS, or another way",
    "sms-resend-denied": "the user asked for one more SMS: {reason}",
    "code-accepted": "the code was right: logged in",
    "code-accepted emergency": "an emergency code was right: logged in",
    "code-wrong": "the code was wrong",
    "code-rejected": "the code was not accepted: {reason}",
    "password-repeated": "the device sent the stored password in place of the code; not counted",
    "eap-refused": "{reason}",
    "eap-abandoned": "the device was shown the server's certificate, and fell silent",
    "device-accepted": "a remembered device, the PIN was right: logged in without a code",
    events.SESSION_STARTED: "the session has begun",
    events.SESSION_ENDED: "the session has ended",
    "device-remembered": "this device needs no code from now on",
}
"""Kind of event, with its reason where that matters, to the sentence; else as in `audit.KINDS`."""

UNNAMED = {"eap-refused", "eap-abandoned"}
"""Kinds of what has no name, where the device says none outside of its tunnel."""

BEGINNINGS = STARTS | {"challenge-repeated", "first-factor-down"}
BEGINNINGS |= {"device-forgotten", "device-remembered"}
BEGINNINGS |= {events.SESSION_STARTED, events.SESSION_ENDED}
"""Kinds whose line says who asked; the lines after it belong to the same login."""

TOLD = {"challenge-opened emergency", "code-accepted emergency"}
TOLD |= {"sms-postponed pace", "sms-postponed busy"}
"""Of whose reason the sentence says all."""

DETAILS = {
    "way": "way: {}",
    "message_id": "message id {}",
    "text": "{}",
    "wait": "in {} s",
    "number": "{}",
    "fields": "{}",
    "was": "it was {}",
    "codes": "codes: {}",
    "uses": "logins each: {}",
    "emergency": "number {}",
    "numbers": "numbers {}",
    "override": "to the helpdesk's number {}",
    "hours": "for {} hours",
    "devices": "devices: {}",
    "failures": "failures: {}",
    "held": "not looked at: {}",
    "ssid": "SSID {}",
    "method": "by {}",
    "times": "{} times",
    "by": "by {}",
    "address": "address {}",
    "cause": "{}",
    "asked": "it was typed for transaction {}",
}
"""What else an event's detail holds, in the order and words of a line."""


def _sentence(event: Event) -> str:
    specific = SENTENCES.get(f"{event.kind} {event.detail.get('reason', '')}")
    known = specific or SENTENCES.get(event.kind)
    return known or events.KINDS.get(event.kind, event.kind)


class Teller:
    """
    Tells events in their order: what came before gives a sentence its context.

    Args:
        names: Whether they are of several accounts.
    """

    def __init__(self, *, names: bool = False) -> None:
        self._names = names
        self._opened: dict[str, datetime] = {}

    def tell(self, event: Event) -> str:
        """One event."""
        detail = event.detail
        reason = str(detail.get("reason", ""))
        if event.kind == "eap-refused":
            meaning = events.EAP_REASONS.get(reason, events.KINDS[event.kind])
        else:
            meaning = events.REASONS.get(reason, reason)
        values = {"reason": meaning, "provider": detail.get("provider")}
        told = text.fill(_sentence(event), values)
        if _is_unknown(event):
            told = f"unknown device at {event.client}: {told}"
        if "more" in detail:
            told = f"{int(detail['more']):,} more in this minute: {told}"
        more = self._more(event)
        return f"{told} ({', '.join(more)})" if more else told

    def _more(self, event: Event) -> list[str]:
        detail = event.detail
        parts = []
        if "seconds" in detail:
            parts.append(f"after {float(detail['seconds']):.2f} s")
        if "lasted" in detail:
            lasted, received, sent = (int(detail[one]) for one in ("lasted", "received", "sent"))
            parts += [f"after {output.span(lasted)}"]
            parts += [f"{output.octets(received)} from the user, {output.octets(sent)} to the user"]
        # Account and provider are in the sentence already, the reason mostly.
        if event.kind in {"sms-delivered", "sms-lost"} and detail.get("provider"):
            parts.append(f"provider {detail['provider']}")
        told = f"{event.kind} {detail.get('reason')}" in TOLD
        if "reason" in detail and not told and "{reason}" not in _sentence(event):
            known = str(detail["reason"])
            parts.append(events.REASONS.get(known, known))
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
        if event.kind in BEGINNINGS or "more" in detail:
            client = "" if _is_unknown(event) else event.client
            who = [("client", client), ("station", event.station)]
            if self._names:
                who.insert(0, ("account", event.account))
            asked = (*who, ("transaction", event.transaction_id))
            parts += [f"{word} {value}" for word, value in asked if value]
        return parts


def _is_unknown(event: Event) -> bool:
    """Whether it is of one device, and nobody knows whose."""
    return event.kind in UNNAMED and not event.account and "more" not in event.detail
