"""
Octets of an SMS: what goes to the modem, and the delivery receipt that comes back.

Layout: 3GPP TS 23.040 9.2 (TPDUs); packing: TS 23.038 6.1.2.1; service centre: TS 27.005 3.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum

from radius_smsotp.model.text import Alphabet, alphabet, septets, split

INTERNATIONAL = 0x91
"""Type of address: international number, telephone numbering plan (TS 23.040 9.1.2.5)."""

_SUBMIT = 0x01  # TP-MTI, TS 23.040 9.2.3.1
_RECEIPT = 0x02
_RELATIVE_VALIDITY = 0x10  # TP-VPF, 9.2.3.3
_RECEIPT_WANTED = 0x20  # TP-SRR, 9.2.3.5
_HEADER_PRESENT = 0x40  # TP-UDHI, 9.2.3.23
_CODING = {Alphabet.GSM7: 0x00, Alphabet.UCS2: 0x08}  # TP-DCS, TS 23.038 4


@dataclass(frozen=True, slots=True)
class Submit:
    """
    One part, ready for ``AT+CMGS`` in PDU mode (TS 27.005 4.3).

    Attributes:
        length: Octets without the service centre's address: the argument of ``AT+CMGS``.
        hex: What follows the prompt, upper case.
    """

    length: int
    hex: str = field(repr=False)  # number and text can be read from it


def submit(
    phone: str,
    text: str,
    *,
    reference: int,
    service_centre: str = "",
    validity: int | None = None,
    receipt: bool = False,
) -> tuple[Submit, ...]:
    """
    Encode a text as SMS-SUBMIT (TS 23.040 9.2.2.2), in as many parts as it needs.

    Args:
        phone: E.164 with its plus sign.
        text: Letters outside Unicode (lone surrogates) become "?".
        reference: 0 to 255, the same in all parts of one text.
        service_centre: E.164 with its plus sign, or empty for the one the SIM knows.
        validity: Minutes for which the network tries to deliver; None leaves it to the network.
        receipt: Ask for a delivery receipt.

    Raises:
        ValueError: not a number, or more than 255 parts.  Its text holds neither.
    """
    parts = split(text)
    if len(parts) > 255:  # TS 23.040 9.2.3.24.1: the count is one octet
        raise ValueError(f"the text needs {len(parts)} parts, and an SMS has at most 255")
    needed = alphabet(text)
    first = (
        _SUBMIT
        | (_RELATIVE_VALIDITY if validity is not None else 0)
        | (_RECEIPT_WANTED if receipt else 0)
        | (_HEADER_PRESENT if len(parts) > 1 else 0)
    )
    # TP-MR is 0: the modem counts (TS 23.040 9.2.3.6).  TP-PID is 0: a plain short message.
    head = bytes([first, 0]) + _recipient(phone) + bytes([0, _CODING[needed]])
    if validity is not None:
        head += bytes([relative_validity(validity)])
    centre = _centre(service_centre)
    submits = []
    for number, part in enumerate(parts, 1):
        header = bytes([5, 0, 3, reference, len(parts), number]) if len(parts) > 1 else b""
        octets = head + _user_data(part, needed, header)
        submits.append(Submit(len(octets), (centre + octets).hex().upper()))
    return tuple(submits)


def _user_data(part: str, needed: Alphabet, header: bytes) -> bytes:
    """TP-UDL, the header, and the text (TS 23.040 9.2.3.16 and 9.2.3.24)."""
    if needed is Alphabet.UCS2:
        content = header + part.encode("utf-16-be", "replace")
        return bytes([len(content)]) + content
    # The text starts at a septet's edge, as if the header were septets too.
    header_septets = -(-len(header) * 8 // 7)
    codes = septets(part)
    packed = pack(codes, fill=header_septets * 7 - len(header) * 8)
    return bytes([header_septets + len(codes)]) + header + packed


def pack(codes: bytes, fill: int = 0) -> bytes:
    """
    Pack septets into octets, lowest bit first (TS 23.038 6.1.2.1.1).

    Args:
        codes: One septet in each byte.
        fill: Zero bits before the first septet.
    """
    bits = 0
    for position, code in enumerate(codes):
        bits |= code << (fill + 7 * position)
    return bits.to_bytes(-(-(fill + 7 * len(codes)) // 8), "little")


def relative_validity(minutes: int) -> int:
    """
    TP-VP: the shortest period of the table in TS 23.040 9.2.3.12.1 that is not below `minutes`.

    More than 63 weeks, the longest of them, is 63 weeks.
    """
    hour, day, week = 60, 24 * 60, 7 * 24 * 60
    if minutes <= 12 * hour:
        return max(-(-minutes // 5) - 1, 0)
    if minutes <= day:
        return 143 + -(-(minutes - 12 * hour) // 30)
    if minutes <= 30 * day:
        return 166 + -(-minutes // day)
    return min(192 + max(-(-minutes // week), 5), 255)


def _digits(phone: str) -> str:
    digits = phone.removeprefix("+")
    # TS 23.040 9.1.2.5: at most 12 octets, of which 10 hold two digits each.
    if not re.fullmatch("[0-9]{1,20}", digits):
        raise ValueError("the number is not of the form +491701234567")
    return digits


def _semi_octets(digits: str) -> bytes:
    """Two digits in an octet, the first in the lower half, 15 if there is no second (9.1.2.3)."""
    even = digits + "F" * (len(digits) % 2)
    return bytes.fromhex("".join(even[i + 1] + even[i] for i in range(0, len(even), 2)))


def _recipient(phone: str) -> bytes:
    """TP-DA: its length counts digits (TS 23.040 9.1.2.5)."""
    digits = _digits(phone)
    return bytes([len(digits), INTERNATIONAL]) + _semi_octets(digits)


def _centre(phone: str) -> bytes:
    """The service centre's address: its length counts octets, type included (TS 24.011 8.2.5.2)."""
    if not phone:
        return b"\x00"
    octets = bytes([INTERNATIONAL]) + _semi_octets(_digits(phone))
    return bytes([len(octets)]) + octets


class Fate(Enum):
    """What became of a message (TS 23.040 9.2.3.15)."""

    DELIVERED = "delivered"
    PENDING = "pending"
    FAILED = "failed"


# TP-ST, TS 23.040 9.2.3.15.  0x60 to 0x65 are as 0x20 to 0x25, but not tried again.
_STATUS = {
    0x00: "received by the phone",
    0x01: "forwarded to the phone, receipt not confirmed",
    0x02: "replaced by the service centre",
    0x20: "congestion",
    0x21: "phone busy",
    0x22: "no response from the phone",
    0x23: "service rejected",
    0x24: "quality of service not available",
    0x25: "error in the phone",
    0x40: "remote procedure error",
    0x41: "incompatible destination",
    0x42: "connection rejected by the phone",
    0x43: "not obtainable",
    0x44: "quality of service not available",
    0x45: "no interworking available",
    0x46: "validity period expired",
    0x47: "deleted by the sender",
    0x48: "deleted by the service centre",
    0x49: "message does not exist",
}


@dataclass(frozen=True, slots=True)
class DeliveryReceipt:
    """
    A delivery receipt (SMS-STATUS-REPORT).

    Attributes:
        reference: TP-MR of the message it is about, 0 to 255, as ``+CMGS`` gave it.
        status: TP-ST, 0 to 255.
    """

    reference: int
    status: int

    @property
    def fate(self) -> Fate:
        """Delivered, given up, or still being tried."""
        if self.status < 0x20:
            return Fate.DELIVERED
        return Fate.PENDING if self.status < 0x40 else Fate.FAILED

    @property
    def meaning(self) -> str:
        """The status in words."""
        # 9.2.3.15: a reserved value is to be taken as "service rejected".
        status = self.status - 0x40 if 0x60 <= self.status <= 0x65 else self.status
        words = _STATUS.get(status, "service rejected")
        return f"{words} (TP-ST 0x{self.status:02X})"


def read_receipt(pdu: str, length: int | None = None) -> DeliveryReceipt:
    """
    Decode the hex line of a ``+CDS`` in PDU mode (TS 23.040 9.2.2.3).

    Args:
        pdu: Hex digits.
        length: The number from the line before it: octets without the service centre's address.
            Some modems leave that address out, and some leave the number out.

    Raises:
        ValueError: not an SMS-STATUS-REPORT.  Its text holds nothing of `pdu`.
    """
    if not re.fullmatch("(?:[0-9A-Fa-f]{2})+", pdu):
        raise ValueError("the receipt is not in hexadecimal digits")
    octets = bytes.fromhex(pdu)
    behind_the_address = octets[0] + 1
    starts = (behind_the_address, 0) if length is None else (len(octets) - length,)
    for start in starts:
        receipt = _receipt_at(octets[max(start, 0) :])
        if receipt is not None:
            return receipt
    raise ValueError("the PDU is not a delivery receipt, or is cut off")


def _receipt_at(tpdu: bytes) -> DeliveryReceipt | None:
    if len(tpdu) < 4 or tpdu[0] & 0x03 != _RECEIPT or not tpdu[3] & 0x80:
        return None
    # First octet, TP-MR, TP-RA (length, type, digits), two time stamps of seven octets, TP-ST.
    position = 4 + (tpdu[2] + 1) // 2 + 14
    return DeliveryReceipt(tpdu[1], tpdu[position]) if position < len(tpdu) else None


def read_receipt_line(line: str) -> DeliveryReceipt | None:
    """The receipt that a ``+CDS`` in text mode holds (TS 27.005 3.1), or None."""
    # +CDS: fo,mr,["ra"],[tora],"scts","dt",st: commas stand inside the time stamps too.
    found = re.fullmatch(r"\+CDS: ?\d{1,3}, ?(\d{1,3}),.*, ?(\d{1,3})", line)
    if found is None:
        return None
    return DeliveryReceipt(reference=int(found[1]) & 0xFF, status=int(found[2]) & 0xFF)


def read_stored_receipt(line: str) -> DeliveryReceipt | None:
    """The receipt that a line of the answer to ``AT+CMGR`` holds (TS 27.005 3.1, 4.3), or None."""
    try:
        return read_receipt(line)  # in PDU mode
    except ValueError:  # +CMGR: <stat>,fo,mr,… in text mode
        return read_receipt_line(re.sub(r'^\+CMGR: ?"[A-Z ]*", ?', "+CDS: ", line))


def message_reference(line: str) -> int | None:
    """The reference in ``+CMGS: <mr>[,…]`` (TS 27.005 3.5.1 and 4.3), or None."""
    found = re.match(r"\+CMGS: ?(\d{1,3})(?:\D|$)", line)
    return int(found[1]) & 0xFF if found else None
