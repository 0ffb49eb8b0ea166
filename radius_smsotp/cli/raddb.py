"""``smsotp raddb``: FreeRADIUS's configuration."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from radius_smsotp.cli import output, results
from radius_smsotp.cli.check import servers
from radius_smsotp.cli.output import clean
from radius_smsotp.cli.results import Results
from radius_smsotp.cli.site import acting_as
from radius_smsotp.errors import SmsotpError, freeradius_user
from radius_smsotp.raddb import certificates, files, freeradius, removal
from radius_smsotp.raddb import clients as raddb_clients
from radius_smsotp.raddb import install as raddb_install
from radius_smsotp.settings import file
from radius_smsotp.store import is_database

LAST_PORT = 65535
"""RFC 768."""

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def udp_port(name: str, default: int, meaning: str) -> Decorator:
    """An option that names a UDP port."""
    return click.option(
        name,
        default=default,
        show_default=True,
        type=click.IntRange(1, LAST_PORT),
        metavar="PORT",
        help=meaning,
    )


gtc_port = udp_port(
    "--gtc-port",
    raddb_install.GTC_PORT,
    "UDP port on the loopback address where the tunnels of Wi-Fi end.",
)


def _dns_name(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """RFC 5280 section 4.2.1.6: ASCII; what has other letters is written as xn--… there."""
    if value is not None and not re.fullmatch(r"[A-Za-z0-9_*-]+(\.[A-Za-z0-9_-]+)*\.?", value):
        raise click.BadParameter(f"'{clean(value)}' is no DNS name, as radius.example.org")
    return value


server_name = click.option(
    "--server-name",
    "name",
    metavar="NAME",
    callback=_dns_name,
    help="DNS name in the certificate for Wi-Fi; one that is there keeps its own.  "
    "[default: this host's]",
)


def raddb_folder(meaning: str) -> Decorator:
    """The option ``--raddb`` of commands about a configuration that is there."""
    return click.option(
        "--raddb",
        "folder",
        default=freeradius.raddb,
        show_default="where FreeRADIUS reads it",
        type=click.Path(path_type=Path),
        help=meaning,
    )


@click.group()
def raddb() -> None:
    """
    Make or extend a configuration of FreeRADIUS.

    \b
    Examples:
      smsotp raddb install
      smsotp raddb create ./raddb
    """


@raddb.command(short_help="Make a whole configuration.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@udp_port("--port", 1812, "UDP port.")
@click.option(
    "--acct-port",
    type=click.IntRange(1, LAST_PORT),
    metavar="PORT",
    help="UDP port for accounting.  [default: the one after --port]",
)
@click.option(
    "--secret",
    metavar="SECRET",
    envvar="SMSOTP_SECRET",
    help="Shared secret of the clients; $SMSOTP_SECRET keeps it out of the process list.  "
    "[default: a random one]",
)
@click.option(
    "--secret-env",
    metavar="NAME",
    help="FreeRADIUS shall read the secret from this variable of its environment.",
)
@click.option(
    "--client",
    "clients",
    multiple=True,
    default=["127.0.0.0/8"],
    show_default=True,
    metavar="CIDR",
    help="Addresses that may ask; may be given several times.",
)
@click.option(
    "--signed-local",
    is_flag=True,
    help="Requests of this machine must be signed, as those of 'smsotp login' and radclient are.",
)
@click.option(
    "--listen",
    multiple=True,
    metavar="ADDRESS",
    help="Where to listen, '*' for everywhere; may be given several times.  "
    "[default: the loopback address, or everywhere if a client is beyond it]",
)
@gtc_port
@server_name
@results.told
@click.pass_obj
def create(
    config: Path,
    told: Results,
    /,
    folder: Path,
    secret: str | None,
    secret_env: str | None,
    **options: Any,
) -> None:
    """
    Make a whole configuration in DIR that FreeRADIUS runs as it is, for VPN and Wi-Fi.

    Called again on the same DIR, it brings all files to this version and these options, except
    those that you have edited.  Without --secret the secrets stay.

    \b
    Examples:
      smsotp --config ./site/smsotp.yaml raddb create ./raddb --port 1812
      smsotp raddb create ./raddb --client 10.1.0.0/16 --client 2001:db8:1::/48
      freeradius -f -d ./raddb
    """
    acct_port = options.pop("acct_port") or options["port"] + 1
    _refuse_shared([options["port"], acct_port, options["gtc_port"]])
    if secret_env is not None:
        secret = _variable(secret_env)
    loaded = file.load(config)  # FreeRADIUS would not start without them
    new = not (folder / files.MANIFEST).exists()
    try:
        server = freeradius.installed()
        done = raddb_install.create(
            folder,
            config,
            server,
            secret=secret,
            acct_port=acct_port,
            database=is_database(loaded.store_url),
            **options,
        )
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    servers.introduce(config, folder)
    _tell(told, folder, done, quiet=new)
    if not new:
        _tell_name(told, folder, done, options["name"])
        return
    asked = f"{', '.join(options['clients'])} on port {options['port']} (accounting: {acct_port})"
    told.note(
        f"{folder}: a configuration for {asked}; the secret stands in\n"
        f"{folder / 'clients.conf'}.  Wi-Fi devices trust\n"
        f"{_trusted(folder)}.  Start it:\n"
        f"  {server.program.name} -f -d {folder}"
    )
    _tell_name(told, folder, done, options["name"])


@raddb.command(short_help="Add ours to one that is there.")
@raddb_folder("The configuration to extend.")
@click.option("--wifi/--no-wifi", default=True, show_default=True, help="Enable PEAP and TTLS.")
@gtc_port
@server_name
@results.told
@click.pass_obj
def install(
    config: Path, told: Results, /, folder: Path, wifi: bool, gtc_port: int, name: str | None
) -> None:
    """
    Add our files to the configuration in --raddb.  Files that you have edited stay as they are.

    \b
    Example:
      smsotp raddb install
    """
    loaded = file.load(config)  # FreeRADIUS would not start any more
    _refuse_closed()
    server = freeradius.installed()
    database = is_database(loaded.store_url)
    done = raddb_install.install(
        *(folder, config, server), wifi=wifi, gtc_port=gtc_port, name=name, database=database
    )
    servers.introduce(config, folder)
    _tell(told, folder, done)
    told.note(
        "Now name 'virtual_server = smsotp' for the clients that shall need a code, in\n"
        f"{folder / 'clients.conf'}, and {freeradius.restart()}"
    )
    if wifi:
        told.note(f"Wi-Fi devices trust {_trusted(folder)}.")
        _tell_name(told, folder, done, name)


@raddb.command(short_help="Take ours out of it again.")
@raddb_folder("The configuration to take ours out of.")
@click.option(
    "--purge", is_flag=True, help="Remove what you have edited, and the certificates, as well."
)
@results.told
def uninstall(told: Results, folder: Path, purge: bool) -> None:
    """
    Take our files out of the configuration in --raddb again.

    Files that you have edited, and certificates that devices trust, stay where they are, without
    effect.  Settings, key and store are elsewhere, and stay too.

    \b
    Example:
      smsotp raddb uninstall
    """
    done = removal.uninstall(folder, purge=purge)
    for result, names in (("removed", done.removed), ("kept", done.kept)):
        for name in names:
            told.add(folder / name, result, f"{result:<10} {folder / name}")
    told.note("Now restart FreeRADIUS.")


@raddb.command(short_help="Show the certificate for Wi-Fi, or renew it.")
@raddb_folder("The configuration whose certificate it is.")
@click.option("--renew", is_flag=True, help="Sign it again, by the same authority.")
@output.json_option
def certificate(folder: Path, renew: bool, as_json: bool) -> None:
    """
    Show which name and authority Wi-Fi devices have to know, and for how long they last.

    With --renew the same authority signs the same name again, for 825 days from now: nothing
    changes on devices.  An authority that would end within a year is renewed as well; devices go
    on with what they have until it ends, and are given the new file by then.

    \b
    Examples:
      smsotp raddb certificate
      smsotp raddb certificate --renew
    """
    place = certificate_folder(folder)
    server, authority = place / "server.pem", place / "ca.pem"
    before = certificates.read(authority) if renew else None
    renewed = certificates.renew(place) if renew else []
    found = [certificates.read(one) for one in (server, authority) if one.exists()]
    now = datetime.now(timezone.utc)
    records: list[dict[str, Any]] = [
        output.fields(one, "path", "names", "subject", "ends_at", "fingerprint")
        | {"path": str(one.path), "days": one.left(now).days, "renewed": one.path in renewed}
        for one in found
    ]
    columns = {
        "File": "path",
        "Name": lambda one: ", ".join(one["names"]) or one["subject"].removeprefix("CN="),
        "Ends": lambda one: f"{one['ends_at']:%Y-%m-%d}",
        "Days": "days",
        "SHA-256": "fingerprint",
    }
    output.listing(records, columns, for_programs=as_json, numbers=["Days"], sentences=["Name"])
    if as_json:
        return
    if not certificates.is_signed(place):
        click.echo(f"{server} was not signed by {authority}: devices need what has.")
    if before is not None:
        click.echo("Renewed.  Now restart FreeRADIUS: until then it shows the one of before.")
        if authority in renewed:
            click.echo(f"Give each device {authority} again, by {before.ends_at:%Y-%m-%d}.")


def certificate_folder(raddb: Path) -> Path:
    """Where the certificate for Wi-Fi lies.  Raises SmsotpError if there is none."""
    place = files.find(raddb) / files.CERTIFICATES
    if not (place / "server.pem").exists():
        remedy = f"make it with 'smsotp raddb install --raddb {raddb}'"
        raise SmsotpError(f"{place / 'server.pem'} is not there; {remedy}")
    return place


def _refuse_closed() -> None:
    """Stop where FreeRADIUS's user cannot read this program: FreeRADIUS would not start."""
    user = freeradius_user()
    with acting_as(user):
        found = files.closed()
    if found is not None and user is not None:
        fault = f"FreeRADIUS, as {user.pw_name}, cannot read this program ({found[0]})"
        raise SmsotpError(f"{fault}; {found[1]}; nothing was changed")


def _variable(name: str) -> str:
    """How FreeRADIUS's configuration names a variable of its environment."""
    if click.get_current_context().get_parameter_source("secret") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--secret and --secret-env exclude each other")
    if not raddb_clients.FROM_ENVIRONMENT.fullmatch(found := f"$ENV{{{name}}}"):
        fault = f"'{clean(name)}' is no name of a variable"
        raise click.BadParameter(fault, param_hint="--secret-env")
    return found


def _refuse_shared(ports: list[int]) -> None:
    """Two that listen on one port, or beyond the last: FreeRADIUS would not start."""
    if max(ports) > LAST_PORT:
        raise click.UsageError(f"port {max(ports)} is needed, and the last one is {LAST_PORT}")
    if twice := {one for one in ports if ports.count(one) > 1}:
        raise click.UsageError(f"port {min(twice)} is given twice; name another one")


def _tell(
    told: Results, folder: Path, done: raddb_install.Installation, *, quiet: bool = False
) -> None:
    """
    What has become of each file.

    Args:
        quiet: Only for programs.
    """
    lines = [
        *(("written", name, "written    {}") for name in done.written),
        *(("removed", name, "removed    {}") for name in done.removed),
        *(("ok", name, "up to date {}") for name in done.unchanged),
        *(("kept", name, "edited     {}: kept") for name in done.edited),
    ]
    for result, name, line in lines:
        if quiet:
            told.record(folder / name, result)
            continue
        source = files.source(name)
        more = f"; compare it with {source}" if result == "kept" and source.exists() else ""
        told.add(folder / name, result, line.replace("{}", str(folder / name)) + more)


def _trusted(folder: Path) -> str:
    """What a device has to know."""
    place = folder / files.CERTIFICATES
    if not certificates.is_signed(place):
        return f"the authority of {place / 'server.pem'}"
    names = certificates.read(place / "server.pem").names
    return " and the name ".join([str(place / "ca.pem"), *names[:1]])


def _tell_name(
    told: Results, folder: Path, done: raddb_install.Installation, asked: str | None
) -> None:
    """What there is to say of the name that devices compare, before they have learnt it."""
    path = folder / files.CERTIFICATES / "server.pem"
    names = certificates.read(path).names
    again = f"remove {path} and server.key beside it, and run this again"
    if asked is not None and asked not in names:
        known = f" {names[0]}" if names else ""
        told.note(
            f"Mind: {path} is there, and keeps the name{known}, which devices know.  For\n"
            f"{asked} {again}; then every device has to be told the new name."
        )
    made = str(path.relative_to(folder)) in done.written
    if asked is None and made and "." not in names[0]:
        told.note(
            f"Mind: this host has no domain, so the certificate is for {names[0]}.  For\n"
            f"another name {again} with --server-name NAME, before devices know it."
        )
