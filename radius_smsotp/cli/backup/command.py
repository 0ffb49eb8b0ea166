"""``smsotp backup``: all that a server needs, in one sealed file."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import click

from radius_smsotp.cli import output, results
from radius_smsotp.cli.backup import archive, seal
from radius_smsotp.cli.backup.archive import Entry, Manifest
from radius_smsotp.cli.check import raddb as check_raddb
from radius_smsotp.cli.ending import tidy
from radius_smsotp.cli.results import Results
from radius_smsotp.cli.site import PATIENCE, Site, acting_as, pass_site
from radius_smsotp.cli.store import NAMES
from radius_smsotp.errors import SmsotpError
from radius_smsotp.raddb import files
from radius_smsotp.store import named_files, open_store, transfer

SHORTEST = 12
"""Characters of a passphrase: whoever finds the file may try without end, and finds all keys."""

LONGEST = 4000
"""Octets, which fit into a pipe."""


PACKAGED = ("/usr", "/etc/ssl/certs/ca-certificates.crt", "/etc/pki")
LOCAL = "/usr/local"
"""Where packages put programs and authorities of Debian and Red Hat, and where they do not."""


def _passphrase(
    ctx: click.Context, parameter: click.Parameter, path: str | None
) -> Callable[..., str]:
    """What asks for the passphrase, or reads it: when all else that may be wrong was looked at."""

    def read(*, twice: bool = False) -> str:
        if path is None and not sys.stdin.isatty():
            raise click.UsageError(
                "give the passphrase by --passphrase-file, '-' is standard input"
            )
        if path is None:
            again = "The same passphrase again" if twice else False
            found = click.prompt("Passphrase", hide_input=True, confirmation_prompt=again, err=True)
        else:
            found = _first_line(path)
        if not 0 < len(found.encode()) <= LONGEST or "\0" in found:
            raise click.BadParameter("it holds no passphrase in its first line", param=parameter)
        if twice and len(found) < SHORTEST:
            raise SmsotpError(f"the passphrase is too short: take {SHORTEST} characters or more")
        return found

    return read


def _first_line(path: str) -> str:
    try:
        if path == "-":
            return sys.stdin.buffer.readline().decode().rstrip("\r\n")
        with Path(path).open("rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077:
                raise SmsotpError(f"{path} is open to others; chmod 600 {path}")
            return file.readline().decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise SmsotpError("the passphrase is not UTF-8") from None


passphrase_option = click.option(
    "--passphrase-file",
    "passphrase",
    metavar="PATH",
    callback=_passphrase,
    help="Read the passphrase from its first line; '-' is standard input.  [default: ask]",
)

raddb_option = click.option(
    "--raddb",
    "folder",
    type=click.Path(path_type=Path),
    help="The configuration of FreeRADIUS.  [default: as in 'smsotp check']",
)


@click.command(short_help="Write all that a server needs into one sealed file.")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, readable=False))
@passphrase_option
@raddb_option
@click.option("--overwrite", is_flag=True, help="Replace FILE if it is there.")
@results.told
@pass_site
def backup(
    site: Site,
    told: Results,
    file: Path,
    passphrase: Callable[..., str],
    folder: Path | None,
    overwrite: bool,
) -> None:
    """
    Write all that a server needs into one sealed file.

    Settings and the files that they name, the key file, the certificates of Wi-Fi and edited files
    of ours in FreeRADIUS's configuration, and the store, as it is at one moment: logins go on.
    What is left of FreeRADIUS's configuration, as clients.conf, is not ours, and not in it.

    FILE opens with the passphrase and GnuPG, which 'smsotp restore' calls; without it, never.

    \b
    Examples:
      smsotp backup /root/smsotp.backup
      smsotp backup /root/smsotp.backup --overwrite --passphrase-file /root/secret
    """
    _refuse(file, overwrite=overwrite)
    seal.program()
    raddb = folder or check_raddb.place(site.loaded.path)
    _ = site.keys  # a backup without the store's key is worth nothing
    entries = list(_entries(site, raddb))
    secret = passphrase(twice=True)
    # Not beside FILE, which may be on a stick: nothing that is open shall ever get there.
    with tidy(), tempfile.TemporaryDirectory(prefix="smsotp-") as place:
        copy, whole = Path(place, archive.STORE), Path(place, "archive")
        manifest = _copy(site, copy, raddb, entries)
        archive.write(whole, manifest, lambda path: _read(site, path), copy)
        with _new(file) as target:
            seal.seal(whole, secret, target)
    for one in entries:
        told.add(one.path, "saved", f"in it      {one.path}")
    line = f"in it      {manifest.store} ({contents(manifest)})"
    told.add(manifest.store, "saved", line, rows=manifest.rows)
    if (raddb / "radiusd.conf").exists() and not manifest.raddb_is_ours:
        told.note(f"not in it  the rest of {raddb}, as clients.conf: it is FreeRADIUS's own")
    size = file.stat().st_size
    line = f"{file}: {output.octets(size)}.  It opens with the passphrase alone"
    told.add(file, "made", f"{line}: keep that elsewhere.", octets=size)


def contents(told: Manifest) -> str:
    """How much is in the store of a backup, in people's words."""
    return ", ".join(f"{name}: {told.rows[table]}" for table, name in NAMES.items())


def _refuse(file: Path, *, overwrite: bool) -> None:
    if file.exists() and not file.is_file():
        raise SmsotpError(f"{file} is no file")
    if file.exists() and not overwrite:
        raise SmsotpError(f"{file} is there already; --overwrite replaces it")
    if not file.absolute().parent.is_dir():
        raise SmsotpError(f"{file.absolute().parent} is not there; make that folder first")


def _entries(site: Site, raddb: Path) -> Iterator[Entry]:
    """The files that belong into a backup, each once."""
    loaded = site.loaded
    yield Entry.of(loaded.path, "settings")
    yield Entry.of(loaded.key_path, "key")
    with acting_as(site.owner):
        named = [*loaded.named_files, *named_files(loaded.store_url)]
    for path in dict.fromkeys(one.absolute() for one in named):
        if path not in {loaded.path, loaded.key_path} and not _is_systems(path):
            yield Entry.of(path, "named")
    for name in files.irreplaceable(raddb.absolute()):
        yield Entry.of(raddb.absolute() / name, "raddb")


def _is_systems(path: Path) -> bool:
    """Whether each machine has a file of its own: of a package, or from systemd."""
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    places = [*map(Path, PACKAGED), *([Path(given)] if given else [])]
    real = path.resolve()
    return any(real.is_relative_to(one) for one in places) and not real.is_relative_to(LOCAL)


def _read(site: Site, path: Path) -> bytes:
    """A file, with no more rights than who owns the settings has: they may name any path."""
    named = {*site.loaded.named_files, *named_files(site.loaded.store_url)}
    with acting_as(site.owner if path in named else None):
        return path.read_bytes()


def _copy(site: Site, target: Path, raddb: Path, entries: list[Entry]) -> Manifest:
    """Copy the store; logins go on.  Returns what is in the backup."""
    now = datetime.now(timezone.utc)
    with site.store.read() as tx:
        opened = len(tx.open_challenges(now))
        codes = sum(len(one.left(now)) for one in tx.emergencies(now))
    one = open_store(f"sqlite:///{target}", PATIENCE)
    try:
        one.migrate()
        with output.progress("Copying") as advance:
            rows = transfer.copy(site.store, one, advance)
    finally:
        one.close()
    has_raddb = any(entry.kind == "raddb" for entry in entries)
    return Manifest(
        made_at=now.isoformat(timespec="seconds"),
        store=site.store.name,
        raddb=str(raddb.absolute()) if has_raddb else "",
        raddb_is_ours="radiusd.conf" in files.manifest(raddb),
        entries=tuple(entries),
        rows=rows,
        open_challenges=opened,
        emergency_codes=codes,
    )


@contextlib.contextmanager
def _new(path: Path) -> Iterator[int]:
    """A file that only this user can read: in its place when it is whole, or not at all."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        try:
            yield handle
            os.fsync(handle)
        finally:
            os.close(handle)
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
