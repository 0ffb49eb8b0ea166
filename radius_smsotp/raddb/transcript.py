"""What FreeRADIUS has done with a request, by what it says in debug mode.  Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

REQUEST = re.compile(r"\(\d+\) (.*)")
PAIR = re.compile(r"  ([\w.-]+(?::\d+)?) \W{1,2} (.*)")
UNDECIDED = "ERROR: Failed retrieving values required to evaluate condition"

Kind = Literal["module", "hidden", "condition"]


@dataclass(frozen=True, slots=True)
class Happening:
    """
    A module that was called, one in whose place a policy stood, or a condition that was decided.

    Attributes:
        section: In which: ``authorize``, ``Auth-Type smsotp``, ``Post-Auth-Type REJECT``, …
        policy: The innermost one that it stands in, "" if it is in none.
        text: The module's name, or the condition as it is written.
        result: What the module has returned; of a condition ``TRUE``, ``FALSE``, or "" where it
            names what is not there, which counts as if it were not met.
    """

    section: str
    policy: str
    kind: Kind
    text: str
    result: str = ""


class Transcript:
    """
    Of one request.

    Attributes:
        happenings: In their order.
        auth_type: What was to check the login, "" if nothing was.
        reply: What was sent, "" if nothing was.
        attributes: Of the reply, with their values as FreeRADIUS writes them.
        ended: Whether no more will come.
    """

    def __init__(self) -> None:
        self.happenings: list[Happening] = []
        self.auth_type = ""
        self.reply = ""
        self.attributes: list[tuple[str, str]] = []
        self.ended = False
        self._section = ""
        self._enters = False
        self._policies: list[str] = []
        self._condition = ""
        self._replies = False

    def read(self, line: str) -> None:
        """Take what it says next."""
        found = REQUEST.match(line)
        if found is None:
            return
        pair = PAIR.fullmatch(found[1]) if self._replies else None
        if pair:
            self.attributes.append((pair[1], pair[2]))
            return
        self._replies = False
        told = found[1].strip()
        for form, take in FORMS:
            if match := form.fullmatch(told):
                take(self, *match.groups())
                return

    def _sent(self, kind: str) -> None:
        self.reply, self._replies = kind, True

    def _end(self) -> None:
        self.ended = True

    def _execute(self) -> None:
        self._enters = True

    def _open(self, name: str) -> None:
        if self._enters:
            self._section, self._enters, self._policies = name, False, []

    def _enter(self, name: str) -> None:
        """A policy begins; one of a module and its section stands in that module's place."""
        module, dot, _ = name.removeprefix("-").rpartition(".")
        if dot:
            self._add("hidden", module)
        self._policies.append(name)

    def _leave(self, name: str) -> None:
        """A policy ends, and those that it was left from within."""
        while self._policies and self._policies.pop() != name:
            pass

    def _ask(self, condition: str) -> None:
        self._condition = condition

    def _decide(self, condition: str, result: str) -> None:
        self._add("condition", condition, result)

    def _fail(self) -> None:
        self._add("condition", self._condition)

    def _return(self, module: str, result: str) -> None:
        self._add("module", module, result)

    def _choose(self, name: str) -> None:
        self.auth_type = name

    def _add(self, kind: Kind, text: str, result: str = "") -> None:
        policy = self._policies[-1] if self._policies else ""
        self.happenings.append(Happening(self._section, policy, kind, text, result))


FORMS: list[tuple[re.Pattern[str], Callable[..., None]]] = [
    (re.compile(form), take)
    for form, take in (
        (r"policy (\S+) \{", Transcript._enter),
        (r"\} # policy (\S+) = \w+", Transcript._leave),
        (r"(?:if|elsif) (\(.*\)) +\{", Transcript._ask),
        (r"(?:if|elsif) (\(.*\))  -> (TRUE|FALSE)", Transcript._decide),
        (re.escape(UNDECIDED), Transcript._fail),
        (r"\[([\w.-]+)\] = (\w+)", Transcript._return),
        (r"# Executing (?:section|group) .*", Transcript._execute),
        (r"([\w-]+(?: [\w-]+)?) \{", Transcript._open),
        (r"Found Auth-Type = (.+)", Transcript._choose),
        (r"Sent ([\w-]+) Id \d+ .*", Transcript._sent),
        (r"Finished request|Delaying response .*", Transcript._end),
    )
]
"""What a line may say (src/main/modcall.c, src/main/process.c), the first that fits, and what takes
it."""
