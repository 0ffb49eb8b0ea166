"""Random octets kneaded into values: the same ones for the same octets, whoever chose them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

PIECES = (
    "0x",
    "{code}",
    "%{User-Name}",
    "\\",
    '"',
    "'",
    "\0",
    "\r\n",
    "ß",
    "ü",
    "\ud800",
    "0" * 32,
)


class Dough:
    """Takes values off a string of octets; when it is used up, the smallest ones come."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._place = 0

    @property
    def left(self) -> int:
        """Octets that are left."""
        return len(self._octets) - self._place

    def octets(self, most: int) -> bytes:
        """Up to `most` octets."""
        taken = self._octets[self._place : self._place + most]
        self._place += len(taken)
        return taken

    def rest(self) -> bytes:
        """All that are left."""
        return self.octets(self.left)

    def number(self, below: int) -> int:
        """0 to `below` - 1; `below` is at most 65536."""
        return int.from_bytes(self.octets(1 if below <= 256 else 2), "big") % below

    def one(self, choices: Sequence[T]) -> T:
        """One of these."""
        return choices[self.number(len(choices))]

    def text(self, most: int = 64) -> str:
        """Up to so many characters of any kind, and sometimes what programs stumble over."""
        if self.number(4) == 0:
            return self.one(PIECES)
        return self.octets(self.number(most + 1)).decode("utf-8", "surrogateescape")
