"""
The reference tables of the documents, made from the classes that the program reads.

    python -m tests.documents.reference            prints them
    python -m tests.documents.reference --write    puts them where their marks are
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from radius_smsotp import providers
from radius_smsotp.login.request import STEPS
from radius_smsotp.model import events
from radius_smsotp.providers.http.provider import TokenSettings
from radius_smsotp.providers.http.receiving import ReceiptSettings
from radius_smsotp.providers.smtp import provider
from radius_smsotp.radius.packets import ATTRIBUTES
from radius_smsotp.settings import policy
from radius_smsotp.settings.schema import ClientSettings, Settings, SsidSettings
from tests.documents.pages import PAGES, TOP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

Row = tuple[str, str, str]


def section_class(field: FieldInfo) -> type[BaseModel] | None:
    """The class of a field that is a section of its own."""
    found = field.annotation
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def default(field: FieldInfo) -> str:
    """A field's default, as it is written in YAML."""
    if field.default_factory is not None:
        return "none"
    value: Any = field.default
    if value is PydanticUndefined:
        return "must be given"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None or value in ((), {}, ""):
        return "none"
    if isinstance(value, bool):
        return f"``{str(value).lower()}``"
    # Blanks at the end of a prompt belong to it; literals of reStructuredText cannot end so.
    return f"``{str(value).strip()}``"


def told(field: FieldInfo) -> str:
    """What a setting means; what stands in backticks there is a literal here."""
    return re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", field.description or "")


def rows(model: type[BaseModel], prefix: str = "") -> Iterator[Row]:
    """Setting, default and meaning of every field, sections within sections."""
    for name, field in model.model_fields.items():
        inner = section_class(field)
        if inner is None:
            yield f"``{prefix}{name}``", default(field), told(field)
        else:
            yield from rows(inner, f"{prefix}{name}.")


def table(head: tuple[str, ...], body: list[Any]) -> str:
    """A list-table, which needs no counting of columns."""
    widths = {5: "18 34 16 14 18", 3: "28 22 50", 2: "28 72"}[len(head)]
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for row in [head, *body]:
        for mark, cell in zip(["* -"] + ["  -"] * len(row), row, strict=False):
            lines.append(f"   {mark} {cell}".rstrip())
    return "\n".join(lines) + "\n"


def client_rows() -> list[tuple[str, str]]:
    """What a client may have of its own, and where the same stands for all."""
    written = Settings.model_validate(Settings().model_dump())
    places = {
        name: one.source.removesuffix(f".{'.'.join(inner)}")
        for (name, *inner), one in policy.settings(written).items()
    }
    own = [(f"``{name}``", f"as ``{place}``") for name, place in sorted(places.items())]
    beyond = ClientSettings.model_fields.keys() - SsidSettings.model_fields.keys()
    alone = [(f"``{name}``", told(ClientSettings.model_fields[name])) for name in sorted(beyond)]
    return [*own, *alone]


HEAD: Row = ("setting", "default", "meaning")


COMMON = {"``type``", "``timeout``", "``per_second``", "``price``"}
"""What all providers share; docs/explanation/providers.rst says it once."""


def provider_table(kind: str) -> str:
    """The settings of one type of provider, without those that all share."""
    model = providers.module(kind).Settings
    own = [row for row in rows(model) if row[0] not in COMMON]
    return table(HEAD, own)


def step_table() -> str:
    """What may come in a login, and what it leads to."""
    head = ("``SMSOTP-Step``", "what came", "set in", "``authenticate``", "Post-Auth-Type REJECT")
    body = []
    for step, one in STEPS.items():
        set_in = " ".join(f"``{section}``" for section in one.set_in.split())
        calls = [f"``{name}``" if name else "" for name in (one.right, one.wrong)]
        body.append(
            (f"``{step.value}``", one.came, set_in, calls[0] or "refused", calls[1] or "nothing")
        )
    return table(head, body)


def attribute_table() -> str:
    """What the policy and the hooks tell each other."""
    head = ("attribute", "meaning", "list", "set by", "read by")
    rows = ATTRIBUTES.items()
    return table(head, [(f"``{n}``", a.says, a.place, a.set_by, a.read_by) for n, a in rows])


def blocks() -> dict[str, str]:
    """Name of each mark in the documents to what stands there."""
    made = {
        "steps": step_table(),
        "attributes": attribute_table(),
        "settings": table(HEAD, sorted(row for row in rows(Settings) if row[0] != "``clients``")),
        "clients": table(("setting", "meaning"), client_rows()),
        "token": table(HEAD, list(rows(TokenSettings))),
        "receipt": table(HEAD, list(rows(ReceiptSettings))),
        "smtp_servers": table(HEAD, list(rows(provider.SmtpServer))),
        "events": table(("event", "meaning"), [(f"``{k}``", v) for k, v in events.KINDS.items()]),
        "reasons": table(
            ("reason", "meaning"), [(f"``{k}``", v) for k, v in events.REASONS.items()]
        ),
    }
    made["eap reasons"] = table(
        ("reason", "meaning"), [(f"``{k}``", v) for k, v in events.EAP_REASONS.items()]
    )
    return made | {f"provider {kind}": provider_table(kind) for kind in providers.TYPES}


def filled(text: str) -> str:
    """A document with every block of it as it is now."""
    for name, block in blocks().items():
        begin, end = f".. begin {name}\n", f".. end {name}\n"
        before, found, rest = text.partition(begin)
        if found:
            text = f"{before}{begin}\n{block}\n{end}{rest.partition(end)[2]}"
    return text


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        for page in PAGES:
            text = (TOP / page).read_text(encoding="utf-8")
            (TOP / page).write_text(filled(text), encoding="utf-8")
    else:
        print("\n".join(blocks().values()))
