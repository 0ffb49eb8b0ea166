"""
What FreeRADIUS calls.  The only importer of `radiusd`; never raises; fails closed.

FreeRADIUS lets one login at a time into an instance of its module, so nothing slow may run: no
SMS, no password hash, no connect.  `authenticate` may wait for a provider's verdict, rationed (see
`radius.waiting`), and waits for the disk.  Where FreeRADIUS runs several instances, logins wait in
those that call `await_delivery` and `await_disk`, and hold up nobody in here; and with a database,
several instances call what is here side by side, in one interpreter.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

# FreeRADIUS appends its python_path, so Debian's own packages come first: pydantic 1, say.
# The packages that were installed beside this one must win.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import functools
import json
import logging
import time
from dataclasses import asdict, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import radiusd

from radius_smsotp.errors import ConfigurationError, StoreError
from radius_smsotp.login.answers import Accepted, Challenged, Outcome, Rejected
from radius_smsotp.login.noise import Noise, of_name, rounds
from radius_smsotp.login.request import STEPS, Step
from radius_smsotp.radius import eap, packets, process, sessions
from radius_smsotp.radius.tunnels import Tunnels
from radius_smsotp.radius.waiting import Pending, Ration
from radius_smsotp.server import Server, Watch
from radius_smsotp.settings import DEFAULT_PATH
from radius_smsotp.store import insist

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from radius_smsotp.login.answers import Preparation
    from radius_smsotp.login.request import Request

    Lists = Mapping[str, Any]
    Hook = Callable[["Hooks", Lists], packets.Result]

log = logging.getLogger(__name__)


def guarded(hook: Hook) -> Hook:
    """The one guard at the edge: whatever happens, FreeRADIUS gets a rejection."""

    @functools.wraps(hook)
    def call(self: Hooks, lists: Lists) -> packets.Result:
        begun = self.clock()
        try:
            self.start()
            try:
                self.server.require_store()
                return insist(hook, self, lists)
            except StoreError as error:
                self.refusals.count(str(error))
                # Post-Auth-Type REJECT: the first factor was wrong, with or without the store.
                others = self.server.has_others and hook.__name__ != "post_auth"
                request = packets.parse(lists)
                return _render(None, self.server.service.unavailable(request, others=others))
        except Exception as error:  # noqa: BLE001  # rlm_python3 would log values of our variables
            log.error("%s failed: %s", hook.__name__, process.where(error))
            return packets.result(radiusd.RLM_MODULE_REJECT, (), [("SMSOTP-Settled", "refused")])
        finally:
            self.ration.called(begun, self.clock())

    return call


_started = functools.partial(Server, starting=True)


class Hooks:
    """
    What FreeRADIUS calls, of all instances of its module.

    Args:
        load: Makes the first server of a settings file; raises `ConfigurationError`.
        watch: Replaces a server when its settings have changed.
        ration: Of waiting in `authenticate`.
        noise: What is known of failures, whatever the settings.
        clock: Monotonic seconds, as those of `time.monotonic`.

    Attributes:
        server: In use; there is none before `instantiate`.
        waits_for_delivery, waits_for_disk: Whether `authenticate` does; else another instance does.
    """

    server: Server

    def __init__(
        self,
        load: Callable[[Path], Server] = _started,
        watch: Callable[[Server, Callable[[Server], None], Callable[[], None]], Watch] = Watch,
        ration: Ration | None = None,
        noise: Noise | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ration = ration or Ration()
        self.noise = noise or Noise(len(os.sched_getaffinity(0)))
        self.tunnels = Tunnels()
        self.clock = clock
        self.refusals = process.Refusals(clock)
        self.waits_for_delivery = self.waits_for_disk = True
        self._load, self._watch = load, watch
        self._pending: Pending[packets.Result] = Pending(clock)
        self._watching: Watch | None = None
        self._starting = threading.Lock()

    def instantiate(self, _: Lists | None) -> int:
        """Read settings, key and store.  -1 keeps FreeRADIUS from starting."""
        levels = {
            logging.INFO: radiusd.L_INFO,
            logging.WARNING: radiusd.L_WARN,
            logging.ERROR: radiusd.L_ERR,
        }
        process.install(process.RadiusdHandler(radiusd.radlog, levels))
        # FreeRADIUS starts its threads after this.
        process.limit()
        # A courier thread hands the interpreter over within 1 ms instead of 5: hooks wait less.
        sys.setswitchinterval(0.001)
        configured = (getattr(radiusd, "config", None) or {}).get("settings")
        path = Path(configured or os.environ.get("SMSOTP_CONFIG") or DEFAULT_PATH)
        try:
            self.server = self._load(path)
        except ConfigurationError as error:
            for problem in error.problems:
                log.error("%s", problem)
            return -1
        except Exception as error:  # noqa: BLE001  # FreeRADIUS 3.2.1 would start all the same
            log.error("cannot start: %s", process.where(error))
            return -1
        return 0

    def instantiate_delivery(self, _: Lists | None) -> int:
        """There is an instance to wait for providers in."""
        self.waits_for_delivery = False
        return 0

    def instantiate_disk(self, _: Lists | None) -> int:
        """There is an instance to wait for the disk in."""
        self.waits_for_disk = False
        return 0

    def start(self) -> None:
        """Start the threads: at the first request, when FreeRADIUS has forked and loaded all."""
        if self._watching is not None:
            return
        with self._starting:
            if self._watching is not None:
                return
            self._replace(self.server)
            watching = self._watch(self.server, self._replace, self._tidy)
            replaced = False
            try:
                # The settings may have changed since FreeRADIUS has started.
                replaced = watching.look()
            finally:
                if not replaced:
                    self.server.start()
                watching.start()
                self._watching = watching

    def detach(self, _: Lists | None) -> int:
        """FreeRADIUS ends.  Messages not sent yet stay in the store, under their lease."""
        if self._watching is not None:
            self._watching.stop()
            self.server.close()
            process.end()
        return 0

    @guarded
    def authorize(self, lists: Lists) -> packets.Result:
        """Tell FreeRADIUS how to check the first factor of the user who asks."""
        request = packets.parse(lists)
        if request is None:
            # Status-Server (RFC 5997), say: who does not reach its store is not well.
            self.server.ask_store()
            return packets.result(radiusd.RLM_MODULE_NOOP)
        service = self.server.service
        self.tunnels.stands(request.client)
        if request.malformed:
            return _render(request, service.malformed(request))
        if request.password is None and not request.handshake and request.eap is None:
            return packets.result(radiusd.RLM_MODULE_NOOP)
        if not request.is_first:
            return _prepared(request, service.prepare(request))
        entry = self.noise.ask(request.account, request.client, self.clock())
        if entry is not None:
            preparation = service.prepare(request)
            spends = rounds(preparation.pin_hash)
            if self.noise.begin(entry, request.packet, spends, self.clock()):
                return _prepared(request, preparation)
        self._tell_noise(request)
        return _render(request, service.held_back(request))

    @guarded
    def authenticate(self, lists: Lists) -> packets.Result:
        """The first factor was right, or an answer to a challenge came."""
        request = packets.parse(lists)
        server, sync = self.server, self.waits_for_disk
        if request is None:
            return _render(None, server.service.malformed())
        given = request.password is not None or request.handshake
        self.noise.end(request.packet)
        match request.step:
            case Step.IDENTITY:
                outcome: Outcome = server.service.ask(request)
            case Step.CODE if given:
                outcome = server.service.answer(request, sync=sync)
            case Step.PIN | Step.PIN_OR_CODE | Step.PIN_AND_CODE | Step.PIN_AND_OLD_CODE if given:
                outcome = server.service.begin(request, sync=sync)
            case _:
                # The policy did not run `authorize`: nobody has said what the first factor is.
                return _render(request, server.service.malformed(request))
        whole = isinstance(outcome, Accepted)
        right = isinstance(outcome, Challenged) or request.old_code
        if whole or (request.is_first and right):
            self.noise.succeeded(request.account, request.client, self.clock(), whole=whole)
        elif request.is_first:
            self.noise.failed(request.account, request.client, self.clock())
        if request.judged:
            return self._once_durable(server, radiusd.RLM_MODULE_HANDLED, _render(request, outcome))
        if not isinstance(outcome, Challenged) or outcome.wait <= 0:
            return _render(request, outcome)
        if self.waits_for_delivery:
            return _render(request, self._waited(server, outcome))
        deadline = self.clock() + outcome.wait
        wait = server.courier.waiting(outcome.transaction_id)

        def finish() -> packets.Result:
            return _render(request, _answered(server, outcome, lambda: wait(deadline)))

        return self._left("delivery", deadline, radiusd.RLM_MODULE_HANDLED, finish)

    @guarded
    def conclude(self, lists: Lists) -> packets.Result:
        """In another instance: wait for what the call before has left open."""
        finish = self._pending.take(packets.ticket(lists))
        return packets.result(radiusd.RLM_MODULE_NOOP) if finish is None else finish()

    @guarded
    def post_auth(self, lists: Lists) -> packets.Result:
        """In Post-Auth-Type REJECT: count a first factor that was wrong."""
        request = packets.parse(lists)
        server, updated = self.server, radiusd.RLM_MODULE_UPDATED
        if request is None or request.settled:
            return packets.result(radiusd.RLM_MODULE_NOOP)
        self.tunnels.stands(request.client)
        self.noise.end(request.packet)
        match request.step and STEPS[request.step].wrong:
            case "first_factor_failed":
                sync = self.waits_for_disk
                rejected = server.service.first_factor_failed(request, sync=sync)
                if request.step is not Step.OTHER:  # no first factor was checked
                    self.noise.failed(request.account, request.client, self.clock())
                    self._tell_noise(request)
            case "first_factor_down":
                rejected = server.service.first_factor_down(request)
            case _:
                return packets.result(radiusd.RLM_MODULE_NOOP)
        result = packets.result(updated, [packets.reply_message(rejected.text)])
        return self._once_durable(server, updated, result)

    def accounting(self, lists: Lists) -> packets.Result:
        """
        What is only told: a session has begun or ended, or EAP came to no login.

        It is written later, so nobody waits for it in here.
        """
        try:
            self.start()
            now = datetime.now(timezone.utc)
            if event := sessions.reported(lists, now):
                self.server.report(event)
            elif event := self.tunnels.heard(lists, now, self.clock()):
                self.server.note(event)
        except Exception as error:  # noqa: BLE001  # as above; whoever accounts gets an answer
            log.error("accounting failed: %s", process.where(error))
        return packets.result(radiusd.RLM_MODULE_NOOP)

    def _tell_noise(self, request: Request) -> None:
        """Log and record that the client makes noise, if it does and it is time to."""
        report = self.noise.report(request.client, self.clock())
        if report is not None:
            try:
                self.server.service.note_noise(request.client, report)
            except StoreError as error:
                log.warning("noise could not be recorded: %s", error)

    def _tidy(self) -> None:
        """Once in a while: tell of who has fallen silent, and give memory back."""
        for event in self.tunnels.silent(self.clock()):
            self.server.note(event)
        self.refusals.tell()
        process.trim()

    def _replace(self, server: Server) -> None:
        self.server = server
        self.noise.names.allowance = of_name(server.loaded.values.lockout.failures)

    def _once_durable(self, server: Server, code: int, result: packets.Result) -> packets.Result:
        """
        What the client hears once all that was written is durable.

        Args:
            code: What the policy is told meanwhile, if that is waited for elsewhere.
        """
        if self.waits_for_disk:
            return result
        position = server.store.position

        def finish() -> packets.Result:
            server.store.sync(position)
            return result

        return self._left("disk", self.clock(), code, finish)

    def _left(
        self, what: str, until: float, code: int, finish: Callable[[], packets.Result]
    ) -> packets.Result:
        """Leave a login to another instance, which finds it by the ticket."""
        ticket = self._pending.leave(what, until, finish)
        return packets.result(code, config=[("SMSOTP-Ticket", ticket)])

    def _waited(self, server: Server, outcome: Challenged) -> Outcome:
        """Wait as long as the ration allows: all other logins wait behind this one."""
        start = self.clock()
        most = server.courier.patience(outcome.route, outcome.wait)
        share = server.loaded.values.delivery.wait_share
        allowance = self.ration.allowance(start, most, share)
        wait = server.courier.waiting(outcome.transaction_id)
        answered = _answered(server, outcome, lambda: wait(start + allowance))
        if allowance > 0:
            self.ration.waited(start, self.clock())
        return answered


class Rehearsal(Hooks):
    """
    What ``smsotp check --as`` has FreeRADIUS call: what it calls in a login, but looking on.

    No thread is started; nothing is written but what there is to report, a line of JSON at each
    call, into the file that the module's ``config`` names.  Nobody is let in: the process is asked
    by that command alone, and knows no other client.
    """

    def __init__(self) -> None:
        super().__init__(functools.partial(Server, in_radiusd=False, starting=True))

    def instantiate(self, lists: Lists | None) -> int:
        """As in a login; the report begins when all is ready."""
        result = super().instantiate(lists)
        if result == 0:
            self._report("instantiate")
        return result

    def authorize(self, lists: Lists) -> packets.Result:
        """Say how FreeRADIUS would be told to check the first factor, and what would follow."""
        from radius_smsotp.login.prospect import Foresight  # noqa: PLC0415  # no login needs it

        request = packets.parse(lists)
        if request is None or (request.password is None and not request.malformed):
            return packets.result(radiusd.RLM_MODULE_NOOP)
        # The packet comes from the command; whom it stands for is said beside the settings.
        address = radiusd.config.get("address", "")
        request = replace(request, client=replace(request.client, address=address))
        if request.malformed:
            self._report("authorize", reason="nul")
            return packets.result(radiusd.RLM_MODULE_REJECT)
        server = self.server
        try:
            server.require_store()
            preparation = server.service.prepare(request)
            foresight = Foresight(server.loaded, server.keys, server.store, server.courier)
            prospect = asdict(foresight.of(request))
        except StoreError as error:
            self._report("authorize", fault=str(error))
            return packets.result(radiusd.RLM_MODULE_REJECT)
        reason = preparation.reason or prospect["reason"]
        told = {"reason": reason, "phones": len(request.phones), "checkable": request.known_good}
        self._report("authorize", **prospect | told)
        return _prepared(request, replace(preparation, reason=reason))

    def authenticate(self, lists: Lists) -> packets.Result:
        """Whoever gets here would be asked for the code: see what the Access-Accept would hold."""
        request = packets.parse(lists)
        if request is None or request.step is not Step.PIN:
            return _render(None, Rejected(""))
        return _render(request, Accepted())

    def post_auth(self, lists: Lists) -> packets.Result:
        """Say why FreeRADIUS has refused."""
        request = packets.parse(lists)
        if request is not None and not request.settled:
            step = request.step.value if request.step else ""
            said = packets.failures(lists)
            self._report("post_auth", step=step, reason=request.reason, failures=said)
        return packets.result(radiusd.RLM_MODULE_NOOP)

    def accounting(self, _: Lists) -> packets.Result:
        """What is told beside a login is of no interest."""
        return packets.result(radiusd.RLM_MODULE_NOOP)

    def _report(self, call: str, **told: Any) -> None:
        with Path(radiusd.config["report"]).open("a", encoding="utf-8") as report:
            report.write(json.dumps({"call": call, **told}, default=datetime.isoformat) + "\n")


def _answered(server: Server, outcome: Challenged, wait: Callable[[], str]) -> Outcome:
    """The answer to the first step, once the verdict is there or the time is up."""
    try:
        state = wait()
        if outcome.by_way and state != "failed":
            way = server.courier.way(outcome.transaction_id)
            outcome = replace(outcome, text=outcome.by_way.get(way, outcome.text))
    except StoreError as error:
        # The challenge is open and its message on its way: only the verdict stays unknown.
        log.warning("the verdict on a message cannot be read: %s", error)
        return outcome
    return Rejected(outcome.undelivered) if state == "failed" else outcome


def _prepared(asked: Request, preparation: Preparation) -> packets.Result:
    """What FreeRADIUS needs to check the first factor."""
    mschapv2 = preparation.step is Step.MSCHAPV2  # that is another module's
    config = [
        ("SMSOTP-Step", preparation.step.value),
        ("Auth-Type", None if mschapv2 else "smsotp"),
        ("PBKDF2-Password", preparation.pin_hash),
        ("SMSOTP-Matched", packets.matched(preparation.matched, preparation.number)),
        ("SMSOTP-Candidate", preparation.candidate),
        ("SMSOTP-Proved", packets.BY_CLIENT if preparation.unasked else None),
        ("SMSOTP-Reason", preparation.reason or None),
    ]
    request = [
        ("User-Name", asked.name),
        ("Stripped-User-Name", asked.stripped),
        ("User-Password", preparation.password),
    ]
    if mschapv2 and asked.eap is not None:
        request.append(packets.eap_message(eap.begin(asked.eap, asked.identity)))
    return packets.result(radiusd.RLM_MODULE_UPDATED, config=config, request=request)


def _render(request: Request | None, outcome: Outcome) -> packets.Result:
    """An outcome in FreeRADIUS's terms.  The policy makes the EAP packet of a rejection."""
    turn = None if request is None else request.eap
    if isinstance(outcome, Accepted):
        success = [] if turn is None else [packets.eap_message(eap.succeed(turn))]
        begun = str(int(outcome.begun.timestamp())) if outcome.begun else None
        settled = [("SMSOTP-Settled", "accepted"), ("SMSOTP-Begun", begun)]
        return packets.result(radiusd.RLM_MODULE_OK, success, settled)
    message = packets.reply_message(outcome.text)
    unasked = turn is not None and turn.last
    if isinstance(outcome, Rejected) and outcome.silent:
        silence = [("Response-Packet-Type", "Do-Not-Respond"), ("SMSOTP-Settled", "refused")]
        return packets.result(radiusd.RLM_MODULE_HANDLED, (), silence)
    if isinstance(outcome, Rejected) or outcome.style == "reject" or unasked:
        refused = [("SMSOTP-Settled", "refused")]
        return packets.result(radiusd.RLM_MODULE_REJECT, [message], refused)
    asked = [("State", outcome.transaction_id), message]
    if turn is not None:
        state, packet = eap.ask(turn, outcome.text, outcome.transaction_id, outcome.echo)
        asked = [("State", state), packets.eap_message(packet)]
    # HANDLED with the packet type beside it: if that pair were lost, FreeRADIUS would reject.
    return packets.result(
        radiusd.RLM_MODULE_HANDLED, asked, [("Response-Packet-Type", "Access-Challenge")]
    )


_hooks = Hooks()
instantiate = _hooks.instantiate
instantiate_delivery = _hooks.instantiate_delivery
instantiate_disk = _hooks.instantiate_disk
detach = _hooks.detach
authorize = _hooks.authorize
authenticate = _hooks.authenticate
await_delivery = await_disk = _hooks.conclude
post_auth = _hooks.post_auth
accounting = _hooks.accounting

_rehearsal = Rehearsal()
rehearse_instantiate = _rehearsal.instantiate
rehearse_detach = _rehearsal.detach
rehearse_authorize = _rehearsal.authorize
rehearse_authenticate = _rehearsal.authenticate
rehearse_post_auth = _rehearsal.post_auth
rehearse_accounting = _rehearsal.accounting
