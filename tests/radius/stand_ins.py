"""What stands in for all around the hooks: FreeRADIUS's lists, a server, what watches over it."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from radius_smsotp.errors import StoreError
from radius_smsotp.login.answers import Accepted, Challenged, Preparation, Rejected
from radius_smsotp.login.request import Step
from radius_smsotp.radius.packets import ATTRIBUTES
from radius_smsotp.settings.schema import TextSettings
from tests.support import radiusd
from tests.support.radiusd import Called, lists
from tests.support.site import PIN, pap

if TYPE_CHECKING:
    from collections.abc import Callable

ID = "0123456789abcdef" * 2
TEXTS = TextSettings()
ACCEPTED = {"SMSOTP-Settled": "accepted"}
REFUSED = ("REJECT", {"SMSOTP-Settled": "refused"})
CHALLENGE = {"Response-Packet-Type": "Access-Challenge"}
PACKETS = itertools.count()
CONTROL = {name for name, one in ATTRIBUTES.items() if one.place == "control"}


def octets(raw: bytes | str) -> str:
    """As FreeRADIUS shows octets."""
    return f"0x{(raw.encode() if isinstance(raw, str) else raw).hex()}"


def response(method: int, data: bytes = b"", identifier: int = 7) -> str:
    """EAP-Message of a device: RFC 3748 section 4."""
    return octets(bytes([2, identifier, 0, 5 + len(data), method]) + data)


def call(hook: Callable[[Any], Any], given: Any) -> Called:
    """Call a hook; what it says to the policy stands in the table of attributes."""
    called = radiusd.call(hook, given)
    assert set(called.config) <= {name for name in CONTROL if "hook" in ATTRIBUTES[name].set_by}
    return called


class Packet:
    """
    A request on its way through FreeRADIUS, which keeps what the hooks set.

    Args:
        password: None for a device that speaks EAP, or proves its password.
    """

    def __init__(
        self, hooks: Any, password: str | None = PIN, state: str = "", **attributes: str
    ) -> None:
        self.hooks = hooks
        given = {"SMSOTP-Packet": f"0x{next(PACKETS):032x}"}
        given |= {name.replace("_", "-"): value for name, value in attributes.items()}
        self.config = {name: given.pop(name) for name in list(given) if name in CONTROL}
        self.request = {"User-Name": "alice", "SMSOTP-Client": "vpn"} | given
        if password is not None:
            self.request["User-Password"] = password
        if state:
            self.request["State"] = octets(state)

    def call(self, hook: str) -> Called:
        """Call a hook by the name that it has for FreeRADIUS."""
        called = call(getattr(self.hooks, hook), lists(self.request.items(), self.config.items()))
        self.request |= called.request
        self.config |= called.config
        return called

    def authorized(self) -> Packet:
        """With what `authorize` says."""
        called = self.call("authorize")
        assert called.code == "UPDATED", called
        assert called.reply == {}
        return self

    def first(self) -> Called:
        """The first step, with `pap` between the hooks."""
        self.authorized()
        good_hash = self.config.get("PBKDF2-Password")
        good = good_hash is None or pap(good_hash, self.request["User-Password"])
        return self.call("authenticate" if good else "post_auth")

    def second(self) -> Called:
        """The second step, as the policy has it."""
        self.config["SMSOTP-Step"] = "code"
        return self.call("authenticate")


class Service:
    """Answers whatever it is asked, or fails; and what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, bool | None]] = []
        self.outcome: Any = Accepted()
        self.failures: list[Exception] = []
        self.preparation = Preparation(Step.PIN, None, None)
        self.told: list[tuple[int, int]] = []

    def _called(self, name: str, outcome: Any, sync: bool | None = None) -> Any:
        self.calls.append((name, sync))
        if self.failures:
            raise self.failures.pop(0)
        return outcome

    def prepare(self, _: object) -> Preparation:
        preparation: Preparation = self._called("prepare", self.preparation)
        return preparation

    def ask(self, _: object) -> Challenged:
        asked: Challenged = self._called("ask", Challenged("", "PIN: ", "challenge"))
        return asked

    def begin(self, _: object, *, sync: bool) -> Any:
        return self._called("begin", self.outcome, sync)

    def answer(self, _: object, *, sync: bool) -> Any:
        return self._called("answer", self.outcome, sync)

    def first_factor_failed(self, _: object, *, sync: bool) -> Any:
        return self._called("first_factor_failed", Rejected("Wrong."), sync)

    def first_factor_down(self, _: object) -> Any:
        return self._called("first_factor_down", Rejected("Later."))

    def held_back(self, _: object) -> Rejected:
        self.calls.append(("held_back", None))
        return Rejected("Wrong.")

    def note_noise(self, _: object, report: Any) -> None:
        self._called("note_noise", None)
        self.told.append((report.failures, report.held))

    def malformed(self, _: object = None) -> Any:
        return self._called("malformed", Rejected("No."))

    def unavailable(self, _: object = None, *, others: bool = False) -> Rejected:
        return Rejected("Not now.", silent=others)


class Courier:
    """Knows the verdict at once, and until when it was waited for."""

    def __init__(self) -> None:
        self.state = "accepted"
        self.until: list[float] = []
        self.asked = 0
        self.failure: Exception | None = None
        self.waits: Callable[[], object] = lambda: None

    def patience(self, route: tuple[str, ...], seconds: float) -> float:
        return seconds if route else 0.0

    def waiting(self, transaction_id: str) -> Callable[[float], str]:
        assert transaction_id == ID
        self.asked += 1
        return self.wait

    def wait(self, until: float) -> str:
        self.until.append(until)
        self.waits()
        if self.failure is not None:
            raise self.failure
        return self.state


class Server:
    """A server of stand-ins."""

    def __init__(self) -> None:
        self.service, self.courier, self.store = Service(), Courier(), self
        self.loaded = SimpleNamespace(
            values=SimpleNamespace(
                delivery=SimpleNamespace(wait_share=0.25), lockout=SimpleNamespace(failures=10)
            )
        )
        self.done: list[str] = []
        self.position = 7
        self.lacking: list[object] = []
        self.has_others = False
        self.failure: Exception | None = None

    def sync(self, position: int) -> None:
        self.done.append(f"synced {position}")
        if self.failure is not None:
            raise self.failure

    def require_store(self) -> None:
        if self.lacking:
            raise StoreError("not there yet")

    def ask_store(self) -> None:
        self.done.append("asked the store")

    def start(self) -> None:
        self.done.append("started")

    def close(self) -> None:
        self.done.append("closed")


class Watch:
    """Looks when it is told to, and finds what `new` is."""

    new: Any = None
    failure: Exception | None = None

    def __init__(
        self, current: Any, replace: Callable[[Any], None], tidy: Callable[[], None]
    ) -> None:
        current.watch = self
        self.replace, self.tidy = replace, tidy
        self.done: list[str] = []

    def look(self) -> bool:
        self.done.append("looked")
        if self.failure is not None:
            raise self.failure
        if self.new is not None:
            self.replace(self.new)
        return self.new is not None

    def start(self) -> None:
        self.done.append("started")

    def stop(self) -> None:
        self.done.append("stopped")


class Monotonic:
    """Monotonic seconds, until a test moves it."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def make(module: Any, server: Any, **more: Any) -> Any:
    """Hooks on a server, instantiated."""
    hooks = module.Hooks(**({"load": lambda _: server, "watch": Watch} | more))
    assert hooks.instantiate(None) == 0
    return hooks
