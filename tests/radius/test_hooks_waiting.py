"""What FreeRADIUS calls, without FreeRADIUS: who waits for what, and who is held back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.errors import StoreError
from radius_smsotp.login.answers import Challenged, Rejected
from radius_smsotp.login.noise import CLIENT, LEAST, MOST, TOLD, of_name
from radius_smsotp.model import code
from radius_smsotp.radius.waiting import Ration
from radius_smsotp.store import settle
from tests.radius.stand_ins import (
    ACCEPTED,
    CHALLENGE,
    ID,
    REFUSED,
    TEXTS,
    Packet,
    Server,
    make,
    response,
)
from tests.support.radiusd import Called

if TYPE_CHECKING:
    from tests.radius.stand_ins import Monotonic
    from tests.support.site import Node


def challenged(**more: Any) -> Challenged:
    """A challenge whose message is on its way."""
    return Challenged(ID, "Code: ", "challenge", 1.0, ("first",), undelivered="Not sent.", **more)


class TestWaitingForDelivery:
    @pytest.fixture(autouse=True)
    def outcome(self, server: Server) -> None:
        """A message is on its way."""
        server.service.outcome = challenged()

    def test_it_is_waited_for_within_the_call(
        self, hooks: Any, server: Server, passing: Monotonic
    ) -> None:
        """As long as the ration allows: then for nobody until that is paid back."""

        def wait() -> None:
            passing.now = server.courier.until[-1]

        server.courier.waits = wait
        for until in (1001.0, 1001.0):
            called = Packet(hooks).first()
            assert (called.code, called.reply["State"]) == ("HANDLED", ID)
            assert server.courier.until[-1] == until
        passing.now = 1004.0
        Packet(hooks).first()
        assert server.courier.until[-1] == 1005.0

    @pytest.mark.parametrize("instance", [False, True])
    def test_what_nobody_delivers_is_no_challenge(
        self, hooks: Any, server: Server, instance: bool
    ) -> None:
        """The user reads why."""
        if instance:
            hooks.instantiate_delivery(None)
        server.courier.state = "failed"
        one = Packet(hooks)
        called = one.first()
        called = one.call("conclude") if instance else called
        assert (called.code, called.config) == REFUSED
        assert called.reply == {"Reply-Message": "Not sent."}

    def test_a_verdict_that_cannot_be_read_is_no_refusal(
        self, hooks: Any, server: Server, logged: list[str]
    ) -> None:
        """The challenge is open, and its message on its way."""
        server.courier.failure = StoreError("locked")
        assert Packet(hooks).first().code == "HANDLED"
        assert "smsotp: the verdict on a message cannot be read: locked" in logged

    def test_what_is_known_already_is_not_waited_for(self, hooks: Any, server: Server) -> None:
        hooks.instantiate_delivery(None)
        server.service.outcome = Challenged(ID, "Code: ", "challenge")
        assert Packet(hooks).first().reply["State"] == ID
        assert server.courier.until == []

    def test_another_instance_waits_if_there_is_one(
        self, hooks: Any, server: Server, passing: Monotonic
    ) -> None:
        """From the hand-over on, however long it takes to get there; on the server that began."""
        assert hooks.instantiate_delivery(None) == 0
        one = Packet(hooks)
        called = one.first()
        assert (called.code, called.reply) == ("HANDLED", {})
        assert called.config == {"SMSOTP-Ticket": "delivery 1"}
        # What was being sent then: it may be sent by now, and the database is far away.
        assert (server.courier.asked, server.courier.until) == (1, [])
        server.watch.replace(Server())
        passing.now += 0.7
        concluded = one.call("conclude")
        assert (concluded.code, concluded.config) == ("HANDLED", CHALLENGE)
        assert concluded.reply["State"] == ID
        assert server.courier.until == [1001.0]
        assert one.call("conclude") == Called("NOOP", {}, {}, {})


class TestWaitingForTheDisk:
    @pytest.mark.parametrize("step", ["code", "pin-and-code"])
    def test_without_an_instance_the_service_waits(
        self, hooks: Any, server: Server, step: str
    ) -> None:
        called = Packet(hooks, SMSOTP_Step=step).call("authenticate")
        assert called == Called("OK", {}, {}, ACCEPTED)
        assert [sync for _, sync in server.service.calls] == [True]
        assert "synced 7" not in server.done

    @pytest.mark.parametrize("step", ["code", "pin-and-code"])
    def test_with_one_the_answer_leaves_there(self, hooks: Any, server: Server, step: str) -> None:
        """Once what was written until then is durable."""
        assert hooks.instantiate_disk(None) == 0
        one = Packet(hooks, SMSOTP_Step=step)
        called = one.call("authenticate")
        assert called == Called("HANDLED", {}, {}, {"SMSOTP-Ticket": "disk 1"})
        assert [sync for _, sync in server.service.calls] == [False]
        server.position = 9
        assert one.call("conclude") == Called("OK", {}, {}, ACCEPTED)
        assert server.done == ["started", "synced 7"]

    def test_a_challenge_need_not_be_durable(self, hooks: Any, server: Server) -> None:
        """One that is lost costs one more SMS."""
        hooks.instantiate_disk(None)
        server.service.outcome = challenged()
        assert Packet(hooks).first().reply["State"] == ID

    @pytest.mark.parametrize("step", ["pin", "down"])
    def test_a_rejection_leaves_there_too(self, hooks: Any, server: Server, step: str) -> None:
        hooks.instantiate_disk(None)
        one = Packet(hooks, SMSOTP_Step=step)
        assert one.call("post_auth") == Called("UPDATED", {}, {}, {"SMSOTP-Ticket": "disk 1"})
        assert one.call("conclude").reply["Reply-Message"] in {"Wrong.", "Later."}
        assert server.done == ["started", "synced 7"]

    def test_a_disk_that_fails_is_no_accept(self, hooks: Any, server: Server) -> None:
        """A code whose end is not written could be used again."""
        hooks.instantiate_disk(None)
        server.failure = StoreError("the disk is gone")
        one = Packet(hooks, SMSOTP_Step="code")
        one.call("authenticate")
        called = one.call("conclude")
        assert (called.code, called.config) == REFUSED
        assert called.reply == {"Reply-Message": "Not now."}

    @pytest.mark.parametrize("ticket", [{}, {"SMSOTP_Ticket": "disk 1"}, {"SMSOTP_Ticket": ""}])
    def test_a_ticket_that_nobody_gave_is_nothing(self, hooks: Any, ticket: dict[str, str]) -> None:
        """In `authenticate` that is no accept."""
        assert Packet(hooks, **ticket).call("conclude") == Called("NOOP", {}, {}, {})

    def test_a_login_on_the_store(self, live: tuple[Any, Node]) -> None:
        """All instances are there, as on FreeRADIUS 3.2.7."""
        hooks, node = live
        hooks.instantiate_delivery(None)
        hooks.instantiate_disk(None)
        first = Packet(hooks)
        assert first.first().config["SMSOTP-Ticket"].startswith("delivery")
        state = first.call("conclude").reply["State"]
        second = Packet(hooks, code.derive(node.keys.secret, state, 6), state)
        assert second.second().config["SMSOTP-Ticket"].startswith("disk")
        assert second.call("conclude").code == "OK"


ROOM = MOST // LEAST


class TestNoise:
    """What `login.noise` says is asked for and done; how it decides is tested there."""

    number = 0

    def fails(self, hooks: Any, name: str = "", **more: str) -> Called:
        """A first step that fails, or is held back."""
        self.number += 1
        one = Packet(hooks, "wrong", User_Name=name or f"user{self.number}", **more)
        called = one.call("authorize")
        return one.call("post_auth") if called.code == "UPDATED" else called

    def begins(self, hooks: Any, **more: str) -> bool:
        """A first step that goes on for ever, if it is not held back."""
        self.number += 1
        one = Packet(hooks, User_Name=f"user{self.number}", **more)
        return one.call("authorize").code == "UPDATED"

    def test_what_is_held_back_is_refused_as_a_wrong_pin_is_and_costs_nothing(
        self, live: tuple[Any, Node]
    ) -> None:
        """The same words; no event, no look into the store, and whether there is such a name."""
        hooks, node = live
        for name in ("alice", "nobody"):
            wrong = [self.fails(hooks, name) for _ in range(int(of_name(10).burst))]
            events = node.events(name)
            held = self.fails(hooks, name)
            assert (held.code, held.config) == REFUSED
            assert held.reply == wrong[0].reply == {"Reply-Message": TEXTS.failed}
            assert node.events(name) == events
            # What is not written each time is told of once a minute.
            settle(node.store, None)
            last = node.events(name if name == "alice" else "")[-1]
            assert (last.kind, last.detail) == ("login-refused", {"reason": "noise", "more": 1})

    def test_noise_has_only_so_much_under_way(self, hooks: Any, server: Server) -> None:
        """Whatever ends it makes room: a wrong PIN, a right one, or a directory that is down."""
        for _ in range(100):
            self.fails(hooks)
        assert [self.begins(hooks) for _ in range(ROOM + 1)] == [True] * ROOM + [False]
        assert server.service.calls[-1] == ("held_back", None)
        under_way = Packet(hooks, User_Name="one-more")
        for hook, step in (("authenticate", "pin"), ("post_auth", "pin"), ("post_auth", "down")):
            hooks.noise.end(next(iter(hooks.noise._begun)))
            under_way.config.clear()
            assert under_way.call("authorize").code == "UPDATED"
            under_way.config = {"SMSOTP-Step": step}
            under_way.call(hook)
            assert self.begins(hooks)
            assert not self.begins(hooks)

    def test_answers_to_challenges_are_never_held_back(self, live: tuple[Any, Node]) -> None:
        """Nor is a name alone, with which EAP begins."""
        hooks, node = live
        state = Packet(hooks).first().reply["State"]
        for _ in range(200):
            self.fails(hooks)
        while self.begins(hooks):
            pass
        good = node.code(Challenged(state, "", "challenge"))
        assert Packet(hooks, good, state).authorized().config["SMSOTP-Step"] == "code"
        named = {"EAP_Message": response(1, b"alice"), "SMSOTP_EAP": "gtc"}
        assert Packet(hooks, None, **named).call("authorize").code == "UPDATED"
        assert Packet(hooks, good, state).second().code == "OK"

    @pytest.mark.parametrize("step", ["code", "pin"])
    def test_whole_logins_give_back(self, hooks: Any, server: Server, step: str) -> None:
        """In two steps, or of a device that needs no code."""
        station = {"Calling_Station_Id": "192.0.2.7"}
        for _ in range(100):
            self.fails(hooks, **station)
        while self.begins(hooks, **station):
            pass
        Packet(hooks, SMSOTP_Step=step, **station).call("authenticate")
        assert all(self.begins(hooks, **station) for _ in range(5 * ROOM))

    def test_right_first_factors_give_back_and_refused_ones_do_not(
        self, hooks: Any, server: Server
    ) -> None:
        for _ in range(100):
            self.fails(hooks)
        server.service.outcome = Rejected("No.")
        for _ in range(100):
            Packet(hooks, SMSOTP_Step="pin").call("authenticate")
        while self.begins(hooks):
            pass
        server.service.outcome = Challenged(ID, "Code: ", "challenge")
        for _ in range(int(CLIENT.again)):
            Packet(hooks, SMSOTP_Step="pin").call("authenticate")
        assert all(self.begins(hooks) for _ in range(5 * ROOM))

    def test_it_is_told_once_in_a_while(
        self, hooks: Any, server: Server, passing: Monotonic
    ) -> None:
        for _ in range(2 * int(TOLD)):
            for _ in range(2):
                self.fails(hooks)
            passing.now += 1
        # Two failures a second, and once in a while no more of them than since then.
        first, second = server.service.told
        assert (first[1], second[1]) == (0, 0)
        assert abs(second[0] - 2 * TOLD) <= 1

    def test_a_store_that_cannot_record_it_refuses_nobody_else(
        self, hooks: Any, server: Server, logged: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise StoreError("the disk is full")

        monkeypatch.setattr(server.service, "note_noise", full)
        replies = {self.fails(hooks).reply["Reply-Message"] for _ in range(100)}
        assert replies == {"Wrong."}
        assert logged == ["smsotp: noise could not be recorded: the disk is full"]

    def test_it_is_kept_when_the_settings_change(self, hooks: Any, server: Server) -> None:
        for _ in range(100):
            self.fails(hooks)
        server.watch.replace(Server())
        while self.begins(hooks):
            pass


class TestRation:
    @pytest.mark.parametrize("failure", [None, ValueError(), StoreError("locked")])
    def test_every_call_counts_as_work(
        self, module: Any, server: Server, passing: Monotonic, failure: Exception | None
    ) -> None:
        """However it ends."""
        calls: list[tuple[float, float]] = []
        ration = Ration()
        ration.called = lambda *spent: calls.append(spent)  # type: ignore[method-assign]
        hooks = make(module, server, clock=passing, ration=ration)
        server.service.failures = [failure] if failure else []
        Packet(hooks).call("authorize")
        assert calls == [(1000.0, 1000.0)]

    def test_the_clock_is_the_one_that_couriers_wait_by(self, module: Any) -> None:
        """`Courier.wait` compares with `time.monotonic`."""
        assert module.Hooks().clock is time.monotonic
