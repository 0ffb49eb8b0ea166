"""
SMS-SUBMIT and SMS-STATUS-RECEIPT: published examples, and a decoder that somebody else wrote.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radius_smsotp.model.text import septets
from radius_smsotp.providers.modem.pdu import (
    DeliveryReceipt,
    Fate,
    message_reference,
    pack,
    read_receipt,
    read_receipt_line,
    relative_validity,
    submit,
)
from tests.model.test_text import gsm7_texts
from tests.providers.modem.gsm_modem import decode

PHONE = "+491701234567"
RECEIPT = "060C0C919471103254766211130174004062111301740040"  # without TP-ST

LONG = (
    "Or walk with Kings - nor lose the common touch, if neither foes nor loving friends can hurt "
    "you, If all men count with you, but none too much; If you can fill the unforgiving minute "
    "With sixty seconds' worth of distance run, Yours is the Earth and everything thats in it, "
    "And - which is more - you will be a Man, my son"
)
LONG_PARTS = [
    "005100099156355476F80000AAA00500038803019E72D03DCC5E83EE693A1AB44CBBCF73500BE47ECB41ECF7BC0C"
    "A2A3CBA0F1BBDD7EBB41F4777D8C6681D26690BB9CA6A3CB7290F95D9E83DC6F3988FDB6A7DD6790599E2EBBC973"
    "D038EC06A1EB723A28FFAEB340493328CC6683DA653768FCAEBBE9A07B9A8E06E5DF7516485CA783DC6F7719447F"
    "BF41EDFA18BD0325CDA0FCBB0E1A87DD",
    "005100099156355476F80000AAA005000388030240E6349B0DA2A3CBA0BADBFC969FD3F6B4FB0C6AA7DD757A1974"
    "4DD3D1A0791A4FCF83E6E5F1DB4D9E9F40F7B79C8E06BDCD20727A4E0FBBC76590BCEE6681B2EFBA7C0E4ACF4174"
    "7419540CCBE96850D84D0695ED65799E8E4EBBCF203A3A4C9F83D26E509ACE0205DD64500B7447A7C768507A0E6A"
    "BFE565500B947FD741F7349B0D129741",
    "005100099156355476F80000AA14050003880303C2A066D8CD02B5F3A0F9DB0D",
]


@pytest.mark.parametrize(
    ("text", "packed"),
    [
        # PyPI smspdudecoder, codecs.py; the first also stands in many descriptions of the format.
        ("hellohello", "E8329BFD4697D9EC37"),
        ("2 € par mois", "32D0A60C8287E5A0F63B3D07"),
        ("1234567", "31D98C56B3DD00"),  # seven spare bits are zero, TS 23.038 6.1.2.1.1
        # faucamp/python-gsmmodem, test_pdu.py.
        ("[{abc}]~", "1BDE0615168F37A98D6FD303"),
        ("{åΦΓΛΩΠΨΣΘ€}", "1BD44332A1542C174C6653DEA400"),
    ],
)
def test_septets_are_packed_as_published(text: str, packed: str) -> None:
    assert pack(septets(text)).hex().upper() == packed


FOUR_DAYS = 4 * 24 * 60


@pytest.mark.parametrize(
    ("phone", "text", "options", "pdu"),
    [
        # "SMS and the PDU format", dreamfabric.com/sms, the example that most tutorials copy.
        (
            *("+46708251358", "hellohello", {"validity": FOUR_DAYS}),
            "0011000B916407281553F80000AA0AE8329BFD4697D9EC37",
        ),
        # pmarti/python-messaging, test_sms.py, made there with other programs.
        (
            *("+34654123456", "Hölä", {"validity": FOUR_DAYS}),
            "0011000B914356143254F60000AA04483E7B0F",
        ),
        ("+34654123456", "BÄRÇA äñ@", {}, "0001000B914356143254F6000009C2AD341104EDFB00"),
        (
            *("+34654123456", "hey yo", {"receipt": True}),
            "0021000B914356143254F6000006E8721E947F03",
        ),
        (
            *("+34616585119", "あ叶葉", {"service_centre": "+34646456456"}),
            "07914346466554F601000B914316565811F9000806304253F68449",
        ),
    ],
)
def test_a_submit_is_encoded_as_published(
    phone: str, text: str, options: dict[str, Any], pdu: str
) -> None:
    [part] = submit(phone, text, reference=0, **options)
    assert part.hex == pdu
    assert part.length == len(pdu) // 2 - 1 - int(pdu[:2], 16)


def test_a_long_text_is_cut_and_encoded_as_published() -> None:
    # pmarti/python-messaging, test_sms.py, made there with umts-tools for a national number: the
    # type of address, octet 5, is 91 here, where it was 81.
    parts = submit("+655345678", LONG, reference=136, validity=FOUR_DAYS)
    assert [part.hex for part in parts] == LONG_PARTS


@given(
    st.text(max_size=400) | gsm7_texts,
    st.from_regex(r"\+[1-9][0-9]{4,14}", fullmatch=True),
    st.integers(0, 255),
    st.booleans(),
)
def test_another_decoder_reads_what_was_encoded(
    text: str, phone: str, reference: int, receipt: bool
) -> None:
    parts = submit(phone, text, reference=reference, receipt=receipt, validity=1440)
    decoded = [decode(part.hex) for part in parts]
    for number, (part, found) in enumerate(zip(parts, decoded, strict=True), 1):
        assert found["header"]["mti"] == "submit"
        assert found["header"]["srr"] is receipt
        assert found["recipient"]["toa"] == {"ton": "international", "npi": "isdn"}
        assert "+" + found["recipient"]["number"] == phone
        assert found["vp"] == 167
        assert part.length == len(part.hex) // 2 - 1
        header = found["user_data"]["header"]
        if len(parts) == 1:
            assert header is None
        else:
            assert header["elements"] == [
                {
                    "iei": 0,
                    "length": 3,
                    "data": {
                        "reference": reference,
                        "parts_count": len(parts),
                        "part_number": number,
                    },
                }
            ]
    assert "".join(found["text"] for found in decoded) == text


@given(gsm7_texts | st.text(max_size=400))
def test_no_part_is_longer_than_an_sms(text: str) -> None:
    # TP-UD has at most 140 octets (TS 23.040 9.2.3.24); before it stand 14 without validity.
    assert all(part.length <= 14 + 140 for part in submit(PHONE, text, reference=1))


def test_a_service_centre_stands_before_the_length_that_cmgs_counts() -> None:
    [bare] = submit(PHONE, "hello", reference=0)
    [given_centre] = submit(PHONE, "hello", reference=0, service_centre="+491710760000")
    assert given_centre.length == bare.length
    assert given_centre.hex == "0791947101670000" + bare.hex.removeprefix("00")


def test_a_lone_surrogate_becomes_a_question_mark() -> None:
    [part] = submit(PHONE, "a\ud800b", reference=0)
    assert decode(part.hex)["text"] == "a?b"


@pytest.mark.parametrize("phone", ["", "+", "+49 170", "anna", "+4917\r", "+" + "1" * 21, "+٤٩"])
def test_what_is_no_number_is_refused_without_being_named(phone: str) -> None:
    with pytest.raises(ValueError, match="the number is not of the form") as caught:
        submit(phone, "hello", reference=0)
    assert not phone.strip("+") or phone not in str(caught.value)


def test_a_text_has_at_most_255_parts() -> None:
    assert len(submit(PHONE, "x" * 153 * 255, reference=0)) == 255
    with pytest.raises(ValueError, match="needs 256 parts"):
        submit(PHONE, "x" * (153 * 255 + 1), reference=0)


def test_a_part_does_not_show_number_or_text() -> None:
    [part] = submit(PHONE, "739154", reference=0)
    assert part.hex not in repr(part)


@pytest.mark.parametrize(
    ("minutes", "value"),
    [
        # TS 23.040 9.2.3.12.1: the ends of the four ranges, and what lies between.
        *((0, 0), (5, 0), (6, 1), (720, 143)),
        *((721, 144), (750, 144), (1440, 167)),
        *((1441, 168), (2 * 1440, 168), (30 * 1440, 196)),
        *((30 * 1440 + 1, 197), (5 * 10080, 197), (63 * 10080, 255), (10**9, 255)),
    ],
)
def test_validity_is_rounded_up_to_the_next_period(minutes: int, value: int) -> None:
    assert relative_validity(minutes) == value


@pytest.mark.parametrize(
    ("pdu", "length", "receipt"),
    [
        # amro.blogspot.com, "receiving an SMS status receipt message": no service centre.
        ("06000B910221815716F2709021510121807090215101718000", None, DeliveryReceipt(0, 0)),
        # pmarti/python-messaging, test_sms.py: with service centre.
        (
            "07914306073011F006270B913426565711F7012081111345400120811174054043",
            None,
            DeliveryReceipt(0x27, 0x43),
        ),
        ("0791947101670000" + RECEIPT + "46", 25, DeliveryReceipt(12, 0x46)),
        ("0791947101670000" + RECEIPT + "00", None, DeliveryReceipt(12, 0)),
        ("00" + RECEIPT + "01", None, DeliveryReceipt(12, 1)),
        (RECEIPT + "22", 25, DeliveryReceipt(12, 0x22)),
        ((RECEIPT + "30").lower(), 25, DeliveryReceipt(12, 0x30)),
    ],
)
def test_a_read_receipt_is_decoded(pdu: str, length: int | None, receipt: DeliveryReceipt) -> None:
    assert read_receipt(pdu, length) == receipt


@pytest.mark.parametrize(
    ("pdu", "length"),
    [("", None), ("06", None), ("0", 1), ("zz", 1), (RECEIPT, 24), ("04" + RECEIPT[2:] + "00", 25)],
)
def test_what_is_no_read_receipt_is_a_value_error(pdu: str, length: int | None) -> None:
    with pytest.raises(ValueError, match="receipt"):
        read_receipt(pdu, length)


@given(st.binary(max_size=64), st.none() | st.integers(-5, 300))
def test_no_octets_break_the_decoder(octets: bytes, length: int | None) -> None:
    try:
        read_receipt(octets.hex(), length)
    except ValueError as error:
        assert "receipt" in str(error)  # noqa: PT017 -- a value is as good an answer


@pytest.mark.parametrize(
    ("line", "receipt"),
    [
        (
            '+CDS: 6,12,"+491701234567",145,"26/11/23,10:47:00+04","26/11/23,10:47:03+04",0',
            DeliveryReceipt(12, 0),
        ),
        (
            '+CDS: 6,255,,,"26/11/23,10:47:00+04","26/11/23,10:47:03+04",70',
            DeliveryReceipt(255, 70),
        ),
        ("+CDS: 25", None),
        ("+CMTI: 6,12,13", None),
    ],
)
def test_a_read_receipt_in_text_mode_is_decoded(line: str, receipt: DeliveryReceipt | None) -> None:
    assert read_receipt_line(line) == receipt


@pytest.mark.parametrize(
    ("status", "fate", "words"),
    [
        (0x00, Fate.DELIVERED, "received by the phone"),
        (0x02, Fate.DELIVERED, "replaced by the service centre"),
        (0x21, Fate.PENDING, "phone busy"),
        (0x46, Fate.FAILED, "validity period expired"),
        (0x62, Fate.FAILED, "no response from the phone"),
        (0x7F, Fate.FAILED, "service rejected"),  # reserved
        (0xFF, Fate.FAILED, "service rejected"),
    ],
)
def test_a_status_says_what_became_of_the_message(status: int, fate: Fate, words: str) -> None:
    receipt = DeliveryReceipt(1, status)
    assert receipt.fate is fate
    assert receipt.meaning == f"{words} (TP-ST 0x{status:02X})"


@pytest.mark.parametrize(
    ("line", "reference"),
    [
        ("+CMGS: 12", 12),
        ("+CMGS:0", 0),
        ('+CMGS: 255,"26/11/23,10:47:00+04"', 255),
        ("+CMGS:", None),
        ("+CMGS: 1234", None),
        ("OK", None),
    ],
)
def test_the_reference_of_a_submitted_message_is_read(line: str, reference: int | None) -> None:
    assert message_reference(line) == reference
