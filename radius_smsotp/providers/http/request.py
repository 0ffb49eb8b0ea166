"""
The request of provider ``http``: what the settings say, with number, text and code in place.

Pure: no I/O.  A placeholder is filled in once and escaped for the place where it stands;
everything else goes out as it was written, numbers as numbers, doubled braces as one.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from radius_smsotp.model.text import fill, placeholders, shown
from radius_smsotp.providers import Message
from radius_smsotp.providers.template import PLACEHOLDERS, checked, values

Tree = dict[str, Any] | list[Any]
"""What YAML and JSON make of nested parameters."""

# RFC 9110 5.6.2: token
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


def leaves(value: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Everything in `value` that holds nothing else, with its dotted path."""
    if isinstance(value, dict | list):
        steps = value.items() if isinstance(value, dict) else enumerate(value)
        for step, item in steps:
            yield from leaves(item, f"{where}.{step}" if where else str(step))
    else:
        yield where, value


def checked_parameter(parameter: Any) -> Any:
    """
    Look through nested parameters before they are used.

    Raises:
        ValueError: a placeholder misspelt or without quotes, a key that is not text, or a value
            that has no place in JSON, such as a date.
    """
    if not isinstance(parameter, dict | list):
        raise ValueError("is not a mapping; write NAME: VALUE")  # noqa: TRY004 -- for pydantic
    _check_mappings(parameter)
    for where, value in leaves(parameter):
        if isinstance(value, str):
            checked(value, where)
        elif isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{where} is not a finite number; write it in quotes")
        elif not isinstance(value, bool | int | float | None):
            kind = type(value).__name__
            raise ValueError(f"{where} is a {kind}; write it in quotes to send it as text")
    return parameter


def _check_mappings(value: Any, where: str = "") -> None:
    if not isinstance(value, dict | list):
        return
    if isinstance(value, dict) and [*value.values()] == [None] and {*value} <= {*PLACEHOLDERS}:
        # YAML reads {phone} as a mapping with one key and no value.
        raise ValueError(f"{where or 'it'} is {{{next(iter(value))}}} without quotes; add them")
    for step, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(value, dict) and not isinstance(step, str):
            raise ValueError(f"the key {step!r} is not text; write it in quotes")  # noqa: TRY004 -- for pydantic
        _check_mappings(item, f"{where}.{step}" if where else str(step))


def checked_headers(value: Any) -> dict[str, str]:
    """Header fields as texts.  Raises ValueError if one cannot be sent as it is written."""
    if not isinstance(value, dict):
        raise ValueError("is not a mapping of header names to values; write NAME: VALUE")  # noqa: TRY004 -- for pydantic
    headers: dict[str, str] = {}
    for name, content in value.items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise ValueError(f"'{shown(name)}' is no header name (RFC 9110 5.6.2)")
        if name.lower() in {"content-length", "transfer-encoding"}:
            raise ValueError(f"{name} is computed from the request; leave it out")
        if isinstance(content, bool) or not isinstance(content, str | int | float):
            raise ValueError(f"the value of {name} is not text; write it in quotes")  # noqa: TRY004 -- for pydantic
        if _CONTROL.search(str(content)):
            raise ValueError(f"the value of {name} has a line break; write it in one line")
        headers[name] = checked(str(content), name)
    return headers


@dataclass(frozen=True, slots=True)
class Request:
    """One request, ready to be sent.  `number` is the phone number as it stands in it."""

    method: str
    url: str = field(repr=False)
    headers: dict[str, bytes] = field(repr=False)
    body: bytes | None = field(repr=False)
    number: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Template:
    """A request with its placeholders, as the settings describe it."""

    method: str
    url: str = field(repr=False)
    parameter: Tree = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    as_json: bool
    phone_key: str | None
    text_key: str | None
    regexp: str | None

    def tree(self) -> Tree:
        """The parameters, with those that `phone_key` and `text_key` name."""
        if isinstance(self.parameter, list):
            return self.parameter
        keys = {self.phone_key: "{phone}", self.text_key: "{message}"}
        # As in privacyIDEA, what is written out as a parameter wins.
        return {key: value for key, value in keys.items() if key} | self.parameter

    def carries(self) -> set[str]:
        """The names of the placeholders that this request has a place for."""
        split = urlsplit(self.url)
        places = [split.path, split.query, *self.headers.values()]
        places += [text for _, text in leaves(self.tree()) if isinstance(text, str)]
        return set().union(*map(placeholders, places))

    def request(self, message: Message) -> Request:
        """Fill in one message."""
        given = values(message, self.regexp)
        url = fill(self.url, {name: quote(value, safe="") for name, value in given.items()})
        tree = _filled(self.tree(), given)
        body = content_type = None
        if self.method == "GET":
            split = urlsplit(url)
            query = filter(None, (split.query, urlencode(_pairs(tree), quote_via=quote)))
            url = urlunsplit(split._replace(query="&".join(query)))
        elif self.as_json:
            body, content_type = json.dumps(tree).encode(), "application/json"
        else:
            body = urlencode(_pairs(tree)).encode()
            content_type = "application/x-www-form-urlencoded"
        headers = {name: fill(value, given) for name, value in self.headers.items()}
        if content_type and "content-type" not in map(str.lower, self.headers):
            headers["Content-Type"] = content_type
        fields = {name: _field_value(value) for name, value in headers.items()}
        return Request(self.method, url, fields, body, given["phone"])


def _field_value(value: str) -> bytes:
    # RFC 9110 5.5: no line break may get into a field, or the rest would be read as another
    # field; other characters than ASCII travel as UTF-8 octets.
    return _CONTROL.sub(" ", value).strip().encode()


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return fill(value, values)
    if isinstance(value, dict):
        return {key: _filled(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, values) for item in value]
    return value


def _pairs(tree: Tree) -> list[tuple[str, str]]:
    """Nested parameters as form fields: ``a=1``, ``a=1&a=2``, ``a[b]=1``, ``a[0][b]=1``."""
    pairs: list[tuple[str, str]] = []

    def add(name: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                add(f"{name}[{key}]" if name else key, item)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                add(f"{name}[{index}]" if isinstance(item, dict | list) else name, item)
        elif isinstance(value, bool):
            pairs.append((name, str(value).lower()))
        elif value is not None:
            pairs.append((name, str(value)))

    add("", tree)
    return pairs
