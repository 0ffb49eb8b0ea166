"""
What a GSM modem's errors mean: the codes of ``+CMS ERROR`` and ``+CME ERROR`` as data.

Codes and names: 3GPP TS 27.005 3.2.5 (which takes 1 to 127 from TS 24.011 E.2 and 128 to 255
from TS 23.040 9.2.3.22) and TS 27.007 9.2.1.  Those that concern receiving are left out.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from radius_smsotp.errors import DeliveryError, Refused, SmsotpError, Unavailable, Unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    Kind = Callable[[str], DeliveryError]

OutOfOrder = partial(Refused, out_of_order=True)
"""Every message is refused, until a person mends it."""


class ModemError(SmsotpError):
    """
    Something is wrong with the modem, its SIM, its network or the message.

    Attributes:
        kind: What it means for the message: Refused, OutOfOrder, Unavailable or Unknown.
        text: What happened, without secrets.
        remedy: What the administrator does about it, or nothing.
        setting: The setting that it has to do with.
        code: What the modem answered: "CMS 330", "CME 16", or nothing.
    """

    def __init__(
        self, kind: Kind, text: str, remedy: str = "", setting: str = "port", code: str = ""
    ) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text
        self.remedy = remedy
        self.setting = setting
        self.code = code

    def as_error(self) -> DeliveryError:
        """The same, for who sends."""
        return self.kind(f"{self.text}; {self.remedy}" if self.remedy else self.text)


class CommandError(ModemError):
    """The modem answered, and the answer was an error: it listens and can be talked to."""


_R, _O, _A, _U = Refused, OutOfOrder, Unavailable, Unknown

CMS: dict[int, tuple[str, Kind]] = {
    1: ("unassigned number", _R),
    8: ("operator determined barring", _O),
    10: ("call barred", _O),
    21: ("short message transfer rejected", _R),
    27: ("destination out of service", _A),
    28: ("unidentified subscriber", _R),
    29: ("facility rejected", _R),
    30: ("unknown subscriber", _R),
    38: ("network out of order", _A),
    41: ("temporary failure", _A),
    42: ("congestion", _A),
    47: ("resources unavailable", _A),
    50: ("SMS not subscribed", _O),
    69: ("SMS not implemented by the network", _O),
    81: ("invalid short message transfer reference", _A),
    95: ("invalid message", _R),
    96: ("invalid mandatory information", _R),
    97: ("message type not implemented", _R),
    98: ("message not compatible with the protocol state", _A),
    99: ("information element not implemented", _R),
    111: ("protocol error", _A),
    127: ("interworking error", _A),
    128: ("telematic interworking not supported", _R),
    143: ("error in TP-PID", _R),
    144: ("alphabet not supported", _R),
    145: ("message class not supported", _R),
    159: ("error in TP-DCS", _R),
    176: ("TPDU not supported", _R),
    192: ("service centre busy", _A),
    193: ("no subscription with the service centre", _O),
    194: ("failure of the service centre", _A),
    195: ("invalid number", _R),
    196: ("number barred", _R),
    197: ("duplicate rejected by the service centre", _R),
    198: ("validity period not supported", _R),
    199: ("validity period not supported", _R),
    255: ("unspecified error", _A),
    300: ("failure of the modem", _A),
    301: ("SMS service reserved by the modem", _A),
    302: ("operation not allowed", _A),
    303: ("operation not supported", _O),
    304: ("invalid parameter in PDU mode", _R),
    305: ("invalid parameter in text mode", _R),
    310: ("no SIM inserted", _A),
    311: ("SIM PIN required", _O),
    312: ("device lock code required", _O),
    313: ("SIM failure", _A),
    314: ("SIM busy", _A),
    315: ("wrong SIM", _O),
    316: ("SIM PUK required", _O),
    317: ("SIM PIN2 required", _O),
    318: ("SIM PUK2 required", _O),
    320: ("memory failure", _A),
    322: ("memory full", _A),
    330: ("service centre unknown", _O),
    331: ("no network", _A),
    # The message left the modem, and no answer came back from the network.
    332: ("network timeout", _U),
    500: ("unknown error", _A),
}

CME: dict[int, tuple[str, Kind]] = {
    0: ("failure of the modem", _A),
    1: ("no connection to the radio part", _A),
    3: ("operation not allowed", _A),
    4: ("operation not supported", _O),
    5: ("device lock code required", _O),
    10: ("no SIM inserted", _A),
    11: ("SIM PIN required", _O),
    12: ("SIM PUK required", _O),
    13: ("SIM failure", _A),
    14: ("SIM busy", _A),
    15: ("wrong SIM", _O),
    16: ("incorrect password", _O),
    17: ("SIM PIN2 required", _O),
    18: ("SIM PUK2 required", _O),
    20: ("memory full", _A),
    30: ("no network", _A),
    31: ("network timeout", _U),
    32: ("emergency calls only", _A),
    40: ("network lock code required", _O),
    50: ("incorrect parameters", _R),
    100: ("unknown error", _A),
}

_REMEDIES = {
    "no SIM inserted": ("insert a SIM", "port"),
    "SIM PIN required": ("set `pin`", "pin"),
    "SIM PUK required": ("unblock the SIM with its PUK, for instance in a phone", "pin"),
    "service centre unknown": ("set `smsc` to the service centre of your operator", "smsc"),
}


def explain(line: str, command: str) -> CommandError | None:
    """
    The fault that a final result code names; None if `line` is not an error.

    Args:
        line: One line of the modem's.
        command: What it answers, without its parameters: "AT+CMGS".
    """
    if line == "ERROR":
        return CommandError(Unavailable, f"the modem answered ERROR to {command}")
    found = re.fullmatch(r"\+(CMS|CME) ERROR: ?(.{1,80})", line)
    if found is None:
        return None
    family, reason = found[1], found[2]
    if not re.fullmatch("[0-9]{1,5}", reason):
        # Words instead of a number, from a modem that does not know AT+CMEE=1.
        return CommandError(Unavailable, f'the modem answered "{reason}" to {command}')
    # Codes from 512 up are the manufacturer's own: nothing says that they are for good.
    table = CMS if family == "CMS" else CME
    name, kind = table.get(int(reason), ("an error of the manufacturer", _A))
    text = f"{name} (+{family} ERROR: {reason} to {command})"
    remedy, setting = _REMEDIES.get(name, ("", "port"))
    return CommandError(kind, text, remedy, setting, f"{family} {int(reason)}")
