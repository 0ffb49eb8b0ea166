"""YAML without repeated keys and surprises, and with errors that quote nothing of the file."""

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
def test_it_reads_yaml_and_so_json(text: str, value: Any) -> None:
    """Merged keys, anchors, and what JSON escapes as two halves."""
    assert strict_yaml.parse(text, "some.yaml") == value


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("5000", 5000),
        ("-3", -3),
        ("0", 0),
        ("1_000", 1000),
        ("0x10", 16),
        ("5.000", 5.0),
        ("+49170", "+49170"),
        ("0170", "0170"),
        ("0049", "0049"),
        ("1:30", "1:30"),
        ("1:30.5", "1:30.5"),
    ],
)
def test_a_number_is_what_everybody_reads_as_the_same(written: str, value: Any) -> None:
    """YAML would make 120 of 0170, 39 of 0049, and lose the plus of a phone number."""
    found = strict_yaml.parse(f"a: {written}", "some.yaml")["a"]
    assert (found, type(found)) == (value, type(value))


def test_the_mark_that_editors_put_before_a_file_is_none_of_it(path: Path) -> None:
    """Windows' Notepad writes one."""
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert strict_yaml.parse(strict_yaml.read(path), path.name) == {"a": 1}


QUOTED = """\
code: {digits: 6}
message: QUOTE{code} is your code
texts:
  failed: QUOTENo.QUOTE
providers:
  gw:
    url: QUOTEhttps://gw.example.orgQUOTE
"""


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_quote_left_open_is_told_where_it_opens(quote: str) -> None:
    """YAML notices it at the next one that closes it, or at the end of the file."""
    opens = "some.yaml, line 2, column 10: a quote opens here, and does not close in this line"
    for text in (QUOTED, QUOTED.partition("texts")[0], QUOTED.partition("providers")[0]):
        with pytest.raises(ConfigurationError) as caught:
            strict_yaml.parse(text.replace("QUOTE", quote), "some.yaml")
        assert str(caught.value) == f"{opens}; close it where the text ends"
        assert caught.value.problems[0].line == "2 | message: …"


@pytest.mark.parametrize("text", ["code:\n\tdigits: 6", "code:\n  digits: 6\n \tguesses: 3"])
def test_a_tab_is_told_as_a_tab(text: str) -> None:
    """Editors show it as blanks."""
    with pytest.raises(ConfigurationError, match="is indented with a tab; indent with spaces"):
        strict_yaml.parse(text, "some.yaml")


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
def test_an_error_says_where_and_quotes_nothing(text: str, complaint: str) -> None:
    """Names of tokens and single characters aside: what stands there may be a password."""
    with pytest.raises(ConfigurationError) as caught:
        strict_yaml.parse(text, "some.yaml")
    assert complaint in str(caught.value)
    assert "s3cret" not in repr(caught.value.problems)


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


def test_each_key_is_found_in_its_line() -> None:
    """In blocks and in brackets, through anchors, and where it was written if it is merged."""
    found = strict_yaml.places(
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
    assert {path: at.line for path, at in found.items()} == {
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
    assert found["gateways.both.c"] == strict_yaml.Place(10, 11, "1")


@pytest.mark.parametrize("text", ["", "just text", "a: b: c", "a: &a\n  b: *a\n", "a: \0"])
def test_a_text_that_is_no_settings_has_perhaps_no_places(text: str) -> None:
    """What is wrong with it is said already."""
    assert {at.line for at in strict_yaml.places(text).values()} <= {1, 2}
