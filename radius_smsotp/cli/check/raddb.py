"""What is wrong with the configuration of FreeRADIUS that is in use."""

from __future__ import annotations

import contextlib
import re
import stat
import sys
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

from radius_smsotp.cli.check import accounting, clients, directories, ways
from radius_smsotp.cli.check.finding import Finding, error, note, warning
from radius_smsotp.cli.check.site import waits
from radius_smsotp.errors import ConfigurationError, SmsotpError
from radius_smsotp.raddb import certificates, files, freeradius
from radius_smsotp.settings import file as settings_file
from radius_smsotp.store import is_database

PLACES = ("/etc/freeradius/3.0", "/etc/raddb", "/usr/local/etc/raddb")
"""Where it is: Debian; Red Hat, SUSE and Alpine; FreeBSD and from source."""

CALLED = re.compile(
    r"^[^#\n]*\bvirtual_server\s*=\s*[\"']?smsotp(-gtc)?[\"']?\s*(#.*)?$"
    r"|^\s*-?smsotp_(authorize|eap)\b",
    re.MULTILINE,
)
"""What sends a request to us: a client, a listener, or a site of the administrator's own."""

OURS = {"smsotp", "smsotp-gtc", "smsotp-inner-tunnel"}


def place(config: Path) -> Path:
    """The raddb of this machine: one beside the settings, else where packages have it."""
    for folder in (config.parent / "raddb", *map(Path, PLACES)):
        # Whoever may not look beside the settings hears of that as their fault.
        with contextlib.suppress(PermissionError):
            if (folder / "radiusd.conf").exists():
                return folder
    return Path(PLACES[0])


def installed_findings(raddb: Path, config: Path, server: freeradius.FreeRadius) -> list[Finding]:
    """Our files, whether anything leads to them, who may ask, and what Wi-Fi needs."""
    try:
        if not (raddb / "radiusd.conf").exists():
            return [note(str(raddb), "no configuration of FreeRADIUS; name it with --raddb")]
        found = files.compare(raddb, config)
        if set(found.values()) == {"missing"}:
            why = "FreeRADIUS does not know the module: logins there need no code."
            return [
                warning(str(raddb), "holds none of our files", "'smsotp raddb install'", why=why)
            ]
        return [
            *_files(raddb, found),
            *_links(raddb),
            *_calls(raddb),
            *ways.findings(raddb),
            *accounting.findings(raddb),
            *directories.findings(raddb, server),
            *clients.findings(raddb, auto=server.limits_proxy_state),
            *_wifi(raddb),
            *raddb_findings(raddb, config),
        ]
    except PermissionError as raised:
        fault = f"this user may not read {raised.filename}"
        return [note(str(raddb), f"{fault}; root can check it")]


def _again(raddb: Path) -> str:
    return f"smsotp raddb install --raddb {raddb}"


def _files(raddb: Path, found: dict[str, files.State]) -> Iterator[Finding]:
    again = _again(raddb)
    for name, state in found.items():
        path = str(raddb / name)
        if state == "missing":
            why = "Other files of ours count on it; FreeRADIUS may not start."
            yield error(path, "is missing", again, why=why)
        elif state == "older":
            why = "It was made by another version, or for other settings, and nobody has edited it."
            yield warning(path, "is not as this version writes it", again, why=why)
        elif state == "edited and older":
            why = "Your edits were kept; what this version has changed is not in it."
            fault = "was edited, and differs from this version's"
            yield warning(path, fault, f"diff {path} {files.source(name)}", why=why)
        elif state == "edited":
            yield note(path, "was edited; 'smsotp raddb install' leaves it alone")


def _links(raddb: Path) -> Iterator[Finding]:
    """What makes FreeRADIUS read our files."""
    for name in files.LINKS:
        if not (raddb / name).exists():
            why = "FreeRADIUS reads only what is enabled."
            yield error(str(raddb / name), "is not enabled", _again(raddb), why=why)
    path = raddb / files.DICTIONARY
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    if not any(line.strip() == files.INCLUDE for line in text.splitlines()):
        fault = f"the line '{files.INCLUDE}' is missing"
        why = "FreeRADIUS does not know our attributes, and does not start."
        yield error(str(path), fault, _again(raddb), why=why)


def _calls(raddb: Path) -> Iterator[Finding]:
    """Whether any request gets to our policy."""
    places = [raddb / "clients.conf", raddb / "radiusd.conf"]
    for folder in ("sites-enabled", "clients.d", "mods-enabled"):
        if (raddb / folder).is_dir():
            places += [one for one in sorted((raddb / folder).iterdir()) if one.name not in OURS]
    for path in places:
        if path.is_file():
            found = CALLED.search(path.read_text(encoding="utf-8", errors="replace"))
            if found:
                yield note(str(raddb), f"{path.relative_to(raddb)} leads to our policy")
                return
    why = "Whoever logs in now needs no code."
    fault = "no client is sent through the virtual server smsotp"
    remedy = "write 'virtual_server = smsotp' into the client's block, and restart FreeRADIUS"
    yield error(str(raddb / "clients.conf"), fault, remedy, why=why)


def _wifi(raddb: Path) -> Iterator[Finding]:
    """The certificate that devices are shown, and the secret of the tunnels, if Wi-Fi is on."""
    if not (raddb / files.WIFI_LINKS[0]).exists():
        return
    for name in files.WIFI_LINKS:
        if not (raddb / name).exists():
            why = "The tunnels of Wi-Fi count on it; FreeRADIUS may not start."
            yield error(str(raddb / name), "is not enabled", _again(raddb), why=why)
    secret = raddb / files.GTC
    if not secret.exists():
        why = "The tunnels of Wi-Fi do not get to us."
        yield error(str(secret), "is missing", _again(raddb), why=why)
    elif secret.stat().st_mode & (stat.S_IRWXO):
        why = "With it, anybody on this machine may pose as the tunnel of somebody else."
        yield error(str(secret), "is open to everybody", f"chmod o= {secret}", why=why)
    yield from _certificates(raddb, datetime.now(timezone.utc))


def _certificates(raddb: Path, now: datetime) -> Iterator[Finding]:
    """Whether devices take the server's certificate, and for how long."""
    folder = raddb / files.CERTIFICATES
    path = folder / "server.pem"
    try:
        server = certificates.read(path)
        is_signed = certificates.is_signed(folder)
        authority = certificates.read(folder / "ca.pem") if is_signed else server
    except SmsotpError as raised:
        why = "Devices that join the Wi-Fi are shown this certificate."
        yield error(str(path), str(raised), f"rm -f {path}; {_again(raddb)}", why=why)
        return
    why = "Devices refuse an expired certificate: nobody gets into the Wi-Fi."
    remedy = f"smsotp raddb certificate --renew --raddb {raddb}, and restart FreeRADIUS"
    if not is_signed:
        yield note(str(path), f"was not signed by {folder / 'ca.pem'}: devices need what has")
        remedy = "renew it where it comes from, with the same name, and restart FreeRADIUS"
    yield from _end(server, certificates.SOON, now, remedy, why)
    if is_signed:
        remedy = f"{remedy}; then give each device {authority.path} again"
        yield from _end(authority, certificates.LATE, now, remedy, why)


def _end(
    one: certificates.Certificate, ahead: timedelta, now: datetime, remedy: str, why: str
) -> Iterator[Finding]:
    """How long a certificate is valid still."""
    left = one.left(now)
    if left <= timedelta(0):
        yield error(str(one.path), f"has expired on {one.ends_at:%Y-%m-%d}", remedy, why=why)
    elif left < ahead:
        yield warning(str(one.path), f"expires in {left.days} days", remedy, why=why)
    else:
        yield note(str(one.path), f"is valid for {left.days} days more")


OLDEST = (3, 0, 22)
"""The first whose `pap` reads our PIN hashes (see `model.pin.digest`)."""

REPLIES_LOST = {(3, 2, 9), (3, 2, 10)}
"""FreeRADIUS issue 5911: outside debug mode no value that Python returns reaches the reply."""

WAITING = {
    "mods-enabled/python3_smsotp_delivery": ("smsotp_delivery", "logins wait for each other's SMS"),
    "mods-enabled/python3_smsotp_disk": ("smsotp_disk", "logins wait for each other's disk"),
    "mods-enabled/python3_smsotp_pool": ("smsotp_2", "logins wait for each other's database"),
}
"""Links to instances: the name of one there, and what holds without."""

INSTANCE = re.compile(r"^[ \t]*python3(?:[ \t]+([\w.-]+))?[ \t]*\{", re.MULTILINE)
"""Where a file of raddb begins an instance of the module; without a name it has the module's."""


def findings(raddb: Path, config: Path) -> list[Finding]:
    """Version, the module that runs Python, its instances in `raddb`, and our files there."""
    server = freeradius.find()
    if server is None:
        remedy = "install it: apt-get install freeradius freeradius-python3"
        why = "It is what asks this program for codes."
        return [error("FreeRADIUS", "is not installed here", remedy, why=why)]
    return [
        *version_findings(server.version),
        *_module_findings(server),
        *instance_findings(server, raddb, config),
        *installed_findings(raddb, config, server),
    ]


def version_findings(version: tuple[int, int, int]) -> list[Finding]:
    """What is known against one version of FreeRADIUS."""
    path = f"FreeRADIUS {'.'.join(map(str, version))}"
    if version < OLDEST:
        why = "Nobody with a PIN of ours can log in."
        return [error(path, "cannot read the PIN hashes", "install 3.0.22 or later", why=why)]
    if version in REPLIES_LOST:
        fault = "loses every reply of a Python module outside debug mode (issue 5911)"
        why = "No login gets as far as the code."
        return [error(path, fault, "install 3.2.11 or later, or stay on 3.2.8", why=why)]
    return [note(path, "is one that this works on")]


def instance_findings(server: freeradius.FreeRadius, raddb: Path, config: Path) -> list[Finding]:
    """What is known against the python3 instances that a raddb enables, if it may be read."""
    enabled = raddb / "mods-enabled"
    instances: dict[str, str] = {}
    try:
        for path in sorted(enabled.iterdir()):
            for found in INSTANCE.finditer(path.read_text(encoding="utf-8", errors="replace")):
                instances[found[1] or "python3"] = path.name
    except OSError:
        return []
    if server.runs_several_instances:
        return list(_beside(server, raddb, config, instances)) if "smsotp" in instances else []
    if len(instances) < 2:  # one is what works
        return []
    others = dict.fromkeys(file for name, file in instances.items() if name != "smsotp")
    fault = f"{len(instances)} python3 instances, {' and '.join(sorted(instances))}, abort this"
    oldest = ".".join(map(str, freeradius.SECOND_INSTANCE_FROM))
    remedy = f"remove {' and '.join(others)} there, or install {oldest} or later"
    if {f"mods-enabled/{file}" for file in others} <= set(files.INSTANCE_LINKS):
        remedy = _again(raddb)  # which disables them
    why = "FreeRADIUS does not start again."
    return [error(str(enabled), f"{fault} version at the start (issue 5111)", remedy, why=why)]


def _beside(
    server: freeradius.FreeRadius, raddb: Path, config: Path, instances: Collection[str]
) -> Iterator[Finding]:
    """Whether the instances beside the first one are those that the store is better off with."""
    try:
        database = is_database(settings_file.load(config).store_url)
    except ConfigurationError:
        return  # said with the settings
    wanted = files.instance_links(server, database=database)
    kind = "PostgreSQL" if database else "SQLite"
    for link, (name, fault) in WAITING.items():
        if link in wanted and name not in instances:
            why = f"With this version, and {kind}, they need not."
            path = str((raddb / link).parent)
            yield warning(path, f"{fault}: {name} is not enabled", _again(raddb), why=why)
        elif name in instances and link not in wanted:
            why = "The store was another one when it was enabled; this one is slower with it."
            yield warning(str(raddb / link), f"is of no use with {kind}", _again(raddb), why=why)
    shared = raddb / files.POOL_LINKS[1]
    if "smsotp_2" in instances and files.POOL_LINKS[1] in wanted and not shared.exists():
        why = "Every login goes through one instance of the module all the same."
        yield warning(str(shared), "is not enabled", _again(raddb), why=why)


def _module_findings(server: freeradius.FreeRadius) -> list[Finding]:
    if not server.libdir.is_dir():
        return []
    module = server.libdir / "rlm_python3.so"
    if not module.exists():
        remedy = "install it: apt-get install freeradius-python3"
        why = "It runs our module."
        return [error("FreeRADIUS", f"its module python3 is missing ({module})", remedy, why=why)]
    embedded = re.search(rb"libpython3\.(\d+)", module.read_bytes())
    if embedded is None or int(embedded[1]) == sys.version_info.minor:
        return []
    # pydantic and others bring code that is compiled for one version of Python.
    theirs, ours = f"3.{int(embedded[1])}", f"3.{sys.version_info.minor}"
    fault = f"runs Python {theirs}, this program runs on Python {ours}"
    why = "Parts of this package are compiled for one version of Python, and fail in another."
    return [warning("FreeRADIUS", fault, f"install radius-smsotp for Python {theirs}", why=why)]


def program_findings() -> list[Finding]:
    """Whether radiusd can import what we are; to be asked with the rights of its user."""
    if (found := files.closed()) is None:
        return []
    path, remedy = found
    why = "It does not start: there is no module radius_smsotp for it."
    return [error("FreeRADIUS", f"its user cannot read {path}, of this program", remedy, why=why)]


HOME_SERVER = re.compile(r"^[ \t]*home_server[ \t]+(smsotp_\w+)[ \t]*\{(.*?)^[ \t]*\}", re.M | re.S)
WINDOW = re.compile(r"^[ \t]*response_window[ \t]*=[ \t]*([0-9.]+)", re.M)

DEFAULT_WINDOW = 30.0
"""Where a home server says nothing (FreeRADIUS, src/main/realms.c)."""

ASKED_BY = {
    "sites-enabled/smsotp-gtc": "While a gateway is slow, the tunnels think that nobody is there "
    "to answer: nobody gets into the Wi-Fi.",
}
"""Files of raddb in which FreeRADIUS asks itself, and what comes of giving up too soon."""


def raddb_findings(raddb: Path, config: Path) -> Iterator[Finding]:
    """Settings that do not go with it: waits that FreeRADIUS itself does not sit out, where it
    hands requests to itself; clients that are several."""
    try:
        loaded = settings_file.load(config)
    except ConfigurationError:
        return  # said with the settings
    unasked = {key for key, own in loaded.values.clients.items() if own.first_factor_by_client}
    yield from clients.unasked_findings(raddb, unasked)
    for name, why in ASKED_BY.items():
        window = _shortest(raddb / name)
        for path, seconds in waits(loaded).items():
            if window is not None and seconds >= window:
                fault = f"{seconds:g} s, and FreeRADIUS waits for {window:g} s ({raddb / name})"
                remedy = f"take less than {window:g}, or raise response_window there"
                yield error(f"{loaded.path.name}: {path}", fault, remedy, why=why)


def _shortest(path: Path) -> float | None:
    """The shortest ``response_window`` of our home servers in a file, seconds; None without any."""
    if not path.exists():
        return None
    blocks = HOME_SERVER.findall(path.read_text(encoding="utf-8", errors="replace"))
    windows = [WINDOW.search(block) for _, block in blocks]
    return min((float(one[1]) if one else DEFAULT_WINDOW for one in windows), default=None)
