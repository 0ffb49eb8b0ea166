"""Texts with placeholders, filled in without the reach of `str.format` into objects."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOKEN = re.compile(r"\{\{|\}\}|\{(\w+)\}")


def fill(template: str, values: Mapping[str, object]) -> str:
    """
    Replace ``{name}`` by `values`; a doubled brace stands for one.

    A name that `values` does not hold is left as it is: such a text comes from FreeRADIUS
    at the time of a login, when there is nobody to mend it.
    """

    def one(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return match[0][0]
        return str(values[name]) if name in values else match[0]

    return _TOKEN.sub(one, template)
