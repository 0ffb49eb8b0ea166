"""``smsotp delivered``: a receipt, told by hand or by a script."""

from __future__ import annotations

import click

from radius_smsotp.cli import results
from radius_smsotp.cli.results import Results
from radius_smsotp.cli.site import Site, pass_site
from radius_smsotp.delivery.receipts import Receipts
from radius_smsotp.errors import SmsotpError
from radius_smsotp.model import receipts


@click.command()
@click.argument("message_id", metavar="ID")
@click.option("--failed", is_flag=True, help="It was lost: the next provider sends it.")
@click.option("--provider", metavar="NAME", help="Whose id it is, if several may have given it.")
@click.option("--words", metavar="TEXT", default="", help="What the network says, for the trail.")
@results.told
@pass_site
def delivered(
    site: Site, told: Results, message_id: str, provider: str | None, words: str, *, failed: bool
) -> None:
    """
    Tell that a message has arrived, or was lost.

    ID is the provider's name for the message, as 'smsotp trace' shows it; of a script the first
    line that it prints, or {attempt}.  A message that was lost goes through the next provider,
    while its code is valid.

    \b
    Examples:
      smsotp delivered 4711
      smsotp delivered 4711 --failed --provider gateway --words "no such number"
    """
    known = site.loaded.providers
    if provider is not None and provider not in known:
        raise click.BadParameter(f"there is no provider '{provider}'", param_hint="--provider")
    taken = Receipts(site.store)
    named = [provider] if provider is not None else known
    found = [one for one in named if taken.is_known(one, message_id)]
    if len(found) > 1:
        raise SmsotpError(f"several providers gave this id: say --provider {' or '.join(found)}")
    # A script may be faster than the record of its own attempt.
    mine = found or ([provider] if provider is not None else [])
    if not mine:
        raise SmsotpError("no provider gave a message of the last days this id; see 'smsotp trace'")
    receipt = receipts.Receipt(not failed, receipts.word(words))
    taken.hear(mine[0], message_id, receipt)
    line = f"{mine[0]}: message {message_id} {'was lost' if failed else 'has arrived'}"
    told.add(message_id, "lost" if failed else "delivered", line, provider=mine[0])
