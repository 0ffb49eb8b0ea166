"""``smsotp raddb``: FreeRADIUS's configuration."""

from __future__ import annotations

import secrets
from pathlib import Path

import click

from radius_smsotp import freeradius_server, raddb_workers
from radius_smsotp import raddb as files
from radius_smsotp.errors import ConfigurationError, Problem, SmsotpError

gtc_port = click.option(
    "--gtc-port",
    default=files.GTC_PORT,
    show_default=True,
    type=click.IntRange(1, 65535),
    help="UDP port on the loopback address where the tunnels of Wi-Fi end.",
)
server_name = click.option(
    "--server-name",
    metavar="NAME",
    help="DNS name in the certificate for Wi-Fi.  [default: this host's]",
)


@click.group()
def raddb() -> None:
    """
    Make or extend a configuration of FreeRADIUS.

    \b
    Example:
      smsotp raddb install
    """


@raddb.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--port", default=1812, show_default=True, type=click.IntRange(1, 65535), help="UDP port."
)
@click.option(
    "--secret",
    envvar="SMSOTP_SECRET",
    help="Shared secret of the clients; $SMSOTP_SECRET keeps it out of the process list.  "
    "[default: a random one]",
)
@click.option(
    "--client",
    default="127.0.0.0/8",
    show_default=True,
    metavar="CIDR",
    help="Addresses that may ask.",
)
@click.option(
    "--workers",
    default=0,
    show_default=True,
    type=click.IntRange(0, 64),
    help="Processes behind the one that listens; 0 for one process that does it all.",
)
@click.option(
    "--worker-port",
    default=files.WORKER_PORT,
    show_default=True,
    type=click.IntRange(1, 65535),
    help="UDP port of the first worker on the loopback address; the others follow.",
)
@gtc_port
@server_name
@click.pass_obj
def create(
    config: Path,
    folder: Path,
    port: int,
    secret: str | None,
    client: str,
    workers: int,
    worker_port: int,
    gtc_port: int,
    server_name: str | None,
) -> None:
    """
    Make a whole configuration in DIR that FreeRADIUS runs as it is, for VPN and Wi-Fi.

    \b
    Example:
      smsotp --config ./site/smsotp.yaml raddb create ./raddb --port 1812
      freeradius -f -d ./raddb
    """
    secret = secret or secrets.token_urlsafe(24)
    try:
        server = _freeradius()
        files.create(
            folder,
            config,
            server,
            port=port,
            secret=secret,
            client=client,
            gtc_port=gtc_port,
            name=server_name,
            worker_ports=range(worker_port, worker_port + workers),
        )
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--client") from None
    except FileExistsError as error:
        raise SmsotpError(str(error)) from None
    click.echo(f"{folder}: a configuration for {client} on port {port}; the secret stands in")
    click.echo(f"{folder / 'clients.conf'}.  Wi-Fi devices trust {_authority(folder)}.  Start it:")
    click.echo(f"  {server.program.name} -f -d {folder}")
    for name in raddb_workers.names(workers):
        click.echo(f"  {server.program.name} -f -d {folder} -n {name}")


@raddb.command()
@click.option(
    "--raddb",
    "folder",
    default="/etc/freeradius/3.0",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The configuration to extend.",
)
@click.option("--wifi/--no-wifi", default=True, show_default=True, help="Enable PEAP and TTLS.")
@gtc_port
@server_name
@click.pass_obj
def install(config: Path, folder: Path, wifi: bool, gtc_port: int, server_name: str | None) -> None:
    """
    Add our files to the configuration in --raddb.  Files that you have edited stay as they are.

    \b
    Example:
      smsotp raddb install
      freeradius -XC
    """
    try:
        server = _freeradius()
        report = files.install(
            folder, config, server, wifi=wifi, gtc_port=gtc_port, name=server_name
        )
    except FileNotFoundError as error:
        raise SmsotpError(str(error)) from None
    for name in report.written:
        click.echo(f"written    {folder / name}")
    for name in report.unchanged:
        click.echo(f"up to date {folder / name}")
    for name in report.edited:
        click.echo(f"edited     {folder / name}: kept; compare it with {files.source(name)}")
    click.echo("Now name 'virtual_server = smsotp' for the clients that shall need a code, in")
    click.echo(f"{folder / 'clients.conf'}, and restart FreeRADIUS.")
    if wifi:
        click.echo(f"Wi-Fi devices trust {_authority(folder)}.")


def _authority(folder: Path) -> Path:
    return folder / files.CERTIFICATES / "ca.pem"


def _freeradius() -> freeradius_server.FreeRadius:
    server = freeradius_server.find()
    if server is None:
        fault, remedy = "is not installed", "apt-get install freeradius freeradius-python3"
        raise ConfigurationError([Problem("FreeRADIUS", fault, remedy)])
    return server
