"""
The line to a modem: commands, their answers, and receipts that come in between; and what the modem
needs before it can send: an unlocked SIM, a network, a service centre.

Questions and answers: 3GPP TS 27.007 7.2 (+CREG), 8.3 (+CPIN), 8.5 (+CSQ), 10.1.22 (+CEREG);
TS 27.005 3.3.1 (+CSCA).
"""

from __future__ import annotations

import re
import termios
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from radius_smsotp.errors import Busy, Unavailable, Unknown
from radius_smsotp.providers.modem import pdu
from radius_smsotp.providers.modem.errors import (
    SIM_BUSY,
    CommandError,
    ModemError,
    OutOfOrder,
    explain,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import serial

T = TypeVar("T")

CONTROL_Z = b"\x1a"
"""Ends a text and submits it (TS 27.005 3.5.1)."""

ESCAPE = b"\x1b"
"""Leaves the prompt without sending (TS 27.005 3.5.1)."""

LONGEST_LINE = 1024
"""Octets.  The longest line that is of use, the PDU of a ``+CDS``, has about 350."""

MOST_RECEIPTS = 256
"""Receipts that are kept: there are no more references than that."""

MOST_LINES = 64
"""Lines that one answer may have; no answer asked for here has more than two."""

ANSWER = 5.0
"""Seconds for a command that the modem answers by itself; 27.007 names no limit."""

WAKE = 3.0
"""Seconds until a modem that does not answer to AT counts as dead."""

GRACE = 1.0
"""Seconds for the OK behind a line that looks like an answer of the maker's own."""

POLL = 0.3
"""Seconds between two questions while the SIM or the network is not ready."""

QUIET = 0.1
"""Seconds without a line after which nothing of what was before is still to come."""

LOST = (OSError, ValueError, termios.error)
"""What pyserial raises when the device goes: SerialException is an OSError, tcflush's is not."""

_PROMPT = "> "

_MAKERS_OWN = re.compile("(?!.*(RING|READY|RDY|DONE))[A-Z]{2,}( [A-Z]+)*")
"""Words alone, as "NO CARRIER", but for what modems say when they start or somebody calls."""

_PDU = re.compile("[0-9A-Fa-f]{16,}")


class Line:
    """
    An open line to a modem.  Used by one thread at a time.

    Args:
        port: An open port of pyserial's, with a read timeout of at most 0.1 s.
        speed: How the line is named in errors: "115200 baud".

    Attributes:
        receipts: Delivery receipts that came in, oldest first.  Whoever reads them empties it.
    """

    def __init__(self, port: serial.Serial, speed: str) -> None:
        self._port = port
        self._speed = speed
        self._buffer = bytearray()
        # Octets of the receipt whose PDU comes with a later line; None if none is due.
        self._receipt_due: int | None = None
        self._is_sms_due = False
        self._stored: list[tuple[str, str]] = []  # memory and place of receipts
        self.receipts: list[pdu.DeliveryReceipt] = []

    def close(self) -> None:
        """Close the port, whatever state it is in."""
        with suppress(*LOST):
            self._port.close()

    # -- commands ---------------------------------------------------------------------------------

    def wake(self, deadline: float) -> None:
        """
        Bring the modem to where it listens for commands, whatever was before.

        Raises:
            ModemError: it does not answer.
        """
        # An earlier program may have died at the prompt.
        self._write(ESCAPE + b"\r")
        patience = min(deadline, time.monotonic() + WAKE)
        tries = 0
        # The second command ends what an earlier program may have begun with ATQ1 or ATV0: no
        # answers, or numbers for them (V.250 6.2.5, 6.2.6).
        while not self._answers_ok(("AT", "ATQ0V1")[tries % 2], patience):
            tries += 1
            if time.monotonic() >= patience:
                fault = f"the modem does not answer to AT ({self._speed})"
                remedy = "check `port` and `baudrate`, and that no other program (ModemManager) "
                raise ModemError(Unavailable, fault, f"{remedy}uses it")
        # Answers to earlier tries, or to what an earlier program asked, are not ours.
        self._read_until_quiet(5 * QUIET if tries else QUIET, patience)
        self.accepts("ATE0", deadline)
        self.accepts("AT+CMEE=1", deadline)

    def _answers_ok(self, command: str, patience: float) -> bool:
        self._write(command.encode("ascii") + b"\r")
        until = min(patience, time.monotonic() + 0.5)
        while (line := self._read_line(until)) is not None:
            if line == "OK":
                return True
        return False

    def command(self, command: str, deadline: float, *, is_question: bool = False) -> list[str]:
        """
        Send one command; the lines of its answer, without the final OK.  A busy SIM is waited for.

        Args:
            is_question: Nothing is done by it: that the SIM was busy is raised also where the time
                is up within the next try.

        Raises:
            CommandError: the answer is an error.
            ModemError: no answer in time, or the line is broken.
        """
        return self._until_the_sim_is_free(
            lambda: self._command(command, deadline), deadline, is_question=is_question
        )

    def _command(self, command: str, deadline: float) -> list[str]:
        self._write(command.encode("ascii") + b"\r")
        return self._answer(_name(command), min(deadline, time.monotonic() + ANSWER))

    def _until_the_sim_is_free(
        self, action: Callable[[], T], deadline: float, *, is_question: bool = False
    ) -> T:
        busy: CommandError | None = None
        while True:
            try:
                # What is more than a question may have been done before the modem fell silent.
                with _said_before(busy if is_question else None, deadline):
                    return action()
            except CommandError as error:
                if error.code not in SIM_BUSY or time.monotonic() + POLL >= deadline:
                    raise
                busy = error
            self.listen(POLL)

    def accepts(self, command: str, deadline: float) -> bool:
        """Send a command that not every modem knows: True if it did.  Raises as `command` does."""
        try:
            self.command(command, deadline)
        except CommandError:
            return False
        return True

    def ask(self, command: str, deadline: float) -> str:
        """
        Send a question, as "AT+CSQ" or "AT+CPIN?"; what follows "+CSQ:" in the answer.

        Raises as `command` does.
        """
        prefix = _name(command).removeprefix("AT") + ":"
        lines = self.command(command, deadline, is_question=True)
        found = [line for line in lines if line.startswith(prefix)]
        # The last one: an unsolicited line of the same name may stand before it.
        return found[-1].removeprefix(prefix).strip() if found else ""

    def listen(self, seconds: float) -> None:
        """
        Read for a while; only receipts are kept.

        Raises:
            ModemError: the line is broken.
        """
        until = time.monotonic() + seconds
        while self._read_line(until) is not None:
            pass

    def fetch_receipts(self, deadline: float) -> None:
        """
        Fetch the receipts that the modem has stored and told of, and delete them there.

        Raises as `command` does.
        """
        while self._stored:
            memory, place = self._stored.pop(0)
            with suppress(CommandError):  # somebody else has fetched it
                self.command(f'AT+CPMS="{memory}"', deadline)
                for line in self.command(f"AT+CMGR={place}", deadline):
                    if receipt := pdu.read_stored_receipt(line):
                        self._keep(receipt)
                        self.command(f"AT+CMGD={place}", deadline)

    def submit(self, command: str, body: str, deadline: float) -> int | None:
        """
        Send ``AT+CMGS=…``, wait for the prompt, and submit what follows it.

        Args:
            command: The whole command.
            body: ASCII: the text in text mode, hex digits in PDU mode.
            deadline: `time.monotonic()` seconds.

        Returns:
            The message reference, 0 to 255, or None if the modem gave none.

        Raises:
            ModemError: Unknown, if the modem fell silent after the text.
        """
        # A busy SIM has refused the message: nothing was sent.
        return self._until_the_sim_is_free(lambda: self._submit(command, body, deadline), deadline)

    def _submit(self, command: str, body: str, deadline: float) -> int | None:
        self._write(command.encode("ascii") + b"\r")
        try:
            while self._next(_name(command), deadline, prompt=True) != _PROMPT:
                pass
            self._write(body.encode("ascii"))
        except CommandError:
            raise
        except ModemError:
            # Otherwise the modem takes all that comes later for the text.
            with suppress(ModemError):
                self._write(ESCAPE)
            raise
        try:
            self._write(CONTROL_Z)
            lines = self._answer(_name(command), deadline, echo=body)
        except CommandError:
            raise
        except ModemError as error:
            raise ModemError(Unknown, f"{error.text}, after it took the text") from None
        references = [pdu.message_reference(line) for line in lines]
        return next((found for found in references if found is not None), None)

    # -- answers ----------------------------------------------------------------------------------

    def _answer(self, name: str, deadline: float, echo: str = "") -> list[str]:
        """The lines that answer a command, without the final OK."""
        lines: list[str] = []
        is_text = bool(echo)
        while (line := self._next(name, deadline, echo=echo)) != "OK":
            # Where ATE0 is not obeyed, command and text come back.
            if not line:
                echo = ""
            if not line or line.startswith("AT"):
                continue
            if len(lines) < MOST_LINES:
                lines.append(line)
            if pdu.message_reference(line) is not None:
                # Accepted.  Only the OK is still to come, and a modem may lose it.
                with suppress(ModemError):
                    self._answer(name, min(deadline, time.monotonic() + GRACE))
                break
            if not is_text and _MAKERS_OWN.fullmatch(line):
                return lines + self._rest(line, name, deadline)
        return lines

    def _rest(self, line: str, name: str, deadline: float) -> list[str]:
        """What comes behind a line that may have been all of the answer."""
        try:
            return self._answer(name, min(deadline, time.monotonic() + GRACE))
        except CommandError:
            raise
        except ModemError:
            fault = f"the modem answered {line[:80]} to {name}"
            raise CommandError(Unavailable, fault) from None

    def _next(self, name: str, deadline: float, *, prompt: bool = False, echo: str = "") -> str:
        """
        The next line after a command, "" for its echo.

        Raises:
            CommandError: It is an error.
            ModemError: There is none in time.
        """
        line = self._read_line(deadline, prompt=prompt)
        if line is None:
            raise ModemError(Unavailable, f"the modem did not answer {name} in time")
        if echo and line.endswith(echo):
            return ""
        if error := explain(line, name):
            raise error
        return line

    # -- bytes ------------------------------------------------------------------------------------

    def _read_line(self, deadline: float, *, prompt: bool = False) -> str | None:
        """
        The next line that is neither empty nor part of what came in; None if the time is over.

        With `prompt`, `_PROMPT` for the prompt, which has no end of line.
        """
        while True:
            line = self._take_line(prompt and not self._is_sms_due)
            if line is None:
                if time.monotonic() >= deadline:
                    return None
                self._fill()
            elif not self._came_in(line):
                return line

    def _take_line(self, prompt: bool) -> str | None:
        """The next line in the buffer, without its end; None if there is no whole one."""
        while end := re.search(rb"[\r\n]", self._buffer):
            line = _printable(self._buffer[: end.start()])
            del self._buffer[: end.end()]
            if prompt and line == ">":
                return _PROMPT  # some modems end the prompt like a line
            if line:
                return line
        if prompt and _printable(self._buffer) == ">":
            self._buffer.clear()
            return _PROMPT
        if len(self._buffer) > LONGEST_LINE:
            self._buffer.clear()
        return None

    def _came_in(self, line: str) -> bool:
        """Keep a receipt, drop an SMS; True if `line` is one or a part of one."""
        if self._is_sms_due:
            self._is_sms_due = False
            return True
        if self._receipt_due is not None and _PDU.fullmatch(line):
            due, self._receipt_due = self._receipt_due, None
            with suppress(ValueError):
                self._keep(pdu.read_receipt(line, due or None))
                return True
        # TS 27.005 3.4.1: what it says comes with the next line, and might be "OK".
        if line.startswith(("+CMT:", "+CBM:")):
            self._is_sms_due = True
        elif found := re.fullmatch(r'\+CDSI: ?"?([A-Z]{2})"?, ?([0-9]{1,5})', line):
            if len(self._stored) < MOST_RECEIPTS:
                self._stored.append((found[1], found[2]))
        elif line.startswith("+CDS:"):
            self._take_receipt(line)
        else:
            return False
        return True

    def _take_receipt(self, line: str) -> None:
        """Read a ``+CDS``, or await what comes behind it."""
        self._receipt_due = None
        rest = line.removeprefix("+CDS:").strip()
        if receipt := pdu.read_receipt_line(line):
            self._keep(receipt)
        elif re.fullmatch("[0-9]{1,3}", rest):
            self._receipt_due = int(rest)
        else:
            with suppress(ValueError):  # some modems put the PDU on the same line
                self._keep(pdu.read_receipt(rest))

    def _keep(self, receipt: pdu.DeliveryReceipt) -> None:
        self.receipts.append(receipt)
        del self.receipts[:-MOST_RECEIPTS]

    def _fill(self) -> None:
        """Read what is there, or wait one read timeout for the first byte."""
        try:
            self._buffer += self._port.read(1)
            waiting = self._port.in_waiting
            if waiting:
                self._buffer += self._port.read(min(waiting, LONGEST_LINE))
        except LOST:
            raise _gone() from None

    def _read_until_quiet(self, seconds: float, deadline: float) -> None:
        while time.monotonic() < deadline and self._read_line(time.monotonic() + seconds):
            pass

    def _write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except LOST:
            raise _gone() from None


def _name(command: str) -> str:
    """The command without its parameters, which may be a PIN or a number."""
    return re.split("[=?]", command, maxsplit=1)[0]


def _printable(data: bytes | bytearray) -> str:
    """ASCII without control characters: noise must not hide an answer."""
    return "".join(chr(byte) for byte in data if 0x20 <= byte < 0x7F).strip()


def _gone() -> ModemError:
    remedy = "check its cable, its power and its serial server"
    return ModemError(Unavailable, "the line to the modem is broken", remedy)


_REGISTRATION = {  # TS 27.007 7.2
    0: "not searching",
    2: "searching",
    3: "denied by the network",
    4: "unknown",
    8: "emergency calls only",
    11: "emergency calls only",
}

MAY_NOT_WRITE = "let the user of FreeRADIUS write to this folder"


def route(line: Line, receipts: bool, deadline: float) -> tuple[bool, bool]:
    """
    Have SMS that come in stored, and receipts passed on (TS 27.005 3.4.1).

    Args:
        receipts: Whether they are wanted: as +CDS, or where that is not known stored too.

    Returns:
        Whether receipts come, and whether the modem passes on no SMS, which might say "OK".
    """
    if receipts:
        line.accepts("AT+CSMS=0", deadline)  # they need not be acknowledged (3.2.1)
        wanted = ("2,1,0,1,0", "1,1,0,1,0", "2,1,0,2,0", "1,1,0,2,0")
        if any(line.accepts(f"AT+CNMI={way}", deadline) for way in wanted):
            return True, True
    if any(line.accepts(f"AT+CNMI={way}", deadline) for way in ("2,1,0,0,0", "1,1,0,0,0")):
        return False, True
    line.accepts("AT+CMGF=0", deadline)  # digits, whatever the SMS says
    return False, False


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
    not_ready: ModemError | None = None
    while True:
        with _said_before(not_ready, deadline):
            state = line.ask("AT+CPIN?", deadline).upper()
        if state == "READY":
            _strike_out(tried)
            return
        if state == "SIM PIN" and not entered:  # some ask on for a moment after they took it
            _enter_pin(line, pin, tried, deadline)
            entered = True
            continue
        if "PUK" in state:
            remedy = "unblock it with its PUK, for instance in a phone"
            raise ModemError(OutOfOrder, "the SIM is blocked", remedy, "pin")
        if "INSERTED" in state:  # of no standard, as is "NOT READY"
            raise ModemError(Unavailable, "no SIM inserted", "insert a SIM")
        if state not in ("", "NOT READY", "SIM BUSY", "SIM PIN"):
            raise ModemError(OutOfOrder, f"the modem asks for {state[:20]}", "unlock it")
        not_ready = ModemError(Busy, "the SIM is not ready in time")
        if time.monotonic() + POLL >= deadline:
            raise not_ready
        line.listen(POLL)


def _enter_pin(line: Line, pin: str | None, tried: Path, deadline: float) -> None:
    if pin is None:
        raise ModemError(OutOfOrder, "the SIM asks for its PIN", "set `pin`", "pin")
    remedy = f"correct `pin`, then delete {tried}"
    try:
        tried.touch(exist_ok=False)
    except FileExistsError:
        fault = "the SIM did not take the PIN before; it is not tried again, for a SIM blocks "
        fault += "itself after three wrong ones"
        raise ModemError(OutOfOrder, fault, remedy, "pin") from None
    except OSError as error:
        fault = f"the PIN was not tried, because {tried} cannot be written ({error.strerror})"
        raise ModemError(OutOfOrder, fault, MAY_NOT_WRITE) from None
    try:
        line.command(f'AT+CPIN="{pin}"', deadline)
    except CommandError as error:
        if error.code in SIM_BUSY:  # not looked at
            _strike_out(tried)
            raise
        fault = f"the SIM refused the PIN: {error.text}"
        raise ModemError(OutOfOrder, fault, remedy, "pin") from None
    _strike_out(tried)


def _strike_out(tried: Path) -> None:
    try:
        tried.unlink(missing_ok=True)
    except OSError as error:
        fault = f"cannot delete {tried} ({error.strerror})"
        raise ModemError(Unavailable, fault, MAY_NOT_WRITE) from None


def await_network(line: Line, until: float, deadline: float) -> None:
    """
    Wait until the modem is registered in a network.

    Args:
        until: How long to wait for the network; an answer of the modem may take until `deadline`.

    Raises:
        ModemError: it is not in time, or the network does not want it.
    """
    unregistered: ModemError | None = None
    while True:
        with _said_before(unregistered, deadline):
            answers = [_registration(line, each, deadline) for each in ("AT+CREG?", "AT+CEREG?")]
        states = [state for state in answers if state is not None]
        # No answer to either: whether it works will show.
        if not states or any(state not in _REGISTRATION for state in states):
            return
        denied = all(state == 3 for state in states)
        reason = ", ".join(dict.fromkeys(_REGISTRATION[state] for state in states))
        remedy = "check the antenna, and with the operator that the SIM is active"
        unregistered = ModemError(Unavailable, f"not registered in a network: {reason}", remedy)
        if denied or time.monotonic() + POLL >= until:
            raise unregistered
        line.listen(POLL)


@contextmanager
def _said_before(fault: ModemError | None, deadline: float) -> Iterator[None]:
    """
    Around a question that is asked again: raises `fault` if the time is up within it.

    What the modem said before tells more than that it did not answer in time.
    """
    try:
        yield
    except CommandError:  # an answer
        raise
    except ModemError:
        if fault is not None and time.monotonic() >= deadline:
            raise fault from None
        raise


def _registration(line: Line, question: str, deadline: float) -> int | None:
    """The <stat> of TS 27.007 7.2; 1, 5, 6, 7, 9 and 10 mean that SMS work."""
    # "2,1,…" in an answer, "1" or "1,"00C3",…" if the modem said so unasked.
    found = re.match(r"(?:\d+, ?)?(\d{1,2})(?:,|$)", _answer(line, question, deadline))
    return int(found[1]) if found else None


def has_signal(line: Line, deadline: float) -> bool:
    """Whether the modem hears anything, as far as it knows."""
    found = re.match(r"(\d{1,3})", _answer(line, "AT+CSQ", deadline))
    # TS 27.007 8.5: from 0, -113 dBm or less, to 31; 99 is not known.
    return found is not None and int(found[1]) <= 31


def service_centre(line: Line, deadline: float) -> str:
    """The service centre that the SIM knows, or an empty text."""
    return _answer(line, "AT+CSCA?", deadline).split(",")[0].strip('" ')


def _answer(line: Line, question: str, deadline: float) -> str:
    """The answer, or an empty text where the modem has an error for one."""
    try:
        return line.ask(question, deadline)
    except CommandError:
        return ""
