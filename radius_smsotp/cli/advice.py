"""What to do about the last thing that happened to an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radius_smsotp.core import placeholder

if TYPE_CHECKING:
    from radius_smsotp.core.model import Event

TEST = "try it with 'smsotp provider test {provider} --phone NUMBER'"
TRY_LATER = "raise it in the settings, or wait"
START_AGAIN = "the user has to log in again from the start"

BOUND = START_AGAIN + "; if clients share their logins, set challenge.bind: account"

REMEDIES = {
    "login-refused unknown-account": "add it: smsotp user add {account} --phone NUMBER "
    "(or have LDAP or SQL set SMSOTP-Phone)",
    "login-refused disabled": "smsotp user enable {account}",
    "login-refused locked": "wait for lockout.minutes, or: smsotp user unlock {account}",
    "login-refused no-phone": "smsotp user set {account} --phone NUMBER",
    "login-refused bad-phone": "mend the number where SMSOTP-Phone comes from",
    "login-refused country": "add the number's prefix to limits.countries, or set another number",
    "login-refused": TRY_LATER,
    "pin-wrong": "if the PIN is forgotten: smsotp user set {account} --pin-stdin; if it is wrong "
    "for everybody, compare the client's shared secret with clients.conf",
    "pin-wrong hashed-pin": "CHAP and MS-CHAP cannot check our PINs: let FreeRADIUS know "
    "the password from LDAP, SQL, a users file or Active Directory, or set the client to PAP",
    "password-repeated": "the device has stored the password: the user gives it both in one",
    "eap-refused": "set the device's inner authentication (phase 2) to GTC, or to PAP with TTLS",
    "first-factor-down": "look into FreeRADIUS's log: its LDAP, SQL or other module does not work",
    "account-locked": "wait for lockout.minutes, or: smsotp user unlock {account}",
    "challenge-opened": "the message was not sent yet; if it stays so, see 'smsotp check'",
    "sms-accepted": "waiting for the code; if no SMS came, ask the provider about its message id",
    "sms-refused": TEST,
    "sms-unavailable": TEST,
    "sms-unknown": "if no SMS came, " + TEST,
    "sms-lost": "if no SMS came through another provider either, " + TEST,
    "sms-undelivered": "see what the providers said above; 'smsotp provider test' tries one",
    "sms-resend-denied": TRY_LATER,
    "code-rejected expired": START_AGAIN + "; if SMS come late, raise code.lifetime",
    "code-rejected clock": START_AGAIN + "; if it comes again, keep the servers' clocks (NTP)",
    "code-rejected locked": "wait for lockout.minutes, or: smsotp user unlock {account}",
    "code-rejected undelivered": "see what the providers said; 'smsotp provider test' tries one",
    "code-rejected foreign-client": BOUND,
    "code-rejected foreign-station": BOUND,
    "code-rejected": START_AGAIN,
}
"""Kind of event, with its reason where that matters, to what to do."""


def advice(event: Event) -> str | None:
    """One sentence, None where all is well."""
    reason = event.detail.get("reason", "")
    remedy = REMEDIES.get(f"{event.kind} {reason}") or REMEDIES.get(event.kind)
    if remedy is None:
        return None
    values = {"account": event.account, "provider": event.detail.get("provider", "NAME")}
    return placeholder.fill(remedy, values)
