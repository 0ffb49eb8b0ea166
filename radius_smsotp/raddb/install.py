"""
Puts the files under ``freeradius/`` where FreeRADIUS reads them.

`create` makes a whole raddb that runs as it is; `install` adds ours to one that is there.  Either
as often as wanted: files that nobody has edited come to this version, others stay.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import socket
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from radius_smsotp.raddb import certificates, files, workers
from radius_smsotp.raddb import clients as raddb_clients

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from radius_smsotp.raddb.freeradius import FreeRadius

MANIFEST = ".smsotp.json"
"""In raddb: file to SHA-256 of what we wrote, by which an edited file is told from ours."""

FILES = (
    "dictionary.smsotp",
    # Not "smsotp": a stock raddb has a file of that name, for an older module, rlm_smsotp.
    "mods-available/eap_smsotp",
    "mods-available/python3_smsotp",
    "mods-available/python3_smsotp_delivery",
    "mods-available/python3_smsotp_disk",
    "policy.d/smsotp",
    "policy.d/smsotp_first_factor",
    "sites-available/smsotp",
    "sites-available/smsotp-gtc",
    "sites-available/smsotp-inner-tunnel",
)
LINKS = ("mods-enabled/python3_smsotp", "sites-enabled/smsotp")
WIFI_LINKS = (
    "mods-enabled/eap_smsotp",
    "sites-enabled/smsotp-gtc",
    "sites-enabled/smsotp-inner-tunnel",
)
WAITING_LINKS = ("mods-enabled/python3_smsotp_delivery", "mods-enabled/python3_smsotp_disk")
"""Of the instances in which logins wait, where FreeRADIUS runs several."""
INCLUDE = "$INCLUDE dictionary.smsotp"

CERTIFICATES = "certs/smsotp"
GTC = "mods-config/smsotp/gtc"
GTC_PORT = 11812
"""On the loopback address: where the tunnels of Wi-Fi end (see ``sites-available/smsotp-gtc``)."""

WORKER_PORT = 12812
"""On the loopback address, of the first worker behind a front (see `raddb.workers`)."""

RETURN_CODES = ("handled", "reject", "updated")
"""Instances of `always` that the policy calls; a stock raddb has them."""

OWN_MODULES = {
    "always": "".join(f"always {name} {{\n\trcode = {name}\n}}\n" for name in RETURN_CODES),
    "chap": "chap {\n}\n",
    "mschap": "mschap {\n}\n",
    "pap": "pap {\n\tnormalise = no\n}\n",
    "attr_filter": "attr_filter attr_filter.access_reject {\n"
    '\tkey = "%{User-Name}"\n\tfilename = ${confdir}/access_reject\n}\n',
}
OWN_FILES = {
    "access_reject": "DEFAULT\n"
    "\tEAP-Message =* ANY,\n\tState =* ANY,\n\tMessage-Authenticator =* ANY,\n"
    "\tReply-Message =* ANY,\n\tMS-CHAP-Error =* ANY,\n\tProxy-State =* ANY\n",
    "dictionary": f"{INCLUDE}\n",
}


@dataclass
class Report:
    """What was done: paths within raddb."""

    written: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    edited: list[str] = field(default_factory=list)


def create(
    folder: Path,
    settings: Path,
    server: FreeRadius,
    *,
    port: int = 1812,
    secret: str | None = None,
    clients: Iterable[str] = ("127.0.0.0/8",),
    listen: Iterable[str] = (),
    gtc_port: int = GTC_PORT,
    name: str | None = None,
    worker_ports: Sequence[int] = (),
) -> Report:
    """
    Make a whole raddb in an empty or new folder, or bring one that it has made to this version.

    Args:
        settings: The YAML file that its module reads.
        port: UDP port.
        secret: Shared by the server and all clients; ``$ENV{NAME}`` is read from the environment
            when FreeRADIUS starts.  None: the one in ``clients.conf``, or a random one.
        clients: Addresses and networks that may ask.
        listen: Addresses to listen on; by default the loopback address, or any if a client is
            beyond it.
        gtc_port: Another port, on the loopback address, where the tunnels of Wi-Fi end.
        name: Of the server, in its certificate; by default this host's.
        worker_ports: Ports on the loopback address, one for each worker behind the server; see
            `raddb.workers`.  The n-th one's tunnels end at the n-th port after `gtc_port`.

    Raises:
        ValueError: A client or an address is none, or FreeRADIUS cannot read folder or secret.
        FileExistsError: There is something else in the folder.
        SmsotpError: No certificate could be made, or see `raddb.files.refuse_old`.
    """
    folder = folder.absolute()
    if any(map(str.isspace, str(folder))):
        raise ValueError(f"FreeRADIUS reads no configuration in '{folder}': the path holds a blank")
    networks = raddb_clients.networks(clients)
    values = {
        "RADDB": str(folder),
        "LIBDIR": str(server.libdir),
        "LISTEN": raddb_clients.listen(listen, networks, port),
        "NAME": "name = smsotp",
        "CLIENTS": "clients.conf",
        "REJECT_DELAY": "1",
    }
    values |= _values(settings)
    if worker_ports:
        values["LISTEN"] = raddb_clients.listen(listen, networks, port, "smsotp-front")
        texts = workers.files(values, worker_ports, gtc_port)
        gtc: int | str = workers.GTC_PORT_VARIABLE
    else:
        texts = {"radiusd.conf": files.text("radiusd.conf", values)}
        gtc = gtc_port
    texts |= OWN_FILES
    texts |= {f"mods-enabled/{module}": text for module, text in OWN_MODULES.items()}
    secret = secret or raddb_clients.secret_in(folder / "clients.conf") or secrets.token_urlsafe(24)
    texts["clients.conf"] = raddb_clients.text(networks, secret, guard=server.limits_proxy_state)
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    if any(folder.iterdir()) and not (folder / MANIFEST).exists():
        raise FileExistsError(f"{folder} is not empty; name a new folder")
    for part in ("log", "run", "mods-enabled", "sites-enabled", "mods-config"):
        (folder / part).mkdir(exist_ok=True)
    # For the TLS sessions of Wi-Fi, if their cache is enabled (see mods-available/eap_smsotp).
    (folder / "log" / "tlscache").mkdir(mode=0o700, exist_ok=True)
    report = Report()
    manifest = read_manifest(folder)
    files.refuse_old(folder, manifest)
    for file, text in texts.items():
        _install_file(folder, file, text, manifest, report)
    if worker_ports:
        _write_once(folder, workers.SECRET, workers.secret(), report)
    write_manifest(folder, manifest)
    return install(folder, settings, server, gtc_port=gtc, name=name, report=report)


def install(
    raddb: Path,
    settings: Path,
    server: FreeRadius,
    *,
    wifi: bool = True,
    gtc_port: int | str = GTC_PORT,
    name: str | None = None,
    report: Report | None = None,
) -> Report:
    """
    Add our files to a raddb, or bring those that nobody has edited to this version.

    Args:
        wifi: Enable what Wi-Fi needs, and make its certificate and secret where there is none.
        gtc_port: See `create`; without effect once the secret is there.
        name: See `create`; without effect once the certificate is there.
        report: To be added to.

    Raises:
        SmsotpError: No certificate could be made, or see `raddb.files.refuse_old`.
        FileNotFoundError: There is no raddb at that path.
        PermissionError: This user may not write there.
    """
    raddb = raddb.absolute()
    if not (raddb / "radiusd.conf").is_file():
        raise FileNotFoundError(f"{raddb} holds no radiusd.conf; name a raddb with --raddb")
    report = report or Report()
    manifest = read_manifest(raddb)
    files.refuse_old(raddb, manifest)
    values = _values(settings)
    for file in FILES:
        _install_file(raddb, file, files.text(file, values), manifest, report)
    links = [*LINKS, *WAITING_LINKS] if server.runs_several_instances else list(LINKS)
    if wifi:
        # Between the tunnels and our site.
        own = f'smsotp_gtc_port = {gtc_port}\nsmsotp_gtc_secret = "{secrets.token_hex(24)}"\n'
        _write_once(raddb, GTC, own, report)
        for path in certificates.ensure(raddb / CERTIFICATES, name or socket.getfqdn()):
            _give(raddb, path)
            report.written.append(str(path.relative_to(raddb)))
        _give(raddb, raddb / CERTIFICATES)
        links += WIFI_LINKS
    for link in links:
        _link(raddb, link, report)
    _include(raddb, report)
    write_manifest(raddb, manifest)
    return report


def python_path() -> str:
    """Where radiusd finds this package and what it needs, as its ``python_path`` is written."""
    own = Path(__file__).resolve().parents[2]
    places = [own, Path(sysconfig.get_path("purelib")), Path(sysconfig.get_path("platlib"))]
    return ":".join(dict.fromkeys(str(place) for place in places))


def _values(settings: Path) -> dict[str, str]:
    return {"PYTHON_PATH": python_path(), "SETTINGS": str(settings.absolute())}


def _install_file(
    raddb: Path, name: str, text: str, manifest: dict[str, str], report: Report
) -> None:
    path = raddb / name
    digest = hashlib.sha256(text.encode()).hexdigest()
    if path.exists():
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found == digest:
            manifest[name] = digest
            report.unchanged.append(name)
            return
        if found != manifest.get(name):
            report.edited.append(name)
            return
    path.parent.mkdir(exist_ok=True)
    write(path, text)
    _give(raddb, path)
    manifest[name] = digest
    report.written.append(name)


def _link(raddb: Path, name: str, report: Report) -> None:
    """Enable a file, as Debian does: a link into …-available."""
    path = raddb / name
    if path.is_symlink() or path.exists():
        report.unchanged.append(name)
        return
    path.parent.mkdir(exist_ok=True)
    folder, _, file = name.partition("/")
    path.symlink_to(f"../{folder.replace('enabled', 'available')}/{file}")
    report.written.append(name)


def _write_once(raddb: Path, name: str, text: str, report: Report) -> None:
    """A file with a secret: made where there is none, and never changed afterwards."""
    path = raddb / name
    if path.exists():
        report.unchanged.append(name)
        return
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    write(path, text, mode=0o600)
    for made in (path.parent, path):
        _give(raddb, made)
    report.written.append(name)


def _include(raddb: Path, report: Report) -> None:
    """Let the dictionary of raddb include ours; the line is the only one we add to a file."""
    path = raddb / "dictionary"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if any(line.strip() == INCLUDE for line in text.splitlines()):
        report.unchanged.append("dictionary")
        return
    if text and not text.endswith("\n"):
        text += "\n"
    write(path, f"{text}{INCLUDE}\n")
    _give(raddb, path)
    report.written.append("dictionary")


def read_manifest(raddb: Path) -> dict[str, str]:
    path = raddb / MANIFEST
    if not path.exists():
        return {}
    manifest: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return manifest


def write_manifest(raddb: Path, manifest: dict[str, str]) -> None:
    write(raddb / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    _give(raddb, raddb / MANIFEST)


def write(path: Path, text: str, mode: int = 0o640) -> None:
    """Write a file whole or not at all, readable for its owner and group: it may hold secrets."""
    if path.exists():
        mode = path.stat().st_mode & 0o777
    partial = path.with_name(f".{path.name}.part")
    with contextlib.suppress(FileNotFoundError):
        partial.unlink()
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    partial.replace(path)


def _give(raddb: Path, path: Path) -> None:
    """Give a file the owner and group of raddb, so that FreeRADIUS's user can read it."""
    if os.geteuid() == 0:
        status = raddb.stat()
        os.chown(path, status.st_uid, status.st_gid)


State = Literal["missing", "current", "older", "edited", "edited and older"]


def compare(raddb: Path, settings: Path) -> dict[str, State]:
    """
    What each of our files in a raddb is like, beside the one that `install` would write.

    Raises:
        OSError: This user may not read it.
    """
    manifest = read_manifest(raddb)
    values = _values(settings)
    return {
        name: _state(raddb / name, manifest.get(name), files.text(name, values)) for name in FILES
    }


def _state(path: Path, written: str | None, text: str) -> State:
    if not path.exists():
        return "missing"
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    wanted = hashlib.sha256(text.encode()).hexdigest()
    if found == wanted:
        return "current"
    if found == written:
        return "older"
    return "edited" if written == wanted else "edited and older"
