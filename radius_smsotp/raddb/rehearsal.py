"""
A FreeRADIUS of one's own, which answers one request by the words of a raddb and changes nothing.

Its raddb is a folder of links into the site's, so whatever stands there holds: virtual servers,
policies, modules and what they ask.  Three things differ.  It listens on an address of its own, as
the command line says, and there the client that is meant stands at another one.  Our module is in
its place as one that looks on (`hooks.Rehearsal`).  And what would check a password or write is
hidden by a policy of its name, which FreeRADIUS finds first (``do_compile_modsingle`` in
src/main/modcall.c): the conditions around it are decided as ever.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from radius_smsotp.errors import SmsotpError
from radius_smsotp.raddb import configuration, files
from radius_smsotp.raddb.configuration import Section
from radius_smsotp.raddb.freeradius import FreeRadius
from radius_smsotp.raddb.transcript import Transcript

NAME = "smsotp-check"
"""Of the configuration file: with no virtual server of this name, ``-i`` and ``-p`` alone say where
to listen (``listen_init`` in src/main/listen.c)."""

SERVER, CLIENT = "127.83.77.83", "127.83.77.84"
"""Loopback addresses (RFC 1122 section 3.2.1.3) that nobody else has a reason to use."""

SECONDS = 30.0
"""For start and answer: whatever hangs is given up sooner by the recipes."""

WRITE = {
    *("detail", "linelog", "radutmp", "unix", "replicate", "counter", "couchbase", "sometimes"),
    *("ippool", "redis_ippool", "redis_rediswho", "redis_whois", "sqlippool", "sql_log"),
}
"""Modules that only write, or give addresses away: hidden in every section."""

READ = {
    *("always", "attr_filter", "date", "expiration", "expr", "files", "logintime", "passwd"),
    *("preprocess", "realm", "unpack", "utf8"),
}
"""Modules that stay what they are in every section."""

SECTIONS = ("authenticate", "session", "pre-proxy", "post-proxy", "post-auth")
"""In which all other modules are hidden."""

EXPLICIT = re.compile(r"-?[\w.-]+\.(?:authenticate|accounting|session|pre-proxy|post-auth)")
"""A call that names its section: FreeRADIUS looks for no such policy."""

OF_PACKET = {
    *("ipaddr", "ipv4addr", "ipv6addr", "netmask", "proto", "secret", "shortname", "src_ipaddr"),
    *("virtual_server", "require_message_authenticator"),
}
"""What a client's section says of its packets, which are ours here."""


@dataclass(frozen=True, slots=True)
class Asked:
    """
    Who is to log in, and where.

    Attributes:
        user: As it would be typed.
        client: The client's section.
        name: Its short name.
        address: Where it would ask from; "" if that is not known.
        server: The virtual server that it is sent through; "" for the one without a name.
    """

    user: str
    client: Section
    name: str
    address: str
    server: str


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What FreeRADIUS has done, and what our module has reported: its calls, the last one last."""

    transcript: Transcript
    report: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """
    A site as it is.

    Attributes:
        modules: The instances in `raddb`, each with the module that it is of.
        user: Whom FreeRADIUS runs as, where root asks; None for who asks.
    """

    raddb: Path
    settings: Path
    server: FreeRadius
    modules: Mapping[str, str]
    user: pwd.struct_passwd | None

    def ask(self, asked: Asked, packet: Callable[[str], bytes]) -> Rehearsed:
        """
        Have one request answered.

        Args:
            packet: Makes the request, of the secret that it is signed with.

        Raises:
            SmsotpError: FreeRADIUS does not start, or does not answer.
        """
        folder = Path(tempfile.mkdtemp(prefix="smsotp-check-"))
        try:
            return self._asked(folder, asked, packet)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _asked(self, folder: Path, asked: Asked, packet: Callable[[str], bytes]) -> Rehearsed:
        secret, report = secrets.token_hex(16), folder / "report"
        _link(folder, self.raddb)
        _hide(folder, self.modules)
        _introduce(folder, asked, secret)
        _exchange(folder, self.settings, asked.address, report)
        who: dict[str, Any] = {}
        if self.user is not None and os.geteuid() == 0 and self.user.pw_uid:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, self.user.pw_uid, self.user.pw_gid, follow_symlinks=False)
            groups = os.getgrouplist(self.user.pw_name, self.user.pw_gid)
            who = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": groups}
            # Where libpq looks for a password.
            who["env"] = {**os.environ, "HOME": self.user.pw_dir}
        port = _free_ports()
        own = ("-d", folder, "-n", NAME, "-i", SERVER, "-p", str(port))
        transcript = Transcript()
        with _running([self.server.program, "-X", *own], **who) as lines:
            _start(lines, report)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.bind((CLIENT, 0))
                sender.sendto(packet(secret), (SERVER, port))
            for line in lines:
                transcript.read(line)
                if transcript.ended:
                    break
            else:
                fault = f"FreeRADIUS has ended, or not answered within {SECONDS:g} s"
                raise SmsotpError(fault)
        told = [json.loads(line) for line in report.read_text("utf-8").splitlines()]
        return Rehearsed(transcript, {one.pop("call"): one for one in told})


def _link(folder: Path, raddb: Path) -> None:
    """All that is in a raddb, but for our module."""
    for one in raddb.iterdir():
        if one.name not in {"mods-enabled", "policy.d"}:
            (folder / one.name).symlink_to(one.absolute())
            continue
        (folder / one.name).mkdir()
        for file in one.iterdir():
            if one.name == "policy.d" or not _is_ours(file):
                (folder / one.name / file.name).symlink_to(file.absolute())


def _is_ours(file: Path) -> bool:
    """Whether a file of ``mods-enabled`` has an instance of our module."""
    return file.is_file() and any(
        one.kind == "python3" and re.fullmatch(r"smsotp(_\w+)?", one.name)
        for one in configuration.read(file).sections
    )


def _hide(folder: Path, modules: Mapping[str, str]) -> None:
    """Put policies in the place of modules, as they are called, and as called if they are there."""
    hidden = ""
    for name, kind in modules.items():
        if kind in READ or name == "smsotp":
            continue
        for section in (*SECTIONS, "authorize") if kind in WRITE else SECTIONS:
            result = "ok" if section == "authenticate" else "noop"
            for called in (name, f"-{name}"):
                hidden += f"{called}.{section} {{\n\t{result}\n}}\n"
    (folder / "policy.d" / NAME).write_text(hidden, encoding="utf-8")


def _introduce(folder: Path, asked: Asked, secret: str) -> None:
    """The client at its other address; of what is said twice, FreeRADIUS takes the first."""
    own = [
        f"\t{line}\n"
        for _, line in asked.client.lines
        if line.partition("=")[0].strip().lower() not in OF_PACKET
    ]
    server = [f"\tvirtual_server = {asked.server}\n"] if asked.server else []
    (folder / f"{NAME}.conf").write_text(
        f"client {NAME} {{\n\tipaddr = {CLIENT}\n\tsecret = {secret}\n"
        f'\tshortname = "{asked.name}"\n{"".join(server + own)}}}\n'
        "proxy_requests = no\n$INCLUDE radiusd.conf\n",
        encoding="utf-8",
    )


def _exchange(folder: Path, settings: Path, address: str, report: Path) -> None:
    """Our module, looking on."""
    text = files.text("mods-available/python3_smsotp", files.values(settings))
    text = re.sub(r"(?m)^(\s*func_\w+ = )", r"\1rehearse_", text)
    own = f'config {{\n\t\taddress = "{address}"\n\t\treport = "{report}"\n'
    text = text.replace("config {\n", own)
    (folder / "mods-enabled" / "python3_smsotp").write_text(text, encoding="utf-8")


@contextlib.contextmanager
def _running(command: Sequence[str | Path], **who: Any) -> Iterator[Iterator[str]]:
    """A program, for `SECONDS` at most: what it says, line by line."""
    process = subprocess.Popen(  # noqa: S603  # FreeRADIUS, found by `freeradius.find`
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **who
    )
    end = threading.Timer(SECONDS, process.kill)
    end.start()
    try:
        output = process.stdout or ()  # it is there, as we have asked for it
        yield (line.decode("utf-8", "replace").rstrip("\n") for line in output)
    finally:
        end.cancel()
        process.kill()
        process.communicate()


def _start(lines: Iterator[str], report: Path) -> None:
    """
    Wait until it can be asked.

    Raises:
        SmsotpError: It does not start, or our module is not the one that looks on.
    """
    last: list[str] = []
    for line in lines:
        last = [*last[-20:], line]
        if line.endswith("Ready to process requests"):
            if report.exists():
                return
            fault = "the raddb names mods-enabled/ by another path than ${confdir}"
            raise SmsotpError(f"our module cannot be replaced by one that looks on: {fault}")
    told = [one for one in last if re.search(r"(?i)error|fail|unable|smsotp: ", one)] or last[-3:]
    raise SmsotpError("\n".join(["FreeRADIUS does not start with this raddb:", *told]))


def _free_ports() -> int:
    """A port that is free, and the one after it: FreeRADIUS takes both."""
    while True:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as next_one,
        ):
            one.bind((SERVER, 0))
            port = int(one.getsockname()[1])
            with contextlib.suppress(OSError, OverflowError):
                next_one.bind((SERVER, port + 1))
                return port
