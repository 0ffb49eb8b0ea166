"""
Provider ``smpp``: straight to an SMSC, SMPP 3.4 (extra ``smpp``, library smpplib).

One bound connection is kept open and shared by all threads.  An event loop in a thread of its
own serves it: several submit_sm may be open at once, delivery reports may come between their
responses, and each response is matched by its sequence number.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import threading
import time
from concurrent.futures import CancelledError
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from radius_smsotp import errors
from radius_smsotp.errors import DeliveryError, Problem, Refused, Unavailable, Unknown
from radius_smsotp.model import text as sms
from radius_smsotp.providers import Message, ProviderSettings, Receipt, Surroundings
from radius_smsotp.providers.template import Regexp, rewrite

if TYPE_CHECKING:
    from collections.abc import Callable

    from radius_smsotp.providers.smpp.session import Report

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


try:
    from radius_smsotp.providers.smpp.session import (
        Link,
        Lost,
        Rejected,
        Session,
        c_octet_string,
        reason,
    )
except ModuleNotFoundError as error:
    if error.name != "smpplib":
        raise
    HAS_SMPPLIB = False
else:
    HAS_SMPPLIB = True


EXTRA, NOT_INSTALLED = "smpp", "the library smpplib is not installed"
CHECK_SECONDS = 3.0  # to connect and bind; leaving takes up to two more
GRACE_SECONDS = 0.2  # beyond the deadline, for the event loop to say itself that time is up

# Answers of an SMSC, SMPP 3.4 5.1.3
NOT_BOUND = "ESME_RINVBNDSTS"
BUSY = frozenset({"ESME_RTHROTTLED", "ESME_RMSGQFUL", "ESME_RSYSERR", "ESME_RX_T_APPN", NOT_BOUND})
"""To a submit_sm: not now."""
WRONG_SENDER = frozenset({"ESME_RINVSRCADR", "ESME_RINVSRCTON", "ESME_RINVSRCNPI"})
"""To a submit_sm, and to every other one with these settings."""

CHECK_ADDRESS = "compare smsc_host, smsc_port and tls with what the operator gave you"
BIND_REMEDIES = {
    "ESME_RINVPASWD": (
        "password",
        "SMPP allows 8 characters: if yours is longer, the SMSC may want the first 8 only",
    ),
    "ESME_RINVSYSID": ("system_id", "compare it with what the operator gave you"),
    "ESME_RINVSYSTYP": ("system_type", "ask the operator for it, or leave it out"),
    "ESME_RALYBND": (
        "system_id",
        "this may be your own FreeRADIUS; if not, ask the operator for one more bind",
    ),
}
OTHER_BIND_REMEDY = (
    "system_id",
    "ask the operator; often the password, the address of this host, or the number of binds",
)


def _octet(names: dict[str, int]) -> BeforeValidator:
    """Takes 1, "1", "0x01" and names, in any letter case."""

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        name = value.strip().lower().replace("-", "_").replace(" ", "_")
        try:
            return names[name] if name in names else int(name, 0)
        except ValueError:
            raise ValueError(f"is neither a number nor one of {', '.join(names)}") from None

    return BeforeValidator(read)


def _as_text(value: Any) -> Any:
    # YAML reads a password or a sender of digits only as a number.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _host(value: str) -> str:
    try:
        value.encode("idna")
    except UnicodeError:
        raise ValueError("is not a host name") from None
    return value


def _printable(value: SecretStr) -> SecretStr:
    # 100: the longest that an operator documents; SMPP 3.4 4.1.1 allows 8.
    if not re.fullmatch(r"[ -~]{0,100}", value.get_secret_value()):
        raise ValueError("is longer than 100 characters or not plain ASCII")
    return value


Ton = Annotated[int, _octet(TON), Field(ge=0, le=255)]
Npi = Annotated[int, _octet(NPI), Field(ge=0, le=255)]
Text = Annotated[str, BeforeValidator(_as_text), Field(pattern=r"^[ -~]*$")]
Password = Annotated[SecretStr, BeforeValidator(_as_text), AfterValidator(_printable)]


class Settings(ProviderSettings):
    """Settings of an ``smpp`` provider, under privacyIDEA's names as far as it has them."""

    type: Literal["smpp"]
    smsc_host: Annotated[str, AfterValidator(_host)] = Field(
        min_length=1, description="host name or address of the SMSC"
    )
    # IANA: smpp, 2775/tcp
    smsc_port: int = Field(default=2775, ge=1, le=65535, description="its TCP port")
    # The lengths are those of SMPP 3.4 4.1.1 and 4.4.1, without the NUL at the end.
    system_id: Text = Field(
        default="", max_length=15, description="name to bind with, up to 15 characters"
    )
    password: Password = Field(
        default=SecretStr(""),
        description="password to system_id; more than SMPP's 8 characters are sent whole",
    )
    system_type: Text = Field(
        default="", max_length=12, description="if the SMSC asks for one in the bind"
    )
    service_type: Text = Field(
        default="", max_length=5, description="if the SMSC asks for one with each message"
    )
    bind: Literal["transmitter", "transceiver"] = Field(
        default="transmitter", description="transceiver asks for delivery reports"
    )
    s_addr: Text = Field(
        default="",
        max_length=20,
        description="the sender: 11 letters and digits at most, a short number, or +49…",
    )
    s_addr_ton: Ton | None = Field(
        default=None, description="type of s_addr; left out: what it looks like"
    )
    s_addr_npi: Npi | None = Field(default=None, description="numbering plan of s_addr, the same")
    d_addr_ton: Ton = Field(
        default=TON["international"],
        description="type of the recipient's number, which goes out as digits without plus",
    )
    d_addr_npi: Npi = Field(default=NPI["isdn"], description="its numbering plan")
    regexp: Regexp | None = Field(
        default=None,
        description="/PATTERN/REPLACEMENT/, applied to the number, +49…, before sending",
    )
    long_text: Literal["parts", "payload"] = Field(
        default="parts",
        description="parts: several messages with a header; payload: one, for the SMSC to cut",
    )
    link_interval: float = Field(default=30.0, gt=0, description="seconds between two enquire_link")
    tls: bool = Field(default=False, description="speak TLS with the SMSC")
    ca_file: Path | None = Field(
        default=None, description="certificates (PEM) to trust instead of those of the system"
    )
    check_ssl: bool = Field(
        default=True, description="verify the certificate of the SMSC; false takes any"
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_is_not_set(cls, data: Any) -> Any:
        # privacyIDEA keeps fields that were left empty in its form.
        return {k: v for k, v in data.items() if v != ""} if isinstance(data, dict) else data


class Provider:
    """
    Sends through an SMSC.

    Attributes:
        on_report: Called with message id, whether it was delivered, and the words of the SMSC,
            for each delivery report.  In a thread of its own; may block.  If it raises, the
            SMSC is asked to come back with the report.
    """

    def __init__(self, name: str, settings: Settings, surroundings: Surroundings) -> None:
        self.name = name
        self.on_report: Callable[[str, bool, str], None] | None = None
        self._settings = settings
        self._ca_file = None if settings.ca_file is None else surroundings.folder / settings.ca_file
        self._lock = threading.Lock()
        self._link: Link | None = None

    def check(self) -> list[Problem]:
        """Bind and unbind, and name what is in the way."""
        if not HAS_SMPPLIB:
            return [self._problem("type", NOT_INSTALLED, f"run {errors.pip_command(EXTRA)}")]
        try:
            link = self._new_link()
        except Unavailable as unavailable:
            return [self._problem("type", str(unavailable), "look at the limits of this host")]
        try:
            return link.start(self._look(link)).result()
        finally:
            link.stop()

    def send(self, message: Message, deadline: float) -> Receipt:
        """
        Submit one message.

        Raises:
            Refused: The SMSC said no, to the message or to the bind.
            Unavailable: No bind in time, or the SMSC is busy.
            Unknown: No response after submitting.
        """
        if not HAS_SMPPLIB:
            raise Refused(
                f"the library smpplib is not installed; run {errors.pip_command(EXTRA)}",
                out_of_order=True,
            )
        deadline = min(deadline, time.monotonic() + self._settings.timeout)
        if time.monotonic() >= deadline:
            raise Unavailable("no time was left to submit")
        requests = submit_requests(self._settings, message)
        with self._lock:
            if self._link is None:
                self._link = self._new_link()
            answer = self._link.start(self._submit(self._link, requests, deadline))
        try:
            return answer.result(deadline - time.monotonic() + GRACE_SECONDS)
        except TimeoutError:
            answer.cancel()
            raise Unknown("the SMSC did not answer in time") from None
        except CancelledError:
            raise Unavailable("the provider was closed") from None

    def close(self) -> None:
        """Unbind, and end the thread."""
        with self._lock:
            link, self._link = self._link, None
        if link is not None:
            link.stop()

    async def _submit(self, link: Link, requests: list[dict[str, Any]], deadline: float) -> Receipt:
        session: Session | None = None
        answer = b""
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                session = await link.session()
                for request in requests:
                    answer = await session.ask("submit_sm", **request)
        except TimeoutError:
            if session is None:
                raise Unavailable("the SMSC did not answer the bind in time") from None
            session.doubt()
            raise Unknown("the SMSC did not answer submit_sm in time") from None
        except Lost as lost:
            raise Unknown(f"no answer to submit_sm: {lost}") from None
        except Rejected as rejected:
            if session is not None and rejected.name == NOT_BOUND:
                session.end("the SMSC does not know this bind any more")
            raise _judge(rejected) from None
        # SMPP 3.4 4.4.2: message_id is all that a submit_sm_resp holds.
        return Receipt(c_octet_string(answer) or None)

    async def _look(self, link: Link) -> list[Problem]:
        """The work of `check`."""
        settings = self._settings
        where = f"{settings.smsc_host}:{settings.smsc_port}"
        if settings.tls:
            try:
                link.trust()
            except OSError as error:
                fault = f"cannot use {self._ca_file} ({reason(error)})"
                return [self._problem("ca_file", fault, "name a readable file, PEM")]
        session: Session | None = None
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                session = await link.connect()
                await link.bind(session)
        except TimeoutError:
            fault = f"{where} does not answer{' the bind' if session else ''}"
            return [self._problem("smsc_host", fault, CHECK_ADDRESS)]
        except Rejected as rejected:
            key, remedy = BIND_REMEDIES.get(rejected.name, OTHER_BIND_REMEDY)
            return [self._problem(key, f"the SMSC refused the bind: {rejected}", remedy)]
        except Lost as lost:
            fault = f"no answer of {where} to the bind: {lost}"
            return [self._problem("smsc_host", fault, CHECK_ADDRESS)]
        except ssl.SSLCertVerificationError as error:
            fault = f"the certificate of {where} is not trusted ({reason(error)})"
            return [self._problem("ca_file", fault, "name the file with the certificate of its CA")]
        except OSError as error:
            fault = f"cannot connect to {where} ({reason(error)})"
            return [self._problem("smsc_host", fault, CHECK_ADDRESS)]
        await session.unbind()
        return []

    def _new_link(self) -> Link:
        try:
            return Link(f"smpp-{self.name}", self._settings, self._ca_file, self._report)
        except (OSError, RuntimeError) as error:  # no more files, no more threads
            raise Unavailable(f"no thread for the connection ({error})") from None

    def _report(self, report: Report) -> None:
        if self.on_report is not None:
            self.on_report(report.message_id, report.delivered, report.status)

    def _problem(self, key: str, fault: str, remedy: str) -> Problem:
        return Problem(f"providers.{self.name}.{key}", fault, remedy)


def _judge(rejected: Rejected) -> DeliveryError:
    text = f"the SMSC refused the message: {rejected}"
    if rejected.name in BUSY:
        return Unavailable(text)
    return Refused(text, out_of_order=rejected.name in WRONG_SENDER)
