"""``smsotp provider``: what sends the SMS."""

from __future__ import annotations

import difflib
import sys
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import click

from radius_smsotp import providers
from radius_smsotp.cli import REFUSED, completion, output
from radius_smsotp.cli.site import Site, acting_as
from radius_smsotp.cli.user import account
from radius_smsotp.delivery import chain
from radius_smsotp.delivery.compose import sample
from radius_smsotp.model import identity
from radius_smsotp.providers import presets
from radius_smsotp.store import open_store


@dataclass(frozen=True, slots=True)
class Listed:
    """A configured provider; `skipped_since` is None while it is in use."""

    name: str
    type: str
    timeout: float
    in_order: bool
    skipped_since: datetime | None
    reason: str

    @property
    def state(self) -> str:
        """In words."""
        if self.skipped_since is not None:
            return f"skipped since {output.local(self.skipped_since)}: {self.reason}"
        return "in use" if self.in_order else "only for accounts that name it"


@click.group()
def provider() -> None:
    """
    Providers: what sends the SMS.

    \b
    Examples:
      smsotp provider preset
      smsotp provider test gateway --phone +491701234567
    """


@provider.command("list", short_help="List the providers, in the order they are tried.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def list_providers(config: Path, as_json: bool) -> None:
    """
    List the providers in the order in which they are tried, and all types there are.

    One that keeps failing is skipped for a while.  Each server decides that for itself; shown
    is what the last one said.

    \b
    Examples:
      smsotp provider list
      smsotp provider list --json
    """
    with Site(config) as site, site.store.read() as tx:
        loaded = site.loaded
        breakers = tx.breakers()
    found = []
    for name in dict.fromkeys((*loaded.order, *loaded.providers)):
        state, since, reason = breakers.get(name, ("closed", None, ""))
        own = loaded.providers[name]
        if state != "open":
            since, reason = None, ""
        found.append(Listed(name, own.type, own.timeout, name in loaded.order, since, reason))
    if as_json:
        records = [asdict(one) | {"skipped_since": output.iso(one.skipped_since)} for one in found]
        output.as_json({"providers": records, "types": list(providers.TYPES)})
        return
    rows = [(one.name, one.type, f"{one.timeout:g} s", one.state) for one in found]
    output.table(("Name", "Type", "Timeout", "State"), rows, empty="There is no provider.")
    click.echo(f"\nTypes: {', '.join(providers.TYPES)}")


@provider.command(short_help="Print settings of a well-known gateway.")
@click.argument("name", required=False, shell_complete=completion.presets)
def preset(name: str | None) -> None:
    """
    Print settings of a well-known gateway, to paste under `providers:`; without NAME, all names.

    What is to be filled in begins with YOUR-.

    \b
    Examples:
      smsotp provider preset
      smsotp provider preset twilio
    """
    known = presets.names()
    if name is None:
        click.echo("\n".join(known))
    elif name in known:
        click.echo(presets.text(name), nl=False)
    else:
        near = difflib.get_close_matches(name, known, 1)
        remedy = f"did you mean '{near[0]}'?" if near else "'smsotp provider preset' lists all"
        raise click.BadParameter(f"there is no preset '{name}'; {remedy}", param_hint="NAME")


@provider.command("test")
@click.argument("name", shell_complete=completion.providers)
@click.option(
    "--phone",
    "number",
    metavar="NUMBER",
    help="Where to send it, as +491701234567; on a terminal it is asked for.",
)
@click.option("--language", metavar="TAG", help="Of the text, as de or pt-BR; else as of a login.")
@click.pass_obj
def send_test(config: Path, name: str, number: str | None, language: str | None) -> None:
    """
    Send the text of a login, with a made-up code, through one provider.

    Exits with 0 only if the provider took the message, with 1 if not.  As root it sends with
    the rights of the key's owner, whom FreeRADIUS runs as.

    \b
    Examples:
      smsotp provider test gateway --phone +491701234567
      smsotp provider test gateway --phone +491701234567 --language ru
    """
    with Site(config) as site:
        loaded = site.loaded
        try:
            account.read_provider(name, loaded.providers)
            to = account.read_phone(account.ask_phone(number), loaded.values.country)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
        wanted = account.language_option(loaded, language) or ""
        sent = sample(loaded, to, identity.choose_language(wanted, loaded.languages))
        with acting_as(site.owner):
            sender = chain.build(name, loaded, open_store(loaded.store_url))
            attempt, _ = chain.try_once(sender, sent, loaded.providers[name].timeout)
            sender.close()
    told = f": {attempt.text}" if attempt.text else ""
    told += f"; message id {attempt.message_id}" if attempt.message_id else ""
    hint = identity.mask_number(to)
    line = f"{name}: {attempt.verdict} after {attempt.seconds:.2f} s, to {hint}{told}"
    click.echo(output.clean(line))
    if attempt.verdict != "accepted":
        sys.exit(REFUSED)
