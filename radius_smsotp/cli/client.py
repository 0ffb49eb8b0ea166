"""``smsotp client``: what the settings come to for one RADIUS client."""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Any

import click

from radius_smsotp.cli import output
from radius_smsotp.cli.site import Site, pass_site
from radius_smsotp.cli.user import account
from radius_smsotp.model import identity as tags
from radius_smsotp.settings import policy


@click.group()
def client() -> None:
    """
    RADIUS clients: what the settings come to for one of them.

    \b
    Example:
      smsotp client show fortigate
    """


@client.command()
@click.argument("name", metavar="NAME|ADDRESS")
@click.option(
    "--address", metavar="ADDRESS", help="The address, where NAME alone does not find the entry."
)
@click.option("--ssid", metavar="SSID", default="", help="The wireless network behind it.")
@click.option(
    "--language", metavar="TAG", default="", help="What the person reads who logs in, as de."
)
@output.json_option
@pass_site
def show(
    site: Site, name: str, address: str | None, ssid: str, language: str, as_json: bool
) -> None:
    """
    Show what holds for a client, and where in the settings it stands.

    NAME is the client's short name in FreeRADIUS's clients.conf.  It need not be there:
    this tells what would hold.

    \b
    Examples:
      smsotp client show fortigate
      smsotp client show 10.1.4.7 --ssid "Office Wi-Fi" --language de
    """
    where = _address(name if address is None else address)
    if address is not None and not where:
        raise click.BadParameter("this is no IP address", param_hint="--address")
    wanted = account.option(site.loaded, "language", language or None)
    known = tags.choose_language(wanted or "", site.loaded.languages)
    effective = policy.effective(site.loaded.values, name, where, ssid, known)
    found = {".".join(field): one for field, one in sorted(effective.items())}
    if as_json:
        settings = {field: {"value": one.value, "from": one.source} for field, one in found.items()}
        output.as_json({"name": name, "address": where, "ssid": ssid, "settings": settings})
        return
    rows = [(field, one.source, _shown(one.value)) for field, one in found.items()]
    output.table(("Setting", "From", "Value"), rows, empty="", sentences=["Value"])


def _address(text: str) -> str:
    """The IP address that a text is; "" if it is none."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def _shown(value: Any) -> str:
    """A value as YAML has it: texts in quotes, so that blanks at their ends show."""
    if isinstance(value, str) and re.fullmatch(r"\w+", value):
        return value
    return json.dumps(value, ensure_ascii=False)
