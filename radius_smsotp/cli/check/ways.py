"""Ways that lead into the raddb in use past the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from radius_smsotp.cli.check.clients import network
from radius_smsotp.cli.check.finding import RADDB, Finding
from radius_smsotp.raddb import configuration
from radius_smsotp.raddb.configuration import Section

error, note, warning = RADDB.error, RADDB.note, RADDB.warning

ADMIT, COUNT = "smsotp_admit", "smsotp_post_auth"

EAP_METHODS = {
    "md5": "EAP-MD5",
    "leap": "LEAP",
    "gtc": "EAP-GTC",
    "mschapv2": "EAP-MSCHAPv2",
    "tls": "EAP-TLS",
    "ttls": "EAP-TTLS",
    "peap": "PEAP",
    "fast": "EAP-FAST",
    "teap": "TEAP",
    "pwd": "EAP-PWD",
    "sim": "EAP-SIM",
    "aka": "EAP-AKA",
    "ikev2": "EAP-IKEv2",
    "tnc": "EAP-TNC",
}
"""Sections of an ``eap`` module that enable a method, and what the method is called."""

OUR_TUNNEL = "smsotp-inner-tunnel"

ALLOWED = {"smsotp_eap": {"peap", "ttls"}, "smsotp_mschapv2": {"mschapv2"}}
"""Of our own ``eap`` modules: the methods that lead to our policy."""

HARMLESS = {"challenge", "client-lost"}
"""Sections of ``post-auth`` in which nobody is let in."""

BEFORE_TUNNEL, IN_TUNNEL = "smsotp_conversation", "smsotp_inner"

ACCEPTS = re.compile(r"\bAuth-Type\s*[:+]?=\s*\"?Accept\b")

WHY = "Whoever has the password gets in without a code."


def findings(raddb: Path) -> Iterator[Finding]:
    """One for each way, where our policy is called and does not stand before it."""
    whole = Raddb(raddb)
    for path, server in whole.servers:
        authorize = whole.called(server.find("authorize"))
        if "smsotp_authorize" in authorize:
            yield from _server(whole, path, server, authorize)
        yield from _tunnels(path, server, [*authorize])
    yield from _own_eap(whole)
    yield from _around_tunnels(whole)
    yield from _elsewhere(whole)
    yield from _anybody(whole, raddb / "policy.d/smsotp_first_factor")
    beside = whole.policies.get("smsotp_beside")
    if beside is not None and beside.items:
        fault = "smsotp_beside lets in what it names"
        yield warning(str(raddb / "policy.d/smsotp_first_factor"), fault, why=WHY)


CALLED = {"smsotp_authorize", "smsotp_eap"}
"""Policy and module that a login of ours begins with."""

CODES = {"ok", "updated", "noop", "handled"}
"""Return codes that an item of unlang may be, and with which a password is not refused."""

NAMED = 5
"""Clients that are named at most."""


class Raddb:
    """
    What there is in a raddb.

    Attributes:
        servers: Each with its file.
        modules: Instances by name, each with its file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.policies = {
            one.kind: one
            for _, file in configuration.enabled(folder, "policy.d")
            for one in file.sections
        }
        files = [*configuration.enabled(folder, "sites-enabled")]
        if (folder / "radiusd.conf").is_file():
            files.append((folder / "radiusd.conf", configuration.read(folder / "radiusd.conf")))
        self.servers = [
            (path, one) for path, file in files for one in file.sections if one.kind == "server"
        ]
        self.modules = {
            one.name: (path, one)
            for path, file in configuration.enabled(folder, "mods-enabled")
            for one in file.sections
        }
        proxies = folder / "proxy.conf"
        others = [configuration.read(proxies)] if proxies.is_file() else []
        self.realms = [
            one.name
            for file in [*(file for _, file in files), *others]
            for one in file.sections
            if one.kind == "realm" and _is_elsewhere(one)
        ]

    def called(self, section: Section | None) -> dict[str, tuple[str, ...]]:
        """What a section calls, each with the conditions around its first call."""
        found: dict[str, tuple[str, ...]] = {}
        for name, under in configuration.calls(section, self.policies) if section else ():
            found.setdefault(name, under)
        return found

    def kind(self, name: str) -> str:
        """Of which module an instance is, "" if there is none of that name."""
        return self.modules[name][1].kind if name in self.modules else ""

    def methods(self, name: str) -> dict[str, Section]:
        """The EAP methods of an ``eap`` module."""
        return {one.kind: one for one in self.modules[name][1].sections if one.kind in EAP_METHODS}


def _is_elsewhere(realm: Section) -> bool:
    keys = ("auth_pool", "pool", "authhost", "virtual_server", "auth_home_server")
    values = {realm.value(key) for key in keys} - {"", "LOCAL", "smsotp_gtc"}
    return bool(values)


def _server(
    whole: Raddb, path: Path, server: Section, authorize: dict[str, tuple[str, ...]]
) -> Iterator[Finding]:
    """Of a virtual server in which our policy is called."""
    remedy = f"call {ADMIT} in the section post-auth of 'server {server.name}'"
    post_auth = server.find("post-auth")
    admits = whole.called(post_auth)
    rejected = dict[str, tuple[str, ...]]()
    for one in post_auth.sections if post_auth else ():
        if one.kind != "Post-Auth-Type":
            continue
        if one.name.lower() == "reject":
            rejected = whole.called(one)
        elif one.name.lower() not in HARMLESS and ADMIT not in whole.called(one):
            fault = f"Post-Auth-Type {one.name} takes the place of post-auth, without {ADMIT}"
            yield error(str(path), fault, f"call {ADMIT} in it", why=WHY)
    if COUNT not in rejected:
        why = "Wrong PINs are not counted: nobody who guesses is locked out."
        told = f"call {COUNT} in Post-Auth-Type REJECT of 'server {server.name}'"
        yield error(str(path), f"calls smsotp_authorize, but not {COUNT}", told, why=why)
    if ADMIT in admits:
        under = admits[ADMIT]
        if not under or under == authorize["smsotp_authorize"]:
            return
        fault = f"calls {ADMIT} under another condition than smsotp_authorize ({under[-1]})"
        yield error(str(path), fault, remedy, why=WHY)
    else:
        yield error(str(path), f"calls smsotp_authorize, but not {ADMIT}", remedy, why=WHY)
    for way in _ways(whole, server, authorize):
        yield error(str(path), f"{way} leads past the code", remedy, why=WHY)


def _tunnels(path: Path, server: Section, called: list[str]) -> Iterator[Finding]:
    """Of a virtual server around a tunnel of ours, or in it: what came later than the file."""
    place = f"in the section authorize of 'server {server.name}'"
    if "smsotp_eap" in called and BEFORE_TUNNEL not in called[: called.index("smsotp_eap")]:
        why = "Who has no account can take memory that FreeRADIUS never gives back."
        fault = f"calls smsotp_eap, but not {BEFORE_TUNNEL} before it"
        yield error(str(path), fault, f"call it there, {place}", why=why)
    if server.name == OUR_TUNNEL and IN_TUNNEL not in called:
        why = "A device can say that it is another one, and keep all others out of the Wi-Fi."
        fault = f"does not call {IN_TUNNEL}: what a device says goes on as it is"
        yield error(str(path), fault, f"call it first of all {place}", why=why)


def _ways(whole: Raddb, server: Section, authorize: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """What else lets people in there, each in words."""
    names = [*authorize, *whole.called(server.find("authenticate"))]
    for name in dict.fromkeys(names):
        kind = whole.kind(name)
        if kind == "eap" and name not in ALLOWED:
            for method in whole.methods(name):
                yield f"{EAP_METHODS[method]} (module {name})"
        elif kind == "digest":
            yield f"Digest (module {name})"
        elif kind == "realm":
            for realm in dict.fromkeys(whole.realms):
                yield f"realm {realm}, which another server answers for (module {name})"
        elif kind == "files":
            yield from _accepted(whole, name)
    section = server.find("authorize")
    for number, line in section.everything() if section else ():
        if ACCEPTS.search(line):
            yield f"Auth-Type := Accept (line {number})"


def _accepted(whole: Raddb, name: str) -> Iterator[str]:
    """Entries of a users file that need no password."""
    module = whole.modules[name][1]
    named = module.value("filename") or module.value("usersfile")
    values = {"moddir": module.value("moddir"), "modconfdir": str(whole.folder / "mods-config")}
    place = re.sub(r"\$\{\.?(\w+)\}", lambda key: values.get(key[1], key[0]), named)
    place = re.sub(r"\$\{\.?(\w+)\}", lambda key: values.get(key[1], key[0]), place)
    place = place.replace("${..:instance}", name).replace("${.:instance}", name)
    path = Path(place)
    if not path.is_file():
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        if not line.lstrip().startswith("#") and ACCEPTS.search(line):
            yield f"Auth-Type := Accept ({path}, line {number})"


def _own_eap(whole: Raddb) -> Iterator[Finding]:
    """Our own ``eap`` modules, with methods that somebody has added."""
    for name, allowed in ALLOWED.items():
        if name not in whole.modules:
            continue
        path, _ = whole.modules[name]
        for method, section in whole.methods(name).items():
            tunnel = section.value("virtual_server")
            if method not in allowed or (method != "mschapv2" and tunnel != OUR_TUNNEL):
                fault = f"{EAP_METHODS[method]} (module {name}) leads past the code"
                yield error(
                    str(path),
                    fault,
                    f"remove that method, or lead its tunnel to {OUR_TUNNEL}",
                    why=WHY,
                )
        for section in whole.modules[name][1].sections:
            cache = section.find("cache")
            if cache is not None and cache.value("enable") == "yes":
                fault = f"TLS sessions are resumed (module {name}), without PIN and code"
                remedy = (
                    "leave it so if you mean it: see 'Devices that come back' in "
                    "docs/how-to/wi-fi/come-back.rst"
                )
                yield warning(str(path), fault, remedy)


def _around_tunnels(whole: Raddb) -> Iterator[Finding]:
    """Methods beside a tunnel that leads to a server in which our policy is called."""
    ours = {
        server.name
        for _, server in whole.servers
        if "smsotp_authorize" in whole.called(server.find("authorize"))
    }
    for name, (path, module) in whole.modules.items():
        if module.kind != "eap" or name in ALLOWED:
            continue
        methods = whole.methods(name)
        tunnels = {
            one for one, section in methods.items() if section.value("virtual_server") in ours
        }
        # Where a server calls the module and ours, it is said there.
        outer = [
            server
            for _, server in whole.servers
            if server.name not in ours and name in whole.called(server.find("authorize"))
        ]
        for method in sorted(methods.keys() - tunnels) if tunnels and outer else ():
            fault = f"{EAP_METHODS[method]} (module {name}) leads past the code"
            remedy = f"remove that method, or call our policies in 'server {outer[0].name}'"
            yield error(str(path), fault, remedy, why=WHY)


def _elsewhere(whole: Raddb) -> Iterator[Finding]:
    """Who needs no code, as a server that never asks us listens for it."""
    files = dict(configuration.whole(whole.folder))
    ours = {
        server.name
        for _, server in whole.servers
        if CALLED.intersection(whole.called(server.find("authorize")))
    }
    unsent = [
        client.name
        for file in files.values()
        for client in file.sections
        if client.kind == "client" and not client.value("virtual_server") and _is_beyond(client)
    ]
    for path, server in whole.servers:
        for listen in server.sections if unsent and ours - {server.name} else ():
            address = listen.value("ipaddr") or listen.value("ipv6addr")
            own = listen.value("clients") or listen.value("virtual_server")
            is_auth = listen.kind == "listen" and "auth" in listen.value("type").split("+")
            if server.name in ours or own or not is_auth or _is_loopback(address):
                continue
            names = ", ".join(unsent[:NAMED]) + (", …" if unsent[NAMED:] else "")
            fault = f"whoever logs in from {names} needs no code: server {server.name} answers"
            remedy = "write 'virtual_server = smsotp' into their sections, if they shall"
            yield note(f"{path}, line {listen.number}", fault, remedy)
            break


def _is_beyond(client: Section) -> bool:
    """Whether a client may be another machine than this one."""
    place = network(client)
    return place is None or not place.is_loopback


def _is_loopback(address: str) -> bool:
    return address in {"localhost", "::1"} or address.startswith("127.")


def _anybody(whole: Raddb, path: Path) -> Iterator[Finding]:
    """A first factor that lets in whatever is typed, without a condition."""
    policy = whole.policies.get("smsotp_first_factor")
    lines = policy.items if policy else []
    if lines and all(isinstance(one, str) and one in CODES for one in lines):
        why = "The code alone lets in, and whoever knows a name sends its owner messages."
        remedy = "name what checks the password there, as pap or ldap"
        fault = "smsotp_first_factor lets every password pass"
        yield warning(str(path), fault, remedy, why=why)
