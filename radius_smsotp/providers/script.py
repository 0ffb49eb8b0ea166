"""
Provider ``script``: a program of the administrator's own.

It gets the number as an argument and the text on standard input (UTF-8), as with privacyIDEA's
script provider.  Its exit status is the verdict: 0 accepted, 69 or 75 unavailable
(``EX_UNAVAILABLE`` and ``EX_TEMPFAIL`` of sysexits.h), anything else refused.
"""

from __future__ import annotations

import errno
import logging
import os
import selectors
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from pydantic import (
    AfterValidator,
    AliasChoices,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from radius_smsotp.errors import Busy, DeliveryError, Refused, Unavailable, Unknown
from radius_smsotp.model.text import fill, placeholders, shown
from radius_smsotp.providers import BaseProvider, Fault, Message, ProviderSettings, Receipt
from radius_smsotp.providers.excerpt import excerpt
from radius_smsotp.providers.template import OF_NUMBER, OF_TEXT, Regexp, checked, values

if TYPE_CHECKING:
    from io import FileIO

log = logging.getLogger(__name__)

_KEPT = 4096
"""Octets of standard output and of standard error that are kept; the rest is read and dropped."""

_POLL = 0.02
"""Seconds between two looks whether the program has ended: its pipes alone do not tell, since a
child of its own may hold them open."""

_CHUNK = 65536
"""Octets of one read: what a pipe of Linux holds, pipe(7)."""

_REAP = 0.5
"""Seconds to wait for a process that was killed."""

_SHORT_OF = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ETXTBSY}
"""Why starting a program fails although nothing is wrong with it."""


def _argument(value: str) -> str:
    for name in sorted(placeholders(_variable(value)) & set(OF_TEXT)):
        raise ValueError(
            f"{{{name}}} has no place here: every user of the host can read the arguments of a "
            "program; the text comes on standard input, or in `environment`"
        )
    return value


def _variable(value: str) -> str:
    if "\0" in value:
        raise ValueError("holds a NUL, which no program can be given")
    return checked(value)


def _secret(value: SecretStr) -> SecretStr:
    _variable(value.get_secret_value())
    return value


Argument = Annotated[str, AfterValidator(_argument)]
Variable = Annotated[SecretStr, AfterValidator(_secret)]
"""A variable may well be the key of a gateway; proc(5) shows it to no other user."""


class Settings(ProviderSettings):
    """Settings of a ``script`` provider."""

    type: Literal["script"]
    script: Path = Field(description="the program; a relative path counts from `directory`")
    directory: Path = Field(
        Path(),
        validation_alias=AliasChoices("directory", "pi_script_smsprovider_directory"),
        description="folder of scripts; a relative path counts from the folder of the settings",
    )
    arguments: list[Argument] = Field(
        ["{phone}"],
        description="arguments of the program; {phone} and {phone_digits} stand for the number",
    )
    environment: dict[str, Variable] = Field(
        {},
        description="environment of the program, besides PATH and LANG; may hold {message}, "
        "{code} and all other placeholders",
    )
    background: bool = Field(
        False, description="true: accepted as soon as it runs, whatever its exit status"
    )
    regexp: Regexp = None

    @field_validator("background", mode="before")
    @classmethod
    def _privacyidea_words(cls, value: Any) -> Any:
        words = {"background": True, "wait": False}
        return words.get(value, value) if isinstance(value, str) else value

    @field_validator("environment")
    @classmethod
    def _names(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name in value:
            if not name or "=" in name or "\0" in name:
                raise ValueError(f"'{shown(name)}' cannot be the name of a variable")
        return value

    @model_validator(mode="after")
    def _number_goes_somewhere(self) -> Settings:
        if not self.carries() & set(OF_NUMBER):
            raise ValueError(
                "the program would not learn the number: put {phone} into arguments or environment"
            )
        return self

    def carries(self) -> set[str]:
        """The names of the placeholders that the program is given."""
        variables = [value.get_secret_value() for value in self.environment.values()]
        return set().union(*map(placeholders, [*self.arguments, *variables]))


class Provider(BaseProvider[Settings]):
    """Runs the program once for each message."""

    @property
    def program(self) -> Path:
        """The program."""
        return self._folder / self._settings.directory / self._settings.script

    def _faults(self, limit: float) -> Iterator[Fault]:
        """Look whether the program is there, may be run, and is safe from other users."""
        try:
            program = self.program.resolve(strict=True)
            modes = {place: place.stat().st_mode for place in (program, program.parent)}
        except (OSError, RuntimeError) as error:  # RuntimeError: a circle of links
            reason = getattr(error, "strerror", None) or "a circle of symbolic links"
            yield "script", f"cannot find {self.program} ({reason})", "mend the path"
            return
        if not stat.S_ISREG(modes[program]):
            yield "script", f"{program} is not a file", "name a program"
            return
        if not os.access(program, os.X_OK):
            yield "script", f"{program} cannot be run by this user", f"chmod 755 {program}"
        for place, mode in modes.items():
            if mode & stat.S_IWOTH:
                yield "script", f"{place} can be changed by every user", f"chmod o-w {place}"

    def _send(self, message: Message, limit: float) -> Receipt:
        """Run the program and read its exit status."""
        run = self._start(message)
        if not self._settings.background:
            run.watch(limit)
            return self._judge(run, message)
        limit = time.monotonic() + self._settings.timeout
        threading.Thread(
            target=self._follow, args=(run, message, limit), name="smsotp-script", daemon=True
        ).start()
        return Receipt(self._own_id(message))

    def _start(self, message: Message) -> Run:
        settings = self._settings

        given = values(message, settings.regexp)
        given["message"] = given["message"].replace("\0", "")  # nothing else has one

        def filled(word: str) -> str:
            return fill(word, given)

        environment = {"PATH": os.defpath, "LANG": "C.UTF-8"}
        environment |= {
            name: filled(value.get_secret_value()) for name, value in settings.environment.items()
        }
        command = [str(self.program), *map(filled, settings.arguments)]
        try:
            return Run(command, environment, message.text.encode())
        except OSError as error:
            # `from None`: the text of the error holds the command, and that holds the number.
            if error.errno in _SHORT_OF:
                raise Unavailable(f"the program cannot be started ({error.strerror})") from None
            reason: str | None = error.strerror
            if error.errno == errno.ENOENT and self.program.exists():
                reason = "the interpreter that its first line names is not there"
            raise Refused(f"the program cannot be started ({reason})", out_of_order=True) from None

    def _judge(self, run: Run, message: Message) -> Receipt:
        """The receipt, or the error, that an ended or stopped program comes to."""
        status = run.status
        if status == 0:
            said = self._first_line(bytes(run.output), message)
            return Receipt(said or self._own_id(message))
        if status is None:
            raise Unknown(run.why)
        if status < 0:
            what = signal.strsignal(-status)
            raise Unknown(f"the program was ended by signal {-status} ({what})")
        said = self._first_line(bytes(run.errors), message)
        text = f"the program ended with status {status}" + (f": {said}" if said else "")
        if status == os.EX_TEMPFAIL:
            raise Busy(text)
        if status == os.EX_UNAVAILABLE:
            raise Unavailable(text)
        raise Refused(text)

    def _own_id(self, message: Message) -> str | None:
        """Our name for the message, if the program is told: `smsotp delivered` may say it."""
        return message.attempt if "attempt" in self._settings.carries() else None

    def _first_line(self, said: bytes, message: Message) -> str:
        """The first line that holds something, without secrets."""
        variables = (value.get_secret_value() for value in self._settings.environment.values())
        # A short value is no key, and blotting it out would leave holes in plain words.
        secrets = [value for value in variables if len(value) >= 6]
        lines = [line for line in said.splitlines() if line.strip()]
        return excerpt(lines[0], secrets=secrets, message=message) if lines else ""

    def _follow(self, run: Run, message: Message, limit: float) -> None:
        """See a program in the background through to its end; nobody waits for the verdict."""
        run.watch(limit)
        try:
            self._judge(run, message)
        except DeliveryError as error:
            log.warning("providers.%s: in the background, %s", self.name, error)


class Run:
    """
    One program that runs, without a shell, in a session of its own.

    Attributes:
        status: Exit status, negative for a signal; None if there is none, and `why` says why.
        output: The start of its standard output.
        errors: The start of its standard error.
    """

    def __init__(self, command: list[str], environment: dict[str, str], text: bytes) -> None:
        self.status: int | None = None
        self.why = ""
        self.output = bytearray()
        self.errors = bytearray()
        self._text = text
        # In a session of its own it can be stopped with all its children.  And radiusd, which
        # reaps every child of its own process group (waitpid(0, …) in src/main/threads.c), does
        # not take its exit status: it took every second one, and Popen reads that as 0.
        self._process = subprocess.Popen(  # noqa: S603  # no shell, and the setting names it
            command,
            bufsize=0,
            env=environment,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def watch(self, limit: float) -> None:
        """Feed it, read it, and stop it at `limit` (`time.monotonic()` seconds)."""
        process = self._process
        # bufsize=0 makes them FileIO, whose reads and writes are one system call each.
        pipes = cast("tuple[FileIO, ...]", (process.stdin, process.stdout, process.stderr))
        service = (self._feed, partial(_keep, self.output), partial(_keep, self.errors))
        events = (selectors.EVENT_WRITE, selectors.EVENT_READ, selectors.EVENT_READ)
        try:
            with selectors.PollSelector() as selector:  # of all selectors, it needs no descriptor
                for pipe, event, serve in zip(pipes, events, service, strict=True):
                    os.set_blocking(pipe.fileno(), False)
                    selector.register(pipe, event, serve)
                self._serve(selector, limit)
        except ChildProcessError:
            # Something in this process ignores SIGCHLD, or reaps children that are not its own.
            self.why = "the program has ended, but its exit status was lost"
            process.poll()
        finally:
            self._stop()
            for pipe in pipes:
                pipe.close()

    def _serve(self, selector: selectors.PollSelector, limit: float) -> None:
        """Serve the pipes until the program has ended or the time is up."""
        while True:
            # Asked before the last look at the pipes: all that it wrote is in them by then.
            has_ended = self._has_ended()
            left = limit - time.monotonic()
            for key, _ in selector.select(0 if has_ended else max(0, min(_POLL, left))):
                if not key.data(key.fileobj):
                    selector.unregister(key.fileobj)
                    cast("FileIO", key.fileobj).close()
            if has_ended:
                self.status = self._process.wait()
                return
            if left <= 0:
                self.why = "the program ran into the time limit and was stopped"
                return

    def _has_ended(self) -> bool:
        # WNOWAIT: while it is not reaped, its number cannot become another process group's.
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self._process.pid, flags) is not None

    def _feed(self, pipe: FileIO) -> bool:
        """Write what the pipe takes; whether something is left."""
        try:
            self._text = self._text[pipe.write(self._text) or 0 :]
        except BrokenPipeError:  # it need not read what it does not want
            return False
        return bool(self._text)

    def _stop(self) -> None:
        """Kill it and its children, unless it has ended."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            # What cannot be reaped now (a process stuck in the kernel), subprocess reaps when
            # it starts the next one.
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_REAP)


def _keep(kept: bytearray, pipe: FileIO) -> bool:
    """Read what is there and keep the start of it; whether more may come."""
    chunk = pipe.read(_CHUNK)
    if chunk is None:
        return True
    kept.extend(chunk[: _KEPT - len(kept)])
    return bool(chunk)
