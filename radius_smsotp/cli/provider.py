"""``smsotp provider``: what sends the SMS."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from typing import Any

import click

from radius_smsotp import providers
from radius_smsotp.cli import completion, output, results
from radius_smsotp.cli.check import gateways
from radius_smsotp.cli.results import Results
from radius_smsotp.cli.site import Site, acting_as, pass_site
from radius_smsotp.cli.user import account
from radius_smsotp.delivery import chain
from radius_smsotp.delivery.compose import sample
from radius_smsotp.model import identity, text, ways
from radius_smsotp.providers import presets
from radius_smsotp.store import open_store


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
@output.json_option
@pass_site
def list_providers(site: Site, as_json: bool) -> None:
    """
    List the providers in the order in which they are tried, and all types there are.

    One that keeps failing is skipped for a while.  Each server decides that for itself; shown
    is what the last one said.

    \b
    Examples:
      smsotp provider list
      smsotp provider list --json
    """
    with site.store.read() as tx:
        loaded = site.loaded
        breakers = tx.breakers()
    found: list[dict[str, Any]] = []
    for name in dict.fromkeys((*loaded.order, *loaded.providers)):
        state, since, reason = breakers.get(name, ("closed", None, ""))
        if state != "open":
            since, reason = None, ""
        found.append(
            {
                "name": name,
                **output.fields(loaded.providers[name], "type", "timeout"),
                "in_order": name in loaded.order,
                "skipped_since": since,
                "reason": reason,
            }
        )
    if as_json:
        output.as_json({"providers": found, "types": list(providers.types())})
        return
    rows = [(one["name"], one["type"], f"{one['timeout']:g} s", _state(one)) for one in found]
    titles = ("Name", "Type", "Timeout", "State")
    none = "There is no provider."
    output.table(titles, rows, empty=none, numbers=["Timeout"], sentences=["State"])
    types = f"Types: {', '.join(providers.types())}"
    click.echo(f"\n{output.wrapped(types, '') if sys.stdout.isatty() else types}")


def _state(one: Mapping[str, Any]) -> str:
    if one["skipped_since"] is not None:
        return f"skipped since {output.local(one['skipped_since'])}: {one['reason']}"
    return "in use" if one["in_order"] else "only for accounts that name it"


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
@click.option("--email", metavar="ADDRESS", help="The same for one that sends mails to the user.")
@click.option("--language", metavar="TAG", help="Of the text, as de or pt-BR; else as of a login.")
@results.told
@pass_site
def send_test(
    site: Site,
    told: Results,
    name: str,
    number: str | None,
    email: str | None,
    language: str | None,
) -> None:
    """
    Send the text of a login, with a made-up code, through one provider.

    Exits with 0 only if the provider took the message, with 1 if not.  As root it sends with
    the rights of the key's owner, whom FreeRADIUS runs as.

    \b
    Examples:
      smsotp provider test gateway --phone +491701234567
      smsotp provider test gateway --phone +491701234567 --language ru
      smsotp provider test office --email alice@example.org
    """
    loaded = site.loaded
    with account.faults_of("NAME"):
        account.read_provider(name, loaded)
    if email is None:
        to = account.option(loaded, "phone", account.ask_phone(number))
    elif number is not None:
        raise click.UsageError("--phone and --email exclude each other")
    else:
        with account.faults_of("--email"):
            to = ways.read_mail(email)
    wanted = account.option(loaded, "language", language) or ""
    sent = sample(loaded, to, identity.choose_language(wanted, loaded.languages))
    with acting_as(site.owner):
        sender = chain.build(name, loaded, open_store(loaded.store_url))
        attempt, _ = chain.try_once(sender, sent, loaded.providers[name].timeout)
        sender.close()
    weak = [(loaded.place(one.path), one.fault, one.remedy) for one in sender.weaknesses()]
    weak += [
        (one.path, one.fault, one.remedy) for one in gateways.warnings(loaded, name, [sent.text])
    ]
    for path, fault, remedy in weak:
        told.note(output.clean(f"warning: {path}: {fault}; {remedy}"), err=True)
    hint = ways.mask(to)
    line = f"{name}: {attempt.verdict} after {attempt.seconds:.2f} s, to {hint}, "
    line += text.extent(sent.text) + (f": {attempt.text}" if attempt.text else "")
    line += f"; message id {attempt.message_id}" if attempt.message_id else ""
    more: dict[str, Any] = output.fields(attempt, "verdict", "seconds", "message_id", "text")
    is_sent = attempt.verdict == "accepted"
    if not is_sent:
        more["error"] = line
    told.add(name, "sent" if is_sent else "failed", output.clean(line), to=hint, **more)
