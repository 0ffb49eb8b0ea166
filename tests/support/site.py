"""A site under test: settings, key, store, and servers on it whose clock the test moves."""

from __future__ import annotations

import base64
import json
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from radius_smsotp import providers
from radius_smsotp.delivery import chain
from radius_smsotp.delivery.courier import Courier
from radius_smsotp.login.answers import Accepted, Challenged, Rejected
from radius_smsotp.login.request import Request, Step
from radius_smsotp.login.service import Service
from radius_smsotp.model import code, pin
from radius_smsotp.model.identity import fold_name
from radius_smsotp.model.records import Account, Client
from radius_smsotp.settings import file, keyring
from radius_smsotp.store import open_store
from tests.support import leaks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from radius_smsotp.login.answers import Outcome
    from radius_smsotp.model import records
    from radius_smsotp.providers import Message
    from radius_smsotp.store import Store

PHONE = "+491701234567"
PIN = "geheim"
ROUNDS = 10

CHANCE = 0.5
"""By which messages that come again are spread."""

PATIENCE = 180.0
"""Seconds; longer than anything that is waited for takes on a machine that does much else."""


class Clock:
    """The time, until a test moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
        self.run = timedelta()

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.jump(seconds)
        self.run += timedelta(seconds=seconds)

    def jump(self, seconds: float) -> None:
        """Set it, forwards or backwards; no time passes."""
        self.now += timedelta(seconds=seconds)

    def passed(self) -> timedelta:
        """How much time has passed, whatever it was set to."""
        return self.run


class RunningClock(Clock):
    """This machine's."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)

    def passed(self) -> timedelta:
        return chain.passed()


class Gateways:
    """What the providers of type ``scripted`` do, each by its name."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Message]] = []
        self.closed: list[str] = []
        self.built: dict[str, Any] = {}
        self._ids: dict[str, str] = {}
        self._steps: dict[str, list[Any]] = {}
        self._gates: list[threading.Event] = []
        self._lock = threading.Lock()

    def will(self, name: str, *steps: Exception | Callable[[], object] | None) -> None:
        """
        From now on: raise this, call that and accept, or (None) just accept; one step for each
        message, the last one for all that follow.
        """
        self._steps[name] = list(steps)

    def call(self, name: str, message_id: str) -> None:
        """From now on: name every message so."""
        self._ids[name] = message_id

    def hang(self, name: str, then: Exception | None = None) -> threading.Event:
        """From now on: wait until the event is set; then raise this, or accept."""
        gate = threading.Event()
        self._gates.append(gate)

        def step() -> None:
            assert gate.wait(30)
            if then is not None:
                raise then

        self.will(name, step)
        return gate

    def take(self, name: str, message: Message) -> providers.Receipt:
        """A provider sends."""
        with self._lock:
            self.sent.append((name, message))
            steps = self._steps.get(name, [None])
            step = steps.pop(0) if len(steps) > 1 else steps[0]
        if isinstance(step, Exception):
            raise step
        if step is not None:
            step()
        return providers.Receipt(self._ids.get(name) or f"{name}-{len(self.sent)}")

    def report(self, name: str, message_id: str, delivered: bool, words: str = "") -> None:
        """A delivery receipt comes to the provider that was built last under this name."""
        self.built[name].on_receipt(message_id, delivered, words)

    def names(self) -> list[str]:
        """Which providers were tried, in order."""
        with self._lock:
            return [name for name, _ in self.sent]

    def release(self) -> None:
        """Let everything that hangs go on."""
        for gate in self._gates:
            gate.set()


class Node:
    """
    One server on a site, and the little of FreeRADIUS that calls it: `authorize` asks
    `prepare`, `pap` compares, then comes `authenticate` or Post-Auth-Type REJECT.
    """

    def __init__(self, site: Site, patience: float = 10) -> None:
        self.clock = clock = site.clock
        self.folder = site.folder
        self.loaded = file.load(site.settings_path)
        self.keys = keyring.read(self.loaded.key_path)
        self.store = open_store(self.loaded.store_url, patience)
        self.store.migrate()
        self.courier = Courier(
            self.loaded, self.keys, self.store, clock, clock.passed, lambda: CHANCE
        )
        self.service = Service(self.loaded, self.keys, self.store, self.courier, clock)

    def first(self, user: str = "alice", password: str = PIN, **more: Any) -> Outcome:
        """The first step, whole."""
        asked = request(user, password, **more)
        ready = self.service.prepare(asked)
        found: Any = {"matched": ready.matched, "number": ready.number, "reason": ready.reason}
        asked = replace(asked, step=ready.step, **found)
        compared = password if ready.password is None else ready.password
        if ready.step is Step.CODE:
            return self.service.answer(replace(asked, unasked=ready.unasked))
        if ready.unasked or ready.pin_hash is None or pap(ready.pin_hash, compared):
            return self.service.begin(replace(asked, unasked=ready.unasked))
        return self.service.first_factor_failed(asked)

    def challenge(self, user: str = "alice", password: str = PIN, **more: Any) -> Challenged:
        """A first step that is challenged, its message on its way no more."""
        outcome = self.first(user, password, **more)
        assert isinstance(outcome, Challenged), outcome
        self.settle(outcome.transaction_id)
        return outcome

    def begun(self, user: str = "alice") -> Challenged:
        """A first step that is challenged, its message on its way."""
        outcome = self.first(user)
        assert isinstance(outcome, Challenged), outcome
        return outcome

    def second(
        self, challenged: Challenged, answer: str, user: str = "alice", **more: Any
    ) -> Outcome:
        """The second step."""
        asked = request(user, answer, transaction_id=challenged.transaction_id, **more)
        return self.service.answer(replace(asked, step=Step.CODE))

    def settle(self, transaction_id: str) -> None:
        """Wait until the courier has done with a message."""
        eventually(lambda: transaction_id not in self.courier._sendings)

    def code(self, challenged: Challenged) -> str:
        """The code of a challenge."""
        challenge = self.stored(challenged.transaction_id)
        key = self.keys.get(challenge.key_id)
        assert key is not None
        return code.derive(key, challenge.transaction_id, challenge.digits)

    def stored(self, transaction_id: str) -> records.Challenge:
        """A challenge as the store has it."""
        with self.store.read() as tx:
            challenge = tx.challenge(transaction_id)
        assert challenge is not None
        return challenge

    def message(self, challenged: Challenged) -> records.Message:
        """The newest message of a challenge as the store has it."""
        with self.store.read() as tx:
            message = tx.message(challenged.transaction_id)
        assert message is not None
        return message

    def events(self, name: str = "alice") -> list[records.Event]:
        """The audit trail of an account."""
        return events(self.store, name)

    def kinds(self, name: str = "alice") -> list[str]:
        """The kinds of event of an account, oldest first."""
        return [event.kind for event in self.events(name)]

    def close(self) -> None:
        """Let go of everything."""
        self.courier.close(20)
        self.service.close()
        self.store.close()


class Site:
    """
    A folder with settings, key and store.

    Args:
        clock: Of the servers in this process; without one it is this machine's.
        gateways: What their providers of type ``scripted`` do; without them there is a folder.
        sections: Of the settings, instead of those of the default.

    Attributes:
        outbox: Where the provider of type ``folder`` writes.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock | None = None,
        gateways: Gateways | None = None,
        **sections: Any,
    ) -> None:
        self.folder = folder
        self.clock = clock or RunningClock()
        self.gateways = gateways
        self.settings_path = folder / "smsotp.yaml"
        self.store_path = folder / "smsotp.db"
        self.outbox = folder / "outbox"
        self.nodes: list[Node] = []
        self._store_url: str = sections.get("store", f"sqlite:///{self.store_path}")
        self._make(sections)

    def _make(self, sections: dict[str, Any]) -> None:
        self.write(**sections)
        keyring.create(self.folder / "key")

    def write(self, **sections: Any) -> None:
        """Write smsotp.yaml (JSON is YAML); `sections` replace those of the default."""
        provider: dict[str, Any] = {"demo": {"type": "folder", "path": "outbox"}}
        if self.gateways is not None:
            provider = {name: {"type": "scripted"} for name in ("first", "second")}
        values = {
            "store": "sqlite:///smsotp.db",
            "key_file": "key",
            "pin": {"iterations": ROUNDS},
            "providers": provider,
        }
        self.settings_path.write_text(json.dumps(values | sections), encoding="utf-8")

    def node(self, **sections: Any) -> Node:
        """A server; with `sections`, of settings written anew.  The first one has alice and bob."""
        if sections:
            self.write(**sections)
        node = Node(self)
        if not self.nodes:
            add(node, "alice")
            add(node, "bob", "+491709999999")
        self.nodes.append(node)
        return node

    @cached_property
    def store(self) -> Store:
        """The store, from outside."""
        store = open_store(self._store_url, patience=10)
        store.migrate()
        return store

    def add(self, name: str, phone: str | None = PHONE, **more: Any) -> None:
        """Add an account: see `add`."""
        add(self, name, phone, **more)

    def account(self, name: str) -> Account | None:
        """An account as it is in the store."""
        with self.store.read() as tx:
            return tx.account(name)

    def pin_hash(self, name: str = "alice") -> str:
        """The hash of an account's PIN, opened, which its store has under the key for new ones."""
        found, keys = self.account(name), keyring.read(self.folder / "key")
        assert found is not None
        assert found.pin_hash is not None
        assert pin.sealed_with(found.pin_hash) == keys.sealing
        opened = keys.open_pin(name, found.pin_hash)
        assert opened is not None
        return opened

    def events(self, name: str = "alice") -> list[records.Event]:
        """The audit trail of an account."""
        return events(self.store, name)

    def kinds(self, name: str = "alice") -> list[str]:
        """The kinds of event of an account, oldest first."""
        return [event.kind for event in self.events(name)]

    def messages(self) -> list[dict[str, str]]:
        """The SMS that were sent, oldest first."""
        paths = sorted(self.outbox.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        return [json.loads(path.read_text(encoding="utf-8")) for path in paths]

    def close(self) -> None:
        """Let go of everything."""
        for node in self.nodes:
            node.close()
        if "store" in vars(self):
            self.store.close()


def events(store: Store, name: str) -> list[records.Event]:
    """The audit trail of an account."""
    with store.read() as tx:
        return tx.events(name, 10_000)


def add(
    where: Node | Site,
    name: str,
    phone: str | None = PHONE,
    text: str | None = PIN,
    rounds: int = ROUNDS,
    **more: Any,
) -> None:
    """Add an account with the PIN `text`, or none if another module checks it."""
    leaks.note_pin(where.folder, text)
    name, pin_hash = fold_name(name), None
    if text is not None:
        keys = keyring.read(where.folder / "key")
        pin_hash = keys.seal_pin(name, pin.digest(text, b"0123456789abcdef", rounds))
    with where.store.write() as tx:
        tx.put_account(Account(name, phone, pin_hash, **more), datetime.now(UTC))


def request(user: str = "alice", password: str | None = PIN, **more: Any) -> Request:
    """What `radius.packets.parse` makes of an Access-Request from the client "vpn"."""
    fields: dict[str, Any] = {
        "malformed": False,
        "rewritten": False,
        "transaction_id": None,
        "client": Client("vpn", "192.0.2.1", "02-00-00-00-00-01"),
        # A directory, say, which knows the number, and is asked for the password.
        "known_good": "phones" in more,
    }
    return Request(user=user, password=password, **(fields | more))


def pap(pin_hash: str, password: str) -> bool:
    """What `rlm_pap` says of a password and a PBKDF2-Password."""
    _, rounds, rest = pin_hash.split(":")
    return pin.digest(password, base64.b64decode(rest.partition("$")[0]), int(rounds)) == pin_hash


def kind(outcome: Outcome) -> Literal["challenged", "accepted", "rejected"]:
    """An outcome in one word."""
    if isinstance(outcome, Accepted):
        return "accepted"
    return "rejected" if isinstance(outcome, Rejected) else "challenged"


def eventually(what: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """
    Call `what` until it returns something true, and return that.

    Args:
        seconds: After which it fails; only a test that fails waits so long.
    """
    until, pause = time.monotonic() + seconds, 0.001
    while not (result := what()):
        assert time.monotonic() < until, f"{what} did not come true"
        time.sleep(pause)
        # Whoever looks must not keep those from working who are looked at.
        pause = min(2 * pause, 0.05)
    return result
