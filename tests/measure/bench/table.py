"""One table from all measurements, as plain text or for docs/explanation/speed.rst."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

HEAD = ("measure", "radius_smsotp", "for comparison", "ratio")


@dataclass(frozen=True)
class Row:
    """
    One measure.

    Attributes:
        ours: Its value, or its values, of radius_smsotp.
        other: Of what it is compared with, "" if it stands alone.
        ratio: Ours to the other.
    """

    what: str
    ours: str
    other: str = ""
    ratio: str = ""


def compared(
    what: str,
    ours: Sequence[Sequence[float]],
    other: Sequence[Sequence[float]],
    than: str,
    scale: float = 1.0,
) -> Row:
    """
    A row of medians over the rounds.

    Args:
        ours, other: For each round the values of the row, in the same order.
        than: What `other` is of.
        scale: Shown are the values times this.
    """
    ratios = [[a / b for a, b in zip(*pair, strict=True)] for pair in zip(ours, other, strict=True)]
    return Row(
        what,
        medians(ours, scale),
        f"{medians(other, scale)} ({than})",
        medians(ratios),
    )


def medians(rounds: Sequence[Sequence[float]], scale: float = 1.0) -> str:
    """The median of each value over the rounds, times `scale`."""
    return " / ".join(number(median(values) * scale) for values in zip(*rounds, strict=True))


def number(value: float) -> str:
    """A number with three digits that count; an infinite time is a reply that never came."""
    if math.isinf(value):
        return "no reply"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def plain(rows: Sequence[Row], note: str) -> str:
    """An aligned table with a line of explanation below."""
    lines = [HEAD, *(_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, tuple("-" * width for width in widths))
    shown = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return "\n".join([*shown, "", note])


def rst(rows: Sequence[Row], note: str) -> str:
    """A list-table of reStructuredText with a paragraph below."""
    lines = [".. list-table::", "   :header-rows: 1", "   :widths: 44 18 28 10", ""]
    for cells in [HEAD, *(_cells(row) for row in rows)]:
        for mark, cell in zip(("* -", "  -", "  -", "  -"), cells, strict=True):
            lines.append(f"   {mark} {cell}".rstrip())
    return "\n".join([*lines, "", note])


def _cells(row: Row) -> tuple[str, str, str, str]:
    return (row.what, row.ours, row.other, row.ratio)
