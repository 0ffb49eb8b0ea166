"""SIM, network, signal and service centre."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from radius_smsotp.errors import Busy, Refused, Unavailable
from radius_smsotp.providers.contract import PHONE, message, soon
from radius_smsotp.providers.modem.device import file_name
from tests.providers.modem.gsm_modem import LONG, PLAIN, GsmModem, decode, provider_for

PIN = "4711"


def tried_file(modem: GsmModem, folder: Path) -> Path:
    return folder / f"{file_name(modem.cable.name)}.pin-tried"


def test_the_pin_is_entered_when_the_sim_asks_and_only_then(
    modem: GsmModem, tmp_path: Path
) -> None:
    modem.sim = "SIM PIN"
    sender = provider_for(modem, tmp_path, pin=PIN)
    sender.send(message(1), soon())
    sender.send(message(2), soon())
    assert modem.commands.count(f'AT+CPIN="{PIN}"') == 1
    assert not tried_file(modem, tmp_path).exists()


def test_a_wrong_pin_is_tried_once_whoever_tries(modem: GsmModem, tmp_path: Path) -> None:
    modem.sim = "SIM PIN"
    first = provider_for(modem, tmp_path, pin="0000")
    with pytest.raises(Refused, match="the SIM refused the PIN: incorrect password") as caught:
        first.send(message(1), soon())
    assert caught.value.out_of_order
    # The next program, say after a restart, and a check.
    for _ in range(2):
        again = provider_for(modem, tmp_path, pin="0000")
        with pytest.raises(Refused, match="it is not tried again"):
            again.send(message(2), soon())
        [problem] = again.check()
        assert problem.path == "providers.gsm.pin"
        assert str(tried_file(modem, tmp_path)) in problem.remedy
    assert modem.tries_left == 2
    assert "0000" not in tried_file(modem, tmp_path).read_text()

    tried_file(modem, tmp_path).unlink()  # as the remedy says
    provider_for(modem, tmp_path, pin=PIN).send(message(3), soon())
    assert len(modem.received()) == 1


def test_a_sim_that_was_unlocked_by_hand_forgets_the_wrong_pin(
    modem: GsmModem, tmp_path: Path
) -> None:
    modem.sim = "SIM PIN"
    with pytest.raises(Refused):
        provider_for(modem, tmp_path, pin="0000").send(message(1), soon())
    modem.sim = "READY"
    provider_for(modem, tmp_path, pin="0000").send(message(2), soon())
    assert not tried_file(modem, tmp_path).exists()


def test_a_pin_that_got_no_answer_counts_as_tried(modem: GsmModem, tmp_path: Path) -> None:
    modem.sim = "SIM PIN"
    modem.mute_on_lines.add(f'AT+CPIN="{PIN}"')
    with pytest.raises(Unavailable, match="did not answer"):
        provider_for(modem, tmp_path, pin=PIN).send(message(1), soon(4))
    with pytest.raises(Refused, match="it is not tried again"):
        provider_for(modem, tmp_path, pin=PIN).send(message(2), soon())


def test_a_sim_that_is_busy_is_waited_for(modem: GsmModem, tmp_path: Path) -> None:
    modem.sim = "SIM PIN"
    modem.busy_answers = 2
    provider_for(modem, tmp_path, pin=PIN).send(message(1), soon())
    assert len(modem.received()) == 1
    assert modem.tries_left == 3


@pytest.mark.parametrize("answer", ["+CME ERROR: SIM busy", "+CMS ERROR: 314"])
def test_a_sim_that_is_busy_is_waited_for_in_any_words(
    modem: GsmModem, tmp_path: Path, answer: str
) -> None:
    modem.sim, modem.busy_answers, modem.busy_answer = "SIM PIN", 2, answer
    provider_for(modem, tmp_path, pin=PIN).send(message(1), soon())
    assert modem.tries_left == 3


@pytest.mark.parametrize("text", [PLAIN, LONG])
def test_a_sim_that_is_too_busy_for_the_text_is_waited_for(
    modem: GsmModem, tmp_path: Path, text: str
) -> None:
    modem.busy_texts = 2
    provider_for(modem, tmp_path).send(message(1, text), soon())
    assert modem.received() == [(PHONE, text)]


def test_a_sim_that_stays_busy_is_unavailable(modem: GsmModem, tmp_path: Path) -> None:
    """And its PIN does not count as tried."""
    modem.sim, modem.busy_answers = "SIM PIN", 1000
    with pytest.raises(Unavailable, match="SIM busy"):
        provider_for(modem, tmp_path, pin=PIN, timeout=4).send(message(1), soon())
    assert not tried_file(modem, tmp_path).exists()


@pytest.mark.parametrize(
    ("busy", "states", "words"),
    [(2, [""], "SIM busy"), (0, ["NOT READY", ""], "the SIM is not ready in time")],
)
def test_a_sim_that_falls_silent_is_told_by_what_it_said_before(
    modem: GsmModem, tmp_path: Path, busy: int, states: list[str], words: str
) -> None:
    modem.sim, modem.busy_answers, modem.sim_comes_up = "SIM PIN", busy, states
    with pytest.raises(Busy, match=words):
        provider_for(modem, tmp_path, pin=PIN, timeout=4).send(message(1), soon())
    assert not tried_file(modem, tmp_path).exists()


def test_a_pin_whose_answer_is_missing_counts_as_tried_though_the_sim_was_busy(
    modem: GsmModem, tmp_path: Path
) -> None:
    modem.sim = "SIM PIN"
    modem.failures_of_lines[f'AT+CPIN="{PIN}"'] = "+CME ERROR: 14"
    sender = provider_for(modem, tmp_path, pin=PIN, timeout=4)
    with ThreadPoolExecutor() as pool:
        sending = pool.submit(sender.send, message(1), soon())
        assert modem.wait_for(lambda: f'AT+CPIN="{PIN}"' in modem.commands)
        modem.mute_on_lines.add(f'AT+CPIN="{PIN}"')
        assert isinstance(sending.exception(), Unavailable)
    assert tried_file(modem, tmp_path).exists()


@pytest.mark.parametrize("states", [["NOT READY"] * 3, ["Not Ready", "SIM busy", "NOT READY"]])
def test_a_sim_that_is_not_ready_is_waited_for(
    modem: GsmModem, tmp_path: Path, states: list[str]
) -> None:
    modem.sim, modem.sim_comes_up = "SIM PIN", list(states)
    provider_for(modem, tmp_path, pin=PIN).send(message(1), soon())
    assert len(modem.received()) == 1


@pytest.mark.parametrize("state", ["NOT INSERTED", "SIM NOT INSERTED"])
def test_a_slot_without_sim_is_named_at_once(modem: GsmModem, tmp_path: Path, state: str) -> None:
    modem.sim = state
    [problem] = provider_for(modem, tmp_path).check()
    assert (problem.fault, problem.remedy) == ("no SIM inserted", "insert a SIM")


@pytest.mark.parametrize(
    ("sim", "words", "remedy", "setting"),
    [
        ("SIM PIN", "the SIM asks for its PIN", "set `pin`", "pin"),
        ("SIM PUK", "the SIM is blocked", "unblock it with its PUK", "pin"),
        ("PH-SIM PIN", "the modem asks for PH-SIM PIN", "unlock it", "port"),
    ],
)
def test_a_locked_sim_is_named(
    modem: GsmModem, tmp_path: Path, sim: str, words: str, remedy: str, setting: str
) -> None:
    modem.sim = sim
    sender = provider_for(modem, tmp_path)
    with pytest.raises(Refused, match=words) as caught:
        sender.send(message(), soon())
    assert caught.value.out_of_order
    [problem] = sender.check()
    assert problem.path == f"providers.gsm.{setting}"
    assert words in problem.fault
    assert remedy in problem.remedy


def test_a_modem_without_sim_is_named(modem: GsmModem, tmp_path: Path) -> None:
    modem.failures["AT+CPIN"] = "+CME ERROR: 10"
    sender = provider_for(modem, tmp_path)
    with pytest.raises(Unavailable, match="no SIM inserted"):
        sender.send(message(), soon())
    [problem] = sender.check()
    assert "no SIM inserted" in problem.fault
    assert problem.remedy == "insert a SIM"


@pytest.mark.parametrize("state", [1, 5, 6, 7])
def test_registration_is_waited_for(modem: GsmModem, tmp_path: Path, state: int) -> None:
    modem.registration = [0, 2, 2, state]
    provider_for(modem, tmp_path).send(message(), soon())
    assert len(modem.received()) == 1


@pytest.mark.parametrize(
    ("state", "words"), [(2, "searching"), (3, "denied by the network"), (8, "emergency calls")]
)
def test_a_modem_without_network_is_unavailable_and_named(
    modem: GsmModem, tmp_path: Path, state: int, words: str
) -> None:
    modem.registration = [state]
    sender = provider_for(modem, tmp_path, timeout=4)
    with pytest.raises(Unavailable, match=f"not registered in a network: {words}"):
        sender.send(message(), soon())
    problems = [str(problem) for problem in sender.check()]
    assert words in problems[0]
    assert len(problems) == 1


def test_what_was_known_before_the_time_is_up_is_told(modem: GsmModem, tmp_path: Path) -> None:
    """However slow the modem is, and whichever question it leaves without an answer."""
    modem.registration = [2, 2, None]
    with pytest.raises(Unavailable, match="not registered in a network: searching"):
        provider_for(modem, tmp_path, timeout=4).send(message(), soon())


def test_an_answer_that_comes_late_is_none_to_the_next_question(
    modem: GsmModem, tmp_path: Path
) -> None:
    """Else signal and service centre would seem to be missing as well."""
    modem.registration = [2, 2, -2]
    problems = [str(problem) for problem in provider_for(modem, tmp_path, timeout=4).check()]
    assert len(problems) == 1
    assert "not registered in a network: searching" in problems[0]


def test_no_signal_and_no_service_centre_are_both_named(modem: GsmModem, tmp_path: Path) -> None:
    modem.registration = [2]
    modem.signal = 99
    modem.service_centre = ""
    problems = {
        problem.fault: problem for problem in provider_for(modem, tmp_path, timeout=4).check()
    }
    assert [fault.partition(":")[0] for fault in problems] == [
        "not registered in a network",
        "no signal",
        "the SIM knows no service centre",
    ]
    assert problems["the SIM knows no service centre"].path == "providers.gsm.smsc"


def test_check_asks_for_no_service_centre_where_the_settings_name_one(
    modem: GsmModem, tmp_path: Path
) -> None:
    modem.service_centre = ""
    assert provider_for(modem, tmp_path, smsc="+491722270333").check() == []


def test_check_names_a_modem_that_cannot_pass_on_receipts(modem: GsmModem, tmp_path: Path) -> None:
    modem.unknown.add("AT+CNMI")
    sender = provider_for(modem, tmp_path, delivery_receipt=True)
    [problem] = sender.check()
    assert problem.path == "providers.gsm.delivery_receipt"
    sender.send(message(1, PLAIN), soon())
    # Then none is asked for: TP-SRR, TS 23.040 9.2.3.5.
    [submitted] = modem.submitted
    assert not decode(submitted.body)["header"]["srr"]
