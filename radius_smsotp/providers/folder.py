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
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from pydantic import Field

from radius_smsotp.errors import Unavailable
from radius_smsotp.providers import BaseProvider, Fault, Message, ProviderSettings, Receipt


class Settings(ProviderSettings):
    """Settings of a ``folder`` provider."""

    type: Literal["folder"]
    path: Path = Field(
        description="the folder, made if it is not there; a relative path counts from smsotp.yaml"
    )


class Provider(BaseProvider[Settings]):
    """Writes messages into a folder."""

    @property
    def path(self) -> Path:
        """The folder."""
        return self._folder / self._settings.path

    def _faults(self, limit: float) -> list[Fault]:
        """Look whether the folder can be written."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            fault = f"cannot write to {self.path} ({error.strerror})"
            return [("path", fault, "name a folder that the user of FreeRADIUS may write to")]
        return []

    def _send(self, message: Message, limit: float) -> Receipt:
        """Write the file.  Raises Unavailable if the folder cannot be written."""
        record = {
            "transaction_id": message.transaction_id,
            **({"email": message.email} if message.email else {"phone": message.phone}),
            "text": message.text,
            "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        }
        text = json.dumps(record, ensure_ascii=False).encode()
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write(message.transaction_id, text)
        except OSError as error:
            raise Unavailable(f"cannot write to the folder ({error.strerror})") from error
        return Receipt(message.transaction_id)

    def _write(self, transaction_id: str, text: bytes) -> None:
        """Write a file under another name first: who watches never reads half a message."""
        partial = self.path / f".{transaction_id}.{threading.get_ident()}.part"
        try:
            handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(text)
            partial.replace(self.path / f"{transaction_id}.json")
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise
