"""Whose accounting gets no answer, in the raddb in use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from radius_smsotp.cli.check.finding import CLIENTS, Finding
from radius_smsotp.cli.check.ways import Raddb
from radius_smsotp.raddb import configuration
from radius_smsotp.raddb.configuration import Section

warning = CLIENTS.warning

LOGINS = {"smsotp_authorize", "smsotp_eap"}
"""Called where logins are ours."""

WHY = "A gateway that accounts sends its users away after the right code."


def findings(raddb: Path) -> Iterator[Finding]:
    """
    One for each client that names a server of ours, and for each port, that gets no answer.

    Raises:
        PermissionError: This user may not read the configuration.
    """
    whole = Raddb(raddb)
    files = dict(configuration.whole(raddb))
    servers = {server.name: server for _, server in whole.servers}
    silent = {name for name, one in servers.items() if not _answers(whole, one)}
    called = {name: whole.called(one.find("authorize")) for name, one in servers.items()}
    ours = {name for name, found in called.items() if found.keys() & LOGINS}
    for path, file in files.items():
        for client in file.within("client"):
            name = client.value("virtual_server")
            if name in ours & silent:
                where = f"{path}, line {client.number}"
                fault = f"accounting of client {client.name} gets no answer"
                yield warning(where, f"{fault}: {_lacks(name)}", _remedy(name), why=WHY)
    if not ours:
        return
    ports = [(path, *one) for path, file in files.items() for one in _ports(file)]
    for path, port, name in ports:
        if name in silent:
            where = f"{path}, line {port.number}"
            fault = f"accounting that comes here gets no answer: {_lacks(name)}"
            yield warning(where, fault, _remedy(name), why=WHY)
    if not ports:
        remedy = "add a section 'listen' of 'type = acct', with the port 1813"
        yield warning(str(raddb), "nobody listens for accounting", remedy, why=WHY)


def _ports(file: Section) -> Iterator[tuple[Section, str]]:
    """Where accounting comes in, each with the server that it goes to, if the client names none."""
    within = [(one, server.name) for server in file.within("server") for one in server.sections]
    for one, server in [*((one, "default") for one in file.sections), *within]:
        if one.kind == "listen" and "acct" in one.value("type").split("+"):
            yield one, one.value("virtual_server") or server


def _answers(whole: Raddb, server: Section) -> bool:
    """Whether a server does anything with accounting: keeps it, or hands it on."""
    called = whole.called(server.find("accounting"))
    preacct = server.find("preacct")
    lines = [line for _, line in preacct.everything()] if preacct else []
    handed_on = any("Proxy-To-Realm" in line for line in lines)
    return handed_on or any(one in whole.modules or one in whole.policies for one in called)


def _lacks(name: str) -> str:
    return f"server {name} does nothing with it"


def _remedy(name: str) -> str:
    called = "smsotp_preacct in preacct, and smsotp_accounting in accounting"
    return f"call {called}, of 'server {name}'"
