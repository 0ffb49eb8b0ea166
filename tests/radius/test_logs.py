"""Log lines into FreeRADIUS's own log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.radius import process

if TYPE_CHECKING:
    from collections.abc import Iterator

LEVELS = {logging.INFO: 3, logging.WARNING: 5, logging.ERROR: 4}


class Radlog:
    """What FreeRADIUS is given to write."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, str]] = []
        self.fails = False

    def __call__(self, level: int, text: str) -> None:
        if self.fails:
            raise RuntimeError("no log")
        text.encode()  # what C code is given must be UTF-8
        self.lines.append((level, text))


@pytest.fixture
def radlog() -> Iterator[Radlog]:
    """The log of this package goes there; everything is as before afterwards."""
    logger = logging.getLogger("radius_smsotp")
    before = (logger.handlers, logger.propagate, logger.level, logging.raiseExceptions)
    one = Radlog()
    process.install(process.RadiusdHandler(one, LEVELS))
    yield one
    logger.handlers, logger.propagate, level, logging.raiseExceptions = before
    logger.setLevel(level)


log = logging.getLogger("radius_smsotp.test")


@pytest.mark.parametrize(("level", "expected"), LEVELS.items())
def test_a_record_becomes_a_line_of_its_level(radlog: Radlog, level: int, expected: int) -> None:
    """With the name of this module before it."""
    log.log(level, "provider %s", "first")
    assert radlog.lines == [(expected, "smsotp: provider first")]


def test_what_is_for_developers_stays_out(radlog: Radlog) -> None:
    """Debug records would fill the log of a server."""
    log.debug("detail")
    assert radlog.lines == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("alice\nsmsotp: forged", "alice smsotp: forged"),
        ("a\r\nb\x85c\u2028d", "a b c d"),
        ("a\x1b[31mb\0c", "a?[31mb?c"),
        ("a\u202eb", "a?b"),
        pytest.param("bad \udc80", "bad ?", id="surrogate"),
        ("Jürgen 例", "Jürgen 例"),
    ],
)
def test_a_record_is_one_line_of_printable_text(radlog: Radlog, name: str, shown: str) -> None:
    """A user name may hold anything; nobody writes lines of their own into the log."""
    record = logging.makeLogRecord({"levelno": logging.INFO, "msg": "user %s", "args": (name,)})
    process.RadiusdHandler(radlog, LEVELS).handle(record)
    assert radlog.lines == [(3, f"smsotp: user {shown}")]


def test_a_record_that_cannot_be_formatted_ends_nothing(
    radlog: Radlog, capsys: pytest.CaptureFixture[str]
) -> None:
    """And prints nothing: a traceback would hold its values."""
    log.info("%d", "secret")
    assert radlog.lines == []
    radlog.fails = True
    log.error("secret")
    assert capsys.readouterr() == ("", "")


def test_records_go_nowhere_else(radlog: Radlog) -> None:
    """Not to the handlers of whoever else uses Python's logging in this process."""
    others = Radlog()
    handler = process.RadiusdHandler(others, LEVELS)
    logging.getLogger().addHandler(handler)
    log.error("one")
    logging.getLogger().removeHandler(handler)
    assert others.lines == []
    assert len(radlog.lines) == 1


def test_installing_again_replaces_the_handler(radlog: Radlog) -> None:
    """A line stands in the log once."""
    process.install(process.RadiusdHandler(radlog, LEVELS))
    log.error("one")
    assert len(radlog.lines) == 1
