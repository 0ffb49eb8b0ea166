"""``smsotp login``: radtest for two steps."""

from __future__ import annotations

import sys

import click

from radius_smsotp.cli.output import clean
from radius_smsotp.cli.radius_client import RadiusClient, Reply
from radius_smsotp.errors import SmsotpError

DEFAULT_PORT = 1812
"""RFC 2865 section 3."""

LONGEST_TIMEOUT = 600
"""Seconds: nobody waits longer before a terminal."""


def _seconds(ctx: click.Context, parameter: click.Parameter, value: float) -> float:
    if not 0 < value <= LONGEST_TIMEOUT:  # nor NaN
        raise click.BadParameter(f"{value} is not between 0 and {LONGEST_TIMEOUT}")
    return value


@click.command()
@click.argument("name")
@click.option(
    "--server",
    default="127.0.0.1",
    show_default=True,
    metavar="HOST[:PORT]",
    help=f"FreeRADIUS; port {DEFAULT_PORT} unless named.",
)
@click.option(
    "--secret",
    metavar="SECRET",
    envvar="SMSOTP_SECRET",
    help="Secret that FreeRADIUS shares with us; $SMSOTP_SECRET keeps it out of the process list.",
)
@click.option("--station", metavar="STATION", default="", help="Calling-Station-Id to send.")
@click.option(
    "--timeout",
    metavar="SECONDS",
    default=10.0,
    show_default=True,
    callback=_seconds,
    help="Seconds to wait for a reply; then the request is sent once more.",
)
def login(name: str, server: str, secret: str | None, station: str, timeout: float) -> None:
    """
    Log in as a RADIUS client would: ask for the PIN, then for the code.

    Without a terminal, PIN and code are read from standard input, one a line.  Exits with 0
    if the login was accepted, with 1 if it was not.

    \b
    Example:
      smsotp login alice --server 127.0.0.1:1812 --secret testing123
    """
    host, port = _address(server)
    if secret is None:
        if not sys.stdin.isatty():
            raise click.UsageError("Missing option '--secret'.")
        secret = _ask("Secret: ")
    client = RadiusClient(host, port, secret, timeout)
    password = _ask("PIN: ")
    state: bytes | None = None
    while True:
        _show_request(name, state)
        try:
            reply = client.ask(name, password, state, station)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        _show_reply(reply)
        if reply.kind != "Access-Challenge":
            sys.exit(0 if reply.kind == "Access-Accept" else 1)
        state = reply.state
        password = _ask(clean(reply.message) or "Code: ")


def _address(server: str) -> tuple[str, int]:
    """HOST, HOST:PORT, [IPV6] or [IPV6]:PORT."""
    host, port = server, str(DEFAULT_PORT)
    if server.startswith("["):
        host, _, rest = server[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif server.count(":") == 1:
        host, port = server.split(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise click.BadParameter(f"'{server}' is not HOST[:PORT]", param_hint="--server")
    return host, int(port)


def _ask(prompt: str) -> str:
    """Ask without showing what is typed; from standard input where there is no terminal."""
    if sys.stdin.isatty():
        return str(click.prompt(prompt.rstrip(": "), hide_input=True, prompt_suffix=": "))
    line = sys.stdin.buffer.readline()
    if not line:
        raise SmsotpError(f"standard input ended before an answer to '{prompt.strip()}'")
    return line.rstrip(b"\r\n").decode("utf-8", "surrogateescape")


def _show_request(name: str, state: bytes | None) -> None:
    step = "the PIN" if state is None else "the code"
    click.echo(f"-> Access-Request    User-Name = {clean(name)}, User-Password = {step}")
    if state is not None:
        click.echo(f"                     State = {_readable(state)}")


def _show_reply(reply: Reply) -> None:
    parts = [f"Reply-Message = {clean(reply.message)}"] if reply.message else []
    if reply.state is not None:
        parts.append(f"State = {_readable(reply.state)}")
    first, *rest = parts or [""]
    click.echo(f"<- {reply.kind:<17} {first}".rstrip())
    for part in rest:
        click.echo(f"                     {part}")


def _readable(state: bytes) -> str:
    text = state.decode("latin-1")
    return text if text.isascii() and text.isprintable() else f"0x{state.hex()}"
