"""
A week at the helpdesk, as its page tells it: its commands, on two servers, with real logins.

What each command prints is compared with the page, but for times, codes and what chance has made.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from typing import TYPE_CHECKING

import pytest

from tests.documents import pages
from tests.support.shown import agrees
from tests.support.site import eventually
from tests.support.typist import DATABASE, fails, prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.documents.pages import Command

pytestmark = pytest.mark.server

NEW_PIN, PASSPHRASE = "7531", "correct horse battery staple"

OUTBOX = "/etc/radius-smsotp/outbox"
"""Where the provider writes messages that `smsotp init` has set up."""


class Server:
    """
    One with FreeRADIUS, its terminal, and people who log in there.

    Attributes:
        pins: What they type first.
        told: The emergency code that the helpdesk has made last.
    """

    def __init__(self, pins: dict[str, str]) -> None:
        self.machine = prepare()
        self.machine.type("cd; export NO_COLOR=1")
        self.pins = pins
        self.told = ""

    def play(self, commands: list[str], then: Callable[[str], object] = lambda line: None) -> None:
        """
        Type the commands of a section of the page.

        Args:
            then: Is called with each when it has been typed.
        """
        every = (one for page in pages.PAGES for one in pages.commands(page))
        of = itertools.groupby(every, lambda one: one.section)
        blocks = ([one for one in part if not one.inline] for _, part in of)
        [section] = [block for block in blocks if [one.text for one in block] == commands]
        for one in section:
            self._type(one)
            then(one.text)

    def _type(self, command: Command) -> None:
        if command.text.startswith("cat "):
            name = command.text.split()[1]
            self.machine.do(f"cat >/root/{name} <<'END'\n{command.shown}\nEND\n")
        answers = dict.fromkeys(("PIN: ", "PIN again: "), lambda: NEW_PIN)
        answers |= dict.fromkeys(("Passphrase: ", "passphrase again: "), lambda: PASSPHRASE)
        known = self.messages()
        answers["sent to ***67: "] = lambda: self.sent(known)
        status, told = self.machine.type(command.text, answers)
        print(f"\n# {command.text}\n{told}", end="")
        assert (status != 0) == fails(command.shown), told
        assert agrees(command.shown, told), told
        for code in re.findall(r"\b\d{5} \d{5}\b", told):
            self.told = code.replace(" ", "")

    def begin(self, name: str) -> tuple[str, set[str]]:
        """The first step of a login, by the PIN.  Returns its State, and the messages of before."""
        known = self.messages()
        told = self._ask(f"User-Name={name},User-Password={self.pins[name]}")
        assert "emergency codes" in told or "sent to ***" in told
        return re.findall(r"State = (0x\w+)", told)[0], known

    def finish(self, name: str, state: str, code: str) -> None:
        """The second step."""
        told = self._ask(f"User-Name={name},User-Password={code},State={state}")
        assert "Received Access-Accept" in told

    def log_in(self, name: str) -> None:
        """Both, with the code of the SMS."""
        state, known = self.begin(name)
        self.finish(name, state, self.sent(known))

    def refuse(self, name: str) -> None:
        """Somebody does not get in, with the PIN they have."""
        told = self._ask(f"User-Name={name},User-Password={self.pins[name]}")
        assert "Received Access-Reject" in told

    def messages(self) -> set[str]:
        return set(self.machine.do(f"find {OUTBOX} -name '*.json' || :").split())

    def sent(self, known: set[str]) -> str:
        """The code of the message that has come since."""
        # A provider that has failed is tried again after a pause that doubles.
        [new] = eventually(lambda: self.messages() - known, 180)
        found: str = re.findall(r'"text": "(\d{6}) ', self.machine.do(f"cat {new}"))[0]
        return found

    def guess(self, name: str) -> None:
        """Somebody does not remember the PIN, and tries until it is locked."""
        tries = f"User-Name={name},User-Password=0000\n\n" * 10
        self.machine.do(f"! radclient -p 10 localhost auth testing123 <<'END'\n{tries}END\n")

    def _ask(self, attributes: str) -> str:
        """Send a request as a VPN concentrator does.  Returns what is shown of it and its reply."""
        return self.machine.do(f"echo '{attributes}' | radclient -x localhost auth testing123 || :")


LET_IN = """
echo host all all 10.9.0.0/24 trust >>/var/lib/postgresql/typed/pg_hba.conf
runuser -u postgres -- psql -q -c 'SELECT pg_reload_conf()'
"""


@pytest.fixture
def servers() -> Iterator[tuple[Server, Server]]:
    """Two of Debian with FreeRADIUS and this program, on one network, and nothing set up."""
    with contextlib.ExitStack() as stack:
        pins = {"anna": "2580", "ben": "1597", "carl": "8642", "dora": "3691"}
        both = []
        for _ in range(2):
            server = Server(pins)
            stack.callback(server.machine.close)
            server.machine.do("sed -i 's/ db$//' /etc/hosts; echo 10.9.0.1 db >>/etc/hosts")
            both.append(server)
        one, other = both
        other.machine.do("hostname radius2")
        one.machine.connect(other.machine, "10.9.0.1/24", "10.9.0.2/24")
        yield one, other


def test_a_week_at_the_helpdesk(servers: tuple[Server, Server]) -> None:
    """From nothing: the lines of the first hour that need no network, then those of each day."""
    server, second = servers
    pins = server.pins
    for line in pages.typed("Add it to the FreeRADIUS you run"):
        if line.startswith(("smsotp ", "sed ")):
            assert server.machine.type(line)[0] == 0

    server.play(pages.typed("Monday: who is here"))
    for name in pins:
        server.log_in(name)

    def anna(line: str) -> None:
        if line.startswith("smsotp user code "):
            server.finish("anna", server.begin("anna")[0], server.told)
        elif line.startswith("smsotp user codes"):
            server.log_in("anna")

    server.play(pages.typed('Tuesday: "I have lost my phone"'), anna)
    server.log_in("ben")

    server.guess("carl")
    server.refuse("carl")
    server.play(pages.typed('Wednesday: "It does not let me in"'))
    pins["carl"] = NEW_PIN
    server.log_in("carl")

    known = server.messages()
    server.machine.do(f"mv {OUTBOX} {OUTBOX}.away && touch {OUTBOX}")
    state, _ = server.begin("dora")
    server.play(pages.typed('Thursday: "Nobody gets an SMS"'))
    server.machine.do(f"rm {OUTBOX} && mv {OUTBOX}.away {OUTBOX}")
    server.finish("dora", state, server.sent(known))

    server.play(pages.typed("Friday: somebody leaves"))
    server.refuse("dora")
    server.log_in("ben")

    server.machine.do(DATABASE + LET_IN)
    server.play(pages.typed("Saturday: a backup"))
    sealed = server.machine.do("base64 /root/smsotp.backup")
    second.machine.do(f"base64 -d >/root/smsotp.backup <<'END'\n{sealed}END\n")
    second.play(pages.typed("Sunday: a second server"))
    state, known = server.begin("anna")
    second.finish("anna", state, server.sent(known))
    state, known = second.begin("carl")
    server.finish("carl", state, second.sent(known))
    second.refuse("dora")
