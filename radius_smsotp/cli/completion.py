"""``smsotp completion``: what the Tab key offers."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem

from radius_smsotp.errors import SmsotpError

MOST = 50
"""Names that are offered at most."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """
    Print what teaches a shell to complete commands, options, names of accounts and providers.

    \b
    Examples:
      smsotp completion bash >/etc/bash_completion.d/smsotp
      smsotp completion zsh >/usr/local/share/zsh/site-functions/_smsotp
      smsotp completion fish >~/.config/fish/completions/smsotp.fish
    """
    from click.shell_completion import get_completion_class  # noqa: PLC0415  # only for this

    from radius_smsotp.cli import smsotp  # noqa: PLC0415  # it imports us

    kind = get_completion_class(shell)
    assert kind is not None, shell  # noqa: S101  # for mypy: click has these three
    click.echo(kind(smsotp, {}, "smsotp", "_SMSOTP_COMPLETE").source())


def accounts(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[str | CompletionItem]:
    """The accounts that begin so; none where the store cannot be read."""
    from radius_smsotp.cli.site import Site  # noqa: PLC0415  # slow, and only for this

    try:
        with Site(_config(ctx)) as site, site.store.read() as tx:
            return [*tx.names_from(incomplete.lower(), MOST)]
    except (SmsotpError, OSError):
        return []


def providers(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[str | CompletionItem]:
    """The providers of the settings that begin so; none where they cannot be read."""
    from radius_smsotp.settings import file  # noqa: PLC0415  # slow, and only for this

    try:
        known = file.load(_config(ctx)).providers
    except (SmsotpError, OSError):
        return []
    return [name for name in known if name.startswith(incomplete)]


def presets(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[str | CompletionItem]:
    """The presets that begin so."""
    from radius_smsotp.providers import presets as known  # noqa: PLC0415  # only for this

    return [name for name in known.names() if name.startswith(incomplete)]


def _config(ctx: click.Context) -> Path:
    path: Path = ctx.find_root().params["config"]
    return path
