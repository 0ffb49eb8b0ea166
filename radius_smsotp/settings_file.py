"""
The YAML file read: frozen settings, or every error at once with its path.
"""

from __future__ import annotations

import difflib
import functools
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from radius_smsotp import providers
from radius_smsotp.core.model import LoginPolicy, Style
from radius_smsotp.errors import ConfigurationError, Problem
from radius_smsotp.providers import ProviderSettings
from radius_smsotp.settings import ClientSettings, Settings


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

    @functools.lru_cache(maxsize=1024)  # noqa: B019  # lives and dies with the settings
    def for_client(self, name: str, address: str) -> ClientPolicy:
        """What holds for a client: by short name, then by address, then by the longest prefix."""
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
    name = path.name
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506  # a SafeLoader
    except FileNotFoundError:
        remedy = f"make one with 'smsotp init {path.parent}', or name another with --config"
        raise ConfigurationError([Problem(str(path), "there is no such file", remedy)]) from None
    except OSError as error:
        fault = f"cannot be read ({error.strerror})"
        raise ConfigurationError([Problem(str(path), fault, "let this user read it")]) from None
    except UnicodeDecodeError:
        raise ConfigurationError([Problem(name, "is not UTF-8", "save it as UTF-8")]) from None
    except yaml.YAMLError as error:
        raise ConfigurationError([_yaml_problem(name, error)]) from None
    return _validate(path, raw)


def _validate(path: Path, raw: Any) -> Loaded:
    name = path.name
    if raw is None:
        raw = {}
    if not isinstance(raw, dict):
        fault = "holds no settings, but " + type(raw).__name__
        raise ConfigurationError([Problem(name, fault, "write 'name: value' lines")])
    problems: list[Problem] = []
    values = Settings()
    try:
        values = Settings.model_validate(raw)
    except ValidationError as error:
        problems += _problems(f"{name}: ", Settings, error)
    own, more = _load_providers(name, raw.get("providers"))
    problems += more
    if not problems:
        orders = {"delivery.order": values.delivery.order}
        for prefix, order in values.delivery.prefixes.items():
            orders[f"delivery.prefixes.{prefix}"] = order
        problems += [
            Problem(f"{name}: {path}", f"'{missing}' is not among the providers", "add it there")
            for path, order in orders.items()
            for missing in order
            if missing not in own
        ]
        problems += _smtp_problems(name, values)
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
        path = f"providers.{key}"
        if not re.fullmatch(r"[\w.-]+", str(key)):
            fault = "is no name for a provider"
            problems.append(Problem(f"{name}: {path}", fault, "use letters, digits, '.', '_', '-'"))
            continue
        kind = entry.get("type") if isinstance(entry, dict) else None
        choice = f"is not one of {', '.join(providers.TYPES)}"
        if kind is None:
            problems.append(
                Problem(
                    f"{name}: {path}.type",
                    "is missing",
                    f"write one of {', '.join(providers.TYPES)}",
                )
            )
        elif kind not in providers.TYPES:
            problems.append(Problem(f"{name}: {path}.type", f"'{kind}' {choice}"))
        else:
            settings_class = providers.module(kind).Settings
            try:
                own[str(key)] = settings_class.model_validate(entry)
            except ValidationError as error:
                problems += _problems(f"{name}: {path}.", settings_class, error)
    return own, problems


def _smtp_problems(name: str, values: Settings) -> list[Problem]:
    """Faults of ``smtp_servers``; the class that knows them is imported only if there are any."""
    if not values.smtp_servers:
        return []
    smtp = import_module("radius_smsotp.providers.smtp")
    try:
        smtp.validate_servers(values.smtp_servers)
    except ValidationError as error:
        return _problems(f"{name}: smtp_servers.", smtp.SmtpServer, error)
    return []


def _problems(prefix: str, model: type[BaseModel], error: ValidationError) -> list[Problem]:
    """pydantic's errors as ours."""
    problems = []
    for item in error.errors(include_input=False, include_url=False):
        loc = [str(part) for part in item["loc"]]
        path = (prefix + ".".join(loc)).rstrip(".").removesuffix(":")
        if item["type"] == "extra_forbidden":
            problems.append(Problem(path, "there is no such setting", _suggestion(model, loc)))
        elif item["type"] == "missing":
            problems.append(Problem(path, "is missing", "add it"))
        else:
            message = item["msg"].removeprefix("Value error, ")
            problems.append(Problem(path, message[:1].lower() + message[1:]))
    return problems


def _suggestion(model: type[BaseModel], loc: list[str]) -> str:
    """What was meant by an unknown key, if it is near a known one."""
    here: Any = model
    for part in loc[:-1]:
        field = here.model_fields.get(part) if hasattr(here, "model_fields") else None
        here = field.annotation if field else None
    known = list(getattr(here, "model_fields", {}))
    near = difflib.get_close_matches(loc[-1], known, 1)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"known here: {', '.join(sorted(known))}" if known else "remove it"


def _network(key: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(key, strict=False)
    except ValueError:
        return None


class _Loader(yaml.SafeLoader):
    """YAML without repeated keys, of which PyYAML silently keeps the last."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"'{key}' stands here twice", key_node.start_mark
            )
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def _yaml_problem(name: str, error: yaml.YAMLError) -> Problem:
    """Where the YAML breaks; PyYAML's own text would quote the line, which may hold a password."""
    mark = getattr(error, "problem_mark", None)
    where = f"{name}, line {mark.line + 1}, column {mark.column + 1}" if mark else name
    fault = getattr(error, "problem", None) or "is not YAML"
    return Problem(where, str(fault), "mend the line; indent with spaces, quote special characters")
