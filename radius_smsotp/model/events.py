"""The audit trail: every kind of event, in words for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

KINDS = {
    "challenge-opened": "a code was asked for and the challenge was opened",
    "challenge-repeated": "the first step came again within the cooldown; no second SMS",
    "login-refused": "the first step was refused; the reason says why",
    "pin-wrong": "the first factor was wrong",
    "first-factor-down": "a module that knows the account or checks the PIN did not answer",
    "sms-accepted": "a provider took the message",
    "sms-refused": "a provider refused the message",
    "sms-unavailable": "a provider could not be reached or was busy",
    "sms-unknown": "a provider fell silent after the message was submitted",
    "sms-delivered": "the network reported that the message has arrived",
    "sms-lost": "the network reported that the message has not arrived; the next provider sends it",
    "sms-undelivered": "no provider took the message; the challenge was closed",
    "sms-resent": "the user asked for one more SMS",
    "sms-resend-denied": "the user asked for one more SMS, a limit stood against it",
    "code-accepted": "the code was right; the challenge is spent",
    "code-wrong": "the code was wrong",
    "answer-repeated": "the same packet came again; it got the same reply, and nothing changed",
    "code-rejected": "an answer that could not be accepted; the reason says why",
    "password-repeated": "the device sent the password again in place of a code; not counted",
    "eap-refused": "the device cannot do EAP-GTC, or what it sent is no answer",
    "device-remembered": "the device was remembered after a whole login",
    "device-accepted": "a remembered device logged in without a code",
    "device-forgotten": "remembered devices were forgotten: each needs a code again",
    "account-locked": "too many wrong PINs or codes; the account is locked for a time",
    "account-added": "an account was added",
    "account-changed": "an account was changed",
    "account-deleted": "an account was deleted",
    "account-unlocked": "an administrator ended a lock-out",
    "provider-skipped": "a provider failed repeatedly and is skipped for a time",
    "provider-used": "a provider that was skipped works again",
}
"""Kind of event to what it means."""

REASONS = {
    "unknown-account": "there is no such account",
    "disabled": "the account is disabled",
    "locked": "the account is locked",
    "no-phone": "the account has no phone number",
    "country": "limits.countries does not allow this number",
    "per_account_hour": "limits.per_account_hour is reached",
    "per_number_hour": "limits.per_number_hour is reached",
    "per_client_hour": "limits.per_client_hour is reached",
    "per_day": "limits.per_day is reached",
    "unknown-challenge": "State names no challenge of ours",
    "foreign": "the challenge belongs to another account",
    "foreign-client": "the challenge belongs to another client, and challenge.bind forbids that",
    "foreign-station": "the challenge belongs to another station, and challenge.bind forbids that",
    "spent": "the code was used before",
    "exhausted": "no guesses are left",
    "undelivered": "no provider took the message",
    "cancelled": "the account was changed meanwhile",
    "expired": "the code came too late",
    "clock": "the clock has gone back since the code was made, or those of servers differ",
    "hashed-pin": "CHAP and MS-CHAP need the PIN in the clear; this account has a hash",
    "bad-phone": "no value of SMSOTP-Phone is a phone number",
}
"""Reason in an event's detail to what it means."""
