"""The servers that are compared: ours, and FreeRADIUS with less in it, all on loopback."""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radius_smsotp import keyring
from radius_smsotp.core import code, pin
from radius_smsotp.core.model import Account
from tests.radius.site import PIN, READY_SECONDS, Radiusd, Site

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

HOOKS = Path(__file__).parent
TICKS = os.sysconf("SC_CLK_TCK")
IDLE_SECONDS = 0.1

NEVER = 1_000_000_000
LIMITS = {
    name: NEVER for name in ("per_account_hour", "per_number_hour", "per_client_hour", "per_day")
}
"""Limits that are looked at as always, and never reached."""

BUFFER = "\trecv_buff = 1048576"
"""Room for 256 requests at once: what does not fit into Linux's default is lost."""

HOOK_MODULE = """
python3 bench {{
	python_path = "{hooks}"
	module = {module}
	config {{
		gateway = "{gateway}"
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
BARE_SITE = """
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
    One radiusd, ended with the `with` block.

    Args:
        folder: A new folder for everything.
        edit: Changes the raddb before the start.
        settings: Sections of smsotp.yaml.
    """

    def __init__(
        self, folder: Path, edit: Callable[[Path], None] | None = None, **settings: Any
    ) -> None:
        folder.mkdir()
        self.site = Site(folder, limits=LIMITS, **settings)
        self.key = keyring.read(folder / "key").secret
        raddb, self.port = self.site.make_raddb()
        conf = raddb / "radiusd.conf"
        conf.write_text(conf.read_text().replace(f"port = {self.port}", f"port = {self.port}\n{BUFFER}"))
        if edit:
            edit(raddb)
        self._radiusd = Radiusd(self.site, raddb, self.port)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: TracebackType | object) -> None:
        # One that waits for a hanging gateway does not end when it is asked to.
        self._radiusd.stop(signal.SIGKILL)
        self.site.close()

    def start(self) -> float:
        """Start it.  Returns the seconds until it was ready."""
        began = time.perf_counter()
        process = self._radiusd.run()
        while "Ready to process requests" not in self._radiusd.log():
            if process.poll() is not None or time.perf_counter() - began > READY_SECONDS:
                raise RuntimeError(f"radiusd did not start:\n{self._radiusd.log()}")
            time.sleep(0.002)
        return time.perf_counter() - began

    def add(self, names: Sequence[str], rounds: int) -> None:
        """Add accounts with the PIN of the bench, hashed with so many rounds, and a number each."""
        pin_hash = pin.digest(PIN, os.urandom(pin.SALT_OCTETS), rounds)
        with self.site.store.write() as tx:
            for number, name in enumerate(names):
                phone = f"+49170{number:07}"
                tx.put_account(Account(name, phone, pin_hash), datetime.now(UTC))

    def code(self, state: bytes) -> bytes:
        """The code of a challenge, as the server derives it."""
        return code.derive(self.key, state.decode(), 6).encode()

    def cpu(self) -> float:
        """Seconds of CPU that radiusd has spent, all threads together, to 10 ms."""
        assert self._radiusd.process is not None
        stat = Path(f"/proc/{self._radiusd.process.pid}/stat").read_text(encoding="ascii")
        # proc(5): utime and stime are fields 14 and 15; the name before them may hold blanks.
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def idle(self) -> None:
        """Wait until it has nothing left to do, such as messages to send."""
        spent, until = -1.0, time.monotonic() + 60
        while spent != self.cpu() and time.monotonic() < until:
            spent = self.cpu()
            time.sleep(IDLE_SECONDS)
