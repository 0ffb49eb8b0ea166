"""
Provider ``smpp``: straight to an SMSC, SMPP 3.4 (extra ``smpp``, library smpplib).

First its settings; then the provider, and the requests that a message becomes.  One bound
connection is kept open and shared by all threads: see `session`.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as LateError
from functools import partial
from importlib.util import find_spec
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from radius_smsotp import errors
from radius_smsotp.errors import Busy, Refused, Unavailable, Unknown
from radius_smsotp.model import text as sms
from radius_smsotp.providers import (
    TUNNEL,
    BaseProvider,
    CaFile,
    Fault,
    Message,
    ProviderSettings,
    Receipt,
    Surroundings,
    connection,
    is_loopback,
    unverified,
)
from radius_smsotp.providers.smpp.receipt import DeliveryReceipt, c_octet_string
from radius_smsotp.providers.template import Regexp, rewrite

HAS_SMPPLIB = find_spec("smpplib") is not None
if HAS_SMPPLIB:
    from radius_smsotp.providers.smpp.session import (
        BUSY,
        PASSING,
        Link,
        Lost,
        Rejected,
        Session,
        Smsc,
        within,
    )


# SMPP 3.4 5.2.5, in the order of their values, which begin at 0
_TONS = "unknown international national network_specific subscriber alphanumeric abbreviated"
TON = {name: value for value, name in enumerate(_TONS.split())}
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
    smsc_port: int = Field(2775, ge=1, le=65535, description="its TCP port")
    # The lengths are those of SMPP 3.4 4.1.1 and 4.4.1, without the NUL at the end.
    system_id: Text = Field("", max_length=15, description="name to bind with, up to 15 characters")
    password: Password = Field(
        SecretStr(""),
        description="password to system_id; more than SMPP's 8 characters are sent whole",
    )
    system_type: Text = Field("", max_length=12, description="if the SMSC asks for one in the bind")
    service_type: Text = Field(
        "", max_length=5, description="if the SMSC asks for one with each message"
    )
    bind: Literal["transmitter", "transceiver"] = Field(
        "transmitter", description="transceiver asks for delivery receipts"
    )
    s_addr: Text = Field(
        "",
        max_length=20,
        description="the sender: 11 letters and digits at most, a short number, or +49…",
    )
    s_addr_ton: Ton | None = Field(None, description="type of s_addr; left out: what it looks like")
    s_addr_npi: Npi | None = Field(None, description="numbering plan of s_addr, the same")
    d_addr_ton: Ton = Field(
        TON["international"],
        description="type of the recipient's number, which goes out as digits without plus",
    )
    d_addr_npi: Npi = Field(NPI["isdn"], description="its numbering plan")
    regexp: Regexp = None
    long_text: Literal["parts", "payload"] = Field(
        "parts",
        description="parts: several messages with a header; payload: one, for the SMSC to cut",
    )
    link_interval: float = Field(30.0, gt=0, description="seconds between two enquire_link")
    tls: bool = Field(False, description="speak TLS with the SMSC")
    ca_file: CaFile = None
    check_ssl: bool = Field(True, description="verify the certificate of the SMSC; false takes any")


NOT_INSTALLED = "the library smpplib is not installed"
LEAVE_SECONDS = 1.5  # of those that `check` has: to unbind and end the thread
GRACE_SECONDS = 0.2  # beyond the deadline, for the event loop to say itself that time is up

# Answers of an SMSC, SMPP 3.4 5.1.3
NOT_BOUND = "ESME_RINVBNDSTS"
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


class Provider(BaseProvider[Settings]):
    """
    Sends through an SMSC.

    Attributes:
        on_receipt: See `providers.GivesReceipts`.  In a thread of its own; may block.  If it
            raises, the SMSC is asked to come back with the receipt.
    """

    def __init__(self, name: str, settings: Settings, surroundings: Surroundings) -> None:
        super().__init__(name, settings, surroundings)
        self.on_receipt: Callable[[str, bool, str], None] | None = None
        self._lock = threading.Lock()
        self._link: Link | None = None

    def listen(self) -> None:
        """Bind, and again whenever the bind is lost: an SMSC reports to whoever is bound."""
        if not HAS_SMPPLIB or self._settings.bind != "transceiver":
            return
        with self._lock, contextlib.suppress(Unavailable):
            self._link = self._link or self._new_link()
            self._link.stay(self._settings.timeout)

    def close(self) -> None:
        """Unbind, and end the thread."""
        with self._lock:
            link, self._link = self._link, None
        if link is not None:
            link.stop()

    def _weaknesses(self, here: str) -> Iterator[Fault]:
        host = self._settings.smsc_host
        if self._settings.tls:
            if not self._settings.check_ssl:
                yield unverified(f"{here}.check_ssl", host)
        elif not is_loopback(host):
            setting = "tls" if "tls" in self._settings.model_fields_set else "smsc_host"
            fault = f"numbers, codes and the password go to {host} in the clear"
            yield f"{here}.{setting}", fault, f"set tls: true, if the SMSC takes it, or {TUNNEL}"

    def _faults(self, limit: float) -> list[Fault]:
        """Bind and unbind, and name what is in the way."""
        if not HAS_SMPPLIB:
            return [("type", NOT_INSTALLED, f"run {errors.extra_command('smpp')}")]
        ca_file = self._path(self._settings.ca_file)
        if self._settings.tls and (faults := connection.ca_faults(ca_file)):
            return faults
        try:
            link = self._new_link()
        except Unavailable as unavailable:
            return [("type", str(unavailable), "look at the limits of this host")]
        try:
            return link.start(self._look(limit - LEAVE_SECONDS)).result()
        finally:
            link.stop()

    async def _look(self, limit: float) -> list[Fault]:
        where = f"{self._settings.smsc_host}:{self._settings.smsc_port}"
        key, remedy = "smsc_host", CHECK_ADDRESS
        session: Session | None = None
        try:
            async with within(limit - time.monotonic()):
                session = await Session.connect(self._smsc, self._receive)
                await session.bind(self._smsc)
        except asyncio.TimeoutError:
            fault = f"{where} does not answer{' the bind' if session else ''}"
        except Rejected as rejected:
            key, remedy = BIND_REMEDIES.get(rejected.name, OTHER_BIND_REMEDY)
            fault = f"the SMSC refused the bind: {rejected}"
        except Lost as lost:
            fault = f"no answer of {where} to the bind: {lost}"
        except OSError as error:
            fault = f"cannot connect to {where} ({connection.reason(error)})"
            if isinstance(error, ssl.SSLCertVerificationError):
                key, remedy = "ca_file", "name the file with the certificate of its CA"
        else:
            await session.unbind()
            return []
        return [(key, fault, remedy)]

    def _send(self, message: Message, limit: float) -> Receipt:
        """
        Submit one message.

        Raises:
            Refused: The SMSC said no, to the message or to the bind.
            Busy: The SMSC is, or another connection holds the account.
            Unavailable: No bind in time, or the SMSC has a fault of its own.
            Unknown: No response after submitting.
        """
        if not HAS_SMPPLIB:
            fault = f"{NOT_INSTALLED}; run {errors.extra_command('smpp')}"
            raise Refused(fault, out_of_order=True)
        requests = submit_requests(self._settings, message)
        with self._lock:
            if self._link is None:
                self._link = self._new_link()
            answer = self._link.start(self._submit(self._link, requests, limit))
        try:
            return answer.result(limit - time.monotonic() + GRACE_SECONDS)
        except LateError:
            answer.cancel()
            raise Unknown("the SMSC did not answer in time") from None
        except CancelledError:
            raise Unavailable("the provider was closed") from None

    async def _submit(self, link: Link, requests: list[dict[str, Any]], limit: float) -> Receipt:
        session: Session | None = None
        answer = b""
        try:
            async with within(limit - time.monotonic()):
                session = await link.session()
                for request in requests:
                    answer = await session.ask("submit_sm", **request)
        except asyncio.TimeoutError:
            if session is None:
                raise Unavailable("the SMSC did not answer the bind in time") from None
            session.doubt()
            raise Unknown("the SMSC did not answer submit_sm in time") from None
        except Lost as lost:
            raise Unknown(f"no answer to submit_sm: {lost}") from None
        except Rejected as rejected:
            if session is not None and rejected.name == NOT_BOUND:
                session.end("the SMSC does not know this bind any more")
            text = f"the SMSC refused the message: {rejected}"
            if rejected.name in BUSY:
                raise Busy(text) from None
            if rejected.name in PASSING or rejected.name == NOT_BOUND:
                raise Unavailable(text) from None
            raise Refused(text, out_of_order=rejected.name in WRONG_SENDER) from None
        # SMPP 3.4 4.4.2: message_id is all that a submit_sm_resp holds.
        return Receipt(c_octet_string(answer) or None)

    def _new_link(self) -> Link:
        try:
            return Link(f"smpp-{self.name}", self._smsc, self._receive)
        except (OSError, RuntimeError) as error:  # no more files, no more threads
            raise Unavailable(f"no thread for the connection ({error})") from None

    @property
    def _smsc(self) -> Smsc:
        settings = self._settings
        ca_file = self._path(settings.ca_file)
        trust = partial(connection.tls_context, ca_file, verify=settings.check_ssl)
        return Smsc(
            settings.smsc_host,
            settings.smsc_port,
            trust if settings.tls else None,
            f"bind_{settings.bind}",
            {
                "system_id": settings.system_id,
                "password": settings.password.get_secret_value(),
                "system_type": settings.system_type,
            },
            settings.link_interval,
        )

    def _receive(self, receipt: DeliveryReceipt) -> None:
        if self.on_receipt is not None:
            self.on_receipt(receipt.message_id, receipt.delivered, receipt.status)


DEFAULT_ALPHABET, UCS2 = 0, 8  # data_coding, SMPP 3.4 5.2.19
WITH_HEADER = 0x40  # esm_class, SMPP 3.4 5.2.12
RECEIPT = 1  # registered_delivery, SMPP 3.4 5.2.17: of success and of failure
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
        # For the last part alone: one message, one receipt.
        requests[-1]["registered_delivery"] = RECEIPT
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
