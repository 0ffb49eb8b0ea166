"""YAML without repeated keys, and with errors that quote nothing of the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from radius_smsotp.errors import ConfigurationError
from radius_smsotp.settings import strict_yaml

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file."""
    return tmp_path / "some.yaml"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("a: 1\nb: [x, 2.5, true, null]", {"a": 1, "b": ["x", 2.5, True, None]}),
        ('{"a": "\\u00c4 \\ud83d\\ude00 \\ud83d!"}', {"a": "Ä \U0001f600 \ufffd!"}),
        ("a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}", {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("a: |\n  two\n  lines\n", {"a": "two\nlines\n"}),
    ],
)
def test_it_reads_yaml_and_so_json(path: Path, text: str, value: Any) -> None:
    """Merged keys, anchors, and what JSON escapes as two halves."""
    path.write_text(text, encoding="utf-8")
    assert strict_yaml.read(path) == value


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: b: c", "some.yaml, line 1, column 5: mapping values are not allowed here"),
        ("a: [1, 2", "expected ',' or ']', but got '<stream end>'"),
        ("a: @b", "found character '@' that cannot start any token"),
        ("a: *s3cret", "line 1, column 4: found undefined alias …;"),
        ("a: !s3cret b", "could not determine a constructor for the tag …;"),
        ("a: 1\nb: 2\na: 3", "line 3, column 1: 'a' stands here twice;"),
        ("{a: b, password:s3cret: 1, password:s3cret: 2}", "'password…' stands here twice;"),
        ("a: 2026-99-99", "line 1, column 4: is no value of its kind;"),
    ],
)
def test_an_error_says_where_and_quotes_nothing(path: Path, text: str, complaint: str) -> None:
    """Names of tokens and single characters aside: what stands there may be a password."""
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        strict_yaml.read(path)
    assert complaint in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "shown"),
    [("digits", "digits"), ("a.b-c_d", "a.b-c_d"), ("password:s3cret", "password…"), ("=x", "…")],
)
def test_a_key_is_shown_as_far_as_it_is_a_name(key: str, shown: str) -> None:
    """A blank is easily forgotten after the colon."""
    assert strict_yaml.shown(key) == shown


def test_other_users_of_yaml_notice_nothing() -> None:
    """PyYAML's own loaders still take what they took."""
    assert yaml.safe_load("a: 1\na: 2") == {"a": 2}


def test_each_key_is_found_in_its_line(path: Path) -> None:
    """In blocks and in brackets, through anchors, and where it was written if it is merged."""
    path.write_text(
        "a: 1\n"
        "gateways:\n"
        "  usual: &usual\n"
        "    check_ssl: false\n"
        "    url: x\n"
        "  own: {<<: *usual,\n"
        "    url: y}\n"
        "  other: *usual\n"
        "  both:\n"
        "    <<: [{c: 1}, *usual]\n"
        "list: [{inside: 1}]\n"
    )
    assert strict_yaml.lines(path) == {
        "a": 1,
        "gateways": 2,
        **{
            f"gateways.{name}": at
            for name, at in {"usual": 3, "own": 6, "other": 8, "both": 9}.items()
        },
        **{f"gateways.{name}.check_ssl": 4 for name in ("usual", "own", "other", "both")},
        **{f"gateways.{name}.url": 5 for name in ("usual", "other", "both")},
        "gateways.own.url": 7,
        "gateways.both.c": 10,
        "list": 11,
    }


@pytest.mark.parametrize("text", ["", "just text", "a: b: c", "a: &a\n  b: *a\n", "a: \0"])
def test_a_file_that_has_changed_has_perhaps_no_lines(path: Path, text: str) -> None:
    """It is looked at once more after it was read; what is wrong with it is said the next time."""
    path.write_text(text)
    assert set(strict_yaml.lines(path).values()) <= {1, 2}
    path.unlink()
    assert strict_yaml.lines(path) == {}
