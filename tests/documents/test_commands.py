"""
Every command that a document, an example file or ``--help`` tells a reader to type works.

It is typed here at a shell (`support.typist`), as it stands there, on a machine where all of this
package is installed as the tutorial says; unless another test reads the section's commands from the
document and runs them (`taken`), or it cannot be tried here (`NOT_HERE`), which the page itself
has to say.  So a new command in a document is typed without anybody thinking of it.
"""

from __future__ import annotations

import ast
import functools
import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import click
import pytest

from radius_smsotp.cli import smsotp
from tests.documents import pages
from tests.documents.pages import PAGES, TOP, Command
from tests.documents.test_docs import COMMANDS
from tests.support.typist import BEFORE, Typist, install

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.package.machine import Machine

LONG = {
    "sh tests/run.sh",  # which runs this
    "sh tests/run.sh quick",
    "sh tests/run.sh tests/model",
    "sh tests/run.sh -s tests/documents/test_week.py",
    "sh tests/bench.sh",
    "sh tests/bench.sh privacyidea",
    "sh tests/races.sh",
    "sh tests/measure/cluster.sh",
    "sh tests/measure/cluster.sh --rate 4",
    "sh tests/measure/cluster.sh async-both",
    "sh tests/crash.sh",
    "sh tests/crash.sh 150 --store postgres",
    "sh tests/fuzz.sh",
    "sh tests/soak.sh",
    "sh tests/install.sh",
    "sh tests/jasmin.sh",
    "sh tests/container.sh",
    "sh docs/build.sh",
    "sh packaging/deb/build.sh trixie",
    "sh packaging/deb/test.sh trixie",
    "sh packaging/pypi.sh",
    "sh packaging/rpm/build.sh",
    "sh tests/freeradius/trixie.sh --run tests.freeradius.malformed 100000",
    "sh tests/freeradius/trixie.sh --run tests.measure.bench",
    "sh tests/freeradius/trixie.sh --run tests.measure.soak",
    "python -m tests.measure.guessing",
    "python -m tests.measure.noise",
}
"""Scripts that take longer than all tests may; what they start has a test that runs it in short."""


def taken() -> dict[str, str]:
    """Section to the test that runs its commands: a test that calls `pages.typed`."""
    found = {}
    for path in sorted((TOP / "tests").rglob("test_*.py")):
        if path.name == "test_commands.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for call in ast.walk(node):
                    if isinstance(call, ast.Call) and ast.unparse(call.func) == "pages.typed":
                        [section] = map(ast.literal_eval, call.args)
                        found[section] = f"{path.relative_to(TOP)}::{node.name}"
    return found


TAKEN = taken()
ALL = [one for page in PAGES for one in pages.commands(page)]
SECTIONS = list(dict.fromkeys((one.page, one.section) for one in ALL if not one.inline))

HEARD = "What arrives"
"""The section whose commands are typed while somebody logs in."""

MARK = ":Not tried here:"
NOT_HERE = {
    r"(config|/radius|/ppp|/interface|Add-VpnConnection) ": MARK,  # of other systems
    r"nmcli ": MARK,  # wants a Wi-Fi adapter
    r".*pip (download|install .*--no-index)\b": MARK,  # would fetch; wants what was fetched
    # Would fetch an image: the test builds that of the same Dockerfile on one of its own.
    r"docker compose up -d --build$": "``sh tests/container.sh`` builds the image",
    r"pip wheel ": "``sh packaging/pypi.sh`` does the same",  # asks PyPI
    r"sh tests/audit\.sh$": "asks PyPI, by pip-audit",  # whose answer changes from day to day
}
"""Commands that cannot run here, to what their section has to say because of that."""


def placeholder(text: str) -> bool:
    """Whether something has to be filled in, as NAME or +49…, that is no example of a value."""
    words = re.findall(r"(?<![\w$-])[A-Z][A-Z]+\b(?!=)", re.sub(r"'[^']*'|\"[^\"]*\"", "", text))
    return bool(words) or text.endswith("…") or "+49…" in text


def parsed(text: str) -> tuple[tuple[str, ...], list[str]] | None:
    """The command of ours and its arguments, None if it is none of ours."""
    words = shlex.split(text.replace("…", ""), comments=True)
    if words[0] != "smsotp":
        return None
    words = words[3:] if words[1] == "--config" else words[1:]
    for at in (2, 1):
        if tuple(words[:at]) in COMMANDS:
            return tuple(words[:at]), words[at:]
    groups = {path[0] for path in COMMANDS if len(path) == 2}
    assert words[0] in groups, f"there is no command '{text}'"
    assert len(words) == 1, f"there is no command '{text}'"
    return None


def is_whole(text: str) -> bool:
    """Whether it can be typed as it is, and is not only the name of a command."""
    if placeholder(text):
        return False
    if not text.startswith("smsotp "):
        return True
    found = parsed(text)
    if found is None:
        return False
    plain = list(found[1])
    for at, word in enumerate(plain):
        if word.startswith((">", "|", "&")):
            plain = plain[:at]
            break
    try:
        COMMANDS[found[0]].make_context("smsotp", plain)
    except click.BadParameter as error:  # a file that is not there, say, may come to be
        return not isinstance(error, click.MissingParameter)
    except click.UsageError:
        return False
    return True


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """All of this package on it, with alice and bob."""
    with install() as one:
        yield one


@pytest.fixture
def typist(machine: Machine) -> Typist:
    """On that machine, as if nobody had typed anything yet."""
    one = Typist(machine)
    one.start_again()
    return one


def run(typist: Typist, command: Command) -> None:
    """Type it, or see that its page says why it cannot be typed here."""
    mark = next((mark for like, mark in NOT_HERE.items() if re.match(like, command.text)), None)
    if mark:
        assert mark in pages.section(command.section)
    elif command.text in LONG:
        runs_in_short(command.text)
    else:
        if command.text in BEFORE:
            typist.machine.do(BEFORE[command.text])
        typist.type(command.text, command.shown)


def runs_in_short(command: str) -> None:
    """A shell can read the script, and tests import whatever it starts."""
    text = command
    if command.startswith("sh "):
        script = TOP / command.split()[1]
        subprocess.run(["/bin/sh", "-n", script], check=True)
        text = script.read_text("utf-8")
    started = re.findall(r"(?:-m|--run) (tests(?:\.\w+)+)", f"{command} {text}")
    # test_site.py reads the line with sphinx, test_packaging.py what builds packages.
    assert started or re.search("-m (pytest|sphinx)|packaging/", f"{command} {text}")
    for module in started:
        assert any(one == module or one.startswith(f"{module}.") for one in imports()), module
    for path in re.findall(r"tests/\w+\.py", text):
        assert (TOP / path).is_file(), path


@functools.cache
def imports() -> set[str]:
    """What the tests import, of all there is."""
    found = set()
    for path in (TOP / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize(
    ("page", "section"),
    [one for one in SECTIONS if one[1] not in {*TAKEN, HEARD}],
    ids=lambda one: one.replace(" ", "_"),
)
def test_the_commands_of_a_section_work(page: str, section: str, typist: Typist) -> None:
    """One after the other, as they stand there."""
    commands = [one for one in ALL if (one.page, one.section) == (page, section)]
    blocks = [one for one in commands if not one.inline]
    assert blocks
    typist.prepare(section, blocks)
    for one in blocks:
        run(typist, one)


STRANGERS = """
ip address replace 192.0.2.7/32 dev lo
ip address replace 192.0.2.9/32 dev lo
echo 'User-Name = alice, Packet-Src-IP-Address = 192.0.2.9' |
    radclient -r 1 -t 0.2 192.0.2.7 auth testing123 || :
echo 'User-Name = alice, Message-Authenticator = 0x00' |
    radclient -r 1 -t 0.2 127.0.0.1 auth another-secret || :
echo 'User-Name = alice, User-Password = 1234' | radclient 127.0.0.1 auth testing123 || :
"""
"""An address that is no client, another secret, and a login; the last one waits for its answer."""


def test_freeradius_says_what_its_page_looks_for(typist: Typist) -> None:
    """The words in the table below its commands are in what it writes, letter by letter."""
    [stop, listen] = [one for one in ALL if one.section == HEARD and not one.inline]
    words = re.findall(r"(?m)^   \* - .*?``([^`\n]* [^`\n]*)``", pages.section(HEARD))
    assert len(words) == 4
    typist.type(stop.text)

    def come() -> None:
        typist.listens("freeradius")
        typist.machine.do(STRANGERS)

    # Beside it: FreeRADIUS stops while nobody reads its screen.
    with ThreadPoolExecutor(1) as pool:
        others = pool.submit(come)
        _, told = typist.machine.type(listen.text, until="Sent Access-Challenge")
        others.result()
    for one in words:
        assert one in told, one


def examples(text: str) -> list[str]:
    """The commands of a help text, below "Examples:"."""
    found = re.split(r"(?m)^ *Examples?:\n", text)
    lines = found[1].splitlines() if len(found) > 1 else []
    return [re.split(r"\s{3,}", line.strip())[0] for line in lines if line.strip()]


def scattered() -> dict[str, list[Command]]:
    """Commands elsewhere than in blocks of pages, each text once, by where they stand."""
    typed = {one.text for one in ALL if not one.inline}
    found: dict[str, list[Command]] = {}
    context = click.Context(smsotp)
    helps = [("smsotp", smsotp.help or "")]
    for name in smsotp.list_commands(context):
        helps.append((name, (smsotp.get_command(context, name) or smsotp).help or ""))
    helps += [(" ".join(path), command.help or "") for path, command in COMMANDS.items()]
    more = [Command("--help", name, one) for name, text in helps for one in examples(text)]
    shown = (TOP / "freeradius/smsotp.yaml").read_text("utf-8")
    more += [
        Command("smsotp.yaml", "", " ".join(one.split()), inline=True)
        for one in re.findall(r"(?m)^# {3}(smsotp .+?)(?: {3,}.*)?$|'(smsotp [^']+)'", shown)
        for one in one
        if one
    ]
    for one in [one for one in ALL if one.inline] + more:
        if one.text not in typed:
            typed.add(one.text)
            found.setdefault(one.page, []).append(one)
    return found


SCATTERED = scattered()


@pytest.mark.parametrize("page", SCATTERED)
def test_the_commands_within_sentences_and_help_work(page: str, typist: Typist) -> None:
    """Those that are whole are typed; of the others, names and options are right."""
    for one in SCATTERED[page]:
        if is_whole(one.text):
            typist.start_again()
            typist.prepare("", [one])
            run(typist, one)
    for one in SCATTERED[page]:
        if found := parsed(one.text):
            options = {name for param in COMMANDS[found[0]].params for name in param.opts}
            used = {word.partition("=")[0] for word in found[1] if word.startswith("--")}
            assert used <= options | {"--help"}, one


PAGE = """
What to type
------------

Type this::

    first --now
    # no command
    second one \\
        two

A session::

    $ third
    what it shows
    # smsotp fourth

.. code-block:: shell

    fifth   # and why

.. code-block:: text

    [section]
    sed sixth

``some/file``::

    not a command

.. code-block:: yaml

    nor: this

Then ``smsotp seventh
--option`` and ``smsotp`` and ``a literal``.
"""


def test_a_command_is_seen_wherever_it_stands() -> None:
    """Also one that nobody has heard of."""
    found = pages.read("page.rst", PAGE)
    assert [one.text for one in found] == [
        "first --now",
        "second one two",
        "third",
        "smsotp fourth",
        "fifth",
        "sed sixth",
        "smsotp seventh --option",
    ]
    assert [one.inline for one in found] == [False] * 6 + [True]
    assert found[2].shown == "what it shows"
    assert {one.section for one in found} == {"What to type"}


def test_a_command_that_does_not_end_as_the_page_shows_is_noticed(typist: Typist) -> None:
    for command, shown in (
        ("smsotp user show nobody", ""),
        ("smsotp user show alice", "1 error"),
        ("smsotp no-such-command", ""),
        ("smsotp user list --no-such-option", ""),
    ):
        with pytest.raises(AssertionError, match=re.escape(command)):
            typist.type(command, shown)


@pytest.mark.parametrize("section", TAKEN, ids=lambda one: one.replace(" ", "_"))
def test_a_section_that_another_test_runs_is_there(section: str) -> None:
    """With the name by which that test asks for it."""
    assert pages.typed(section)
