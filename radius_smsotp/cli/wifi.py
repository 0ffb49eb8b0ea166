"""``smsotp wifi``: what devices need to join the Wi-Fi."""

from __future__ import annotations

from pathlib import Path

import click

from radius_smsotp.cli.output import clean
from radius_smsotp.cli.raddb import certificate_folder, raddb_folder
from radius_smsotp.errors import SmsotpError
from radius_smsotp.raddb import certificates, profiles

SSID_OCTETS = 32
"""IEEE 802.11 section 9.4.2.2."""


@click.group()
def wifi() -> None:
    """
    Wi-Fi: what devices need to join it.

    \b
    Example:
      smsotp wifi profile --ssid Office --for apple > office.mobileconfig
    """


def _printable(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not value.isprintable():
        raise click.BadParameter(f"'{clean(value)}' holds a control character, or is not UTF-8")
    return value or None


def _ssid(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    octets = len((_printable(ctx, parameter, value) or "").encode())
    if not 1 <= octets <= SSID_OCTETS:
        raise click.BadParameter(f"an SSID has 1 to {SSID_OCTETS} octets, this one {octets}")
    return value


@wifi.command(short_help="Write a device's profile.")
@click.option("--ssid", required=True, metavar="SSID", callback=_ssid, help="The network's name.")
@click.option(
    "--for",
    "kind",
    required=True,
    type=click.Choice([*profiles.FORMATS]),
    help="What reads it.",
)
@click.option(
    "--user",
    metavar="NAME",
    callback=_printable,
    help="Whose profile it is; NetworkManager wants that.  [default: everybody's; the device asks]",
)
@raddb_folder("The configuration whose certificate devices shall trust.")
def profile(folder: Path, ssid: str, kind: str, user: str | None) -> None:
    """
    Write a profile that trusts our authority and our server's name, and nothing else.

    It goes to standard output, and holds nothing secret.  Where a device can ask twice, it is
    asked for the PIN and then for the code; the others ask once, at each connection.

    \b
    Examples:
      smsotp wifi profile --ssid Office --for apple > office.mobileconfig
      smsotp wifi profile --ssid Office --for windows > office.xml
      smsotp wifi profile --ssid Office --for android > office.eap-config
      smsotp wifi profile --ssid Office --for networkmanager --user alice
      smsotp wifi profile --ssid Office --for wpa_supplicant --user alice
    """
    if kind == "networkmanager" and user is None:
        raise click.UsageError("NetworkManager takes no profile without a name: --user NAME")
    place = certificate_folder(folder)
    server, authority = certificates.read(place / "server.pem"), place / "ca.pem"
    if not certificates.is_signed(place):
        raise SmsotpError(
            f"{server.path} was not signed by {authority}: put what has signed it there"
        )
    if not server.names:
        raise SmsotpError(f"{server.path} has no DNS name, which devices compare; it needs one")
    text = authority.read_text(encoding="utf-8")
    blocks = certificates.BLOCK.findall(text)
    if len(blocks) != 1:
        raise SmsotpError(
            f"{authority} holds {len(blocks)} certificates: leave the one that devices shall trust"
        )
    network = profiles.Network(ssid, server.names[0], blocks[0], user)
    # As it is, whatever this terminal can show.
    click.echo(profiles.FORMATS[kind](network).encode(), nl=False)
