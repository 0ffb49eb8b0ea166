"""Every example of settings on the pages is one that loads."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from radius_smsotp import providers
from radius_smsotp.settings import file
from radius_smsotp.settings.schema import Settings
from tests.documents import pages, reference
from tests.providers.plugged import plug_in

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = {"type": "folder", "path": "outbox"}

BLOCK = re.compile(r"(?m)^( *)\.\. code-block:: (?:yaml|json)\n\n((?:(?:\1 +.*)?\n)+)")

OTHERS = {"filebeat.inputs", "processors", "connection", "hosts", "transaction_id"}
"""What the files of Filebeat, ser2net, Ansible begin with, and a message of `folder`."""


def examples() -> Iterator[tuple[str, str]]:
    """Page and text of each."""
    for page in pages.PAGES[1:]:
        for _, text in BLOCK.findall((pages.TOP / page).read_text("utf-8")):
            yield page, textwrap.dedent(text)


EXAMPLES = list(examples())


def whole(page: str, text: str) -> dict[str, Any] | None:
    """A file of settings with an example in it; None if it is of something else."""
    said: Any = yaml.safe_load(text)
    keys = set(said[0] if isinstance(said, list) else said)
    if keys & OTHERS:
        return None
    base: dict[str, Any] = {"demo": FOLDER}
    if keys <= set(Settings.model_fields):
        named = [said.get("delivery", {}), *said.get("ways", {}).values()]
        orders = [one.get("order", ()) for one in named]
        orders += said.get("delivery", {}).get("prefixes", {}).values()
        base |= {name: FOLDER for order in orders for name in order}
        base |= said.get("providers") or {}
        return {**said, "providers": base}
    if "server" in keys:
        return {"smtp_servers": {"office": said}, "providers": base}
    kind = Path(page).stem if Path(page).stem in providers.TYPES else "http"
    own = {"type": kind, **said}
    if kind == "http":
        places = {} if "{phone" in text else {"sms_phonenumber_key": "to", "sms_text_key": "text"}
        own = {"url": "https://sms.example.org", **places, **own}
    if "SMTPIDENTIFIER" in keys:
        return {"smtp_servers": {"office": {"server": "mail.example.org"}}, "providers": {"x": own}}
    return {"providers": {"x": own}}


def told(value: Any) -> Any:
    """With something in the place of secrets that lie elsewhere, and of what is left out."""
    if isinstance(value, dict):
        if value and set(value) < {"file", "env", "credential"}:
            return "postgresql://smsotp@db/smsotp"
        if "…" in value:
            return FOLDER
        return {name: told(one) for name, one in value.items()}
    return [told(one) for one in value] if isinstance(value, list) else value


@pytest.fixture(autouse=True)
def own_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of "A provider of your own" is installed."""
    folder = pages.TOP / "docs" / "how-to" / "own-provider"
    plug_in(monkeypatch, "snpp", folder, "smsotp_snpp")


@pytest.mark.parametrize(("page", "text"), EXAMPLES, ids=[page for page, _ in EXAMPLES])
def test_an_example_loads(page: str, text: str, tmp_path: Path) -> None:
    settings = whole(page, text)
    if settings is not None:
        path = tmp_path / "smsotp.yaml"
        made = {name: told(one) if name != "audit" else one for name, one in settings.items()}
        path.write_text(yaml.safe_dump(made, allow_unicode=True), "utf-8")
        (tmp_path / "send-sms").touch(0o700)
        file.load(path)


NEEDED = {
    "http": {"url": "https://sms.example.org", "sms_phonenumber_key": "to", "sms_text_key": "text"},
    "modem": {"port": "/dev/ttyUSB0"},
    "sipgate": {"username": "YOUR-NAME", "password": "YOUR-PASSWORD"},
    "smpp": {"smsc_host": "smpp.example.org"},
    "script": {"script": "send-sms"},
    "folder": {"path": "outbox"},
    "smtp": {"mailto": "{phone}@sms.example.org", "mailserver": "mail.example.org"},
}
"""What each type has to be told."""

POSTED = {"http_method": "POST", "sms_phonenumber_key": None, "sms_text_key": None}

BESIDE: dict[str, dict[str, Any]] = {
    "body": POSTED,
    "body_ucs2": {**POSTED, "body": "<sms to={phone}>{message}</sms>"},
    "username": {"password": "YOUR-PASSWORD"},
    "password": {"username": "YOUR-NAME"},
    "mailuser": {"mailpassword": "YOUR-PASSWORD"},
    "mailpassword": {"mailuser": "otp"},
    "client_key": {"client_cert": "/etc/radius-smsotp/client.pem"},
    "identifier": {"mailserver": None},
}
"""What goes along with one setting alone."""


@pytest.mark.parametrize("kind", providers.TYPES)
def test_each_setting_of_a_provider_has_an_example_that_loads(kind: str, tmp_path: Path) -> None:
    """Its own, or what its range or its default shows."""
    (tmp_path / "send-sms").touch(0o700)
    examples = reference.provider_examples(kind)
    for name, span, default, _ in reference.rows(providers.module(kind).Settings):
        bare = name.strip("`")
        if name not in reference.COMMON and "``" not in span and default in reference.UNSHOWN:
            assert bare in examples, name
        if bare in examples:
            beside = BESIDE.get(bare, {}) if kind != "smpp" else {}
            one = {"type": kind, **NEEDED[kind], **beside, bare: examples[bare]}
            path = tmp_path / "smsotp.yaml"
            servers = {"office": {"server": "mail.example.org"}}
            whole_file = {"smtp_servers": servers, "providers": {"x": one}}
            path.write_text(yaml.safe_dump(whole_file), "utf-8")
            file.load(path)


def test_there_are_many() -> None:
    assert len(EXAMPLES) > 90
