"""``smsotp courier``: real processes on one store."""

from __future__ import annotations

import ctypes
import secrets
import signal
import subprocess
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.model import code
from radius_smsotp.model.records import Challenge, Message
from radius_smsotp.settings import keyring
from tests.providers.gateway import Gateway
from tests.support.site import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.installation import Installation
    from tests.providers.gateway import Call

pytestmark = pytest.mark.slow
"""Each starts processes of its own."""


class Door:
    """A gateway's behaviour: requests come in and wait until the door is opened."""

    def __init__(self) -> None:
        self._open = threading.Event()

    def __call__(self, call: Call) -> None:
        while not self._open.wait(0.05) and not call.gateway.over.is_set():
            pass
        call.answer(200, "ID: 4711")

    def open(self) -> None:
        """Answer all that wait, and all that come."""
        self._open.set()


def slowly(call: Call) -> None:
    """Answer after a fifth of a second."""
    call.gateway.over.wait(0.2)
    call.answer(200, "ID: 4711")


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """A gateway that takes every message."""
    with Gateway() as one:
        yield one


def use(here: Installation, gateway: Gateway, timeout: float = 0.5, **delivery: object) -> None:
    """Let couriers send through the gateway; a lease lasts `timeout` + 5 seconds."""
    provider = {
        "type": "http",
        "url": gateway.url,
        "parameter": {"to": "{phone}", "text": "{message}"},
        "return_success": "ID",
        "timeout": timeout,
    }
    here.write(providers={"gateway": provider}, delivery={"courier": "external", **delivery})


def queue(here: Installation, number: int) -> list[str]:
    """Queue messages as the hooks of a radiusd with an external courier do."""
    keys = keyring.read(here.folder / "key")
    now = datetime.now(UTC)
    made = []
    with here.store.write() as tx:
        for position in range(number):
            transaction_id = secrets.token_hex(16)
            sealed = code.seal(keys.secret, transaction_id, f"+4917000{position:05}")
            challenge = Challenge(
                transaction_id,
                account=f"user{position}",
                client="vpn",
                station="",
                key_id=keys.current,
                digits=6,
                phone_hint="***00",
                created_at=now,
                expires_at=now + timedelta(minutes=5),
                guesses_left=3,
                state="open",
            )
            tx.add_challenge(challenge)
            route = ("gateway",)
            tx.add_message(
                Message(transaction_id, 1, "queued", route, sealed, "{code}", lease_until=now)
            )
            made.append(transaction_id)
    return made


def start(here: Installation) -> subprocess.Popen[str]:
    """A courier that looks for messages."""
    process = here.start("courier", stderr=subprocess.PIPE)
    assert process.stderr is not None
    first = process.stderr.readline()
    assert "has started" in first, first
    return process


def accepted(here: Installation, ids: list[str]) -> bool:
    """Whether the store knows all these messages as accepted."""
    with here.store.read() as tx:
        found = [tx.message(one) for one in ids]
    return all(one is not None and one.state == "accepted" for one in found)


def numbers(gateway: Gateway) -> Counter[str]:
    """How often each number was sent to."""
    return Counter(request.query["to"][0] for request in list(gateway.requests))


class TestSending:
    def test_two_couriers_on_one_store_send_each_message_exactly_once(
        self, here: Installation, gateway: Gateway
    ) -> None:
        """However slow the gateway is: what one has taken up, the other leaves alone."""
        # 4 threads and 0.2 s for each of 200 messages: longer than the lease of one attempt.
        use(here, gateway, timeout=4, threads=2)
        gateway.behave = slowly
        ids = queue(here, 200)
        couriers = [start(here), start(here)]
        eventually(lambda: accepted(here, ids))
        assert len(numbers(gateway)) == 200
        assert set(numbers(gateway).values()) == {1}
        assert [one.poll() for one in couriers] == [None, None]

    def test_what_a_killed_courier_has_begun_is_sent_by_another(
        self, here: Installation, gateway: Gateway
    ) -> None:
        """As soon as the leases of the dead one have run out; nothing is lost."""
        use(here, gateway, threads=4)
        door = gateway.behave = Door()
        ids = queue(here, 20)
        first = start(here)
        eventually(lambda: len(gateway.requests) == 4)
        first.send_signal(signal.SIGKILL)
        first.wait()
        door.open()
        start(here)
        eventually(lambda: accepted(here, ids))
        counted = numbers(gateway)
        assert len(counted) == 20
        # Nobody can know whether the four that were under way have arrived.
        assert sorted(counted.values()) == [1] * 16 + [2] * 4

    def test_a_message_that_comes_later_is_sent_as_well(
        self, here: Installation, gateway: Gateway
    ) -> None:
        use(here, gateway)
        start(here)
        for number in range(3):
            ids = queue(here, 1)
            eventually(lambda ids=ids: accepted(here, ids))
            assert len(gateway.requests) == number + 1

    def test_its_log_holds_neither_code_nor_number(
        self, here: Installation, gateway: Gateway
    ) -> None:
        use(here, gateway)
        gateway.behave = lambda call: call.answer(500, f"no: {call.request.target}")
        [one] = queue(here, 1)
        process = start(here)
        eventually(lambda: len(here.events("user0")) >= 2)
        process.terminate()
        assert process.stderr is not None
        log = process.stderr.read()
        keys = keyring.read(here.folder / "key")
        assert code.derive(keys.secret, one, 6) not in log
        assert "17000" not in log


class TestTheEnd:
    @pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT], ids=lambda kind: kind.name)
    def test_a_signal_lets_it_finish_what_it_has_begun(
        self, here: Installation, gateway: Gateway, kind: signal.Signals
    ) -> None:
        use(here, gateway, timeout=60, threads=4)
        door = gateway.behave = Door()
        ids = queue(here, 10)
        process = start(here)
        eventually(lambda: len(gateway.requests) == 4)
        process.send_signal(kind)
        assert process.stderr is not None
        assert "finished first" in process.stderr.readline()
        door.open()
        assert process.wait(30) == 0
        begun = {request.query["to"][0][-2:] for request in gateway.requests}
        assert len(gateway.requests) == 4
        for position, one in enumerate(ids):
            assert accepted(here, [one]) == (f"{position:02}" in begun)
        assert process.stderr.read() == ""

    def test_a_signal_that_another_thread_gets_ends_it(
        self, here: Installation, gateway: Gateway
    ) -> None:
        """So would one that comes just before the main thread waits: nothing wakes that then."""
        use(here, gateway)
        process = start(here)
        others = {int(one.name) for one in Path(f"/proc/{process.pid}/task").iterdir()}
        others.remove(process.pid)
        tgkill = ctypes.CDLL(None, use_errno=True).tgkill
        assert tgkill(process.pid, min(others), signal.SIGTERM) == 0
        assert process.wait(30) == 0

    def test_a_second_signal_ends_it_at_once(self, here: Installation, gateway: Gateway) -> None:
        use(here, gateway, timeout=60)
        gateway.behave = Door()
        queue(here, 1)
        process = start(here)
        eventually(lambda: gateway.requests)
        process.terminate()
        assert process.stderr is not None
        assert "finished first" in process.stderr.readline()
        process.terminate()
        assert process.wait(30) == -signal.SIGTERM


class TestSettings:
    def test_it_refuses_where_radiusd_sends(self, here: Installation) -> None:
        done = here.run("courier")
        assert done.exit_code == 3
        assert done.stderr == (
            "smsotp: smsotp.yaml: delivery.courier: is internal: radiusd sends by itself; "
            "set it to external\n"
        )

    def test_new_settings_are_used_without_a_restart(
        self, here: Installation, gateway: Gateway
    ) -> None:
        use(here, gateway)
        process = start(here)
        with Gateway() as other:
            use(here, other)
            assert process.stderr is not None
            assert "read again" in process.stderr.readline()
            ids = queue(here, 5)
            eventually(lambda: accepted(here, ids))
            assert len(other.requests) == 5
            assert gateway.requests == []

    def test_settings_that_do_not_work_leave_the_ones_before_in_use(
        self, here: Installation, gateway: Gateway
    ) -> None:
        use(here, gateway)
        process = start(here)
        here.write(message="without the code")
        assert process.stderr is not None
        assert "do not work" in process.stderr.readline()
        assert "{code} is missing" in process.stderr.readline()
        ids = queue(here, 1)
        eventually(lambda: accepted(here, ids))

    def test_it_ends_when_radiusd_is_to_send(self, here: Installation, gateway: Gateway) -> None:
        """Two who send would not send twice, but one of them is not wanted."""
        use(here, gateway)
        process = start(here)
        use(here, gateway, courier="internal")
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert "delivery.courier is internal now" in process.stderr.read()


def test_a_database_that_is_not_up_yet_is_waited_for(here: Installation, gateway: Gateway) -> None:
    """After a power cut nobody starts it by hand: systemd does not, at exit code 3."""
    use(here, gateway)
    here.write(store="postgresql://smsotp:geheim@127.0.0.1:1/smsotp")
    process = here.start("courier", stderr=subprocess.PIPE)
    assert process.stderr is not None
    told = process.stderr.readline()
    assert "127.0.0.1:1/smsotp): cannot be reached" in told
    assert "tried again every 2 s" in told
    assert "geheim" not in told
    here.write(store=f"sqlite:///{here.folder}/smsotp.db")
    assert "has started" in process.stderr.readline()
    process.terminate()
    assert process.wait(20) == 0


def test_settings_that_do_not_work_are_not_waited_for(here: Installation) -> None:
    here.write(store="postgresql://smsotp@127.0.0.1:1/smsotp", delivery={"courier": "external"})
    (here.folder / "key").unlink()
    assert here.call("courier").returncode == 3
