"""
The request of provider ``http``: what the settings say, with number, text and code in place.

Pure: no I/O.  A placeholder is filled in once and escaped for the place where it stands;
everything else goes out as it was written, numbers as numbers, doubled braces as one.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus, urlencode, urlsplit, urlunsplit

from radius_smsotp.model.text import Alphabet, alphabet, fill, placeholders, shown
from radius_smsotp.providers.template import OF_TEXT, PLACEHOLDERS, checked

Tree = dict[str, Any] | list[Any]
"""What YAML and JSON make of nested parameters."""

# RFC 9110 5.6.2: token
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")

NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 2.2 does not allow in a document, escaped or not."""

TOKEN = "{token}"  # noqa: S105  # a placeholder
"""Where the setting `token` puts what it fetched."""


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
            checked_template(value, where)
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
        headers[name] = checked_template(str(content), name)
    return headers


def checked_template(template: str, where: str = "") -> str:
    """The same template.  Raises ValueError if it has an unknown placeholder."""
    checked(template.replace(TOKEN, ""), where)
    return template


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
    """
    A request with its placeholders, as the settings describe it.

    Attributes:
        body: What to send in place of `parameter`, as it is written.
        ucs2: What `parameter` is besides, for a text that needs UCS-2.
        body_ucs2: What to send in place of `body`, for such a text.
    """

    method: str
    url: str = field(repr=False)
    parameter: Tree = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    as_json: bool
    phone_key: str | None = None
    text_key: str | None = None
    body: str | None = field(default=None, repr=False)
    ucs2: Tree = field(default_factory=dict, repr=False)
    body_ucs2: str | None = field(default=None, repr=False)

    def tree(self) -> Tree:
        """The parameters, with those that `phone_key` and `text_key` name."""
        if isinstance(self.parameter, list):
            return self.parameter
        keys = {self.phone_key: "{phone}", self.text_key: "{message}"}
        # As in privacyIDEA, what is written out as a parameter wins.
        return {key: value for key, value in keys.items() if key} | self.parameter

    def carries(self) -> set[str]:
        """The names of the placeholders that this request has a place for."""
        return set().union(*map(placeholders, self._templates()))

    def _templates(self) -> Iterator[str]:
        split = urlsplit(self.url)
        yield from (split.path, split.query, *self.headers.values(), self.body or "")
        yield from (text for _, text in leaves(self.tree()) if isinstance(text, str))

    def request(self, given: Mapping[str, str]) -> Request:
        """Fill in what `template.values` gives of a message."""
        url = fill(self.url, {name: quote(value, safe="") for name, value in given.items()})
        tree, written = self.tree(), self.body
        if (self.ucs2 or self.body_ucs2) and self._needs_ucs2(given):
            tree, written = _merged(tree, self.ucs2), self.body_ucs2 or written
        tree = _filled(tree, given)
        body = content_type = None
        if written is not None:
            content_type = self.content_type()
            body = _raw(written, content_type, given)
        elif self.method == "GET":
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
        return Request(self.method, url, fields, body, given.get("phone", ""))

    def content_type(self) -> str:
        """Of `body`: that of the headers, or what it looks like."""
        for name, value in self.headers.items():
            if name.lower() == "content-type":
                return value
        body = (self.body or "").lstrip()
        if body.startswith("<"):
            return "text/xml; charset=utf-8"
        return "application/json" if body.startswith(("{{", "[")) else "text/plain; charset=utf-8"

    def _needs_ucs2(self, given: Mapping[str, str]) -> bool:
        plain = {**given, "message_hex": given["message"]}
        texts = (one for one in self._templates() if placeholders(one) & {*OF_TEXT})
        return any(alphabet(fill(one, plain)) is Alphabet.UCS2 for one in texts)


def _raw(body: str, content_type: str, given: Mapping[str, str]) -> bytes:
    """A body as it is written; what is filled in, escaped for what it is filled into."""
    kind = content_type.lower()
    escape = next((one for name, one in _ESCAPES.items() if name in kind), str)
    filled = fill(body, {name: escape(value) for name, value in given.items()})
    # In XML, references are right in whatever encoding its first line names (XML 1.0 4.1).
    return filled.encode("ascii", "xmlcharrefreplace") if "xml" in kind else filled.encode()


def _in_xml(value: str) -> str:
    escaped = html.escape(NO_XML.sub("", value))
    # XML 1.0 2.11 and 3.3.3: as they are, the ends of lines are read as others, or as blanks.
    return re.sub(r"[\t\n\r]", lambda found: f"&#{ord(found[0])};", escaped)


_ESCAPES: dict[str, Callable[[str], str]] = {
    "xml": _in_xml,
    "json": lambda value: json.dumps(value)[1:-1],
    "x-www-form-urlencoded": quote_plus,
}
"""By a part of the content type."""


def _merged(tree: Any, more: Any) -> Any:
    """A tree with another one laid over it: mappings by key, lists by position."""
    if isinstance(tree, dict) and isinstance(more, dict):
        return tree | {key: _merged(tree.get(key), value) for key, value in more.items()}
    if isinstance(tree, list) and isinstance(more, list):
        return [*map(_merged, tree, more), *tree[len(more) :], *more[len(tree) :]]
    return more


def _field_value(value: str) -> bytes:
    # RFC 9110 5.5: no line break may get into a field, or the rest would be read as another
    # field; other characters than ASCII travel as UTF-8 octets.
    return _CONTROL.sub(" ", value).strip().encode()


def _filled(value: Any, given: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        filled = fill(value, given)
        return int(filled) if value == "{phone_integer}" and filled.isdecimal() else filled
    if isinstance(value, dict):
        return {key: _filled(item, given) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, given) for item in value]
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
