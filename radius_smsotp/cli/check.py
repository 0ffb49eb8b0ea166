"""``smsotp check``: every problem at once, with what to do about it."""

from __future__ import annotations

import os
import pwd
import sys
from dataclasses import asdict
from pathlib import Path

import click

from radius_smsotp.cli import CONFIGURATION, check_freeradius, check_site, output
from radius_smsotp.cli.site import acting_as, freeradius_user


@click.command()
@click.option(
    "--user",
    "name",
    metavar="USER",
    help="For root: whose rights to check with.  [default: who FreeRADIUS runs as]",
)
@click.option(
    "--raddb",
    default="/etc/freeradius/3.0",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The configuration of FreeRADIUS to look at.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def check(config: Path, name: str | None, raddb: Path, as_json: bool) -> None:
    """
    Find every problem of settings, key, store, providers and FreeRADIUS.

    Nothing is sent.  Run as root, it checks with the rights of the user that FreeRADIUS runs
    as.  Exits with 3 if there is an error, with 0 if there are only warnings.

    \b
    Examples:
      smsotp check
      smsotp --config ./site/smsotp.yaml check --json
    """
    user = _user(name)
    with acting_as(user):
        found = check_site.findings(config)
    found += check_freeradius.findings(raddb)
    if as_json:
        output.as_json([asdict(one) for one in found])
    else:
        if user is not None:
            click.echo(f"Checked with the rights of {user.pw_name}.")
        for one in found:
            remedy = f"; {one.remedy}" if one.remedy else ""
            click.echo(output.clean(f"{one.level:<7}  {one.path}: {one.fault}{remedy}"))
        if all(one.level == "note" for one in found):
            click.echo("No problem found.")
    if any(one.level == "error" for one in found):
        sys.exit(CONFIGURATION)


def _user(name: str | None) -> pwd.struct_passwd | None:
    """Whose rights to check with, None for our own."""
    if name is None:
        return freeradius_user() if os.geteuid() == 0 else None
    if os.geteuid() != 0:
        raise click.UsageError("only root can check with the rights of somebody else")
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise click.BadParameter(f"there is no user '{name}'", param_hint="--user") from None
