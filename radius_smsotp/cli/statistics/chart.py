"""Charts of HTML, CSS and inline SVG.  Letters are HTML: they keep their size on a narrow page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

LINES = 4
"""Parts of the scale, between its lines."""

LABELS_MOST = 5
"""Days that are named below the columns; more would not fit on a phone."""


@dataclass(frozen=True, slots=True)
class Column:
    """One day: what it is called in full and in short, and a number for each series."""

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


def columns(given: Sequence[Column], series: Sequence[tuple[str, str]]) -> str:
    """
    Stacked columns.

    Args:
        series: For each number of a column its class and its words.
    """
    top = scale(max((sum(one.numbers) for one in given), default=0))
    marks = "".join(f"<span>{top * part // LINES:,}</span>" for part in range(LINES, -1, -1))
    width = 100 / max(1, len(given))
    heights = [f"{100 * part / LINES:g}" for part in range(LINES + 1)]
    shapes = [f'<line class="grid" x1="0" x2="100" y1="{y}" y2="{y}"/>' for y in heights]
    for at, one in enumerate(given):
        told = ", ".join(
            f"{n:,} {words}" for n, (_, words) in zip(one.numbers, series, strict=True)
        )
        shapes.append(f"<g><title>{escape(one.title)}: {escape(told)}</title>")
        level = 100.0
        for number, (kind, _) in zip(one.numbers, series, strict=True):
            height = 100 * number / top
            level -= height
            if number:
                shapes.append(
                    f'<rect class="f-{kind}" x="{at * width + width * 0.12:.3f}" y="{level:.3f}" '
                    f'width="{width * 0.76:.3f}" height="{height:.3f}"/>'
                )
        shapes.append("</g>")
    step = max(1, math.ceil(len(given) / LABELS_MOST))
    labels = "".join(
        f"<span>{escape(one.label) if at % step == 0 else ''}</span>"
        for at, one in enumerate(given)
    )
    key = "".join(f'<li style="--c: var(--{kind})">{words}</li>' for kind, words in series)
    return (
        f'<div class="plot"><div class="scale" aria-hidden="true">{marks}</div>'
        '<svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" '
        f'aria-label="Stacked columns, one for each day">{"".join(shapes)}</svg>'
        f'<div class="days" aria-hidden="true">{labels}</div></div><ul class="key">{key}</ul>'
    )


def ranks(found: Sequence[tuple[str, int]]) -> str:
    """Words with a bar each, as long as its number."""
    most = max(number for _, number in found)
    return (
        '<ul class="ranks">'
        + "".join(
            f"<li><span>{escape(words)}</span><span>{number:,}</span>"
            f'<i style="--w: {100 * number / most:.1f}%"></i></li>'
            for words, number in found
        )
        + "</ul>"
    )


def heat(rows: Sequence[str], counted: Mapping[tuple[int, int], int]) -> str:
    """A row for each weekday and a cell for each hour."""
    most = max(counted.values(), default=0) or 1
    cells = []
    for row, name in enumerate(rows):
        cells.append(f"<span>{name}</span>")
        for hour in range(24):
            number = counted.get((row, hour), 0)
            share = 0 if not number else 12 + 88 * number / most
            title = f"{name} {hour:02}:00: {number:,}"
            cells.append(f'<b style="--w: {share:.0f}%" title="{title}"></b>')
    hours = "".join(
        f'<span class="hour">{f"{hour:02}" if hour % 6 == 0 else ""}</span>' for hour in range(24)
    )
    return f'<div class="heat">{"".join(cells)}<span></span>{hours}</div>'


def bar(parts: Sequence[tuple[str, str, int]]) -> str:
    """
    One bar of several parts.

    Args:
        parts: Each with its colour, its words and its number.
    """
    total = sum(number for *_, number in parts)
    inner = "".join(
        f'<i style="--w: {100 * number / total:.2f}%; --c: var({colour})" '
        f'title="{number:,} {words}"></i>'
        for colour, words, number in parts
        if number
    )
    told = ", ".join(f"{number:,} {words}" for _, words, number in parts)
    return f'<div class="bar" role="img" aria-label="{told}">{inner}</div>'


def spark(numbers: Sequence[int], titles: Sequence[str]) -> str:
    """Small columns side by side."""
    most = max(numbers, default=0) or 1
    inner = "".join(
        f'<i style="--h: {100 * number / most:.1f}%" title="{number:,} {title}"></i>'
        for number, title in zip(numbers, titles, strict=True)
    )
    return f'<div class="spark">{inner}</div>'
