"""Spans and times as an administrator writes them: ``1d``, ``friday``, ``2026-12-04 18:00``."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from typing import Any, TypeVar

import click

T = TypeVar("T")

UNITS = {
    "m": timedelta(minutes=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

SPAN = re.compile(r"(?:\d{1,6} ?(?:min|[mhdw]) ?)+")
SPANS = "write it as 30m, 12h, 1d or 2w"
PRINTED = re.compile(
    r"(\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?) ([a-z+-][\w+-]*)(?: \(([+-]\d\d:\d\d)\))?"
)
TIMES = "write it as 12h, 3d, today, friday, 2026-12-04, or '2026-12-04 18:00'"


def span(text: str) -> timedelta:
    """How long ``1d``, ``90m`` or ``1d12h`` is.  Raises ValueError with a sentence."""
    folded = text.strip().lower()
    if not SPAN.fullmatch(folded):
        raise ValueError(f"'{text}' is no length of time; {SPANS}")
    parts = re.findall(r"(\d+) ?(min|[mhdw])", folded)
    return sum((int(number) * UNITS[unit] for number, unit in parts), timedelta())


def until(text: str, now: datetime) -> datetime:
    """
    The end that is meant: of a day its last second, today's if that is the one.

    Args:
        now: Aware; days and hours are those of this machine's zone.

    Raises:
        ValueError: With a sentence.
    """
    folded = " ".join(text.lower().split())
    if SPAN.fullmatch(folded):
        return now + span(folded)
    if folded == "now":
        return now
    today = now.astimezone().date()
    if folded in {"today", "tomorrow"}:
        return _end_of(today + timedelta(days=folded == "tomorrow"))
    found = [at for at, name in enumerate(DAYS) if len(folded) > 2 and name.startswith(folded)]
    if found:
        return _end_of(today + timedelta(days=(found[0] - today.weekday()) % 7))
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", folded):
            return _end_of(date.fromisoformat(folded))
        return _moment(folded)
    except ValueError:
        raise ValueError(f"'{text}' is no time; {TIMES}") from None


def since(text: str, now: datetime) -> datetime:
    """
    The beginning that is meant: so long ago, of a day its first second.

    Args:
        now: Aware; days and hours are those of this machine's zone.

    Raises:
        ValueError: With a sentence.
    """
    folded = " ".join(text.lower().split())
    if SPAN.fullmatch(folded):
        return now - span(folded)
    today = now.astimezone().date()
    if folded in {"today", "yesterday"}:
        return datetime.combine(today - timedelta(days=folded == "yesterday"), time()).astimezone()
    try:
        return _moment(folded)
    except ValueError:
        told = "write it as 1h, 3d, today, yesterday, 2026-11-30, or '2026-11-30 18:00'"
        raise ValueError(f"'{text}' is no time; {told}") from None


def _moment(folded: str) -> datetime:
    """A time in ISO 8601, or as `output.local` prints it.  Raises ValueError."""
    if not (printed := PRINTED.fullmatch(folded)):
        # Python 3.10 reads neither "Z" nor "+0100".
        colon = re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", re.sub("z$", "+00:00", folded))
        # Where it says no zone, that of this machine; summer time may begin until then.
        return datetime.fromisoformat(colon.upper()).astimezone()
    clock, zone, offset = printed.groups()
    if zone in {"utc", "gmt"}:
        offset = "+00:00"
    if offset:
        return datetime.fromisoformat(clock + offset)
    for fold in (0, 1):
        here = datetime.fromisoformat(clock).replace(fold=fold).astimezone()
        if str(here.tzname()).lower() == zone:
            return here
    raise ValueError(f"'{zone}' is not the zone of this machine")


def _end_of(day: date) -> datetime:
    return datetime.combine(day, time(23, 59, 59)).astimezone()


def span_of(most: timedelta) -> Callable[[Any, click.Parameter, str | None], timedelta | None]:
    """What reads an option that takes a span, of so much at most."""

    def read(_: Any, parameter: click.Parameter, text: str | None) -> timedelta | None:
        return None if text is None else _within(span(text), most)

    return _blamed(read)


def end_of(most: timedelta) -> Callable[[Any, click.Parameter, str | None], datetime | None]:
    """The same for an end that is not in the past, nor further away than that."""

    def read(_: Any, parameter: click.Parameter, text: str | None) -> datetime | None:
        if text is None:
            return None
        now = datetime.now(timezone.utc)
        end = until(text, now)
        if end < now:
            raise ValueError(f"'{text}' lies in the past")
        if end - now > most:
            raise ValueError(f"'{text}' is more than {most.days} days ahead")
        return end

    return _blamed(read)


def beginning() -> Callable[[Any, click.Parameter, str], datetime]:
    """The same for a beginning."""

    def read(_: Any, parameter: click.Parameter, text: str | None) -> datetime:
        return since(text or "", datetime.now(timezone.utc))

    return _blamed(read)


def _within(found: timedelta, most: timedelta) -> timedelta:
    if not timedelta(minutes=1) <= found <= most:
        raise ValueError(f"it is not between 1 minute and {most.days} days")
    return found


def _blamed(
    read: Callable[[Any, click.Parameter, str | None], T],
) -> Callable[[Any, click.Parameter, str | None], T]:
    """Put a fault down to the option."""

    def call(ctx: Any, parameter: click.Parameter, text: str | None) -> T:
        try:
            return read(ctx, parameter, text)
        except (ValueError, OverflowError) as error:
            told = str(error) if type(error) is ValueError else "it is too long"
            raise click.BadParameter(told, ctx, parameter) from None

    return call
