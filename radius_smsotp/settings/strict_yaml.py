"""YAML without repeated keys, and with errors that quote nothing of the file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from radius_smsotp.errors import ConfigurationError, Problem
from radius_smsotp.model.text import shown


def read(path: Path) -> Any:
    """
    What a file holds: the plain types of YAML.

    Raises:
        ConfigurationError: It cannot be read, or is not YAML.
    """
    name = path.name
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506  # a SafeLoader
    except FileNotFoundError:
        remedy = f"make one with 'smsotp init {path.parent}', or name another with --config"
        raise ConfigurationError([Problem(str(path), "there is no such file", remedy)]) from None
    except IsADirectoryError:
        remedy = f"name the file in it, as {path / 'smsotp.yaml'}"
        raise ConfigurationError([Problem(str(path), "is a folder", remedy)]) from None
    except OSError as error:
        fault = f"cannot be read ({error.strerror})"
        raise ConfigurationError([Problem(str(path), fault, "let this user read it")]) from None
    except UnicodeDecodeError:
        raise ConfigurationError([Problem(name, "is not UTF-8", "save it as UTF-8")]) from None
    except yaml.YAMLError as error:
        raise ConfigurationError([_yaml_problem(name, error)]) from None
    except RecursionError:
        deep = Problem(name, "is nested too deeply", "close the brackets that are open")
        raise ConfigurationError([deep]) from None


def lines(path: Path) -> dict[str, int]:
    """
    Where each key of a file stands, for what is said of one that can be read.

    Returns:
        Keys from the outermost to it, with dots between them, to the line, from 1.
    """
    found: dict[str, int] = {}
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return found  # it has changed meanwhile
    _note(root, "", found)
    return found


DEEPEST = 8
"""Levels that are looked through: an alias may stand within what it names."""


def _note(node: yaml.Node | None, prefix: str, found: dict[str, int]) -> None:
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
            found.setdefault(f"{prefix}{key.value}", key.start_mark.line + 1)
            if isinstance(value, yaml.MappingNode):
                _note(value, f"{prefix}{key.value}.", found)


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


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_constructor("tag:yaml.org,2002:str", _text)


def _yaml_problem(name: str, error: yaml.YAMLError) -> Problem:
    """Where the YAML breaks, without what stands there: it may be a password."""
    where, fault = name, "is not YAML"
    if isinstance(error, yaml.MarkedYAMLError):
        if mark := error.problem_mark:
            where = f"{name}, line {mark.line + 1}, column {mark.column + 1}"
        fault = error.problem or fault
    if not isinstance(error, _RepeatedKeyError):
        fault = _before_quote(fault)
    return Problem(where, fault, "mend the line; indent with spaces, quote special characters")


def _before_quote(fault: str) -> str:
    """PyYAML's words up to what it quotes from the file, but for tokens and single characters."""
    for match in re.finditer(r"""(["'])(.*?)\1""", fault):
        if not re.fullmatch(r"<[a-z -]+>|.", match[2]):
            return f"{fault[: match.start()]}…"
    return fault
