"""The hooks as FreeRADIUS calls them, on a store of their own: no accept, no exception."""

from __future__ import annotations

import json
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from radius_smsotp.model import pin
from radius_smsotp.model.records import Account
from radius_smsotp.settings import keyring
from radius_smsotp.store import open_store
from radius_smsotp.store.schema import TABLES
from tests.measure.fuzz.dough import Dough
from tests.measure.fuzz.pure import eap_packet, lists
from tests.support import radiusd as stand_in

CASES_BEFORE_SWEEP = 2000
"""So often the store is emptied: a fuzzer asks a thousand times a second."""


class Radiusd:
    """The hooks, loaded as rlm_python3 does, and what they log."""

    def __init__(self, folder: Path) -> None:
        self.state = "0" * 32
        self._cases = 0
        self._store = open_store(f"sqlite:///{folder}/smsotp.db", patience=10)
        self._make(folder)
        radiusd = stand_in.Radiusd(folder / "smsotp.yaml")
        self.logged = radiusd.logged
        self._hooks = hooks = radiusd.load()
        assert hooks.instantiate(None) == 0, self.logged
        self.calls = (hooks.authorize, hooks.authenticate, hooks.post_auth, hooks.await_disk)

    def call(self, which: int, given: Any) -> stand_in.Called:
        """Call one of the hooks, and the one that concludes what it leaves open."""
        self._cases += 1
        if self._cases % CASES_BEFORE_SWEEP == 0:
            self._sweep()
        # As FreeRADIUS before 3.2.7 has it, and as since.
        one = self._hooks._hooks
        one.waits_for_delivery = one.waits_for_disk = bool(self._cases % 2)
        result = stand_in.call(self.calls[which], given)
        ticket = result.config.get("SMSOTP-Ticket", "")
        if ticket:
            wait = self._hooks.await_disk if "disk" in ticket else self._hooks.await_delivery
            result = stand_in.call(wait, {"config": (("SMSOTP-Ticket", ticket),)})
        self.state = result.reply.get("State", self.state)
        return result

    def _make(self, folder: Path) -> None:
        values = {
            "store": "sqlite:///smsotp.db",
            "key_file": "key",
            "providers": {"demo": {"type": "folder", "path": "outbox"}},
            "delivery": {"wait": 0},
            "limits": {"per_day": 20, "per_account_hour": 0, "per_number_hour": 0, "cooldown": 0},
            "lockout": {"failures": 1_000_000},
            # So many digits that no case in a million guesses a code.
            "code": {"digits": 9, "guesses": 10},
        }
        (folder / "smsotp.yaml").write_text(json.dumps(values), encoding="utf-8")
        keyring.create(folder / "key")
        self._store.migrate()
        with self._store.write() as tx:
            for name in ("alice", "bob"):
                pin_hash = pin.digest("1234", os.urandom(16), 1)
                tx.put_account(Account(name, "+491701234567", pin_hash), datetime.now(UTC))

    def _sweep(self) -> None:
        self.logged.clear()
        with self._store.write() as tx:
            for table in sorted({*TABLES} - {"account"}):
                tx._db.execute(f"DELETE FROM {table}")


_HELD: list[Any] = []


def _radiusd() -> Radiusd:
    if not _HELD:
        memory = Path("/dev/shm")
        holder = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
        _HELD.extend((holder, Radiusd(Path(holder.name))))
    radiusd: Radiusd = _HELD[1]
    return radiusd


def calls(octets: bytes) -> None:
    """Any hook with any lists: one of the results that FreeRADIUS takes, none of them an accept."""
    dough = Dough(octets)
    radiusd = _radiusd()
    which, given = dough.number(4), None if dough.number(64) == 63 else lists(dough)
    if given is not None and dough.number(3):
        # Else most would end at once: what `authorize` says, and a State of a real challenge.
        step = dough.one(("pin", "code", "pin-or-code", "pin-and-code", "down"))
        given["config"] = (("SMSOTP-Step", step), *given["config"])
        password = dough.one(("1234", "r", "0123456789", dough.text(20).replace("\0", "")))
        given["request"] = (
            *given["request"],
            ("User-Password", password.encode("utf-8", "replace").decode()),
            ("State", f"0x{radiusd.state.encode().hex()}"),
        )
        if dough.number(3) == 0:
            tunnel = ("SMSOTP-EAP", dough.one(("gtc", "gtc-two")))
            given["config"] = (tunnel, *given["config"])
            packet = bytearray(eap_packet(dough))
            # The identifier that is asked for stands in State, else no answer is one.
            if len(radiusd.state) >= 34 and dough.number(4):
                packet[1] = int(radiusd.state[32:34], 16)
            given["request"] = (("EAP-Message", f"0x{packet.hex()}"), *given["request"])
    # Nobody reads the messages here, and no device is remembered.
    assert radiusd.call(which, given).code in {"REJECT", "HANDLED", "NOOP", "UPDATED"}
    # The guard at the edge logs what it has caught; it is there for what nobody has thought of.
    caught = [line for line in radiusd.logged if " failed: " in line]
    assert not caught, caught
