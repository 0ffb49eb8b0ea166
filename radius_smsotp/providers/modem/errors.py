"""
What a GSM modem's errors mean: ``+CMS ERROR`` and ``+CME ERROR``, by the codes in ``codes.txt``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING

from radius_smsotp.errors import Busy, DeliveryError, Refused, SmsotpError, Unavailable, Unknown

if TYPE_CHECKING:
    Kind = Callable[[str], DeliveryError]

OutOfOrder = partial(Refused, out_of_order=True)
"""Every message is refused, until a person mends it."""


class ModemError(SmsotpError):
    """
    Something is wrong with the modem, its SIM, its network or the message.

    Attributes:
        kind: What it means for the message: Refused, OutOfOrder, Busy, Unavailable or
            Unknown.
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


def _codes() -> Iterator[tuple[str, tuple[str, Kind]]]:
    """The lines of ``codes.txt``, which says what they hold and where it is from."""
    kinds: dict[str, Kind] = {
        "refused": Refused,
        "out-of-order": OutOfOrder,
        "busy": Busy,
        "unavailable": Unavailable,
        "unknown": Unknown,
    }
    for line in (files(__package__) / "codes.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            family, code, kind, name = line.split(maxsplit=3)
            yield f"{family} {code}", (name, kinds[kind])


CODES = dict(_codes())
"""Name and meaning of each error, by family and code: "CMS 330"."""

_REMEDIES = {
    "no SIM inserted": ("insert a SIM", "port"),
    "SIM PIN required": ("set `pin`", "pin"),
    "SIM PUK required": ("unblock the SIM with its PUK, for instance in a phone", "pin"),
    "service centre unknown": ("set `smsc` to the service centre of your operator", "smsc"),
}

_WORDS = {  # TS 27.007 9.2.1, for AT+CMEE=2
    "sim not inserted": "CME 10",
    "sim pin required": "CME 11",
    "sim puk required": "CME 12",
    "sim failure": "CME 13",
    "sim busy": "CME 14",
    "sim wrong": "CME 15",
    "incorrect password": "CME 16",
    "memory full": "CME 20",
    "no network service": "CME 30",
    "network timeout": "CME 31",
    "operation not allowed": "CME 3",
    "operation not supported": "CME 4",
}
"""Codes of the errors that matter here, from modems that do not obey AT+CMEE=1."""

SIM_BUSY = ("CME 14", "CMS 314")
"""The SIM has looked at nothing yet; a moment later it will."""

# The makers' own final answers, without an ERROR or OK behind: Huawei's are "COMMAND NOT SUPPORT"
# and "TOO MANY PARAMETERS".
_REFUSAL = re.compile(
    r"(MODEM )?ERROR\b.*|[A-Z ]*\b(NOT SUPPORT(ED)?|NOT ALLOWED|TOO (MANY|FEW)|INVALID)\b[A-Z ]*",
    re.IGNORECASE,
)


def explain(line: str, command: str) -> CommandError | None:
    """
    The fault that a final result code names; None if `line` is not an error.

    Args:
        line: One line of the modem's.
        command: What it answers, without its parameters: "AT+CMGS".
    """
    if _REFUSAL.fullmatch(line):
        return CommandError(Unavailable, f"the modem answered {line[:80]} to {command}")
    found = re.fullmatch(r"\+(CMS|CME) ERROR: ?(.{1,80})", line)
    if found is None:
        return None
    family, reason = found[1], found[2]
    if re.fullmatch("[0-9]{1,5}", reason):
        code = f"{family} {int(reason)}"
    elif (code := _WORDS.get(reason.lower(), "")) == "":
        return CommandError(Unavailable, f'the modem answered "{reason}" to {command}')
    # Codes from 512 up are the manufacturer's own: nothing says that they are for good.
    name, kind = CODES.get(code, ("an error of the manufacturer", Unavailable))
    text = f"{name} (+{family} ERROR: {reason} to {command})"
    remedy, setting = _REMEDIES.get(name, ("", "port"))
    return CommandError(kind, text, remedy, setting, code)
