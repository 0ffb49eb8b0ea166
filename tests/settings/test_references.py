"""Secrets that the settings only name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.errors import ConfigurationError
from radius_smsotp.settings.file import Loaded, load

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "s3cret-Passw0rd"
FOLDER = {"type": "folder", "path": "outbox"}
SMPP = {"type": "smpp", "smsc_host": "127.0.0.1", "system_id": "me", "password": {"env": "WORD"}}


def read(folder: Path, **sections: Any) -> Loaded:
    """Settings with these sections."""
    path = folder / "smsotp.yaml"
    path.write_text(json.dumps({"providers": {"demo": FOLDER}} | sections))
    return load(path)


def faults(folder: Path, **sections: Any) -> list[str]:
    """What is wrong with them, each behind its place."""
    with pytest.raises(ConfigurationError) as caught:
        read(folder, **sections)
    assert SECRET not in repr(caught.value.problems)
    return [str(one).partition(": ")[2] for one in caught.value.problems]


def http(**more: Any) -> dict[str, Any]:
    """A provider with a password in a parameter and in a header."""
    return {"type": "http", "url": "https://gw.example.org/{phone}/{message}", **more}


def test_a_secret_stands_in_a_file_the_environment_or_a_credential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the store, a mail server, a provider's password, and among its parameters and headers."""
    (tmp_path / "url").write_text("sqlite:///own.db\n")
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "mail").write_text(f"{SECRET}\r\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    monkeypatch.setenv("WORD", "passw0rd")
    server = {"server": "localhost", "username": "me", "password": {"credential": "mail"}}
    loaded = read(
        tmp_path,
        store={"file": "url"},
        smtp_servers={"mail": server},
        providers={
            "smpp": SMPP,
            "http": http(
                PARAMETER={"key": {"env": "WORD"}, "deep": [{"in": {"env": "WORD"}}]},
                headers={"X-Key": {"file": str(tmp_path / "url")}},
            ),
        },
    )
    assert loaded.store_url == f"sqlite:///{tmp_path}/own.db"
    assert loaded.values.smtp_servers["mail"]["password"] == SECRET
    smpp, other = (loaded.providers[name].model_dump() for name in ("smpp", "http"))
    assert smpp["password"].get_secret_value() == "passw0rd"
    assert other["parameter"] == {"key": "passw0rd", "deep": [{"in": "passw0rd"}]}
    assert other["headers"] == {"X-Key": "sqlite:///own.db"}
    assert set(loaded.secret_files) == {tmp_path / "url", tmp_path / "credentials" / "mail"}


def test_braces_in_a_secret_are_no_placeholders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where others would be: a password may hold any character."""
    monkeypatch.setenv("WORD", "{phone}}{")
    loaded = read(tmp_path, providers={"gw": http(parameter={"key": {"env": "WORD"}})})
    assert loaded.providers["gw"].model_dump()["parameter"] == {"key": "{{phone}}}}{{"}


def test_a_parameter_may_have_the_name_of_a_kind(tmp_path: Path) -> None:
    """What a gateway calls its parameters and header fields is up to the gateway."""
    named = http(parameter={"file": "x"}, headers={"credential": "y"})
    loaded = read(tmp_path, providers={"gw": named})
    found = loaded.providers["gw"].model_dump()
    assert (found["parameter"], found["headers"]) == ({"file": "x"}, {"credential": "y"})


def test_every_secret_that_cannot_be_read_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside all other faults, and once each."""
    monkeypatch.delenv("WORD", raising=False)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    found = faults(
        tmp_path,
        code={"digits": 99},
        store={"file": "gone"},
        providers={
            "a": SMPP,
            "b": SMPP | {"password": {"credential": "gw"}},
            "c": SMPP | {"password": {"file": "empty"}},
            "d": http(headers={"X": {"file": "binary"}}),
        },
    )
    remedy = "write the secret there, and let this user read it"
    assert sorted(found) == [
        "code.digits: is 99, and has to be a whole number from 6 to 9; this is: length of the code "
        "(RFC 4226: at least 6)",
        "providers.a.password: $WORD is not set; set it where FreeRADIUS is started, and where "
        "this command is",
        "providers.b.password: the credential gw is not given by systemd; write "
        "LoadCredential=gw:PATH into the unit that starts this",
        f"providers.c.password: {tmp_path}/empty is empty; {remedy}",
        f"providers.d.headers.X: {tmp_path}/binary is not UTF-8; {remedy}",
        f"store: {tmp_path}/gone cannot be read (No such file or directory); {remedy}",
    ]


@pytest.mark.parametrize(
    "value", [{"file": 1}, {"file": "a", "env": "b"}, {"path": "a"}, {}, {"file": ["a"]}]
)
def test_what_is_neither_a_text_nor_a_name_of_one_is_refused(tmp_path: Path, value: Any) -> None:
    """As any other value of the wrong kind."""
    assert faults(tmp_path, store=value) == ["store: has to be a valid string; put it in quotes"]
