"""Files that commands write for people: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, text: str, mode: int) -> None:
    """
    Write a file, new or in the place of one that is there; others may be reading that.

    What is no plain file is written to and stays what it is, as behind a shell's ``>``: a link, a
    pipe, ``/dev/stdout``.  Root that put a file into its place would take ``/dev/null`` from all.

    Args:
        mode: Of the file; the umask takes its share.

    Raises:
        OSError: It cannot be written; what was there is as it was.
    """
    there = _status(path)
    if there is not None and not stat.S_ISREG(there.st_mode):
        _through(path, text, mode)
        return
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except OSError as error:
        # Nobody has heard of the partial one.
        raise OSError(error.errno, error.strerror, str(path)) from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            if there is not None:
                with contextlib.suppress(PermissionError):
                    os.chown(handle, there.st_uid, there.st_gid)
            file.write(text)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None


def _through(path: Path, text: str, mode: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
        if stat.S_ISREG(os.fstat(handle).st_mode):
            os.fchmod(handle, os.fstat(handle).st_mode & mode)
        file.write(text)
