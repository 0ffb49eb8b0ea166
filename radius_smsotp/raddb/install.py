"""
Puts our files where FreeRADIUS reads them.

`create` makes a whole raddb that runs as it is; `install` adds ours to one that is there.  Either
as often as wanted: files that nobody has edited come to this version, others stay.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from radius_smsotp.errors import SmsotpError
from radius_smsotp.raddb import certificates, files
from radius_smsotp.raddb import clients as raddb_clients
from radius_smsotp.raddb.freeradius import FreeRadius
from radius_smsotp.settings import whole_file

GTC_PORT = 11812
"""On the loopback address: where the tunnels of Wi-Fi end (see ``sites-available/smsotp-gtc``)."""

MODULES = ("always", "attr_filter", "chap", "detail", "expr", "mschap", "pap")

OWN_FILES = (
    "access_reject",
    "smsotp_status_server",
    "accounting_response",
    files.DICTIONARY,
    *(f"mods-enabled/{name}" for name in MODULES),
)
"""What a stock raddb has, as far as we need it; filled in with nothing."""


@dataclass
class Installation:
    """What was done: paths within raddb."""

    written: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    edited: list[str] = field(default_factory=list)


def create(
    folder: Path,
    settings: Path,
    server: FreeRadius,
    *,
    port: int = 1812,
    acct_port: int | None = None,
    secret: str | None = None,
    clients: Iterable[str] = ("127.0.0.0/8",),
    listen: Iterable[str] = (),
    gtc_port: int = GTC_PORT,
    name: str | None = None,
    database: bool = False,
    signed_local: bool = False,
) -> Installation:
    """
    Make a whole raddb in an empty or new folder, or bring one that it has made to this version.

    Args:
        settings: The YAML file that its module reads.
        port: UDP port.
        acct_port: The one for accounting; by default the next one.
        secret: Shared by the server and all clients; ``$ENV{NAME}`` is read from the environment
            when FreeRADIUS starts.  None: the one in ``clients.conf``, or a random one.
        clients: Addresses and networks that may ask.
        listen: Addresses to listen on; by default the loopback address, or any if a client is
            beyond it.
        gtc_port: Another port, on the loopback address, where the tunnels of Wi-Fi end.
        name: Of the server, in its certificate; by default the one that its authority was made for,
            or this host's.
        database: What the store is: see `files.instance_links`.
        signed_local: Whether requests of this machine must be signed.

    Raises:
        ValueError: A client or an address is none, or FreeRADIUS cannot read folder or secret.
        SmsotpError: There is something else in the folder, or no certificate could be made, or see
            `raddb.files.refuse_old`.
    """
    folder = folder.absolute()
    if any(map(str.isspace, str(folder))):
        raise ValueError(f"FreeRADIUS reads no configuration in '{folder}': the path holds a blank")
    networks = raddb_clients.networks(clients)
    ports = {"auth": port, "acct": acct_port or port + 1}
    values = {
        "RADDB": str(folder),
        "LIBDIR": server.libdir,
        "LISTEN": raddb_clients.listen(listen, networks, ports),
    }
    texts = {"radiusd.conf": files.text("radiusd.conf", values)}
    texts |= {name: files.text(name, {}) for name in OWN_FILES}
    secret = secret or raddb_clients.secret_in(folder / "clients.conf") or secrets.token_urlsafe(24)
    texts["clients.conf"] = raddb_clients.text(
        networks, secret, auto=server.limits_proxy_state, signed_local=signed_local
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    _make(folder)
    if any(folder.iterdir()) and not (folder / files.MANIFEST).exists():
        raise SmsotpError(f"{folder} is not empty; name a new folder")
    for part in ("log", "run", "mods-enabled", "sites-enabled", "mods-config"):
        _make(folder / part)
    # For the TLS sessions of Wi-Fi, if their cache is enabled (see mods-available/eap_smsotp).
    _make(folder / "log" / "tlscache", 0o700)
    with _Raddb(folder) as raddb:
        raddb.drop_workers(gtc_port)
        for file, text in texts.items():
            raddb.put(file, text)
        raddb.add_ours(settings, server, database=database)
        raddb.add_wifi(gtc_port, name)
    return raddb.done


def install(
    raddb: Path,
    settings: Path,
    server: FreeRadius,
    *,
    wifi: bool = True,
    gtc_port: int = GTC_PORT,
    name: str | None = None,
    database: bool = False,
) -> Installation:
    """
    Add our files to a raddb, or bring those that nobody has edited to this version.

    Args:
        wifi: Enable what Wi-Fi needs, and make its certificate and secret where there is none.
        gtc_port: See `create`; without effect once the secret is there.
        name: See `create`; without effect once the certificate is there.
        database: See `create`.

    Raises:
        SmsotpError: There is no raddb at that path, or no certificate could be made, or see
            `raddb.files.refuse_old`; or it has several processes, which `create` makes one of.
        PermissionError: This user may not write there.
    """
    folder = files.find(raddb)
    if files.has_workers(folder):
        remedy = (
            f"'smsotp raddb create {folder}', with its other options, makes one process of them"
        )
        fault = f"{folder} has workers behind a front, which are no more"
        raise SmsotpError(f"{fault}; {remedy}; nothing was changed")
    with _Raddb(folder) as extended:
        extended.add_ours(settings, server, database=database)
        if wifi:
            extended.add_wifi(gtc_port, name)
    return extended.done


def _make(folder: Path, mode: int = 0o750) -> None:
    """
    Make a folder where there is none.

    Whatever the umask is: FreeRADIUS does not start if others may write there, and its user, whose
    group raddb may be of, has to get in.
    """
    if not folder.exists():
        folder.mkdir()
        folder.chmod(mode)


class _Raddb:
    """
    A raddb that files are put into; its manifest is written at the end, however that comes.

    Attributes:
        done: What was done so far.
    """

    def __init__(self, folder: Path) -> None:
        files.refuse_old(folder)
        self._folder = folder
        self._manifest = files.manifest(folder)
        self.done = Installation()

    def __enter__(self) -> _Raddb:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with contextlib.suppress(OSError) if kind else contextlib.nullcontext():
            text = json.dumps(self._manifest, indent=1, sort_keys=True)
            self._write(files.MANIFEST, f"{text}\n")

    def drop_workers(self, gtc_port: int) -> None:
        """
        What an earlier version has made for several processes, if it has.

        Raises:
            SmsotpError: The front was edited: what is new in it would be lost.
        """
        if not files.has_workers(self._folder):
            return
        front = self._folder / "radiusd.conf"
        if front.exists() and files.digest(front.read_bytes()) != self._manifest["radiusd.conf"]:
            fault = f"{front} is the front of several workers, which are no more, and was edited"
            raise SmsotpError(f"{fault}; move it away, and run this again; nothing was changed")
        for name in [*filter(files.WORKERS.fullmatch, self._manifest), files.WORKERS_SECRET]:
            path, written = self._folder / name, self._manifest.pop(name, None)
            if not path.exists():
                continue
            if written is None or files.digest(path.read_bytes()) == written:
                path.unlink()
                self.done.removed.append(name)
            else:
                self.done.edited.append(name)
        gtc = self._folder / files.GTC
        own = f"smsotp_gtc_port = {gtc_port}"
        text = re.sub("(?m)^smsotp_gtc_port = .*", own, gtc.read_text(encoding="utf-8"))
        self._write(files.GTC, text)

    def add_ours(self, settings: Path, server: FreeRadius, *, database: bool) -> None:
        """What every raddb needs."""
        values = files.values(settings)
        for name in files.FILES:
            self.put(name, files.text(name, values))
        self._link(files.LINKS)
        wanted = files.instance_links(server, database=database)
        self._link(wanted)
        self._unlink(set(files.INSTANCE_LINKS) - set(wanted))
        self._include()

    def add_wifi(self, gtc_port: int, name: str | None) -> None:
        """What Wi-Fi needs; see `create`."""
        # Between the tunnels and our site.
        own = f'smsotp_gtc_port = {gtc_port}\nsmsotp_gtc_secret = "{secrets.token_hex(24)}"\n'
        self.put_once(files.GTC, own)
        place = self._folder / files.CERTIFICATES
        self._make(place)
        for path in certificates.ensure(place, name):
            self._give(path)
            self.done.written.append(str(path.relative_to(self._folder)))
        self._let_in(place / "server.key")
        self._link(files.WIFI_LINKS)

    def put(self, name: str, text: str) -> None:
        """A file of this version, unless somebody has edited the one that is there."""
        state = files.state(self._folder / name, self._manifest.get(name), text)
        if state in {"edited", "edited and older"}:
            self.done.edited.append(name)
            return
        if state == "current":
            self.done.unchanged.append(name)
        else:
            self._make((self._folder / name).parent)
            self._write(name, text)
            self.done.written.append(name)
        self._manifest[name] = files.digest(text.encode())

    def put_once(self, name: str, text: str) -> None:
        """A file with a secret: made where there is none, and never changed afterwards."""
        path = self._folder / name
        if path.exists():
            if not self._let_in(path):
                self.done.unchanged.append(name)
            return
        self._make(path.parent)
        self._write(name, text, 0o600)
        self.done.written.append(name)
        self._let_in(path)

    def _link(self, names: Iterable[str]) -> None:
        """Enable files, as Debian does: by links into …-available."""
        for name in names:
            path = self._folder / name
            if path.is_symlink() or path.exists():
                self.done.unchanged.append(name)
                continue
            self._make(path.parent)
            path.symlink_to(files.target(name))
            self.done.written.append(name)

    def _unlink(self, names: Iterable[str]) -> None:
        """Disable what was enabled for another store, or another version of FreeRADIUS."""
        for name in sorted(names):
            if (self._folder / name).is_symlink():
                (self._folder / name).unlink()
                self.done.removed.append(name)

    def _include(self) -> None:
        """Let the dictionary of raddb include ours."""
        path = self._folder / files.DICTIONARY
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if files.INCLUDE in map(str.strip, text.splitlines()):
            self.done.unchanged.append(files.DICTIONARY)
            return
        if text and not text.endswith("\n"):
            text += "\n"
        self._write(files.DICTIONARY, f"{text}{files.INCLUDE}\n")
        self.done.written.append(files.DICTIONARY)

    def _write(self, name: str, text: str, mode: int = 0o640) -> None:
        """Write a file, readable for its owner and group if it is new: it may hold secrets."""
        path = self._folder / name
        new = not path.exists()
        whole_file.write(path, text, mode if new else 0o777)
        if new:
            path.chmod(mode)
        self._give(path)

    def _make(self, folder: Path) -> None:
        """A folder within raddb, and those around it."""
        if not folder.exists():
            self._make(folder.parent)
            _make(folder)
            self._give(folder)

    def _let_in(self, path: Path) -> bool:
        """
        Let the group of a secret read it where raddb is root's, as Red Hat, SUSE and Alpine have
        it: FreeRADIUS's user is in that group.  Returns whether it could not before.
        """
        status = self._folder.stat()
        mode = path.stat().st_mode if path.exists() else stat.S_IRGRP
        if os.geteuid() != 0 or status.st_uid != 0 or status.st_gid == 0 or mode & stat.S_IRGRP:
            return False
        self._give(path)
        path.chmod(0o640)
        name = str(path.relative_to(self._folder))
        if name not in self.done.written:
            self.done.written.append(name)
        return True

    def _give(self, path: Path) -> None:
        """Give a file the owner and group of raddb, so that FreeRADIUS's user can read it."""
        if os.geteuid() == 0:
            status = self._folder.stat()
            os.chown(path, status.st_uid, status.st_gid)
