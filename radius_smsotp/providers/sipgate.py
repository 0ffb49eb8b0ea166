"""
Provider ``sipgate``: the XML-RPC interface of sipgate (SAMURAI, method ``SessionInitiate``).

The request is the one of privacyIDEA's sipgate provider; other than there, the text is escaped
and the answer is read.  It travels as those of provider ``http`` do.
"""

from __future__ import annotations

import xmlrpc.client
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast
from urllib.parse import urlsplit
from xml.parsers import expat

from pydantic import AfterValidator, Field, SecretStr

from radius_smsotp.errors import Busy, DeliveryError, Refused, Unavailable, Unknown
from radius_smsotp.providers import (
    BaseProvider,
    CaFile,
    Fault,
    Message,
    ProviderSettings,
    Receipt,
    Surroundings,
    connection,
)
from radius_smsotp.providers.excerpt import excerpt
from radius_smsotp.providers.http.address import Proxy, exposed, split_url
from radius_smsotp.providers.http.answer import EXCERPT, MESSAGE_ID, Rules, judge
from radius_smsotp.providers.http.request import NO_XML, Request
from radius_smsotp.providers.http.transport import Wire

if TYPE_CHECKING:
    Quote = Callable[[str, int], str]

_PASSING: dict[str, type[Unavailable]] = {"402": Unavailable, "404": Busy, "412": Busy}
"""Internal error, resources exceeded, too many requests: the status codes of SAMURAI 1.10 that say
nothing against the message."""


def _gateway(url: str) -> str:
    if "@" in split_url(url, "http", "https").netloc:
        raise ValueError("holds a user name; user name and password have settings of their own")
    return url


class Settings(ProviderSettings):
    """Settings of a ``sipgate`` provider."""

    type: Literal["sipgate"]
    username: str = Field(min_length=1, description="user name at sipgate")
    password: SecretStr = Field(min_length=1, description="password at sipgate")
    url: Annotated[str, AfterValidator(_gateway)] = Field(
        "https://samurai.sipgate.net/RPC2", description="where sipgate takes requests"
    )
    domain: str = Field(
        "sipgate.net",
        pattern=r"^[A-Za-z0-9.-]+$",
        description="host in the address of the recipient; privacyIDEA writes sipgate.de",
    )
    proxy: Proxy = None
    ca_file: CaFile = None


class Provider(BaseProvider[Settings]):
    """Sends messages through sipgate."""

    def __init__(self, name: str, settings: Settings, surroundings: Surroundings) -> None:
        super().__init__(name, settings, surroundings)
        password = settings.password.get_secret_value()
        # The second in base64 is what basic authentication sends (RFC 7617 2).
        self._secrets = [password, f"{settings.username}:{password}"]
        self._proxy = proxy = settings.proxy.get_secret_value() if settings.proxy else None
        if proxy and (of_proxy := urlsplit(proxy).password):
            self._secrets.append(of_proxy)
        trust = partial(connection.tls_context, self._path(settings.ca_file))
        self._wire = Wire(trust, proxy, (settings.username, password))

    def close(self) -> None:
        """Close the connections that are kept for the next message."""
        self._wire.close()

    def _faults(self, limit: float) -> list[Fault]:
        """Ask for the balance, which costs nothing and needs user name and password."""
        if faults := connection.ca_faults(self._path(self._settings.ca_file)):
            return faults
        try:
            # That it may be refused says nothing: not every account may ask.
            self._call("samurai.BalanceGet", (), limit, partial(excerpt, secrets=self._secrets))
        except DeliveryError as error:
            if isinstance(error, Refused) and error.out_of_order:
                return [("username", str(error), "check user name and password")]
            setting = "proxy" if self._settings.proxy else "url"
            return [(setting, str(error), "check the address and what is in between")]
        return []

    def _weaknesses(self, here: str) -> Iterator[Fault]:
        return exposed(here, self._settings.url, ("proxy", self._proxy) if self._proxy else None)

    def _send(self, message: Message, limit: float) -> Receipt:
        """Send one message; sipgate's session id is its name."""
        session = {
            "RemoteUri": f"sip:{message.phone.removeprefix('+')}@{self._settings.domain}",
            "TOS": "text",
            "Content": NO_XML.sub("", message.text),
        }
        quote = partial(excerpt, secrets=self._secrets, message=message)
        result = self._call("samurai.SessionInitiate", (session,), limit, quote)
        if isinstance(result, DeliveryError):
            raise result
        found = result.get("SessionID")
        return Receipt(quote(str(found), MESSAGE_ID) or None if found else None)

    def _call(
        self, method: str, parameters: tuple[Any, ...], limit: float, quote: Quote
    ) -> dict[str, Any] | DeliveryError:
        """Call a method of sipgate's: the struct it returns, or its objection."""
        body = xmlrpc.client.dumps(parameters, method, encoding="utf-8").encode()
        request = Request("POST", self._settings.url, {"Content-Type": b"text/xml"}, body, "")
        answer = self._wire.exchange(request, limit)
        verdict = judge(answer, Rules(), quote, datetime.now(timezone.utc))
        if isinstance(verdict, DeliveryError):
            raise verdict
        return _read(answer.body, quote)


def _read(body: bytes, quote: Quote) -> dict[str, Any] | DeliveryError:
    """
    The struct that a method of sipgate's returns, or its objection.

    Args:
        body: What came with HTTP status 200.
        quote: Makes a text fit to be told, in that many characters.

    Raises:
        Unknown: It is not an answer that can be understood.
    """
    try:
        _refuse_doctype(body)
        result = dict(cast("Any", xmlrpc.client.loads(body)[0][0]))
        code = int(result["StatusCode"])
    except xmlrpc.client.Fault as fault:
        return _objection("fault", fault.faultCode, fault.faultString, quote)
    except Exception:  # noqa: BLE001  # xmlrpc.client raises whatever int() and its like raise
        told = quote(body.decode("utf-8", "replace"), EXCERPT) or "nothing"
        raise Unknown(f"what sipgate answered cannot be understood: {told}") from None
    if code == 200:
        return result
    return _objection("status", code, result.get("StatusString", ""), quote)


def _objection(kind: str, code: object, words: object, quote: Quote) -> DeliveryError:
    text = f"sipgate refused with {kind} {quote(f'{code}: {words}', EXCERPT)}"
    return _PASSING.get(str(code), Refused)(text)


def _refuse_doctype(body: bytes) -> None:
    """
    Raise ExpatError or ValueError unless `body` is XML without a document type.

    XML-RPC has none, and the entities that one may define can blow up 64 KiB to megabytes.
    """

    def found(*_: Any) -> None:
        raise ValueError("the answer has a document type")

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = found
    parser.Parse(body, True)
