"""What gateways tell later: read as the presets say, and only if the signature is right."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import textwrap
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml
from pydantic import ValidationError

from radius_smsotp.model.receipts import Receipt
from radius_smsotp.providers import presets
from radius_smsotp.providers.http.provider import Settings
from radius_smsotp.providers.http.receipt import ForgedError, Incoming, Reading, ReceiptError, read
from radius_smsotp.providers.http.receiving import ReceiptSettings

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
URL = "https://sms.example.org/5f2c81/gateway"
FORM = {"content-type": "application/x-www-form-urlencoded"}

UNCOMMENTED = re.compile(
    r"^( *)# (?=receipt:|dlr|delivery_report|reference: |[^#]*\{receipt_url\})", re.MULTILINE
)
"""What the presets tell to take the # away from."""


def receiving(name: str) -> dict[str, Any]:
    """A preset, set up for receipts, its blanks filled in with themselves in lower case."""
    text = UNCOMMENTED.sub(r"\1", textwrap.dedent(presets.text(name)))
    filled = re.sub("YOUR-([A-Z-]*[A-Z])", lambda blank: blank[1].lower(), text)
    found: dict[str, Any] = yaml.safe_load(filled)[name]
    return found


def with_receipts(name: str) -> Settings:
    """The same, read."""
    return Settings.model_validate(receiving(name))


def reading(**settings: Any) -> Reading:
    """How to read what settings describe."""
    made = ReceiptSettings.model_validate({"id": "id", "state": "state", **settings})
    found = made.reading(None)
    assert found is not None
    return found


def form(**values: Any) -> Incoming:
    """A form that was posted."""
    return Incoming("POST", URL, FORM, urlencode(values).encode())


def posted(document: Any, **headers: str) -> Incoming:
    """JSON that was posted."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    kind = {"content-type": "application/json"}
    return Incoming("POST", URL, kind | given, json.dumps(document).encode())


def got(**query: Any) -> Incoming:
    """Parameters behind the address."""
    return Incoming("GET", f"{URL}?{urlencode(query)}", {}, b"")


def jwt(secret: str, claims: dict[str, Any], alg: str = "HS256") -> str:
    """A JSON Web Token."""
    parts = [json.dumps(part).encode() for part in ({"typ": "JWT", "alg": alg}, claims)]
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    signature = hmac.digest(secret.encode(), signed, "sha256")
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def twilio(token: str, request: Incoming, kind: str = "sha1") -> str:
    """Twilio's signature."""
    told = request.url + "".join(map("".join, sorted(request.form())))
    return base64.b64encode(hmac.digest(token.encode(), told.encode(), kind)).decode()


def signed_by_seven(document: Any) -> Incoming:
    """What seven sends."""
    request, times = posted(document), str(int(NOW.timestamp()))
    body = hashlib.md5(request.body, usedforsecurity=False).hexdigest()
    told = "\n".join((times, "nonce", "POST", URL, body))
    signature = hmac.digest(b"signing-secret", told.encode(), "sha256").hex()
    headers = {"x-timestamp": times, "x-nonce": "nonce", "x-signature": signature}
    return replace(request, headers={**request.headers, **headers})


def signed_by_twilio(**values: str) -> Incoming:
    """What Twilio sends."""
    request = form(**values)
    signature = {"x-twilio-signature": twilio("auth-token", request)}
    return replace(request, headers={**FORM, **signature})


def signed_by_vonage(**values: str) -> dict[str, str]:
    """The parameters of Vonage's SMS API."""
    values |= {"timestamp": str(int(NOW.timestamp()))}
    told = "".join(f"&{key}={value}" for key, value in sorted(values.items()))
    return values | {"sig": hmac.digest(b"signature-secret", told.encode(), "sha256").hex()}


def messages_api(document: Any) -> Incoming:
    """What Vonage's Messages API sends."""
    request = posted(document)
    claims = {"iss": "Vonage", "payload_hash": hashlib.sha256(request.body).hexdigest()}
    token = jwt("signature-secret", claims)
    return replace(request, headers={**request.headers, "authorization": f"Bearer {token}"})


GATEWAYAPI = {"id": 2381703, "msisdn": 4542609045, "time": 1522764062, "status": "DELIVERED"}

TWILIO = ("twilio-whatsapp", "twilio")
"""Of one interface."""

RECEIPTS = {
    # Kannel 1.4.5 User's Guide, "Delivery reports": 1, 2, 4, 8, 16 by %d.
    "kannel": [
        (got(id="7-a", state="1"), [("7-a", True, "1")]),
        (got(id="7-a", state="2"), [("7-a", False, "2")]),
        (got(id="7-a", state="16"), [("7-a", False, "16")]),
        (got(id="7-a", state="8"), []),
    ],
    "jasmin": [
        (form(id="0703-a", message_status="UNDELIV", level="2"), [("0703-a", False, "UNDELIV")]),
        (form(id="0703-a", message_status="ESME_ROK", level="1"), []),
        (
            form(id="0703-a", message_status="ESME_RINVDSTADR", level="1"),
            [("0703-a", False, "ESME_RINVDSTADR")],
        ),
    ],
    "twilio": [
        (
            signed_by_twilio(MessageSid="SM1", MessageStatus="undelivered", To="+491701234567"),
            [("SM1", False, "undelivered")],
        ),
        (signed_by_twilio(MessageSid="SM1", MessageStatus="sent"), []),
    ],
    "vonage": [
        (
            messages_api({"message_uuid": "aa-b", "status": "delivered", "to": "491701234567"}),
            [("aa-b", True, "delivered")],
        ),
        (messages_api({"message_uuid": "aa-b", "status": "submitted"}), []),
    ],
    "vonage-sms": [
        (
            got(**signed_by_vonage(messageId="0A0", status="expired", msisdn="491701234567")),
            [("0A0", False, "expired")],
        ),
        (posted(signed_by_vonage(messageId="0A0", status="buffered")), []),
    ],
    "infobip": [
        (
            posted(
                {
                    "results": [
                        {"messageId": "m-1", "status": {"groupName": "DELIVERED", "id": 5}},
                        {"messageId": "m-2", "status": {"groupName": "UNDELIVERABLE"}},
                        {"messageId": "m-3", "status": {"groupName": "PENDING"}},
                    ]
                }
            ),
            [("m-1", True, "DELIVERED"), ("m-2", False, "UNDELIVERABLE")],
        )
    ],
    "seven": [
        (
            signed_by_seven(
                {"webhook_event": "dlr", "data": {"msg_id": "77", "status": "NOTDELIVERED"}}
            ),
            [("77", False, "NOTDELIVERED")],
        ),
        (signed_by_seven({"data": {"msg_id": 77, "status": "TRANSMITTED"}}), []),
    ],
    # What is in the token counts, and not what lies beside it.
    "gatewayapi": [
        (
            posted({"id": 1, "status": "EXPIRED"}, x_gwapi_signature=jwt("key", GATEWAYAPI)),
            [("2381703", True, "DELIVERED")],
        )
    ],
    "46elks": [(form(id="s1", status="failed"), [("s1", False, "failed")])],
    "sinch": [
        (
            posted({"batch_id": "01F", "status": "Delivered", "recipient": "491701234567"}),
            [("01F", True, "Delivered")],
        )
    ],
    "telnyx": [
        (
            posted({"data": {"payload": {"id": "a-1", "to": [{"status": "delivery_failed"}]}}}),
            [("a-1", False, "delivery_failed")],
        )
    ],
    "messagebird": [(got(id="e8", status="delivery_failed"), [("e8", False, "delivery_failed")])],
    "smsapi": [(form(MsgId="5E", status_name="UNDELIVERED"), [("5E", False, "UNDELIVERED")])],
    "plivo": [(form(MessageUUID="d-1", Status="undelivered"), [("d-1", False, "undelivered")])],
    "sms-gate": [
        (
            posted({"event": "sms:failed", "payload": {"messageId": "x_1"}}),
            [("x_1", False, "sms:failed")],
        ),
        (posted({"event": "sms:sent", "payload": {"messageId": "x_1"}}), []),
    ],
}
"""What gateways send by their descriptions, and what is read in it."""


@pytest.mark.parametrize("name", RECEIPTS)
def test_what_a_gateway_sends_is_read_as_its_preset_says(name: str) -> None:
    """And nothing that is not signed, where the gateway signs."""
    found = with_receipts(name).reading()
    assert found is not None
    for request, expected in RECEIPTS[name]:
        assert [(id_, *told) for id_, told in read(request, found, NOW)] == expected
        if found.signature:
            with pytest.raises(ForgedError):
                read(request, replace(found, secret="another"), NOW)


def test_each_preset_that_speaks_of_receipts_is_tried() -> None:
    """And gets the address into its request, unless it is named elsewhere."""
    speaking = {name for name in presets.names() if "# receipt: " in presets.text(name)}
    assert speaking == RECEIPTS.keys() | {"twilio-whatsapp"}
    own, sms = (presets.text(name).partition("# receipt: ")[2] for name in TWILIO)
    assert own == sms
    elsewhere = {"seven", "gatewayapi", "sms-gate"}
    asking = {name for name in speaking if with_receipts(name).asks_for_receipts()}
    assert asking == speaking - elsewhere


class TestSignatures:
    def test_twilio_by_its_own_example(self) -> None:
        """Of its documentation, "Validating requests"."""
        values = {
            "CallSid": "CA1234567890ABCDE",
            "Caller": "+14158675309",
            "Digits": "1234",
            "From": "+14158675309",
            "To": "+18005551212",
        }
        url = "https://mycompany.com/myapp.php?foo=1&bar=2"
        headers = {**FORM, "x-twilio-signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="}
        request = Incoming("POST", url, headers, urlencode(values).encode())
        own = reading(id="CallSid", state="Digits", signature="twilio", secret="12345")
        assert read(request, own, NOW) == []
        with pytest.raises(ForgedError):
            read(replace(request, url=url + "&x=1"), own, NOW)
        with pytest.raises(ForgedError):
            read(replace(request, headers=FORM), own, NOW)

    def test_twilio_with_a_shared_key(self) -> None:
        request = form(id="SM1", state="delivered")
        headers = {
            **FORM,
            "x-twilio-signature": twilio("shared", request, "sha256"),
            "x-twilio-webhooks-signature-settings": "key=K1,algorithm=HMAC_SHA256",
        }
        own = reading(signature="twilio", secret="shared")
        told = read(replace(request, headers=headers), own, NOW)
        assert told == [("SM1", Receipt(delivered=True, words="delivered"))]

    def test_a_token_of_gatewayapi(self) -> None:
        """As one of its libraries has it among its tests."""
        token = (
            "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJpZCI6MjM4MTcwMywibXNpc2RuIjo0NTQyNjA5MDQ1LCJ0"
            "aW1lIjoxNTIyNzY0MDYyLCJzdGF0dXMiOiJERUxJVkVSRUQiLCJlcnJvciI6ImVycm9yIHRleHQiLCJjb2RlI"
            "joiZXJyb3IgY29kZSIsImNvdW50cnlfcHJlZml4Ijo0NSwiY291bnRyeV9jb2RlIjoiREsiLCJjaGFyZ2Vfc3R"
            "hdHVzIjoiQVVUSE9SSVpFRCIsInVzZXJyZWYiOiJhIHJlZmVyZW5jZSJ9.LgbbsxAj61SQhDA0A3dGlcT8OZN2"
            "UJsTgBiifNHEeh8"
        )
        own = with_receipts("gatewayapi").reading()
        assert own is not None
        own = replace(own, secret="secret")
        request = posted({}, x_gwapi_signature=token)
        assert read(request, own, NOW)[0][0] == "2381703"

    @pytest.mark.parametrize(
        "claims",
        [
            {"exp": NOW.timestamp() - 3600},
            {"nbf": NOW.timestamp() + 3600},
            {"payload_hash": "00" * 32},
            {"url_hash": "00" * 32},
        ],
    )
    def test_a_token_of_another_request_or_time_is_none(self, claims: dict[str, Any]) -> None:
        own = reading(signature="jwt", secret="s")
        valid = {"id": "1", "state": "delivered"}
        assert read(posted(valid, authorization=jwt("s", valid)), own, NOW)
        with pytest.raises(ForgedError):
            read(posted(valid, authorization=jwt("s", valid | claims)), own, NOW)

    def test_a_token_counts_for_the_address_that_it_names(self) -> None:
        """MessageBird has its parameters there."""
        request = got(id="1", state="delivered")
        claims = {"url_hash": hashlib.sha256(request.url.encode()).hexdigest()}
        request = replace(request, headers={"authorization": jwt("s", claims)})
        assert read(request, reading(signature="jwt", secret="s"), NOW)

    @pytest.mark.parametrize(
        "token",
        ["", "a", "a.b", "a.b.c", "....", "e30.e30.", jwt("s", {"id": "1"}, alg="none"), "é.é.é"],
    )
    def test_what_is_no_token_of_ours_is_refused(self, token: str) -> None:
        """Nor one that says itself that it is not signed."""
        with pytest.raises(ForgedError):
            read(posted({}, authorization=token), reading(signature="jwt", secret="s"), NOW)

    def test_an_old_signature_is_worth_nothing(self) -> None:
        """Whoever has seen a request cannot send it once more later."""
        later = datetime.fromtimestamp(NOW.timestamp() + 301, UTC)
        for name in ("seven", "vonage-sms"):
            own = with_receipts(name).reading()
            assert own is not None
            with pytest.raises(ForgedError):
                read(RECEIPTS[name][0][0], own, later)

    def test_a_body_that_was_changed_is_not_taken(self) -> None:
        for name in ("seven", "vonage", "twilio"):
            own = with_receipts(name).reading()
            assert own is not None
            request = RECEIPTS[name][0][0]
            with pytest.raises(ForgedError):
                read(replace(request, body=request.body + b"&a=b"), own, NOW)


class TestReading:
    def test_the_body_goes_before_the_address(self) -> None:
        request = replace(form(state="DELIVRD"), url=f"{URL}?id=7&state=EXPIRED")
        assert read(request, reading(), NOW) == [("7", Receipt(delivered=True, words="DELIVRD"))]

    def test_a_list_is_several(self) -> None:
        """Alibaba Cloud sends one without anything around it."""
        document = [{"id": "1", "state": "1"}, {"id": "2", "state": "2"}, {"id": "3", "state": "6"}]
        found = read(posted(document), reading(delivered=1, lost=[2, "6"]), NOW)
        assert [(id_, told.delivered) for id_, told in found] == [
            ("1", True),
            ("2", False),
            ("3", False),
        ]

    @pytest.mark.parametrize(
        "request_",
        [
            got(),
            got(id="7"),
            got(state="DELIVRD"),
            posted([]),
            posted({"id": {"a": 1}, "state": "DELIVRD"}),
            posted(None),
            Incoming("POST", URL, {}, b"[" * 100_000),
            Incoming("POST", URL, FORM, b"\xff\x00%ff=&&="),
        ],
    )
    def test_what_holds_neither_is_refused(self, request_: Incoming) -> None:
        """With a sentence that says where one looked."""
        with pytest.raises(ReceiptError, match=r"receipt\.id and receipt\.state"):
            read(request_, reading(), NOW)

    def test_no_number_gets_into_the_words(self) -> None:
        state = "REJECTED: +491701234567 <b>\n"
        [(_, told)] = read(got(id="1", state=state), reading(), NOW)
        assert told == Receipt(delivered=False, words="REJECTED:  b")


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"id": "a = b"}, "takes no value"),
        ({"delivered": "x"}, "go together"),
        ({"secret": "x"}, "without signature"),
        ({"signature": "md5"}, "twilio"),
        ({"id": None}, "required"),
    ],
)
def test_faults_are_told(settings: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        reading(**settings)


def test_a_signature_needs_a_secret() -> None:
    """`password`, unless the gateway signs with another."""
    usual = {"type": "http", "url": "https://a.example/", "parameter": {"a": "{phone} {message}"}}
    receipt = {"id": "a", "state": "b", "signature": "twilio"}
    with pytest.raises(ValidationError, match=r"receipt\.secret"):
        Settings.model_validate({**usual, "receipt": receipt})
    made = Settings.model_validate({**usual, "receipt": receipt, "username": "u", "password": "p"})
    own = made.reading()
    assert own is not None
    assert own.secret == "p"
