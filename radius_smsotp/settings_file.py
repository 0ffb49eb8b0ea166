"""
The YAML file read: frozen settings, or every error at once with its path.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from radius_smsotp import providers, strict_yaml
from radius_smsotp.core.model import LoginPolicy, Style
from radius_smsotp.errors import ConfigurationError, Problem
from radius_smsotp.providers import ProviderSettings
from radius_smsotp.settings import ClientSettings, DeliverySettings, Settings
from radius_smsotp.strict_yaml import shown

POLICIES_MOST = 1024
"""Clients whose policy is kept: a whole network may be one client to FreeRADIUS."""


@dataclass(frozen=True)
class ClientPolicy:
    """What holds for one RADIUS client, worked out from `Settings`."""

    login: LoginPolicy
    style: Style
    prompt: str
    message: str
    wait: float
    remember: timedelta


@dataclass(frozen=True, eq=False)
class Loaded:
    """
    Settings that were read, with the place they came from.

    Attributes:
        providers: Name to settings of its own class, in the order of the file.
    """

    path: Path
    values: Settings
    providers: Mapping[str, ProviderSettings]
    _policies: dict[tuple[str, str], ClientPolicy] = field(
        default_factory=dict, init=False, repr=False
    )

    @property
    def key_path(self) -> Path:
        """The key file; a relative path counts from the settings file."""
        return self.path.parent / self.values.key_file

    @property
    def store_url(self) -> str:
        """The store, with an absolute path."""
        scheme, _, rest = self.values.store.partition(":///")
        if scheme != "sqlite":
            return self.values.store
        return f"sqlite:///{(self.path.parent / rest).absolute()}"

    @property
    def order(self) -> tuple[str, ...]:
        """The providers in the order in which they are tried."""
        return self.values.delivery.order or tuple(self.providers)

    def route(self, phone: str) -> tuple[str, ...]:
        """The providers for a number (E.164): of its longest prefix, else `order`."""
        prefixes = self.values.delivery.prefixes
        longest = max((one for one in prefixes if phone.startswith(one)), key=len, default=None)
        return self.order if longest is None else prefixes[longest]

    def for_client(self, name: str, address: str) -> ClientPolicy:
        """What holds for a client: by short name, then by address, then by the longest prefix."""
        policy = self._policies.get((name, address))
        if policy is None:
            if len(self._policies) >= POLICIES_MOST:
                self._policies.clear()
            policy = self._policies[name, address] = self._policy(name, address)
        return policy

    def _policy(self, name: str, address: str) -> ClientPolicy:
        values = self.values
        own = self._client(name, address)
        return ClientPolicy(
            LoginPolicy(
                digits=values.code.digits,
                lifetime=timedelta(seconds=values.code.lifetime),
                guesses=values.code.guesses,
                resend_word=values.challenge.resend if own.resend is None else own.resend,
                cooldown=timedelta(seconds=values.limits.cooldown),
                per_account_hour=values.limits.per_account_hour,
                per_number_hour=values.limits.per_number_hour,
                per_client_hour=values.limits.per_client_hour,
                per_day=values.limits.per_day,
                lockout_failures=values.lockout.failures,
                lockout_time=timedelta(minutes=values.lockout.minutes),
                binding=values.challenge.bind,
            ),
            style=own.style or values.challenge.style,
            prompt=values.challenge.prompt if own.prompt is None else own.prompt,
            message=own.message or values.message,
            wait=values.delivery.wait if own.wait is None else own.wait,
            remember=timedelta(
                hours=values.remember.hours if own.remember is None else own.remember
            ),
        )

    def _client(self, name: str, address: str) -> ClientSettings:
        clients = self.values.clients
        if name in clients:
            return clients[name]
        try:
            asked = ipaddress.ip_address(address)
        except ValueError:
            return ClientSettings()
        networks = [(net, key) for key in clients if (net := _network(key)) and asked in net]
        if not networks:
            return ClientSettings()
        return clients[max(networks, key=lambda pair: pair[0].prefixlen)[1]]


def load(path: Path) -> Loaded:
    """
    Read the file.

    Raises:
        ConfigurationError: With every problem, its path, and what to do.
    """
    return _validate(path, strict_yaml.read(path))


def _validate(path: Path, raw: Any) -> Loaded:
    name = path.name
    if raw is None:
        raw = {}
    if not isinstance(raw, dict):
        fault = "holds no settings, but " + type(raw).__name__
        raise ConfigurationError([Problem(name, fault, "write 'name: value' lines")])
    own, problems = _load_providers(name, raw.get("providers"))
    values = Settings()
    try:
        values = Settings.model_validate(raw)
    except ValidationError as error:
        problems += _problems(f"{name}: ", Settings, error)
    problems += _order_problems(name, raw.get("delivery", {}), raw.get("providers"))
    problems += _smtp_problems(name, raw.get("smtp_servers"))
    if problems:
        raise ConfigurationError(problems)
    return Loaded(path.absolute(), values, own)


def _load_providers(name: str, raw: Any) -> tuple[dict[str, ProviderSettings], list[Problem]]:
    """Read the section ``providers``, each entry with the class of its type."""
    own: dict[str, ProviderSettings] = {}
    problems: list[Problem] = []
    if not raw:
        fault, remedy = "there is none", "name one, as 'demo: {type: folder, path: outbox}'"
        return own, [Problem(f"{name}: providers", fault, remedy)]
    for key, entry in raw.items() if isinstance(raw, dict) else ():
        path = f"providers.{shown(str(key))}"
        if not re.fullmatch(r"[\w.-]+", str(key)):
            fault = "is no name for a provider"
            problems.append(Problem(f"{name}: {path}", fault, "use letters, digits, '.', '_', '-'"))
            continue
        kind = providers.kind(entry) if isinstance(entry, dict) else None
        if kind not in providers.TYPES:
            choice = f"one of {', '.join(providers.TYPES)}"
            fault, remedy = "is missing", f"write {choice}"
            if isinstance(kind, str):
                fault, remedy = f"'{kind}' is not {choice}", ""
            problems.append(Problem(f"{name}: {path}.type", fault, remedy))
        else:
            settings_class = providers.module(kind).Settings
            named = {word: value for word, value in entry.items() if str(word).lower() != "type"}
            try:
                own[str(key)] = settings_class.model_validate({"type": kind, **named})
            except ValidationError as error:
                problems += _problems(f"{name}: {path}.", settings_class, error)
    return own, problems


def _order_problems(name: str, raw: Any, named: Any) -> list[Problem]:
    """Providers that ``delivery`` speaks of and ``providers`` does not."""
    try:
        delivery = DeliverySettings.model_validate(raw)
    except ValidationError:
        return []  # said already
    orders = {"delivery.order": delivery.order}
    orders |= {f"delivery.prefixes.{key}": order for key, order in delivery.prefixes.items()}
    return [
        Problem(f"{name}: {path}", f"'{missing}' is not among the providers", "add it there")
        for path, order in orders.items()
        for missing in order
        if missing not in (named or ())
    ]


def _smtp_problems(name: str, raw: Any) -> list[Problem]:
    """Faults of ``smtp_servers``; the class that knows them is imported only if there are any."""
    if not raw or not isinstance(raw, dict):
        return []
    smtp = import_module("radius_smsotp.providers.smtp")
    try:
        smtp.validate_servers(raw)
    except ValidationError as error:
        return _problems(f"{name}: smtp_servers.", smtp.SmtpServer, error)
    return []


def _problems(prefix: str, model: type[BaseModel], error: ValidationError) -> list[Problem]:
    """pydantic's errors as ours."""
    problems = []
    for item in error.errors(include_input=False, include_url=False):
        loc = [str(part) for part in item["loc"]]
        fault, _, remedy = item["msg"].removeprefix("Value error, ").partition("; ")
        if item["type"] == "extra_forbidden":
            fault, remedy = "there is no such setting", _suggestion(model, loc)
            loc[-1] = shown(loc[-1])
        elif item["type"] == "missing":
            fault, remedy = "is missing", "add it"
        elif item["type"] == "string_type":
            remedy = "put it in quotes"
        if fault[1:2].islower():
            fault = fault[:1].lower() + fault[1:]
        path = (prefix + ".".join(loc)).rstrip(".").removesuffix(":")
        problems.append(Problem(path, fault, remedy or _meaning(model, loc)))
    return problems


def _suggestion(model: type[BaseModel], loc: list[str]) -> str:
    """What was meant by an unknown key, if it is near a known one."""
    known = _fields(model, loc[:-1])[0]
    near = difflib.get_close_matches(loc[-1], known, 1)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"known here: {', '.join(sorted(known))}" if known else "remove it"


def _meaning(model: type[BaseModel], loc: list[str]) -> str:
    """What a setting is for, which says what belongs there."""
    description = _fields(model, loc)[1]
    return f"this is: {description}" if description else "see the section Settings in README.rst"


def _fields(model: type[BaseModel], loc: list[str]) -> tuple[list[str], str]:
    """The settings below a place in the file, and what the last known one on the way is for."""
    description = ""
    for part in loc:
        field = model.model_fields.get(part)
        if field is None:
            continue  # a name of the administrator's choice, as in `clients`
        description = field.description or ""
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                model = kind
    return list(model.model_fields), description


def _network(key: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(key, strict=False)
    except ValueError:
        return None
