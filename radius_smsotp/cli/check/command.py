"""``smsotp check``: every problem at once, with what to do about it."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from radius_smsotp.cli import CONFIGURATION, output
from radius_smsotp.cli.check import host, raddb, rehearsal, servers, site
from radius_smsotp.cli.check.finding import PAGE, Finding
from radius_smsotp.cli.site import acting_as, existing_user
from radius_smsotp.errors import freeradius_user

COLOURS = {"error": "red", "warning": "yellow", "note": "green"}

INDENT = " " * 9
"""Below the text of a finding, behind its level."""


@click.command()
@click.option(
    "--user",
    metavar="USER",
    callback=existing_user,
    help="For root: whose rights to check with.  [default: who FreeRADIUS runs as]",
)
@click.option(
    "--raddb",
    "folder",
    type=click.Path(path_type=Path),
    help="The configuration of FreeRADIUS to look at.  [default: the folder raddb beside the "
    "settings, or this machine's]",
)
@click.option(
    "--as",
    "wanted",
    metavar="NAME@CLIENT",
    callback=rehearsal.option,
    help="Tell what would happen to this user at this RADIUS client, and why.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="With --as: where that client sends to, where its section names no virtual server.  "
    "[default: 1812]",
)
@click.option(
    "--wifi",
    is_flag=True,
    help="With --as: for a device behind that client, in the tunnel of PEAP or EAP-TTLS.",
)
@output.json_option
@click.pass_obj
def check(
    config: Path,
    user: pwd.struct_passwd | None,
    folder: Path | None,
    wanted: tuple[str, str],
    port: int | None,
    wifi: bool,
    as_json: bool,
) -> None:
    """
    Find every problem of settings, key, store, providers and FreeRADIUS.

    For each one: where it is, what it is, what to do about it, and why it matters.  Nothing is
    sent.  Run as root, it checks with the rights of the user that FreeRADIUS runs as.  Exits
    with 3 if there is an error, with 0 if there are only warnings.

    With --as it walks through the raddb for one user instead, without a password: a FreeRADIUS of
    its own answers, by the site's words, and sends, writes and counts nothing.  Exits with 1 if
    the user would be refused.

    \b
    Examples:
      smsotp check
      smsotp check --as alice@localhost
      smsotp check --as alice@127.0.0.1 --wifi --json
      smsotp --config ./site/smsotp.yaml check --json
    """
    if os.geteuid() == 0:
        user = user or freeradius_user()
    elif user is not None:
        raise click.UsageError("only root can check with the rights of somebody else")
    folder = folder or raddb.place(config)
    if wanted[0]:
        told = rehearsal.tell(config, folder, user, *wanted, port=port, wifi=wifi)
        if as_json:
            output.as_json(told)
        else:
            rehearsal.show(told)
        sys.exit(rehearsal.is_refusal(told))
    found = _found(config, user, folder)
    if as_json:
        output.as_json([asdict(one) for one in found])
    else:
        if user is not None:
            click.echo(f"Checked with the rights of {user.pw_name}.")
        for one in found:
            _show(one)
        click.echo(_verdict(found))
    if any(one.level == "error" for one in found):
        sys.exit(CONFIGURATION)


def _found(config: Path, user: pwd.struct_passwd | None, folder: Path) -> list[Finding]:
    """All there is to say; if `user` cannot read this program, and so not run it, that alone."""
    with acting_as(user):
        if found := raddb.program_findings():
            return found
        found = site.findings(config)
    found += raddb.findings(folder, config)
    found += raddb.closed_findings(folder, user)
    found += servers.findings(config, folder)
    found += host.clock_findings()
    found += host.exporter_findings()
    found += host.unit_findings()
    return found


def _show(one: Finding) -> None:
    """A line in a pipe; on a terminal as many as it takes, the level in colour."""
    level = f"{one.level:<7}"
    told = output.clean(f"{one.path}: {one.fault}")
    remedy = output.clean(one.remedy)
    if not sys.stdout.isatty():
        click.echo(f"{level}  {told}{f'; {remedy}' if remedy else ''}")
        for more in filter(None, (one.line, one.why)):
            click.echo(f"{INDENT}{output.clean(more)}")
        return
    lines = output.wrapped(told, INDENT)
    click.echo(output.styled(level, COLOURS[one.level]) + lines[len(level) :])
    if one.line:
        click.echo(output.clean(f"{INDENT}{one.line}"))
    if one.why:
        click.echo(output.wrapped(one.why, INDENT))
    if remedy:
        click.echo(output.wrapped(f"=> {remedy}", INDENT))


def _verdict(found: Sequence[Finding]) -> str:
    errors = sum(one.level == "error" for one in found)
    warnings = sum(one.level == "warning" for one in found)
    if not errors + warnings:
        return "No problem found."
    parts = [(errors, "error"), (warnings, "warning")]
    told = ", ".join(output.many(*part) for part in parts if part[0])
    titles = dict.fromkeys(f"'{one.page}'" for one in found if one.level != "note")
    return f"{told}.  More: {', '.join(titles)} in {PAGE}"
