"""``smsotp report``: the figures as one page for a browser."""

from __future__ import annotations

import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from html import escape
from pathlib import Path
from string import Template
from typing import NamedTuple, TypeVar

import click

from radius_smsotp.cli import output
from radius_smsotp.cli.site import Site, pass_site
from radius_smsotp.cli.statistics import chart, figures
from radius_smsotp.cli.statistics import words as catalogue
from radius_smsotp.cli.statistics.figures import Period, Provider, Summary
from radius_smsotp.cli.statistics.stats import ordered
from radius_smsotp.cli.statistics.words import NOTHING, Words
from radius_smsotp.model.identity import choose_language
from radius_smsotp.settings import whole_file
from radius_smsotp.settings.file import Loaded
from radius_smsotp.store import statistics
from radius_smsotp.store.statistics import Cell, Count

T = TypeVar("T")

ABOUT = "docs/reference/commands/report.rst"
"""What says what the report shows, and where it has it from."""

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
@click.option(
    "--language",
    type=click.Choice([*catalogue.FILES]),
    help="What its readers read.  [default: language of the settings]",
)
@pass_site
def report(site: Site, file: Path, days: int, title: str | None, language: str | None) -> None:
    """
    Write the figures as one page for a browser, with charts.

    The page is one file that needs nothing else: send it, put it on a web server, print it.
    It holds no names of users and no numbers.  A file that is there is replaced; - is standard
    output.

    \b
    Examples:
      smsotp report november.html
      smsotp report /var/www/html/sms.html --days 7 --title "VPN logins"
      smsotp report année.html --days 366 --language fr
    """
    found = figures.look(site.store, days, datetime.now(timezone.utc))
    usual = choose_language(site.loaded.values.language, catalogue.FILES) or "en"
    words = Words(language or usual)
    above = output.clean(title or words("title", host=socket.gethostname()))
    text = page(above, found, site.loaded, words)
    if str(file) == "-":
        sys.stdout.buffer.write(text.encode())
        return
    # A web server may be reading the one that is there.
    whole_file.write(file, text, 0o666)
    click.echo(f"{file}: {output.many(days, 'day')}, {len(text) // 1000 + 1} kB")


PAGE, STYLE = (Path(__file__).with_name(f"report.{kind}") for kind in ("html", "css"))
"""Nothing is fetched by the page, whatever a name of a provider may hold: see its policy."""

SERIES = ("code", "device", "refused")
"""What a login comes to: the parts of a column."""

PARTS = {
    "accepted": "accepted",
    "busy": "busy",
    "unavailable": "unavailable",
    "unknown": "unknown",
    "refused": "declined",
}
"""Verdict of a provider to the part of its bar, in their order."""

REASONS = {
    "wrong-pin": "pin",
    "no-pin": "pin",
    "in-turn": "pin",
    "wrong-code": "code",
    "exhausted": "code",
    "unknown-challenge": "late",
    "foreign": "late",
    "spent": "late",
    "cancelled": "late",
    "expired": "late",
    "unknown-account": "nobody",
    "realm": "nobody",
    "sshd": "nobody",
    "disabled": "disabled",
    "refused": "disabled",
    "domain-disabled": "disabled",
    "domain-expired": "disabled",
    "domain-hours": "disabled",
    "domain-workstation": "disabled",
    "domain-must-change": "outdated",
    "domain-password-expired": "outdated",
    "domain-changed": "outdated",
    "domain-rules": "outdated",
    "domain-locked": "locked",
    "locked": "locked",
    "noise": "locked",
    "no-number": "number",
    "no-way": "number",
    "no-phone": "number",
    "bad-phone": "number",
    "country": "number",
    "prefix": "number",
    "premium": "number",
    "special": "number",
    "per_account_hour": "limit",
    "per_number_hour": "limit",
    "per_client_hour": "limit",
    "per_day": "limit",
    "undelivered": "unsent",
    "first-factor-down": "server",
    "unconfirmed": "server",
    "clock": "server",
    "other-key": "server",
    "eap": "device",
    "other-method": "device",
    "unsigned": "device",
    "unfit": "device",
    "foreign-client": "device",
    "foreign-station": "device",
    "hashed-pin": "device",
    "unprovable": "device",
    "no-password": "device",
    "nul": "device",
    "no-state": "device",
    "code-alone": "device",
    "garbled": "device",
    "old-code": "device",
    "stored-password": "device",
}
"""Reason of a refusal to what it is to who reads a report, and does not know the program."""

BY_DAY, BY_WEEK = 31, 182
"""The most days that get a column each, and that get one a week: a thinner one nobody can see."""

WEEK = 7
"""Days from which on weekdays can be told apart."""


class Stretch(NamedTuple):
    """A part of the time: what it is called in full and in short, and what it came to."""

    title: str
    label: str
    summary: Summary


def page(title: str, period: Period, loaded: Loaded, words: Words) -> str:
    """The whole page, as HTML 5."""
    summary = period.summary()
    first, last = period.since.date(), period.now.astimezone().date()
    days = f"{words.day(first)} {NOTHING} {words.day(last)}"
    some = summary.opened or summary.logins or summary.refusals or summary.sent
    sections = _sections(period, summary, loaded, words) if some else []
    return Template(PAGE.read_text(encoding="utf-8")).substitute(
        language=words.tag,
        title=escape(title),
        style=STYLE.read_text(encoding="utf-8"),
        days=words.day(last) if first == last else days,
        sections="\n".join(sections or [f"<section><h2>{words('nothing')}</h2></section>"]),
        page=ABOUT,
        notes=words("notes") if sections else "",
        made=escape(words("made", time=output.local(period.now, "%Y-%m-%d %H:%M"))),
    )


def _sections(period: Period, summary: Summary, loaded: Loaded, words: Words) -> list[str]:
    unit, stretches = _stretches(period, words)
    pair = [_section(words("why"), words("often"), _reasons(summary, words))]
    if period.days >= WEEK:
        zone = f"{period.now.astimezone():%Z}"
        told = words("by_hour", zone=zone)
        pair.append(_section(words("when"), told, _hours(period, words)))
    return [
        f'<dl class="tiles">{_tiles(summary, loaded, words)}</dl>',
        _section(words(f"{unit}s"), words("ended"), _columns(unit, stretches, words)),
        f'<div class="pair">{"".join(pair)}</div>',
        _section(words("providers"), words("took"), _providers(summary, loaded, words)),
    ]


def _section(heading: str, told: str, inner: str) -> str:
    return f"<section><h2>{escape(heading)}</h2><p>{escape(told)}</p>\n{inner}</section>"


def _tiles(summary: Summary, loaded: Loaded, words: Words) -> str:
    kinds, number = summary.kinds, words.number
    devices = kinds["device-accepted"]
    used = words.percent(kinds["code-accepted"] / summary.opened) if summary.opened else NOTHING
    times = figures.Provider()
    for one in summary.providers.values():
        times.taking.buckets = [
            a + b for a, b in zip(times.taking.buckets, one.taking.buckets, strict=True)
        ]
    half, most = times.taking.quantile(0.5), times.taking.quantile(0.95)
    without = words("without_code", number=number(devices))
    below = [words("untaken", number=number(kinds["sms-undelivered"]))]
    if later := summary.postponed.total():
        below.append(words("later", number=number(later)))
    tiles = [
        (words("logins"), number(summary.logins), without if devices else words("all_with_code")),
        (words("used"), used, words("used_of", number=number(summary.opened))),
        (
            words("refusals"),
            number(summary.refusals.total()),
            words("locked", number=number(kinds["account-locked"])),
        ),
        (
            words("sent"),
            number(summary.sent),
            "; ".join(below),
        ),
        (
            words("half"),
            words.seconds(half),
            "" if most is None else words("most", time=words.seconds(most)),
        ),
    ]
    cost = summary.cost(loaded.prices)
    if cost is not None:
        each = number(cost / summary.logins, 3) if summary.logins else NOTHING
        title = words("cost", currency=loaded.values.currency)
        tiles.append((title, number(cost, 2), words("each", number=each)))
    return "".join(
        f"<div><dt>{escape(title)}</dt>"
        f'<dd><b style="--letters:{len(value)}">{escape(value)}</b></dd>'
        f'<dd class="more">{escape(more)}</dd></div>'
        for title, value, more in tiles
    )


def _stretches(period: Period, words: Words) -> tuple[str, list[Stretch]]:
    """The time in columns that can be seen, and what one of them is."""
    first, last = period.since.date(), period.now.astimezone().date()
    if first == last:
        hours = [f"{hour:02}" for hour in range(24)]
        names = {hour: (f"{hour}:00", hour) for hour in hours}
        return "hour", _named(period, names, lambda at: f"{at:%H}")
    days = [first + timedelta(days=at) for at in range((last - first).days + 1)]
    if len(days) <= BY_DAY:
        named = {day: (words.day(day), words.short_day(day)) for day in days}
        return "day", _named(period, named, datetime.date)
    if len(days) <= BY_WEEK:
        mondays = dict.fromkeys(map(_monday, days))
        named = {one: (words.day(max(one, first)), words.short_day(one)) for one in mondays}
        return "week", _named(period, named, lambda at: _monday(at.date()))
    months = dict.fromkeys(day.replace(day=1) for day in days)
    named = {one: (f"{words.month(one)} {one.year}", words.month(one)) for one in months}
    return "month", _named(period, named, lambda at: at.date().replace(day=1))


def _named(
    period: Period, names: Mapping[T, tuple[str, str]], of: Callable[[datetime], T]
) -> list[Stretch]:
    """Stretches in the order of their names, with what fell into each by the clock on the wall."""
    parts: dict[T, list[tuple[Cell, Count]]] = {key: [] for key in names}
    for item in period.counts:
        key = of(statistics.start(item[0].slot).astimezone())
        # A clock that is ahead writes tomorrow's events.
        if key in parts:
            parts[key].append(item)
    return [Stretch(*names[key], figures.summarise(part)) for key, part in parts.items()]


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _columns(unit: str, stretches: list[Stretch], words: Words) -> str:
    """What the logins of each stretch came to, as a chart and as a table."""
    columns = [
        chart.Column(
            title,
            label,
            (one.kinds["code-accepted"], one.kinds["device-accepted"], one.refusals.total()),
        )
        for title, label, one in stretches
    ]
    series = [(kind, words(kind)) for kind in SERIES]
    rows = [
        (one.title, [words.number(n) for n in (*column.numbers, one.summary.sent)])
        for column, one in zip(columns, stretches, strict=True)
    ]
    return (
        f"{chart.columns(columns, series, words.number, words('chart'))}\n"
        f"<details><summary>{escape(words('table'))}</summary>"
        f"{_table('stretches', words('ended'), (unit, *SERIES, 'sent'), rows, words)}</details>"
    )


def _table(
    kind: str,
    told: str,
    heads: Sequence[str],
    rows: Iterable[tuple[str, Sequence[str]]],
    words: Words,
) -> str:
    """
    A table that is a card for each row where there is no room for columns.

    Browsers forget what a table means whose parts are drawn as something else: the roles say it.

    Args:
        told: What it is to who cannot see it.
        heads: Texts, of the row's name and of its cells.
        rows: Each with its name and its cells, which are HTML.
    """
    titles = [told[0].upper() + told[1:] for told in map(words, heads)]
    kinds = [" class=n" if head in NUMBERS else "" for head in heads]
    head = "".join(
        f'<th scope="col" role="columnheader"{of}>{escape(title)}</th>'
        for of, title in zip(kinds, titles, strict=True)
    )
    lines = []
    for name, cells in rows:
        line = "".join(
            f'<td role="cell"{of} data-of="{escape(title)}">{cell}</td>'
            for of, title, cell in zip(kinds[1:], titles[1:], cells, strict=True)
        )
        named = f'<th scope="row" role="rowheader">{escape(name)}</th>'
        lines.append(f'<tr role="row">{named}{line}</tr>')
    return (
        f'<table class="{kind}" role="table" aria-label="{escape(told)}">'
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>'
        f'<tbody role="rowgroup">{"".join(lines)}</tbody></table>'
    )


NUMBERS = {*SERIES, "sent", "accepted", "arrived", "half_within", "most_within", "spent"}
"""Columns that are set flush right."""


def _reasons(summary: Summary, words: Words) -> str:
    found: Counter[str] = Counter()
    for (_, reason), number in summary.refusals.items():
        found[REASONS.get(reason, "other")] += number
    ranked = sorted(found.items(), key=lambda pair: (pair[0] == "other", -pair[1], pair[0]))
    told = [(words.reasons[reason], number) for reason, number in ranked]
    return chart.ranks(told, words.number) if told else f"<p>{escape(words('nobody'))}</p>"


def _hours(period: Period, words: Words) -> str:
    counted: Counter[tuple[int, int]] = Counter()
    for one, count in period.counts:
        if one.kind in {"code-accepted", "device-accepted"}:
            at = statistics.start(one.slot).astimezone()
            counted[at.weekday(), at.hour] += count.events
    return chart.heat(words.weekdays, counted, words.number, words("when"))


def _providers(summary: Summary, loaded: Loaded, words: Words) -> str:
    heads = ["provider", "messages", "accepted", "arrived", "half_within", "most_within", "spread"]
    if loaded.prices:
        heads.append("spent")
    rows = []
    for name, one in ordered(summary, loaded).items():
        cells = _provider(one, loaded.prices.get(name), words)
        rows.append((name, [cells[head] for head in heads[1:]]))
    return _table("providers", words("providers"), heads, rows, words)


def _provider(one: Provider, price: float | None, words: Words) -> dict[str, str]:
    """What there is to say of one, as HTML."""
    number, told = words.number, one.outcomes
    parts = [(part, words(part), told[verdict]) for verdict, part in PARTS.items()]
    bounds = [words.seconds(bound) for bound in statistics.BOUNDS]
    spans = [f"\N{LESS-THAN OR EQUAL TO} {bound}" for bound in bounds] + [f"> {bounds[-1]}"]
    titles = [f"{span}: {number(n)}" for span, n in zip(spans, one.taking.buckets, strict=True)]
    return {
        "messages": chart.bar(parts, number),
        "accepted": number(one.accepted),
        "arrived": number(told["delivered"]) if told["delivered"] or told["lost"] else NOTHING,
        "half_within": words.seconds(one.taking.quantile(0.5)),
        "most_within": words.seconds(one.taking.quantile(0.95)),
        "spread": chart.spark(one.taking.buckets, titles, ", ".join(titles)),
        "spent": NOTHING if price is None else number(one.accepted * price, 2),
    }
