"""Delivery receipts, and who listens for them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.errors import Unavailable
from radius_smsotp.providers.contract import message, soon
from radius_smsotp.providers.modem.device import Listener
from radius_smsotp.providers.modem.provider import Provider
from tests.providers.modem.gsm_modem import PLAIN, GsmModem, provider_for

if TYPE_CHECKING:
    pass


class Recorder:
    """What `on_receipt` was called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, bool, str]] = []
        self.changed = threading.Condition()

    def __call__(self, message_id: str, delivered: bool, words: str) -> None:
        with self.changed:
            self.calls.append((message_id, delivered, words))
            self.changed.notify_all()

    def wait_for(self, count: int) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: len(self.calls) >= count, 10)


def listening(modem: GsmModem, folder: Path, **settings: Any) -> tuple[Provider, Recorder]:
    sender, recorder = provider_for(modem, folder, delivery_receipt=True, **settings), Recorder()
    sender.on_receipt = recorder
    return sender, recorder


def listeners() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "smsotp-modem-gsm"]


@pytest.mark.parametrize("mode", ["text", "pdu"])
@pytest.mark.parametrize(
    ("status", "delivered", "words"),
    [(0, True, "received by the phone"), (0x46, False, "validity period expired")],
)
def test_a_delivery_receipt_is_told(
    modem: GsmModem, tmp_path: Path, mode: str, status: int, delivered: bool, words: str
) -> None:
    sender, recorder = listening(modem, tmp_path, mode=mode)
    receipt = sender.send(message(1, PLAIN), soon())
    modem.receipt(12, status)
    assert recorder.wait_for(1)
    assert recorder.calls == [(receipt.message_id, delivered, f"{words} (TP-ST 0x{status:02X})")]
    sender.close()


@pytest.mark.parametrize("mode", ["text", "pdu"])
def test_a_receipt_that_the_modem_stores_is_fetched_and_deleted(
    modem: GsmModem, tmp_path: Path, mode: str
) -> None:
    """It tells of it with +CDSI.  A full memory would take no more of them."""
    modem.stores_receipts = True
    sender, recorder = listening(modem, tmp_path, mode=mode)
    sender.send(message(1, PLAIN), soon())
    sender.send(message(2, PLAIN), soon())
    modem.receipt(12)
    modem.receipt(13, 0x46)
    assert recorder.wait_for(2)
    assert [call[:2] for call in recorder.calls] == [("12", True), ("13", False)]
    assert modem.wait_for(lambda: not modem.stored)
    sender.close()


@pytest.mark.parametrize("event", [b"+CREG: 1\r\n", b'+CDSI: "SM",7\r\n', b"\r\nRING\r\n\r\n"])
def test_what_comes_between_a_receipt_and_its_pdu_loses_nothing(
    modem: GsmModem, tmp_path: Path, event: bytes
) -> None:
    modem.between = event
    sender, recorder = listening(modem, tmp_path, mode="pdu")
    sender.send(message(1, PLAIN), soon())
    modem.receipt(12)
    assert recorder.wait_for(1)
    assert recorder.calls[0][:2] == ("12", True)
    sender.close()


def test_a_message_of_several_parts_is_delivered_when_all_are(
    modem: GsmModem, tmp_path: Path
) -> None:
    sender, recorder = listening(modem, tmp_path)
    first = sender.send(message(1, PLAIN * 4), soon())
    second = sender.send(message(2, PLAIN * 4), soon())
    assert (first.message_id, second.message_id) == ("12,13", "14,15")
    modem.receipt(12)
    modem.receipt(15, 0x30)  # still being tried
    modem.receipt(14, 0x40)  # given up: the message is lost, whatever becomes of its other part
    modem.receipt(15)
    modem.receipt(13)
    assert recorder.wait_for(2)
    assert [call[:2] for call in recorder.calls] == [("14,15", False), ("12,13", True)]
    sender.close()


def test_a_receipt_that_comes_while_the_next_message_is_sent_is_told(
    modem: GsmModem, tmp_path: Path
) -> None:
    sender, recorder = listening(modem, tmp_path, mode="pdu")
    sender.send(message(1, PLAIN), soon())
    modem.receipt_before_answer = 12
    sender.send(message(2, PLAIN), soon())
    assert recorder.wait_for(1)
    assert recorder.calls[0][:2] == ("12", True)
    sender.close()


def test_nobody_listens_where_no_receipt_is_awaited(modem: GsmModem, tmp_path: Path) -> None:
    without = provider_for(modem, tmp_path)
    without.send(message(1, PLAIN), soon())
    assert listeners() == []
    sender, recorder = listening(modem, tmp_path)
    sender.send(message(2, PLAIN), soon())
    assert listeners() == ["smsotp-modem-gsm"]
    modem.receipt(13)
    assert recorder.wait_for(1)
    # The last receipt ends the listening; then somebody else gets the modem at once.
    assert without.check() == []
    assert listeners() == []


def test_who_listens_for_receipts_gives_the_modem_to_another_process_that_waits(
    modem: GsmModem, tmp_path: Path
) -> None:
    sender, recorder = listening(modem, tmp_path)
    sender.send(message(1, PLAIN), soon())
    other = provider_for(modem, tmp_path)
    other.send(message(2, PLAIN), soon())
    assert len(modem.received()) == 2
    # The first one listens on with its next message.
    sender.send(message(3, PLAIN), soon())
    modem.receipt(12)
    modem.receipt(14)
    assert recorder.wait_for(2)
    sender.close()


def test_a_recorder_that_fails_does_not_stop_delivery(modem: GsmModem, tmp_path: Path) -> None:
    sender, recorder = listening(modem, tmp_path)

    def fail(message_id: str, delivered: bool, words: str) -> None:
        recorder(message_id, delivered, words)
        raise RuntimeError(message_id)

    sender.on_receipt = fail
    sender.send(message(1, PLAIN), soon())
    modem.receipt(12)
    assert recorder.wait_for(1)
    sender.send(message(2, PLAIN), soon())
    assert len(modem.received()) == 2
    sender.close()


def test_a_cable_that_comes_off_while_listening_ends_it(modem: GsmModem, tmp_path: Path) -> None:
    sender, _ = listening(modem, tmp_path)
    sender.send(message(1, PLAIN), soon())
    [thread] = [thread for thread in threading.enumerate() if thread.name in listeners()]
    modem.cable.unplug()
    thread.join(10)
    assert not thread.is_alive()
    modem.cable.plug_in()
    sender.send(message(2, PLAIN), soon())
    assert len(modem.received()) == 2
    sender.close()
    assert listeners() == []


def test_check_takes_the_modem_from_who_listens_and_gives_it_back(
    modem: GsmModem, tmp_path: Path
) -> None:
    sender, recorder = listening(modem, tmp_path)
    sender.send(message(1, PLAIN), soon())
    assert sender.check() == []
    modem.receipt(12)
    assert recorder.wait_for(1)
    sender.close()


def test_a_recorder_that_hangs_costs_a_message_but_not_its_deadline(
    modem: GsmModem, tmp_path: Path
) -> None:
    sender = provider_for(modem, tmp_path, delivery_receipt=True)
    entered, leave = threading.Event(), threading.Event()

    def hang(*_: object) -> None:
        entered.set()
        leave.wait(20)

    sender.on_receipt = hang
    sender.send(message(1, PLAIN), soon())
    modem.receipt(12)
    assert entered.wait(10)
    with pytest.raises(Unavailable, match="a delivery receipt is still being recorded"):
        sender.send(message(2, PLAIN), soon(4))
    leave.set()
    sender.send(message(3, PLAIN), soon())
    assert len(modem.received()) == 2
    sender.close()


def test_without_a_thread_to_listen_in_messages_go_out_all_the_same(
    modem: GsmModem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their receipts are lost; the modem is free for the next one."""

    def none_left(_: Listener) -> None:
        raise RuntimeError("can't start new thread")

    sender, recorder = listening(modem, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Listener, "start", none_left)
        assert sender.send(message(1, PLAIN), soon()).message_id == "12"
    sender.send(message(2, PLAIN), soon())
    modem.receipt(13, 0)
    assert recorder.wait_for(1)
    sender.close()
