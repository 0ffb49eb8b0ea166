"""What is wrong with the machine: the disk under the store, and the clock."""

from __future__ import annotations

import ctypes
import os
import pwd
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from radius_smsotp.cli.check.finding import MACHINE, Finding
from radius_smsotp.errors import freeradius_user
from radius_smsotp.raddb.freeradius import UNITS

error, note, warning = MACHINE.error, MACHINE.note, MACHINE.warning

NETWORKED = {
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "fuse.ceph-fuse", "fuse.glusterfs",
    "fuse.s3fs", "fuse.sshfs", "gfs2", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2",
    "orangefs", "smb3", "smbfs", "vboxsf",
}  # fmt: skip
"""File systems that several machines share, as mountinfo(5) names them."""

VOLATILE = {"tmpfs", "ramfs"}

MEGABYTE = 1024 * 1024
SCARCE, LITTLE = 20 * MEGABYTE, 200 * MEGABYTE
"""Free octets below which SQLite may soon fail, and that should not be met by surprise.  A login
writes about 3 kB; its log file alone may take 4 MB before it is emptied."""

TIME_ERROR = 5
"""adjtimex(2): nobody keeps this clock."""


def disk_findings(folder: Path, mounts: str | None = None) -> Iterator[Finding]:
    """
    What is wrong with where an SQLite file lies.

    Args:
        mounts: What /proc/self/mountinfo says.
    """
    path = f"store ({folder})"
    kind = file_system(folder, mounts)
    if kind in NETWORKED:
        why = "SQLite's write-ahead log needs memory that all processes share: it gets damaged."
        remedy = "set 'store' to a local disk, or to postgresql:// for several servers"
        yield error(path, f"lies on a network file system ({kind})", remedy, why=why)
    elif kind in VOLATILE:
        why = "A restart of the machine removes all accounts."
        yield warning(path, f"lies in memory ({kind})", "set 'store' to a disk", why=why)
    try:
        room = os.statvfs(folder)
    except OSError:
        return  # said with the store
    free = room.f_bavail * room.f_frsize
    why = "When the disk is full, every login is refused."
    remedy = f"make room: df -h {folder}; 'smsotp prune' removes old events"
    if free < SCARCE:
        yield error(path, f"only {free // MEGABYTE} MB are free there", remedy, why=why)
    elif free < LITTLE:
        yield warning(path, f"only {free // MEGABYTE} MB are free there", remedy, why=why)


def file_system(folder: Path, mounts: str | None = None) -> str:
    """The type of the file system that a folder is in, "" if that cannot be told."""
    if mounts is None:
        try:
            mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
    longest, kind = "", ""
    whole = f"{folder.resolve()}/"
    for line in mounts.splitlines():
        before, found, behind = line.partition(" - ")
        fields = before.split()
        if not found or len(fields) < 5:
            continue
        # Blanks and the like stand there as octal numbers: proc(5).
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
        # The later of two at the same place lies on top.
        if whole.startswith(f"{point.rstrip('/')}/") and len(point) >= len(longest):
            longest, kind = point, behind.split()[0]
    return kind


def clock_findings() -> Iterator[Finding]:
    """Whether somebody keeps the clock of this machine."""
    if is_clock_kept() is False:
        why = "Codes expire by it; with several servers, at different times."
        remedy = "timedatectl set-ntp true, or install chrony"
        yield warning("clock", "is not kept by NTP", remedy, why=why)


def is_clock_kept() -> bool | None:
    """What the kernel says, whichever program keeps its clock; None where it cannot be asked."""
    try:
        # A ``struct timex`` of zeros sets nothing; there is room for every kernel's.
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(1024))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != TIME_ERROR


EXPORTER = "smsotp-exporter.service"


def exporter_findings(folders: Sequence[str | Path] = UNITS) -> Iterator[Finding]:
    """Whether others than this machine may read the figures."""
    for path, text in _files(EXPORTER, folders):
        for address in re.findall(r"(?m)^ExecStart=.*?--listen[= ]([^\s]+):\d+", text):
            host = address.strip("[]\"'")
            if host not in {"localhost", "::1"} and not host.startswith("127."):
                fault = f"serves the figures to whoever reaches {address}, without a password"
                yield note(str(path), fault, "let a firewall admit Prometheus alone")


def unit_findings(folders: Sequence[str | Path] = UNITS) -> Iterator[Finding]:
    """Whether our units, written for Debian, name a user and a program of this machine."""
    names = {one.name for folder in folders for one in Path(folder).glob("smsotp-*.service")}
    for name in sorted(names):
        texts = dict(_files(name, folders))
        if not texts:
            continue  # this user cannot look
        path, said = next(iter(texts)), dict[str, str]()
        for text in texts.values():
            said |= dict(re.findall(r"(?m)^(User|ExecStart)=[-@:+!]*(\S+)", text))
        why = "It does not start."
        user, own = said.get("User", "root"), freeradius_user()
        try:
            pwd.getpwnam(user)
        except KeyError:
            fault = f"runs as {user}, who is not on this machine"
            remedy = f"write User={own.pw_name if own else 'USER'} and its Group= there"
            yield warning(str(path), fault, remedy, why=why)
        program = Path(said.get("ExecStart", "/"))
        try:
            program.stat()
        except FileNotFoundError:
            found = shutil.which("smsotp") or "PROGRAM"
            fault = f"starts {program}, which is not there"
            yield warning(str(path), fault, f"write {found} in its place", why=why)
        except OSError:  # this user cannot look
            continue


def _files(name: str, folders: Sequence[str | Path]) -> Iterator[tuple[Path, str]]:
    """
    What makes a unit: its file, and its drop-ins.  Any may be missing.  Yields path and text.

    Args:
        folders: Of what has the same name in several, the first one's counts.
    """
    own = [one for folder in folders if (one := Path(folder) / name).exists()]
    beside = {
        one.name: one
        for folder in reversed(folders)
        for one in Path(folder).glob(f"{name}.d/*.conf")
    }
    for path in (*own[:1], *(beside[one] for one in sorted(beside))):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        yield path, text
