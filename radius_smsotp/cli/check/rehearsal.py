"""``smsotp check --as``: what would happen to one user, and why, by the words of the raddb."""

from __future__ import annotations

import ipaddress
import pwd
import re
import secrets
import string
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click

from radius_smsotp.cli import output, trace
from radius_smsotp.cli.check import directories
from radius_smsotp.cli.check.clients import network
from radius_smsotp.cli.check.ways import Raddb
from radius_smsotp.cli.radius_client import access_request
from radius_smsotp.errors import SmsotpError
from radius_smsotp.model.events import REASONS
from radius_smsotp.model.records import Event
from radius_smsotp.raddb import configuration, files, freeradius
from radius_smsotp.raddb.configuration import Section
from radius_smsotp.raddb.rehearsal import EXPLICIT, READ, SECTIONS, Asked, Rehearsal, Rehearsed

OWN_CLIENT = "smsotp_gtc"
"""The tunnels of Wi-Fi, which nobody has to name."""

IN_TUNNEL = "smsotp-gtc"

TUNNELLED = {226: "PEAP"}
"""``SMSOTP-Tunnel`` of ``dictionary.smsotp``; 224 and 225 are the client at its outer end."""

OUR_SITES = ("sites-available/smsotp", "sites-available/smsotp-gtc")

KNOWING = {
    "ok": "knows the account",
    "updated": "knows the account",
    "notfound": "does not know the account",
    "noop": "says nothing of the account",
    "fail": "does not answer",
    "reject": "refuses the account",
    "userlock": "refuses the account: it is locked or disabled",
    "invalid": "refuses the account",
}
"""What a module says that looks accounts up, by its return code."""

SILENT = {"ok", "noop", "updated"}
"""Return codes of other modules that decide nothing."""

LOOK_UP = {"ldap", "sql", "files", "passwd", "rest", "sql_map", "winbind"}

DECIDED = {
    "TRUE": "met",
    "FALSE": "not met",
    "": "not met: it names what is not there",
}

BY_PASSWORD = {
    "ldap": "by a bind with the password",
    "mschap": "by the handshake",
    "pap": "by comparing the password with what FreeRADIUS knows",
}
"""How a module checks the first factor."""

ONLY_THEN = {"ldap", "exec", "mschap"}
"""Modules that say of who has the right password alone whether that is enough."""

FROM = {
    "account": "of the account in our store",
    "override": "set by the helpdesk for a time",
    "freeradius": "of SMSOTP-Phone",
}

LIMITS = {
    "per_account_hour": "an hour to the account",
    "per_number_hour": "to the number",
    "per_client_hour": "for the client",
    "per_day": "a day in all",
}

UNTOLD = re.compile(r"Message-Authenticator|Proxy-State|State|EAP-Message|MS-MPPE-.*")
SECRET = re.compile(r".*(Password|Secret|Key).*", re.IGNORECASE)
"""Attributes of a reply that say nothing, and whose values are nobody's business."""


def option(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, str]:
    """NAME@CLIENT: the last @ separates."""
    name, _, client = (value or "").rpartition("@")
    if value is not None and not (name and client):
        raise click.BadParameter(f"'{output.clean(value)}' is not NAME@CLIENT")
    return name, client


def tell(
    config: Path,
    raddb: Path,
    user: pwd.struct_passwd | None,
    name: str,
    client: str,
    *,
    port: int | None = None,
    wifi: bool = False,
) -> dict[str, Any]:
    """
    All there is to say, for programs; see `show`.

    Args:
        user: Whom FreeRADIUS runs as, where root asks; None for who asks.
        name: Of the user, as it would be typed.
        client: Its name, or its address.
        port: Where that sends to; None for the usual one.
        wifi: Whether a device behind it asks, in a tunnel of ours.

    Raises:
        SmsotpError: It cannot be found out.
    """
    try:
        whole = Raddb(files.find(raddb))
        place, section, address = _client(whole.folder, client)
        virtual, others = _server(whole, section, port)
        if wifi:
            virtual, others = IN_TUNNEL, {}
        here = next((one for _, one in whole.servers if one.name == virtual), None)
        if wifi and here is None:
            raise SmsotpError(f"{whole.folder} has no virtual server {IN_TUNNEL}, for Wi-Fi")
        _refuse_explicit(whole, here)
        shortname = section.value("shortname") or section.name
        asked = Asked(name, section, OWN_CLIENT if wifi else shortname, address, virtual)
        found = _asked(config, whole, user, asked, TUNNELLED | {224: shortname} if wifi else {})
    except PermissionError as raised:
        raise SmsotpError(f"this user may not read {raised.filename}; run this as root") from None
    told: dict[str, Any] = {
        "name": name,
        "client": {"name": shortname, "address": address, "file": place, "server": virtual},
        "steps": list(_steps(found, whole)),
        "auth_type": found.transcript.auth_type,
    }
    if others:
        told["client"]["other_ports"] = others
    told |= _ours(found, told["steps"])
    told["reply"] = _reply(found)
    called = whole.called(here.find("authorize")) if here else {}
    told["wifi"] = "smsotp_eap" in called and (whole.folder / files.WIFI_LINKS[0]).exists()
    told["only_then"] = [one for one in told["first_factor"] if whole.kind(one) in ONLY_THEN]
    told["attributes"] = directories.number_attributes(whole.folder)
    told["remedy"] = None
    if (reason := told["reason"]) in REASONS:
        account, detail = told["account"] or name, {"reason": reason}
        event = Event(
            "login-refused", datetime.now(timezone.utc), account, "", shortname, "", detail
        )
        told["remedy"] = trace.advice(event, whole.folder)
    return told


def _asked(
    config: Path,
    whole: Raddb,
    user: pwd.struct_passwd | None,
    asked: Asked,
    more: Mapping[int, str],
) -> Rehearsed:
    modules = {one: whole.kind(one) for one in whole.modules}
    # Nobody's password, and no code either: those are digits.
    password = "".join(secrets.choice(string.ascii_letters) for _ in range(32))
    v4 = asked.address if "." in asked.address else ""
    if more:
        more = {**more, 225: asked.address}
    return Rehearsal(whole.folder, config, freeradius.installed(), modules, user).ask(
        asked, lambda secret: access_request(asked.user, password, secret, v4, more)
    )


def _clients(raddb: Path) -> Iterator[tuple[str, Section]]:
    """Every client of a raddb, with its file and line."""
    for path, file in dict(configuration.whole(raddb)).items():
        for one in file.within("client"):
            if len(one.words) == 2 and one.name != OWN_CLIENT and not one.value("dynamic_clients"):
                yield f"{path}, line {one.number}", one


def _client(raddb: Path, wanted: str) -> tuple[str, Section, str]:
    """
    The client that is meant, by name or address, and from where it would ask.

    Raises:
        click.BadParameter: There is none.
    """
    known = list(_clients(raddb))
    for place, one in known:
        if wanted in {one.name, one.value("shortname")}:
            near = network(one)
            return place, one, "" if near is None else str(next(iter(near.hosts()), near[0]))
    try:
        address = ipaddress.ip_address(wanted)
        around = [(place, one) for place, one in known if (n := network(one)) and address in n]
        if around:
            place, one = max(around, key=lambda pair: network(pair[1]).prefixlen)  # type: ignore[union-attr]  # there is one
            return place, one, wanted
    except ValueError:
        pass
    names = ", ".join(dict.fromkeys(one.value("shortname") or one.name for _, one in known))
    fault = f"there is no client '{output.clean(wanted)}' in {raddb}; there are: {names}"
    raise click.BadParameter(fault, param_hint="--as")


USUAL_PORTS = {"", "0", "1812"}
"""Of a ``listen`` section that says it (RFC 2865 section 3)."""


def _server(whole: Raddb, client: Section, port: int | None) -> tuple[str, dict[str, str]]:
    """
    The virtual server that a client is sent through, and those at other ports.

    Raises:
        click.BadParameter: Nobody listens at `port`.
    """
    if own := client.value("virtual_server"):
        return own, {}
    listens = [
        (one, one.value("virtual_server"))
        for _, file in configuration.whole(whole.folder)
        for one in file.sections
        if one.kind == "listen"
    ]
    listens += [
        (one, server.name)
        for _, server in whole.servers
        for one in server.sections
        if one.kind == "listen"
    ]
    found = {
        "1812" if (said := one.value("port")) in USUAL_PORTS else said: name
        for one, name in listens[::-1]
        if "auth" in one.value("type").split("+") and not one.value("clients")
    }
    if port is None:
        at = "1812" if "1812" in found else next(reversed(found), "")
    elif (at := str(port)) not in found:
        fault = f"no virtual server listens at {port}, but at {', '.join(found) or 'no port'}"
        raise click.BadParameter(fault, param_hint="--port")
    return found.pop(at, ""), found


def _refuse_explicit(whole: Raddb, server: Section | None) -> None:
    """Stop where a module would be called that cannot be hidden."""
    calls = {
        called: section.kind
        for section in (server.sections if server else ())
        if section.kind in SECTIONS
        for called in whole.called(section)
        if EXPLICIT.fullmatch(called)
    }
    for called, section in calls.items():
        name = called.removeprefix("-").rpartition(".")[0]
        if whole.kind(name) not in {*READ, ""} and name != "smsotp":
            fault = f"{called} in {section} would check a password, or write"
            raise SmsotpError(f"{fault}: write {name}, without its section, to try this")


def _steps(found: Rehearsed, whole: Raddb) -> Iterator[dict[str, str]]:
    """What the site's own words have come to: not what our policy asks itself."""
    own = {
        name
        for path, file in configuration.enabled(whole.folder, "policy.d")
        if path.name in {"smsotp", "smsotp_pool"}
        for name in (one.kind for one in file.sections)
    }
    sites = "".join(files.source(one).read_text("utf-8") for one in OUR_SITES)
    for one in found.transcript.happenings:
        kind = whole.kind(one.text)
        if one.kind == "condition" and one.policy not in own and one.text not in sites:
            meaning = DECIDED[one.result]
        elif one.kind == "hidden" and kind:
            meaning = "would be called"
            if one.section.startswith("Auth-Type"):
                meaning = BY_PASSWORD.get(kind, "with the password")
        elif one.kind == "module" and kind not in {"", "always"} and one.text != "smsotp":
            if (one.policy in own or kind in READ - LOOK_UP) and one.result in SILENT:
                continue
            meaning = KNOWING.get(one.result, one.result) if kind in LOOK_UP else one.result
        else:
            continue
        yield {
            "section": one.section,
            "policy": one.policy,
            "kind": one.kind,
            "what": one.text,
            "result": one.result.lower(),
            "meaning": meaning,
        }


def _checks_password(step: Mapping[str, str]) -> bool:
    return step["kind"] == "hidden" and step["section"].startswith("Auth-Type")


def _ours(found: Rehearsed, steps: list[dict[str, str]]) -> dict[str, Any]:
    """What our module would do, and the outcome of it all."""
    said, after = found.report.get("authorize"), found.report.get("post_auth", {})
    accepted = found.transcript.reply == "Access-Accept"
    checks = [one["what"] for one in steps if _checks_password(one)]
    told: dict[str, Any] = {"account": None, "reason": "", "first_factor": checks}
    told |= {key: value for key, value in (said or {}).items() if key != "phones"}
    if after.get("step") == "down" or told.get("fault"):
        failures = told.pop("fault", "") or "; ".join(after["failures"])
        return told | {"outcome": "down", "failures": failures}
    reason = told["reason"] or after.get("reason", "")
    if said is None:
        outcome = "without-code" if accepted else "refused"
        return told | {"outcome": outcome, "reason": reason}
    no_pin = checks == ["pap"] and not (said["pin"] or said["checkable"])
    reason = reason or ("no-pin" if no_pin else "")
    if reason or not accepted:
        return told | {"outcome": "refused", "reason": reason}
    return told | {"outcome": "emergency" if said["emergency"] else said["admission"]}


def _reply(found: Rehearsed) -> dict[str, list[str]]:
    """What the Access-Accept would hold."""
    told: dict[str, list[str]] = {}
    if found.transcript.reply == "Access-Accept":
        for name, value in found.transcript.attributes:
            if not UNTOLD.fullmatch(name):
                told.setdefault(name, []).append("(hidden)" if SECRET.fullmatch(name) else value)
    return told


def is_refusal(told: Mapping[str, Any]) -> bool:
    """Whether the user would not be let in."""
    return told["outcome"] in {"refused", "down"}


def show(told: Mapping[str, Any]) -> None:
    """The same for people."""
    output.record(list(_lines(told)))
    click.echo()
    good = not is_refusal(told)
    sentence = _sentence(told)
    click.echo(output.styled(output.clean(sentence), "green" if good else "red"))
    if good and told["only_then"]:
        click.echo(UNSAID.replace("{modules}", ", ".join(told["only_then"])))
    if told["remedy"]:
        click.echo(f"=> {output.clean(told['remedy'])}")


UNSAID = (
    "What {modules} says only to the right password is not known: in Active Directory an account "
    "that has expired, or is locked, a password to be changed, other hours, other computers."
)


def _lines(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    client = told["client"]
    where = f"{client['name']} {client['address']} ({client['file']})".replace("  ", " ")
    yield "Client", f"{where}, virtual server {client['server'] or 'without a name'}"
    if "other_ports" in client:
        others = (f"{port}: {name}" for port, name in client["other_ports"].items())
        yield "Other ports", f"{', '.join(others)} (--port)"
    if told["account"] is not None:
        yield "Account", told["account"]
    for one in told["steps"]:
        title = {"condition": "Condition", "module": "Asked", "hidden": "Not asked"}[one["kind"]]
        if _checks_password(one):
            title = "Password"
        place = one["policy"] or one["section"]
        yield title, f"{one['what']} ({place}): {one['meaning']}"
    if told.get("admission"):
        yield from _of_account(told)
    for name, values in told["reply"].items():
        yield "Reply", f"{name} = {', '.join(values)}"
    if told["wifi"]:
        yield "Wi-Fi", WIFI


WIFI = f"PEAP and EAP-TTLS end in the virtual server {IN_TUNNEL}: see --wifi"


def _of_account(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What our module knows."""
    here = "an account" if told["here"] else "no account"
    yield "Our store", f"{here}{', with a PIN' if told['pin'] else ''}"
    if told["number"]:
        source = FROM[told["source"]]
        if told["source"] == "freeradius" and told["attributes"]:
            source = f"{source} ({', '.join(told['attributes'])})"
        yield "Number", f"{told['number']}, {source}"
    else:
        yield "Number", "none"
    for fault in told["faults"]:
        yield "Number", fault
    if told["ways"]:
        yield "Ways", ", ".join(f"{word} {hint}" for word, hint in told["ways"].items())
    locked = f"until {told['locked_until']}" if told["locked_until"] else "none"
    yield "Lock-out", f"{locked}; {told['failures']} of {told['most_failures']} failures"
    counts = (
        f"{sent} of {most or 'any'} {LIMITS[name]}" for name, (sent, most) in told["sent"].items()
    )
    yield "Messages", ", ".join(counts)
    if told["number"]:
        skipped = f"; skipped: {', '.join(told['skipped'])}" if told["skipped"] else ""
        yield "Sent by", f"{', then '.join(told['providers'])}{skipped}"


OUTCOMES = {
    "open": "With the right password a code of {digits} digits is sent to {number}, and lets in.",
    "repeat": "With the right password the code counts that was sent just now; none is sent again.",
    "trust": "With the right password the device is let in without a code: it is remembered.",
    "emergency": "With the right password an emergency code is asked for, and nothing is sent.",
    "without-code": "With the right password the user is let in without a code: FreeRADIUS does "
    "not ask our module.",
    "down": "Refused for now, and not counted: {failures}",
}


def _sentence(told: Mapping[str, Any]) -> str:
    if told["outcome"] != "refused":
        values = {key: str(told.get(key, "")) for key in ("digits", "number", "failures")}
        sentence = OUTCOMES[told["outcome"]]
        for key, value in values.items():
            sentence = sentence.replace(f"{{{key}}}", value)
        return sentence
    reason = told["reason"]
    return f"Refused, whatever the password: {REASONS.get(reason, reason or 'by FreeRADIUS')}."
