"""
What is in a backup, once it is opened: an archive of tar.

``smsotp-backup.json`` says what it is and what was left out, ``files`` has each file under its
whole path, and ``store.db`` is the store, in a file of SQLite whatever it was.
"""

from __future__ import annotations

import io
import json
import socket
import stat
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from radius_smsotp import __version__
from radius_smsotp.errors import SmsotpError
from radius_smsotp.store.schema import VERSIONS

FORMAT = 1
"""Of the archive, which another one can read."""

MANIFEST, FILES, STORE = "smsotp-backup.json", "files", "store.db"

Kind = Literal["settings", "key", "named", "raddb"]
"""The settings, the key file, what the settings name, what is ours in the raddb."""


@dataclass(frozen=True, slots=True)
class Entry:
    """
    One file, where it was.

    Attributes:
        mode: Its permissions.
        of_root: Whether it is root's, and not FreeRADIUS's user's.
    """

    path: str
    kind: Kind
    mode: int
    of_root: bool

    @classmethod
    def of(cls, path: Path, kind: Kind) -> Entry:
        """A file that is there."""
        status = path.stat()
        return cls(str(path), kind, stat.S_IMODE(status.st_mode), status.st_uid == 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """
    What a backup is of.

    Attributes:
        version: Of the program that made it.
        schema: Of the store.
        made_at: When, ISO 8601 in UTC.
        host: On which machine.
        store: Name of the store.
        raddb: The configuration of FreeRADIUS whose files are in it; "" if none are.
        raddb_is_ours: Whether `raddb.install.create` has made it.
        entries: The files.
        rows: Table to number of rows.
        open_challenges: How many there were: they are not open in it.
        emergency_codes: How many were left: nor do these count.
    """

    format: int = FORMAT
    version: str = __version__
    schema: int = len(VERSIONS)
    made_at: str
    host: str = field(default_factory=socket.gethostname)
    store: str
    raddb: str
    raddb_is_ours: bool
    entries: tuple[Entry, ...]
    rows: Mapping[str, int]
    open_challenges: int
    emergency_codes: int

    @property
    def settings(self) -> Path:
        """Where the settings were."""
        return next(Path(one.path) for one in self.entries if one.kind == "settings")


def write(path: Path, told: Manifest, read: Callable[[Path], bytes], store: Path) -> None:
    """
    Write an archive, a new file that only this user can read.

    Args:
        read: Reads one of the files that the manifest names.
        store: The copy of the store.
    """
    path.touch(0o600)
    with tarfile.open(path, "w") as archive:
        text = json.dumps(asdict(told), indent=1)
        _add(archive, MANIFEST, text.encode())
        for one in told.entries:
            _add(archive, f"{FILES}{one.path}", read(Path(one.path)))
        archive.add(store, STORE, filter=_anonymous)


class Archive:
    """
    One that was opened.

    Args:
        path: The archive of tar.
        source: The backup, to be named in errors.

    Raises:
        SmsotpError: It is none of ours, or of a version that this one does not know.
    """

    def __init__(self, path: Path, source: Path) -> None:
        self._path = path
        try:
            raw = json.loads(self._content(MANIFEST))
            self._refuse_newer(raw, source)
            names = {one.name for one in fields(Manifest)}
            entries = tuple(Entry(**one) for one in raw["entries"])
            known = {name: value for name, value in raw.items() if name in names}
            self.manifest = Manifest(**{**known, "entries": entries})
        except (tarfile.TarError, KeyError, TypeError, ValueError) as error:
            raise SmsotpError(f"{source} is no backup of this program's") from error

    def content(self, one: Entry) -> bytes:
        """What was in a file."""
        return self._content(f"{FILES}{one.path}")

    def unpack_store(self, target: Path) -> None:
        """Write the store to a new file, which is closed to others."""
        target.touch(0o600)
        with tarfile.open(self._path) as archive, target.open("wb") as file:
            member = archive.extractfile(STORE)
            assert member is not None  # noqa: S101  # it is a file
            while part := member.read(1 << 20):
                file.write(part)

    def _content(self, name: str) -> bytes:
        with tarfile.open(self._path) as archive:
            member = archive.extractfile(name)
            if member is None:
                raise KeyError(name)
            return member.read()

    @staticmethod
    def _refuse_newer(raw: Mapping[str, Any], source: Path) -> None:
        for what, ours in (("format", FORMAT), ("schema", len(VERSIONS))):
            if int(raw[what]) > ours:
                fault = f"{source} was made by version {raw['version']}, with {what} {raw[what]}"
                remedy = f"this program, {__version__}, knows up to {ours}: install that one"
                raise SmsotpError(f"{fault}; {remedy}")


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o600
    archive.addfile(member, io.BytesIO(content))


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Whose it is here is of no use there."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member
