"""Directories of the raddb in use that passwords are sent to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from radius_smsotp.cli.check.finding import Finding, warning
from radius_smsotp.cli.check.ways import CALLED, Raddb
from radius_smsotp.raddb.configuration import Section

LOOPBACK = re.compile(r"localhost|127\.[\d.]+|\[?::1\]?")

SERVER = re.compile(r"(?:(\w+)://)?(\[[^\]]*\]|[^/:]*).*")
"""One of several in a value: its scheme, if it has one, and its host (rlm_ldap, "server")."""

SECURE_PORT = "636"
"""With which rlm_ldap speaks TLS from the beginning, where no scheme is said."""


def findings(raddb: Path) -> Iterator[Finding]:
    """One for each module ``ldap`` that our policy calls, and that sends passwords in the clear."""
    whole = Raddb(raddb)
    used: set[str] = set()
    for _, server in whole.servers:
        called = whole.called(server.find("authorize"))
        if CALLED.intersection(called):
            used |= {*called, *whole.called(server.find("authenticate"))}
    for name in sorted(used):
        if whole.kind(name) != "ldap":
            continue
        path, module = whole.modules[name]
        for host in dict.fromkeys(_in_the_clear(module)):
            fault = f"{name} sends passwords to {host} in the clear"
            remedy = "write ldaps:// before it, or start_tls = yes into its section tls"
            why = "Whoever is on the way reads the first factor of everybody."
            yield warning(str(path), fault, remedy, why=why)


def _in_the_clear(module: Section) -> Iterator[str]:
    tls = module.find("tls")
    if tls is not None and tls.value("start_tls").lower() in {"yes", "true", "1", "on"}:
        return
    for _, line in module.lines:
        key, _, value = line.partition("=")
        if key.strip() != "server" or "$" in value:
            continue
        for one in re.split(r"[\s,]+", value.strip().strip("\"'")):
            scheme, host = SERVER.fullmatch(one).groups()  # type: ignore[union-attr]  # any text
            is_tls = scheme == "ldaps" or (not scheme and module.value("port") == SECURE_PORT)
            if host and not is_tls and not LOOPBACK.fullmatch(host):
                yield host
