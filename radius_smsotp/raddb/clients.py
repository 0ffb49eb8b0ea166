"""Who may ask, and where: ``clients.conf`` and the ``listen`` sections of a raddb of ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path

Network = IPv4Network | IPv6Network

BLASTRADIUS = """
	#  BlastRADIUS, CVE-2024-3596.  The attack hides what it changes in Proxy-State, which only
	#  proxies send: it must come signed.
	limit_proxy_state = yes
"""

ONE = """\
	#  "auto": if the first request after the start is signed, all others must be.  "yes": all
	#  must be.  Take that as soon as this client signs (RFC 3579 section 3.2).
	require_message_authenticator = auto
"""
"""For a client with an address of its own, where FreeRADIUS knows that word."""

SEVERAL = """\
	#  Take "yes" as soon as all that ask from here sign (RFC 3579 section 3.2).  Not "auto", by
	#  which the first request after the start decides for all of them.
	require_message_authenticator = no
"""
"""For a network, and for this machine, whose programs need not do alike."""

SIGNED = """\
	#  All must be signed (RFC 3579 section 3.2), as those of "smsotp login" and radclient are.
	require_message_authenticator = yes
"""
"""For this machine, where all that ask from here sign."""

KNOWN = frozenset(("testing123",))
"""Secrets that everybody knows: FreeRADIUS's own documents have them."""

ANY = {4: "*", 6: "::"}
"""Every address of this host, by version of IP, as FreeRADIUS writes it."""

FROM_ENVIRONMENT = re.compile(r"\$ENV\{\w+\}", re.ASCII)
"""A secret that FreeRADIUS reads from its environment."""

SECRET = re.compile(rf'(?m)^\tsecret = (?:({FROM_ENVIRONMENT.pattern})|"((?:[^"\\]|\\.)+)")$')
"""The line of a secret: a variable, or the text between the quotes."""


def networks(clients: Iterable[str]) -> list[Network]:
    """Addresses and networks, none twice.  Raises ValueError."""
    return list(dict.fromkeys(ip_network(one, strict=False) for one in clients))


def text(clients: Sequence[Network], secret: str, *, auto: bool, signed_local: bool = False) -> str:
    """
    ``clients.conf``.

    Args:
        secret: ``$ENV{NAME}`` stays as it is, for FreeRADIUS to replace.
        auto: Whether FreeRADIUS knows ``require_message_authenticator = auto``.
        signed_local: Whether requests of this machine must be signed.

    Raises:
        ValueError: FreeRADIUS would read the secret as another one, or not at all; or everybody
            knows it, and a client is beyond this machine.
    """
    beyond = [network for network in clients if not network.is_loopback]
    if beyond and secret in KNOWN:
        fault = f"everybody knows the secret '{secret}', and {beyond[0]} is not this machine alone"
        raise ValueError(f"{fault}; give another one by --secret or $SMSOTP_SECRET")
    secret = _written(secret)
    sections = []
    for network in clients:
        name = "local" if network.is_loopback else str(network)
        if network.version == 6 and network.is_loopback:
            name = "local6"
        address = "ipaddr" if network.version == 4 else "ipv6addr"
        signature = SEVERAL
        if network.is_loopback and signed_local:
            signature = SIGNED
        elif auto and network.num_addresses == 1 and not network.is_loopback:
            signature = ONE
        lines = f"\t{address} = {network}\n\tsecret = {secret}\n{BLASTRADIUS}{signature}"
        sections.append(f"client {name} {{\n{lines}}}\n")
    return "\n".join(sections)


def secret_in(path: Path) -> str | None:
    """The secret in a ``clients.conf`` of ours, None if there is no such file, or another one."""
    found = SECRET.search(path.read_text("utf-8", "replace")) if path.exists() else None
    if found is None:
        return None
    secret = found[1] or re.sub(r"\\(.)", r"\1", found[2])
    return secret if _fault(secret) is None else None


def _written(secret: str) -> str:
    """A secret as it stands in the file."""
    if fault := _fault(secret):
        raise ValueError(f"the secret holds {fault}")
    if FROM_ENVIRONMENT.fullmatch(secret):
        return secret
    escaped = secret.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _fault(secret: str) -> str | None:
    """What FreeRADIUS would not read as it stands there."""
    if not secret.isprintable():
        return "a control character, or one that is not UTF-8"
    if ("${" in secret or "$ENV{" in secret) and not FROM_ENVIRONMENT.fullmatch(secret):
        return "'${' or '$ENV{', which FreeRADIUS would replace"
    return None


def listen(addresses: Iterable[str], clients: Sequence[Network], ports: Mapping[str, int]) -> str:
    """
    The ``listen`` sections.

    Args:
        ports: Type of what comes there, ``auth`` or ``acct``, to port.
        addresses: Where to listen; if there are none, on the loopback address, or on every one
            if a client is beyond it, as far as the versions of IP go.

    Raises:
        ValueError: One is no address.
    """
    given = [(one, _version(one)) for one in dict.fromkeys(addresses)]
    for version, loopback in () if given else ((4, "127.0.0.1"), (6, "::1")):
        own = [network for network in clients if network.version == version]
        if own:
            inside = all(network.is_loopback for network in own)
            given.append((loopback if inside else ANY[version], version))
    return "\n".join(
        f"listen {{\n\ttype = {kind}\n\t{'ipaddr' if version == 4 else 'ipv6addr'} = {one}\n"
        f"\tport = {port}\n\tvirtual_server = smsotp\n}}\n"
        for one, version in given
        for kind, port in ports.items()
    )


def _version(address: str) -> int:
    return 4 if address == ANY[4] else ip_address(address).version
