"""``smsotp demo``: all of it, in a temporary folder, with one login on the screen."""

from __future__ import annotations

import contextlib
import json
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click

from radius_smsotp.cli.ending import LOOK_SECONDS
from radius_smsotp.cli.radius_client import RadiusClient, Reply
from radius_smsotp.cli.site import invocation
from radius_smsotp.errors import SmsotpError
from radius_smsotp.raddb import freeradius, install

NAME, PHONE, PIN, SECRET = "alice", "+491701234567", "1234", "testing123"
"""Made up.  The number is never called: the provider is a folder."""

START_SECONDS = 20.0

END_SECONDS = 10.0
"""FreeRADIUS 3.2.1 may take longer to end; it keeps nothing that matters here."""


@click.command()
@click.option("--keep", is_flag=True, help="Leave it running until Ctrl-C, to try other clients.")
@click.option(
    "--port", type=click.IntRange(1, 65535), metavar="PORT", help="UDP port.  [default: a free one]"
)
def demo(keep: bool, port: int | None) -> None:
    """
    Start FreeRADIUS with an account in a temporary folder, and log in once.

    Nothing outside that folder is touched; at the end it is removed.

    \b
    Example:
      smsotp demo --keep
    """
    folder = Path(tempfile.mkdtemp(prefix="smsotp-demo-"))
    try:
        port = port or _free_port()
        server = freeradius.installed()
        _build(folder, server, port)
        version = ".".join(map(str, server.version))
        click.secho(f"FreeRADIUS {version} in {folder}, on 127.0.0.1:{port}", bold=True)
        with _running(folder, server.program):
            _show_login(folder, port)
            if keep:
                _invite(folder, port)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _build(folder: Path, server: freeradius.FreeRadius, port: int) -> None:
    """Settings, key, store, account and raddb, made with the commands of this program."""
    site, settings = folder / "site", folder / "site" / "smsotp.yaml"
    _smsotp("init", str(site))
    add = ("user", "add", NAME, "--phone", PHONE, "--pin-stdin")
    _smsotp("--config", str(settings), *add, standard_input=f"{PIN}\n")
    install.create(
        folder / "raddb",
        settings,
        server,
        port=port,
        acct_port=_free_port(),
        secret=SECRET,
        gtc_port=_free_port(),
        name="radius.example.org",
    )


def _smsotp(*arguments: str, standard_input: str = "") -> None:
    """Run a command of this program."""
    done = subprocess.run(  # noqa: S603  # ourselves
        [*invocation(), *arguments],
        input=standard_input,
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise SmsotpError(f"smsotp {arguments[0]}: {done.stderr.strip()}")


@contextlib.contextmanager
def _running(folder: Path, program: Path) -> Iterator[None]:
    """FreeRADIUS, from its first answer to the end of the block."""
    log = folder / "radiusd.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  # FreeRADIUS, found by `find`
            [program, "-f", "-l", "stdout", "-d", folder / "raddb"],
            stdout=output,
            stderr=output,
        )
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        until = time.monotonic() + START_SECONDS
        while b"Ready to process requests" not in log.read_bytes():
            if process.poll() is not None or time.monotonic() > until:
                raise SmsotpError(f"FreeRADIUS did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        signal.signal(signal.SIGTERM, previous)


def _show_login(folder: Path, port: int) -> None:
    """One login, step by step."""
    client = RadiusClient("127.0.0.1", port, SECRET)
    challenged = _ask(client, f"1. {NAME} logs in with the PIN", PIN)
    if challenged.state is None:
        raise SmsotpError("the first step was not challenged; this should not happen")
    click.secho("\n2. the provider 'folder' has sent this SMS", bold=True)
    path = folder / "site" / "outbox" / f"{challenged.state.decode('ascii')}.json"
    message = json.loads(path.read_text(encoding="utf-8"))
    click.echo(f"   {path}")
    click.echo(f"   to {message['phone']}: {message['text']}")
    code = next(word for word in message["text"].split() if word.isdigit())
    accepted = _ask(client, "3. the client sends the code and the State", code, challenged.state)
    rejected = _ask(client, "4. the same code once more", code, challenged.state)
    if accepted.kind != "Access-Accept" or rejected.kind != "Access-Reject":
        raise SmsotpError("this login did not go as it should")


def _ask(client: RadiusClient, step: str, password: str, state: bytes | None = None) -> Reply:
    """Send one request, and show both ways."""
    click.secho(f"\n{step}", bold=True)
    more = ", State = …" if state else ""
    click.echo(f"   -> Access-Request    User-Name = {NAME}, User-Password = {password}{more}")
    reply = client.ask(NAME, password, state)
    click.echo(f"   <- {reply.kind}")
    if reply.message:
        click.echo(f"      Reply-Message = {reply.message}")
    if reply.state:
        click.echo(f"      State = {reply.state.decode('ascii', 'backslashreplace')}")
    return reply


def _invite(folder: Path, port: int) -> None:
    """Say what to try, and wait."""
    program = shlex.join(invocation())
    settings = folder / "site" / "smsotp.yaml"
    example = secrets.token_hex(16)
    click.secho("\nIt goes on running; Ctrl-C ends it.  Try, in another terminal:", bold=True)
    for line in (
        f"smsotp='{program} --config {settings}'",
        f"$smsotp login {NAME} --server 127.0.0.1:{port} --secret {SECRET}    # PIN {PIN}",
        f"radtest {NAME} {PIN} 127.0.0.1:{port} 0 {SECRET}",
        f"ls -t {folder}/site/outbox | head -1                   # the SMS, named by its State",
        f"echo 'User-Name = {NAME}, User-Password = CODE, State = \"{example}\"' | "
        f"radclient 127.0.0.1:{port} auth {SECRET}",
        f"$smsotp trace {NAME}",
        f"tail -f {folder}/radiusd.log",
    ):
        click.echo(f"  {line}")
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(LOOK_SECONDS)
    click.echo()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
