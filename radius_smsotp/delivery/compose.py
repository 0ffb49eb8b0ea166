"""Makes every SMS: of a challenge, from its row and the key, and to try a provider with."""

from __future__ import annotations

import logging
import secrets
from dataclasses import replace
from datetime import timedelta

from radius_smsotp import providers
from radius_smsotp.model import code, ways
from radius_smsotp.model.records import Challenge, Message
from radius_smsotp.model.text import compose, fill, whole_minutes
from radius_smsotp.settings.file import Loaded
from radius_smsotp.settings.keyring import Keyring
from radius_smsotp.settings.policy import ClientPolicy
from radius_smsotp.settings.schema import SmsSettings

log = logging.getLogger(__name__)


def message(
    challenge: Challenge, queued: Message, keyring: Keyring, loaded: Loaded
) -> providers.Message | None:
    """What a provider gets of a message of this challenge, or None if its key is gone."""
    key, to = keyring.get(challenge.key_id), address(challenge, queued, keyring)
    if key is None or to is None:
        return None
    secret = code.derive(key, challenge.transaction_id, challenge.digits)
    lifetime = challenge.expires_at - challenge.created_at
    whole = text(queued.template, secret, lifetime, challenge.account, loaded.values.sms)
    own = loaded.for_client(challenge.client, "", "", challenge.language)
    made = providers.Message(challenge.transaction_id, to, whole, secret)
    return _addressed(made, own, lifetime)


def address(challenge: Challenge, queued: Message, keyring: Keyring) -> str | None:
    """Where a message goes, or None if its key is gone."""
    key = keyring.get(challenge.key_id)
    if key is None:
        log.error("key %s is gone from the key file; a message is given up", challenge.key_id)
        return None
    try:
        nonce = code.nonce(challenge.transaction_id, queued.way)
        return code.unseal(key, nonce, queued.sealed_phone)
    except ValueError as error:
        log.error("key %s is another one now (%s); a message is given up", challenge.key_id, error)
        return None


def _addressed(
    message: providers.Message, own: ClientPolicy, lifetime: timedelta
) -> providers.Message:
    """A message, its `phone` any address, with what other ways need."""
    words = own.texts.digits_spoken.split()
    spoken = ", ".join(words[int(digit)] for digit in message.code)
    minutes = whole_minutes(lifetime)
    is_mail = ways.is_mail(message.phone)
    return replace(
        message,
        phone="" if is_mail else message.phone,
        email=message.phone if is_mail else "",
        language=own.language,
        code_spoken=spoken,
        message_spoken=fill(own.texts.spoken, {"code_spoken": spoken, "minutes": minutes}),
    )


def sample(loaded: Loaded, phone: str, language: str = "") -> providers.Message:
    """
    What a login would send whose client has no settings of its own, with a made-up code.

    Args:
        language: Of who logs in; "" for that of the settings.
    """
    own = loaded.for_client("", "", "", language)
    made_up = str(secrets.randbelow(10**own.login.digits)).zfill(own.login.digits)
    whole = text(own.message, made_up, own.login.lifetime, "test", loaded.values.sms)
    made = providers.Message(secrets.token_hex(16), phone, whole, made_up)
    return _addressed(made, own, own.login.lifetime)


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
