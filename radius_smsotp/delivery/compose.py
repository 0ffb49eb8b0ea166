"""Makes every SMS: of a challenge, from its row and the key, and to try a provider with."""

from __future__ import annotations

import logging
import secrets
from datetime import timedelta

from radius_smsotp import providers
from radius_smsotp.model import code
from radius_smsotp.model.records import Challenge, Message
from radius_smsotp.model.text import compose, whole_minutes
from radius_smsotp.settings.file import Loaded
from radius_smsotp.settings.keyring import Keyring
from radius_smsotp.settings.schema import SmsSettings

log = logging.getLogger(__name__)


def message(
    challenge: Challenge, queued: Message, keyring: Keyring, sms: SmsSettings
) -> providers.Message | None:
    """What a provider gets of a message of this challenge, or None if its key is gone."""
    key = keyring.get(challenge.key_id)
    if key is None:
        log.error("key %s is gone from the key file; a message is given up", challenge.key_id)
        return None
    transaction_id = challenge.transaction_id
    try:
        phone = code.unseal(key, transaction_id, queued.sealed_phone)
    except ValueError as error:
        log.error("key %s is another one now (%s); a message is given up", challenge.key_id, error)
        return None
    secret = code.derive(key, transaction_id, challenge.digits)
    lifetime = challenge.expires_at - challenge.created_at
    whole = text(queued.template, secret, lifetime, challenge.account, sms)
    return providers.Message(transaction_id, phone, whole, secret)


def sample(loaded: Loaded, phone: str, language: str = "") -> providers.Message:
    """
    What a login would send whose client has no settings of its own, with a made-up code.

    Args:
        language: Of who logs in; "" for that of the settings.
    """
    own = loaded.for_client("", "", "", language)
    made_up = str(secrets.randbelow(10**own.login.digits)).zfill(own.login.digits)
    whole = text(own.message, made_up, own.login.lifetime, "test", loaded.values.sms)
    return providers.Message(secrets.token_hex(16), phone, whole, made_up)


def text(template: str, code: str, lifetime: timedelta, name: str, sms: SmsSettings) -> str:
    """
    The text of an SMS.

    Args:
        template: As `settings.schema.MessageText` has it, or from ``SMSOTP-Text``.
        lifetime: How long the code is valid.
        name: Of the account.
    """
    values = {"code": code, "minutes": whole_minutes(lifetime), "name": name}
    return compose(template, values, transliterate=sms.transliterate, autofill=sms.autofill)
