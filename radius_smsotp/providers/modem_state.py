"""
What a modem needs before it can send: an unlocked SIM, a network, a service centre.

Questions and answers: 3GPP TS 27.007 7.2 (+CREG), 8.3 (+CPIN), 8.5 (+CSQ), 10.1.22 (+CEREG);
TS 27.005 3.3.1 (+CSCA).
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from radius_smsotp.providers.modem_errors import CommandError, ModemError, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from radius_smsotp.providers.modem_at import Line

POLL = 0.3
"""Seconds between two questions while the SIM or the network is not ready."""

_REGISTRATION = {  # TS 27.007 7.2
    0: "not searching",
    2: "searching",
    3: "denied by the network",
    4: "unknown",
    8: "emergency calls only",
    11: "emergency calls only",
}

_SIM_BUSY = ("CME 14", "CMS 314")


def unlock_sim(line: Line, pin: str | None, tried: Path, deadline: float) -> None:
    """
    Wait until the SIM is ready, and enter its PIN if it asks.

    A SIM blocks itself after three wrong PINs, and every program that starts anew would try again.
    So the try is written down before it is made, in a file, and struck out when it succeeded.

    Args:
        line: The modem.
        pin: The SIM's PIN, or None.
        tried: The file; while it exists, no PIN is entered.
        deadline: `time.monotonic()` seconds.

    Raises:
        ModemError: no SIM, no PIN or the wrong one, or it is not ready in time.
    """
    entered = False
    while True:
        try:
            state = line.ask("AT+CPIN?", deadline)
        except CommandError as error:
            if error.code not in _SIM_BUSY:
                raise
            state = "busy"
        if state == "READY":
            _strike_out(tried)
            return
        if state == "SIM PIN" and not entered:  # some ask on for a moment after they took it
            entered = _enter_pin(line, pin, tried, deadline)
            if entered:
                continue
        elif "PUK" in state:
            raise ModemError(
                Verdict.OUT_OF_ORDER,
                "the SIM is blocked",
                "unblock it with its PUK, for instance in a phone",
                "pin",
            )
        elif state not in ("", "busy", "SIM PIN"):
            raise ModemError(Verdict.OUT_OF_ORDER, f"the modem asks for {state[:20]}", "unlock it")
        _pause(line, deadline, "the SIM is not ready")


def _enter_pin(line: Line, pin: str | None, tried: Path, deadline: float) -> bool:
    """True if the SIM took the PIN, False if it was too busy to look at it."""
    if pin is None:
        raise ModemError(Verdict.OUT_OF_ORDER, "the SIM asks for its PIN", "set `pin`", "pin")
    try:
        tried.touch(exist_ok=False)
    except FileExistsError:
        raise ModemError(
            Verdict.OUT_OF_ORDER,
            "the SIM did not take the PIN before; it is not tried again, for a SIM blocks itself "
            "after three wrong ones",
            f"correct `pin`, then delete {tried}",
            "pin",
        ) from None
    except OSError as error:
        raise ModemError(
            Verdict.OUT_OF_ORDER,
            f"the PIN was not tried, because {tried} cannot be written ({error.strerror})",
            "let the user of FreeRADIUS write to this folder",
        ) from None
    try:
        line.command(f'AT+CPIN="{pin}"', deadline)
    except CommandError as error:
        if error.code in _SIM_BUSY:  # not looked at
            _strike_out(tried)
            return False
        raise ModemError(
            Verdict.OUT_OF_ORDER,
            f"the SIM refused the PIN: {error.text}",
            f"correct `pin`, then delete {tried}",
            "pin",
        ) from None
    _strike_out(tried)
    return True


def _strike_out(tried: Path) -> None:
    try:
        tried.unlink(missing_ok=True)
    except OSError as error:
        raise ModemError(
            Verdict.UNAVAILABLE,
            f"cannot delete {tried} ({error.strerror})",
            "let the user of FreeRADIUS write to this folder",
        ) from None


def await_network(line: Line, deadline: float) -> None:
    """
    Wait until the modem is registered in a network.

    Raises:
        ModemError: it is not in time, or the network does not want it.
    """
    while True:
        states = [
            state
            for question in ("AT+CREG?", "AT+CEREG?")
            if (state := _registration(line, question, deadline)) is not None
        ]
        # No answer to either: whether it works will show.
        if not states or any(state not in _REGISTRATION for state in states):
            return
        denied = all(state == 3 for state in states)
        reason = ", ".join(dict.fromkeys(_REGISTRATION[state] for state in states))
        if denied or time.monotonic() + POLL >= deadline:
            raise ModemError(
                Verdict.UNAVAILABLE,
                f"not registered in a network: {reason}",
                "check the antenna, and with the operator that the SIM is active",
            )
        line.listen(POLL)


def _registration(line: Line, question: str, deadline: float) -> int | None:
    """The <stat> of TS 27.007 7.2; 1, 5, 6, 7, 9 and 10 mean that SMS work."""
    # "2,1,…" in an answer, "1" or "1,"00C3",…" if the modem said so unasked.
    found = re.match(r"(?:\d+, ?)?(\d{1,2})(?:,|$)", _answer(line, question, deadline))
    return int(found[1]) if found else None


def signal(line: Line, deadline: float) -> int | None:
    """The signal in dBm, or None if there is none, or none known."""
    found = re.match(r"(\d{1,3})", _answer(line, "AT+CSQ", deadline))
    # TS 27.007 8.5: 0 is -113 dBm or less, each step is 2 dB, 99 is not known.
    strength = int(found[1]) if found else 99
    return -113 + 2 * strength if strength <= 31 else None


def service_centre(line: Line, deadline: float) -> str:
    """The service centre that the SIM knows, or an empty text."""
    return _answer(line, "AT+CSCA?", deadline).split(",")[0].strip('" ')


def _answer(line: Line, question: str, deadline: float) -> str:
    """The answer, or an empty text where the modem has an error for one."""
    try:
        return line.ask(question, deadline)
    except CommandError:
        return ""


def _pause(line: Line, deadline: float, otherwise: str) -> None:
    if time.monotonic() + POLL >= deadline:
        raise ModemError(Verdict.UNAVAILABLE, f"{otherwise} in time")
    line.listen(POLL)
