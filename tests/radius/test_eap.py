"""EAP-GTC: what devices send, and what they are sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radius_smsotp.login.request import Round, Step
from radius_smsotp.radius import eap
from radius_smsotp.radius.eap import NOBODY, read

ID = "0123456789abcdef" * 2
ECHO = "fedcba9876543210"


def gtc(identifier: int, answer: bytes) -> bytes:
    """Response/GTC."""
    return bytes([2, identifier, 0, 5 + len(answer), 6]) + answer


def test_a_name_begins_a_conversation() -> None:
    assert read(b"\x02\x07\x00\x0a\x01alice", "") == Round(Step.IDENTITY, 7)


def test_the_question_for_the_pin_is_a_request_of_type_gtc() -> None:
    """RFC 3748 section 5.6, octet for octet."""
    state, packet = eap.ask(Round(Step.IDENTITY, 7), "PIN: ")
    assert packet == b"\x01\x08\x00\x0a\x06PIN: "
    assert state == f"{NOBODY}08"


def test_the_identifier_goes_round() -> None:
    state, packet = eap.ask(Round(Step.IDENTITY, 255), "?")
    assert (state[32:], packet[1]) == ("00", 0)


def test_the_answer_to_it_is_the_first_factor() -> None:
    state, _ = eap.ask(Round(Step.IDENTITY, 7), "PIN: ")
    assert read(gtc(8, b"1234"), state) == Round(Step.PIN, 8, b"1234")


def test_the_answer_to_the_next_question_is_a_code_for_its_challenge() -> None:
    state, _ = eap.ask(Round(Step.PIN, 8), "Code: ", ID, ECHO)
    assert read(gtc(9, b"123456"), state) == Round(Step.CODE, 9, b"123456", ID, ECHO)


def test_the_last_question_is_known_as_such() -> None:
    state, _ = eap.ask(Round(Step.PIN, 8), "Code: ", ID, ECHO)
    assert read(gtc(9, b"1"), state, two=True).last
    assert not read(gtc(8, b"1"), f"{NOBODY}08", two=True).last


def test_success_has_the_identifier_of_the_response() -> None:
    """RFC 3748 section 4.2."""
    assert eap.succeed(Round(Step.CODE, 9)) == b"\x03\x09\x00\x04"


def test_octets_behind_the_length_are_padding() -> None:
    """RFC 3748 section 4.1."""
    assert read(gtc(8, b"1234") + b"\0\0", f"{NOBODY}08").answer == b"1234"


def test_a_long_prompt_is_cut_between_two_characters() -> None:
    """RFC 3748 section 3.1: 1020 octets pass everywhere."""
    _, packet = eap.ask(Round(Step.IDENTITY, 7), "ä" * 1000)
    assert len(packet) == 1019
    assert int.from_bytes(packet[2:4], "big") == 1019
    assert packet[5:].decode() == "ä" * 507


@pytest.mark.parametrize(
    ("packet", "state", "fault"),
    [
        (b"", "", "sent an EAP packet without type"),
        (b"\x02\x08\x00\x04", "", "sent an EAP packet without type"),
        (b"\x02\x08\x00\x0a\x06123", "", "sent an EAP packet that is no whole response"),
        (b"\x01\x08\x00\x05\x06", "", "sent an EAP packet that is no whole response"),
        (b"\x02\x08\x00\x07\x03\x19\x07", "", "refuses EAP-GTC and asks for PEAP, 7"),
        (b"\x02\x08\x00\x06\x03\x00", "", "refuses EAP-GTC and asks for nothing else"),
        (b"\x02\x08\x00\x06\x0d\x80", "", "sent EAP type TLS in place of GTC"),
        (gtc(8, b"1234"), "", "answers a question that was not asked"),
        (gtc(8, b"1234"), ID, "answers a question that was not asked"),
        (gtc(8, b"1234"), f"{ID}08{ECHO}0", "answers a question that was not asked"),
        (gtc(8, b"1234"), f"{NOBODY}09", "answers another question than the one asked"),
    ],
)
def test_what_is_no_answer_is_unfit_and_the_fault_is_named(
    packet: bytes, state: str, fault: str
) -> None:
    turn = read(packet, state)
    assert (turn.step, turn.fault, turn.answer) == (None, fault, b"")


def test_a_device_may_want_mschapv2_and_then_that_begins_with_its_name() -> None:
    """RFC 3748 section 5.3.1: a Legacy Nak names what the device would rather have."""
    turn = read(b"\x02\x08\x00\x07\x03\x19\x1a", f"{NOBODY}08")
    assert (turn.step, turn.fault) == (Step.MSCHAPV2, "refuses EAP-GTC and asks for PEAP, MSCHAPv2")
    assert eap.begin(turn, "zoë") == b"\x02\x08\x00\x09\x01zo\xc3\xab"


@given(st.binary(max_size=64), st.text(max_size=60))
def test_nothing_that_is_sent_raises_or_is_taken_for_an_answer_without_a_question(
    packet: bytes, state: str
) -> None:
    turn = read(packet, state)
    assert turn.step in {Step.IDENTITY, Step.MSCHAPV2, None} or eap.STATE.fullmatch(state)


@given(
    st.integers(0, 255),
    st.sampled_from(["", ID]),
    st.sampled_from(["", ECHO]),
    st.binary(max_size=200),
)
def test_what_was_asked_is_what_is_answered(
    identifier: int, transaction_id: str, echo: str, answer: bytes
) -> None:
    state, packet = eap.ask(Round(Step.IDENTITY, identifier), "?", transaction_id, echo)
    turn = read(gtc(packet[1], answer), state)
    assert turn.step == (Step.CODE if transaction_id else Step.PIN)
    assert (turn.answer, turn.transaction_id) == (answer, transaction_id)


def test_an_answer_is_not_in_the_representation() -> None:
    assert "1234" not in repr(read(gtc(8, b"1234"), f"{NOBODY}08"))
