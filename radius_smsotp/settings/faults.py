"""What is wrong in the settings file, told so that it can be mended: where, what, and how."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from radius_smsotp.errors import Problem
from radius_smsotp.model.text import shown
from radius_smsotp.settings import strict_yaml
from radius_smsotp.settings.strict_yaml import Place

OF_NUMBERS = ("int_", "float_", "greater_", "less_", "finite_")
"""How pydantic's types of errors begin that numbers have."""

OF_SECTIONS = {"dict_type", "mapping_type", "model_type"}
"""pydantic's types of errors where something else stands than settings of its own."""

NUMBER = re.compile(r"""["']?[-+]?[0-9][0-9.,_ ]{0,15}["']?""")
"""What is meant as one, and can be shown wherever one belongs."""

ENDS = {"ge": "of at least", "gt": "above", "le": "of at most", "lt": "below"}
"""Limits of numbers by the names that pydantic gives them."""

CLOSED = {"providers", "smtp_servers", "store"}
"""Sections whose words may be passwords."""

WORD = re.compile(r"""["']?[\w+.,@ -]{1,40}["']?""")
"""What can be shown elsewhere: less than a line of settings."""


@dataclass(frozen=True)
class Written:
    """The text of a settings file, to tell where in it something stands."""

    name: str
    text: str

    @cached_property
    def places(self) -> dict[str, Place]:
        """As `strict_yaml.places`, and each path in small letters too."""
        found = strict_yaml.places(self.text)
        return {path.lower(): at for path, at in found.items()} | found

    def place(self, setting: str) -> Place | None:
        """Of a setting, or of what it is in if it is not written."""
        parts = setting.split(".")
        paths = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
        found = (self.places.get(one) for path in paths for one in (path, path.lower()))
        return next(filter(None, found), None)

    def located(self, problems: Sequence[Problem]) -> list[Problem]:
        """
        Problems as they stand in the file, the first first.

        Args:
            problems: Their paths are those of settings; file, line and column come before them.
        """
        found = []
        for problem in problems:
            at = self.place(problem.path) or Place(0, 0)
            where = f"{self.name}, line {at.line}, column {at.column}" if at.line else self.name
            path = f"{where}: {problem.path}" if problem.path else where
            found.append((at.line, at.column, replace(problem, path=path)))
        return [one for *_, one in sorted(found, key=lambda entry: entry[:2])]

    def excerpt(self, setting: str, *, is_number: bool, is_section: bool) -> str:
        """The line of a setting, but for what may be a secret there; "" if it is not written."""
        at = self.places.get(setting) or self.places.get(setting.lower())
        if at is None or not re.fullmatch(r"[\w.-]+", name := setting.rpartition(".")[2]):
            return ""
        value = at.value or ""
        # A word in the place of a section may be meant as anything: a client's secret, say.
        is_open = setting.partition(".")[0] not in CLOSED and not is_section
        is_open = is_open and WORD.fullmatch(value) is not None
        told = value if is_open or (is_number and NUMBER.fullmatch(value)) else "…"
        return f"{at.line} | {name}: {told}"


def problems(
    written: Written, prefix: str, model: type[BaseModel], error: ValidationError
) -> Iterator[Problem]:
    """
    pydantic's errors as ours, each with the path of its setting.

    Args:
        prefix: Of all paths: where in the file `model` belongs, with a dot behind it.
    """
    for item in error.errors(include_input=False, include_url=False):
        # pydantic points at a key of a mapping by one part more.
        loc = [str(part) for part in item["loc"] if part != "[key]"]
        is_number = item["type"].startswith(OF_NUMBERS)
        is_section = item["type"] in OF_SECTIONS
        line = written.excerpt(prefix + ".".join(loc), is_number=is_number, is_section=is_section)
        fault, _, remedy = item["msg"].removeprefix("Value error, ").partition("; ")
        fault = re.sub("^Input should be", "has to be", fault)
        if item["type"] in {"extra_forbidden", "invalid_key"}:
            fault, line = "there is no such setting", ""
            remedy = _suggestion(written, prefix, model, loc)
            loc[-1] = shown(loc[-1])
        elif item["type"] == "missing":
            fault, remedy = "is missing", "add it"
        elif item["type"] == "string_type":
            remedy = "put it in quotes"
        elif is_number:
            value = line.rpartition(": ")[2]
            fault, remedy = _number(_field(model, loc)[1], value, fault)
        if fault[1:2].islower():
            fault = fault[:1].lower() + fault[1:]
        path = (prefix + ".".join(loc)).rstrip(".")
        yield Problem(path, fault, remedy or _meaning(_field(model, loc)[1]), line)


def _number(field: FieldInfo | None, value: str, fault: str) -> tuple[str, str]:
    """What a number has to be, what it is, and what to write if only that is wrong."""
    if field is None:
        return fault, ""
    kinds = (field.annotation, *get_args(field.annotation))
    limits = {type(one).__name__.lower(): one for one in field.metadata}
    ends = {
        name: getattr(one, name) for name, one in limits.items() if name in {"ge", "gt", "le", "lt"}
    }
    told = "a number" if float in kinds else "a whole number"
    if {"ge", "le"} <= ends.keys():
        told += f" from {ends['ge']:g} to {ends['le']:g}"
    else:
        told += "".join(f" {word} {ends[name]:g}" for name, word in ENDS.items() if name in ends)
    is_known = NUMBER.fullmatch(value)
    fraction = re.fullmatch(r"[0-9]+,[0-9]+", value)
    remedy = f"write {value.replace(',', '.')}" if fraction and float in kinds else ""
    return f"is {value}, and has to be {told}" if is_known else f"has to be {told}", remedy


def _suggestion(written: Written, prefix: str, model: type[BaseModel], loc: Sequence[str]) -> str:
    """What was meant by an unknown key: one like it here, or the same in another place."""
    if loc[-1].isdecimal():
        return "if it stands behind a comma, write that number with a point"
    known = list(_field(model, loc[:-1])[0].model_fields)
    near = difflib.get_close_matches(loc[-1], known, 1)
    if near:
        return f"did you mean '{near[0]}'?"
    if len(loc) == 1 and not prefix:
        homes = _homes(model, loc[0])
        if f"{loc[0]}.type" in written.places:
            homes = ["providers"]
        if homes:
            return f"indent it, so that it belongs to '{homes[0]}'"
    return f"known here: {', '.join(sorted(known))}" if known else "remove it"


def _homes(model: type[BaseModel], name: str) -> list[str]:
    """The sections at the top of the file that know a setting of this name."""
    sections = ((key, field.annotation) for key, field in model.model_fields.items())
    return [
        key
        for key, kind in sections
        if isinstance(kind, type) and issubclass(kind, BaseModel) and name in kind.model_fields
    ]


def _meaning(field: FieldInfo | None) -> str:
    """What a setting is for, which says what belongs there."""
    told = field.description if field else None
    return f"this is: {told}" if told else "see 'Settings' in docs/reference/settings.rst"


def _field(model: type[BaseModel], loc: Sequence[str]) -> tuple[type[BaseModel], FieldInfo | None]:
    """The settings below a place in the file, and the last known one on the way."""
    found: FieldInfo | None = None
    chosen = False
    for part in loc:
        field = None if chosen else model.model_fields.get(part)
        chosen = False
        if field is None:
            continue  # a name of the administrator's choice, as in `clients`
        found = field
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                model = kind
                chosen = get_origin(field.annotation) is Mapping
    return model, found
