"""
Delivery receipts of an SMSC: what a deliver_sm says, in SMPP 3.4's words or in those in use.

Pure.  smpplib is not asked: it cuts an id that has no NUL at its end, and stops at a parameter that
it does not expect.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from radius_smsotp.model import receipts


@dataclass(frozen=True, slots=True)
class DeliveryReceipt:
    """What the SMSC says later: of which message, whether it arrived, and in which words."""

    message_id: str
    delivered: bool
    status: str


HEADER_OCTETS = 16  # SMPP 3.4 3.2
RECEIPTED_MESSAGE_ID, MESSAGE_PAYLOAD, MESSAGE_STATE = 0x001E, 0x0424, 0x0427  # SMPP 3.4 5.3.2

# SMPP 3.4 5.2.28, by the words of appendix B.  ENROUTE and ACCEPTED are not final.
FINAL_STATES = {2: "DELIVRD", 3: "EXPIRED", 4: "DELETED", 5: "UNDELIV", 7: "UNKNOWN", 8: "REJECTD"}

TOLD = re.compile(r"""(?i)\b(id|stat|err):\s*("[^"]*"|'[^']*'|[^\s,;"']+)""")
"""What is looked for in the text of a receipt; values stand in quotes now and then."""


def c_octet_string(octets: bytes) -> str:
    """What stands before the NUL (SMPP 3.4 3.1), as far as it is printable ASCII."""
    return re.sub("[^ -~]", "", octets.partition(b"\0")[0].decode("latin-1"))


def read_receipt(raw: bytes) -> DeliveryReceipt | None:
    """
    The final delivery receipt that a deliver_sm holds.

    Args:
        raw: The whole PDU.

    Returns:
        None for anything else: a message from a phone, a receipt on the way.
    """
    try:
        esm_class, message, tags = _read(raw[HEADER_OCTETS:])
    except (ValueError, IndexError, struct.error):  # it ends too early
        return None
    # SMPP 3.4 appendix B: "id:… sub:001 dlvrd:001 submit date:… done date:… stat:DELIVRD err:000
    # text:…".  What follows "text:" is the start of the message, so it is never looked at.
    text = (message or tags.get(MESSAGE_PAYLOAD, b"")).decode("latin-1")
    told = re.split("(?i)text:", text)[0]
    written = {key.lower(): value.strip("\"'") for key, value in TOLD.findall(told)}
    named = c_octet_string(tags.get(RECEIPTED_MESSAGE_ID, b""))
    # SMPP 3.4 5.2.12: bits 5 to 2 of esm_class are 0001 for an SMSC delivery receipt.  Some SMSCs
    # leave them 0, as in a message from a phone.
    kind = esm_class & 0x3C
    if kind != 0x04 and (kind or not (named or re.match("(?i)id:", told.lstrip()))):
        return None
    number = int.from_bytes(tags.get(MESSAGE_STATE, b""), "big")
    state = FINAL_STATES.get(number, "") if number else written.get("stat", "")
    # 7 is an invalid state to SMPP 3.4: there is nothing to wait for.
    delivered = False if state.upper() == "UNKNOWN" else receipts.outcome(state)
    message_id = named or written.get("id", "")
    if not message_id or delivered is None:
        return None
    error = re.fullmatch(r"\w[\w-]{0,19}", written.get("err", ""))
    told = receipts.word(state)
    return DeliveryReceipt(message_id, delivered, f"{told} err:{error[0]}" if error else told)


def _read(body: bytes) -> tuple[int, bytes, dict[int, bytes]]:
    """The esm_class, the short_message and the optional parameters of a deliver_sm."""
    # SMPP 3.4 4.6.1; an address comes after its type and plan.
    at = body.index(b"\0") + 1  # service_type
    for _ in ("source", "destination"):
        at = body.index(b"\0", at + 2) + 1
    esm_class = body[at]
    # protocol_id and priority_flag come between, registered_delivery and three others after.
    for skipped in (3, 0):  # schedule_delivery_time, validity_period
        at = body.index(b"\0", at + skipped) + 1
    start = at + 5
    end = start + body[at + 4]  # sm_length
    if end > len(body):
        raise ValueError
    tags, at = {}, end
    while at < len(body):
        tag, size = struct.unpack_from(">HH", body, at)
        tags[tag] = body[at + 4 : at + 4 + size]
        at += 4 + size
    return esm_class, body[start:end], tags
