"""What is wrong with the configuration of FreeRADIUS that is in use."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import stat
import sys
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

from radius_smsotp.cli.check import accounting, clients, directories, ways
from radius_smsotp.cli.check.finding import RADDB, Finding
from radius_smsotp.cli.check.site import waits
from radius_smsotp.cli.site import PATIENCE, acting_as
from radius_smsotp.errors import ConfigurationError, SmsotpError, package_command
from radius_smsotp.raddb import certificates, configuration, files, freeradius
from radius_smsotp.raddb.configuration import Section
from radius_smsotp.settings import file as settings_file
from radius_smsotp.store import is_database, open_store

error, note, warning = RADDB.error, RADDB.note, RADDB.warning

CALLED = re.compile(
    r"^[^#\n]*\bvirtual_server\s*=\s*[\"']?smsotp(-gtc)?[\"']?\s*(#.*)?$"
    r"|^\s*-?smsotp_(authorize|eap)\b",
    re.MULTILINE,
)
"""What sends a request to us: a client, a listener, or a site of the administrator's own."""

LED = re.compile(r"virtual_server\s*=\s*[\"']?smsotp[\"']?$")
"""A line that needs our site."""

INCLUDED = re.compile(r"(?m)^\s*\$INCLUDE\s+(?:\S*/)?dictionary\.smsotp\s*$")

Read = dict[Path, Section]
"""The files that FreeRADIUS reads."""

ELSEWHERE = re.compile(
    r"^\s*(?:read_clients\s*=\s*[\"']?(?:yes|true|1)|dynamic_clients\s*=)", re.MULTILINE
)
"""What lets clients come from a database or a directory."""

ALWAYS = ("dictionary.smsotp", files.POLICY, files.FIRST_FACTOR)

NEEDED_BY = {
    "mods-available/python3_smsotp_pool": ("mods-config/smsotp/instance",),
    "mods-available/attr_filter_smsotp": (files.TUNNEL,),
}
"""Files of ours to those that they name."""

SECTIONS = {
    "mods-enabled/python3_smsotp": ("python3", "smsotp"),
    "sites-enabled/smsotp": ("server", "smsotp"),
    "mods-enabled/eap_smsotp": ("eap", "smsotp_eap"),
    "mods-enabled/attr_filter_smsotp": ("attr_filter", "smsotp_tunnel"),
    "sites-enabled/smsotp-gtc": ("server", "smsotp-gtc"),
    "sites-enabled/smsotp-inner-tunnel": ("server", "smsotp-inner-tunnel"),
}
"""Links to what is there with them: it may be so under another name."""


def place(config: Path) -> Path:
    """The raddb of this machine: one beside the settings, else the one that FreeRADIUS reads."""
    folder = config.parent / "raddb"
    # Whoever may not look beside the settings hears of that as their fault.
    with contextlib.suppress(PermissionError):
        if (folder / "radiusd.conf").exists():
            return folder
    return freeradius.raddb()


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
        read = dict(configuration.whole(raddb))
        return [
            *_files(raddb, found),
            *_links(raddb, read),
            *_calls(raddb, read),
            *ways.findings(raddb),
            *accounting.findings(raddb),
            *directories.findings(raddb, server),
            *clients.findings(raddb, auto=server.limits_proxy_state),
            *raddb_findings(raddb, config),
        ]
    except PermissionError as raised:
        fault = f"this user may not read {raised.filename}"
        return [note(str(raddb), f"{fault}; root can check it")]


def _again(raddb: Path) -> str:
    return f"smsotp raddb install --raddb {raddb}"


def needed(raddb: Path) -> list[str]:
    """Our files that FreeRADIUS reads, as things are enabled, whether they are there or not."""
    folders = [raddb / name for name in ("mods-enabled", "sites-enabled", "policy.d")]
    enabled = {one.resolve() for folder in folders if folder.is_dir() for one in folder.iterdir()}
    found = [*ALWAYS, *(name for name in files.FILES if (raddb / name).resolve() in enabled)]
    found += [more for name in found for more in NEEDED_BY.get(name, ())]
    if "sites-available/smsotp-gtc" in found:
        found.append(files.GTC)
    if "mods-available/eap_smsotp" in found:
        found += [f"{files.CERTIFICATES}/{name}" for name in ("server.pem", "server.key")]
    return list(dict.fromkeys(found))


def closed_findings(raddb: Path, user: pwd.struct_passwd | None) -> list[Finding]:
    """
    What FreeRADIUS cannot read of ours.

    Args:
        user: As whom it runs; None if that is not known, or this is not root, who may ask for it.
    """
    try:
        # One of our own is started by whom it belongs to.
        if user is None or "radiusd.conf" in files.manifest(raddb):
            return []
        names = [one for one in needed(raddb) if (raddb / one).exists()]
    except OSError:
        return []
    with acting_as(user):
        closed = next((one for one in names if not os.access(raddb / one, os.R_OK)), None)
    if closed is None:
        return []
    fault = f"FreeRADIUS's user {user.pw_name} cannot read it"
    return [error(str(raddb / closed), fault, _again(raddb), why="FreeRADIUS does not start.")]


def _files(raddb: Path, found: dict[str, files.State]) -> Iterator[Finding]:
    again, read = _again(raddb), needed(raddb)
    for name, state in found.items():
        path = str(raddb / name)
        if state == "missing" and name in read:
            why = "Other files of ours count on it; FreeRADIUS may not start."
            yield error(path, "is missing", again, why=why)
        elif state == "missing":
            yield warning(path, "is missing", again, why="Nothing that is enabled needs it.")
        elif state == "older":
            why = "It was made by another version, or for other settings, and nobody has edited it."
            yield warning(path, "is not as this version writes it", again, why=why)
        elif state == "edited and older":
            why = "Your edits were kept; what this version has changed is not in it."
            fault = "was edited, and differs from this version's"
            yield warning(path, fault, f"diff {path} {files.source(name)}", why=why)
        elif state == "edited":
            yield note(path, "was edited; 'smsotp raddb install' leaves it alone")


def _links(raddb: Path, read: Read) -> Iterator[Finding]:
    """What makes FreeRADIUS read our files."""
    sections = {(one.kind, one.name) for file in read.values() for one in file.everywhere()}
    module, site = files.LINKS
    named = any(LED.search(line) for file in read.values() for _, line in file.everything())
    for name in (module, *([site] if named else [])):
        if SECTIONS[name] not in sections:
            why = "FreeRADIUS reads only what is enabled."
            yield error(str(raddb / name), "is not enabled", _again(raddb), why=why)
    path = raddb / files.DICTIONARY
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    if not INCLUDED.search(text):
        fault = f"the line '{files.INCLUDE}' is missing"
        why = "FreeRADIUS does not know our attributes, and does not start."
        yield error(str(path), fault, _again(raddb), why=why)
    if SECTIONS[files.WIFI_LINKS[0]] in sections:
        for name in files.WIFI_LINKS:
            if SECTIONS[name] not in sections:
                why = "The tunnels of Wi-Fi count on it; FreeRADIUS may not start."
                yield error(str(raddb / name), "is not enabled", _again(raddb), why=why)
        yield from _wifi(raddb, read)


def _calls(raddb: Path, read: Read) -> Iterator[Finding]:
    """Whether any request gets to our policy."""
    own = {(raddb / name).resolve() for name in files.FILES}
    texts = {
        path: path.read_text(encoding="utf-8", errors="replace")
        for path in read
        if path.resolve() not in own
    }
    for path, text in texts.items():
        if CALLED.search(text):
            shown = path.relative_to(raddb) if path.is_relative_to(raddb) else path
            yield note(str(raddb), f"{shown} leads to our policy")
            return
    why = "Whoever logs in now needs no code."
    fault = "no client is sent through the virtual server smsotp"
    remedy = "write 'virtual_server = smsotp' into the client's block, and restart FreeRADIUS"
    for path, text in texts.items():
        if ELSEWHERE.search(text):
            fault = f"{fault}; those that are not in files (see {path.name}) are not looked at"
            yield warning(str(raddb / "clients.conf"), fault, remedy, why=why)
            return
    yield error(str(raddb / "clients.conf"), fault, remedy, why=why)


def _wifi(raddb: Path, read: Read) -> Iterator[Finding]:
    """The certificate that devices are shown, and the secret of the tunnels."""
    secret = raddb / files.GTC
    named = (files.GTC in line for file in read.values() for _, line in file.everything())
    if not secret.exists() and any(named):
        why = "The tunnels of Wi-Fi do not get to us."
        yield error(str(secret), "is missing", _again(raddb), why=why)
    elif secret.exists() and _is_open(secret):
        why = "With it, anybody on this machine may pose as the tunnel of somebody else."
        yield error(str(secret), "is open to everybody", f"chmod o= {secret}", why=why)
    if shutil.which("openssl") is None:
        remedy = package_command("openssl")
        yield note(str(raddb / files.CERTIFICATES), "cannot be looked at without openssl", remedy)
        return
    yield from _certificates(raddb, _shown(raddb, read), datetime.now(timezone.utc))


def _is_open(path: Path) -> bool:
    """Whether everybody on this machine can read a file: the folders above may be closed."""
    modes = [one.stat().st_mode for one in path.resolve().parents]
    return bool(path.stat().st_mode & stat.S_IROTH) and all(one & stat.S_IXOTH for one in modes)


def _shown(raddb: Path, read: Read) -> Path:
    """The certificate that devices are shown: ours, or one that our module was led to."""
    own = raddb / files.CERTIFICATES / "server.pem"
    for file in read.values():
        for one in file.everywhere():
            if (one.kind, one.name) == SECTIONS[files.WIFI_LINKS[0]]:
                tls = one.find("tls-config") or one
                said = tls.value("certificate_file") or str(own)
                return Path(configuration.placed(raddb, said))
    return own


def _certificates(raddb: Path, path: Path, now: datetime) -> Iterator[Finding]:
    """Whether devices take the server's certificate, and for how long."""
    folder = raddb / files.CERTIFICATES
    if "$" in str(path):
        return  # where that is, FreeRADIUS alone knows
    why = "Devices refuse an expired certificate: nobody gets into the Wi-Fi."
    elsewhere = "renew it where it comes from, with the same name, and restart FreeRADIUS"
    if path != folder / "server.pem":
        with contextlib.suppress(SmsotpError):  # FreeRADIUS may read more forms than we do
            yield from _end(certificates.read(path), certificates.SOON, now, elsewhere, why)
        return
    try:
        server = certificates.read(path)
        is_signed = certificates.is_signed(folder)
        authority = certificates.read(folder / "ca.pem") if is_signed else server
    except SmsotpError as raised:
        told = "Devices that join the Wi-Fi are shown this certificate."
        yield error(str(path), str(raised), f"rm -f {path}; {_again(raddb)}", why=told)
        return
    remedy = f"smsotp raddb certificate --renew --raddb {raddb}, and restart FreeRADIUS"
    if not is_signed:
        yield note(str(path), f"was not signed by {folder / 'ca.pem'}: devices need what has")
        remedy = elsewhere
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

MENDED = b"FAILED converting attribute"
"""In the module that has the mend of 5911; Debian's 3.2.10 has it."""

DEBUGGED = re.compile(r"(?m)^[^#\n]*\bFREERADIUS_OPTIONS=.*?[ \"'=]-\w*[xX]")
"""In what its unit reads: FreeRADIUS is in debug mode."""

OPTIONS = ("/etc/default/freeradius", "/etc/sysconfig/radiusd", "/etc/sysconfig/freeradius")
"""Debian; Red Hat; SUSE."""


def findings(raddb: Path, config: Path) -> list[Finding]:
    """Version, the module that runs Python, its instances in `raddb`, and our files there."""
    server = freeradius.find()
    if server is None:
        remedy = f"install it: {package_command('freeradius', 'freeradius-python3')}"
        why = "It is what asks this program for codes."
        return [error("FreeRADIUS", "is not installed here", remedy, why=why)]
    return [
        *version_findings(server, raddb, config),
        *_module_findings(server),
        *instance_findings(server, raddb, config),
        *installed_findings(raddb, config, server),
    ]


def version_findings(server: freeradius.FreeRadius, raddb: Path, config: Path) -> list[Finding]:
    """What is known against one version of FreeRADIUS."""
    path = f"FreeRADIUS {'.'.join(map(str, server.version))}"
    if server.version < OLDEST:
        fault, remedy = "cannot read the PIN hashes", "install 3.0.22 or later"
        if _has_pins(config):
            return [error(path, fault, remedy, why="Nobody with a PIN of ours can log in.")]
        why = "There are none yet; another first factor works."
        return [warning(path, fault, remedy, why=why)]
    module = server.module("python3")
    is_mended = module.is_file() and MENDED in module.read_bytes()
    if server.version in REPLIES_LOST and not is_mended:
        fault = "loses every reply of a Python module outside debug mode (issue 5911)"
        remedy = "install 3.2.11 or later, or Debian's, which is mended"
        if _is_debugged(raddb):
            fault = f"{fault}, in which it is"
            why = "User names, State and prompts are in the log; PINs and codes are hidden there."
            return [warning(path, fault, f"{remedy}; then leave debug mode", why=why)]
        told = "until then write 'debug_level = 1' into radiusd.conf: user names, State and prompts"
        told = f"{remedy}; {told} are then in the log, PINs and codes are not"
        return [error(path, fault, told, why="No login gets as far as the code.")]
    found = [note(path, "is one that this works on")]
    if is_mended:
        fault = "shows PINs and their hashes in debug mode (-X), whatever suppress_secrets says"
        found.append(note(path, fault, "give its output to nobody"))
    return found


def _has_pins(config: Path) -> bool:
    """Whether an account has a PIN of ours; so it is, if that cannot be told."""
    try:
        store = open_store(settings_file.load(config).store_url, PATIENCE)
    except ConfigurationError:
        return True
    with contextlib.closing(store), contextlib.suppress(SmsotpError):
        if not store.exists():
            return False
        with store.read() as tx:
            return any(one.pin_hash for one, _ in tx.accounts())
    return True


def _is_debugged(raddb: Path) -> bool:
    """Whether FreeRADIUS is in debug mode, by its configuration or by what its unit reads."""
    with contextlib.suppress(OSError):
        if configuration.read(raddb / "radiusd.conf").value("debug_level").strip("0"):
            return True
    for name in OPTIONS:
        with contextlib.suppress(OSError):
            if DEBUGGED.search(Path(name).read_text(encoding="utf-8", errors="replace")):
                return True
    return False


def instance_findings(server: freeradius.FreeRadius, raddb: Path, config: Path) -> list[Finding]:
    """What is known against the python3 instances that a raddb enables, if it may be read."""
    try:
        instances = {
            one.name: path.name
            for path, file in configuration.enabled(raddb, "mods-enabled")
            for one in file.sections
            if one.kind == "python3"
        }
    except OSError:
        return []
    if server.runs_several_instances:
        return list(_beside(server, raddb, config, instances)) if "smsotp" in instances else []
    if len(instances) < 2:  # one is what works
        return []
    enabled = raddb / "mods-enabled"
    others = dict.fromkeys(file for name, file in instances.items() if name != "smsotp")
    named = sorted(instances, key=lambda name: (len(name), name))[:2]
    named += ["others"] if len(instances) > len(named) else []
    fault = f"{len(instances)} python3 instances, {' and '.join(named)}, abort this"
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
    module = server.module("python3")
    if not any(module.parent.glob("rlm_*.so")):
        return []  # its modules are elsewhere
    if not module.exists():
        remedy = f"install it: {package_command('freeradius-python3')}"
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
