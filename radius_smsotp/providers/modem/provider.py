"""
Provider ``modem``: a GSM modem on a serial port, or behind ``socket://HOST:PORT``.

The port is opened for each message.  That takes a fraction of what one SMS takes, lets the command
line use the modem between two messages, and finds a modem again that was unplugged.
"""

from __future__ import annotations

import logging
import re
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, field_validator

from radius_smsotp.errors import Busy, Refused, Unavailable
from radius_smsotp.model import text
from radius_smsotp.providers import (
    TUNNEL,
    BaseProvider,
    Fault,
    Message,
    ProviderSettings,
    Receipt,
    Surroundings,
    is_loopback,
)
from radius_smsotp.providers.modem import pdu
from radius_smsotp.providers.modem.device import (
    MARGIN,
    Device,
    Listener,
    Receipts,
    file_name,
    open_device,
)
from radius_smsotp.providers.modem.errors import CommandError, ModemError, OutOfOrder
from radius_smsotp.providers.modem.line import (
    Line,
    await_network,
    has_signal,
    route,
    service_centre,
    unlock_sim,
)

log = logging.getLogger(__name__)


class Settings(ProviderSettings):
    """Settings of a ``modem`` provider."""

    type: Literal["modem"]
    port: str = Field(description="a device like /dev/ttyUSB0, or socket://HOST:PORT")
    baudrate: int = Field(
        115200,
        gt=0,
        le=4_000_000,
        description="bits a second of a serial port; most USB modems do not care",
    )
    pin: SecretStr | None = Field(
        None, description="PIN of the SIM, if it asks for one; in quotes, to keep its zeros"
    )
    smsc: str | None = Field(None, description="service centre, +49…, if the SIM knows none")
    mode: Literal["auto", "text", "pdu"] = Field(
        "auto",
        description="auto: text mode where the text allows it, else PDU mode; or always the one",
    )
    transliterate: bool = Field(
        False,
        description="write letters that the GSM alphabet lacks with the nearest: saves a part",
    )
    validity: int = Field(
        1440,
        ge=5,
        le=635040,
        description="minutes for which the network tries to deliver; 5 at least",
    )
    delivery_receipt: bool = Field(
        False,
        validation_alias=AliasChoices("delivery_receipt", "delivery_report"),
        description="ask the network whether the message arrived",
    )

    @field_validator("port")
    @classmethod
    def _known_kind_of_port(cls, port: str) -> str:
        if port.startswith("/"):
            return port
        url = urlsplit(port)
        # `port` of a URL raises ValueError by itself if it is no number up to 65535.
        if url.scheme == "socket" and url.hostname and url.port and not (url.query or url.path):
            return port
        raise ValueError("must be a device like /dev/ttyUSB0, or socket://HOST:PORT")

    @field_validator("pin", mode="before")
    @classmethod
    def _digits_in_quotes(cls, pin: Any) -> Any:
        if isinstance(pin, int):  # YAML reads 0123 as 83
            raise ValueError('must stand in quotes, as "0123", so that its zeros are kept')  # noqa: TRY004 -- pydantic reports ValueError
        if isinstance(pin, str) and not re.fullmatch("[0-9]{4,8}", pin):
            raise ValueError("must have 4 to 8 digits")  # TS 27.007 8.3, TS 11.11 9.3
        return pin

    @field_validator("smsc")
    @classmethod
    def _international(cls, smsc: str | None) -> str | None:
        if smsc is not None and not re.fullmatch(r"\+[0-9]{5,15}", smsc):
            raise ValueError("must be of the form +491710760000")
        return smsc


class Provider(BaseProvider[Settings]):
    """
    Sends through a modem, one message at a time.

    Attributes:
        on_receipt: See `providers.GivesReceipts`; called, with `delivery_receipt`, when all parts
            of a message were delivered or one was given up.
    """

    def __init__(self, name: str, settings: Settings, surroundings: Surroundings) -> None:
        super().__init__(name, settings, surroundings)
        self._locks = surroundings.lock_folder
        self._turn = threading.Lock()
        self.on_receipt: Callable[[str, bool, str], None] | None = None
        self._receipts = Receipts(self._tell)
        self._listener: Listener | None = None

    def close(self) -> None:
        """Let go of the modem.  A message that is being sent is sent to its end."""
        if not self._turn.acquire(timeout=1):
            return  # who sends closes the port by itself
        try:
            with suppress(ModemError):
                device = self._take_from_listener(time.monotonic() + 1)
                if device is not None:
                    device.close()
        finally:
            self._turn.release()

    def _faults(self, limit: float) -> list[Fault]:
        """Look at port, SIM, network, signal and service centre.  Enters the PIN if need be."""
        deadline = limit - MARGIN
        try:
            with self._device(deadline) as device:
                receipts, _ = self._wake(device.line, deadline)
                found = list(self._obstacles(device.line, deadline))
                if self._settings.delivery_receipt and not receipts:
                    fault, key = "the modem cannot pass on delivery receipts", "delivery_receipt"
                    found.append(ModemError(Refused, fault, f"set `{key}: no`", key))
        except ModemError as error:
            found = [error]
        return [(error.setting, error.text, error.remedy) for error in found]

    def _weaknesses(self, here: str) -> Iterator[Fault]:
        host = urlsplit(self._settings.port).hostname
        if host is not None and not is_loopback(host):
            what = "numbers, codes and the PIN of the SIM"
            fault = f"{what} go to {host} in the clear, and whoever reaches it can send"
            yield f"{here}.port", fault, f"keep it on a network of its own, or {TUNNEL}"

    def _obstacles(self, line: Line, deadline: float) -> Iterator[ModemError]:
        """What stands in the way of sending, as far as the modem can tell."""
        settings = self._settings
        half = (time.monotonic() + deadline) / 2  # the other one is for the questions behind it
        try:
            await_network(line, half, deadline)
        except ModemError as error:
            yield error
            if time.monotonic() >= deadline:
                return  # an answer that comes late is none to the next question
            if not has_signal(line, deadline):
                yield ModemError(Unavailable, "no signal", "check the antenna and its place")
        if settings.smsc is None and not service_centre(line, deadline):
            remedy = "set `smsc` to the service centre of your operator"
            yield ModemError(OutOfOrder, "the SIM knows no service centre", remedy, "smsc")

    def _send(self, message: Message, limit: float) -> Receipt:
        """
        Submit one message, in as many parts as it needs.

        Returns:
            A receipt with the message references, as "12" or "12,13", if the modem gave them.
        """
        deadline = limit - MARGIN
        try:
            with self._device(deadline) as device:
                line = device.line
                receipt, is_quiet = self._wake(line, deadline)
                await_network(line, deadline, deadline)
                references = self._submit(line, message, receipt, is_quiet, deadline)
                message_id = ",".join(str(reference) for reference in references)
                if receipt and references:
                    self._receipts.expect(message_id, references)
        except ModemError as error:
            raise error.as_error() from None
        return Receipt(message_id or None)

    # -- the device -------------------------------------------------------------------------------

    @contextmanager
    def _device(self, deadline: float) -> Iterator[Device]:
        """The open modem, for one thread; closed afterwards, unless receipts are awaited."""
        if not self._turn.acquire(timeout=max(deadline - time.monotonic(), 0)):
            raise ModemError(Busy, "other messages kept the modem busy")
        try:
            device = self._take_from_listener(deadline) or open_device(
                self._settings.port, self._settings.baudrate, self._locks, deadline
            )
            answers = False
            try:
                yield device
                answers = True
            except CommandError:
                answers = True
                raise
            finally:
                if not answers or not self._receipts.any_awaited() or not self._listen(device):
                    device.close()
        finally:
            self._turn.release()

    def _listen(self, device: Device) -> bool:
        """Leave the device to a thread that awaits receipts; False if there is none to be had."""
        listener = Listener(device, self._receipts, self.name)
        try:
            listener.start()
        except RuntimeError:  # the system gives no more; the receipts are lost
            return False
        self._listener = listener
        return True

    def _take_from_listener(self, deadline: float) -> Device | None:
        if self._listener is None:
            return None
        try:
            device = self._listener.hand_back(deadline)
        except TimeoutError:
            fault = "a delivery receipt is still being recorded"
            raise ModemError(Busy, fault) from None
        self._listener = None
        return device

    def _wake(self, line: Line, deadline: float) -> tuple[bool, bool]:
        """Make the modem ready for commands; what `route` says."""
        line.wake(deadline)
        pin = self._settings.pin
        tried = self._locks / f"{file_name(self._settings.port)}.pin-tried"
        unlock_sim(line, pin.get_secret_value() if pin else None, tried, deadline)
        return route(line, self._settings.delivery_receipt, deadline)

    def _tell(self, message_id: str, delivered: bool, words: str) -> None:
        """Hand a receipt on."""
        try:
            if self.on_receipt is not None:
                self.on_receipt(message_id, delivered, words)
        except Exception as error:  # noqa: BLE001 -- not our code; delivery must go on
            kind = type(error).__name__
            log.warning("the delivery receipt of %s was not recorded: %s", message_id, kind)

    # -- the message ------------------------------------------------------------------------------

    def _submit(
        self, line: Line, message: Message, receipt: bool, is_quiet: bool, deadline: float
    ) -> list[int]:
        """Submit all parts; their references, where the modem gave them."""
        mode = self._settings.mode
        if mode == "auto" and not is_quiet:
            mode = "pdu"
        if not re.fullmatch(r"\+[0-9]{1,20}", message.phone):
            raise ModemError(Refused, "the number is not of the form +491701234567")
        content = message.text
        if self._settings.transliterate:
            content = text.transliterated(content)
        simple = text.is_plain(content) and len(text.split(content)) == 1
        if mode == "text" and not simple:
            fault = "text mode carries neither this text's letters nor its length"
            raise ModemError(Refused, fault, "set `mode: auto`", "mode")
        if mode != "pdu" and simple and self._enter_text_mode(line, receipt, deadline):
            reference = line.submit(f'AT+CMGS="{message.phone}"', content, deadline)
            return [] if reference is None else [reference]
        if mode == "text":
            raise ModemError(OutOfOrder, "the modem knows no text mode", "", "mode")
        return self._submit_pdus(line, message, content, receipt, deadline)

    def _enter_text_mode(self, line: Line, receipt: bool, deadline: float) -> bool:
        """Prepare the modem for text mode (TS 27.005 3); False if it cannot."""
        centre = self._settings.smsc
        # First octet as in a PDU, validity, protocol, data coding.
        first = 49 if receipt else 17
        validity = pdu.relative_validity(self._settings.validity)
        return (
            line.accepts("AT+CMGF=1", deadline)
            # Plain letters have the same code in both: whichever the modem knows.
            and (line.accepts('AT+CSCS="IRA"', deadline) or line.accepts('AT+CSCS="GSM"', deadline))
            and line.accepts(f"AT+CSMP={first},{validity},0,0", deadline)
            and (centre is None or line.accepts(f'AT+CSCA="{centre}",145', deadline))
        )

    def _submit_pdus(
        self, line: Line, message: Message, content: str, receipt: bool, deadline: float
    ) -> list[int]:
        try:
            parts = pdu.submit(
                message.phone,
                content,
                # Any octet that is the same in all parts, and hardly ever in the next message.
                reference=zlib.crc32(message.transaction_id.encode()) & 0xFF,
                service_centre=self._settings.smsc or "",
                validity=self._settings.validity,
                receipt=receipt,
            )
        except ValueError as error:
            raise ModemError(Refused, str(error)) from None
        line.command("AT+CMGF=0", deadline)
        references = [line.submit(f"AT+CMGS={part.length}", part.hex, deadline) for part in parts]
        return [reference for reference in references if reference is not None]
