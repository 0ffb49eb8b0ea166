"""The provider ``modem``: its settings, and the texts that it sends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from radius_smsotp.errors import Refused
from radius_smsotp.providers import Surroundings, build
from radius_smsotp.providers.contract import CODE, PHONE, ProviderContract, message, soon
from radius_smsotp.providers.modem.provider import Provider, Settings
from tests.providers.modem.gsm_modem import LONG, PLAIN, GsmModem, decode, provider_for

if TYPE_CHECKING:
    pass


PIN = "4711"


class ModemStandIn:
    """A modem whose SIM asks for its PIN."""

    secrets = (PIN,)

    def __init__(self, modem: GsmModem, folder: Path) -> None:
        self.modem = modem
        self.folder = folder
        modem.sim = "SIM PIN"

    def provider(self, **settings: Any) -> Provider:
        return provider_for(self.modem, self.folder, **{"pin": PIN, **settings})

    def refuse(self) -> None:
        self.modem.failures["AT+CMGS"] = "+CMS ERROR: 21"

    def be_busy(self) -> None:
        self.modem.failures["AT+CMGS"] = "+CMS ERROR: 42"

    def go_away(self) -> None:
        self.modem.cable.unplug()

    def fall_silent(self) -> None:
        self.modem.is_mute_after_text = True

    def received(self) -> list[tuple[str, str]]:
        return self.modem.received()


class TestContractOnAPty(ProviderContract):
    """The promises of every provider, on a serial line."""

    @pytest.fixture
    def stand_in(self, modem: GsmModem, tmp_path: Path) -> ModemStandIn:
        return ModemStandIn(modem, tmp_path)


class TestContractBehindTcp(ProviderContract):
    """The promises of every provider, behind ``socket://``."""

    @pytest.fixture
    def stand_in(self, tcp_modem: GsmModem, tmp_path: Path) -> ModemStandIn:
        return ModemStandIn(tcp_modem, tmp_path)


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"port": "ttyUSB0"}, "must be a device like /dev/ttyUSB0, or socket://HOST:PORT"),
        ({"port": "socket://host"}, "socket://HOST:PORT"),
        ({"port": "socket://host:99999"}, "Port out of range"),
        ({"port": "socket://host:1?logging=debug"}, "socket://HOST:PORT"),
        ({"port": "spy:///dev/ttyUSB0?file=/tmp/all"}, "socket://HOST:PORT"),
        ({"pin": 4711}, 'must stand in quotes, as "0123"'),
        ({"pin": "47-11"}, "must have 4 to 8 digits"),
        ({"smsc": "0171076"}, r"must be of the form \+491710760000"),
        ({"mode": "binary"}, "'auto', 'text' or 'pdu'"),
        ({"baudrate": 0}, "greater than 0"),
        ({"validity": 4}, "greater than or equal to 5"),
        ({"dialect": "nokia"}, "Extra inputs are not permitted"),
    ],
)
def test_a_fault_in_the_settings_is_named(settings: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault) as caught:
        Settings.model_validate({"type": "modem", "port": "/dev/ttyUSB0", **settings})
    assert "47" not in str(caught.value)


def test_settings_are_taken_in_any_letter_case_and_built_by_their_type(tmp_path: Path) -> None:
    settings = Settings.model_validate({"TYPE": "modem", "PORT": "/dev/ttyS0", "PIN": PIN})
    built = build("gsm", settings, Surroundings(tmp_path, {}, tmp_path))
    assert isinstance(built, Provider)
    assert PIN not in repr(settings)


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        "739154 is your code. Grüße, 5 €",
        "{739154} [5 €] ~a|b~ \\ ^ @ $ _\nsecond line",
        "739154 — ваш код 😀",
        LONG,
        "€" * 200,
        "😀" * 80,
        "739154" + "x" * 154,
        "739154" + "x" * 155,
    ],
)
def test_every_text_arrives_as_it_was(modem: GsmModem, tmp_path: Path, text: str) -> None:
    provider_for(modem, tmp_path).send(message(1, text), soon())
    assert modem.received() == [(PHONE, text)]


def test_text_mode_is_used_where_the_text_allows_it(modem: GsmModem, tmp_path: Path) -> None:
    sender = provider_for(modem, tmp_path)
    sender.send(message(1, PLAIN), soon())
    sender.send(message(2, PLAIN + " 5 €"), soon())
    sender.send(message(3, PLAIN * 4), soon())
    assert [part.text_mode for part in modem.submitted] == [True, False, False, False]


@pytest.mark.parametrize("command", ["AT+CMGF", "AT+CSCS", "AT+CSMP"])
def test_a_modem_without_text_mode_gets_a_pdu(
    modem: GsmModem, tmp_path: Path, command: str
) -> None:
    if command == "AT+CMGF":
        modem.failures_of_lines["AT+CMGF=1"] = "+CMS ERROR: 303"
    else:
        modem.unknown.add(command)
    provider_for(modem, tmp_path).send(message(1, PLAIN), soon())
    assert [part.text_mode for part in modem.submitted] == [False]
    assert modem.received() == [(PHONE, PLAIN)]


def test_a_modem_that_knows_only_the_gsm_character_set_gets_text(
    modem: GsmModem, tmp_path: Path
) -> None:
    modem.failures_of_lines['AT+CSCS="IRA"'] = "ERROR"
    provider_for(modem, tmp_path, mode="text").send(message(1, PLAIN), soon())
    assert [part.text_mode for part in modem.submitted] == [True]


def test_mode_pdu_sends_plain_text_as_pdu(modem: GsmModem, tmp_path: Path) -> None:
    provider_for(modem, tmp_path, mode="pdu").send(message(1, PLAIN), soon())
    assert [part.text_mode for part in modem.submitted] == [False]
    assert modem.received() == [(PHONE, PLAIN)]


@pytest.mark.parametrize("text", ["739154 — 5 €", PLAIN * 4, "739154\n5 minutes"])
def test_mode_text_refuses_what_text_mode_cannot_carry(
    modem: GsmModem, tmp_path: Path, text: str
) -> None:
    with pytest.raises(Refused, match="set `mode: auto`") as caught:
        provider_for(modem, tmp_path, mode="text").send(message(1, text), soon())
    assert not caught.value.out_of_order
    assert modem.submitted == []


def test_mode_text_on_a_modem_without_it_is_out_of_order(modem: GsmModem, tmp_path: Path) -> None:
    modem.unknown.add("AT+CMGF")
    with pytest.raises(Refused, match="knows no text mode") as caught:
        provider_for(modem, tmp_path, mode="text").send(message(1, PLAIN), soon())
    assert caught.value.out_of_order


def test_transliteration_makes_one_part_of_two(modem: GsmModem, tmp_path: Path) -> None:
    text = "739154 \u2013 „5 Minuten gültig“ … " * 4
    provider_for(modem, tmp_path, transliterate=True).send(message(1, text), soon())
    assert len(modem.submitted) == 1
    assert modem.received() == [(PHONE, '739154 - "5 Minuten gültig" ... ' * 4)]


def test_validity_service_centre_and_receipt_go_into_the_pdu(
    modem: GsmModem, tmp_path: Path
) -> None:
    options = {"validity": 720, "smsc": "+491722270333", "delivery_receipt": True}
    sender = provider_for(modem, tmp_path, mode="pdu", **options)
    sender.send(message(1, PLAIN), soon())
    sender.close()
    [part] = modem.submitted
    decoded = decode(part.body)
    assert decoded["vp"] == 143  # 12 hours
    assert decoded["smsc"]["number"] == "491722270333"
    assert decoded["header"]["srr"] is True


def test_validity_service_centre_and_receipt_go_into_text_mode(
    modem: GsmModem, tmp_path: Path
) -> None:
    options = {"validity": 720, "smsc": "+491722270333", "delivery_receipt": True}
    sender = provider_for(modem, tmp_path, mode="text", **options)
    sender.send(message(1, PLAIN), soon())
    sender.close()
    [part] = modem.submitted
    # TS 27.005 3.1: 49 is SMS-SUBMIT, relative validity, receipt wanted.
    assert part.parameters == '49,143,0,0 "+491722270333",145'


def test_the_parts_of_one_message_share_a_reference_that_the_next_message_has_not(
    modem: GsmModem, tmp_path: Path
) -> None:
    sender = provider_for(modem, tmp_path)
    sender.send(message(1, LONG), soon())
    sender.send(message(2, LONG), soon())
    headers = [decode(part.body)["user_data"]["header"] for part in modem.submitted]
    references = [header["elements"][0]["data"]["reference"] for header in headers]
    half = len(references) // 2
    assert half > 1
    assert len(set(references[:half])) == len(set(references[half:])) == 1
    assert references[0] != references[-1]


def test_the_receipt_names_the_references_of_all_parts(modem: GsmModem, tmp_path: Path) -> None:
    sender = provider_for(modem, tmp_path)
    assert sender.send(message(1, PLAIN), soon()).message_id == "12"
    assert sender.send(message(2, PLAIN * 4), soon()).message_id == "13,14"


def test_a_modem_that_names_no_reference_has_taken_the_message(
    modem: GsmModem, tmp_path: Path
) -> None:
    modem.gives_reference = False
    assert provider_for(modem, tmp_path).send(message(1, LONG), soon()).message_id is None


def test_a_reference_without_ok_is_an_acceptance(modem: GsmModem, tmp_path: Path) -> None:
    modem.loses_ok_after_text = True
    assert provider_for(modem, tmp_path).send(message(1, PLAIN), soon()).message_id == "12"


@pytest.mark.parametrize("phone", ['+49170"\r\nAT+CFUN=0', "anna", "", "+49 170"])
@pytest.mark.parametrize("mode", ["text", "pdu"])
def test_what_is_no_number_never_reaches_the_modem(
    modem: GsmModem, tmp_path: Path, phone: str, mode: str
) -> None:
    strange = type(message())(f"{1:032x}", phone, PLAIN, CODE)
    with pytest.raises(Refused, match="the number is not of the form"):
        provider_for(modem, tmp_path, mode=mode).send(strange, soon())
    assert not any("CMGS" in command or "CFUN" in command for command in modem.commands)


def test_a_text_of_more_than_255_parts_is_refused(modem: GsmModem, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="needs 256 parts"):
        provider_for(modem, tmp_path).send(message(1, "x" * 153 * 256), soon())
