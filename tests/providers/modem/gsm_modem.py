"""
A stand-in for a GSM modem; what it hangs on is in gsm_cable.

It speaks the commands of 3GPP TS 27.007 and TS 27.005 that a sender needs, refuses what a modem
would refuse (a PDU whose length is wrong, text mode while PDU mode is set), and misbehaves on
demand: echo, unsolicited lines, noise, answers in crumbs, silence, a cable that comes off.
What arrives as PDU is decoded by the library smspdudecoder.
"""

from __future__ import annotations

import io
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from smspdudecoder.codecs import GSM
from smspdudecoder.fields import SMSSubmit

from radius_smsotp.providers import Surroundings
from radius_smsotp.providers.modem.provider import Provider, Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.providers.modem.gsm_cable import Cable

CONTROL_Z, ESCAPE = 0x1A, 0x1B

LATE = 0.8
"""Seconds."""


PLAIN = "739154 is your login code. It is valid for 5 minutes."
LONG = "739154 ist Ihr Code \u2013 5 Minuten gültig. " * 6


def provider_for(modem: GsmModem, folder: Path, **settings: Any) -> Provider:
    """The provider that is set up for `modem`, with these settings besides."""
    port = {"type": "modem", "port": modem.cable.name}
    surroundings = Surroundings(folder, {}, folder)
    return Provider("gsm", Settings.model_validate({**port, **settings}), surroundings)


def decode(pdu: str) -> dict[str, Any]:
    """One SMS-SUBMIT as smspdudecoder reads it, and its text under "text"."""
    decoded = SMSSubmit.decode(io.StringIO(pdu))
    text = decoded["user_data"]["data"]
    if decoded["dcs"]["encoding"] == "gsm":
        # The library cuts the text to TP-UDL as if every letter were one septet: behind a text with
        # an escaped letter, seven spare bits stay and look like an "@".
        header_septets = 7 if decoded["header"]["udhi"] else 0
        escaped = sum(letter in GSM.ALPHABET_EXT_INV for letter in text)
        if header_septets + len(text) + escaped > _user_data_length(pdu, decoded):
            text = text.removesuffix("@")
    return {**decoded, "text": text}


def _user_data_length(pdu: str, decoded: dict[str, Any]) -> int:
    """TP-UDL, which the library reads and does not tell."""
    position = (
        *(1 + decoded["smsc"]["length"], 2),  # first octet, TP-MR
        *(2 + (decoded["recipient"]["length"] + 1) // 2, 2),  # TP-PID, TP-DCS
        1 if decoded["header"]["vpf"] else 0,
    )
    return bytes.fromhex(pdu)[sum(position)]


@dataclass(frozen=True)
class Submitted:
    """One part as it arrived: what stood behind ``AT+CMGS=``, and what followed the prompt."""

    text_mode: bool
    argument: str
    body: str
    parameters: str
    """What the last AT+CSMP set, in text mode."""


class GsmModem:
    """
    The modem.  Its attributes are what a test sets, and what it looks at afterwards.

    Used as a context manager; `changed` is notified whenever something arrived.
    """

    def __init__(self, cable: Cable) -> None:
        self.cable = cable
        # What it is like.
        self.echo = True
        self.obeys_ate0 = True
        self.crumb = 0  # octets in one write; 0 for all at once
        self.unasked = b""  # sent before each answer
        self.prompt = b"\r\n> "
        self.sim = "READY"
        self.pin = "4711"
        self.tries_left = 3
        # <stat>, one for each question; the last one stays; None: no answer,
        # below 0: a late one.
        self.registration: list[int | None] = [1]
        self.signal = 17
        self.service_centre = "+491710760000"
        self.unknown: set[str] = set()  # commands that it answers with ERROR
        self.failures: dict[str, str] = {}  # command -> error line
        self.failures_of_lines: dict[str, str] = {}  # the same, with parameters
        self.fails_from_part = 0  # counted from 1
        self.failure_of_parts = ""
        self.busy_answers = 0  # "SIM busy" to so many questions, and so many PINs
        self.busy_answer = "+CME ERROR: 14"
        self.busy_texts = 0  # the same, to so many texts
        self.sim_comes_up: list[str] = []  # answers to AT+CPIN? before that; "" for none
        self.makers_answers: dict[str, str] = {}  # command -> line without OK or ERROR behind it
        self.incoming = b""  # an SMS that comes in with each answer, until AT+CNMI switches it off
        self.stores_receipts = False  # knows +CDSI, and not +CDS
        self.between = b""  # comes between +CDS and its PDU
        self.stored: dict[int, str] = {}  # place -> what AT+CMGR answers
        self.is_mute = False
        self.mute_on: set[str] = set()  # commands that it does not answer
        self.mute_on_lines: set[str] = set()  # the same, with parameters
        self.is_mute_after_text = False
        self.unplugs_after_text = False
        self.gives_reference = True
        self.loses_ok_after_text = False
        self.receipt_before_answer: int | None = None  # the reference of a receipt
        self.prompted_by: str | None = None  # what stood behind AT+CMGS=, while at the prompt
        # What happened.
        self.commands: list[str] = []
        self.submitted: list[Submitted] = []
        self.escapes = 0
        self.changed = threading.Condition()
        self._text_mode = False
        self._passes_on = True
        self._parameters = "17,167,0,0"
        self._centre_for_text = ""
        self._reference = 11
        self._buffer = bytearray()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gsm-modem", daemon=True)

    def __enter__(self) -> GsmModem:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self.cable.unplug()

    # -- what a test asks -------------------------------------------------------------------------

    def wait_for(self, what: Callable[[], bool], seconds: float = 10) -> bool:
        """Wait until `what` holds; False if it does not in time."""
        with self.changed:
            return self.changed.wait_for(what, seconds)

    def received(self) -> list[tuple[str, str]]:
        """Number and text of each message of which all parts arrived."""
        whole: list[tuple[str, str]] = []
        pieces: dict[tuple[str, int], dict[int, str]] = {}
        for part in list(self.submitted):
            if part.text_mode:
                whole.append((part.argument.strip('"'), part.body))
                continue
            decoded = decode(part.body)
            phone = "+" + decoded["recipient"]["number"]
            header = decoded["user_data"]["header"]
            if header is None:
                whole.append((phone, decoded["text"]))
                continue
            place = header["elements"][0]["data"]
            parts = pieces.setdefault((phone, place["reference"]), {})
            parts[place["part_number"]] = decoded["text"]
            if len(parts) == place["parts_count"]:
                text = "".join(parts[number] for number in sorted(parts))
                whole.append((phone, _joined_surrogates(text)))
                parts.clear()
        return whole

    # -- what it says -----------------------------------------------------------------------------

    def say(self, data: bytes) -> None:
        """Send something of its own accord."""
        size = self.crumb or len(data)
        for start in range(0, len(data), max(size, 1)):
            self.cable.transmit(data[start : start + size])

    def receipt(self, reference: int, status: int = 0) -> None:
        """Pass on a delivery receipt, in the form of the mode that is set."""
        stamp = '"26/11/23,10:47:00+04"' if self._text_mode else "62111301740040"
        tpdu = f"06{reference:02X}0C91947110325476{stamp}{stamp}{status:02X}"
        pdu = "0791947101670000" + tpdu
        line = f'6,{reference},"+491701234567",145,{stamp},{stamp},{status}'
        if self.stores_receipts:
            place = max(self.stored, default=0) + 1
            head = f'"REC UNREAD",{line}' if self._text_mode else f"0,,{len(tpdu) // 2}\r\n{pdu}"
            self.stored[place] = head
            self.say(f'\r\n+CDSI: "SM",{place}\r\n'.encode())
        elif self._text_mode:
            self.say(f"\r\n+CDS: {line}\r\n".encode())
        else:
            self.say(f"\r\n+CDS: {len(tpdu) // 2}\r\n".encode() + self.between)
            self.say(f"{pdu}\r\n".encode())

    def _run(self) -> None:
        while not self._stopped.is_set():
            data = self.cable.receive(0.01)
            if not data:
                self._stopped.wait(0.001)  # leaves the cable to others for a moment
            for byte in data:
                self._take(byte)

    def _take(self, byte: int) -> None:
        if self.prompted_by is not None:
            self._take_text(byte)
            return
        if byte == ESCAPE:
            self._note_escape()
        elif byte == 0x0D:
            line = self._buffer.decode("latin-1")
            self._buffer.clear()
            # V.250 5.2.1: what stands before AT is not looked at.
            if "AT" in line.upper():
                if self.echo:
                    self.say(line.encode("latin-1") + b"\r")
                self._obey(line[line.upper().index("AT") :])
        else:
            self._buffer.append(byte)

    def _take_text(self, byte: int) -> None:
        if byte == ESCAPE:
            self._note_escape()
            self.prompted_by = None
            self._buffer.clear()
            self.say(b"\r\nOK\r\n")
        elif byte != CONTROL_Z:
            self._buffer.append(byte)
        else:
            body = self._buffer.decode("latin-1")
            self._buffer.clear()
            argument, self.prompted_by = self.prompted_by, None
            if self.echo:
                self.say(body.encode("latin-1") + b"\x1a")
            self._submit(argument, body)

    def _note_escape(self) -> None:
        with self.changed:
            self.escapes += 1
            self.changed.notify_all()

    def _obey(self, line: str) -> None:
        with self.changed:
            self.commands.append(line)
            self.changed.notify_all()
        command = re.split("[=?]", line, maxsplit=1)[0].upper()
        if self.is_mute or command in self.mute_on or line in self.mute_on_lines:
            return
        if line in self.failures_of_lines:
            self._answer(self.failures_of_lines[line])
            return
        if command in self.makers_answers:
            self._answer(self.makers_answers[command])
        elif command in self.failures and command != "AT+CMGS":
            self._answer(self.failures[command])
        elif command in self.unknown:
            self._answer("ERROR")
        else:
            self._execute(command, line)

    def _is_registered(self, prefix: str, state: int | None) -> None:
        if state is not None and state < 0:
            self._stopped.wait(LATE)
        if state is not None:
            self._answer(f"{prefix}: 0,{abs(state)}", "OK")

    def _execute(self, command: str, line: str) -> None:
        argument = line.partition("=")[2]
        match command:
            case "ATE0":
                self.echo = not self.obeys_ate0
            case "AT+CPIN":
                self._sim(argument)
                return
            case "AT+CREG" | "AT+CEREG":
                now = self.registration[0]
                if command == "AT+CREG" and len(self.registration) > 1:
                    self.registration.pop(0)
                self._is_registered(command.removeprefix("AT"), now)
                return
            case "AT+CSQ":
                self._answer(f"+CSQ: {self.signal},99", "OK")
                return
            case "AT+CSCA":
                if argument:
                    self._centre_for_text = argument
                else:
                    self._answer(f'+CSCA: "{self.service_centre}",145', "OK")
                    return
            case "AT+CMGF":
                self._text_mode = argument == "1"
            case "AT+CSMP":
                self._parameters = argument
            case "AT+CNMI" | "AT+CMGR" | "AT+CMGD":
                self._come_in(command, argument)
                return
            case "AT+CMGS":
                self.prompted_by = argument
                self.say(self.unasked + self.prompt)
                return
        self._answer("OK")

    def _come_in(self, command: str, argument: str) -> None:
        """What concerns SMS and receipts that came in."""
        found = self.stored.get(int(argument)) if command == "AT+CMGR" else None
        if command == "AT+CNMI":
            _, arrival, _, receipts, _ = argument.split(",")
            if receipts == "1" and self.stores_receipts:
                self._answer("+CMS ERROR: 303")
                return
            self._passes_on = arrival == "2"
        elif command == "AT+CMGD":
            self.stored.pop(int(argument), None)
        elif found is None:
            self._answer("+CMS ERROR: 321")
            return
        self._answer(*([f"+CMGR: {found}"] if found else []), "OK")

    def _sim(self, pin: str) -> None:
        if self.busy_answers:
            self.busy_answers -= 1
            self._answer(self.busy_answer)
        elif self.sim_comes_up and not pin:
            if state := self.sim_comes_up.pop(0):
                self._answer(f"+CPIN: {state}", "OK")
        elif not pin:
            self._answer(f"+CPIN: {self.sim}", "OK")
        elif self.sim != "SIM PIN":
            self._answer("+CME ERROR: 3")
        elif pin == f'"{self.pin}"':
            self.sim = "READY"
            self._answer("OK")
        else:
            self.tries_left -= 1
            if not self.tries_left:
                self.sim = "SIM PUK"
            self._answer("+CME ERROR: 16")

    def _submit(self, argument: str, body: str) -> None:
        if not self._text_mode:
            octets = bytes.fromhex(body)
            if int(argument) != len(octets) - 1 - octets[0]:
                self._answer("+CMS ERROR: 304")
                return
        if self.busy_texts:
            self.busy_texts -= 1
            self._answer("+CMS ERROR: 314")
            return
        if "AT+CMGS" in self.failures:
            self._answer(self.failures["AT+CMGS"])
            return
        if self.failure_of_parts and len(self.submitted) + 1 >= self.fails_from_part:
            self._answer(self.failure_of_parts)
            return
        with self.changed:
            parameters = f"{self._parameters} {self._centre_for_text}".strip()
            self.submitted.append(Submitted(self._text_mode, argument, body, parameters))
            self.changed.notify_all()
        if self.unplugs_after_text:
            self.cable.unplug()
        elif not self.is_mute_after_text:
            if self.receipt_before_answer is not None:
                self.receipt(self.receipt_before_answer)
            self._reference = (self._reference + 1) % 256
            lines = [f"+CMGS: {self._reference}"] if self.gives_reference else []
            self._answer(*lines, *([] if self.loses_ok_after_text else ["OK"]))

    def _answer(self, *lines: str) -> None:
        came_in = self.incoming if self._passes_on else b""
        self.say(came_in + self.unasked + "".join(f"\r\n{line}\r\n" for line in lines).encode())


def _joined_surrogates(text: str) -> str:
    return text.encode("utf-16-be", "surrogatepass").decode("utf-16-be")
