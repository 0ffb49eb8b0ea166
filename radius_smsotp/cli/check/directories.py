"""Directories and databases of the raddb in use: what is sent to them, and what if they hang."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from pathlib import Path

from radius_smsotp.cli.check.finding import DIRECTORIES, Finding
from radius_smsotp.cli.check.ways import CALLED, Raddb
from radius_smsotp.raddb import configuration
from radius_smsotp.raddb.configuration import Section
from radius_smsotp.raddb.freeradius import FreeRadius

warning = DIRECTORIES.warning

LOOPBACK = re.compile(r"localhost|127\.[\d.]+|\[?::1\]?")

SERVER = re.compile(r"(?:(\w+)://)?(\[[^\]]*\]|[^/:]*).*")
"""One of several in a value: its scheme, if it has one, and its host (rlm_ldap, "server")."""

SECURE_PORT = "636"
"""With which rlm_ldap speaks TLS from the beginning, where no scheme is said."""

NUMBER = re.compile(r"SMSOTP-Phone\s*\S*=\s*[\"']?(?P<attribute>[\w;.-]+)")
"""Of a line in ``update``: what the number is called in the directory (RFC 4512 section 2.5)."""

YES = {"yes", "true", "1", "on"}

LIBLDAP = re.compile(rb"libldap[\w.-]*\.so[.0-9]*")

TIMED_FROM = 20609
"""The first libldap, 2.6.9, that gives up a TLS handshake (OpenLDAP ITS 8047)."""

BY_NETWORK = {"rlm_sql_mysql", "rlm_sql_postgresql"}
"""Drivers of ``sql`` that know ``query_timeout``."""

THREADS = "32"
"""``max_servers`` of ``thread pool`` unless it is said (src/main/threads.c)."""

PAGE = "see 'A directory that hangs' in docs/how-to/accounts/hanging.rst"


def findings(raddb: Path, server: FreeRadius) -> Iterator[Finding]:
    """Of each module ``ldap`` or ``sql`` that is called where our policy is."""
    whole = Raddb(raddb)
    used: set[str] = set()
    for _, site in whole.servers:
        if CALLED.intersection(whole.called(site.find("authorize"))):
            used |= {one for part in site.sections for one in whole.called(part)}
    timed = keeps_time_in_tls(server)
    for name in sorted(used):
        kind = whole.kind(name)
        if kind not in {"ldap", "sql"}:
            continue
        path, module = whole.modules[name]
        if kind == "ldap":
            yield from _in_the_clear(name, path, module)
            yield from _hangs_in_tls(name, path, module, timed=timed)
        yield from _hangs(name, path, module, _threads(raddb))


def number_attributes(raddb: Path) -> tuple[str, ...]:
    """The attributes of LDAP that ``SMSOTP-Phone`` is taken from, in their order."""
    found = [
        NUMBER.search(line)
        for _, module in Raddb(raddb).modules.values()
        if module.kind == "ldap"
        for update in module.within("update")
        for _, line in update.lines
    ]
    return tuple(dict.fromkeys(one["attribute"] for one in found if one))


def keeps_time_in_tls(server: FreeRadius) -> bool:
    """Whether the libldap of FreeRADIUS gives up a TLS handshake; so it does if there is none."""
    module = server.module("ldap")
    found = LIBLDAP.search(module.read_bytes()) if module.is_file() else None
    if found is None:
        return True
    try:
        library = ctypes.CDLL(found[0].decode())
        about = _ApiInfo(version=1)
        failed = library.ldap_get_option(None, 0, ctypes.byref(about))
    except (OSError, AttributeError):
        return True
    return bool(failed) or about.vendor_version >= TIMED_FROM


class _ApiInfo(ctypes.Structure):
    """``LDAPAPIInfo`` of ldap.h, which LDAP_OPT_API_INFO, 0, asks for."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("api_version", ctypes.c_int),
        ("protocol_version", ctypes.c_int),
        ("extensions", ctypes.c_void_p),
        ("vendor_name", ctypes.c_void_p),
        ("vendor_version", ctypes.c_int),
    )


def _servers(module: Section) -> Iterator[tuple[str, str]]:
    """Whom a module ``ldap`` asks: scheme, "" if none is said, and host."""
    for _, line in module.lines:
        key, _, value = line.partition("=")
        if key.strip() != "server" or "$" in value:
            continue
        for one in re.split(r"[\s,]+", value.strip().strip("\"'")):
            scheme, host = SERVER.fullmatch(one).groups()  # type: ignore[union-attr]  # any text
            if not scheme and module.value("port") == SECURE_PORT:
                scheme = "ldaps"
            yield scheme or "", host


def _starts_tls(module: Section) -> bool:
    tls = module.find("tls")
    return tls is not None and tls.value("start_tls").lower() in YES


def _hangs_in_tls(name: str, path: Path, module: Section, *, timed: bool) -> Iterator[Finding]:
    schemes = {scheme for scheme, _ in _servers(module)} - {"ldapi"}
    if "ldaps" in schemes and not timed:
        fault = f"{name} has no limit of time in TLS: libldap is older than 2.6.9"
        remedy = f"put HAProxy before it: {PAGE}"
    elif schemes - {"ldaps"} and _starts_tls(module):
        fault = f"{name} has no limit of time in start_tls"
        remedy = f"write ldaps:// and no start_tls, or put HAProxy before it: {PAGE}"
    else:
        return
    why = "A directory that hangs keeps a thread of FreeRADIUS for each login, for good."
    yield warning(str(path), fault, remedy, why=why)


def _in_the_clear(name: str, path: Path, module: Section) -> Iterator[Finding]:
    hosts = [
        host
        for scheme, host in _servers(module)
        if host and scheme not in {"ldaps", "ldapi"} and not LOOPBACK.fullmatch(host)
    ]
    for host in [] if _starts_tls(module) else dict.fromkeys(hosts):
        fault = f"{name} sends passwords to {host} in the clear"
        remedy = "write ldaps:// before it"
        why = "Whoever is on the way reads the first factor of everybody."
        yield warning(str(path), fault, remedy, why=why)


def _hangs(name: str, path: Path, module: Section, threads: str) -> Iterator[Finding]:
    """What takes other people's logins along when it stands still, or FreeRADIUS's start."""
    timeout = module.value("query_timeout")
    if module.kind == "sql" and module.value("driver") in BY_NETWORK and timeout in {"", "0"}:
        why = "A database that hangs keeps a thread for each login, for good."
        fault = f"{name} waits without limit"
        yield warning(str(path), fault, "write query_timeout = 2 into it", why=why)
    pool = module.find("pool")
    start, most = (pool.value("start"), pool.value("max")) if pool else ("", "")
    if start != "0":
        fault = f"FreeRADIUS does not start while {name} does not answer"
        yield warning(str(path), fault, "write start = 0 into its section pool")
    if "max_servers" in most or (most.isdecimal() and int(most) >= int(threads)):
        why = "Who only has to type a code gets no answer either."
        fault = f"{name} can take all {threads} threads of FreeRADIUS when it hangs"
        remedy = f"write max = {int(threads) // 2} into its section pool"
        yield warning(str(path), fault, remedy, why=why)


def _threads(raddb: Path) -> str:
    """How many logins FreeRADIUS works at, at once."""
    path = raddb / "radiusd.conf"
    file = configuration.read(path) if path.is_file() else Section([])
    said = next((one.value("max_servers") for one in file.sections if one.kind == "thread"), "")
    return said if said.isdecimal() else THREADS
