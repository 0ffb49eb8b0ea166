"""
The key file: what codes are derived from, and all that makes them unguessable.

One key a line, ``ID SECRET [FROM]``, the newest first: the id names it in every challenge, the
secret is 64 hex digits, and FROM is when it begins to sign new challenges (ISO 8601 with zone;
absent: at once).  The first one whose time has come signs; the others let running challenges
end, and let servers know in good time what another one signs with.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from radius_smsotp.errors import ConfigurationError, Problem
from radius_smsotp.model.code import KEY_OCTETS, key_fingerprint
from radius_smsotp.settings import whole_file

HEADING = "# smsotp key file: 'ID SECRET [FROM]' a line, the newest first; see 'smsotp key --help'."


@dataclass(frozen=True)
class Keyring:
    """
    The keys.

    Attributes:
        current: Id of the key for new challenges.
        keys: Id to secret, `KEY_OCTETS` octets each, newest first.
        waiting: Id of the key that takes over next, and when; None if there is none.
    """

    current: str
    keys: Mapping[str, bytes] = field(repr=False)
    waiting: tuple[str, datetime] | None = None

    @property
    def secret(self) -> bytes:
        """The key for new challenges."""
        return self.keys[self.current]

    @property
    def oldest_secret(self) -> bytes:
        """The key that stays when a new one is put before it."""
        return list(self.keys.values())[-1]

    def is_outdated(self, now: datetime) -> bool:
        """Whether the key that waits should sign by now: then the file is to be read again."""
        return self.waiting is not None and now >= self.waiting[1]

    @property
    def fingerprints(self) -> dict[str, str]:
        """Fingerprint of each key to its id, the oldest first."""
        return {key_fingerprint(key): key_id for key_id, key in list(self.keys.items())[::-1]}

    def get(self, key_id: str) -> bytes | None:
        """The key of a running challenge, or None if it was taken out of the file."""
        return self.keys.get(key_id)


def read(path: Path, now: datetime | None = None) -> Keyring:
    """
    Read the key file.

    Args:
        now: Aware UTC; None is the present.

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
    now = now or datetime.now(UTC)
    keys: dict[str, bytes] = {}
    current = ""
    waiting: tuple[str, datetime] | None = None
    for number, line in enumerate(content.splitlines(), 1):
        if not _is_key(line):
            continue
        key_id, secret, begins = _parse(path, number, line)
        if key_id in keys:
            raise _fault(path, f"line {number}: the id stands here twice", "give each key its own")
        keys[key_id] = secret
        if current == "":
            if begins is None or begins <= now:
                current = key_id
            else:
                waiting = (key_id, begins)
    if not keys:
        raise _fault(path, "holds no key", f"remove it and run 'smsotp init {path.parent}'")
    if current == "":
        raise _fault(path, "holds no key whose time has come", "remove the time behind one of them")
    return Keyring(current, keys, waiting)


def create(path: Path) -> None:
    """Write a new key file, mode 0600.  Raises FileExistsError: a key is never overwritten."""
    whole_file.create(path, f"{HEADING}\n{_new_id()} {secrets.token_hex(KEY_OCTETS)}\n", 0o600)


def add(path: Path, begins: datetime) -> str:
    """
    Put a new key before the others.

    Args:
        begins: When it is to sign new challenges: when every process has read the file.

    Returns:
        Its id.

    Raises:
        ConfigurationError: The file cannot be used as it is, or not be written.
    """
    key_id = _new_id()
    line = f"{key_id} {secrets.token_hex(KEY_OCTETS)} {begins.isoformat(timespec='milliseconds')}"
    lines = _lines(path)
    first = next(number for number, text in enumerate(lines) if _is_key(text))
    _rewrite(path, [*lines[:first], line, *lines[first:]])
    return key_id


def remove(path: Path, key_id: str) -> None:
    """Take a key out of the file.  Raises ConfigurationError as `add` does."""
    lines = _lines(path)
    _rewrite(path, [text for text in lines if not _is_key(text) or text.split()[0] != key_id])


def _lines(path: Path) -> list[str]:
    """The lines of a file that can be used; whatever their comments hold comes back as it was."""
    read(path)
    return path.read_text(encoding="ascii", errors="surrogateescape").splitlines()


def _rewrite(path: Path, lines: list[str]) -> None:
    try:
        # A key that a crash takes away again takes all challenges with it.
        whole_file.write(path, "\n".join(lines) + "\n", 0o600, durable=True)
    except OSError as error:
        remedy = f"let its owner write to {path.parent}"
        raise _fault(path, f"cannot be written ({error.strerror})", remedy) from None


def _new_id() -> str:
    """An id of its own, always: a challenge finds its key by it."""
    return f"k{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(4)}"


def _is_key(line: str) -> bool:
    return line.strip() != "" and not line.startswith("#")


def _parse(path: Path, number: int, line: str) -> tuple[str, bytes, datetime | None]:
    where = f"line {number}"
    remedy = "write 'ID SECRET' with 64 hex digits as secret"
    words = line.split()
    if len(words) not in {2, 3}:  # id and secret, and when it begins
        raise _fault(path, f"{where} is not 'ID SECRET'", remedy)
    try:
        secret = bytes.fromhex(words[1])
    except ValueError:
        raise _fault(path, f"{where}: the secret is not hexadecimal", remedy) from None
    if len(secret) < KEY_OCTETS:
        raise _fault(path, f"{where}: the secret is too short ({len(secret)} octets)", remedy)
    return words[0], secret, _moment(path, where, words[2]) if len(words) == 3 else None


def _moment(path: Path, where: str, word: str) -> datetime:
    try:
        begins = datetime.fromisoformat(word)
        if begins.tzinfo is not None:
            return begins
    except ValueError:
        pass
    fault = f"{where}: what stands behind the secret is no time"
    raise _fault(path, fault, "write one as 2026-03-01T12:00:00+00:00, or nothing")


def _fault(path: Path, fault: str, remedy: str) -> ConfigurationError:
    return ConfigurationError([Problem(f"key_file ({path})", fault, remedy)])
