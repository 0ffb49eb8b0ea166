"""
Provider ``folder``: one JSON file for each message, for the demonstration and for tests.

``PATH/TRANSACTION_ID.json`` holds ``transaction_id``, ``phone``, ``text`` and ``time``, and is
written whole or not at all.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import Field

from radius_smsotp.errors import Problem, Unavailable
from radius_smsotp.providers import Message, ProviderSettings, Receipt, Surroundings


class Settings(ProviderSettings):
    """Settings of a ``folder`` provider."""

    type: Literal["folder"]
    path: Path = Field(description="the folder, made if it is not there")


class Provider:
    """Writes messages into a folder."""

    def __init__(self, name: str, settings: Settings, surroundings: Surroundings) -> None:
        self.name = name
        self.path = surroundings.folder / settings.path

    def check(self) -> list[Problem]:
        """Look whether the folder can be written."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            return [
                Problem(
                    f"providers.{self.name}.path",
                    f"cannot write to {self.path} ({error.strerror})",
                    "name a folder that the user of FreeRADIUS may write to",
                )
            ]
        return []

    def send(self, message: Message, deadline: float) -> Receipt:
        """Write the file.  Raises Unavailable if the folder cannot be written."""
        if time.monotonic() >= deadline:
            raise Unavailable("no time was left to write the file")
        record = {
            "transaction_id": message.transaction_id,
            "phone": message.phone,
            "text": message.text,
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        text = json.dumps(record, ensure_ascii=False)
        try:
            try:
                self._write(f"{message.transaction_id}.json", text)
            except FileNotFoundError:
                self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._write(f"{message.transaction_id}.json", text)
        except OSError as error:
            raise Unavailable(f"cannot write to the folder ({error.strerror})") from error
        return Receipt(message.transaction_id)

    def _write(self, name: str, text: str) -> None:
        """Write a file under another name first: who watches never reads half a message."""
        handle, partial = tempfile.mkstemp(dir=self.path, prefix=".", suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            # Path interns every name it sees, and Python 3.12 keeps such strings for ever.
            os.replace(partial, os.path.join(self.path, name))  # noqa: PTH105, PTH118
        except OSError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(partial)  # noqa: PTH108
            raise

    def close(self) -> None:
        """Nothing is held open."""
