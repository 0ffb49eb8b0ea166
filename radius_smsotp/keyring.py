"""
The key file: what codes are derived from, and all that makes them unguessable.

One key a line, ``ID SECRET``: the id names it in every challenge, the secret is 64 hex
digits.  The first line signs new challenges; the others let running ones end.
"""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from radius_smsotp.core.code import KEY_OCTETS
from radius_smsotp.errors import ConfigurationError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Keyring:
    """
    The keys.

    Attributes:
        current: Id of the key for new challenges.
        keys: Id to secret, `KEY_OCTETS` octets each.
    """

    current: str
    keys: Mapping[str, bytes] = field(repr=False)

    @property
    def secret(self) -> bytes:
        """The key for new challenges."""
        return self.keys[self.current]

    def get(self, key_id: str) -> bytes | None:
        """The key of a running challenge, or None if it was taken out of the file."""
        return self.keys.get(key_id)


def read(path: Path) -> Keyring:
    """
    Read the key file.

    Raises:
        ConfigurationError: It is absent, readable by others, too short, or malformed.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(65536).decode("ascii", "replace")
    except FileNotFoundError:
        remedy = f"make one with 'smsotp init {path.parent}'"
        raise _fault(path, "there is no such file", remedy) from None
    except OSError as error:
        fault = f"cannot be read ({error.strerror})"
        raise _fault(path, fault, "make the user of FreeRADIUS its owner") from None
    if mode & 0o077:
        raise _fault(path, f"is open to others (mode {mode:04o})", f"chmod 600 {path}")
    keys: dict[str, bytes] = {}
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        key_id, secret = _parse(path, number, line)
        if key_id in keys:
            raise _fault(path, f"line {number}: the id stands here twice", "give each key its own")
        keys[key_id] = secret
    if not keys:
        raise _fault(path, "holds no key", f"remove it and run 'smsotp init {path.parent}'")
    return Keyring(next(iter(keys)), keys)


def create(path: Path) -> None:
    """Write a new key file, mode 0600.  Raises FileExistsError: a key is never overwritten."""
    # An id of its own, always: a challenge finds its key by it.
    key_id = f"k{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(4)}"
    line = f"{key_id} {secrets.token_hex(KEY_OCTETS)}\n"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write("# smsotp key file: 'ID SECRET' a line; the first one is in use.\n" + line)


def _parse(path: Path, number: int, line: str) -> tuple[str, bytes]:
    where = f"line {number}"
    remedy = "write 'ID SECRET' with 64 hex digits as secret"
    words = line.split()
    if len(words) != 2:  # id and secret
        raise _fault(path, f"{where} is not 'ID SECRET'", remedy)
    try:
        secret = bytes.fromhex(words[1])
    except ValueError:
        raise _fault(path, f"{where}: the secret is not hexadecimal", remedy) from None
    if len(secret) < KEY_OCTETS:
        raise _fault(path, f"{where}: the secret is too short ({len(secret)} octets)", remedy)
    return words[0], secret


def _fault(path: Path, fault: str, remedy: str) -> ConfigurationError:
    return ConfigurationError([Problem(f"key_file ({path})", fault, remedy)])
