"""The dialogue with a modem that talks oddly, or not at all."""

from __future__ import annotations

import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import serial
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from radius_smsotp.errors import Refused, Unavailable, Unknown
from radius_smsotp.providers import Surroundings
from radius_smsotp.providers.contract import PHONE, message, soon
from radius_smsotp.providers.modem import line
from radius_smsotp.providers.modem.line import LONGEST_LINE, Line
from radius_smsotp.providers.modem.pdu import DeliveryReceipt
from radius_smsotp.providers.modem.provider import Provider, Settings
from tests.providers.modem.gsm_modem import LONG, PLAIN, GsmModem, provider_for

if TYPE_CHECKING:
    from collections.abc import Callable


def chatter(modem: GsmModem) -> None:
    modem.unasked = b'\r\n+CMTI: "SM",3\r\n\r\n^RSSI: 17\r\n\r\n+CREG: 5\r\n\r\nRING\r\n'


def crumbs(modem: GsmModem) -> None:
    modem.crumb = 1


def noise(modem: GsmModem) -> None:
    modem.unasked = b"\x00\xff\xfe\x80\r\n"
    modem.say(b"\x00\xff" * 300)


def stubborn_echo(modem: GsmModem) -> None:
    modem.obeys_ate0 = False


def bare_prompt(modem: GsmModem) -> None:
    modem.prompt = b"\r\n>\r\n"


def no_error_codes(modem: GsmModem) -> None:
    modem.unknown |= {"AT+CMEE", "ATE0", "AT+CEREG"}


def left_at_the_prompt(modem: GsmModem) -> None:
    modem.prompted_by = "25"


@pytest.mark.parametrize(
    "oddity",
    [chatter, crumbs, noise, stubborn_echo, bare_prompt, no_error_codes, left_at_the_prompt],
)
@pytest.mark.parametrize("text", [PLAIN, LONG])
def test_an_odd_modem_is_understood(
    modem: GsmModem, tmp_path: Path, oddity: Callable[[GsmModem], None], text: str
) -> None:
    oddity(modem)
    receipt = provider_for(modem, tmp_path).send(message(1, text), soon())
    assert receipt.message_id is not None
    assert modem.received() == [(PHONE, text)]


@pytest.mark.parametrize(
    "answer", ["COMMAND NOT SUPPORT", "TOO MANY PARAMETERS", "command not supported", "NO CARRIER"]
)
@pytest.mark.parametrize("text", [PLAIN, LONG])
def test_an_answer_of_the_makers_own_is_an_error(
    modem: GsmModem, tmp_path: Path, answer: str, text: str
) -> None:
    """And no silence, which would end the attempt: there are other commands."""
    modem.makers_answers = dict.fromkeys(["AT+CEREG", "AT+CSCS", "AT+CMEE", "AT+CNMI"], answer)
    started = time.monotonic()
    provider_for(modem, tmp_path).send(message(1, text), soon())
    assert modem.received() == [(PHONE, text)]
    if answer != "NO CARRIER":  # which only the silence behind it makes an answer
        assert time.monotonic() - started < line.GRACE


@pytest.mark.parametrize("event", [b"\r\nNO CARRIER\r\n", b"\r\nSMS READY\r\n", b"\r\nRING\r\n"])
def test_a_word_before_an_answer_is_none(modem: GsmModem, tmp_path: Path, event: bytes) -> None:
    modem.unasked = event
    assert provider_for(modem, tmp_path).send(message(1, PLAIN), soon()).message_id == "12"


@pytest.mark.parametrize("left", ["ATV0", "ATQ1"])
def test_a_modem_that_was_left_without_words_is_given_them_back(
    modem: GsmModem, tmp_path: Path, left: str
) -> None:
    modem.mute_on_lines.add("AT")
    modem.makers_answers["AT"] = "0" if left == "ATV0" else ""
    provider_for(modem, tmp_path).send(message(1, PLAIN), soon())
    assert "ATQ0V1" in modem.commands


LIES = ["OK", "ERROR", "+CMGS: 99", "+CMS ERROR: 38", "> ", "+CDS: 25", "+CPIN: SIM PUK"]


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("refuses", [set(), {"AT+CNMI"}])
@pytest.mark.parametrize("mode", ["auto", "text"])
def test_an_sms_that_comes_in_is_no_answer(
    modem: GsmModem, tmp_path: Path, lie: str, refuses: set[str], mode: str
) -> None:
    modem.incoming = f'\r\n+CMT: "+491700000000",,"26/11/23,10:47:00+04"\r\n{lie}\r\n'.encode()
    modem.unknown = refuses
    receipt = provider_for(modem, tmp_path, mode=mode).send(message(1, PLAIN), soon())
    assert receipt.message_id == "12"
    assert modem.received() == [(PHONE, PLAIN)]
    modem.failures["AT+CMGS"] = "+CMS ERROR: 21"
    with pytest.raises(Refused, match="transfer rejected"):
        provider_for(modem, tmp_path, mode=mode).send(message(2, PLAIN), soon())


def test_a_modem_that_passes_sms_on_all_the_same_is_spoken_to_in_pdus(
    modem: GsmModem, tmp_path: Path
) -> None:
    """There no text, of however many lines, can look like an answer."""
    modem.unknown = {"AT+CNMI"}
    provider_for(modem, tmp_path).send(message(1, PLAIN), soon())
    assert not modem.submitted[0].text_mode


def test_an_echoed_text_is_no_answer(modem: GsmModem, tmp_path: Path) -> None:
    modem.obeys_ate0 = False
    modem.failures["AT+CMGS"] = "+CMS ERROR: 21"
    with pytest.raises(Refused, match="transfer rejected"):
        provider_for(modem, tmp_path).send(message(1, "OK"), soon())


def test_a_modem_that_speaks_nonsense_is_unavailable(modem: GsmModem, tmp_path: Path) -> None:
    modem.is_mute = True
    stop = threading.Event()

    def babble() -> None:
        while not stop.is_set():
            modem.say(os.urandom(997).replace(b"\n", b"?"))

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(babble)
        try:
            sender = provider_for(modem, tmp_path, baudrate=9600)
            with pytest.raises(Unavailable, match=r"does not answer to AT \(9600 baud\)"):
                sender.send(message(1), soon(4))
        finally:
            stop.set()
        running.result()


@given(st.binary(max_size=4096), st.lists(st.integers(1, 64), min_size=1, max_size=8))
@hypothesis_settings(max_examples=50, deadline=None)
def test_no_bytes_break_the_line_and_little_of_them_is_kept(data: bytes, sizes: list[int]) -> None:
    # loop:// gives back what is written to it.
    port = serial.serial_for_url("loop://", timeout=0)
    ours = Line(port, "")
    position = 0
    while position < len(data):
        size = sizes[position % len(sizes)]
        port.write(data[position : position + size])
        position += size
        ours.listen(0.001)
        assert len(ours._buffer) <= 2 * LONGEST_LINE
    assert len(ours.receipts) <= 256
    ours.close()


@pytest.mark.parametrize(
    ("said", "receipts"),
    [
        (b'+CDS: 6,12,,,"a,b","c,d",0\r\n', [DeliveryReceipt(12, 0)]),
        (b"+CDS: 06000B910221815716F2709021510121807090215101718000\r\n", [DeliveryReceipt(0, 0)]),
        # The PDU that was announced does not come: what comes instead is no receipt.
        (b'+CDS: 25\r\nRING\r\n+CDS: 6,13,,,"a","b",70\r\n', [DeliveryReceipt(13, 70)]),
        # What comes between belongs to others.
        (
            b"+CDS: 25\r\n\r\n+CREG: 1\r\n\r\nRING\r\n+CMT: ,3\r\nOK\r\n"
            b"06000B910221815716F2709021510121807090215101718000\r\n",
            [DeliveryReceipt(0, 0)],
        ),
        # An SMS that came in tells nothing.
        (b'+CMT: "+49170",,"x"\r\n+CDS: 6,12,,,"a,b","c,d",0\r\n', []),
        (b"+CDS: 25\r\n", []),
        (b"+CDS: nonsense\r\n", []),
    ],
)
def test_receipts_are_read_in_every_form(said: bytes, receipts: list[DeliveryReceipt]) -> None:
    port = serial.serial_for_url("loop://", timeout=0)
    ours = Line(port, "")
    port.write(said)
    ours.listen(0.001)
    assert ours.receipts == receipts
    ours.close()


def test_a_mute_modem_is_unavailable(modem: GsmModem, tmp_path: Path) -> None:
    modem.is_mute = True
    with pytest.raises(Unavailable, match="does not answer to AT"):
        provider_for(modem, tmp_path).send(message(), soon(4))


@pytest.mark.parametrize("command", ["AT+CPIN", "AT+CREG", "AT+CMGF", "AT+CSMP"])
def test_silence_before_the_text_is_unavailable(
    modem: GsmModem, tmp_path: Path, command: str
) -> None:
    modem.mute_on.add(command)
    with pytest.raises(Unavailable, match=rf"did not answer {command[:2]}\{command[2:]} in time"):
        provider_for(modem, tmp_path).send(message(1, PLAIN), soon(4))
    assert modem.submitted == []


def test_a_prompt_that_does_not_come_is_left_with_escape(modem: GsmModem, tmp_path: Path) -> None:
    modem.mute_on.add("AT+CMGS")
    sender = provider_for(modem, tmp_path)
    with pytest.raises(Unavailable, match=r"did not answer AT\+CMGS in time"):
        sender.send(message(1, PLAIN), soon(4))
    # One when the port was opened, one to leave the prompt.
    assert modem.wait_for(lambda: modem.escapes == 2)
    modem.mute_on.clear()
    sender.send(message(2, PLAIN), soon())
    assert modem.received() == [(PHONE, PLAIN)]


@pytest.mark.parametrize("text", [PLAIN, LONG])
def test_silence_after_the_text_is_unknown(modem: GsmModem, tmp_path: Path, text: str) -> None:
    modem.is_mute_after_text = True
    with pytest.raises(Unknown, match="after it took the text"):
        provider_for(modem, tmp_path).send(message(1, text), soon(4))
    assert len(modem.submitted) == 1


def test_a_cable_that_comes_off_after_the_text_is_unknown(
    modem: GsmModem, tcp_modem: GsmModem, tmp_path: Path
) -> None:
    for stand_in in (modem, tcp_modem):
        stand_in.unplugs_after_text = True
        with pytest.raises(Unknown, match="the line to the modem is broken, after"):
            provider_for(stand_in, tmp_path).send(message(1, PLAIN), soon(5))


def test_the_deadline_holds_where_the_modem_never_ends_to_talk(
    modem: GsmModem, tmp_path: Path
) -> None:
    modem.mute_on.add("AT+CREG")
    stop = threading.Event()

    def talk() -> None:
        while not stop.is_set():
            modem.say(b"\r\n^RSSI: 17\r\n" * 20)

    with ThreadPoolExecutor(2) as pool:
        sender = provider_for(modem, tmp_path)
        sending = pool.submit(sender.send, message(), soon(4))
        assert modem.wait_for(lambda: "AT+CREG?" in modem.commands)
        talking = pool.submit(talk)
        try:
            assert isinstance(sending.exception(timeout=30), Unavailable)
        finally:
            stop.set()
        talking.result()


def test_the_time_limit_of_the_settings_ends_an_attempt(modem: GsmModem, tmp_path: Path) -> None:
    modem.is_mute_after_text = True
    started = time.monotonic()
    with pytest.raises(Unknown):
        provider_for(modem, tmp_path, timeout=4).send(message(), soon(60))
    assert time.monotonic() - started < 30


def test_a_host_that_swallows_the_connection_ends_at_the_deadline(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        address = server.getsockname()
        # The queue of connections is full: the next one gets no answer.
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(address)
        port = f"socket://127.0.0.1:{address[1]}"
        settings = Settings.model_validate({"type": "modem", "port": port})
        sender = Provider("gsm", settings, Surroundings(tmp_path, {}, tmp_path))
        with pytest.raises(Unavailable, match="did not open in time"):
            sender.send(message(), soon(0.8))
        for client in waiting:
            client.close()
