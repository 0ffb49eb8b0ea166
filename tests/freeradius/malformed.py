"""
Packets that no client would send, thrown at a running FreeRADIUS.

    python -m tests.freeradius.malformed [PACKETS]      100,000 unless said otherwise

Some are noise, most are signed with the right secret and get past the server's own checks: right
in form and wrong in content, or right but for a few octets.  None of them knows a code.
"""

from __future__ import annotations

import hmac
import os
import random
import socket
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.freeradius import Site
from tests.support.radius import (
    ACCEPT,
    HEADER,
    MESSAGE_AUTHENTICATOR,
    SECRET,
    STATE,
    USER_NAME,
    USER_PASSWORD,
    hidden,
)
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.freeradius import Radiusd

KEY = SECRET.encode()

STATUS_SERVER = b"\x0c"

WINDOW = 16
"""Packets that are out at once, so that none is lost for want of room."""

SILENCE = 0.05
"""Seconds to wait for replies of a full window: most of these packets get none."""

NAMES = (b"alice", b"bob", b"Bob", b"nobody", b"alice\0", b"%{User-Name}", b"\xff\xfe", b"a" * 253)
TEXTS = (
    PIN.encode(),
    b"r",
    b"\0",
    b"alice\0",
    b"\xff\xfe",
    b"%{User-Name}",
    b"${confdir}",
    b"'; DROP TABLE account; --",
    b"\r\nAuth-Type := Accept",
    b"a" * 253,
    b"000000",
    PIN.encode() + b"000000",
    "ﬀ\u202e\u0000".encode(),
)
ATTRIBUTES = (1, 1, 2, 2, 3, 4, 18, 24, 26, 30, 31, 32, 33, 60, 79, 79, 80, 95, 241, 255)


class Forge:
    """
    Makes them, the same ones for the same seed.

    Attributes:
        states: `State` of challenges that are open.
    """

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self.states: list[bytes] = []

    def packet(self) -> bytes:
        """One packet, of any kind but Status-Server (RFC 5997), whose answer is Access-Accept."""
        while (packet := self._packet())[:1] == STATUS_SERVER:
            pass
        return packet

    def _packet(self) -> bytes:
        kind = self._dice.random()
        if kind < 0.05:
            return self._dice.randbytes(self._dice.randrange(0, 600))
        if kind < 0.4:
            return self._signed(self._login())
        if kind < 0.8:
            return self._signed([self._attribute() for _ in range(self._dice.randrange(12))])
        return self._bent(self._signed(self._login()))

    def _login(self) -> list[tuple[int, bytes]]:
        """A login that is right in form: a name, a password, mostly a `State`."""
        dice = self._dice
        name = dice.choice((*NAMES, dice.randbytes(20)))
        password = dice.choice((*TEXTS, dice.randbytes(dice.randrange(128))))
        pairs = [(USER_NAME, name), (USER_PASSWORD, password[:128])]
        if self.states and dice.random() < 0.5:
            pairs.append((STATE, dice.choice(self.states)))
        elif dice.random() < 0.5:
            pairs.append((STATE, dice.choice((os.urandom(16).hex().encode(), dice.randbytes(32)))))
        if dice.random() < 0.3:
            pairs.insert(dice.randrange(len(pairs)), self._attribute())
        return pairs

    def _attribute(self) -> tuple[int, bytes]:
        dice = self._dice
        number = dice.choice((*ATTRIBUTES, dice.randrange(256)))
        if number == USER_NAME:
            return (number, dice.choice(NAMES))
        value = dice.choice((dice.choice(TEXTS), dice.randbytes(dice.randrange(254))))
        if number != USER_PASSWORD:
            # A station of that name would be one in the audit trail, and no leak.
            value = value.replace(PIN.encode(), b"4321")
        return (number, value[:253])

    def _signed(self, pairs: list[tuple[int, bytes]]) -> bytes:
        """An Access-Request, or now and then something else, signed over whatever is in it."""
        dice = self._dice
        code = dice.choices((1, 4, 40, dice.randrange(256)), (92, 2, 2, 4))[0]
        authenticator = dice.randbytes(16)
        body = bytearray((MESSAGE_AUTHENTICATOR, 18)) + bytes(16)
        for number, value in pairs:
            sent = value
            if number == USER_PASSWORD and dice.random() < 0.9:
                sent = hidden(KEY, authenticator, value[:128])
            body += bytes((number, len(sent) + 2)) + sent
        length = HEADER.size + len(body)
        packet = bytearray(HEADER.pack(code, dice.randrange(256), length, authenticator) + body)
        place = HEADER.size + 2
        packet[place : place + 16] = hmac.digest(KEY, bytes(packet), "md5")
        return bytes(packet)

    def _bent(self, packet: bytes) -> bytes:
        """The same with octets changed, cut off, or added, and half of the time signed again."""
        dice, bent = self._dice, bytearray(packet)
        for _ in range(dice.randrange(1, 4)):
            bent[dice.randrange(len(bent))] = dice.randrange(256)
        if dice.random() < 0.3:
            bent = bent[: dice.randrange(len(bent))]
        elif dice.random() < 0.3:
            bent += dice.randbytes(dice.randrange(100))
        place = HEADER.size + 2
        if dice.random() < 0.5 and len(bent) >= place + 16:
            bent[2:4] = len(bent).to_bytes(2, "big")
            bent[HEADER.size : place] = bytes((MESSAGE_AUTHENTICATOR, 18))
            bent[place : place + 16] = bytes(16)
            bent[place : place + 16] = hmac.digest(KEY, bytes(bent), "md5")
        return bytes(bent)


@dataclass
class Outcome:
    """
    What came of it.

    Attributes:
        replies: Code of a reply to how often it came.
        memory: Resident memory of radiusd, KiB, at ten moments, the first one after a tenth.
    """

    sent: int = 0
    seconds: float = 0.0
    replies: dict[int, int] = field(default_factory=dict)
    memory: list[int] = field(default_factory=list)


def throw(radiusd: Radiusd, count: int, said: Callable[[str], object] = lambda _: None) -> Outcome:
    """
    Send so many packets, and read what comes back.

    Raises:
        AssertionError: Something was accepted, or the server has ended.
    """
    forge, outcome = Forge(2865), Outcome()
    forge.states = [reply.state for reply in [radiusd.challenge()] if reply.state]
    process = radiusd.process
    assert process is not None
    began = time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.connect(("127.0.0.1", radiusd.port))
        line.settimeout(SILENCE)
        for number in range(1, count + 1):
            line.send(forge.packet())
            outcome.sent += 1
            if number % WINDOW == 0:
                _read(line, forge, outcome)
            if number % (count // 10) == 0:
                assert process.poll() is None, radiusd.log()[-3000:]
                outcome.memory.append(resident(process.pid))
                said(f"{number:,} packets, {outcome.memory[-1]:,} KiB")
    outcome.seconds = time.monotonic() - began
    return outcome


def _read(line: socket.socket, forge: Forge, outcome: Outcome) -> None:
    """Read replies, at most one for each packet of the window."""
    for _ in range(WINDOW):
        try:
            reply = line.recv(4096)
        except TimeoutError:
            return
        assert reply[0] != ACCEPT, "something was accepted"
        outcome.replies[reply[0]] = outcome.replies.get(reply[0], 0) + 1
        place = HEADER.size
        while place < len(reply):
            if reply[place] == STATE:
                value = reply[place + 2 : place + reply[place + 1]]
                forge.states = [*forge.states[-15:], value]
            place += reply[place + 1]


def resident(pid: int) -> int:
    """Resident memory of a process, KiB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    return int(status.split("VmRSS:")[1].split()[0])


def complaints(radiusd: Radiusd) -> list[str]:
    """
    Lines of its log that tell of an exception in our code, or of worse.

    rlm_python3 itself complains of an attribute that is not UTF-8, and fails the call before
    any of our code runs; the policy spares it those that users and NAS choose.
    """
    signs = ("Traceback", "Exception type", " failed: ", "ASSERT", "Segmentation", "Unknown error")
    lines = [line for line in radiusd.log().splitlines() if any(sign in line for sign in signs)]
    return [line for line in lines if "UnicodeDecodeError" not in line]


def site(folder: Path) -> Site:
    """A site that never locks out, and whose codes nobody guesses by chance."""
    lenient = {"per_account_hour": 0, "per_number_hour": 0, "cooldown": 0, "per_day": 2000}
    made = Site(
        folder,
        code={"digits": 9, "guesses": 10},
        lockout={"failures": 1_000_000},
        limits=lenient,
        delivery={"wait": 0},
        pin={"iterations": 1},
    )
    made.add("alice", rounds=1)
    made.add("bob", rounds=1)
    return made


def main() -> None:
    """The long run."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory(prefix="smsotp-malformed-") as name:
        one = site(Path(name))
        try:
            radiusd = one.start()
            outcome = throw(radiusd, count, lambda line: print(line, flush=True))
            found = complaints(radiusd)
            assert radiusd.ask("alice", "wrong").kind == "Access-Reject"
        finally:
            one.close()
    grown = outcome.memory[-1] - outcome.memory[0]
    print(f"{outcome.sent:,} packets in {outcome.seconds:.0f} s, replies by code {outcome.replies}")
    print(
        f"memory grew by {grown:,} KiB after the first tenth; complaints in the log: {len(found)}"
    )
    for line in found[:20]:
        print(line)
    sys.exit(1 if found or grown > MOST_GROWTH else 0)


MOST_GROWTH = 8192
"""KiB that memory may grow by after the first tenth: threads come, and caches fill."""

if __name__ == "__main__":
    main()
