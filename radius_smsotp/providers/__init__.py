"""
Ways to send an SMS.

One provider is one module with two names: `Settings`, what its part of the YAML file
may hold, and `Provider`, which sends.  Ours are here; others come as an entry point of another
package (`GROUP`).  Only the modules of configured types are imported.
"""

from __future__ import annotations

import functools
import ipaddress
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Generic,
    Protocol,
    TypeVar,
    get_args,
    runtime_checkable,
)

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from radius_smsotp.errors import ConfigurationError, Problem, Unavailable
from radius_smsotp.model.text import shown

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

TYPES = ("folder", "http", "modem", "script", "sipgate", "smpp", "smtp")
"""Values of ``providers.NAME.type``; each is also the name of its module, or package, here."""

GROUP = "radius_smsotp.providers"
"""Entry points of other packages: each name is a type more, its value a module with both names."""

PACKAGES = {"http", "modem", "smpp", "smtp"}
"""Those that are packages; the two names are in their modules ``provider``."""

OF_PRIVACYIDEA = {"url": "http", "mailto": "smtp", "smsc_host": "smpp", "script": "script"}
"""What privacyIDEA's settings, which name no type, are told apart by."""


@dataclass(frozen=True, slots=True)
class Message:
    """
    One SMS to send.

    Attributes:
        transaction_id: The challenge it belongs to, 32 lower-case hex digits.
        phone: E.164 with its plus sign, "+491701234567"; "" if it goes to `email`.
        text: The whole text, code included.
        code: The code alone, for gateways that build the text themselves.
        attempt: A UUID that names this attempt, for gateways that give no name of their own.
        email: Where it goes if not to a phone.
        language: Folded tag of what the user reads, "de".
        code_spoken: The code, a word for each digit, in that language.
        message_spoken: The text for a voice that reads it out, in that language.
    """

    transaction_id: str
    # Kept out of repr(): neither number nor code may reach a log by way of a traceback.
    phone: str = field(repr=False)
    text: str = field(repr=False)
    code: str = field(repr=False)
    attempt: str = field(default_factory=lambda: str(uuid.uuid4()))
    email: str = field(default="", repr=False)
    language: str = ""
    code_spoken: str = field(default="", repr=False)
    message_spoken: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """A text that no encoding can write would raise errors that quote it."""
        object.__setattr__(self, "text", self.text.encode(errors="replace").decode())


@dataclass(frozen=True, slots=True)
class Receipt:
    """The provider took the message.  `message_id` is its name for it, if it gave one."""

    message_id: str | None = None


class Strict(BaseModel):
    """
    A part of the file: unknown keys are errors, values never change, and a number is one that
    everybody reads as the same.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        # One validator, of the whole, and not one of each part: a command starts a fifth sooner.
        defer_build=True,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _as_written(cls, value: Any, info: ValidationInfo) -> Any:
        """YAML reads 5.000 as five, and yes as true, which Python takes for one."""
        if not isinstance(value, bool | float) or info.field_name is None:
            return value
        annotation = cls.model_fields[info.field_name].annotation
        kinds = {annotation, *get_args(annotation)}
        if isinstance(value, bool) and kinds & {int, float} and bool not in kinds:
            raise ValueError("is yes or no to YAML, and has to be a number; write it in digits")
        if isinstance(value, float) and int in kinds and float not in kinds:
            fault = f"is {value:g} to YAML, and has to be a whole number"
            raise ValueError(f"{fault}; write it without a point")
        return value


class Section(Strict):
    """
    A part of the file, as privacyIDEA may have written it as well: its parameters in any letter
    case (URL, HTTP_Method), and "" for what nobody filled in.
    """

    @model_validator(mode="before")
    @classmethod
    def _as_privacyidea_writes_it(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        lowered: dict[str, Any] = {}
        for key, value in data.items():
            name = str(key).lower()
            if name in lowered:
                raise ValueError(f"'{shown(name)}' is given twice, in different letter case")
            lowered[name] = value
        # {price: 0,25} names a setting 25 without a value.
        return {
            name: value
            for name, value in lowered.items()
            if value not in (None, "") or name.isdecimal()
        }


class ProviderSettings(Section):
    """What every provider's settings share."""

    type: str
    timeout: float = Field(10.0, gt=0, le=120, description="seconds for one attempt")
    per_second: float | None = Field(
        None,
        gt=0,
        le=1000,
        description="messages that leave through it in a second, at most, from one process; what "
        "is more waits for its turn, or goes through the next provider if that is sooner by a "
        "second",
    )
    price: float | None = Field(
        None,
        ge=0,
        description="what one message costs, in `currency`; for `smsotp stats` and reports",
    )

    def asks_for_receipts(self) -> bool:
        """Whether the gateway is told where to send receipts: they have to be received then."""
        return False


CaFile = Annotated[
    Path | None,
    Field(description="certificates (PEM) to trust instead of those of the system"),
]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """
    What a provider may use of the settings around its own.

    Attributes:
        folder: Where the settings file lies; relative paths count from here.
        smtp_servers: The section ``smtp_servers`` as it is in the file.
        lock_folder: Where lock files go, next to the store.
        receiver: Where gateways reach `smsotp receiver`, "" if they do not.
    """

    folder: Path
    smtp_servers: Mapping[str, Any]
    lock_folder: Path
    receiver: str = field(default="", repr=False)

    def receipt_url(self, name: str) -> str:
        """Where the receipts of a provider go; "" if there is no such place."""
        return f"{self.receiver}/{name}" if self.receiver else ""


CHECK_SECONDS = 4.5
"""Seconds that a provider looks at most: `BaseProvider.check` says about 5."""

S = TypeVar("S", bound=ProviderSettings)

Fault = tuple[str, str, str]
"""A setting, what is wrong with it, and the remedy."""


TUNNEL = "go through a tunnel (VPN, ssh)"
"""The remedy where the other side has no TLS."""


def is_loopback(host: str) -> bool:
    """Whether what goes to a host stays on this machine, as far as its name or address tells."""
    name = host.lower().rstrip(".")
    # RFC 6761 6.3; /etc/hosts of Debian and Red Hat have the others.
    if name.endswith(".localhost") or name in LOCAL:
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


LOCAL = {"localhost", "localhost.localdomain", "localhost6", "ip6-localhost", "ip6-loopback"}


def unverified(setting: str, host: str) -> Fault:
    """The fault that a certificate is not checked."""
    fault = f"the certificate of {host} is not verified: whoever is on the way can pose as it"
    return setting, fault, "set ca_file to its certificate, or to its authority's"


class BaseProvider(Generic[S]):
    """
    One configured provider, without its way to send.  Used by several threads at once.

    Built cheaply: no connection, no file opened.  A fault in the settings that needs no I/O to see
    belongs in its `Settings`.
    """

    def __init__(self, name: str, settings: S, surroundings: Surroundings) -> None:
        self.name = name
        self._settings = settings
        self._folder = surroundings.folder

    def check(self) -> list[Problem]:
        """
        Look whether this configuration can work, without sending anything.

        Paths of the problems start with ``providers.NAME``.  May open files and ports; returns
        within about 5 seconds; never raises.
        """
        path = f"providers.{self.name}"
        seconds = min(CHECK_SECONDS, self._settings.timeout)
        faults = self._faults(time.monotonic() + seconds)
        return [Problem(f"{path}.{setting}", fault, remedy) for setting, fault, remedy in faults]

    def weaknesses(self) -> list[Problem]:
        """
        What works, and lets others read messages, or send some: without TLS, mostly.

        Looks at the settings alone.  The paths are those of settings.
        """
        found = self._weaknesses(f"providers.{self.name}")
        return [Problem(path, fault, remedy) for path, fault, remedy in found]

    def send(self, message: Message, deadline: float) -> Receipt:
        """
        Submit one message.

        Args:
            message: What to send.
            deadline: `time.monotonic()` seconds by which this must have returned or raised.

        Raises:
            Refused, Unavailable, Unknown: and nothing else.  Their text holds neither the
                code, nor the text, nor the whole number, nor a password.
        """
        limit = min(deadline, time.monotonic() + self._settings.timeout)
        if time.monotonic() >= limit:
            raise Unavailable("no time was left to send the message")
        return self._send(message, limit)

    def listen(self) -> None:
        """
        Hear receipts from now on, also of messages that others have sent, if that takes a
        connection.  Returns at once; may be called twice.
        """

    def close(self) -> None:
        """Let go of connections and devices, if any are held.  May be called twice."""

    def _faults(self, limit: float) -> Iterable[Fault]:
        """Look for what is wrong, until `limit` (`time.monotonic()` seconds)."""
        raise NotImplementedError

    def _weaknesses(self, here: str) -> Iterable[Fault]:
        """See `weaknesses`; `here` is the path of these settings."""
        return ()

    def _send(self, message: Message, limit: float) -> Receipt:
        """Send a message, until `limit`; see `send`."""
        raise NotImplementedError

    def _path(self, path: Path | None) -> Path | None:
        """A file that the settings name; a relative path counts from theirs."""
        return self._folder / path if path else None


Provider = BaseProvider[Any]
"""Any of them."""


@runtime_checkable
class GivesReceipts(Protocol):
    """
    A provider that hears what became of a message after it was taken.

    Attributes:
        on_receipt: Called once for each message, from a thread of the provider's, with the
            message id of its `Receipt`, whether all of it was delivered, and the network's words.
            It is quick, and sends nothing.
    """

    on_receipt: Callable[[str, bool, str], None] | None


def kind(entry: Mapping[Any, Any]) -> Any:
    """The ``type`` of a provider's settings; of privacyIDEA's, which have none, what they fit."""
    lowered = {str(key).lower(): value for key, value in entry.items()}
    if "type" in lowered:
        return lowered["type"]
    fitting = (found for key, found in OF_PRIVACYIDEA.items() if key in lowered)
    return next(fitting, "sipgate" if {"username", "password"} <= set(lowered) else None)


class BrokenTypeError(Exception):
    """A package says that it has a type, and does not come to one."""


@functools.cache
def _plugged() -> Mapping[str, list[EntryPoint]]:
    """The types of other packages.  It takes a look at every package that is installed."""
    from importlib.metadata import entry_points  # noqa: PLC0415  # who has none of them, needs none

    found: dict[str, list[EntryPoint]] = {}
    for one in entry_points(group=GROUP):
        # A package that is found twice on the path says the same twice.
        if one.name not in TYPES and one not in found.setdefault(one.name, []):
            found[one.name].append(one)
    return found


def types() -> tuple[str, ...]:
    """Every value of ``providers.NAME.type``: ours, and then those of other packages."""
    return (*TYPES, *sorted(_plugged()))


def module(kind: object) -> ModuleType:
    """
    The module that has one type's two names.

    Args:
        kind: The ``type`` as it is written, whatever that is.

    Raises:
        KeyError: There is no such type.
        BrokenTypeError: There is, and it cannot be used.
    """
    if not isinstance(kind, str):
        raise KeyError(kind)
    if kind in TYPES:
        return import_module(f"{__name__}.{kind}{'.provider' if kind in PACKAGES else ''}")
    found, *others = _plugged()[kind]
    packages = sorted({one.dist.name for one in (found, *others) if one.dist})
    if others:
        raise BrokenTypeError(f"{' and '.join(packages)} both have it")
    whose = f"the package {packages[0]}" if packages else "its package"
    try:
        made: ModuleType = found.load()
    except Exception as error:
        fault = f"{whose} cannot be loaded ({type(error).__name__}: {shown(str(error))})"
        raise BrokenTypeError(fault) from error
    for name, base in (("Settings", ProviderSettings), ("Provider", BaseProvider)):
        one = getattr(made, name, None)
        if not (isinstance(one, type) and issubclass(one, base)):
            raise BrokenTypeError(f"{whose} has no class {name} that is a {base.__name__}")
    return made


def build(name: str, settings: ProviderSettings, surroundings: Surroundings) -> Provider:
    """
    Build the provider that `settings` describes.

    Raises:
        ConfigurationError: It is of another package, which does not keep its promise.
    """
    try:
        provider: Provider = module(settings.type).Provider(name, settings, surroundings)
    except Exception as error:
        if settings.type in TYPES:
            raise
        # The type only: the text may hold what is in the settings.
        fault = f"its package cannot set it up ({type(error).__name__})"
        problem = Problem(f"providers.{name}", fault, "tell those who have made that")
        raise ConfigurationError([problem]) from error
    return provider
