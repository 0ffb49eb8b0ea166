"""What commands work with: the settings, the key and the store of one installation."""

from __future__ import annotations

import contextlib
import os
import pwd
import sys
from collections.abc import Callable, Iterator
from functools import cached_property, wraps
from pathlib import Path
from typing import Concatenate, ParamSpec

import click

from radius_smsotp.errors import ConfigurationError, Problem
from radius_smsotp.server import introduce
from radius_smsotp.settings import file, keyring, last_good
from radius_smsotp.settings.file import Loaded
from radius_smsotp.settings.keyring import Keyring
from radius_smsotp.store import Store, open_store

PATIENCE = 10.0
"""Seconds to wait for the store: a person at a terminal rather waits than starts again."""


BRING_BACK = "bring it back from a backup ('smsotp restore')"
"""Who has lost a store does not want an empty one."""


def invocation() -> list[str]:
    """How this program is called; ``-m`` does not find where packages of Debian keep it."""
    called = Path(sys.argv[0]).absolute()
    return [str(called)] if called.name == "smsotp" else [sys.executable, "-m", "radius_smsotp"]


class Site:
    """
    One installation, read as far as a command needs it.

    Args:
        config: The settings file.
        lenient: Take the last settings that worked where those in the file do not.

    Attributes:
        is_outdated: Whether that was so.

    Raises:
        ConfigurationError: From each property: what it stands for cannot be used.
    """

    def __init__(self, config: Path, *, lenient: bool = False) -> None:
        self._config = config
        self._lenient = lenient
        self.is_outdated = False

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the store, if it was opened."""
        if "opened" in self.__dict__:
            self.opened.close()

    @cached_property
    def loaded(self) -> Loaded:
        """The settings."""
        if not self._lenient:
            return file.load(self._config)
        found = last_good.working(self._config)
        self.is_outdated = bool(found.problems)
        return found.loaded

    @cached_property
    def opened(self) -> Store:
        """The store, which must be there: if we made it here, it would be of the wrong user."""
        store = open_store(self.loaded.store_url, PATIENCE)
        if not store.exists():
            remedy = f"{BRING_BACK}, or make a new one: 'smsotp init {self.loaded.path.parent}'"
            raise ConfigurationError([Problem(store.name, "is not there", remedy)])
        return store

    @cached_property
    def store(self) -> Store:
        """The same, brought to this version."""
        self.opened.migrate()
        return self.opened

    @cached_property
    def keys(self) -> Keyring:
        """The keys, which must be those that the store is used with."""
        keys = keyring.read(self.loaded.key_path)
        introduce(keys, self.loaded, self.store)
        return keys

    @property
    def owner(self) -> pwd.struct_passwd | None:
        """Who the key belongs to, and so who FreeRADIUS runs as; None if there is no such user."""
        try:
            return pwd.getpwuid(self.loaded.key_path.stat().st_uid)
        except (OSError, KeyError):
            return None


def make_folder(folder: Path) -> list[Path]:
    """
    Make a folder with its parents, whatever the umask is: FreeRADIUS's user has to get there.

    Returns:
        What was made, the outermost first; itself, for its owner and group alone, last.
    """
    made = [one for one in (*folder.parents[::-1], folder) if not one.exists()]
    for one in made:
        one.mkdir()
        one.chmod(0o750 if one == folder else 0o755)
    return made


ENDS = ("-wal", "-shm", "-mark", "-reserve")
"""Of the files beside a store of SQLite."""


def store_files(url: str) -> list[Path]:
    """The files of a store, there or not; none of a database."""
    scheme, _, path = url.partition("://")
    return [Path(f"{path}{end}") for end in ("", *ENDS)] if scheme == "sqlite" else []


P = ParamSpec("P")


def pass_site(command: Callable[Concatenate[Site, P], None]) -> Callable[P, None]:
    """Hand a command its site, and close that when the command is done."""

    @click.pass_obj
    @wraps(command)
    def run(config: Path, /, *args: P.args, **options: P.kwargs) -> None:
        with Site(config) as site:
            command(site, *args, **options)

    return run


def existing_user(
    ctx: click.Context, parameter: click.Parameter, name: str | None
) -> pwd.struct_passwd | None:
    """Read an option that names a user of this machine."""
    try:
        return None if name is None else pwd.getpwnam(name)
    except KeyError:
        raise click.BadParameter(f"there is no user '{name}'") from None


@contextlib.contextmanager
def acting_as(user: pwd.struct_passwd | None) -> Iterator[None]:
    """
    Do what follows with the rights of `user`, if we are root; else with our own.

    What works then works for FreeRADIUS as well, and what is made then belongs to its user.
    """
    if user is None or user.pw_uid == 0 or os.geteuid() != 0:
        yield
        return
    groups, group, home = os.getgroups(), os.getegid(), os.environ.get("HOME")
    # The saved id stays root, for the way back.  The real one changes too: a shell that finds
    # it different from the effective one goes back to it, which would be root.
    os.setgroups(os.getgrouplist(user.pw_name, user.pw_gid))
    os.setresgid(user.pw_gid, user.pw_gid, group)
    os.setresuid(user.pw_uid, user.pw_uid, 0)
    # Where libpq looks for a password.
    os.environ["HOME"] = user.pw_dir
    try:
        yield
    finally:
        if home is None:
            del os.environ["HOME"]
        else:
            os.environ["HOME"] = home
        os.setresuid(0, 0, 0)
        os.setresgid(group, group, group)
        os.setgroups(groups)
