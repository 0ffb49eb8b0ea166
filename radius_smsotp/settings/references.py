"""Secrets that the settings file only names: in a file, in the environment, or with systemd."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from radius_smsotp import providers
from radius_smsotp.errors import Problem

KINDS = {"file", "env", "credential"}
"""What a secret may be written as, instead of itself: ``{file: PATH}``, …"""

UNREAD = "unread"
"""In the place of a secret that cannot be read, so that the other faults are told as well."""


class References:
    """
    What a settings file only names, to be filled in.

    Args:
        folder: Where relative paths count from.

    Attributes:
        files: What is read, whether it is there or not.
        problems: What cannot be read, each with the path of its setting.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.files: list[Path] = []
        self.problems: list[Problem] = []

    def filled(self, raw: Mapping[Any, Any]) -> dict[Any, Any]:
        """The settings as YAML has them, with what they name."""
        found = {**raw}
        for name in ("store", "smtp_servers", "receiver"):
            if name in raw:
                found[name] = self._filled(raw[name], name)
        if isinstance(named := raw.get("providers"), Mapping):
            found["providers"] = {
                name: self._provider(entry, f"providers.{name}") for name, entry in named.items()
            }
        return found

    def _provider(self, entry: Any, path: str) -> Any:
        """A provider's entry; in what may be a mapping itself, as headers, only the values."""
        if not isinstance(entry, Mapping):
            return entry
        kind = providers.kind(entry)
        try:
            fields = providers.module(kind).Settings.model_fields
        except (KeyError, providers.BrokenTypeError):
            fields = {}  # which is said elsewhere
        trees = {name for name, field in fields.items() if isinstance(field.default, dict)}
        return {
            key: self._inside(value, f"{path}.{key}", is_template=True)
            if str(key).lower() in trees
            else self._filled(value, f"{path}.{key}")
            for key, value in entry.items()
        }

    def _filled(self, value: Any, path: str, *, is_template: bool = False) -> Any:
        """
        A value, or what it names.

        Args:
            is_template: It may have placeholders; a secret has none, whatever braces it holds.
        """
        kind = next(iter(value)) if isinstance(value, Mapping) and len(value) == 1 else None
        if isinstance(kind, str) and kind in KINDS and isinstance(value[kind], str):
            secret = self._read(kind, value[kind], path)
            return secret.replace("{", "{{").replace("}", "}}") if is_template else secret
        return self._inside(value, path, is_template=is_template)

    def _inside(self, value: Any, path: str, *, is_template: bool) -> Any:
        """A value, with what is in it filled in."""
        if isinstance(value, list) and is_template:
            return [self._filled(one, path, is_template=True) for one in value]
        if isinstance(value, Mapping):
            return {
                key: self._filled(one, f"{path}.{key}", is_template=is_template)
                for key, one in value.items()
            }
        return value

    def _read(self, kind: str, name: str, path: str) -> str:
        """A secret, without the end of its line."""
        if kind == "env":
            secret = os.environ.get(name)
            where, fault = f"${name}", "is not set"
            remedy = "set it where FreeRADIUS is started, and where this command is"
        else:
            secret, where, fault, remedy = self._from_file(kind, name)
        if secret is not None:
            secret, fault = secret.rstrip("\r\n"), "is empty"
        if not secret:
            self.problems.append(Problem(path, f"{where} {fault}", remedy))
        return secret or UNREAD

    def _from_file(self, kind: str, name: str) -> tuple[str | None, str, str, str]:
        """What a file says, or None; where it is, what is wrong with it, and what to do."""
        file, remedy = self._folder / name, "write the secret there, and let this user read it"
        if kind == "credential":
            # systemd.exec(5), "Credentials"
            folder = os.environ.get("CREDENTIALS_DIRECTORY")
            remedy = f"write LoadCredential={name}:PATH into the unit that starts this"
            if folder is None or "/" in name:
                return None, f"the credential {name}", "is not given by systemd", remedy
            file = Path(folder, name)
        self.files.append(file)
        try:
            return file.read_text(encoding="utf-8"), str(file), "", remedy
        except OSError as error:
            return None, str(file), f"cannot be read ({error.strerror})", remedy
        except UnicodeDecodeError:
            return None, str(file), "is not UTF-8", remedy
