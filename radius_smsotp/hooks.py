"""
What FreeRADIUS calls.  The only importer of `radiusd`; never raises; fails closed.

FreeRADIUS lets one login at a time in here, so nothing slow may run: no SMS, no password
hash, no connect.  `authenticate` may wait for a provider's verdict, rationed (see
`radius.waiting`), and waits for the disk.  Where FreeRADIUS runs several instances of its module,
logins wait in those that call `await_delivery` and `await_disk`, and hold up nobody in here.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

# FreeRADIUS appends its python_path, so Debian's own packages come first: pydantic 1, say.
# The packages that were installed beside this one must win.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import functools
import logging
import threading
import time
from typing import TYPE_CHECKING, Any, ClassVar

import radiusd

from radius_smsotp.errors import ConfigurationError, StoreError
from radius_smsotp.login.answers import Accepted, Challenged, Outcome, Rejected
from radius_smsotp.login.request import Step
from radius_smsotp.radius import packets, process
from radius_smsotp.radius.waiting import Pending, Ration
from radius_smsotp.server import Server, Watch
from radius_smsotp.settings import DEFAULT_PATH
from radius_smsotp.store import insist

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from radius_smsotp.login.answers import Preparation
    from radius_smsotp.login.request import Request

    Lists = Mapping[str, Any]
    Hook = Callable[[Lists], packets.Result]

log = logging.getLogger(__name__)

ENDING_SECONDS = 0.5
"""For so long FreeRADIUS's end waits for threads that have something under way."""


class _State:
    """
    What the hooks of this process share: there is one module, and one of each.

    Attributes:
        waits_for_delivery, waits_for_disk: Whether the hooks do; else another instance does.
        ration: Of waiting in `authenticate`.
        pending: What `await_delivery` and `await_disk` wait for.
    """

    server: ClassVar[Server]
    watch: ClassVar[Watch]
    started: ClassVar[bool] = False
    waits_for_delivery: ClassVar[bool] = True
    waits_for_disk: ClassVar[bool] = True
    ration: ClassVar[Ration] = Ration()
    pending: ClassVar[Pending[packets.Result]] = Pending()


def instantiate(_: Lists | None) -> int:
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
        _State.server = Server(path)
    except ConfigurationError as error:
        for problem in error.problems:
            log.error("%s", problem)
        return -1
    except Exception as error:  # noqa: BLE001  # FreeRADIUS 3.2.1 would start all the same
        log.error("cannot start: %s", _where(error))
        return -1
    return 0


def instantiate_delivery(_: Lists | None) -> int:
    """There is an instance to wait for providers in."""
    _State.waits_for_delivery = False
    return 0


def instantiate_disk(_: Lists | None) -> int:
    """There is an instance to wait for the disk in."""
    _State.waits_for_disk = False
    return 0


def detach(_: Lists | None) -> int:
    """FreeRADIUS ends.  Messages that are not sent yet stay in the store, under their lease."""
    if _State.started:
        _State.watch.stop()
        _State.server.close()
        _end()
    return 0


def guarded(hook: Hook) -> Hook:
    """The one guard at the edge: whatever happens, FreeRADIUS gets a rejection."""

    @functools.wraps(hook)
    def call(lists: Lists) -> packets.Result:
        start = time.monotonic()
        try:
            _start()
            return insist(hook, lists)
        except StoreError as error:
            log.error("%s", error)
            return _render(None, _State.server.service.unavailable(packets.parse(lists)))
        except Exception as error:  # noqa: BLE001  # rlm_python3 would log values of our variables
            log.error("%s failed: %s", hook.__name__, _where(error))
            return packets.result(radiusd.RLM_MODULE_REJECT, [], [("SMSOTP-Settled", "yes")])
        finally:
            _State.ration.called(start, time.monotonic())

    return call


@guarded
def authorize(lists: Lists) -> packets.Result:
    """Tell FreeRADIUS how to check the first factor of the user who asks."""
    request = packets.parse(lists)
    if request is None:
        return packets.result(radiusd.RLM_MODULE_NOOP)
    service = _State.server.service
    if request.malformed:
        return _render(request, service.malformed(request))
    if request.password is None and not request.handshake and request.eap is None:
        return packets.result(radiusd.RLM_MODULE_NOOP)
    return _prepared(request, service.admission.prepare(request))


@guarded
def authenticate(lists: Lists) -> packets.Result:
    """The first factor was right, or an answer to a challenge came."""
    request = packets.parse(lists)
    server = _State.server
    if request is None:
        return _render(None, server.service.malformed())
    if request.step is Step.IDENTITY:
        return _render(request, server.service.ask(request))
    if request.step is None or (request.password is None and not request.handshake):
        # The policy did not run `authorize`: nobody has said what the first factor is.
        return _render(request, server.service.malformed(request))
    step = server.service.answer if request.step is Step.CODE else server.service.begin
    outcome = step(request, sync=_State.waits_for_disk)
    if request.judged:
        return _once_durable(server, radiusd.RLM_MODULE_HANDLED, _render(request, outcome))
    if not isinstance(outcome, Challenged) or outcome.wait <= 0:
        return _render(request, outcome)
    if _State.waits_for_delivery:
        return _render(request, _waited(server, outcome))
    deadline = time.monotonic() + outcome.wait

    def finish() -> packets.Result:
        return _render(request, _answered(server, outcome, deadline))

    return _left("delivery", deadline, radiusd.RLM_MODULE_HANDLED, finish)


@guarded
def await_delivery(lists: Lists) -> packets.Result:
    """Wait for the verdict on a message that `authenticate` has handed over."""
    return _concluded(lists)


@guarded
def await_disk(lists: Lists) -> packets.Result:
    """Wait until what `authenticate` or `post_auth` has written is durable."""
    return _concluded(lists)


@guarded
def post_auth(lists: Lists) -> packets.Result:
    """In Post-Auth-Type REJECT: count a first factor that was wrong."""
    request = packets.parse(lists)
    if request is None or request.settled or request.step in {None, Step.IDENTITY, Step.CODE}:
        return packets.result(radiusd.RLM_MODULE_NOOP)
    server, updated = _State.server, radiusd.RLM_MODULE_UPDATED
    if request.step is Step.DOWN:
        rejected = server.service.first_factor_down(request)
    else:
        rejected = server.service.first_factor_failed(request, sync=_State.waits_for_disk)
    result = packets.result(updated, [packets.reply_message(rejected.text)])
    return _once_durable(server, updated, result)


def _start() -> None:
    """Start the threads: at the first request, when FreeRADIUS has forked and loaded all."""
    if not _State.started:
        _State.started = True
        _State.watch = Watch(_State.server, _replace)
        replaced = False
        try:
            # The settings may have changed since FreeRADIUS has started.
            replaced = _State.watch.look()
        finally:
            if not replaced:
                _State.server.start()
            _State.watch.start()


def _end() -> None:
    """
    End the process here, once what is nearly done is done.

    FreeRADIUS before 3.2.7 ends the interpreter without holding its lock (`Py_Finalize` in
    `mod_detach`), and crashes if a thread has been at work.  It has stopped serving, removed its
    PID file and written its log by now: all it would still do is to free memory.
    """
    until = time.monotonic() + ENDING_SECONDS
    # FreeRADIUS's own threads, which it has ended by now, have names that Python made up.
    names = ("Dummy", "Main")
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.name.startswith(names):
            thread.join(max(0.0, until - time.monotonic()))
    os._exit(0)


def _replace(server: Server) -> None:
    _State.server = server


def _once_durable(server: Server, code: int, result: packets.Result) -> packets.Result:
    """
    What the client hears once all that was written is durable.

    Args:
        code: What the policy is told meanwhile, if that is waited for elsewhere.
    """
    if _State.waits_for_disk:
        return result
    position = server.store.position

    def finish() -> packets.Result:
        server.store.sync(position)
        return result

    return _left("disk", time.monotonic(), code, finish)


def _left(
    what: str, until: float, code: int, finish: Callable[[], packets.Result]
) -> packets.Result:
    """Leave a login to another instance, which finds it by the ticket."""
    ticket = _State.pending.leave(what, until, finish)
    return packets.result(code, config=[("SMSOTP-Ticket", ticket)])


def _concluded(lists: Lists) -> packets.Result:
    """What the call before this one has left open, once that is over."""
    finish = _State.pending.take(packets.ticket(lists))
    return packets.result(radiusd.RLM_MODULE_NOOP) if finish is None else finish()


def _waited(server: Server, outcome: Challenged) -> Outcome:
    """Wait as long as the ration allows: all other logins wait behind this one."""
    start = time.monotonic()
    most = server.courier.patience(outcome.route, outcome.wait)
    share = server.loaded.values.delivery.wait_share
    allowance = _State.ration.allowance(start, most, share)
    answered = _answered(server, outcome, start + allowance)
    if allowance > 0:
        _State.ration.waited(start, time.monotonic())
    return answered


def _answered(server: Server, outcome: Challenged, until: float) -> Outcome:
    """The answer to the first step, once the verdict is there or the time is up."""
    try:
        state = server.courier.wait(outcome.transaction_id, until)
    except StoreError as error:
        # The challenge is open and its message on its way: only the verdict stays unknown.
        log.warning("the verdict on a message cannot be read: %s", error)
        return outcome
    return Rejected(outcome.undelivered) if state == "failed" else outcome


def _prepared(asked: Request, preparation: Preparation) -> packets.Result:
    """What FreeRADIUS needs to check the first factor."""
    config: list[tuple[str, str]] = [("SMSOTP-Step", preparation.step.value)]
    if preparation.step is not Step.MSCHAPV2:  # that is another module's
        config.append(("Auth-Type", "smsotp"))
    if preparation.pin_hash is not None:
        config.append(("PBKDF2-Password", preparation.pin_hash))
    if preparation.matched:
        config.append(("SMSOTP-Matched", preparation.matched))
    if preparation.candidate is not None:
        config.append(("SMSOTP-Candidate", preparation.candidate))
    if preparation.reason:
        config.append(("SMSOTP-Reason", preparation.reason))
    request = []
    if asked.name is not None:
        request.append(("User-Name", asked.name))
    if preparation.password is not None:
        request.append(("User-Password", preparation.password))
    if preparation.step is Step.MSCHAPV2 and asked.eap is not None:
        request.append(packets.eap_message(asked.eap.begin(asked.identity)))
    return packets.result(radiusd.RLM_MODULE_UPDATED, config=config, request=request)


def _render(request: Request | None, outcome: Outcome) -> packets.Result:
    """An outcome in FreeRADIUS's terms.  The policy makes the EAP packet of a rejection."""
    turn = None if request is None else request.eap
    if isinstance(outcome, Accepted):
        success = [] if turn is None else [packets.eap_message(turn.succeed())]
        return packets.result(radiusd.RLM_MODULE_OK, success)
    message = packets.reply_message(outcome.text)
    unasked = turn is not None and turn.last
    if isinstance(outcome, Rejected) or outcome.style == "reject" or unasked:
        settled = [("SMSOTP-Settled", "yes")]
        return packets.result(radiusd.RLM_MODULE_REJECT, [message], settled)
    asked = [("State", outcome.transaction_id), message]
    if turn is not None:
        state, packet = turn.ask(outcome.text, outcome.transaction_id, outcome.echo)
        asked = [("State", state), packets.eap_message(packet)]
    # HANDLED with the packet type beside it: if that pair were lost, FreeRADIUS would reject.
    return packets.result(
        radiusd.RLM_MODULE_HANDLED, asked, [("Response-Packet-Type", "Access-Challenge")]
    )


def _where(error: Exception) -> str:
    """Type and place of an unforeseen error; its text may hold a password."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__name__
    file = Path(trace.tb_frame.f_code.co_filename).name
    return f"{type(error).__name__} at {file}:{trace.tb_lineno}"
