"""
How a backup is closed: by GnuPG, with a passphrase.

So it can be opened without this program as well, in ten years say: ``gpg --decrypt FILE | tar -x``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from radius_smsotp.errors import SmsotpError, package_command

ALONE = ("--no-options", "--no-autostart", "--batch", "--no-tty", "--pinentry-mode", "loopback")
"""Whatever whoever runs us has set up for GnuPG, and without its agent, which keeps passphrases."""

SEALING = (
    *("--symmetric", "--cipher-algo", "AES256", "--s2k-digest-algo", "SHA512"),
    # The most that there is (RFC 4880 section 3.7.1.3): a tenth of a second for each guess.
    *("--s2k-count", "65011712"),
)


STATUS = "[GNUPG:] "
"""Before what gpg says for programs (doc/DETAILS in its sources)."""


def program() -> str:
    """Where gpg is.  Raises SmsotpError if it is not here."""
    if (found := shutil.which("gpg")) is None:
        raise SmsotpError(f"gpg is not installed, which seals backups: {package_command('gpg')}")
    return found


def seal(source: Path, passphrase: str, target: int) -> None:
    """
    Write what is in a file, sealed, to an open one.

    Raises:
        SmsotpError: gpg is not here, or failed.
    """
    with source.open("rb") as file, _started(SEALING, passphrase, file.fileno(), target) as gpg:
        status, told = _end(gpg)
    if status != 0:
        said = [line for line in told if not line.startswith(STATUS)]
        raise SmsotpError(f"gpg has not sealed it: {said[-1] if said else f'status {status}'}")


def open_(source: Path, passphrase: str, target: Path) -> None:
    """
    Write what is in a sealed file to another one, which only this user can read.

    Raises:
        SmsotpError: It is the wrong passphrase, or the file is none, or not as it was written.
    """
    decrypt = ("--decrypt", str(source.absolute()))
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb"), _started(decrypt, passphrase, stdout=handle) as gpg:
        status, told = _end(gpg)
    words = {line.split()[1] for line in told if line.startswith(STATUS)}
    if status == 0 and "DECRYPTION_OKAY" in words:
        return
    if any(os.strerror(errno.ENOSPC) in line for line in told):
        place = target.parent.parent
        raise SmsotpError(f"there is no room in {place}; let $TMPDIR name another folder")
    if "NEED_PASSPHRASE_SYM" not in words:
        raise SmsotpError(f"{source} is no backup: nothing in it is sealed with a passphrase")
    if any("BAD_PASSPHRASE" in line for line in told):
        raise SmsotpError(f"the passphrase does not open {source}")
    raise SmsotpError(f"{source} is not whole: it was cut off, or changed, since it was made")


@contextlib.contextmanager
def _started(
    arguments: tuple[str, ...],
    passphrase: str,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
) -> Iterator[subprocess.Popen[bytes]]:
    """Gpg, which gets the passphrase by a pipe: others see arguments and environment."""
    with tempfile.TemporaryDirectory(prefix="smsotp-gpg-") as home:
        reading, writing = os.pipe()
        os.write(writing, f"{passphrase}\n".encode())
        os.close(writing)
        own = ("--homedir", home, "--passphrase-fd", str(reading), "--status-fd", "2")
        with subprocess.Popen(  # noqa: S603  # gpg, with arguments of ours
            [program(), *ALONE, *own, *arguments],
            pass_fds=[reading],
            stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C"},
            stdin=stdin,
            stdout=stdout,
        ) as gpg:
            os.close(reading)
            try:
                yield gpg
            except BaseException:
                gpg.kill()
                raise


def _end(gpg: subprocess.Popen[bytes]) -> tuple[int, list[str]]:
    """Its exit status, and the lines that it has said."""
    assert gpg.stderr is not None  # noqa: S101  # for mypy
    told = gpg.stderr.read().decode("utf-8", "replace").splitlines()
    return gpg.wait(), told
