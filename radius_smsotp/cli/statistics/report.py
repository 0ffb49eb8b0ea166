"""``smsotp report``: the figures as a page."""

from __future__ import annotations

import socket
import sys
from collections import Counter
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from string import Template

import click

from radius_smsotp.cli import output
from radius_smsotp.cli.site import Site, pass_site
from radius_smsotp.cli.statistics import chart, figures
from radius_smsotp.cli.statistics.figures import Period, Provider, Summary
from radius_smsotp.cli.statistics.stats import ordered
from radius_smsotp.settings import whole_file
from radius_smsotp.settings.file import Loaded
from radius_smsotp.store import statistics

FILE = click.Path(path_type=Path, allow_dash=True, dir_okay=False)


@click.command()
@click.argument("file", metavar="FILE.html", type=FILE)
@click.option(
    "--days",
    type=click.IntRange(1, 366),
    metavar="N",
    default=30,
    show_default=True,
    help="The last so many days, today among them.",
)
@click.option(
    "--title", metavar="TEXT", help="What stands above it.  [default: SMS logins at this host]"
)
@pass_site
def report(site: Site, file: Path, days: int, title: str | None) -> None:
    """
    Write the figures as one page for a browser, with charts.

    The page is one file that needs nothing else: send it, put it on a web server, print it.
    It holds no names of users and no numbers.  A file that is there is replaced; - is standard
    output.

    \b
    Examples:
      smsotp report november.html
      smsotp report /var/www/html/sms.html --days 7 --title "VPN logins"
    """
    found = figures.look(site.store, days, datetime.now(UTC))
    above = output.clean(title or f"SMS logins at {socket.gethostname()}")
    text = page(above, found, site.loaded)
    if str(file) == "-":
        sys.stdout.buffer.write(text.encode())
        return
    # A web server may be reading the one that is there.
    whole_file.write(file, text, 0o666)
    click.echo(f"{file}: {output.many(days, 'day')}, {len(text) // 1000 + 1} kB")


COLOURS = {
    "accepted": "--accepted",
    "busy": "--busy",
    "unavailable": "--unavailable",
    "unknown": "--unknown",
    "refused": "--no",
}
"""Of verdicts, in the order of a bar."""

REASONS_MOST = 10

NOTHING = "\N{EN DASH}"
"""Where there is no number."""

PAGE, STYLE = (Path(__file__).with_name(f"report.{kind}") for kind in ("html", "css"))
"""Nothing is fetched by the page, whatever a name of a provider may hold: see its policy."""

BUCKETS = (
    *(f"up to {bound:g} s" for bound in statistics.BOUNDS),
    f"over {statistics.BOUNDS[-1]:g} s",
)

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def page(title: str, period: Period, loaded: Loaded) -> str:
    """The whole page, as HTML 5."""
    summary = period.summary()
    until = period.now.astimezone()
    days = f"{_date(period.since)} to {_date(until)} · {period.days} days"
    if period.days == 1:
        days = f"{_date(period.since)} · today"
    columns, rows = _daily(period)
    heads, providers = _providers(summary, loaded)
    return Template(PAGE.read_text(encoding="utf-8")).substitute(
        title=escape(title),
        style=STYLE.read_text(encoding="utf-8"),
        days=days,
        tiles=_tiles(summary, loaded),
        columns=columns,
        rows=rows,
        reasons=_reasons(summary),
        hours=_hours(period),
        heads=heads,
        providers=providers,
        key="".join(f'<li style="--c: var({of})">{name}</li>' for name, of in COLOURS.items()),
        now=escape(f"{until:%Y-%m-%d %H:%M %Z}"),
    )


def _tiles(summary: Summary, loaded: Loaded) -> str:
    kinds = summary.kinds
    devices = kinds["device-accepted"]
    used = f"{kinds['code-accepted'] / summary.opened:.0%}" if summary.opened else NOTHING
    times = figures.Provider()
    for one in summary.providers.values():
        times.buckets = [a + b for a, b in zip(times.buckets, one.buckets, strict=True)]
    half, most = times.quantile(0.5), times.quantile(0.95)
    tiles = [
        (
            "Logins",
            f"{summary.logins:,}",
            f"{devices:,} without a code" if devices else "all with a code",
        ),
        ("Codes used", used, f"of {summary.opened:,} asked for"),
        (
            "Refusals",
            f"{summary.refusals.total():,}",
            f"accounts locked: {kinds['account-locked']:,}",
        ),
        ("SMS sent", f"{summary.sent:,}", f"that nobody took: {kinds['sms-undelivered']:,}"),
        ("Half within", _seconds(half), "" if most is None else f"95 % within {_seconds(most)}"),
    ]
    cost = summary.cost(loaded.prices)
    if cost is not None:
        each = f"{cost / summary.logins:.3f} a login" if summary.logins else ""
        tiles.append((f"Cost, {loaded.values.currency}", f"{cost:,.2f}", each))
    return "".join(
        f"<div><dt>{name}</dt><dd>{escape(value)}<small>{escape(more)}</small></dd></div>"
        for name, value, more in tiles
    )


def _daily(period: Period) -> tuple[str, str]:
    """The days as columns of a chart, and as rows of a table."""
    days = period.by_day()
    columns = [
        chart.Column(
            _date(day),
            f"{day:%-d %b}",
            (one.kinds["code-accepted"], one.kinds["device-accepted"], one.refusals.total()),
        )
        for day, one in days
    ]
    series = (
        ("code", "let in with a code"),
        ("device", "let in from a remembered device"),
        ("refused", "refused"),
    )
    rows = "".join(
        f"<tr><td>{column.label}</td>"
        + "".join(f'<td class="n">{number:,}</td>' for number in column.numbers)
        + f'<td class="n">{one.sent:,}</td></tr>'
        for column, (_, one) in zip(columns, days, strict=True)
    )
    return chart.columns(columns, series), rows


def _reasons(summary: Summary) -> str:
    found = list(summary.refusals_by_words().items())
    rest = sum(number for _, number in found[REASONS_MOST:])
    found = found[:REASONS_MOST] + ([("other reasons", rest)] if rest else [])
    return chart.ranks(found) if found else "<p>Nobody was refused.</p>"


def _hours(period: Period) -> str:
    counted: Counter[tuple[int, int]] = Counter()
    for one, count in period.counts:
        if one.kind in {"code-accepted", "device-accepted"}:
            at = statistics.start(one.slot).astimezone()
            counted[at.weekday(), at.hour] += count.events
    return chart.heat(WEEKDAYS, counted)


def _providers(summary: Summary, loaded: Loaded) -> tuple[str, str]:
    """The headings of a table, and its rows."""
    heads = ["Provider", "Verdicts", "Sent", "Arrived", "p50", "p95", "Time to accept"]
    if loaded.prices:
        heads.append("Cost")
    rows = "".join(
        _provider(name, one, loaded.prices.get(name), heads)
        for name, one in ordered(summary, loaded).items()
    )
    numeric = {"Sent", "Arrived", "p50", "p95", "Cost"}
    head = "".join(
        f'<th class="n">{one}</th>' if one in numeric else f"<th>{one}</th>" for one in heads
    )
    return head, rows


def _provider(name: str, one: Provider, price: float | None, heads: list[str]) -> str:
    told = one.outcomes
    parts = [(colour, verdict, told[verdict]) for verdict, colour in COLOURS.items()]
    arrived = f"{told['delivered']:,}" if told["delivered"] or told["lost"] else NOTHING
    cells = [
        ("", escape(name)),
        ("", chart.bar(parts)),
        ("n", f"{one.accepted:,}"),
        ("n", arrived),
        ("n", _seconds(one.quantile(0.5))),
        ("n", _seconds(one.quantile(0.95))),
        ("", chart.spark(one.buckets, BUCKETS)),
    ]
    if len(heads) > len(cells):
        cells.append(("n", NOTHING if price is None else f"{one.accepted * price:,.2f}"))
    row = "".join(
        f'<td class="{kind}" data-of="{head}">{cell}</td>'
        for head, (kind, cell) in zip(heads, cells, strict=True)
    )
    return f"<tr>{row}</tr>"


def _seconds(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f} s" if value < 10 else f"{value:.0f} s"


def _date(day: datetime) -> str:
    return f"{day:%-d %B %Y}"
