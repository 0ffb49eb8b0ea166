"""
The promises of a provider, as a suite for pytest: ours keep them, and so does one of yours.

The test module of a provider subclasses `ProviderContract` and gives the fixture `stand_in`: a
`StandIn` for the gateway, with the means to make it accept, refuse, be away, or fall silent.  See
docs/how-to/own-provider.rst.
"""

from __future__ import annotations

import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

import pytest

from radius_smsotp.errors import Busy, DeliveryError, Refused, Unavailable, Unknown
from radius_smsotp.providers import Message, Receipt

if TYPE_CHECKING:
    from radius_smsotp.providers import Provider

CODE = "739154"
PHONE = "+491701234567"


def message(number: int = 0, text: str = "739154 is your login code. Grüße, 5 €") -> Message:
    """A message of its own transaction."""
    spoken = "sieben, drei, neun, eins, fünf, vier"
    return Message(
        f"{number:032x}",
        PHONE,
        text,
        CODE,
        language="de",
        code_spoken=spoken,
        message_spoken=f"Ihr Code: {spoken}.",
    )


def soon(seconds: float = 20.0) -> float:
    """A deadline, in `time.monotonic()` seconds."""
    return time.monotonic() + seconds


class StandIn(Protocol):
    """A gateway under the control of a test."""

    secrets: tuple[str, ...]
    """Passwords that the provider's settings hold."""

    def provider(self) -> Provider:
        """A provider that is set up for this gateway."""

    def refuse(self) -> None:
        """From now on, say no for good."""

    def be_busy(self) -> None:
        """From now on, say that there is no room for a message now."""

    def go_away(self) -> None:
        """From now on, take nothing: unreachable, or out of service."""

    def fall_silent(self) -> None:
        """From now on, take the message and never answer."""

    def received(self) -> list[tuple[str, str]]:
        """The messages that were taken so far: number (digits, any prefix) and text."""


class ProviderContract:
    """The suite.  `can_refuse` and the like are False where a back end has no such case."""

    can_refuse = True
    can_be_busy = True
    can_fall_silent = True

    def test_a_message_arrives_whole(self, stand_in: StandIn) -> None:
        provider = stand_in.provider()
        receipt = provider.send(message(), soon())
        assert isinstance(receipt, Receipt)
        [(phone, text)] = stand_in.received()
        assert phone.lstrip("+0") == PHONE.lstrip("+")
        assert text == message().text
        provider.close()

    def test_a_refusal_is_refused(self, stand_in: StandIn) -> None:
        if not self.can_refuse:
            return
        provider = stand_in.provider()
        stand_in.refuse()
        with pytest.raises(Refused) as caught:
            provider.send(message(), soon())
        self._is_safe(caught.value, stand_in)
        provider.close()

    def test_a_gateway_that_is_busy_says_so(self, stand_in: StandIn) -> None:
        """It is there: nobody need be kept from it."""
        if not self.can_be_busy:
            return
        provider = stand_in.provider()
        stand_in.be_busy()
        with pytest.raises(Busy) as caught:
            provider.send(message(), soon())
        self._is_safe(caught.value, stand_in)
        provider.close()

    def test_a_gateway_that_is_away_is_unavailable(self, stand_in: StandIn) -> None:
        provider = stand_in.provider()
        stand_in.go_away()
        with pytest.raises(Unavailable) as caught:
            provider.send(message(), soon())
        assert not isinstance(caught.value, Busy)
        self._is_safe(caught.value, stand_in)
        provider.close()

    def test_silence_after_submitting_is_unknown_and_ends_at_the_deadline(
        self, stand_in: StandIn
    ) -> None:
        if not self.can_fall_silent:
            return
        provider = stand_in.provider()
        stand_in.fall_silent()
        # The deadline wins over the provider's own, longer time limit (10 s).  A machine that is
        # busy may need more of it before the message is submitted.
        with ThreadPoolExecutor(1) as pool:
            for seconds in (0.4, 4.0):
                future = pool.submit(provider.send, message(), soon(seconds))
                error = future.exception(timeout=8)
                if isinstance(error, Unknown):
                    break
        assert isinstance(error, Unknown), repr(error)
        self._is_safe(error, stand_in)
        provider.close()

    def test_a_deadline_that_has_passed_sends_nothing(self, stand_in: StandIn) -> None:
        provider = stand_in.provider()
        with pytest.raises(Unavailable):
            provider.send(message(), time.monotonic() - 1)
        assert stand_in.received() == []
        provider.close()

    def test_several_threads_may_send_at_once(self, stand_in: StandIn) -> None:
        provider = stand_in.provider()
        with ThreadPoolExecutor(4) as pool:
            receipts = list(pool.map(lambda n: provider.send(message(n), soon()), range(8)))
        assert len(receipts) == 8
        assert len(stand_in.received()) == 8
        provider.close()

    def test_it_works_again_when_the_gateway_is_back(self, stand_in: StandIn) -> None:
        provider = stand_in.provider()
        provider.send(message(1), soon())
        provider.close()
        provider.send(message(2), soon())
        assert len(stand_in.received()) == 2
        provider.close()

    def test_a_host_without_another_thread_is_unavailable_at_worst(
        self, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And only for as long as that lasts (RLIMIT_NPROC, TasksMax of systemd)."""
        provider = stand_in.provider()
        start = threading.Thread.start
        own = ("radius_smsotp.", type(provider).__module__.partition(".")[0])

        def start_theirs(thread: threading.Thread) -> None:
            of = getattr(thread, "_target", None) or type(thread)
            if of.__module__.startswith(own):
                raise RuntimeError("can't start new thread")
            start(thread)

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", start_theirs)
            try:
                provider.send(message(1), soon())
            except Unavailable as error:
                self._is_safe(error, stand_in)
                assert stand_in.received() == []
        taken = len(stand_in.received())
        provider.send(message(2), soon())
        assert len(stand_in.received()) == taken + 1
        provider.close()

    def test_check_finds_nothing_wrong_and_sends_nothing(self, stand_in: StandIn) -> None:
        provider = stand_in.provider()
        assert provider.check() == []
        assert stand_in.received() == []
        provider.close()

    def test_it_may_be_closed_twice(self, stand_in: StandIn) -> None:
        provider = stand_in.provider()
        provider.close()
        provider.close()

    def _is_safe(self, error: DeliveryError, stand_in: StandIn) -> None:
        """The text of the error, of what it came from, and its traceback hold no secret."""
        told = "".join(traceback.format_exception(error))
        seen: BaseException | None = error
        while seen is not None:
            told += f"{seen} {seen!r}"
            hidden = seen.__suppress_context__
            seen = seen.__cause__ or (None if hidden else seen.__context__)
        for secret in (CODE, PHONE, PHONE.lstrip("+"), message().text, *stand_in.secrets):
            assert secret not in told, type(error)
