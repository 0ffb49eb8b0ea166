"""Errors of the modem and of the network, and what they mean for the message."""

from __future__ import annotations

from pathlib import Path

import pytest

from radius_smsotp.errors import DeliveryError, Refused, Unavailable, Unknown
from radius_smsotp.providers.contract import message, soon
from radius_smsotp.providers.modem.errors import CODES, ModemError, explain
from tests.providers.modem.gsm_modem import LONG, PLAIN, GsmModem, provider_for


@pytest.mark.parametrize(
    ("answer", "error", "out_of_order", "words"),
    [
        ("+CMS ERROR: 21", Refused, False, "short message transfer rejected"),
        ("+CMS ERROR: 8", Refused, True, "operator determined barring"),
        ("+CMS ERROR: 38", Unavailable, None, "network out of order"),
        ("+CMS ERROR: 330", Refused, True, "set `smsc`"),
        ("+CMS ERROR: 332", Unknown, None, "network timeout"),
        ("+CMS ERROR: 515", Unavailable, None, "an error of the manufacturer"),
        ("+CME ERROR: 30", Unavailable, None, "no network"),
        ("+CMS ERROR: SIM not inserted", Unavailable, None, "insert a SIM"),
        ("+CMS ERROR: network timeout", Unknown, None, "network timeout"),
        ("+CMS ERROR: no such luck", Unavailable, None, '"no such luck"'),
        ("TOO MANY PARAMETERS", Unavailable, None, r"TOO MANY PARAMETERS to AT\+CMGS"),
        ("ERROR", Unavailable, None, r"answered ERROR to AT\+CMGS"),
    ],
)
def test_an_error_is_sorted_by_what_the_caller_does_next(
    modem: GsmModem,
    tmp_path: Path,
    answer: str,
    error: type[DeliveryError],
    out_of_order: bool | None,
    words: str,
) -> None:
    modem.failures["AT+CMGS"] = answer
    with pytest.raises(error, match=words) as caught:
        provider_for(modem, tmp_path).send(message(1, PLAIN), soon())
    assert type(caught.value) is error
    assert getattr(caught.value, "out_of_order", None) is out_of_order


def test_every_code_has_a_name_and_a_verdict() -> None:
    assert len(CODES) == 79
    for code, (name, kind) in CODES.items():
        family, number = code.split()
        error = explain(f"+{family} ERROR: {number}", "AT+CMGS")
        assert error is not None
        assert error.code == code
        assert str(error.as_error()).startswith(f"{name} (+{family} ERROR: {number} to AT+CMGS)")
        assert error.kind is kind


def test_a_refusal_at_the_second_part_is_the_verdict_of_the_message(
    modem: GsmModem, tmp_path: Path
) -> None:
    modem.fails_from_part = 2
    modem.failure_of_parts = "+CMS ERROR: 42"
    with pytest.raises(Unavailable, match="congestion"):
        provider_for(modem, tmp_path).send(message(1, LONG), soon())
    assert len(modem.submitted) == 1


def test_a_modem_error_becomes_the_error_that_its_verdict_says() -> None:
    assert isinstance(ModemError(Refused, "x").as_error(), Refused)
    assert str(ModemError(Unknown, "x", "do y").as_error()) == "x; do y"
