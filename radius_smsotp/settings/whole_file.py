"""How a file is written that others may be reading: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path


def create(path: Path, text: str, mode: int) -> None:
    """Write a new file.  Raises FileExistsError if there is one, even if it is empty yet."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)


def write(path: Path, text: str, mode: int, *, durable: bool = False) -> None:
    """
    Write a file, new or in the place of one that is there, whose owner it keeps.

    A link stays one: what it points to is written.  What is no file, as a pipe or ``/dev/null``, is
    written to, as behind a shell's ``>``: root that put a file there would take it from all.

    Args:
        text: What was decoded with ``surrogateescape`` is written as it was.
        mode: Of a new file, less what the umask takes; one that is there keeps its own, as far as
            this allows it.
        durable: Return when it would outlast a crash of the machine.

    Raises:
        OSError: It cannot be written; what was there is as it was.
    """
    try:
        there = path.stat()
    except FileNotFoundError:
        there = None
    if there is not None and not stat.S_ISREG(there.st_mode):
        with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(text)
        return
    target = path.resolve()
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            if there is not None:
                with contextlib.suppress(PermissionError):
                    os.chown(handle, there.st_uid, there.st_gid)
                os.fchmod(handle, stat.S_IMODE(there.st_mode) & mode)
            file.write(text)
            if durable:
                file.flush()
                os.fsync(handle)
        partial.replace(target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        if isinstance(error, OSError):
            # Nobody has heard of the partial one.
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise
