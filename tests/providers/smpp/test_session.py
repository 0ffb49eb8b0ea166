"""The provider ``smpp`` when something goes wrong, and what comes from the SMSC unasked."""

from __future__ import annotations

import queue
import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.errors import Busy, DeliveryError, Refused, Unavailable, Unknown
from radius_smsotp.providers.contract import CODE, message, soon
from radius_smsotp.providers.smpp import session
from radius_smsotp.providers.smpp.receipt import DeliveryReceipt, read_receipt
from tests.providers.smpp.smsc import PATIENCE, Smsc
from tests.support.site import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RECEIPT = (
    "id:{id} sub:001 dlvrd:001 submit date:2607011200 done date:2607011201 stat:{stat} "
    "err:{err} text:739154 is your login"
)


@pytest.fixture
def smsc(tmp_path: Path) -> Iterator[Smsc]:
    with Smsc(tmp_path) as one:
        yield one


class TestVerdicts:
    @pytest.mark.parametrize(
        ("status", "verdict", "words", "out_of_order"),
        [
            (0x58, Busy, "ESME_RTHROTTLED", None),
            (0x14, Busy, "ESME_RMSGQFUL", None),
            (0x08, Unavailable, "ESME_RSYSERR", None),
            (0x64, Unavailable, "ESME_RX_T_APPN", None),
            (0x0B, Refused, "ESME_RINVDSTADR, Invalid Destination Address", False),
            (0x45, Refused, "ESME_RSUBMITFAIL", False),
            (0x0A, Refused, "ESME_RINVSRCADR, Invalid Source Address", True),
            (0x0400, Refused, "status 0x00000400, known to this SMSC only", False),
        ],
    )
    def test_an_error_to_a_message(
        self,
        smsc: Smsc,
        status: int,
        verdict: type[DeliveryError],
        words: str,
        out_of_order: bool | None,
    ) -> None:
        smsc.behave(submit=status)
        with pytest.raises(verdict, match=words) as caught:
            smsc.provider().send(message(), soon())
        assert getattr(caught.value, "out_of_order", None) == out_of_order

    @pytest.mark.parametrize(
        ("status", "verdict", "words"),
        [
            (0x05, Busy, "ESME_RALYBND"),
            (0x58, Busy, "ESME_RTHROTTLED"),
            (0x0D, Refused, "ESME_RBINDFAIL"),
            (0x0F, Refused, "ESME_RINVSYSID"),
        ],
    )
    def test_an_error_to_the_bind(
        self, smsc: Smsc, status: int, verdict: type[DeliveryError], words: str
    ) -> None:
        smsc.behave(bind=status)
        with pytest.raises(verdict, match=words) as caught:
            smsc.provider().send(message(), soon())
        assert getattr(caught.value, "out_of_order", True)
        assert smsc.received() == []

    def test_a_wrong_password_puts_the_provider_out_of_order(self, smsc: Smsc) -> None:
        with pytest.raises(Refused, match="ESME_RINVPASWD") as caught:
            smsc.provider(password="wr0ng-pw").send(message(), soon())
        assert caught.value.out_of_order
        assert "wr0ng-pw" not in str(caught.value)

    def test_a_silent_bind_is_unavailable_at_the_deadline(self, smsc: Smsc) -> None:
        smsc.behave(bind="silent")
        with pytest.raises(Unavailable, match="did not answer the bind in time"):
            smsc.provider().send(message(), soon(1))
        smsc.behave(bind=0)

    def test_a_connection_lost_after_submitting_is_unknown(self, smsc: Smsc) -> None:
        smsc.behave(submit="hang up")
        with pytest.raises(Unknown, match="no answer to submit_sm"):
            smsc.provider().send(message(), soon())

    def test_a_generic_nack_is_no_acceptance(self, smsc: Smsc) -> None:
        """Though its status is 0 (SMPP 3.4 4.3)."""
        smsc.behave(submit="generic_nack")
        with pytest.raises(Unknown, match="no answer to submit_sm"):
            smsc.provider().send(message(), soon())

    def test_the_time_limit_of_the_provider_holds(self, smsc: Smsc) -> None:
        smsc.behave(submit="silent")
        with pytest.raises(Unknown):
            smsc.provider(timeout=1).send(message(), soon(3600))

    def test_what_does_not_speak_smpp_is_unavailable(self, smsc: Smsc) -> None:
        with _talker(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
            one = smsc.provider(smsc_port=port)
            with pytest.raises(Unavailable, match="does not speak SMPP"):
                one.send(message(), soon())
            [problem] = one.check()
        assert problem.path == "providers.backup.smsc_host"
        assert "does not speak SMPP" in problem.fault


class TestConnection:
    def test_answers_in_any_order_find_their_message(self, smsc: Smsc) -> None:
        smsc.behave(hold=4)
        one = smsc.provider()
        with ThreadPoolExecutor(4) as pool:
            texts = [f"message {number}" for number in range(4)]
            receipts = pool.map(lambda text: one.send(message(text=text), soon()), texts)
            ids = dict(zip(texts, (receipt.message_id for receipt in receipts), strict=True))
        assert ids == {sent["text"]: sent["id"] for sent in smsc.seen("submit")}
        assert len(smsc.seen("bind")) == 1

    @pytest.mark.parametrize(("order", "facts"), [("hang up", {}), ("ask", {"command": "unbind"})])
    def test_a_lost_session_is_renewed(self, smsc: Smsc, order: str, facts: Any) -> None:
        one = smsc.provider()
        one.send(message(1), soon())
        session = one._link._session
        smsc.order(order, **facts)
        smsc.wait("close")
        # Until our end has heard of it: what is sent before may have been taken or not.
        eventually(lambda: session.lost is not None)
        one.send(message(2), soon())
        assert len(smsc.seen("bind")) == 2
        assert len(smsc.received()) == 2

    def test_a_forgotten_bind_is_renewed(self, smsc: Smsc) -> None:
        one = smsc.provider()
        smsc.behave(submit=0x04)
        with pytest.raises(Unavailable, match="ESME_RINVBNDSTS"):
            one.send(message(1), soon())
        smsc.behave(submit=0)
        one.send(message(2), soon())
        assert len(smsc.seen("bind")) == 2

    def test_a_session_that_no_longer_answers_is_given_up(self, smsc: Smsc) -> None:
        one = smsc.provider(link_interval=0.1)
        one.send(message(1), soon())
        smsc.wait("enquire_link")
        smsc.behave(enquire=False)
        smsc.wait("close")
        smsc.behave(enquire=True)
        one.send(message(2), soon())
        assert len(smsc.seen("bind")) == 2

    def test_an_answer_that_is_overdue_asks_for_a_sign_of_life(self, smsc: Smsc) -> None:
        smsc.behave(submit="silent")
        one = smsc.provider(link_interval=3600)
        with pytest.raises(Unknown):
            one.send(message(), soon(1))
        smsc.wait("enquire_link")

    def test_closing_ends_what_still_waits(self, smsc: Smsc) -> None:
        smsc.behave(submit="silent")
        one = smsc.provider()
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(one.send, message(), soon())
            smsc.wait("submit")
            one.close()
            assert isinstance(sending.exception(timeout=PATIENCE), Unknown)
        assert not [one for one in threading.enumerate() if one.name.startswith("smpp-")]

    def test_closing_ends_who_waits_for_the_bind(self, smsc: Smsc) -> None:
        smsc.behave(bind="silent")
        one = smsc.provider()
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(one.send, message(), soon())
            smsc.wait("bind")
            one.close()
            assert isinstance(sending.exception(timeout=PATIENCE), Unavailable)


class TestWhatTheSmscSends:
    def test_a_message_from_a_phone_between_the_answers_disturbs_nobody(self, smsc: Smsc) -> None:
        smsc.behave(deliver={"source_addr": "491700000000", "short_message": "STOP"})
        one = smsc.provider(bind="transceiver")
        receipts: queue.Queue[Any] = queue.Queue()
        one.on_receipt = lambda *receipt: receipts.put(receipt)
        for number in range(3):
            one.send(message(number), soon())
            assert smsc.wait("deliver_sm_resp")["status"] == 0
        assert receipts.empty()

    @pytest.mark.parametrize(
        ("stat", "err", "delivered"), [("DELIVRD", "000", True), ("UNDELIV", "012", False)]
    )
    def test_a_delivery_receipt_is_handed_on(
        self, smsc: Smsc, stat: str, err: str, delivered: bool
    ) -> None:
        one = smsc.provider(bind="transceiver")
        receipts: queue.Queue[Any] = queue.Queue()
        one.on_receipt = lambda *receipt: receipts.put(receipt)
        receipt = one.send(message(text="739154 " * 30), soon())
        # Of a message in parts, the last one alone has a receipt.
        assert [sent["registered"] for sent in smsc.seen("submit")] == [0, 1]
        text = RECEIPT.format(id=receipt.message_id, stat=stat, err=err)
        smsc.ask("deliver_sm", esm_class=4, short_message=text)
        assert smsc.wait("deliver_sm_resp")["status"] == 0
        told = receipts.get(timeout=PATIENCE)
        assert told == (receipt.message_id, delivered, f"{stat} err:{err}")
        assert CODE not in str(told)

    def test_a_receipt_that_could_not_be_kept_is_asked_for_again(self, smsc: Smsc) -> None:
        one = smsc.provider(bind="transceiver")

        def fail(*_receipt: object) -> None:
            raise OSError("the disk is full")

        one.on_receipt = fail
        one.send(message(), soon())
        text = RECEIPT.format(id="id-1", stat="DELIVRD", err="000")
        smsc.ask("deliver_sm", esm_class=4, short_message=text)
        assert smsc.wait("deliver_sm_resp")["status"] == 0x64  # ESME_RX_T_APPN

    def test_who_listens_is_bound_without_having_sent_anything(
        self, smsc: Smsc, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A process that was started anew hears of what was sent before, and after an outage."""
        monkeypatch.setattr(session, "STAY_SECONDS", 0.05)
        smsc.provider().listen()  # asks for no receipts
        one = smsc.provider(bind="transceiver")
        receipts: queue.Queue[Any] = queue.Queue()
        one.on_receipt = lambda *receipt: receipts.put(receipt)
        one.listen()
        one.listen()
        assert smsc.wait("bind")["command"] == "bind_transceiver"
        smsc.order("hang up")
        smsc.wait("bind")
        assert len(smsc.seen("bind")) == 2
        smsc.ask("deliver_sm", esm_class=4, short_message="id:7 stat:UNDELIV")
        assert receipts.get(timeout=PATIENCE) == ("7", False, "UNDELIV")

    def test_a_transmitter_asks_for_no_receipts(self, smsc: Smsc) -> None:
        smsc.provider().send(message(), soon())
        assert smsc.wait("submit")["registered"] == 0

    def test_requests_are_answered(self, smsc: Smsc) -> None:
        one = smsc.provider()
        one.send(message(), soon())
        smsc.ask("enquire_link")
        assert smsc.wait("enquire_link_resp")["status"] == 0
        smsc.ask("query_sm", message_id="id-1")  # not for us to answer
        assert smsc.wait("generic_nack")["status"] == 0x03
        smsc.ask("alert_notification", source_addr="4917", esme_addr="1")  # has no response
        one.send(message(2), soon())
        assert len(smsc.seen("bind")) == 1


def _tlv(tag: int, value: bytes) -> bytes:
    return struct.pack(">HH", tag, len(value)) + value


def _deliver(kind: int, text: bytes, tags: bytes = b"") -> bytes:
    """A deliver_sm, SMPP 3.4 4.6.1."""
    body = b"\0" + b"\1\x01491701234567\0" + b"\0\x001\0" + bytes([kind]) + b"\0\0\0\0\0\0\0\0"
    body += bytes([len(text)]) + text + tags
    return struct.pack(">LLLL", 16 + len(body), 0x00000005, 0, 1) + body


class TestReceipts:
    def test_parameters_win_over_the_text(self) -> None:
        tags = _tlv(0x001E, b"id-7\0") + _tlv(0x0427, b"\x05")
        assert read_receipt(_deliver(4, b"id:other stat:DELIVRD", tags)) == DeliveryReceipt(
            "id-7", False, "UNDELIV"
        )

    def test_a_parameter_out_of_place_does_not_hide_the_text(self) -> None:
        tags = _tlv(0x1403, b"vendor") + _tlv(0x0425, b"\x01") + _tlv(0x0427, b"")
        assert read_receipt(_deliver(4, b"id:a-1 stat:EXPIRED err:4E1", tags)) == DeliveryReceipt(
            "a-1", False, "EXPIRED err:4E1"
        )

    @pytest.mark.parametrize("kind", [0, 4, 0x44])
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (b"id:1A2B stat:UNDELIV", ("1A2B", False, "UNDELIV")),
            (b"id:0001a2b stat:Undeliv err:27", ("0001a2b", False, "Undeliv err:27")),
            (b'id:"1A2B" sub:001 stat:"UNDELIVERABLE"', ("1A2B", False, "UNDELIVERABLE")),
            (b"ID:'a.b@c/d+e=' STAT:'FAILED'", ("a.b@c/d+e=", False, "FAILED")),
            (b"id: 7, stat: delivered, err: 0", ("7", True, "delivered err:0")),
            (b" id:7 stat:REJECTED err:+491701234567", ("7", False, "REJECTED")),
            (b"id:7 stat:DELETED text:id:8 stat:DELIVRD", ("7", False, "DELETED")),
            (b"id:7 stat:EXPIRED Text:", ("7", False, "EXPIRED")),
            (b"id:7 stat:Unknown", ("7", False, "Unknown")),
        ],
    )
    def test_words_of_real_networks(
        self, kind: int, text: bytes, expected: tuple[str, bool, str]
    ) -> None:
        assert read_receipt(_deliver(kind, text)) == DeliveryReceipt(*expected)

    @pytest.mark.parametrize("kind", [0, 4])
    @pytest.mark.parametrize(
        "other", [b"", _tlv(0x0423, b"\x03"), _tlv(0x0005, b"\1"), _tlv(1, b"")]
    )
    @pytest.mark.parametrize("state", [b"\x05", b"\0\0\0\x05"])
    def test_parameters_alone(self, kind: int, other: bytes, state: bytes) -> None:
        """Others beside them, a state of four octets, an id without a NUL at its end."""
        for id_ in (b"1A2B", b"1A2B\0"):
            tags = other + _tlv(0x0427, state) + _tlv(0x001E, id_)
            assert read_receipt(_deliver(kind, b"", tags)) == DeliveryReceipt(
                "1A2B", False, "UNDELIV"
            )

    @pytest.mark.parametrize(
        ("kind", "text"),
        [
            (4, b"id:1 stat:ENROUTE"),
            (4, b"id:1 stat:ACCEPTD"),
            (4, b"stat:DELIVRD"),
            (4, b"text: id:1 stat:DELIVRD"),
            (4, b""),
            (0, b"my id:1 stat:DELIVRD"),
            (0, b"hello"),
            (0x08, b"id:1 stat:DELIVRD"),
            (0x20, b"id:1 stat:DELIVRD"),
        ],
    )
    def test_what_is_not_final_or_no_receipt_is_none(self, kind: int, text: bytes) -> None:
        assert read_receipt(_deliver(kind, text)) is None

    def test_half_a_pdu_is_none(self) -> None:
        whole = _deliver(4, b"id:1 stat:DELIVRD")
        assert [read_receipt(whole[:end]) for end in range(16, len(whole) - 8)] == [None] * (
            len(whole) - 24
        )


class _talker:  # noqa: N801  # reads as a function where it is used
    """A server that says one thing to everybody, then hangs up."""

    def __init__(self, words: bytes) -> None:
        self._words = words
        self._listener = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> int:
        threading.Thread(target=self._serve, daemon=True).start()
        port: int = self._listener.getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        try:
            while True:
                connection, _ = self._listener.accept()
                with connection:
                    connection.sendall(self._words)
                    connection.recv(4096)
        except OSError:
            return  # closed: the test is over
