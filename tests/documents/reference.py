"""
The reference tables of the documents, made from the classes that the program reads.

    python -m tests.documents.reference            prints them
    python -m tests.documents.reference --write    puts them where their marks are
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import click
import yaml
from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from radius_smsotp import cli, providers
from radius_smsotp.cli import trace
from radius_smsotp.login.request import STEPS
from radius_smsotp.model import events
from radius_smsotp.providers.http.provider import TokenSettings
from radius_smsotp.providers.http.receiving import ReceiptSettings
from radius_smsotp.providers.smtp import provider
from radius_smsotp.radius.packets import ATTRIBUTES
from radius_smsotp.settings import policy
from radius_smsotp.settings.faults import ENDS
from radius_smsotp.settings.schema import ClientSettings, Settings, SsidSettings
from tests.documents import messages
from tests.documents.pages import PAGES, TOP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

Row = tuple[str, str, str, str]


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
    """Setting, range, default and meaning of every field, sections within sections."""
    for name, field in fields(model, prefix):
        yield f"``{name}``", span(field), default(field), told(field)


def choice(words: Sequence[Any]) -> str:
    """Any of them, as they are written."""
    literals = [f"``{str(one).lower() if isinstance(one, bool) else one}``" for one in words]
    return " or ".join(filter(None, (", ".join(literals[:-1]), literals[-1])))


def limits(field: FieldInfo) -> dict[str, Any]:
    """What bounds a value, by pydantic's names."""
    names = ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern")
    found = ((name, getattr(one, name, None)) for one in field.metadata for name in names)
    return {name: value for name, value in found if value is not None}


def span(field: FieldInfo) -> str:
    """What may stand there: the kind of value, and from where to where it goes."""
    kind, inside = field.annotation, get_args(field.annotation)
    if type(None) in inside:
        kind = next(one for one in inside if one is not type(None))
        inside = get_args(kind)
    bounds = limits(field)
    if get_origin(kind) is Literal:
        return choice(inside)
    if kind is bool:
        return choice((True, False))
    if kind in (int, float):
        told = "a whole number" if kind is int else "a number"
        if {"ge", "le"} <= bounds.keys():
            return f"{told} from {bounds['ge']:,} to {bounds['le']:,}"
        return told + "".join(
            f" {word} {bounds[name]:,}" for name, word in ENDS.items() if name in bounds
        )
    if "pattern" in bounds:
        return f"text of the form ``{bounds['pattern']}``"
    return KINDS.get(get_origin(kind) or kind, "text")


KINDS = {
    tuple: "a list",
    Mapping: "names, and what belongs to each",
    dict: "names, and what belongs to each",
    Path: "a path",
    SecretStr: "text, which is never shown",
}


def example(name: str, field: FieldInfo) -> str:
    """A line of YAML, with the first of its `examples`, else with its default."""
    value = field.examples[0] if field.examples else field.default
    value = str(value) if isinstance(value, Path) else value
    value = list(value) if isinstance(value, tuple) else value
    for part in reversed(name.split(".")):
        value = {part: value}
    shown = yaml.safe_dump(
        value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=10_000
    )
    return shown.strip()[1:-1]


def fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every field, sections within sections, by its path."""
    for name, field in model.model_fields.items():
        if (inner := section_class(field)) is None:
            yield f"{prefix}{name}", field
        else:
            yield from fields(inner, f"{prefix}{name}.")


def settings() -> str:
    """What stands in the file, section by section: what each is for, its range, and an example."""
    known = [one for one in fields(Settings) if one[0] != "clients"]
    known.sort(key=lambda one: one[0].partition(".")[0] if "." in one[0] else "")
    lines = []
    for section, found in groupby(
        known, key=lambda one: one[0].partition(".")[0] if "." in one[0] else ""
    ):
        title = "At the top of the file"
        if section:
            model = section_class(Settings.model_fields[section])
            assert model is not None
            says = (model.__doc__ or "").strip().rstrip(".").partition(";")[0]
            title = f"{section}: {says[:1].lower()}{says[1:]}"
        lines += [title, "-" * len(title), ""]
        for name, field in found:
            lines += [setting(name, field, example(name, field)), ""]
    return "\n".join(lines)


def setting(name: str, field: FieldInfo, shown: str) -> str:
    """One of them."""
    kind = span(field)
    usual = f"*{kind}*" if "``" not in kind else kind
    lines = [f".. confval:: {name}", "", f"   {told(field)}", ""]
    lines += [f"   {usual[:1]}{usual[1:]}; unless set: {default(field)}", ""]
    return "\n".join([*lines, "   .. code-block:: yaml", "", f"      {shown}"])


def table(head: tuple[str, ...], body: list[Any]) -> str:
    """A list-table, which needs no counting of columns."""
    widths = {5: "18 34 16 14 18", 4: "22 20 16 42", 3: "22 34 44", 2: "28 72"}[len(head)]
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


HEAD: Row = ("setting", "what it may be", "default", "meaning")


COMMON = {"``type``", "``timeout``", "``per_second``", "``price``"}
"""What all providers share; docs/explanation/providers.rst says it once."""


EXAMPLES: dict[str, Any] = {
    "arguments": ["--to", "{phone_digits}"],
    "body": "<sms to={phone}>{message}</sms>",
    "body_ucs2": "<sms to={phone} coding=2>{message}</sms>",
    "ca_file": "/etc/ssl/certs/ca-certificates.crt",
    "client_cert": "/etc/radius-smsotp/client.pem",
    "client_key": "/etc/radius-smsotp/client.key",
    "directory": "/usr/local/lib/sms",
    "environment": {"TEXT": "{message}"},
    "headers": {"Authorization": "Bearer YOUR-TOKEN"},
    "http_proxy": "http://proxy.example.org:3128",
    "https_proxy": "http://proxy.example.org:3128",
    "identifier": "office",
    "mailpassword": "YOUR-PASSWORD",
    "mailsender": "otp@example.org",
    "mailserver": "smtps://mail.example.org:465",
    "mailto": "{phone_digits}@sms.example.org",
    "mailuser": "otp",
    "message_id_json": "messages.0.id",
    "message_id_regex": "ID: (\\w+)",
    "parameter": {"to": "{phone}", "text": "{message}"},
    "parameter_ucs2": {"coding": 2},
    "password": "YOUR-PASSWORD",
    "path": "outbox",
    "pin": "0123",
    "port": "/dev/ttyUSB0",
    "proxy": "http://proxy.example.org:3128",
    "receipt": {"id": "message-id", "state": "status"},
    "regexp": "/^\\+49/0/",
    "return_busy": "THROTTLED",
    "return_busy_json": "messages.0.status = 1",
    "return_busy_regex": "^(429|THROTTLED)",
    "return_fail": "ERR",
    "return_fail_json": "errors",
    "return_fail_regex": "^ERR: \\d+",
    "return_success": "ID:",
    "return_success_json": "messages.0.status = 0",
    "return_success_regex": "^ID: \\w+",
    "s_addr": "Example",
    "s_addr_npi": 0,
    "s_addr_ton": 5,
    "script": "send-sms",
    "service_type": "OTP",
    "sms_phonenumber_key": "to",
    "sms_text_key": "text",
    "smsc": "+491710760000",
    "smsc_host": "smpp.example.org",
    "system_id": "YOUR-NAME",
    "system_type": "VMA",
    "tls": "starttls",
    "token": {
        "url": "https://id.example.org/token",
        "username": "YOUR-NAME",
        "password": "YOUR-PASSWORD",
    },
    "url": "https://sms.example.org/send",
    "username": "YOUR-NAME",
}
"""What a setting of a provider may look like whose default and range do not show it."""


UNSHOWN = {"none", "must be given"}
"""Defaults that show nothing."""


def provider_examples(kind: str) -> dict[str, Any]:
    """Setting to its example, for all that have one of their own."""
    known = providers.module(kind).Settings.model_fields
    return {
        name: EXAMPLES[name]
        for name, field in known.items()
        if name in EXAMPLES and default(field) in UNSHOWN
    }


def provider_table(kind: str) -> str:
    """The settings of one type of provider, without those that all share, each with an example."""
    model = providers.module(kind).Settings
    examples = provider_examples(kind)
    own = []
    for name, *cells, says in (row for row in rows(model) if row[0] not in COMMON):
        shown = examples.get(name.strip("`"))
        line = yaml.safe_dump(
            {name.strip("`"): shown}, default_flow_style=True, sort_keys=False, width=10_000
        )
        more = f"; as in ``{line.strip()[1:-1]}``" if shown is not None else ""
        own.append((name, *cells, f"{says}{more}"))
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


def commands(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command below a group, with its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def command_list() -> str:
    """All commands, by when they are called, each with what it is for."""
    lines = []
    for title, found in cli.SECTIONS.items():
        lines += [f"**{title}**", ""]
        for name, says in found.items():
            lines += [f":ref:`smsotp {name}`", f"    {sentence(says)}", ""]
    return "\n".join(lines)


def command_options(words: tuple[str, ...], command: click.Command) -> str:
    """How one is called: its words, what it is for, its options."""
    called = " ".join(("smsotp", *words))
    context = click.Context(command, info_name=called)
    title = called if len(words) > 1 else f"{called}, by its options"
    usage = " ".join(f"*{one}*" for one in command.collect_usage_pieces(context))
    says = (command.help or "").split("\n\n")[0].replace("\b", "")
    lines = [title, "-" * len(title), "", f"**{called}** {usage}", "", sentence(says), ""]
    lines += [f".. program:: {called}", ""]
    for option in command.get_params(context):
        record = option.get_help_record(context)
        if isinstance(option, click.Option) and record and "--help" not in option.opts:
            lines += [f".. option:: {record[0]}", "", f"   {sentence(record[1])}", ""]
    return "\n".join(lines)


def sentence(text: str) -> str:
    """A text for the terminal in reStructuredText: what is quoted there is a literal here."""
    text = re.sub(r"([*`|@\\])", r"\\\1", " ".join(text.split()))
    text = re.sub(r"'(smsotp [^']+|[a-z_.]+)'", r"``\1``", text)
    # Else it would be a link.
    return re.sub(r"https?://[\w/.-]*", r"``\g<0>``", text)


def message_list() -> str:
    """Whatever ``smsotp check`` and a settings file that does not work may lead to."""
    lines = []
    every = sorted(messages.found(), key=lambda one: list(messages.TOPICS).index(one[0]))
    for title, found in groupby(every, key=lambda one: one[0]):
        head = f"Messages: {title}"
        lines += [head, "-" * len(head), "", f"See {messages.TOPICS[title][1]}.", ""]
        for fault, remedy in dict.fromkeys((fault, remedy) for _, fault, remedy in found):
            helps = sentence(remedy) if remedy.strip("… ") else "the message says it"
            lines += [f"{sentence(fault)}", f"    {helps}", ""]
    return "\n".join(lines)


def remedy_table() -> str:
    """What ``smsotp trace`` says that helps."""
    body = []
    for key, remedy in trace.REMEDIES.items():
        kind, _, reason = key.partition(" ")
        meaning = events.REASONS.get(reason) or events.EAP_REASONS.get(reason)
        says = meaning or events.KINDS.get(kind, "") or "a limit is reached"
        told = re.sub(r"{(\w+)}", lambda one: one[1].upper(), remedy)
        body.append((f"``{key}``", sentence(says), sentence(told)))
    return table(("event and reason", "it says", "what helps"), body)


@functools.cache
def blocks() -> dict[str, str]:
    """Name of each mark in the documents to what stands there."""
    made = {
        "steps": step_table(),
        "attributes": attribute_table(),
        "settings": settings(),
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
    made["commands"] = command_list()
    made["messages"] = message_list()
    made["remedies"] = remedy_table()
    for name, found in groupby(commands(cli.smsotp), key=lambda one: one[0][0]):
        made[f"command {name}"] = "\n".join(command_options(*one) for one in found)
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
