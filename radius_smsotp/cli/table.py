"""
Tables whose values are never broken: what is copied from one is whole.

Where a terminal is too narrow, columns in which nothing stands go, then sentences are folded
between their words, then columns go that the reader can do without, and then each row becomes a
block.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len  # of the width of 日本: nothing else of rich is imported by it

GAP = 2
"""Blanks between two columns."""

SENTENCE = 20
"""Columns that a sentence has at least, or all that it needs."""

WORD = re.compile(
    r" *(?:\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?(?: [A-Z+-][\w+-]*)?(?: \([+-][\d:]+\))?[^ ]*"
    r"|\d[\d.,]* (?:ms|s|min|h|d|%|B|[kMGT]B)(?![^\W_])[^ ]*"
    r"|[^ ]+)"
)
"""What stays on one line: a time with its zone, an amount with its unit, or a word."""

RULE = "\N{BOX DRAWINGS LIGHT HORIZONTAL}"
LEFT_TO_RIGHT = "\N{LEFT-TO-RIGHT MARK}"


@dataclass(frozen=True, slots=True)
class Grid:
    """
    Rows under their headings.

    Attributes:
        rows: Their cells, one line each.
        numbers: Titles of columns that are set flush right.
        sentences: Titles of columns that may be folded between words.
        spare: Titles of columns that a reader can do without, the first to go first.
    """

    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Sequence[str] = ()
    sentences: Sequence[str] = ()
    spare: Sequence[str] = ()

    def plain(self) -> list[str]:
        """For a pipe: one line a row, all of it."""
        widths = [max(map(_width, column)) for column in self._columns()]
        shown = range(len(self.titles))
        return [self._line(row, shown, widths) for row in (self.titles, *self.rows)]

    def fitted(self, width: int) -> list[str]:
        """For a terminal of so many columns."""
        columns = self._columns()
        natural = [max(map(_width, column)) for column in columns]
        every = range(len(columns))
        if sum(natural) + GAP * (len(every) - 1) <= width:
            return self._drawn(every, natural)
        full = [at for at in every if any(columns[at][1:])]
        # At first none of those that can go, at last all of them.
        for going in range(len(self.spare) + 1):
            shown = [at for at in full if self.titles[at] not in self.spare[:going]]
            if widths := self._widths(shown, natural, width):
                gone = ", ".join(self.titles[at] for at in full if at not in shown)
                told = f"Not shown here: {gone}; a wider window shows more, --json all."
                return self._drawn(shown, widths) + (["", *folded(told, width)] if gone else [])
        return self._blocks(width)

    def _columns(self) -> list[tuple[str, ...]]:
        return [*zip(self.titles, *self.rows, strict=True)]

    def _widths(self, shown: Sequence[int], natural: Sequence[int], width: int) -> list[int] | None:
        """Widths that fit, by column; None if there are none."""
        columns, found = self._columns(), [*natural]
        for at in shown:
            title, *cells = columns[at]
            whole = _words(title)  # a heading may be folded too
            if self.titles[at] in self.sentences:
                whole += [" " * min(natural[at], SENTENCE), *(w for c in cells for w in _words(c))]
            else:
                whole += cells
            found[at] = max(map(_width, whole), default=0)
        left = width - GAP * (len(shown) - 1) - sum(found[at] for at in shown)
        if left < 0:
            return None
        for at in shown:
            more = min(left, natural[at] - found[at])
            found[at] += more
            left -= more
        return found

    def _drawn(self, shown: Sequence[int], widths: Sequence[int]) -> list[str]:
        every = range(len(self.titles))
        rule = [RULE * width for width in widths]
        titles = [folded(self.titles[at], widths[at]) for at in every]
        lines = [*self._lines(titles, shown, widths), self._line(rule, shown, widths)]
        for row in self.rows:
            parts = [
                folded(row[at], widths[at]) if self.titles[at] in self.sentences else [row[at]]
                for at in every
            ]
            lines += self._lines(parts, shown, widths)
        return lines

    def _lines(
        self, parts: Sequence[Sequence[str]], shown: Sequence[int], widths: Sequence[int]
    ) -> Iterator[str]:
        for number in range(max(len(parts[at]) for at in shown)):
            cells = [part[number] if number < len(part) else "" for part in parts]
            yield self._line(cells, shown, widths, marked=True)

    def _line(
        self,
        cells: Sequence[str],
        shown: Sequence[int],
        widths: Sequence[int],
        *,
        marked: bool = False,
    ) -> str:
        line = ""
        for at in shown:
            blank = " " * (widths[at] - _width(cells[at]))
            line += blank + cells[at] if self.titles[at] in self.numbers else cells[at] + blank
            # Else a terminal that knows Hebrew sets the next column to the left of this one.
            line += f" {LEFT_TO_RIGHT} " if marked and _is_right_to_left(cells[at]) else " " * GAP
        return line.rstrip(f" {LEFT_TO_RIGHT}")

    def _blocks(self, width: int) -> list[str]:
        lines: list[str] = []
        for at, row in enumerate(self.rows):
            pairs = zip(self.titles, row, strict=True)
            lines += [*([""] if at else []), *block([pair for pair in pairs if pair[1]], width)]
        return lines


def block(pairs: Sequence[tuple[str, str]], width: int | None) -> list[str]:
    """
    A line for each title and value; a value that is longer is folded between its words.

    Args:
        width: Columns of the terminal; None for a pipe.
    """
    aside = max((_width(title) for title, _ in pairs), default=0) + GAP
    lines = []
    for title, value in pairs:
        if not title:
            lines.append(value.strip())
            continue
        parts = [value] if width is None else folded(value, max(width - aside, SENTENCE))
        before = title + " " * (aside - _width(title))
        lines.append(f"{before}{parts[0]}".rstrip())
        lines += [" " * aside + part for part in parts[1:]]
    return lines


def folded(text: str, width: int) -> list[str]:
    """Lines of a text, none longer than that but for a word that is; what is indented stays so."""
    lines, line = [], ""
    indent = text[: len(text) - len(text.lstrip())]
    for word in WORD.findall(text):
        if line.strip() and _width(line + word) > width:
            lines.append(line)
            line = indent + word.lstrip()
        else:
            line += word
    return [*lines, line]


def _width(text: str) -> int:
    # There may be a million of them, and nearly all are ASCII.
    return len(text) if text.isascii() else cell_len(text)


def _words(text: str) -> list[str]:
    return [word.strip() for word in WORD.findall(text)]


def _is_right_to_left(text: str) -> bool:
    return not text.isascii() and any(
        unicodedata.bidirectional(letter) in {"R", "AL"} for letter in text
    )
