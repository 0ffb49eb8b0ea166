"""``smsotp init``: settings, key and store, made where they are not there yet."""

from __future__ import annotations

import contextlib
import functools
import grp
import json
import os
import pwd
import re
import shlex
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import click

from radius_smsotp.cli import output, results
from radius_smsotp.cli.results import Results
from radius_smsotp.cli.site import (
    BRING_BACK,
    ENDS,
    PATIENCE,
    acting_as,
    existing_user,
    invocation,
    make_folder,
    store_files,
)
from radius_smsotp.cli.user import bulk
from radius_smsotp.errors import ConfigurationError, Problem, SmsotpError, freeradius_user
from radius_smsotp.raddb import files as raddb_files
from radius_smsotp.server import introduce, strange_key
from radius_smsotp.settings import DEFAULT_PATH, keyring, whole_file
from radius_smsotp.settings import file as settings_file
from radius_smsotp.settings.file import Loaded
from radius_smsotp.settings.keyring import Keyring
from radius_smsotp.store import open_store

SETTINGS = "smsotp.yaml"
KEY = "key"
STORE = "smsotp.db"
OURS = {SETTINGS, KEY, STORE, *(f"{STORE}{end}" for end in ENDS), "outbox"}
"""What a folder may hold that is given away as a whole."""

UNITS = "systemd"
"""Where our units are among `raddb_files.folder`, as Debian needs them: a package of the system has
them where systemd looks, and not there."""

LONGEST_WAIT, AGAIN_SECONDS = 3600, 1.0
"""For a database, and between two attempts."""


@click.command()
@click.argument(
    "folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False, readable=False)
)
@click.option(
    "--owner",
    metavar="USER",
    callback=existing_user,
    help="For root: who shall own all of it.  [default: who FreeRADIUS runs as]",
)
@click.option("--store", metavar="URL", help=f"Where to keep the data.  [default: DIR/{STORE}]")
@click.option(
    "--new-key",
    is_flag=True,
    help="Make a key though the store was used with another one, which is lost.",
)
@click.option(
    "--upgrade",
    is_flag=True,
    help="Make nothing: bring a store that is there to this version.",
)
@click.option(
    "--wait",
    type=click.IntRange(0, LONGEST_WAIT),
    default=0,
    metavar="SECONDS",
    help="So long at most for a database that cannot be reached yet.",
)
@click.option(
    "--units",
    metavar="FOLDER",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Put our units for systemd there, as in /etc/systemd/system; each is off until enabled.",
)
@results.told
def init(
    told: Results,
    folder: Path,
    owner: pwd.struct_passwd | None,
    store: str | None,
    new_key: bool,
    upgrade: bool,
    wait: int,
    units: Path | None,
) -> None:
    """
    Make settings, key and store in DIR.

    What is there already stays as it is, so this may be run again at any time.  The settings
    are the annotated example of all of them; their provider writes messages into a folder.

    All servers of a store have one key: for a second one it is copied, not made.  With --new-key
    the open challenges end, and servers with the key of before do not start.  PINs that were sealed
    with that are lost, and have to be set again: the key file is in each 'smsotp backup'.

    \b
    Examples:
      smsotp init /etc/radius-smsotp
      smsotp init /etc/radius-smsotp --units /etc/systemd/system
      smsotp init ./site
      smsotp init /etc/radius-smsotp --store postgresql://smsotp@db/smsotp
    """
    for name, is_given in (("--new-key", new_key), ("--units", units)):
        if upgrade and is_given:
            raise click.UsageError(f"--upgrade and {name} exclude each other")
    folder = folder.absolute()
    settings = folder / SETTINGS
    if upgrade:
        settings_file.load(settings)
    if store is not None:
        # In new settings, what is no store would stand in the way.
        open_store(settings_file.absolute_store(store, folder))
    is_new = bool(make_folder(folder))
    ours = [folder] if is_new or {path.name for path in folder.iterdir()} <= OURS else []
    # Settings of somebody else may name any path: what they ask for is made with their rights.
    keeper = _keeper(settings)
    user = _owner(told, owner, folder, keeper)
    _make_settings(told, settings, store or f"sqlite:///{folder / STORE}", folder / KEY)
    loaded = settings_file.load(settings)
    if store is not None and loaded.values.store != store:
        there = open_store(loaded.store_url).name
        fault = f"{settings} names another store already: {there}"
        if not upgrade:
            raise SmsotpError(f"{fault}; change 'store' in it, or leave --store out")
        other = open_store(settings_file.absolute_store(store, folder)).name
        copy = f"smsotp store copy {shlex.quote(there)} {shlex.quote(other)}"
        told.note(f"{fault}; that stays in use.  To move: {copy}; then change 'store' in it")
    with acting_as(keeper):
        _await(loaded, wait)
        if upgrade:
            _refuse_absent(loaded)
        _refuse_second_key(loaded, new_key=new_key)
        is_made = _make(told, loaded.key_path, lambda: keyring.create(loaded.key_path))
        keys = keyring.read(loaded.key_path)
        ours += [settings, loaded.key_path, *_make_store(told, loaded, keys)]
    if upgrade:
        return
    if is_made:
        told.note(
            f"{loaded.key_path} seals the PINs.  Without it no PIN can be checked: it is in each "
            "'smsotp backup'."
        )
    if user is not None:
        _give(ours, user)
        told.note(f"All of it belongs to the user {user.pw_name}.")
        if folder not in ours:
            told.note(f"{folder} holds other files too: let {user.pw_name} write there yourself.")
    if units is not None:
        _make_units(told, units, loaded)
    named = "" if settings == DEFAULT_PATH else f" --config {shlex.quote(str(settings))}"
    told.note(f"Next: smsotp{named} user add NAME --phone NUMBER")


def _keeper(settings: Path) -> pwd.struct_passwd | None:
    """Who settings that are there belong to, None if there are none."""
    try:
        return pwd.getpwuid(settings.stat().st_uid)
    except FileNotFoundError:
        return None
    except KeyError:
        raise SmsotpError(f"{settings} belongs to a user that has no name here") from None


def _owner(
    told: Results,
    wanted: pwd.struct_passwd | None,
    folder: Path,
    keeper: pwd.struct_passwd | None,
) -> pwd.struct_passwd | None:
    """Who is to get the files, None if they stay whose they are."""
    if os.geteuid() != 0 or (keeper is not None and keeper.pw_uid != 0):
        holder = keeper or pwd.getpwuid(os.geteuid())
        if wanted is not None and wanted.pw_uid != holder.pw_uid:
            raise SmsotpError(f"{folder} is of {holder.pw_name}; as root, chown it yourself")
        return None
    if wanted is not None:
        return wanted
    user = freeradius_user()
    if user is None:
        told.note("No FreeRADIUS user is on this machine, so all of it stays root's.")
        return None
    with acting_as(user):
        if os.access(folder.parent, os.X_OK):
            return user
    told.note(f"The user {user.pw_name} cannot reach {folder}, so all of it stays root's.")
    return None


def _make_settings(told: Results, path: Path, store: str, key: Path) -> None:
    text = (raddb_files.folder() / SETTINGS).read_text(encoding="utf-8")
    # A JSON string is a YAML string, whatever the path is like.
    for name, value in (("store", store), ("key_file", str(key))):
        line = f"{name}: {json.dumps(value)}"
        text = re.sub(rf"(?m)^{name}: .*$", line.replace("\\", r"\\"), text)
    _make(told, path, lambda: whole_file.create(path, text, 0o640))


def _make(told: Results, path: Path, create: Callable[[], None]) -> bool:
    """Make a file that is not there yet, and say which it was.  Returns whether it was made."""
    try:
        create()
    except FileExistsError:
        told.add(path, "ok", f"was there  {path}")
        return False
    told.add(path, "made", f"made       {path}")
    return True


def _await(loaded: Loaded, seconds: int) -> None:
    """Wait for a database that cannot be reached yet.  Raises ConfigurationError at the end."""
    until = time.monotonic() + seconds
    is_told = False
    while True:
        try:
            open_store(loaded.store_url, PATIENCE).exists()
        except ConfigurationError as error:
            if not error.passing or time.monotonic() >= until:
                raise
            if not is_told:
                click.echo(f"smsotp: {error}; tried again for {seconds} s", err=True)
            is_told = True
        else:
            return
        time.sleep(AGAIN_SECONDS)


def _refuse_absent(loaded: Loaded) -> None:
    """Raise ConfigurationError where the key or the store that was used has gone."""
    keyring.read(loaded.key_path)
    store = open_store(loaded.store_url, PATIENCE)
    if not store.exists():
        remedy = f"{BRING_BACK}, or make a new one: 'smsotp init {loaded.path.parent}'"
        raise ConfigurationError([Problem(store.name, "is not there", remedy)])


def _refuse_second_key(loaded: Loaded, *, new_key: bool) -> None:
    """Raise ConfigurationError before a key is made that the servers of the store do not have."""
    store = open_store(loaded.store_url, PATIENCE)
    if loaded.key_path.exists() or not store.exists():
        return
    with contextlib.closing(store):
        store.migrate()
        with store.write(durable=True) as tx:
            known = tx.known_keys()
            if known and not new_key:
                raise ConfigurationError([strange_key(loaded, known)])
            for key_id in known.values():
                tx.forget_key(key_id)
            if known:
                tx.end_challenges()


def _make_store(told: Results, loaded: Loaded, keys: Keyring) -> list[Path]:
    """Make the store, or bring its schema to this version.  Returns the files of it."""
    store = open_store(loaded.store_url, PATIENCE)
    there = store.exists()
    made = store.folder is not None and bool(make_folder(store.folder))
    store.migrate()
    introduce(keys, loaded, store)
    sealed = bulk.seal(store, keys)
    left = bulk.sealed(store)
    store.close()
    line = f"{'was there' if there else 'made     '}  {store.name}"
    told.add(store.name, "ok" if there else "made", line)
    if sealed:
        line = f"PINs sealed with {keys.sealing}: {sealed}"
        told.add(keys.sealing, "sealed", line, pins=sealed)
    if lost := sum(left[key_id] for key_id in left.keys() - keys.pin_keys.keys()):
        them = "it" if lost == 1 else "them"
        more = f"sealed with a key that is not here; 'smsotp check' names {them}"
        told.note(f"{output.many(lost, 'PIN')} {more}")
    if store.folder is None:
        return []
    files = store_files(loaded.store_url)
    return [store.folder, *files] if made else files


def _make_units(told: Results, folder: Path, loaded: Loaded) -> None:
    """Write our units: they start this program, with these settings, as who can read the key."""
    source = raddb_files.folder() / UNITS
    if not source.is_dir():
        raise SmsotpError("the package has brought the units already; leave --units out")
    user = pwd.getpwuid(loaded.key_path.stat().st_uid)
    called = invocation()
    if loaded.path != DEFAULT_PATH:
        called += ["--config", str(loaded.path)]
    there = loaded.path.parent
    places = dict.fromkeys([there, open_store(loaded.store_url).folder or there])
    values = {
        "/usr/local/bin/smsotp ": f"{_unit_words(called)} ".replace("$", "$$"),
        "User=freerad\n": f"User={user.pw_name}\n",
        "Group=freerad\n": f"Group={grp.getgrgid(user.pw_gid).gr_name}\n",
        "ReadWritePaths=/etc/radius-smsotp ": f"ReadWritePaths={_unit_words(places)} ",
    }
    for unit in sorted(source.iterdir()):
        text = unit.read_text(encoding="utf-8")
        for old, new in values.items():
            text = text.replace(old, new)
        path = folder / unit.name
        _make(told, path, functools.partial(whole_file.create, path, text, 0o644))


def _unit_words(words: Iterable[str | Path]) -> str:
    """As a unit has them: systemd.syntax(7), "Quoting"; systemd.unit(5), "Specifiers"."""
    texts = (str(word).replace("%", "%%") for word in words)
    return " ".join(
        text if re.fullmatch(r"[\w./%-]+", text) else json.dumps(text, ensure_ascii=False)
        for text in texts
    )


def _give(paths: Iterable[Path], user: pwd.struct_passwd) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            # A link is given away itself: what it points to may be anybody's.
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
