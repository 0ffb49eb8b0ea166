"""The provider ``smpp`` against an SMSC of another make (node-smpp), on loopback."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from pydantic import ValidationError

from radius_smsotp import errors
from radius_smsotp.errors import Refused
from radius_smsotp.providers.contract import PHONE, ProviderContract, message, soon
from radius_smsotp.providers.smpp.provider import Settings
from tests.providers.smpp.smsc import Smsc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONG = "Your code is [739154]. " * 8  # 184 letters, 200 septets: two parts
CYRILLIC = "Ваш код 739154, он действует пять минут. " * 2  # 82 letters: two parts of UCS-2


@pytest.fixture
def smsc(tmp_path: Path) -> Iterator[Smsc]:
    with Smsc(tmp_path) as one:
        yield one


class TestContract(ProviderContract):
    @pytest.fixture
    def stand_in(self, smsc: Smsc) -> Smsc:
        return smsc


class TestWhatIsSent:
    def test_one_bind_serves_many_messages(self, smsc: Smsc) -> None:
        one = smsc.provider(system_type="OTP")
        for number in range(3):
            one.send(message(number), soon())
        [bind] = smsc.seen("bind")
        assert (bind["command"], bind["system_id"], bind["system_type"]) == (
            "bind_transmitter",
            "radius",
            "OTP",
        )
        one.close()
        assert len(smsc.seen("unbind")) == 1

    def test_the_message_id_is_that_of_the_smsc(self, smsc: Smsc) -> None:
        receipt = smsc.provider().send(message(), soon())
        assert receipt.message_id == smsc.wait("submit")["id"]

    def test_a_text_of_the_gsm_alphabet_goes_out_in_it(self, smsc: Smsc) -> None:
        text = "@£$¥ Grüße, 5 € {[~]} ΔΦΓ"
        smsc.provider().send(message(text=text), soon())
        sent = smsc.wait("submit")
        assert (sent["text"], sent["coding"], sent["header"]) == (text, 0, [])

    def test_any_other_text_goes_out_in_ucs2(self, smsc: Smsc) -> None:
        text = "Код 739154 🔑"
        smsc.provider().send(message(text=text), soon())
        sent = smsc.wait("submit")
        assert (sent["text"], sent["coding"]) == (text, 8)

    @pytest.mark.parametrize("text", [LONG, CYRILLIC])
    def test_a_long_text_goes_out_in_parts(self, smsc: Smsc, text: str) -> None:
        receipt = smsc.provider().send(message(0xA7, text=text), soon())
        sent = smsc.seen("submit")
        assert "".join(part["text"] for part in sent) == text
        # 3GPP TS 23.040 9.2.3.24.1: element 00, three octets: number of all, parts, part.
        assert [part["header"] for part in sent] == [["0003a70201"], ["0003a70202"]]
        assert receipt.message_id == sent[-1]["id"]

    @pytest.mark.parametrize("text", [LONG, CYRILLIC])
    def test_a_long_text_may_go_out_whole(self, smsc: Smsc, text: str) -> None:
        smsc.provider(long_text="payload").send(message(text=text), soon())
        [sent] = smsc.seen("submit")
        assert (sent["payload"], sent["text"]) == (text, "")

    @pytest.mark.parametrize(
        ("settings", "expected"),
        [
            ({}, ["Example", 5, 0]),
            ({"s_addr": "+491700000000"}, ["491700000000", 1, 1]),
            ({"s_addr": 12345}, ["12345", 0, 0]),
            ({"s_addr": "12345", "S_ADDR_TON": "0x03", "s_addr_npi": 9}, ["12345", 3, 9]),
            ({"s_addr": "1", "s_addr_ton": "Network-specific", "s_addr_npi": "ISDN"}, ["1", 3, 1]),
        ],
    )
    def test_the_kind_of_sender_is_guessed_or_given(
        self, smsc: Smsc, settings: dict[str, Any], expected: list[Any]
    ) -> None:
        smsc.provider(**settings).send(message(), soon())
        assert smsc.wait("submit")["from"] == expected

    def test_the_number_goes_out_as_the_settings_say(self, smsc: Smsc) -> None:
        smsc.provider(service_type="OTP").send(message(), soon())
        sent = smsc.wait("submit")
        assert (sent["to"], sent["service_type"]) == (["491701234567", 1, 1], "OTP")
        smsc.provider(regexp=r"/^\+49/0/", d_addr_ton="national", d_addr_npi="0x01").send(
            message(), soon()
        )
        assert smsc.wait("submit")["to"] == ["01701234567", 2, 1]

    def test_a_number_that_is_none_is_refused_without_a_word_of_it(self, smsc: Smsc) -> None:
        with pytest.raises(Refused, match="regexp") as caught:
            smsc.provider(regexp=r"/^\+/tel:/").send(message(), soon())
        assert PHONE[1:] not in str(caught.value)
        assert smsc.seen("bind") == []

    @pytest.mark.server
    def test_a_password_longer_than_the_standard_allows_is_sent_whole(self, tmp_path: Path) -> None:
        with Smsc(tmp_path, password="sixteen-letters!") as smsc:
            assert smsc.provider().send(message(), soon()).message_id


class TestSettings:
    def test_what_privacyidea_exports_is_taken_as_it_is(self) -> None:
        pasted = """
            {"type": "smpp", "SMSC_HOST": "smsc.example.org", "SMSC_PORT": "2775",
             "SYSTEM_ID": "radius", "PASSWORD": "s3cr3t-8", "S_ADDR": "Example",
             "S_ADDR_TON": "0x05", "S_ADDR_NPI": "0", "D_ADDR_TON": "1", "D_ADDR_NPI": "",
             "REGEXP": "/^0/+49/"}
        """
        settings = Settings.model_validate(yaml.safe_load(pasted))
        assert (settings.smsc_host, settings.smsc_port) == ("smsc.example.org", 2775)
        assert (settings.s_addr_ton, settings.s_addr_npi) == (5, 0)
        assert (settings.d_addr_ton, settings.d_addr_npi) == (1, 1)

    def test_digits_need_no_quotes(self) -> None:
        settings = _settings(password=12345678, system_id=4711, s_addr=4917)
        assert settings.password.get_secret_value() == "12345678"
        assert (settings.system_id, settings.s_addr) == ("4711", "4917")

    def test_the_password_shows_nowhere(self) -> None:
        assert "s3cr3t-8" not in repr(_settings(password="s3cr3t-8"))
        with pytest.raises(ValidationError) as caught:
            _settings(password="s3cr3t-8" * 20)
        assert "s3cr3t-8" not in str(caught.value)

    @pytest.mark.parametrize(
        ("fault", "words"),
        [
            ({"smsc_host": ""}, "Field required"),
            ({"smsc_host": "smsc..example"}, "is not a host name"),
            ({"smsc_port": 0}, "greater than or equal to 1"),
            ({"system_id": "sixteen letters."}, "at most 15 characters"),
            ({"system_id": "Müller"}, "should match pattern"),
            ({"password": "Müller"}, "not plain ASCII"),
            ({"s_addr_ton": "alpha"}, "neither a number nor one of unknown, international,"),
            ({"d_addr_npi": "0x100"}, "less than or equal to 255"),
            ({"bind": "receiver"}, "'transmitter' or 'transceiver'"),
            ({"regexp": "^0"}, "/PATTERN/REPLACEMENT/"),
            ({"smsc_hots": "x"}, "Extra inputs are not permitted"),
        ],
    )
    def test_a_fault_is_named(self, fault: dict[str, Any], words: str) -> None:
        with pytest.raises(ValidationError, match=words):
            _settings(**fault)


def test_without_the_library_the_remedy_is_the_exact_command(tmp_path: Path) -> None:
    program = f"""
import sys, time
sys.modules["smpplib"] = None  # as if it were not installed
from pathlib import Path
from radius_smsotp.errors import Refused
from radius_smsotp.providers import Message, Surroundings, build
from radius_smsotp.providers.smpp.provider import Settings
settings = Settings(type="smpp", smsc_host="127.0.0.1")
provider = build("backup", settings, Surroundings(Path("{tmp_path}"), {{}}, Path("{tmp_path}")))
print(*provider.check())
try:
    provider.send(Message("0" * 32, "+491701234567", "text", "code"), time.monotonic() + 5)
except Refused as refused:
    print(refused, refused.out_of_order)
provider.close()
"""
    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    command = errors.extra_command("smpp")
    assert shown == [
        f"providers.backup.type: the library smpplib is not installed; run {command}",
        f"the library smpplib is not installed; run {command} True",
    ]


def _settings(**written: Any) -> Settings:
    return Settings.model_validate({"type": "smpp", "smsc_host": "127.0.0.1"} | written)
