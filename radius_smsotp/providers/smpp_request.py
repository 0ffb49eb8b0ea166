"""
What a message of an ``smpp`` provider is on the wire: the parameters of its submit_sm.

Pure: settings and a message in, parameters out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from radius_smsotp.errors import Refused
from radius_smsotp.model import text as sms
from radius_smsotp.providers.template import rewrite

if TYPE_CHECKING:
    from radius_smsotp.providers import Message
    from radius_smsotp.providers.smpp import Settings

# SMPP 3.4 5.2.5
TON = {
    "unknown": 0,
    "international": 1,
    "national": 2,
    "network_specific": 3,
    "subscriber": 4,
    "alphanumeric": 5,
    "abbreviated": 6,
}
# SMPP 3.4 5.2.6
NPI = {
    "unknown": 0,
    "isdn": 1,
    "data": 3,
    "telex": 4,
    "land_mobile": 6,
    "national": 8,
    "private": 9,
    "ermes": 10,
    "internet": 14,
    "wap": 18,
}

DEFAULT_ALPHABET, UCS2 = 0, 8  # data_coding, SMPP 3.4 5.2.19
WITH_HEADER = 0x40  # esm_class, SMPP 3.4 5.2.12
REPORT = 1  # registered_delivery, SMPP 3.4 5.2.17: of success and of failure
MOST_PARTS = 255  # 3GPP TS 23.040 9.2.3.24.1


def submit_requests(settings: Settings, message: Message) -> list[dict[str, Any]]:
    """
    The parameters of each submit_sm that a message takes, by their names in SMPP 3.4 4.4.1.

    Raises:
        Refused: The number or the text cannot be an SMS.
    """
    number = rewrite(settings.regexp, message.phone).removeprefix("+")
    if not re.fullmatch(r"[0-9]{1,20}", number):
        raise Refused("the number is not one of up to 20 digits; see regexp")
    shared = {
        **_sender(settings),
        "service_type": settings.service_type,
        "dest_addr_ton": settings.d_addr_ton,
        "dest_addr_npi": settings.d_addr_npi,
        "destination_addr": number,
    }
    requests = [shared | text for text in _texts(message, settings.long_text)]
    if settings.bind == "transceiver":
        # For the last part alone: one message, one report.
        requests[-1]["registered_delivery"] = REPORT
    return requests


def _sender(settings: Settings) -> dict[str, Any]:
    address = settings.s_addr
    ton, npi = TON["unknown"], NPI["unknown"]
    if address.startswith("+"):
        ton, npi = TON["international"], NPI["isdn"]
    elif re.search("[A-Za-z]", address):
        ton = TON["alphanumeric"]
    return {
        "source_addr": address.removeprefix("+"),
        "source_addr_ton": ton if settings.s_addr_ton is None else settings.s_addr_ton,
        "source_addr_npi": npi if settings.s_addr_npi is None else settings.s_addr_npi,
    }


def _texts(message: Message, long_text: str) -> list[dict[str, Any]]:
    """The text: in one piece, or with a header for each part."""
    gsm7 = sms.alphabet(message.text) is sms.Alphabet.GSM7
    coding = {"data_coding": DEFAULT_ALPHABET if gsm7 else UCS2}

    def encode(text: str) -> bytes:
        # One septet in an octet: the SMSC packs them.
        return sms.septets(text) if gsm7 else text.encode("utf-16-be", "replace")

    parts = sms.split(message.text)
    if long_text == "payload" and len(parts) > 1:
        return [coding | {"message_payload": encode(message.text)}]
    if len(parts) == 1:
        return [coding | {"short_message": encode(message.text)}]
    if len(parts) > MOST_PARTS:
        raise Refused(f"the text takes more than {MOST_PARTS} parts")
    # 3GPP TS 23.040 9.2.3.24.1: five octets, element 0 of three: common number, parts, part.
    common = int(message.transaction_id[-2:], 16)
    return [
        coding
        | {
            "esm_class": WITH_HEADER,
            "short_message": bytes([5, 0, 3, common, len(parts), number]) + encode(part),
        }
        for number, part in enumerate(parts, start=1)
    ]
