"""YAML without repeated keys and surprises, and with errors that quote nothing of the file."""

from __future__ import annotations

import contextlib
import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from radius_smsotp.errors import ConfigurationError, Problem, unless_person
from radius_smsotp.model.text import shown
from radius_smsotp.settings import DEFAULT_PATH


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where a key stands, from 1, and what is behind it.

    Attributes:
        value: As it is written, if it is one word or one line; it may be a password.
    """

    line: int
    column: int
    value: str | None = None


ALIKE = 0.6
"""How much the path of a file must be like one that was typed, to be what was meant: difflib's."""


def read(path: Path) -> str:
    """
    The text of a file, without the mark that editors of Windows put before it.

    Raises:
        ConfigurationError: It cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        fault = "there is no such file"
        raise ConfigurationError([Problem(str(path), fault, _instead(path))]) from None
    except IsADirectoryError:
        remedy = f"name the file in it, as {path / 'smsotp.yaml'}"
        raise ConfigurationError([Problem(str(path), "is a folder", remedy)]) from None
    except OSError as error:
        fault = f"cannot be read ({error.strerror})"
        remedy = unless_person("let this user read it")
        raise ConfigurationError([Problem(str(path), fault, remedy)]) from None
    except UnicodeDecodeError:
        raise ConfigurationError([Problem(path.name, "is not UTF-8", "save it as UTF-8")]) from None


def _instead(path: Path) -> str:
    """What helps where a file is not there: the one that is, if there is one that may be meant."""
    with contextlib.suppress(OSError):
        there = [str(one) for one in path.parent.iterdir() if one.suffix in {".yaml", ".yml"}]
        if DEFAULT_PATH.exists():
            there.append(str(DEFAULT_PATH))
        if meant := difflib.get_close_matches(str(path), sorted(there), 1, ALIKE):
            return f"'--config {meant[0]}' is there"
    return f"make one with 'smsotp init {path.parent}', or name another with --config"


def parse(text: str, name: str) -> Any:
    """
    What a text says: the plain types of YAML.

    Raises:
        ConfigurationError: It is not YAML; `name` is the file's.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506  # a SafeLoader
    except yaml.YAMLError as error:
        raise ConfigurationError([_yaml_problem(name, text, error)]) from None
    except RecursionError:
        deep = Problem(name, "is nested too deeply", "close the brackets that are open")
        raise ConfigurationError([deep]) from None


def places(text: str) -> dict[str, Place]:
    """
    Where each key of a text that was read stands.

    Returns:
        Keys from the outermost to it, with dots between them, to their places.
    """
    found: dict[str, Place] = {}
    with contextlib.suppress(yaml.YAMLError):  # said already
        _note(yaml.compose(text, Loader=_Loader), "", found)
    return found


DEEPEST = 8
"""Levels that are looked through: an alias may stand within what it names."""


def _note(node: yaml.Node | None, prefix: str, found: dict[str, Place]) -> None:
    if isinstance(node, yaml.SequenceNode):  # of what is merged
        for one in node.value:
            _note(one, prefix, found)
    if not isinstance(node, yaml.MappingNode) or prefix.count(".") > DEEPEST:
        return
    # What is merged comes last: a key that stands here as well wins.
    for key, value in sorted(node.value, key=lambda pair: bool(pair[0].tag == MERGE)):
        if key.tag == MERGE:
            _note(value, prefix, found)
        else:
            at = key.start_mark
            found.setdefault(
                f"{prefix}{key.value}", Place(at.line + 1, at.column + 1, _line(value))
            )
            if isinstance(value, yaml.MappingNode):
                _note(value, f"{prefix}{key.value}.", found)


def _line(node: yaml.Node) -> str | None:
    """A value that ends in the line it begins in, as it is written."""
    if isinstance(node, yaml.ScalarNode) and node.start_mark.line == node.end_mark.line:
        text: str = node.start_mark.buffer or ""
        return text[node.start_mark.pointer : node.end_mark.pointer]
    return None


MERGE = "tag:yaml.org,2002:merge"


class _RepeatedKeyError(yaml.constructor.ConstructorError):
    """Our own complaint, which quotes a key."""


class _Loader(yaml.SafeLoader):
    """YAML without repeated keys, of which PyYAML silently keeps the last."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Bring what YAML's own types raise (a day 99, an unhashable key) into one form."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError, AttributeError, TypeError):
            raise yaml.constructor.ConstructorError(
                None, None, "is no value of its kind", node.start_mark
            ) from None


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if key_node.tag == MERGE:
            continue  # "<<" brings keys along that may stand here as well
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            fault = f"'{shown(key)}' stands here twice"
            raise _RepeatedKeyError(None, None, fault, key_node.start_mark)
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


def _text(loader: _Loader, node: yaml.ScalarNode) -> str:
    text = str(loader.construct_scalar(node))
    # RFC 8259 section 7: JSON escapes a character beyond U+FFFF as a pair of surrogates.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


DECIMAL = re.compile(r"-?(0|[1-9][0-9_]*|0x[0-9a-fA-F]+)")
"""What everybody reads as the same whole number."""


def _whole_number(loader: _Loader, node: yaml.ScalarNode) -> int | str:
    """YAML reads 0170 as 120, +49170 without its plus, and 1:30 as 90: these stay as written."""
    return int(loader.construct_yaml_int(node)) if DECIMAL.fullmatch(node.value) else node.value


def _number(loader: _Loader, node: yaml.ScalarNode) -> float | str:
    """The same for 1:30.5."""
    return node.value if ":" in node.value else float(loader.construct_yaml_float(node))


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)
_Loader.add_constructor("tag:yaml.org,2002:float", _number)
_Loader.add_constructor("tag:yaml.org,2002:str", _text)


def _yaml_problem(name: str, text: str, error: yaml.YAMLError) -> Problem:
    """Where the YAML breaks, without what stands there: it may be a password."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return Problem(name, "is not YAML", "save it as plain text")
    mark, fault = error.problem_mark, error.problem or "is not YAML"
    remedy = "mend the line; indent with spaces, quote special characters"
    if isinstance(error, _RepeatedKeyError):
        remedy = "keep one of them"
    elif opened := _open_quote(text, mark.line):
        mark, fault = opened, "a quote opens here, and does not close in this line"
        remedy = "close it where the text ends"
    elif tabbed := _tab(text, mark.line):
        mark, fault, remedy = tabbed, "is indented with a tab", "indent with spaces"
    else:
        fault = _before_quote(fault)
    where = f"{name}, line {mark.line + 1}, column {mark.column + 1}"
    setting = re.match(r"\s*([\w.-]+):(\s|$)", (text.splitlines()[mark.line :] or [""])[0])
    return Problem(where, fault, remedy, f"{mark.line + 1} | {setting[1]}: …" if setting else "")


def _open_quote(text: str, broken: int) -> yaml.Mark | None:
    """Where the first quote opens that takes lines with settings along, or runs to the end."""
    found: yaml.Mark | None = None
    try:
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            first, last = token.start_mark, token.end_mark
            quoted = isinstance(token, yaml.ScalarToken) and token.style in {"'", '"'}
            if not quoted or first.line == last.line or first.line > broken:
                continue
            inside = text.splitlines()[first.line + 1 : last.line + 1]
            if any(re.match(r"\s*[\w.-]+:(\s|$)", line) for line in inside):
                found = first
                break
    except yaml.MarkedYAMLError as error:
        if error.context == "while scanning a quoted scalar":
            found = error.context_mark
    return found


def _tab(text: str, broken: int) -> yaml.Mark | None:
    """A tab before the first word of the line that is broken, or of the one before."""
    lines = text.splitlines()
    for at in (broken, broken - 1):
        blank = re.match(r"\s*", lines[at]) if 0 <= at < len(lines) else None
        if blank and "\t" in blank[0]:
            return yaml.Mark("", 0, at, blank[0].index("\t"), None, 0)
    return None


def _before_quote(fault: str) -> str:
    """PyYAML's words up to what it quotes from the file, but for tokens and single characters."""
    for match in re.finditer(r"""(["'])(.*?)\1""", fault):
        if not re.fullmatch(r"<[a-z -]+>|.", match[2]):
            return f"{fault[: match.start()]}…"
    return fault
