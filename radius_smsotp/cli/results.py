"""
What a command that does something says of it: lines for people, or one JSON object for programs.

The object is the same for all of them, see docs/reference/programs.rst: ``changed`` (whether
anything is not as before), ``results`` (an object for each thing, with ``name`` and ``result``),
``notes`` (sentences) and ``error`` (why the whole came to nothing, or null).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec

import click

from radius_smsotp.cli import REFUSED, output
from radius_smsotp.errors import ConfigurationError, SmsotpError, StoreError

UNCHANGED = {"ok", "kept", "failed"}
"""Results after which all is as it was."""


class Results:
    """
    What has come of each thing; at the end printed for programs, and the exit code for who failed.

    Args:
        for_programs: Print nothing but one object.
    """

    def __init__(self, *, for_programs: bool) -> None:
        self.for_programs = for_programs
        self._records: list[dict[str, Any]] = []
        self._notes: list[str] = []

    def __enter__(self) -> Results:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        told = None
        if isinstance(error, click.ClickException):
            told = error.format_message()
        elif isinstance(error, OSError):
            told = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        elif isinstance(error, SmsotpError):
            told = str(error)
        elif error is not None:
            return  # Ctrl-C, say: who reads a half cannot tell it from the whole
        if self.for_programs:
            kinds = {one["result"] for one in self._records}
            found = {"changed": bool(kinds - UNCHANGED), "results": self._records}
            output.as_json(found | {"notes": self._notes, "error": told})
        if error is None and any(one["result"] == "failed" for one in self._records):
            sys.exit(REFUSED)

    def record(self, name: object, result: str, **more: Any) -> None:
        """
        Note what has come of one thing, for programs.

        Args:
            result: A word; "ok" if all was so already.
        """
        self._records.append({"name": str(name), "result": result, **more})

    def add(self, name: object, result: str, line: str | None = None, **more: Any) -> None:
        """
        The same, and say it.

        Args:
            line: For people; "NAME: RESULT" if there is none.
        """
        self.record(name, result, **more)
        if not self.for_programs:
            click.echo(f"{name}: {result}" if line is None else line)

    def fail(self, name: object, fault: str) -> None:
        """Say why one thing came to nothing; the others go on."""
        self.record(name, "failed", error=fault)
        if not self.for_programs:
            click.echo(output.clean(f"smsotp: {fault}"), err=True)

    def note(self, line: str, *, err: bool = False) -> None:
        """
        Say what else is to be said.

        Args:
            err: On standard error.
        """
        self._notes.append(line)
        if not self.for_programs:
            click.echo(line, err=err)

    def each(self, names: Iterable[str], work: Callable[[str], object]) -> list[str]:
        """
        Do the same with each: what is against one is not against the others.

        Returns:
            Those with which it could be done.
        """
        done = []
        for name in dict.fromkeys(names):
            try:
                work(name)
            except (ConfigurationError, StoreError):
                raise  # not of this one alone
            except SmsotpError as error:
                self.fail(name, str(error))
            else:
                done.append(name)
        return done


P = ParamSpec("P")


def told(command: Callable[Concatenate[Results, P], None]) -> Callable[..., None]:
    """Give a command ``--json``, and hand it its `Results`, before all others but its site."""

    @output.json_option
    @wraps(command)
    def run(*args: P.args, **options: P.kwargs) -> None:
        with Results(for_programs=bool(options.pop("as_json"))) as results:
            command(results, *args, **options)

    return run
