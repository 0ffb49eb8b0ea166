"""
The key file: what codes are derived from and PINs sealed with, and all that keeps both secret.

One key a line, ``ID SECRET [FROM] [pin]``, the newest first: the id names it in every challenge or
sealed hash, the secret is 64 hex digits, and FROM is when it begins to sign new challenges (ISO
8601 with zone; absent: at once).  The first one whose time has come signs; the others let running
challenges end, and let servers know in good time what another one signs with.  The same holds for
those with ``pin`` behind them, which seal PINs.

A file of a version that had none of these is as good: the key that signs seals as well, so that
all servers of a store agree, until `smsotp key rotate` makes one of its own.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from radius_smsotp.errors import ConfigurationError, Problem, unless_person
from radius_smsotp.model import pin
from radius_smsotp.model.code import KEY_OCTETS, key_fingerprint
from radius_smsotp.settings import whole_file

HEADING = (
    "# smsotp key file: 'ID SECRET [FROM] [pin]' a line, the newest first; see 'smsotp key --help'."
)


BRING_BACK = "bring it back from a backup ('smsotp restore'), or another server of its store"
"""With a new one nobody could check the PINs that are there."""


class Line(NamedTuple):
    """One key of the file."""

    key_id: str
    secret: bytes
    begins: datetime | None
    for_pins: bool


@dataclass(frozen=True)
class Keyring:
    """
    The keys.

    Attributes:
        current: Id of the key for new challenges.
        keys: Id to secret of those for codes, `KEY_OCTETS` octets each, newest first.
        waiting: Id of the key that takes over next, and when; None if there is none.
        sealing: Id of the key for new PIN hashes.
        pin_keys: The same of all that a hash may be sealed with: those for PINs, then all others.
        pin_waiting: As `waiting`, of those for PINs.
    """

    current: str
    keys: Mapping[str, bytes] = field(repr=False)
    waiting: tuple[str, datetime] | None
    sealing: str
    pin_keys: Mapping[str, bytes] = field(repr=False)
    pin_waiting: tuple[str, datetime] | None

    @property
    def secret(self) -> bytes:
        """The key for new challenges."""
        return self.keys[self.current]

    @property
    def oldest_secret(self) -> bytes:
        """The key that stays when a new one is put before it."""
        return list(self.keys.values())[-1]

    def is_outdated(self, now: datetime) -> bool:
        """Whether a key that waits should be in use by now: then the file is to be read again."""
        waits = (self.waiting, self.pin_waiting)
        return any(one is not None and now >= one[1] for one in waits)

    @property
    def fingerprints(self) -> dict[str, str]:
        """Fingerprint of each key to its id, the oldest first, and those for codes last."""
        oldest_first = list(self.pin_keys.items())[::-1]
        in_order = sorted(oldest_first, key=lambda one: one[0] in self.keys)
        return {key_fingerprint(key): key_id for key_id, key in in_order}

    def get(self, key_id: str) -> bytes | None:
        """The key of a running challenge, or None if it was taken out of the file."""
        return self.keys.get(key_id)

    def seal_pin(self, name: str, pin_hash: str) -> str:
        """Seal a hash (see `model.pin`) for an account of that name."""
        return pin.seal(pin_hash, name, self.sealing, self.pin_keys[self.sealing])

    def is_sealed(self, pin_hash: str) -> bool:
        """
        Whether a hash needs no other seal.

        One with a key that waits does not: another server, whose clock is ahead, has sealed it.
        """
        known = [*self.pin_keys]
        return pin.sealed_with(pin_hash) in known[: known.index(self.sealing) + 1]

    def has_pin_key(self, pin_hash: str) -> bool:
        """Whether a hash can be opened; one without seal can always."""
        sealed_with = pin.sealed_with(pin_hash)
        return not sealed_with or sealed_with in self.pin_keys

    def open_pin(self, name: str, pin_hash: str) -> str | None:
        """The hash as `pap` reads it, None if its key is not here; one without seal as it is."""
        if not self.has_pin_key(pin_hash):
            return None
        key = self.pin_keys.get(pin.sealed_with(pin_hash))
        return pin_hash if key is None else pin.unseal(pin_hash, name, key)


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
        remedy = f"{BRING_BACK}; a new installation gets one by 'smsotp init {path.parent}'"
        raise _fault(path, "there is no such file", remedy) from None
    except OSError as error:
        fault = f"cannot be read ({error.strerror})"
        remedy = unless_person("make the user of FreeRADIUS its owner")
        raise _fault(path, fault, remedy) from None
    if mode & 0o077:
        raise _fault(path, f"is open to others (mode {mode:04o})", f"chmod 600 {path}")
    now = now or datetime.now(timezone.utc)
    lines: list[Line] = []
    for number, text in enumerate(content.splitlines(), 1):
        if _is_key(text):
            line = _parse(path, number, text)
            if any(line.key_id == other.key_id for other in lines):
                fault = f"line {number}: the id stands here twice"
                raise _fault(path, fault, "give each key its own")
            lines.append(line)
    codes = [one for one in lines if not one.for_pins]
    pins = [one for one in lines if one.for_pins]
    return Keyring(*_ring(path, codes, now), *_ring(path, [*pins, *codes], now))


def _ring(
    path: Path, lines: Sequence[Line], now: datetime
) -> tuple[str, dict[str, bytes], tuple[str, datetime] | None]:
    """The id of the key in use, all keys, and the one that waits, of one kind."""
    if not lines:
        raise _fault(path, "holds no key", BRING_BACK)
    waiting = None
    for one in lines:
        if one.begins is None or one.begins <= now:
            return one.key_id, {line.key_id: line.secret for line in lines}, waiting
        waiting = (one.key_id, one.begins)
    raise _fault(path, "holds no key whose time has come", "remove the time behind one of them")


def create(path: Path) -> None:
    """Write a new key file, mode 0600.  Raises FileExistsError: a key is never overwritten."""
    lines = (HEADING, _new_line(), _new_line(for_pins=True))
    whole_file.create(path, "\n".join(lines) + "\n", 0o600)


def add(path: Path, begins: datetime, *, for_pins: bool = False) -> str:
    """
    Put a new key before the others.

    Args:
        begins: When it is to sign new challenges, or to seal PINs: when every process has read the
            file.

    Returns:
        Its id.

    Raises:
        ConfigurationError: The file cannot be used as it is, or not be written.
    """
    line = _new_line(begins, for_pins=for_pins)
    lines = _lines(path)
    first = next(number for number, text in enumerate(lines) if _is_key(text))
    _rewrite(path, [*lines[:first], line, *lines[first:]])
    return line.split()[0]


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
        # A key that a crash takes away again takes all challenges with it, or all PINs.
        whole_file.write(path, "\n".join(lines) + "\n", 0o600, durable=True)
    except OSError as error:
        remedy = unless_person(f"let its owner write to {path.parent}")
        raise _fault(path, f"cannot be written ({error.strerror})", remedy) from None


def _new_line(begins: datetime | None = None, *, for_pins: bool = False) -> str:
    """A key with an id of its own, always: challenges and hashes find their keys by it."""
    key_id = f"{'p' if for_pins else 'k'}{datetime.now(timezone.utc):%Y%m%d}-{secrets.token_hex(4)}"
    words = [key_id, secrets.token_hex(KEY_OCTETS)]
    words += [begins.isoformat(timespec="milliseconds")] if begins else []
    return " ".join([*words, *(["pin"] if for_pins else [])])


def _is_key(line: str) -> bool:
    return line.strip() != "" and not line.startswith("#")


def _parse(path: Path, number: int, line: str) -> Line:
    where = f"line {number}"
    remedy = "write 'ID SECRET' with 64 hex digits as secret"
    words = line.split()
    for_pins = len(words) > 2 and words[-1] == "pin"
    if for_pins:
        words.pop()
    if len(words) not in {2, 3}:  # id and secret, and when it begins
        raise _fault(path, f"{where} is not 'ID SECRET'", remedy)
    try:
        secret = bytes.fromhex(words[1])
    except ValueError:
        raise _fault(path, f"{where}: the secret is not hexadecimal", remedy) from None
    if len(secret) < KEY_OCTETS:
        raise _fault(path, f"{where}: the secret is too short ({len(secret)} octets)", remedy)
    begins = _moment(path, where, words[2]) if len(words) == 3 else None
    return Line(words[0], secret, begins, for_pins)


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
