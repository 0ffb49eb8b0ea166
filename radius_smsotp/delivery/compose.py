"""Makes the SMS of a challenge, from what its row and the key hold."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from radius_smsotp import providers
from radius_smsotp.model import code
from radius_smsotp.model.text import compose

if TYPE_CHECKING:
    from radius_smsotp.model.records import Challenge
    from radius_smsotp.settings.keyring import Keyring
    from radius_smsotp.settings.schema import SmsSettings

log = logging.getLogger(__name__)


def message(challenge: Challenge, keyring: Keyring, sms: SmsSettings) -> providers.Message | None:
    """The SMS of a challenge, or None if its key is gone."""
    key = keyring.get(challenge.key_id)
    if key is None:
        log.error("key %s is gone from the key file; a message is given up", challenge.key_id)
        return None
    transaction_id = challenge.transaction_id
    try:
        phone = code.unseal(key, transaction_id, challenge.delivery.sealed_phone)
    except ValueError as error:
        log.error("key %s is another one now (%s); a message is given up", challenge.key_id, error)
        return None
    secret = code.derive(key, transaction_id, challenge.digits)
    values = {"code": secret, "minutes": challenge.minutes, "name": challenge.account}
    template = challenge.delivery.template
    text = compose(template, values, transliterate=sms.transliterate, autofill=sms.autofill)
    return providers.Message(transaction_id, phone, text, secret)
