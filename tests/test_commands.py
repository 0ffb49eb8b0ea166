"""
Every command that a document, an example file or ``--help`` tells a reader to type works.

It is typed here at a shell (`tests.machine`), as it stands there, on a machine where all of this
package is installed as README says; unless another test reads the section's commands from the
document and runs them (`taken`), or it cannot be tried here (`NOT_HERE`), which the page itself
has to say.  So a new command in a document is typed without anybody thinking of it.
"""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from typing import TYPE_CHECKING

import click
import pytest

from radius_smsotp.cli import smsotp
from tests import documents
from tests.documents import PAGES, TOP, Command
from tests.machine import PATH, SYSTEMCTL, Machine
from tests.radius.site import eventually
from tests.test_docs import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterator

PIN = "1234"

SETTINGS = """
store: sqlite:///smsotp.db
pin: {iterations: 10000}
delivery: {order: [backup, clickatell]}
providers:
  backup: {type: folder, path: outbox}
  clickatell: {type: http, url: "http://127.0.0.1:9/send?to={phone}&text={message}"}
  gateway: {type: folder, path: outbox}
  page: {type: folder, path: outbox}
clients:
  10.1.0.0/16: {country: DE, ssids: {Guests: {style: reject}}}
"""

BASE = r"""
ln -sfn {top}/.venv /opt/radius-smsotp
ln -sf /opt/radius-smsotp/bin/smsotp /usr/local/bin/
echo "127.0.0.1 radius.example.org radius localhost db" >/etc/hosts
cat {top}/setup.py {top}/pyproject.toml >{top}/.venv/installed
smsotp init /etc/radius-smsotp
echo {pin} | smsotp user add alice --phone +491701234567 --pin-stdin
smsotp user add bob --phone +491707654321 --no-pin
cat >>/etc/radius-smsotp/key <<END
k20260301-77e1b0d4 $(openssl rand -hex 32)
END
cat >/etc/radius-smsotp/smsotp.yaml
smsotp raddb install
sed -i 's/^client localhost {{/&\n\tvirtual_server = smsotp/' /etc/freeradius/3.0/clients.conf
mkdir -p /base /srv/work /usr/local/share/zsh/site-functions /root/.config/fish/completions \
    /etc/bash_completion.d /var/www/html
smsotp init /base/site
cp -a /etc/radius-smsotp /etc/freeradius /base
"""
"""What README's first hour leaves behind; its commands are those of `tests/test_install.py`."""

AGAIN = """
systemctl stop freeradius
rm -rf /etc/radius-smsotp /etc/freeradius /srv/work
cp -a /base/radius-smsotp /base/freeradius /etc/
mkdir /srv/work
cp -a /base/site /srv/work
"""

STAFF = "name,phone,pin\ncarol,+491701112223,1470\n"

POSTGRES = """
[ ! -e /var/lib/postgresql/typed/postmaster.pid ] ||
    kill -QUIT "$(head -n 1 /var/lib/postgresql/typed/postmaster.pid)"
rm -rf /var/lib/postgresql/typed
install -d -o postgres -g postgres /var/lib/postgresql /run/postgresql
cd /
[ -e /var/lib/postgresql/new ] ||
    runuser -u postgres -- /usr/lib/postgresql/*/bin/initdb -N -A trust /var/lib/postgresql/new
cp -a /var/lib/postgresql/new /var/lib/postgresql/typed
runuser -u postgres -- /usr/lib/postgresql/*/bin/pg_ctl -D /var/lib/postgresql/typed -w \\
    -o "-c fsync=off" -l /var/lib/postgresql/typed.log start >/dev/null
"""

SHARED = f"""{POSTGRES}
runuser -u postgres -- createuser smsotp
runuser -u postgres -- createdb --owner smsotp smsotp
"""

PAST = f"""{TOP}/.venv/bin/python - <<END
from datetime import UTC, datetime, timedelta
from radius_smsotp.core.model import Device, Event
from radius_smsotp.store import open_store
now = datetime.now(UTC)
login = "0b9f3e0c5d7a4f16a2c84d9e6b1f7a30"
with open_store("sqlite:////etc/radius-smsotp/smsotp.db").write() as tx:
    for number in (1, 7):
        tx.remember_device(Device("alice", client="wifi", ssid="Office Wi-Fi",
            station=f"02-00-00-00-00-0{{number}}", number_tag="tag", expires_at=now + timedelta(1)))
    tx.add_event(Event("code-accepted", now, account="alice", transaction_id=login))
END"""

CALLED = "sed -i '/virtual_server = smsotp$/d' /etc/freeradius/3.0/clients.conf"
EXTERNAL = "sed -i 's/^delivery: {/&courier: external, /' /etc/radius-smsotp/smsotp.yaml"

BEFORE = {
    "smsotp user": "smsotp user delete alice --yes",
    "smsotp courier": EXTERNAL,
    "smsotp store": SHARED,
    "Stores": POSTGRES,
    "smsotp user devices alice": PAST,
    "smsotp user devices alice --forget 02:00:00:00:00:01": PAST,
    "smsotp trace 0b9f3e0c5d7a4f16a2c84d9e6b1f7a30 --json": PAST,
    "smsotp trace dave": "systemctl restart freeradius\n"
    "! echo 1234 | smsotp login dave --secret testing123",
    "smsotp raddb uninstall": CALLED,
    "smsotp raddb uninstall --purge": CALLED,
    "openssl rand -hex 4 | smsotp user add bob --phone +491707654321 --pin-stdin": "smsotp "
    "user delete bob --yes",
    "smsotp init /etc/radius-smsotp --store postgresql://smsotp@db/smsotp": SHARED
    + "rm -r /etc/radius-smsotp",
    "smsotp store copy sqlite:////srv/smsotp.db sqlite:////root/backup.db": "cp "
    "/etc/radius-smsotp/smsotp.db /srv",
    "smsotp store copy sqlite:////srv/smsotp.db postgresql://smsotp@db/smsotp": SHARED
    + "cp /etc/radius-smsotp/smsotp.db /srv",
    "smsotp exporter --listen 192.0.2.7:9812": "ip address add 192.0.2.7/32 dev lo",
}
"""What has to have happened before the commands of a section, or before one of them."""

ENDLESS = {
    r"smsotp gateway": r"Open http://\S+ in a browser",
    r"smsotp exporter": r"/metrics answers",
    r"smsotp courier$": r"has started",
    r"trace \S+ --follow": r"\n",
    r"freeradius -X$": r"Ready to process requests",
    r"smsotp demo --keep": r"Ctrl-C",
    r"demo\.sh --keep": r"Ctrl-C",
}
"""Commands that go on until Ctrl-C, to what they show when they work."""

SILENT = {r"freeradius -f": "freeradius"}
"""Commands that do, and show nothing: to the program that has a UDP port when they work."""

LONG = {
    "sh tests/run.sh",  # which runs this
    "sh tests/run.sh tests/core",
    "sh tests/bench.sh",
    "sh tests/races.sh",
    "sh tests/crash.sh",
    "sh tests/fuzz.sh",
    "sh tests/soak.sh",
    "sh tests/install.sh",
    "sh tests/container.sh",
    "python -m tests.guessing",
}
"""Scripts that take longer than all tests may; what they start has a test that runs it in short."""


def taken() -> dict[tuple[str, str], str]:
    """Page and section to the test that runs its commands: a test that calls `documents.typed`."""
    found = {}
    for path in sorted((TOP / "tests").rglob("test_*.py")):
        if path.name == "test_commands.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for call in ast.walk(node):
                    if isinstance(call, ast.Call) and ast.unparse(call.func) == "documents.typed":
                        page, section = map(ast.literal_eval, call.args)
                        found[page, section] = f"{path.relative_to(TOP)}::{node.name}"
    return found


TAKEN = taken()
ALL = [one for page in PAGES for one in documents.commands(page)]
SECTIONS = list(dict.fromkeys((one.page, one.section) for one in ALL if not one.inline))

MARK = ":Not tried here:"
NOT_HERE = {
    r"(config|/radius|/ppp|/interface|Add-VpnConnection) ": MARK,  # of other systems
    r"nmcli ": MARK,  # wants a Wi-Fi adapter
    # Would fetch an image: the test builds that of the same Dockerfile on one of its own.
    r"docker compose up -d --build$": "``sh tests/container.sh`` builds the image",
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


def fails(shown: str) -> bool:
    """Whether the document shows that a command does not end well."""
    bad = (
        r"^smsotp: \d+ faulty",
        r"^\d+ errors?\b",
        r": unavailable after",
        r"^Received Access-Challenge ",  # which is not what radtest hopes for
    )
    return any(re.search(one, shown, re.MULTILINE) for one in bad)


class Typist:
    """Somebody who types what a page says, and answers what is asked for."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.known: set[str] = set()
        self.state = ""

    def messages(self) -> set[str]:
        """The files that the provider has written."""
        return set(self.machine.do("find /etc/radius-smsotp/outbox -name '*.json' || :").split())

    def code(self) -> str:
        """The code of the message that has come since the login began."""
        [new] = eventually(lambda: self.messages() - self.known)
        found: str = re.findall(r'"text": "(\d{6}) ', self.machine.do(f"cat {new}"))[0]
        return found

    def fill_in(self, text: str) -> str:
        """The values of this moment in the place of the page's examples."""
        if "482913" in text:
            text = text.replace("482913", self.code()).replace("0x3766…", self.state)
        return text

    def listens(self, program: str) -> None:
        """Wait until a program has a UDP port."""
        looking = f"for _ in $(seq 100); do ! ss -Hlunp | grep -q '\"{program}\"' || exit 0"
        self.machine.do(f"{looking}; sleep 0.1; done; exit 1")

    def type(self, command: str, shown: str = "") -> None:
        """Type it; it must end as the page shows."""
        if re.search(r"smsotp login|radtest", command):
            self.known = self.messages()
        text = self.fill_in(command)
        there = re.search(r"\b(sh (tests|freeradius)/|python -m tests|pip install)", text)
        until = next((end for like, end in ENDLESS.items() if re.search(like, text)), "")
        answers = {
            "PIN: ": lambda: PIN,
            "The same PIN again: ": lambda: PIN,
            "assword: ": lambda: PIN,
            "sent to ***67: ": self.code,
        }
        self.machine.type(f"cd {TOP if there else '/srv/work'}")
        silent = next((name for like, name in SILENT.items() if re.match(like, text)), "")
        if silent:
            status, told = self.machine.type(text, ready=lambda: self.listens(silent))
        else:
            status, told = self.machine.type(text, answers, until)
        assert until or silent or (status != 0) == fails(shown), f"{command}: {status}\n{told}"
        if found := re.search(r"State = (0x\w+)", told):
            self.state = found[1]


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """All of this package on it, as README's first hour leaves it, with alice and bob."""
    offline = {
        "PATH": f"{PATH}:/opt/radius-smsotp/bin",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_ROOT_USER_ACTION": "ignore",
    }
    with Machine(TOP, **offline) as one:
        shim = "/usr/local/bin/systemctl"
        one.do(f"cat >{shim} <<'END'\n{SYSTEMCTL}END\nchmod +x {shim}")
        settings = f"\ncat >/etc/radius-smsotp/smsotp.yaml <<'END'\n{SETTINGS}END\n"
        base = BASE.format(top=TOP, pin=PIN)
        one.do(base.replace("\ncat >/etc/radius-smsotp/smsotp.yaml\n", settings))
        yield one


@pytest.fixture
def typist(machine: Machine) -> Typist:
    """On that machine, as if nobody had typed anything yet."""
    machine.do(AGAIN)
    machine.type("unset SMSOTP_CONFIG")
    return Typist(machine)


def prepare(typist: Typist, section: str, commands: list[Command]) -> None:
    """What the reader of a section has done or got before."""
    for one in commands:
        if one.text == "cat staff.csv":
            content = one.shown
            break
    else:
        content = STAFF.strip()
    script = f"cat >/srv/work/staff.csv <<'END'\n{content}\nEND\n{BEFORE.get(section, '')}\n"
    if any(re.search(r"login |radtest", one.text) for one in commands):
        script += "systemctl restart freeradius\n"
    typist.machine.do(script)


def run(typist: Typist, command: Command) -> None:
    """Type it, or see that its page says why it cannot be typed here."""
    mark = next((mark for like, mark in NOT_HERE.items() if re.match(like, command.text)), None)
    if mark:
        assert mark in dict(documents.sections(command.page))[command.section]
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
    started = re.findall(r"-m (tests(?:\.\w+)+)", text)
    assert started or "-m pytest" in text
    for module in started:
        assert any(one == module or one.startswith(f"{module}.") for one in imports()), module
    for path in re.findall(r"tests/\w+\.py", text):
        assert (TOP / path).is_file(), path


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
    [one for one in SECTIONS if one not in TAKEN],
    ids=lambda one: one.replace(" ", "_"),
)
def test_the_commands_of_a_section_work(page: str, section: str, typist: Typist) -> None:
    """One after the other, as they stand there."""
    commands = [one for one in ALL if (one.page, one.section) == (page, section)]
    blocks = [one for one in commands if not one.inline]
    assert blocks
    prepare(typist, section, blocks)
    for one in blocks:
        run(typist, one)


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
            typist.machine.do(AGAIN)
            prepare(typist, "", [one])
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
    found = documents.read("page.rst", PAGE)
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


@pytest.mark.parametrize(("page", "section"), TAKEN, ids=lambda one: one.replace(" ", "_"))
def test_a_section_that_another_test_runs_is_there(page: str, section: str) -> None:
    """With the name by which that test asks for it."""
    assert documents.typed(page, section)
