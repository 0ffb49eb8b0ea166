"""
What is wrong with the clients of the raddb in use: who may ask, what of it is signed, and what is
logged.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from ipaddress import ip_network
from pathlib import Path

from radius_smsotp.cli.check.finding import CLIENTS, Finding
from radius_smsotp.raddb import configuration
from radius_smsotp.raddb.clients import KNOWN, Network
from radius_smsotp.raddb.configuration import Section

error, warning = CLIENTS.error, CLIENTS.warning

REQUIRE, LIMIT = "require_message_authenticator", "limit_proxy_state"

YES, NO = {"yes", "true", "1"}, {"no", "false", "0"}
"""As FreeRADIUS reads them (src/main/mainconfig.c)."""

PASSWORDS = {"auth_badpass", "auth_goodpass"}
"""In the section ``log``: whether that has the passwords of who is rejected, or accepted."""

SHORTEST = 12
"""Characters of a secret, of which FreeRADIUS warns too (src/main/client.c)."""


def findings(raddb: Path, *, auto: bool) -> Iterator[Finding]:
    """
    One for each fault of a section ``client``, with its file and line.

    Args:
        auto: Whether FreeRADIUS finds out by itself whether a client signs, where nothing is said.

    Raises:
        PermissionError: This user may not read them.
    """
    files = dict(configuration.whole(raddb))
    security = [one for file in files.values() if (one := file.find("security"))]
    for path, file in files.items():
        for log in file.within("log"):
            yield from _log(path, log)
        for client in file.within("client"):
            # Not the section of a module that says how it reads them, nor what only makes others.
            if len(client.words) == 2 and not client.value("dynamic_clients"):
                where = f"{path}, line {client.number}"
                yield from _client(where, client, [client, *security], auto=auto)


def unasked_findings(raddb: Path, names: Collection[str]) -> Iterator[Finding]:
    """
    Clients that are several, of which the settings say that they check the first factor.

    Args:
        names: Short names.
    """
    for path, file in dict(configuration.whole(raddb)).items():
        for client in file.within("client") if names else ():
            place = network(client) if len(client.words) == 2 else None
            name = client.value("shortname") or client.name
            if name in names and place is not None and place.num_addresses > 1:
                fault = f"client {name} is a network, and is said to check the first factor itself"
                remedy = "write its one address, or take first_factor_by_client out of the settings"
                why = (
                    "Whatever else is there needs only a code, and can have one sent to everybody."
                )
                yield error(f"{path}, line {client.number}", fault, remedy, why=why)


def _log(path: Path, log: Section) -> Iterator[Finding]:
    for number, line in log.lines:
        key, _, value = map(str.strip, line.partition("="))
        if key in PASSWORDS and value.strip("\"'").lower() in {*YES, "on"}:
            fault = f"{key} writes PINs and codes into the log"
            why = "Whoever may read the log, or a copy of it, has the first factor of everybody."
            yield warning(f"{path}, line {number}", fault, f"write '{key} = no'", why=why)


def _client(where: str, client: Section, said: list[Section], *, auto: bool) -> Iterator[Finding]:
    place = network(client)
    beyond = (place is None or not place.is_loopback) and client.name != "localhost"
    secret = client.value("secret")
    if secret in KNOWN and beyond:
        fault = f"the secret of client {client.name} is one that everybody knows"
        why = "Whoever is between this client and us may answer in our place, and let anybody in."
        yield warning(where, fault, "let it be a random one, here and at the client", why=why)
    if client.value("proto") in {"tls", "radsec"}:
        return
    if beyond and 0 < len(secret) < SHORTEST and "$" not in secret and secret not in KNOWN:
        fault = f"the secret of client {client.name} has only {len(secret)} characters"
        why = "Whoever sees one packet of this client can try all of them, and then read passwords."
        yield warning(where, fault, "let it be a random one, here and at the client", why=why)
    require = _said(REQUIRE, said) or ("auto" if auto else "no")
    if auto and require == "auto" and place is not None and place.num_addresses > 1:
        default = "" if _said(REQUIRE, said) else " by default"
        fault = f"client {client.name} is a network, and {REQUIRE} is 'auto'{default}"
        remedy = f"write '{REQUIRE} = yes' there if all of them sign, else '{REQUIRE} = no' and "
        remedy += f"'{LIMIT} = yes'"
        why = "The first request after the start decides for all: a device that signs otherwise "
        why += "is locked out, or unsigned requests are taken from those that sign."
        yield warning(where, fault, remedy, why=why)
    if require not in YES and _said(LIMIT, said) in NO:
        fault = f"client {client.name} may send Proxy-State without a signature ({LIMIT} = no)"
        remedy = f"let it sign, then write '{REQUIRE} = yes' in its place"
        why = "Whoever can change packets between it and us can let anybody in (BlastRADIUS)."
        yield warning(where, fault, remedy, why=why)


def _said(key: str, said: list[Section]) -> str:
    """The first value of a key, in lower case; "" if there is none."""
    return next((value.lower() for one in said if (value := one.value(key))), "")


def network(client: Section) -> Network | None:
    """Where a client may ask from; None if that is the name of a host."""
    keys = ("ipaddr", "ipv4addr", "ipv6addr")
    address = next((value for one in keys if (value := client.value(one))), client.name)
    place, found, length = address.partition("/")
    if found and re.fullmatch(r"\d+(\.\d+){0,2}", place):  # 10/8
        place += ".0" * (3 - place.count("."))
    length = length if found else client.value("netmask")
    try:
        whole = ip_network(place if place != "*" else 0)
        # FreeRADIUS takes the address 0 for all of them (src/main/client.c).
        shortest = 0 if whole.network_address.is_unspecified else whole.prefixlen
        return whole.supernet(new_prefix=int(length or shortest))
    except ValueError:
        return None
