"""``smsotp challenge``: logins that wait for their code."""

from __future__ import annotations

from datetime import datetime, timezone

import click

from radius_smsotp.cli import output
from radius_smsotp.cli.site import Site, pass_site

FIELDS = (
    *("transaction_id", "account", "client", "station", "phone_hint"),
    *("created_at", "expires_at", "guesses_left"),
)
"""Of a challenge, for programs; the code is nowhere."""


@click.group()
def challenge() -> None:
    """
    Logins that wait for their code.

    \b
    Example:
      smsotp challenge list
    """


@challenge.command("list")
@output.json_option
@pass_site
def list_challenges(site: Site, as_json: bool) -> None:
    """
    List the open challenges, newest first.

    \b
    Examples:
      smsotp challenge list
      smsotp challenge list --json
    """
    now = datetime.now(timezone.utc)
    with site.store.read() as tx:
        found = tx.open_challenges(now)
    records = [
        output.fields(one, *FIELDS)
        | {
            "delivery": "emergency" if one.emergency or message is None else message.state,
            "provider": None if message is None else message.provider,
        }
        for one, message in found
    ]
    columns = {
        "Transaction": "transaction_id",
        "Account": "account",
        "Client": "client",
        "Station": "station",
        "Phone": "phone_hint",
        "Age": lambda one: output.span((now - one["created_at"]).total_seconds()),
        "Ends in": lambda one: output.span((one["expires_at"] - now).total_seconds()),
        "Guesses": "guesses_left",
        "Delivery": "delivery",
        "Provider": "provider",
    }
    output.listing(
        records,
        columns,
        for_programs=as_json,
        empty="No challenge is open.",
        numbers=["Guesses"],
        spare=["Age", "Guesses", "Provider", "Phone", "Transaction"],
    )
