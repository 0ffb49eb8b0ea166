"""What FreeRADIUS calls, without FreeRADIUS: every step, every outcome, and every way to fail."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.errors import ConfigurationError, Problem, StoreConflictError, StoreError
from radius_smsotp.login.answers import Challenged, Preparation, Rejected
from radius_smsotp.login.request import STEPS, Step
from radius_smsotp.model import code
from radius_smsotp.radius import eap, process
from radius_smsotp.radius.tunnels import SILENT
from radius_smsotp.settings import DEFAULT_PATH
from tests.radius.stand_ins import (
    ACCEPTED,
    CHALLENGE,
    ID,
    REFUSED,
    TEXTS,
    Packet,
    Server,
    Watch,
    call,
    octets,
    response,
)
from tests.support.eap import PEAP, hello
from tests.support.radiusd import Called, lists
from tests.support.site import PIN, Clock, add, eventually, pap

if TYPE_CHECKING:
    from radius_smsotp.model.records import Event
    from tests.support.radiusd import Radiusd
    from tests.support.site import Gateways, Node

BEGUN = {"SMSOTP-Begun": f"{Clock().now.timestamp():.0f}"}
"""When all logins here do."""


class TestStart:
    @pytest.mark.parametrize("said", ["config", "environment", "nothing"])
    def test_it_reads_the_settings_that_it_is_told_of(
        self,
        module: Any,
        loaded: tuple[Any, Radiusd],
        monkeypatch: pytest.MonkeyPatch,
        said: str,
    ) -> None:
        """By FreeRADIUS's configuration; else by the environment; else where they usually lie."""
        read: list[Path] = []
        monkeypatch.setenv("SMSOTP_CONFIG", "from the environment.yaml")
        if said != "config":
            monkeypatch.delattr(loaded[1], "config")
        if said == "nothing":
            monkeypatch.delenv("SMSOTP_CONFIG")
        assert module.Hooks(load=read.append).instantiate(None) == 0
        expected = {"config": "from radiusd.yaml", "environment": "from the environment.yaml"}
        assert read == [Path(expected.get(said, DEFAULT_PATH))]

    def test_settings_that_do_not_work_keep_it_from_starting(
        self, module: Any, logged: list[str]
    ) -> None:
        """Each of their problems is told; FreeRADIUS 3.2.1 starts after an exception."""

        def load(_: Path) -> Any:
            raise ConfigurationError([Problem("code.digits", "is 3"), Problem("store", "is gone")])

        assert module.Hooks(load=load).instantiate(None) == -1
        assert len(logged) == 2
        assert "code.digits: is 3" in logged[0]
        assert "store: is gone" in logged[1]

    def test_what_nobody_has_foreseen_keeps_it_from_starting_too(
        self, module: Any, logged: list[str]
    ) -> None:
        """Its place is told; its text may hold anything."""

        def load(_: Path) -> Any:
            raise ValueError("geheim")

        assert module.Hooks(load=load).instantiate(None) == -1
        [line] = logged
        assert line.startswith("smsotp: cannot start: ValueError at test_hooks.py:")

    def test_nothing_runs_before_the_first_request_and_then_once(
        self, hooks: Any, server: Server
    ) -> None:
        """FreeRADIUS forks, and other modules load, after `instantiate`."""
        assert server.done == []
        for _ in range(2):
            Packet(hooks).call("authorize")
        assert server.done == ["started"]
        assert server.watch.done == ["looked", "started"]

    def test_several_instances_that_come_at_once_start_one(
        self, hooks: Any, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Who comes second waits until it has started, and starts nothing."""
        looking, others = threading.Event(), threading.Event()
        look = Watch.look

        def slowly(watch: Watch) -> bool:
            looking.set()
            assert others.wait(60)
            return look(watch)

        monkeypatch.setattr(Watch, "look", slowly)
        with ThreadPoolExecutor(4) as pool:
            coming = [pool.submit(Packet(hooks).call, "authorize")]
            assert looking.wait(60)
            coming += [pool.submit(Packet(hooks).call, "authorize") for _ in range(3)]
            assert wait(coming, 0.05).done == set()
            others.set()
            assert {one.result().code for one in coming} == {"UPDATED"}
        assert server.done == ["started"]
        assert server.watch.done == ["looked", "started"]

    def test_settings_that_changed_meanwhile_hold_for_the_first_request(
        self, hooks: Any, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The server that was loaded at the start never runs."""
        new = Server()
        monkeypatch.setattr(Watch, "new", new)
        Packet(hooks).call("authorize")
        assert (server.service.calls, new.service.calls) == ([], [("prepare", None)])
        assert server.done == []

    def test_settings_that_change_later_hold_from_then_on(self, hooks: Any, server: Server) -> None:
        """For the next call: the one under way keeps what it has."""
        Packet(hooks).call("authorize")
        new = Server()
        server.watch.replace(new)
        Packet(hooks).call("authorize")
        assert (len(server.service.calls), len(new.service.calls)) == (1, 1)

    def test_a_look_that_fails_costs_one_request(
        self, hooks: Any, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The settings that were loaded at the start hold for all others."""
        monkeypatch.setattr(Watch, "failure", RuntimeError("unforeseen"))
        assert Packet(hooks).call("authorize").code == "REJECT"
        assert server.watch.done == ["looked", "started"]
        assert server.done == ["started"]
        assert Packet(hooks).call("authorize").code == "UPDATED"

    def test_every_function_that_raddb_names_is_there(self, module: Any) -> None:
        """Installed sites call them by these names."""
        mods = Path(__file__).resolve().parents[2] / "freeradius" / "raddb" / "mods-available"
        text = "".join(path.read_text() for path in mods.glob("python3_*"))
        names = [line.split(" = ")[1] for line in text.splitlines() if "\tfunc_" in line]
        assert len(names) >= 10
        assert all(callable(getattr(module, name)) for name in names)


class TestEnd:
    @pytest.fixture
    def ended(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """With which codes the process would have ended."""
        codes: list[int] = []
        monkeypatch.setattr(os, "_exit", codes.append)
        return codes

    def test_before_any_request_there_is_nothing_to_end(
        self, hooks: Any, server: Server, ended: list[int]
    ) -> None:
        """As in `radiusd -C`."""
        assert hooks.detach(None) == 0
        assert (server.done, ended) == ([], [])

    def test_it_lets_go_of_everything_and_ends_the_process(
        self, hooks: Any, server: Server, ended: list[int]
    ) -> None:
        """FreeRADIUS before 3.2.7 would crash now."""
        Packet(hooks).call("authorize")
        hooks.detach(None)
        assert server.done == ["started", "closed"]
        assert server.watch.done[-1] == "stopped"
        assert ended == [0]

    def test_what_is_nearly_done_is_done(
        self, ended: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What takes longer is not waited for."""
        monkeypatch.setattr(process, "ENDING_SECONDS", 0.1)
        done: list[str] = []
        gate = threading.Event()
        nearly = threading.Thread(target=lambda: done.append("done"), name="smsotp-nearly")
        nearly.start()
        long = threading.Thread(target=gate.wait, args=(20,), name="smsotp-long")
        long.start()
        process.end()
        gate.set()
        long.join()
        assert (done, ended) == (["done"], [0])


class TestAuthorize:
    def test_pap_is_told_the_hash_of_the_pin(self, live: tuple[Any, Node]) -> None:
        """And what came, for the hooks that follow."""
        one = Packet(live[0]).authorized()
        pin_hash = one.config.pop("PBKDF2-Password")
        assert pap(pin_hash, PIN)
        assert one.config == {"SMSOTP-Step": "pin", "Auth-Type": "smsotp"}
        assert one.request["User-Password"] == PIN

    def test_an_account_that_nobody_has_is_told_a_hash_too(self, live: tuple[Any, Node]) -> None:
        """Which takes as long, and no password fits."""
        one = Packet(live[0], User_Name="mallory").authorized()
        assert "PBKDF2-Password" in one.config
        assert (one.config["SMSOTP-Step"], one.config["SMSOTP-Reason"]) == (
            "pin",
            "unknown-account",
        )

    @pytest.mark.parametrize(
        ("known", "told"),
        [
            ({}, True),
            ({"Cleartext-Password": PIN}, False),
            ({"Crypt-Password": "$5$x$y"}, False),
            ({"LDAP-UserDN": "uid=dora,dc=example"}, False),
        ],
        ids=["nothing", "clear", "crypt", "directory"],
    )
    def test_an_account_whose_password_nothing_knows_is_told_a_hash_too(
        self, live: tuple[Any, Node], known: dict[str, str], told: bool
    ) -> None:
        """`pap` would say that it does not work, and at once."""
        hooks, node = live
        add(node, "dora", text=None)
        one = Packet(hooks, User_Name="dora")
        one.config |= known
        one.authorized()
        assert ("PBKDF2-Password" in one.config) == told
        assert "SMSOTP-Reason" not in one.config

    def test_what_came_as_octets_is_written_back_as_text(self, live: tuple[Any, Node]) -> None:
        """In the form in which the PIN was hashed."""
        hooks, _ = live
        one = Packet(hooks, None, Tmp_Octets_0=octets("jürgen"), Tmp_Octets_1=octets("p\\ün"))
        one.authorized()
        assert (one.request["User-Name"], one.request["User-Password"]) == ("jürgen", "p\\ün")

    def test_pin_and_code_in_one_password_are_taken_apart(self, live: tuple[Any, Node]) -> None:
        """`pap` gets the PIN; the challenge of the code is remembered for the hook."""
        hooks, node = live
        state = Packet(hooks).first().reply["State"]
        good = node.code(Challenged(state, "", "challenge"))
        one = Packet(hooks, PIN + good).authorized()
        assert one.request["User-Password"] == PIN
        assert (one.config["SMSOTP-Step"], one.config["SMSOTP-Matched"]) == ("pin-and-code", state)
        other = Packet(hooks, f"{PIN}{(int(good) + 1) % 10**6:06}").authorized()
        assert other.config["SMSOTP-Step"] == "pin-or-code"
        assert "SMSOTP-Matched" not in other.config

    def test_a_handshake_is_told_what_it_shall_prove(self, live: tuple[Any, Node]) -> None:
        """CHAP and MS-CHAP show nothing that Python could compare."""
        hooks, node = live
        state = Packet(hooks).first().reply["State"]
        one = Packet(hooks, None, state, CHAP_Password="0x00").authorized()
        good = node.code(Challenged(state, "", "challenge"))
        assert one.config["SMSOTP-Candidate"] == good
        assert one.config["SMSOTP-Step"] == "code"
        first = Packet(hooks, None, MS_CHAP2_Response="0x00", User_Name="bob").authorized()
        assert first.config == {"SMSOTP-Step": "pin", "Auth-Type": "smsotp"}

    @pytest.mark.parametrize(
        "given",
        [None, {}, lists([("NAS-Identifier", "nas")]), lists([("User-Name", "alice")])],
        ids=["nothing", "no lists", "no name", "no password"],
    )
    def test_what_is_no_login_is_nobodys(self, hooks: Any, server: Server, given: Any) -> None:
        """Status-Server, say, which tells whether the store answers."""
        named = given is not None and "User-Name" in str(given)
        assert call(hooks.authorize, given) == Called("NOOP", {}, {}, {})
        assert server.service.calls == []
        assert ("asked the store" in server.done) != named

    @pytest.mark.parametrize("which", ["Tmp-Octets-0", "Tmp-Octets-1"])
    def test_a_nul_is_refused(self, hooks: Any, server: Server, which: str) -> None:
        """FreeRADIUS would compare what stands before it."""
        called = Packet(hooks, **{which: octets(b"alice\0x")}).call("authorize")
        assert (called.code, called.config) == REFUSED
        assert called.reply == {"Reply-Message": "No."}
        assert server.service.calls == [("malformed", None)]


class TestEap:
    """RFC 3748 section 5.6, in as many rounds as a login takes."""

    def test_a_login_in_three_rounds(self, live: tuple[Any, Node]) -> None:
        """Each question changes the identifier; what the device answers goes with it."""
        hooks, node = live
        begun = Packet(hooks, None, EAP_Message=response(1, b"alice"), SMSOTP_EAP="gtc")
        begun.authorized()
        assert begun.config["SMSOTP-Step"] == "identity"
        assert "PBKDF2-Password" not in begun.config
        asked = begun.call("authenticate")
        assert (asked.code, asked.config) == ("HANDLED", CHALLENGE)
        assert asked.reply == {
            "State": eap.NOBODY + "08",
            "EAP-Message": octets(b"\x01\x08\x00\x0a\x06PIN: "),
        }
        answer = response(6, PIN.encode(), 8)
        one = Packet(
            hooks, None, asked.reply["State"], EAP_Message=answer, SMSOTP_EAP="gtc"
        ).authorized()
        assert one.config["SMSOTP-Step"] == "pin"
        assert one.request["User-Password"] == PIN
        asked = one.call("authenticate")
        assert (asked.code, asked.config) == ("HANDLED", CHALLENGE)
        assert "Reply-Message" not in asked.reply
        state = asked.reply["State"]
        good = node.code(Challenged(state[:32], "", "challenge"))
        answer = response(6, good.encode(), 9)
        last = Packet(hooks, None, state, EAP_Message=answer, SMSOTP_EAP="gtc").authorized()
        assert last.config["SMSOTP-Step"] == "code"
        let_in = last.call("authenticate")
        assert (let_in.code, let_in.config) == ("OK", ACCEPTED | BEGUN)
        assert let_in.reply == {"EAP-Message": octets(b"\x03\x09\x00\x04")}

    def test_a_device_that_may_be_asked_twice_is_not_asked_again(
        self, hooks: Any, server: Server
    ) -> None:
        """wpa_supplicant discards a third question inside TTLS; the text goes to the log there."""
        server.service.outcome = Challenged(ID, "Wrong code. ", "challenge")
        one = Packet(hooks, None, f"{ID}09", EAP_Message=response(6, b"1", 9), SMSOTP_EAP="gtc-two")
        one.config["SMSOTP-Step"] = "code"
        called = one.call("authenticate")
        assert (called.code, called.config) == REFUSED
        assert called.reply == {"Reply-Message": "Wrong code. "}

    @pytest.mark.parametrize("name", ["alice", "nobody"])
    @pytest.mark.parametrize("known", [{"Cleartext-Password": PIN}, {}], ids=["clear", "hashed"])
    def test_a_wish_for_mschapv2_begins_it(
        self, live: tuple[Any, Node], name: str, known: dict[str, str]
    ) -> None:
        """
        With the name, as if the device had just said it; our module is not asked next.  Whoever it
        is: a refusal would tell that there is no such account, or how its password is known.
        """
        wish = response(3, bytes([26]))
        one = Packet(live[0], None, EAP_Message=wish, SMSOTP_EAP="gtc", User_Name=name)
        one.config |= known
        one.authorized()
        assert one.config["SMSOTP-Step"] == "mschapv2"
        assert "Auth-Type" not in one.config
        assert one.request["EAP-Message"] == response(1, name.encode())

    def test_a_wish_that_cannot_be_met_is_refused(
        self, live: tuple[Any, Node], logged: list[str]
    ) -> None:
        """EAP-TLS, say."""
        one = Packet(live[0], None, EAP_Message=response(3, bytes([13])), SMSOTP_EAP="gtc")
        called = one.call("authorize")
        assert (called.code, called.config) == REFUSED
        assert [line for line in logged if "refuses EAP-GTC and asks for" in line]


class TestOutcomes:
    def test_two_steps(self, live: tuple[Any, Node], gateways: Gateways) -> None:
        """A State, a prompt, and the packet type; then nothing but a signature."""
        hooks, node = live
        called = Packet(hooks).first()
        assert (called.code, called.config, called.request) == ("HANDLED", CHALLENGE, {})
        state = called.reply["State"]
        assert called.reply == {
            "State": state,
            "Reply-Message": "Enter the 6-digit code sent to ***67: ",
        }
        eventually(gateways.names)
        good = code.derive(node.keys.secret, state, 6)
        wrong = Packet(hooks, f"{(int(good) + 1) % 10**6:06}", state).second()
        assert (wrong.code, wrong.reply["State"]) == ("HANDLED", state)
        assert wrong.reply["Reply-Message"].startswith("Wrong code, 2 left.")
        assert Packet(hooks, good, state).second() == Called("OK", {}, {}, ACCEPTED | BEGUN)
        again = Packet(hooks, good, state).second()
        assert (again.code, again.config) == REFUSED
        assert again.reply == {"Reply-Message": TEXTS.start_again}

    def test_a_wrong_pin(self, live: tuple[Any, Node]) -> None:
        """FreeRADIUS rejects; the hook counts, and says why."""
        hooks, node = live
        called = Packet(hooks, "wrong").first()
        assert called == Called("UPDATED", {}, {"Reply-Message": TEXTS.failed}, {})
        assert node.kinds() == ["pin-wrong"]

    def test_a_client_that_knows_no_challenge_is_rejected_with_the_text(
        self, live: tuple[Any, Node]
    ) -> None:
        """And logs in again with PIN and code; no wrong PIN is counted."""
        hooks, node = live
        one = Packet(hooks, SMSOTP_Style="reject")
        called = one.first()
        assert (called.code, called.config) == REFUSED
        assert "State" not in called.reply
        assert "***67" in called.reply["Reply-Message"]
        assert one.call("post_auth") == Called("NOOP", {}, {}, {})
        eventually(lambda: "sms-accepted" in node.kinds())
        assert node.kinds() == ["challenge-opened", "sms-accepted"]

    def test_a_text_that_is_too_long_is_cut(self, hooks: Any, server: Server) -> None:
        """RFC 2865 section 5: an attribute holds 253 octets."""
        server.service.outcome = Rejected("ü" * 300)
        assert Packet(hooks).second().reply["Reply-Message"] == "ü" * 126


class TestSteps:
    """`STEPS` says what each leads to."""

    def packet(self, hooks: Any, step: Step | str, **more: str) -> Packet:
        value = step.value if isinstance(step, Step) else step
        return Packet(hooks, SMSOTP_Step=value, **more)

    @pytest.mark.parametrize("step", Step)
    def test_once_the_first_factor_was_right(self, hooks: Any, server: Server, step: Step) -> None:
        called = self.packet(hooks, step).call("authenticate")
        assert [name for name, _ in server.service.calls] == [STEPS[step].right or "malformed"]
        assert called.code == {"ask": "HANDLED", "": "REJECT"}.get(STEPS[step].right, "OK")

    @pytest.mark.parametrize("step", Step)
    def test_once_freeradius_has_rejected(self, hooks: Any, server: Server, step: Step) -> None:
        called = self.packet(hooks, step).call("post_auth")
        assert [name for name, _ in server.service.calls] == [STEPS[step].wrong][
            : bool(called.reply)
        ]
        assert (called.code == "UPDATED") == bool(STEPS[step].wrong)

    @pytest.mark.parametrize("step", Step)
    def test_a_rejection_of_our_own_is_not_counted_again(
        self, hooks: Any, server: Server, step: Step
    ) -> None:
        one = self.packet(hooks, step, SMSOTP_Settled="yes")
        assert one.call("post_auth") == Called("NOOP", {}, {}, {})
        assert server.service.calls == []

    @pytest.mark.parametrize("step", ["", "PIN", "pin ", "nonsense"])
    def test_a_step_that_nobody_knows_leads_nowhere(
        self, hooks: Any, server: Server, step: str
    ) -> None:
        """A policy of another version: whoever asks is refused."""
        called = self.packet(hooks, step).call("authenticate")
        assert (called.code, called.config) == REFUSED
        assert self.packet(hooks, step).call("post_auth").code == "NOOP"
        assert server.service.calls == [("malformed", None)]

    def test_without_authorize_nobody_is_let_in(self, hooks: Any, server: Server) -> None:
        """Nobody has said then what the first factor is."""
        called = Packet(hooks).call("authenticate")
        assert (called.code, called.config) == REFUSED
        assert server.service.calls == [("malformed", None)]

    @pytest.mark.parametrize("step", [step for step in Step if step is not Step.IDENTITY])
    def test_without_a_password_nobody_is_let_in(
        self, hooks: Any, server: Server, step: Step
    ) -> None:
        one = Packet(hooks, None, SMSOTP_Step=step.value)
        assert (one.call("authenticate").code, server.service.calls) == (
            "REJECT",
            [("malformed", None)],
        )

    @pytest.mark.parametrize("hook", ["authenticate", "post_auth"])
    def test_without_a_name_nobody_is_let_in(self, hooks: Any, hook: str) -> None:
        given = lists([("User-Password", PIN)], [("SMSOTP-Step", "code")])
        assert call(getattr(hooks, hook), given).code in {"REJECT", "NOOP"}

    def test_a_handshake_that_proved_its_code_is_judged(self, hooks: Any, server: Server) -> None:
        """FreeRADIUS says so: no password is shown."""
        proof = {"CHAP_Password": "0x00", "SMSOTP_Proved": "yes"}
        one = Packet(hooks, None, SMSOTP_Step="pin-or-code", SMSOTP_Matched=ID, **proof)
        assert one.call("authenticate").code == "OK"
        assert server.service.calls == [("begin", True)]

    def test_every_step_that_authorize_says_is_said_to_come_from_there(
        self, hooks: Any, server: Server
    ) -> None:
        for step, course in STEPS.items():
            server.service.preparation = Preparation(step, None, None)
            if "hook" in course.set_in.split():
                assert Packet(hooks).authorized().config["SMSOTP-Step"] == step.value


HOOKS = {
    "authorize": {},
    "authenticate": {"SMSOTP_Step": "pin"},
    "post_auth": {"SMSOTP_Step": "pin"},
}


@pytest.mark.parametrize("hook", HOOKS)
class TestFailClosed:
    def test_what_nobody_has_foreseen_is_a_rejection(
        self, hooks: Any, server: Server, logged: list[str], hook: str
    ) -> None:
        """Logged by type and place: its text may hold a password."""
        server.service.failures = [ValueError(f"bad {PIN}")]
        called = Packet(hooks, **HOOKS[hook]).call(hook)
        assert called == Called("REJECT", {}, {}, {"SMSOTP-Settled": "refused"})
        [line] = logged
        assert line.startswith(f"smsotp: {hook} failed: ValueError at stand_ins.py:")
        assert PIN not in line

    def test_a_store_that_does_not_answer_is_told_to_the_user(
        self, hooks: Any, server: Server, logged: list[str], hook: str
    ) -> None:
        """It is not their fault, and nothing is counted."""
        server.service.failures = [StoreError("the disk is full")]
        called = Packet(hooks, **HOOKS[hook]).call(hook)
        assert (called.code, called.config) == REFUSED
        assert called.reply == {"Reply-Message": "Not now."}
        assert logged == ["smsotp: the disk is full: 1 login refused"]

    def test_where_others_may_answer_nothing_is_said(
        self, hooks: Any, server: Server, hook: str
    ) -> None:
        """But for a first factor that was wrong: so it is at any server."""
        server.lacking, server.has_others = ["the store"], True
        called = Packet(hooks, **HOOKS[hook]).call(hook)
        silent = {"Response-Packet-Type": "Do-Not-Respond", "SMSOTP-Settled": "refused"}
        if hook == "post_auth":
            assert (called.code, called.config) == REFUSED
        else:
            assert (called.code, called.reply, called.config) == ("HANDLED", {}, silent)

    def test_a_transaction_that_ran_into_another_is_tried_again(
        self, hooks: Any, server: Server, hook: str
    ) -> None:
        server.service.failures = [StoreConflictError("deadlock")]
        assert Packet(hooks, **HOOKS[hook]).call(hook).code in {"UPDATED", "OK"}
        assert len(server.service.calls) == 2

    @pytest.mark.parametrize("given", [5, {"request": 5}, {"request": ("User-Name",)}])
    def test_lists_that_cannot_be_read_are_a_rejection(
        self, hooks: Any, hook: str, given: Any
    ) -> None:
        called = call(getattr(hooks, hook), given)
        assert (called.code, called.config) == REFUSED

    def test_a_failure_within_a_failure_is_a_rejection(
        self, hooks: Any, server: Server, monkeypatch: pytest.MonkeyPatch, hook: str
    ) -> None:
        def unavailable(_: object) -> Rejected:
            raise KeyError(PIN)

        monkeypatch.setattr(server.service, "unavailable", unavailable)
        server.service.failures = [StoreError("the disk is full")]
        called = Packet(hooks, **HOOKS[hook]).call(hook)
        assert (called.code, called.config) == REFUSED


class TestAccounting:
    def test_a_report_is_taken_and_nothing_is_said(self, hooks: Any, server: Any) -> None:
        """The policy's other modules decide whether the client gets an answer."""
        taken: list[Event] = []
        server.report = taken.append
        told = {"Acct-Session-Id": "a1", "Acct-Status-Type": "Start"}
        packet = Packet(hooks, None, **{name.replace("-", "_"): one for name, one in told.items()})
        assert packet.call("accounting") == Called("NOOP", {}, {}, {})
        assert [(one.kind, one.account, one.client) for one in taken] == [
            ("session-started", "alice", "vpn")
        ]

    def test_a_device_that_falls_silent_is_told_of_when_there_is_time(
        self, hooks: Any, server: Any
    ) -> None:
        """Unless it gets as far as a login, or as being refused."""
        noted: list[Event] = []
        server.note = noted.append
        begun = response(PEAP, hello()[:100])
        for end in ("", "authorize", "post_auth", "accounting"):
            one = Packet(hooks, None, EAP_Message=begun, Calling_Station_Id=f"02-{end}")
            assert one.call("accounting") == Called("NOOP", {}, {}, {})
            if end:
                packet = response(PEAP, b"\0")
                Packet(hooks, PIN, Calling_Station_Id=f"02-{end}", EAP_Message=packet).call(end)
        hooks.clock.now += SILENT - 1
        server.watch.tidy()
        assert noted == []
        hooks.clock.now += 1
        for _ in range(2):
            server.watch.tidy()
        assert [(one.kind, one.account, one.station) for one in noted] == [
            ("eap-abandoned", "alice", "02-")
        ]

    def test_whatever_fails_it_is_no_failure(self, hooks: Any, logged: list[str]) -> None:
        """Nor is a value of the request in the log."""
        packet = Packet(hooks, None, Acct_Session_Id="s3cret", Acct_Status_Type="Start")
        # The stand-in has nothing that takes reports.
        assert packet.call("accounting") == Called("NOOP", {}, {}, {})
        assert "accounting failed" in logged[-1]
        assert "s3cret" not in logged[-1]
