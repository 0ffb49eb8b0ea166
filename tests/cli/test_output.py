"""What commands print."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from radius_smsotp.cli.output import as_json, clean, span


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("alice", "alice"),
        (7, "7"),
        ("two\nlines\r\nor\u2028three", "two lines or three"),
        ("\x1b[31mred\x07", "?[31mred?"),
        ("\x9b31m", "?31m"),
        ("right\u202eleft", "right?left"),
        ("größer 日本", "größer 日本"),
    ],
    ids=["text", "number", "lines", "escape", "C1", "bidirectional", "letters"],
)
def test_a_value_is_one_line_without_control_characters(value: object, line: str) -> None:
    assert clean(value) == line


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (-3, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (250, "4 min 10 s"),
        (3600, "1 h"),
        (3725, "1 h 2 min"),
        (90000, "1 d 1 h"),
    ],
)
def test_a_span_has_its_two_largest_units(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_a_time_for_programs_names_its_zone(capsys: pytest.CaptureFixture[str]) -> None:
    as_json({"at": datetime(2026, 3, 2, 12, 0, 0, 250_000, tzinfo=UTC)})
    assert '"2026-03-02T12:00:00.250+00:00"' in capsys.readouterr().out
