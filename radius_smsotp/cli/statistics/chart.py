"""
Charts of HTML and CSS.

Letters keep their size on a narrow page, and what tells series apart on paper, a pattern, its own.
Who cannot see a chart has the same numbers in a table, or in words beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

LINES = 4
"""Parts of the scale, between its lines."""

LABELS_MOST = 4
"""Names below the columns; more would not fit on a phone."""


@dataclass(frozen=True, slots=True)
class Column:
    """One stretch of time: what it is called in full and in short, and a number a series."""

    title: str
    label: str
    numbers: tuple[int, ...]


def scale(largest: float) -> int:
    """A round number that is not below the largest one, and that `LINES` divides."""
    if largest <= LINES:
        return LINES
    power = 10 ** math.floor(math.log10(largest))
    for factor in (1, 2, 4, 6, 8, 10):
        top = factor * power
        if top >= largest and top % LINES == 0:
            return int(top)
    return int(20 * power)


def columns(
    given: Sequence[Column],
    series: Sequence[tuple[str, str]],
    number: Callable[[float], str],
    told: str,
) -> str:
    """
    Stacked columns, and below them what each series came to.

    Args:
        series: For each number of a column its class and its words.
        number: Writes one down.
        told: What it is to who cannot see it.
    """
    top = scale(max(sum(one.numbers) for one in given))
    marks = "".join(f"<span>{number(top * part // LINES)}</span>" for part in range(LINES, -1, -1))
    stacks = []
    for one in given:
        pairs = list(zip(series, one.numbers, strict=True))
        title = ", ".join(f"{words}: {number(n)}" for (_, words), n in pairs)
        parts = "".join(
            f'<i class="{kind}" style="height:{100 * n / top:.3f}%"></i>'
            for (kind, _), n in reversed(pairs)
            if n
        )
        stacks.append(f'<div title="{escape(f"{one.title}: {title}")}">{parts}</div>')
    totals = [sum(part) for part in zip(*(one.numbers for one in given), strict=True)]
    key = "".join(
        f'<li><i class="{kind}"></i>{escape(words)} <b>{number(total)}</b></li>'
        for (kind, words), total in zip(series, totals, strict=True)
    )
    return (
        f'<div class="plot" role="img" aria-label="{escape(told)}">'
        f'<div class="scale" aria-hidden="true">{marks}</div>'
        f'<div class="columns">{"".join(stacks)}</div>'
        f'<div class="labels" aria-hidden="true">{_labels(given)}</div></div>'
        f'<ul class="key">{key}</ul>'
    )


def _labels(given: Sequence[Column]) -> str:
    """Names of every so many columns, none at an end that would not hold it."""
    step = math.ceil(len(given) / LABELS_MOST)
    shown = [at % step == 0 and len(given) - at >= step for at in range(len(given))]
    return "".join(
        f"<span>{escape(one.label) if there else ''}</span>"
        for one, there in zip(given, shown, strict=True)
    )


def ranks(found: Sequence[tuple[str, int]], number: Callable[[float], str]) -> str:
    """Words with a bar each, as long as its number."""
    most = max(number for _, number in found)
    return (
        '<ul class="ranks">'
        + "".join(
            f"<li><span>{escape(words)}</span> <b>{number(n)}</b>"
            f'<i><i class="refused" style="width:{100 * n / most:.1f}%"></i></i></li>'
            for words, n in found
        )
        + "</ul>"
    )


def heat(
    rows: Sequence[str],
    counted: Mapping[tuple[int, int], int],
    number: Callable[[float], str],
    caption: str,
) -> str:
    """A table with a row for each weekday and a cell for each hour, its number for who asks."""
    most = max(counted.values(), default=0) or 1
    head = "".join(
        f'<th scope="col"><span class="{"" if hour % 6 == 0 else "unseen"}">{hour:02}</span></th>'
        for hour in range(24)
    )
    lines = []
    for row, name in enumerate(rows):
        cells = []
        for hour in range(24):
            n = counted.get((row, hour), 0)
            share = 12 + 88 * n / most if n else 0
            title = f"{name} {hour:02}:00: {number(n)}"
            cells.append(
                f'<td style="--w:{share:.0f}%" title="{escape(title)}">'
                f'<span class="unseen">{number(n)}</span></td>'
            )
        lines.append(f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>')
    return (
        f'<table class="heat"><caption class="unseen">{escape(caption)}</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    )


def bar(parts: Sequence[tuple[str, str, int]], number: Callable[[float], str]) -> str:
    """
    One bar of several parts; all but the first in words below it, as far as there are any.

    Args:
        parts: Each with its class, its words and its number.
    """
    total = sum(n for *_, n in parts) or 1
    inner = "".join(
        f'<i class="{kind}" style="width:{100 * n / total:.2f}%"></i>' for kind, _, n in parts if n
    )
    told = "".join(
        f'<li><i class="{kind}"></i>{escape(words)} <b>{number(n)}</b></li>'
        for kind, words, n in parts[1:]
        if n
    )
    whole = escape(", ".join(f"{words}: {number(n)}" for _, words, n in parts))
    key = f'<ul class="key">{told}</ul>' if told else ""
    return f'<div class="bar" role="img" aria-label="{whole}">{inner}</div>{key}'


def spark(numbers: Sequence[int], titles: Sequence[str], told: str) -> str:
    """Small columns side by side."""
    most = max(numbers) or 1
    inner = "".join(
        f'<i title="{escape(title)}"><i class="code" style="height:{100 * n / most:.1f}%"></i></i>'
        for n, title in zip(numbers, titles, strict=True)
    )
    return f'<div class="spark" role="img" aria-label="{escape(told)}">{inner}</div>'
