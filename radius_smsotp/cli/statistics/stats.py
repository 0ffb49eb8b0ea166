"""``smsotp stats``: how many logins, refusals and messages there were."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

import click

from radius_smsotp.cli import output
from radius_smsotp.cli.site import Site, pass_site
from radius_smsotp.cli.statistics import figures
from radius_smsotp.cli.statistics.figures import VERDICTS, Provider, Summary
from radius_smsotp.settings.file import Loaded

DAYS = (1, 7, 30)


@click.command()
@click.option(
    "--days",
    type=click.IntRange(1, 366),
    metavar="N",
    help="Only the last so many days, today among them.  [default: today, 7 and 30]",
)
@output.json_option
@pass_site
def stats(site: Site, days: int | None, as_json: bool) -> None:
    """
    Figures: logins, refusals, messages and what they cost.

    Days begin at midnight, by the clock of this machine.  The cost comes from the `price` of
    each provider, for every message that it took.  'smsotp prune' removes no figures.

    \b
    Examples:
      smsotp stats
      smsotp stats --days 90 --json | jq '.[0].sms_sent'
    """
    now = datetime.now(timezone.utc)
    spans = DAYS if days is None else (days,)
    whole = figures.look(site.store, max(spans), now)
    loaded = site.loaded
    found = {span: whole.last(span) for span in spans}
    summaries = {span: one.summary() for span, one in found.items()}
    if as_json:
        output.as_json(
            [
                {"days": span, "since": found[span].since} | _record(one, loaded)
                for span, one in summaries.items()
            ]
        )
        return
    titles = ["", *("Today" if span == 1 else f"{span} days" for span in spans)]
    _logins(titles, list(summaries.values()), loaded)
    longest = summaries[max(spans)]
    click.echo(f"\nProviders, {'today' if max(spans) == 1 else f'{max(spans)} days'}")
    _providers(longest, loaded)


POSTPONED = {"busy": "SMS put off: no room", "pace": "SMS put off: per_second"}
"""Why an SMS was sent later, and the title of its line, if there was any."""


def _logins(titles: list[str], found: list[Summary], loaded: Loaded) -> None:
    def row(title: str, value: Callable[[Summary], object]) -> tuple[str, ...]:
        return (title, *(_shown(value(one)) for one in found))

    rows = [
        row("Asked for a code", lambda one: one.opened),
        row("Let in", lambda one: one.logins),
        row("  with a code", lambda one: one.kinds["code-accepted"]),
        row("  from a remembered device", lambda one: one.kinds["device-accepted"]),
        row("Refused", lambda one: one.refusals.total()),
    ]
    words = dict.fromkeys(word for one in reversed(found) for word in one.refusals_by_words())
    rows += [
        (f"  {word}", *(_shown(one.refusals_by_words().get(word, 0)) for one in found))
        for word in words
    ]
    rows += [
        row("Accounts locked", lambda one: one.kinds["account-locked"]),
        row("SMS sent", lambda one: one.sent),
    ]
    rows += [
        row(title, lambda one, reason=reason: one.postponed[reason])  # type: ignore[misc]
        for reason, title in POSTPONED.items()
        if any(one.postponed[reason] for one in found)
    ]
    if loaded.prices:
        cost = f"Cost, {loaded.values.currency}"
        rows.append(row(cost, lambda one: f"{one.cost(loaded.prices) or 0:,.2f}"))
    output.table(titles, rows, empty="", numbers=titles[1:], sentences=[""])


def _providers(summary: Summary, loaded: Loaded) -> None:
    columns = ["Name", "Sent", "Refused", "Busy", "Unavail.", "Unknown", "Arrived", "Lost"]
    columns += ["Half in", "95 % in"]
    rows = [
        (
            " ".join([name, *(f"({way})" for way in _ways(name, loaded))]),
            *(_shown(one.outcomes[outcome]) for outcome in (*VERDICTS, "delivered", "lost")),
            *(_seconds(one.taking.quantile(part)) for part in (0.5, 0.95)),
        )
        for name, one in ordered(summary, loaded).items()
    ]
    none = "No provider is named in the settings."
    # What did not happen at all is missed least.
    never = [title for title, *cells in zip(columns, *rows, strict=True) if {*cells} == {"0"}]
    spare = dict.fromkeys([*(one for one in never if one != "Sent"), "Unknown", "Arrived", "Lost"])
    output.table(columns, rows, empty=none, numbers=columns[1:], spare=[*spare])


def _ways(name: str, loaded: Loaded) -> list[str]:
    """The other ways that a provider carries."""
    return [word for word, way in loaded.values.ways.items() if name in way.order]


def ordered(summary: Summary, loaded: Loaded) -> Mapping[str, Provider]:
    """What each provider did, in the order of the settings, those that are gone last."""
    names = dict.fromkeys((*loaded.order, *loaded.providers, *sorted(summary.providers)))
    return {name: summary.providers.get(name, Provider()) for name in names}


def _record(one: Summary, loaded: Loaded) -> dict[str, Any]:
    """A summary for programs."""
    return {
        "asked_for_a_code": one.opened,
        "let_in": {
            "code": one.kinds["code-accepted"],
            "device": one.kinds["device-accepted"],
        },
        "refused": [
            {
                "step": step,
                "reason": reason,
                "meaning": figures.REASONS.get(reason, reason),
                "number": number,
            }
            for (step, reason), number in one.ranked_refusals().items()
        ],
        "accounts_locked": one.kinds["account-locked"],
        "sms_sent": one.sent,
        "cost": one.cost(loaded.prices),
        "currency": loaded.values.currency,
        "providers": [
            {
                "name": name,
                **({"ways": _ways(name, loaded)} if loaded.values.ways else {}),
                "verdicts": {verdict: found.outcomes[verdict] for verdict in VERDICTS},
                "delivered": found.outcomes["delivered"],
                "lost": found.outcomes["lost"],
                "seconds_mean": found.mean,
                "seconds_p50": found.taking.quantile(0.5),
                "seconds_p95": found.taking.quantile(0.95),
                "arrival_seconds_p50": found.arriving.quantile(0.5),
                "arrival_seconds_p95": found.arriving.quantile(0.95),
            }
            for name, found in ordered(one, loaded).items()
        ],
    }


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} s"
