"""
The measurements that matter as an SVG: bars with their figures, and nothing else.

It is drawn by hand: a plotting library would be a hundred times as big as what it draws.  Its
colours follow the reader's: dark on light, or light on dark.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.measure.bench.table import Row

WIDTH = 760
LEFT = 330
"""Where bars begin: before them stands what they are."""

RIGHT = 130
"""Behind the longest bar: its figure."""

LINE, GAP, TOP = 22, 34, 30
BAR = 14
"""Heights, pixels."""

STYLE = """
  text { font: 13px sans-serif; fill: #24292f; }
  .title { font-weight: bold; }
  .ours { fill: #1f6feb; }
  .other { fill: #8c959f; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .ours { fill: #58a6ff; }
    .other { fill: #6e7681; }
  }
"""


@dataclass(frozen=True)
class Bars:
    """A group of bars: for each its label, and the cell of the table that it shows."""

    title: str
    bars: Sequence[tuple[str, str]]


def groups(rows: Sequence[Row]) -> list[Bars]:
    """What is drawn of a table: the rate, a slow gateway, and the size of the store."""

    def row(beginning: str) -> Row:
        return next(one for one in rows if one.what.startswith(beginning))

    rate, books, hasty = (
        row(f"logins a second, 32 users{what}") for what in ("", ", against", ", delivery.wait")
    )
    slow = next(one for one in rows if "users, gateway takes" in one.what)
    sizes = [one for one in rows if "accounts, past challenges and events" in one.what]
    return [
        Bars(
            "Two-step logins a second, 32 users",
            [
                ("radius_smsotp", rate.ours),
                ("radius_smsotp, delivery.wait: 0", hasty.ours),
                ("two rows and a sync", books.other),
                ("empty hook", rate.other),
            ],
        ),
        Bars(
            slow.what[0].upper() + slow.what[1:].rpartition(",")[0],
            [
                (f"radius_smsotp,{slow.what.rpartition(',')[2]}", slow.ours),
                ("radius_smsotp, gateway answers at once", slow.other),
            ],
        ),
        Bars(
            "CPU of radiusd a login, µs, by accounts, past challenges and events",
            [
                (f"radius_smsotp, {sizes[0].other.partition('(')[2][:-1]}", sizes[0].other),
                *(
                    (f"radius_smsotp, {one.what.partition(' accounts')[0].split()[-1]}", one.ours)
                    for one in sizes
                ),
            ],
        ),
    ]


def number(cell: str) -> float:
    """The number that a cell begins with."""
    found = re.match(r"[\d.,]+", cell)
    assert found, cell
    return float(found[0].replace(",", ""))


def svg(charts: Sequence[Bars]) -> str:
    """One picture with the groups of bars below each other, each with a scale of its own."""
    parts = []
    y = TOP
    for group in charts:
        parts.append(_text(0, y, group.title, "title"))
        longest = max(number(cell) for _, cell in group.bars)
        for label, cell in group.bars:
            y += LINE
            kind = "ours" if label.startswith("radius_smsotp") else "other"
            width = (WIDTH - LEFT - RIGHT) * number(cell) / longest
            parts.append(_text(12, y, label))
            parts.append(
                f'<rect class="{kind}" x="{LEFT}" y="{y - 12}" width="{width:.1f}" '
                f'height="{BAR}" rx="2"/>'
            )
            parts.append(_text(LEFT + width + 8, y, cell.partition(" ")[0]))
        y += GAP
    titles = "; ".join(group.title for group in charts)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y - GAP + 12}" '
            f'width="{WIDTH}" role="img" aria-label="{escape(titles)}">',
            f"<style>{STYLE}</style>",
            *parts,
            "</svg>\n",
        ]
    )


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y}"{named}>{escape(text)}</text>'
