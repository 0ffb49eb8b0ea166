"""The servers that are compared: ours, and FreeRADIUS with less in it; all on loopback."""

from __future__ import annotations

import os
import re
import signal
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from radius_smsotp.model import code, pin
from radius_smsotp.model.records import Account, Counter
from radius_smsotp.settings import keyring
from tests.support.freeradius import READY_SECONDS, Radiusd, Site
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HOOKS = Path(__file__).parent
TICKS = os.sysconf("SC_CLK_TCK")
IDLE_SECONDS = 0.1

CLIENT = "local"
"""The short name of 127.0.0.1 in the clients.conf of `raddb.create`."""

NEVER = 1_000_000_000
LIMITS = dict.fromkeys(("per_account_hour", "per_number_hour", "per_client_hour", "per_day"), NEVER)
"""Limits that are looked at as always, and never reached."""

RECEIVE_BUFFER = "recv_buff = 1048576"
"""Octets: room for hundreds of requests at once.  What does not fit is lost, and none may be."""

HOOK_MODULE = """
python3 bench {{
	python_path = "{folder}"
	module = {module}
	config {{
		argument = "{argument}"
	}}
	mod_authenticate = ${{.module}}
	func_authenticate = authenticate
}}
"""
HOOK_SITE = """
server smsotp {
	authorize {
		update control {
			&Auth-Type := bench
		}
	}
	authenticate {
		Auth-Type bench {
			bench
		}
	}
}
"""
EMPTY_SITE = """
server smsotp {
	authorize {
		update control {
			&Auth-Type := Accept
		}
	}
}
"""


class Server:
    """
    A radiusd, from the start to the end of a `with` block.

    Args:
        folder: A new folder for everything.
        edit: Changes its raddb before the start; unchanged, it is ours.
        rounds: Of PIN hashes: so few that the hash is none of what is measured.
        beside: One that runs already, and shares its settings, key and store with this one.
        settings: Sections of smsotp.yaml.

    Attributes:
        port: Where it is asked.
        ready_after: Seconds that its start took.
    """

    def __init__(
        self,
        folder: Path,
        edit: Callable[[Path], None] | None = None,
        rounds: int = 1,
        beside: Server | None = None,
        **settings: Any,
    ) -> None:
        self._rounds = rounds
        if beside is None:
            folder.mkdir()
            self.site = Site(folder, limits=LIMITS, pin={"iterations": rounds}, **settings)
        else:
            self.site = beside.site
        self.ready_after = 0.0
        self.keys = keyring.read(self.site.folder / "key")
        raddb, self.port = self.site.make_raddb(folder.name)
        conf = raddb / "radiusd.conf"
        text = re.sub("(?m)^\tport = .*", rf"\g<0>\n\t{RECEIVE_BUFFER}", conf.read_text())
        conf.write_text(text)
        if edit:
            edit(raddb)
        self._radiusd = Radiusd(self.site, raddb, self.port)

    def __enter__(self) -> Self:
        began = time.perf_counter()
        with ExitStack() as stack:
            # Until it is ready, whatever happens ends it.
            stack.push(self)
            process = self._radiusd.run()
            while "Ready to process requests" not in self._radiusd.log():
                assert process.poll() is None, self._radiusd.log()
                assert time.perf_counter() - began < READY_SECONDS, self._radiusd.log()
                time.sleep(0.002)
            stack.pop_all()
        self.ready_after = time.perf_counter() - began
        return self

    def __exit__(self, *_: object) -> None:
        # One that hangs with its gateway does not end when it is asked to.
        self._radiusd.stop(signal.SIGKILL)
        self.site.close()

    def add(self, names: Sequence[str], prefix: str = "+49170") -> None:
        """Add accounts with a number each that begins so."""
        plain = pin.digest(PIN, os.urandom(pin.SALT_OCTETS), self._rounds)
        now = datetime.now(UTC)
        with self.site.store.write() as tx:
            for number, name in enumerate(names):
                pin_hash = self.keys.seal_pin(name, plain)
                tx.put_account(Account(name, f"{prefix}{number:07}", pin_hash), now)

    def live_through_a_day(self, name: str) -> None:
        """Count messages of an account in the last 24 hours: the limits look back so far."""
        now = datetime.now(UTC)
        with self.site.store.write() as tx:
            for minutes in range(5, 24 * 60, 5):
                tx.count_message(Counter(name, CLIENT), "", now - timedelta(minutes=minutes))

    def take_messages(self) -> int:
        """Remove the SMS that were sent.  Returns how many."""
        sent = list(self.site.outbox.glob("*.json"))
        for path in sent:
            path.unlink()
        return len(sent)

    def accepted(self, names: Sequence[str]) -> int:
        """How many logins of these accounts the audit trail has."""
        return sum(self.site.kinds(name).count("code-accepted") for name in names)

    def sent(self, names: Sequence[str]) -> int:
        """How many messages of these accounts were taken by a provider."""
        return sum(self.site.kinds(name).count("sms-accepted") for name in names)

    def code(self, state: bytes) -> bytes:
        """The code of a challenge, derived as the server does."""
        return code.derive(self.keys.secret, state.decode(), 6).encode()

    def cpu(self) -> float:
        """Seconds of CPU that it has spent, all threads together, in steps of 10 ms."""
        # proc(5): utime and stime are fields 14 and 15; the name in field 2 may hold blanks.
        fields = self._proc("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self) -> float:
        """Octets of it that are in memory now."""
        return 1024 * self._status("VmRSS")

    def threads(self) -> float:
        """How many threads it has now."""
        return self._status("Threads")

    def _status(self, field: str) -> float:
        found = re.search(rf"(?m)^{field}:\s+(\d+)", self._proc("status"))
        return float(found[1]) if found else 0.0

    def _proc(self, file: str) -> str:
        """What the kernel says of the process."""
        process = self._radiusd.process
        assert process is not None
        return Path(f"/proc/{process.pid}/{file}").read_text(encoding="ascii")

    def settle(self) -> None:
        """Wait until it has nothing left to do: until the messages, too, are sent."""
        spent, until = -1.0, time.monotonic() + 60
        while spent != self.cpu() and time.monotonic() < until:
            spent = self.cpu()
            time.sleep(IDLE_SECONDS)


def with_hook(module: str, argument: str = "") -> Callable[[Path], None]:
    """Edit a raddb: the python module `module` of this folder instead of ours."""

    def edit(raddb: Path) -> None:
        text = HOOK_MODULE.format(folder=HOOKS, module=module, argument=argument)
        without_module(raddb)
        (raddb / "mods-enabled" / "bench").write_text(text)
        (raddb / "sites-available" / "smsotp").write_text(HOOK_SITE)

    return edit


def without_module(raddb: Path) -> None:
    """Edit a raddb: no python module at all, and no Wi-Fi, which would need it."""
    for link in (*raddb.glob("mods-enabled/*_smsotp*"), *raddb.glob("sites-enabled/smsotp-*")):
        link.unlink()
    (raddb / "sites-available" / "smsotp").write_text(EMPTY_SITE)
