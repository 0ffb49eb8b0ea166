"""``smsotp restore``: a server from a backup, in the place of one that is lost or beside it."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shlex
import stat
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

import click
from click.core import ParameterSource

from radius_smsotp import __version__
from radius_smsotp.cli import output, results
from radius_smsotp.cli.backup import archive, seal
from radius_smsotp.cli.backup.archive import Archive, Entry, Manifest
from radius_smsotp.cli.backup.command import contents, passphrase_option, raddb_option
from radius_smsotp.cli.check import raddb as check_raddb
from radius_smsotp.cli.ending import tidy
from radius_smsotp.cli.results import Results
from radius_smsotp.cli.site import PATIENCE, acting_as, existing_user, make_folder, store_files
from radius_smsotp.errors import SmsotpError, freeradius_user
from radius_smsotp.server import introduce
from radius_smsotp.settings import DEFAULT_PATH, file, keyring
from radius_smsotp.settings.file import Loaded
from radius_smsotp.store import Store, open_store, transfer
from radius_smsotp.store.schema import VERSIONS

State = Literal["made", "was there"]

Undo = contextlib.ExitStack
"""What takes back what was done, unless it is told to forget that."""


@click.command(short_help="Make a server from a backup, or one that joins the others.")
@click.argument("backup", metavar="FILE", type=click.Path(path_type=Path, readable=False))
@passphrase_option
@click.option("--join", is_flag=True, help="Use the store that is there.")
@raddb_option
@click.option(
    "--owner",
    metavar="USER",
    callback=existing_user,
    help="For root: who shall own it.  [default: who FreeRADIUS runs as]",
)
@results.told
@click.pass_context
def restore(
    ctx: click.Context,
    told: Results,
    backup: Path,
    passphrase: Callable[[], str],
    join: bool,
    folder: Path | None,
    owner: pwd.struct_passwd | None,
) -> None:
    """
    Make a server from a backup, where none is yet: nothing that is there is replaced.

    Files get to where they were; with --config, what lay beside the settings gets beside that file.
    They are made whole or not at all, and belong to the user that FreeRADIUS runs as.

    The store is as it was at the time of the backup, but that logins which waited for their code
    have ended, and emergency codes count no more: they may be spent since.

    With --join the store that is there stays as it is: a database, which a further server uses as
    well, or that of a server which has lost settings or key alone.  It has to know the key of the
    backup.

    \b
    Examples:
      smsotp restore /root/smsotp.backup
      smsotp restore /root/smsotp.backup --join
      smsotp --config ./site/smsotp.yaml restore smsotp.backup
    """
    if not backup.exists():
        raise SmsotpError(f"{backup} is not there")
    seal.program()
    with tidy(), tempfile.TemporaryDirectory(prefix="smsotp-") as place:
        opened = Path(place, "opened")
        seal.open_(backup, passphrase(), opened)
        kept = Archive(opened, backup)
        target = Target(kept.manifest, _config(ctx, kept.manifest), folder)
        target.owner = _owner(told, owner, target.settings)
        with Undo() as undo:
            states = _make_files(kept, target, undo)
            loaded = file.load(target.settings)
            if join:
                _join(kept.manifest, loaded, target)
            else:
                _fill(kept, loaded, target, undo)
            undo.pop_all()
    _tell(told, kept.manifest, target, states, loaded, joined=join)


def _config(ctx: click.Context, told: Manifest) -> Path:
    """Where the settings go: where somebody says so, or where they were."""
    assert ctx.parent is not None  # noqa: S101  # the group
    default = ctx.parent.get_parameter_source("config") is ParameterSource.DEFAULT
    given: Path = ctx.obj
    return told.settings if default else given.absolute()


class Target:
    """
    The machine that a backup is brought to.

    Args:
        told: What is in the backup.
        settings: The settings file.
        raddb: FreeRADIUS's configuration; None: as it was, or as this machine has it.

    Attributes:
        owner: Who shall own the files, None: whoever makes them.
    """

    owner: pwd.struct_passwd | None = None

    def __init__(self, told: Manifest, settings: Path, raddb: Path | None) -> None:
        self._told = told
        self.settings = settings
        self.raddb = raddb.absolute() if raddb else self._raddb()

    def _raddb(self) -> Path:
        if not self._told.raddb_is_ours:
            return check_raddb.place(self.settings)
        return self._moved(Path(self._told.raddb))

    def _moved(self, path: Path) -> Path:
        """What lay beside the settings is to lie there again."""
        before = self._told.settings.parent
        inside = path.is_relative_to(before)
        return self.settings.parent / path.relative_to(before) if inside else path

    def place(self, one: Entry) -> Path:
        """Where a file goes."""
        path = Path(one.path)
        if one.kind == "settings":
            return self.settings
        if one.kind == "raddb":
            return self.raddb / path.relative_to(self._told.raddb)
        return self._moved(path)

    def adapted(self, one: Entry, content: bytes) -> bytes:
        """What is in a file; settings name their folder of here."""
        before, after = self._told.settings.parent, self.settings.parent
        if one.kind != "settings" or before == after:
            return content
        path = rb"(?<![\w.-])" + re.escape(bytes(before)) + rb"(?=/)"
        return re.sub(path, lambda _: bytes(after), content)


def _owner(
    told: Results, wanted: pwd.struct_passwd | None, settings: Path
) -> pwd.struct_passwd | None:
    """Who shall own the files, None if they are to stay with whoever makes them."""
    user = wanted or freeradius_user()
    if os.geteuid() != 0:
        return None
    if user is None:
        told.note("No FreeRADIUS user is on this machine, so all of it stays root's.")
        return None
    nearest = next(one for one in settings.parents if one.exists())
    with acting_as(user):
        if os.access(nearest, os.X_OK):
            return user
    told.note(f"The user {user.pw_name} cannot reach {settings.parent}, so all of it stays root's.")
    return None


def _make_files(kept: Archive, target: Target, undo: Undo) -> dict[Path, State]:
    """Make the files of a backup.  Raises SmsotpError before the first one, if another is there."""
    told = kept.manifest
    wanted = {
        target.place(one): (one, target.adapted(one, kept.content(one))) for one in told.entries
    }
    if told.raddb and not told.raddb_is_ours and not (target.raddb / "radiusd.conf").exists():
        remedy = "install FreeRADIUS first, or name its configuration with --raddb"
        raise SmsotpError(f"{target.raddb} holds no radiusd.conf; {remedy}; nothing was changed")
    there = {path for path, (_, content) in wanted.items() if _is_there(path, content)}
    for path, (one, content) in wanted.items():
        if path not in there:
            _make(path, one, content, target.owner, undo)
    return {path: "was there" if path in there else "made" for path in wanted}


def _is_there(path: Path, content: bytes) -> bool:
    """Whether a file is there already, and is the same.  Raises SmsotpError if it is another."""
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        return False
    if found != content:
        remedy = f"move it away first, as to {path}.before"
        raise SmsotpError(f"{path} is there already, and is another one; {remedy}")
    return True


def _make(
    path: Path, one: Entry, content: bytes, owner: pwd.struct_passwd | None, undo: Undo
) -> None:
    _make_folder(path.parent, owner, undo)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    undo.callback(path.unlink)
    with os.fdopen(handle, "wb") as out:
        out.write(content)
        if owner is not None:
            # A program, say, that was root's stays so, if FreeRADIUS's user reads it all the same.
            is_roots = one.kind == "named" and one.of_root and one.mode & stat.S_IRGRP
            os.fchown(handle, 0 if is_roots else owner.pw_uid, owner.pw_gid)
        os.fchmod(handle, one.mode & ~0o022)
        out.flush()
        os.fsync(handle)


def _make_folder(folder: Path, owner: pwd.struct_passwd | None, undo: Undo) -> None:
    made = make_folder(folder)
    for one in made:
        undo.callback(one.rmdir)
    if made and owner is not None:
        os.chown(folder, owner.pw_uid, owner.pw_gid)


def _fill(kept: Archive, loaded: Loaded, target: Target, undo: Undo) -> None:
    """Bring the store back, into an empty place."""
    store = open_store(loaded.store_url, PATIENCE)
    if store.folder is not None:
        if store.exists():
            raise SmsotpError(f"{store.name} is there already; move it away first")
        _make_folder(store.folder, target.owner, undo)
        for path in store_files(loaded.store_url):
            undo.callback(path.unlink, missing_ok=True)
    elif store.exists():
        try:
            transfer.refuse_held(store)
        except transfer.NotEmptyError as error:
            raise SmsotpError(f"{error}; --join makes a further server on it, as it is") from None
        finally:
            store.close()
    with tempfile.TemporaryDirectory(prefix="smsotp-") as place:
        unpacked = Path(place, archive.STORE)
        kept.unpack_store(unpacked)
        if target.owner is not None:
            for one in (place, unpacked):
                os.chown(one, target.owner.pw_uid, target.owner.pw_gid)
        with (
            acting_as(target.owner),
            _open(f"sqlite:///{unpacked}") as here,
            _open(loaded.store_url) as there,
            output.progress("Restoring") as advance,
        ):
            transfer.copy(here, there, advance)
            introduce(keyring.read(loaded.key_path), loaded, there)


@contextlib.contextmanager
def _open(url: str) -> Iterator[Store]:
    """A store, made if it is not there, or brought to this version."""
    store = open_store(url, PATIENCE)
    try:
        store.migrate()
        yield store
    finally:
        store.close()


def _join(told: Manifest, loaded: Loaded, target: Target) -> None:
    """See that the store is there, and has no key that this server has not."""
    with acting_as(target.owner):
        keys = keyring.read(loaded.key_path)
        store = open_store(loaded.store_url, PATIENCE)
        if not store.exists():
            fault, remedy = "is empty", "without --join the backup's content goes in"
            if store.folder is not None:
                fault = "is not there, and a file of SQLite is for one server alone"
                remedy = "move that to PostgreSQL ('smsotp store copy'), and make another backup"
            raise SmsotpError(f"{store.name} {fault}; {remedy}")
        if store.folder is None and told.schema < len(VERSIONS):
            # To open the store would bring it forward, under the others.
            fault = f"the other servers have version {told.version}, with schema {told.schema}"
            remedy = f"bring all to this one, {__version__} with {len(VERSIONS)}, and back up again"
            raise SmsotpError(f"{fault}; {remedy}")
        with _open(loaded.store_url) as there:
            with there.read() as tx:
                known = tx.known_keys()
            introduce(keys, loaded, there)
    if lacking := [name for one, name in known.items() if one not in keys.fingerprints]:
        fault = f"the store is used with a key that is not in the backup ({lacking[-1]})"
        raise SmsotpError(f"{fault}; make a new one on the first server")


def _tell(
    told: Results,
    manifest: Manifest,
    target: Target,
    states: dict[Path, State],
    loaded: Loaded,
    *,
    joined: bool,
) -> None:
    """What was done, what has ended, and what comes next."""
    for path, state in states.items():
        told.add(path, "made" if state == "made" else "ok", f"{state:<9}  {path}")
    store = open_store(loaded.store_url).name
    if joined:
        told.add(store, "ok", f"was there  {store}")
    else:
        line = f"made       {store} ({contents(manifest)})"
        told.add(store, "made", line, rows=manifest.rows)
        since = output.local(datetime.fromisoformat(manifest.made_at))
        logins = output.many(manifest.open_challenges, "login")
        codes = output.many(manifest.emergency_codes, "emergency code")
        told.note(f"As it was on {since}; ended: {logins} that waited for a code, {codes}.")
    quoted = shlex.quote(str(target.settings))
    own = "" if target.settings == DEFAULT_PATH else f" --config {quoted}"
    how = "create" if manifest.raddb_is_ours else "install --raddb"
    told.note(f"Next: smsotp{own} raddb {how} {target.raddb}")
    told.note(f"      smsotp{own} check")
