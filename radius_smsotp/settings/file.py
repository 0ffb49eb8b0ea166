"""
The YAML file read: frozen settings, or every error at once with its path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from radius_smsotp import providers
from radius_smsotp.errors import ConfigurationError, Problem
from radius_smsotp.model import ways
from radius_smsotp.model.records import SMS
from radius_smsotp.model.text import shown
from radius_smsotp.providers import ProviderSettings, privacyidea
from radius_smsotp.settings import faults, languages, policy, strict_yaml
from radius_smsotp.settings.faults import Written
from radius_smsotp.settings.policy import ClientPolicy
from radius_smsotp.settings.references import References
from radius_smsotp.settings.schema import DeliverySettings, Settings, network
from radius_smsotp.settings.ways import WaySettings

SMTP = "radius_smsotp.providers.smtp.provider"
"""Imported only where it is needed: it brings smtplib along."""

POLICIES_MOST = 1024
"""Clients and SSIDs whose policy is kept: a whole network may be one entry in `clients`."""


@dataclass(frozen=True, eq=False)
class Loaded:
    """
    Settings that were read, with the place they came from.

    Attributes:
        providers: Name to settings of its own class, in the order of the file.
        written: The text, with its passwords.
        secret_files: What secrets were read from: see `settings.references`.
        understood: By name of a provider, what its settings were taken to mean.
    """

    path: Path
    written: Written = field(repr=False)
    values: Settings
    providers: Mapping[str, ProviderSettings]
    secret_files: tuple[Path, ...] = ()
    understood: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def key_path(self) -> Path:
        """The key file; a relative path counts from the settings file."""
        return self.path.parent / self.values.key_file

    @property
    def store_url(self) -> str:
        """The store, with an absolute path."""
        return absolute_store(self.values.store, self.path.parent)

    @property
    def named_files(self) -> list[Path]:
        """What the settings name, and is there: secrets, certificates, programs of providers."""
        sections: list[tuple[Path, BaseModel]] = [
            (getattr(one, "directory", Path()), one) for one in self.providers.values()
        ]
        if self.values.smtp_servers:
            smtp = import_module(SMTP)
            servers = smtp.validate_servers(self.values.smtp_servers)
            sections += [(Path(), one) for one in servers.values()]
        named = [
            self.path.parent / folder / value
            for folder, section in sections
            for name in type(section).model_fields
            if isinstance(value := getattr(section, name), Path)
        ]
        return [one for one in dict.fromkeys([*self.secret_files, *named]) if one.is_file()]

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The providers of SMS in the order in which they are tried."""
        others = {name for way in self.values.ways.values() for name in way.order}
        # Where all of them carry another way, one of them carries SMS too.
        own = tuple(name for name in self.providers if name not in others)
        return self.values.delivery.order or own or tuple(self.providers)

    @property
    def prices(self) -> dict[str, float]:
        """What one message costs at each provider whose price is set."""
        known = ((name, one.price) for name, one in self.providers.items())
        return {name: price for name, price in known if price is not None}

    @cached_property
    def way_kinds(self) -> dict[str, ways.Kind]:
        """The words of other ways, each with the kind of its address."""
        return {word: way.address for word, way in self.values.ways.items()}

    def route(self, phone: str, way: str = SMS) -> tuple[str, ...]:
        """The providers for a number (E.164): of its longest prefix, else `order`; or of a way."""
        if way in self.values.ways and (own := self.values.ways[way].order):
            return own
        prefixes = self.values.delivery.prefixes
        longest = max((one for one in prefixes if phone.startswith(one)), key=len, default=None)
        return self.order if longest is None else prefixes[longest]

    @cached_property
    def languages(self) -> frozenset[str]:
        """The languages that there are texts in."""
        return frozenset((*languages.FILES, *self.values.languages))

    def place(self, setting: str) -> str:
        """Where a setting stands: file, line (of what it is in, if it is not written), path."""
        at = self.written.place(setting)
        where = self.path.name if at is None else f"{self.path.name}, line {at.line}"
        return f"{where}: {setting}"

    def for_client(
        self, name: str, address: str, ssid: str = "", language: str = ""
    ) -> ClientPolicy:
        """What holds for a client and SSID, in a language if one is given."""
        return self._policy(name, address, ssid, language)

    @cached_property
    def _policy(self) -> Callable[[str, str, str, str], ClientPolicy]:
        return lru_cache(POLICIES_MOST)(partial(policy.policy, self.values))


def absolute_store(url: str, folder: Path) -> str:
    """A store whose path, if it is not absolute, counts from a folder."""
    scheme, _, path = url.partition(":///")
    return f"sqlite:///{(folder / path).absolute()}" if scheme == "sqlite" and path else url


def load(path: Path) -> Loaded:
    """
    Read the file.

    Raises:
        ConfigurationError: With every problem, its path, and what to do.
    """
    return understand(path, strict_yaml.read(path))


def understand(path: Path, text: str) -> Loaded:
    """
    Read a text as if it stood in the file `path`.

    Raises:
        ConfigurationError: As `load`.
    """
    name = path.name
    raw = strict_yaml.parse(text, name)
    if raw is None:
        raw = {}
    if not isinstance(raw, dict):
        fault = "holds no settings, but " + type(raw).__name__
        raise ConfigurationError([Problem(name, fault, "write 'name: value' lines")])
    written = Written(name, text)
    references = References(path.absolute().parent)
    raw = references.filled(raw)
    if isinstance(raw.get("providers"), dict):
        raw["providers"] = privacyidea.gateways(raw["providers"])
    own, understood, problems = _load_providers(written, raw.get("providers"))
    values = Settings()
    try:
        values = Settings.model_validate(raw)
    except ValidationError as error:
        problems += faults.problems(written, "", Settings, error)
    problems += _order_problems(raw.get("delivery", {}), raw.get("providers"), values.ways)
    problems += _smtp_problems(written, raw.get("smtp_servers"))
    files = tuple(references.files)
    loaded = Loaded(path.absolute(), written, values, own, files, understood)
    problems += _language_problems(loaded)
    problems += _trigger_problems(loaded)
    problems += _receipt_problems(loaded)
    problems += _way_problems(loaded, raw.get("providers"))
    unread = {one.path: one for one in references.problems}
    problems = [one for one in problems if one.path not in unread] + list(unread.values())
    if problems:
        raise ConfigurationError(written.located(problems))
    return loaded


def _load_providers(
    written: Written, raw: Any
) -> tuple[dict[str, ProviderSettings], dict[str, list[str]], list[Problem]]:
    """Read the section ``providers``, each entry with the class of its type."""
    own: dict[str, ProviderSettings] = {}
    understood: dict[str, list[str]] = {}
    problems: list[Problem] = []
    if not raw:
        fault, remedy = "there is none", "name one, as 'demo: {type: folder, path: outbox}'"
        return own, understood, [Problem("providers", fault, remedy)]
    for key, given in raw.items() if isinstance(raw, dict) else ():
        path = f"providers.{shown(key)}"
        if not re.fullmatch(r"[\w.-]+", str(key)):
            fault = "is no name for a provider"
            problems.append(Problem(path, fault, "use letters, digits, '.', '_', '-'"))
            continue
        if not isinstance(given, dict):
            fault = "is empty" if given is None else "belongs to no provider"
            remedy = (
                "indent what belongs to a provider below its name, as 'demo: {type: folder, …}'"
            )
            problems.append(Problem(path, fault, remedy))
            continue
        entry, understood[str(key)] = privacyidea.understood(given)
        kind = providers.kind(entry)
        try:
            settings_class = providers.module(kind).Settings
        except KeyError:
            choice = f"one of {', '.join(providers.types())}"
            fault, remedy = "is missing", f"write {choice}"
            if isinstance(kind, str):
                fault, remedy = f"'{shown(kind)}' is not {choice}", ""
            problems.append(Problem(f"{path}.type", fault, remedy))
        except providers.BrokenTypeError as error:
            remedy = "install a version of it that works with this one"
            problems.append(Problem(f"{path}.type", f"'{shown(kind)}': {error}", remedy))
        else:
            named = {word: value for word, value in entry.items() if str(word).lower() != "type"}
            try:
                own[str(key)] = settings_class.model_validate({"type": kind, **named})
            except ValidationError as error:
                problems += faults.problems(written, f"{path}.", settings_class, error)
    return own, understood, problems


def _order_problems(raw: Any, named: Any, others: Mapping[str, WaySettings]) -> list[Problem]:
    """Providers that ``delivery`` and ``ways`` speak of and ``providers`` does not."""
    try:
        delivery = DeliverySettings.model_validate(raw)
    except ValidationError:
        return []  # said already
    orders = {"delivery.order": delivery.order}
    orders |= {f"delivery.prefixes.{key}": order for key, order in delivery.prefixes.items()}
    orders |= {f"ways.{word}.order": way.order for word, way in others.items()}
    return [
        Problem(path, f"'{shown(missing)}' is not among the providers", "add it there")
        for path, order in orders.items()
        for missing in order
        if missing not in (named or ())
    ]


def _language_problems(loaded: Loaded) -> list[Problem]:
    """Languages that are named and that there are no texts in."""
    named = {"language": loaded.values.language}
    named |= {
        f"{path}.language": own.language
        for path, own in policy.scopes(loaded.values)
        if "language" in own.model_fields_set
    }
    known = loaded.languages
    remedy = f"add it to 'languages', or take one of {', '.join(sorted(known))}"
    return [
        Problem(path, f"there are no texts in '{shown(tag)}'", remedy)
        for path, tag in named.items()
        if tag not in known
    ]


def _way_problems(loaded: Loaded, raw: Any) -> list[Problem]:
    """Providers that carry mails to the user where numbers are, and the other way round."""
    entries = raw if isinstance(raw, dict) else {}
    named = {str(name): str(entry) for name, entry in entries.items()}
    mails = {name for name in loaded.providers if re.search("[{<]email[}>]", named[name])}
    # A folder takes whatever there is.
    both = {name for name, one in loaded.providers.items() if one.type == "folder"}
    ways_of = {f"ways.{word}": way for word, way in loaded.values.ways.items()}
    routes = {
        path: ("email", way.order) if way.address == "email" else ("phone", way.order)
        for path, way in ways_of.items()
    }
    if loaded.values.ways or mails:
        routes["delivery"] = ("phone", loaded.order)
    problems = []
    for path, (kind, order) in routes.items():
        for name in (one for one in order if one in loaded.providers):
            if kind == "email" and name not in mails | both:
                fault, remedy = f"'{name}' has no place for the address", "write {email} there"
                problems.append(Problem(f"{path}.order", fault, remedy))
            elif kind == "phone" and name in mails:
                fault, remedy = f"'{name}' sends to {{email}}", "name it in `ways`, and not for SMS"
                problems.append(Problem(f"{path}.order", fault, remedy))
    return problems


def _trigger_problems(loaded: Loaded) -> list[Problem]:
    """Networks that are said to check the first factor themselves."""
    fault, remedy = "is for one client", "name that by its short name in clients.conf"
    return [
        Problem(f"clients.{key}.{policy.TRIGGERS}", fault, remedy)
        for key, own in loaded.values.clients.items()
        if own.first_factor_by_client and network(key) is not None
    ]


def _receipt_problems(loaded: Loaded) -> list[Problem]:
    """Providers that tell a gateway where to send receipts, and nobody says where."""
    fault = "{receipt_url} stands for what receiver.url says, which is not set"
    remedy = "set it; see 'Receipts' in docs/how-to/receipts.rst"
    return [
        Problem(f"providers.{name}", fault, remedy)
        for name, own in loaded.providers.items()
        if own.asks_for_receipts() and not loaded.values.receiver.address
    ]


def _smtp_problems(written: Written, raw: Any) -> list[Problem]:
    """Faults of ``smtp_servers``; the class that knows them is imported only if there are any."""
    if not raw or not isinstance(raw, dict):
        return []
    smtp = import_module(SMTP)
    try:
        smtp.validate_servers(raw)
    except ValidationError as error:
        return list(faults.problems(written, "smtp_servers.", smtp.SmtpServer, error))
    return []
