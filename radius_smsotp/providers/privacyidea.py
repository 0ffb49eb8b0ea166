"""
What users of privacyIDEA paste: read as privacyIDEA reads it, and told how.

It knows three forms: the JSON of its old versions, with ``PARAMETER``; the options of a gateway, in
which whatever is no setting is a parameter of the request; and the object that it exports, with
these options in it.  Source: HttpSMSProvider.py and SMSProvider.py in privacyidea/lib/smsprovider.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from radius_smsotp.model.text import placeholders, shown
from radius_smsotp.providers import TYPES, kind, module, types
from radius_smsotp.providers.template import OF_NUMBER, OF_TEXT

KEYS = {"sms_phonenumber_key": ("phone", OF_NUMBER), "sms_text_key": ("sms", OF_TEXT)}
"""Settings that name a parameter: its default name, and the placeholders that stand for it."""

OF_GATEWAYS = {"auth", "body", "password", "proxy", "receipt", "token", "url", "username"}
"""Settings of ours that privacyIDEA writes in capitals or does not have: in small letters, among
its options, and with a plain value, they are a gateway's parameters."""

OF_AN_EXPORT = {"description", "headers", "id", "identifier", "name", "options", "providermodule"}


def gateways(entries: Mapping[Any, Any]) -> dict[Any, Any]:
    """The section ``providers``, with what is in ``smsgateway``, as a whole export has it."""
    found: dict[Any, Any] = {}
    for name, entry in entries.items():
        inner = list(entry.values()) if isinstance(entry, Mapping) else []
        is_export = inner and all(isinstance(one, Mapping) and "options" in one for one in inner)
        found |= entry if is_export else {name: entry}
    return found


def understood(entry: Mapping[Any, Any]) -> tuple[dict[Any, Any], list[str]]:
    """
    The settings of one provider, in our form.

    Returns:
        Them, and sentences for the administrator about what is not written there, but meant.
    """
    found = _unpacked(entry)
    notes: list[str] = []
    is_theirs = "URL" in found
    if is_theirs and (kind(found) == "http" or not _is_type(found.get("type"))):
        found = _with_parameters(found, notes)
        found = _with_keys(found, notes)
        if any(placeholders(one) & {"otp"} for one in _texts(found)):
            notes.append(
                "{otp} is the code alone; {message} is the whole text, which it may be there"
            )
    if any(_is_proxy(name) and _is_https(value) for name, value in found.items()):
        notes.append(
            "https:// before a proxy says what goes through it; the proxy itself is spoken to "
            "without TLS"
        )
    return found, notes


def _is_proxy(name: Any) -> bool:
    return str(name).lower() in {"proxy", "http_proxy", "https_proxy"}


def _is_https(value: Any) -> bool:
    return isinstance(value, str) and value.lower().startswith("https://")


def _unpacked(entry: Mapping[Any, Any]) -> dict[Any, Any]:
    """The options of an export, with its headers and its type; anything else as it is."""
    options = entry.get("options")
    if not isinstance(options, Mapping):
        return {**entry}
    found = {name: value for name, value in entry.items() if name not in OF_AN_EXPORT} | {**options}
    if entry.get("headers"):
        found["HEADERS"] = entry["headers"]
    # privacyidea.lib.smsprovider.HttpSMSProvider.HttpSMSProvider
    name = str(entry.get("providermodule", "")).rpartition(".")[2].lower()
    kind = name.removesuffix("provider").removesuffix("sms")
    if kind and "type" not in found:
        found["type"] = kind
    return found


def _with_parameters(entry: dict[Any, Any], notes: list[str]) -> dict[Any, Any]:
    """Options that are no settings, under ``parameter``."""
    if any(str(name).lower() == "parameter" for name in entry):
        return entry
    known = set(module("http").Settings.model_fields)
    given = {name: value for name, value in entry.items() if not _is_setting(name, value, known)}
    if not given:
        return entry
    found = {name: value for name, value in entry.items() if name not in given}
    as_json = str(entry.get("SEND_DATA_AS_JSON")).lower() in {"yes", "true", "1"}
    found["parameter"] = {
        name: _from_json(value) if as_json else value for name, value in given.items()
    }
    names = sorted(shown(name) for name in given)
    many = f"{', '.join(names[:-1])} and {names[-1]} are" if names[1:] else f"{names[0]} is"
    notes.append(f"{many} sent as parameters, as privacyIDEA does with what is no setting")
    return {"type": "http"} | found


def _is_type(value: Any) -> bool:
    # Who writes one of ours need not look at every package.
    return value in TYPES or value in types()


def _is_setting(name: Any, value: Any, known: set[str]) -> bool:
    """Whether an option is one of ours, or meant to be."""
    word = str(name)
    if word == "type":
        return _is_type(value)
    if word in OF_GATEWAYS:
        return isinstance(value, Mapping)
    if word.lower() in known:
        return True
    # RETRUN_SUCCESS would go out as a parameter, and nobody would look for what it names.
    return word.isupper() and bool(difflib.get_close_matches(word.lower(), known, 1, 0.8))


def _from_json(value: Any) -> Any:
    """A list that is written as text, as a form of the web interface takes it."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _with_keys(entry: dict[Any, Any], notes: list[str]) -> dict[Any, Any]:
    """Names for number and text, where they stand nowhere."""
    given = {str(name).lower() for name, value in entry.items() if value not in (None, "")}
    used = set().union(*map(placeholders, _texts(entry)))
    for key, (default, names) in KEYS.items():
        if key not in given and not used & {*names}:
            what = "number" if names == OF_NUMBER else "text"
            notes.append(f"the {what} is sent as {default}, as privacyIDEA does; else set {key}")
            entry = {**entry, key: default}
    return entry


def _texts(value: Any) -> Iterator[str]:
    """Every text in a tree."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
