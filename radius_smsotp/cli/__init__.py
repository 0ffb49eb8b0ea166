"""
The command line ``smsotp``.

Each command is the function of its name in the module of its name, imported when it is called:
``smsotp --help`` is there at once, and `smsotp courier` takes no tables along.
"""

from __future__ import annotations

import io
import itertools
import os
import sys
from importlib import import_module
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from radius_smsotp import __version__
from radius_smsotp.cli.output import clean
from radius_smsotp.errors import ConfigurationError, SmsotpError, unless_person
from radius_smsotp.settings import DEFAULT_PATH

SECTIONS = {
    "Each day": {
        "user": "Accounts: who may log in, and where the codes go.",
        "trace": "Tell what happened to an account, to one login, or at one device or address.",
        "events": "Tell what happened to everybody.",
        "challenge": "Logins that wait for their code.",
        "check": "Find every problem of settings, key, store, providers and FreeRADIUS.",
        "stats": "Figures: logins, refusals, messages and what they cost.",
        "report": "Write the figures as one page for a browser, with charts.",
    },
    "After a change of the settings": {
        "client": "RADIUS clients: what the settings come to for one of them.",
        "language": "Languages: in which there are texts for users.",
        "provider": "Providers: what sends the SMS.",
        "login": "Log in as a RADIUS client would: ask for the PIN, then for the code.",
        "gateway": "Be an SMS gateway that sends nothing, and shows each message on a page.",
    },
    "Services and timers": {
        "prune": "Remove what is past its use.",
        "backup": "Write all that a server needs into one sealed file.",
        "courier": "Send the messages, as a process of its own.",
        "receiver": "Take receipts that gateways send by HTTP.",
        "delivered": "Tell that a message has arrived, or was lost.",
        "exporter": "Serve the figures to Prometheus.",
    },
    "Once, or once a year": {
        "init": "Make settings, key and store in DIR.",
        "raddb": "Make or extend a configuration of FreeRADIUS.",
        "wifi": "Wi-Fi: what devices need to join it.",
        "key": "Keys: what codes are derived from, and PINs sealed with.",
        "restore": "Make a server from a backup, or one that joins the others.",
        "store": "The store: copy all that is kept, or put it back.",
        "demo": "Start FreeRADIUS with an account in a temporary folder, and log in once.",
        "completion": "Print what teaches a shell to complete commands, options, names of accounts "
        "and providers.",
    },
}
"""When a command is called, to its name, to its line in the help."""

COMMANDS = {name: line for section in SECTIONS.values() for name, line in section.items()}

ROOMS = {
    "check": "check.command",
    "user": "user.commands",
    "events": "events.command",
    "stats": "statistics.stats",
    "report": "statistics.report",
    "exporter": "statistics.exporter",
    "backup": "backup.command",
    "restore": "backup.restore",
}
"""Command to its module, where that is not the one of its name."""

REFUSED, CONFIGURATION, INTERRUPTED = 1, 3, 130
"""Exit codes; click's own for wrong usage is 2, and a shell's for Ctrl-C 128 + SIGINT."""


class LazyGroup(click.Group):
    """Imports a command when it is called, and puts errors into sentences."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"radius_smsotp.cli.{ROOMS.get(cmd_name, cmd_name)}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """What may come next, without importing the commands."""
        found = [
            CompletionItem(name, help=line)
            for name, line in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        # click's own for options; a group would import each command for its help.
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing them."""
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(list(commands.items()))

    def invoke(self, ctx: click.Context) -> None:
        """Run the command: the one guard between an error and whoever reads the screen."""
        try:
            super().invoke(ctx)
            # What a closed pipe did not take must fail here, not when Python has ended.
            sys.stdout.flush()
        except ConfigurationError as error:
            told = ((str(one), f"    {one.line}" if one.line else "") for one in error.problems)
            more = _more_of(error)
            _end(ctx, CONFIGURATION, *(filter(None, (*itertools.chain(*told), more))))
        except SmsotpError as error:
            _end(ctx, REFUSED, str(error))
        except BrokenPipeError:
            raise  # click ends without a word, as `| head` expects
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            remedy = unless_person("") if isinstance(error, PermissionError) else ""
            sentence = f"{where}{error.strerror or error}"
            _end(ctx, REFUSED, f"{sentence}; {remedy}" if remedy else sentence)
        except (KeyboardInterrupt, click.Abort):
            click.echo(err=True)  # the terminal shows ^C, or a question, on this line
            _end(ctx, INTERRUPTED, "interrupted")


def _more_of(error: ConfigurationError) -> str:
    """Where the documents have what is wrong within the settings, as `check` says it."""
    from radius_smsotp.cli.check.finding import PAGE, SETTINGS  # noqa: PLC0415  # few need it

    return f"More: '{SETTINGS.title}' in {PAGE}" if any(one.line for one in error.problems) else ""


def _end(ctx: click.Context, code: int, *sentences: str) -> None:
    for line in "\n".join(sentences).splitlines():
        click.echo(f"smsotp: {clean(line)}", err=True)
    ctx.exit(code)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    # Whether it can be read is said once, and as a fault of the settings: by what reads it.
    type=click.Path(path_type=Path, readable=False),
    envvar="SMSOTP_CONFIG",
    default=DEFAULT_PATH,
    show_default=True,
    show_envvar=True,
    metavar="FILE",
    help="The settings.",
)
@click.version_option(__version__, prog_name="smsotp", message="%(prog)s %(version)s")
@click.pass_context
def smsotp(ctx: click.Context, config: Path) -> None:
    """
    SMS one-time codes as second factor for FreeRADIUS.

    'smsotp COMMAND --help' tells more of each, with examples.  Exit codes: 0 done, 1 refused,
    2 wrong usage, 3 settings, key or store cannot be used.

    \b
    Examples:
      smsotp demo                         a login on a real FreeRADIUS
      smsotp init /etc/radius-smsotp      settings, key and store
      smsotp user add alice --phone +491701234567
      smsotp provider preset              settings of well-known gateways
      smsotp check                        what is wrong, and what mends it
      smsotp trace alice                  what happened to this user's logins
    """
    ctx.obj = config


def main() -> None:
    """The entry point."""
    # pydantic would look through all packages for plugins of its own, a third of our start.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a letter shows a question mark instead of ending us.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    smsotp(prog_name="smsotp")


def _open_what_is_closed() -> None:
    """
    Give a program that was started without one of its streams the null device for it.

    Python has None there (``>&-``).  In this order each gets the number that it should have.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
