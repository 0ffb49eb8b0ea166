"""
What the public descriptions of gateways say: the request, and answers to it.

They are the descriptions that the presets name as their sources.  Number, text and credentials
are replaced; of answers, the fields that decide are theirs, and others may be left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.providers.contract import PHONE, message
from tests.providers.recorder import Answer

TEXT = message().text
DIGITS = PHONE.removeprefix("+")


@dataclass(frozen=True)
class Described:
    """What a gateway's description says.  Blanks of the preset stand in lower case, "api-key"."""

    path: str
    accepts: Answer
    refuses: list[Answer]
    message_id: str | None
    method: str = "POST"
    form: dict[str, str] | None = None
    json: Any = None
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    basic: str | None = None


HTTP = {
    "clickatell": Described(
        path="/v1/message",
        headers={"authorization": "api-key"},
        json={"messages": [{"channel": "sms", "to": DIGITS, "content": TEXT}]},
        accepts=Answer(
            202,
            '{"messages": [{"apiMessageId": "77fb29998253415fa5d66971d519d362", "accepted": true,'
            ' "to": "2799900001", "error": null}], "error": null}',
        ),
        message_id="77fb29998253415fa5d66971d519d362",
        refuses=[
            Answer(
                207,
                '{"messages":[{"apiMessageId":null,"accepted":false,"to":"27111111111",'
                '"error":"Invalid destination address."}],"error":null}',
            ),
            Answer(401, '{"messages":[],"error":"Some error occured"}'),
        ],
    ),
    "clickatell-classic": Described(
        path="/http/sendmsg",
        form={
            "user": "user",
            "password": "password",
            "api_id": "api-id",
            "to": DIGITS,
            "text": TEXT,
        },
        accepts=Answer(200, "ID: c7bb4cbd38bd8b6ce7f9a2ea8a8a1a11"),
        message_id="c7bb4cbd38bd8b6ce7f9a2ea8a8a1a11",
        refuses=[Answer(200, "ERR: 001, Authentication failed")],
    ),
    "gatewayapi": Described(
        path="/rest/mtsms",
        basic="api-token:",
        json={"sender": "sender", "message": TEXT, "recipients": [{"msisdn": DIGITS}]},
        accepts=Answer(
            200,
            '{"ids": [421332671], "usage": {"countries": {"DK": 1}, "currency": "DKK",'
            ' "total_cost": 0.12}}',
        ),
        message_id="421332671",
        refuses=[Answer(403, '{"code": "0x0216", "message": "Insufficient credit"}')],
    ),
    "infobip": Described(
        path="/sms/3/messages",
        headers={"authorization": "App api-key", "accept": "application/json"},
        json={
            "messages": [
                {"sender": "sender", "destinations": [{"to": DIGITS}], "content": {"text": TEXT}}
            ]
        },
        accepts=Answer(
            200,
            '{"bulkId": "2034072219640523072", "messages": [{"messageId":'
            ' "2250be2d4219-3af1-78856-aabe-1362af1edfd2", "status": {"groupId": 1, "groupName":'
            ' "PENDING", "id": 26, "name": "MESSAGE_ACCEPTED", "description": "Message sent to'
            ' next instance"}, "destination": "41793026727", "details": {"messageCount": 1}}]}',
        ),
        message_id="2250be2d4219-3af1-78856-aabe-1362af1edfd2",
        refuses=[
            Answer(
                200,
                '{"messages": [{"messageId": "1", "status": {"groupId": 5, "groupName":'
                ' "REJECTED", "id": 12, "name": "REJECTED_NOT_ENOUGH_CREDITS"}}]}',
            ),
            Answer(401, '{"errorCode": "E401", "description": "Invalid credentials"}'),
        ],
    ),
    "kannel": Described(
        method="GET",
        path="/cgi-bin/sendsms",
        query={
            "username": "user",
            "password": "password",
            "to": PHONE,
            "text": TEXT,
            "charset": "UTF-8",
        },
        accepts=Answer(202, "3: Queued for later delivery"),
        message_id=None,
        refuses=[Answer(403, "Authorization failed for sendsms")],
    ),
    "messagebird": Described(
        path="/messages",
        headers={"authorization": "AccessKey access-key", "accept": "application/json"},
        json={"originator": "sender", "recipients": [DIGITS], "body": TEXT},
        accepts=Answer(
            201,
            '{"id":"e8077d803532c0b5937c639b60216938","direction":"mt","type":"sms","recipients":'
            '{"totalCount":1,"items":[{"recipient":31612345678,"status":"sent"}]}}',
        ),
        message_id="e8077d803532c0b5937c639b60216938",
        refuses=[
            Answer(
                422,
                '{"errors":[{"code":9,"description":"no (correct) recipients found",'
                '"parameter":"recipients"}]}',
            )
        ],
    ),
    "plivo": Described(
        path="/v1/Account/auth-id/Message/",
        basic="auth-id:auth-token",
        json={"src": "sender", "dst": PHONE, "text": TEXT, "log": "false"},
        accepts=Answer(
            202,
            '{"api_id": "db342550-7f1d-11e1-8ea7-1231380bc196", "message": "message(s) queued",'
            ' "message_uuid": ["db3ce55a-7f1d-11e1-8ea7-1231380bc196"]}',
        ),
        message_id="db3ce55a-7f1d-11e1-8ea7-1231380bc196",
        refuses=[
            Answer(404, '{"api_id": "97ceeb52-58b6-11e1-86da-77300b68f8bb", "error": "not found"}')
        ],
    ),
    "seven": Described(
        path="/api/sms",
        headers={"x-api-key": "api-key", "accept": "application/json"},
        form={"from": "sender", "to": PHONE, "text": TEXT},
        accepts=Answer(
            200,
            '{"success": "100", "total_price": 0.075, "balance": 593.994, "debug": "false",'
            ' "sms_type": "direct", "messages": [{"id": "77229135982", "sender": "sender",'
            ' "recipient": "49179876543210", "parts": 1, "error": null, "success": true}]}',
        ),
        message_id="77229135982",
        refuses=[Answer(200, '"900"'), Answer(200, '{"success": "500", "messages": []}')],
    ),
    "sipgate-rest": Described(
        path="/v2/sessions/sms",
        basic="token-id:token",
        json={"smsId": "s0", "recipient": PHONE, "message": TEXT},
        accepts=Answer(204),
        message_id=None,
        refuses=[Answer(401), Answer(403)],
    ),
    "smseagle": Described(
        path="/api/v2/messages/sms",
        headers={"access-token": "access-token"},
        json={"to": [PHONE], "text": TEXT},
        accepts=Answer(200, '[{"status": "queued", "message": "OK", "id": 297}]'),
        message_id="297",
        refuses=[Answer(200, '[{"status": "REJECTED"}]'), Answer(401)],
    ),
    "twilio": Described(
        path="/2010-04-01/Accounts/account-sid/Messages.json",
        basic="account-sid:auth-token",
        form={"From": "sender", "To": PHONE, "Body": TEXT},
        accepts=Answer(
            201,
            '{"account_sid": "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "error_code": null, "sid":'
            ' "SMaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "status": "queued"}',
        ),
        message_id="SMaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        refuses=[
            Answer(
                400,
                '{"code": 21211, "message": "Invalid \'To\' Phone Number", "more_info":'
                ' "https://www.twilio.com/docs/errors/21211", "status": 400}',
            )
        ],
    ),
    "vonage": Described(
        path="/sms/json",
        basic="api-key:api-secret",
        form={"from": "sender", "to": DIGITS, "text": TEXT},
        accepts=Answer(
            200,
            '{"message-count": "1", "messages": [{"to": "447700900000", "message-id":'
            ' "0C000000217B7F02", "status": "0", "remaining-balance": "15.53590000"}]}',
        ),
        message_id="0C000000217B7F02",
        refuses=[
            Answer(
                200,
                '{"message-count": "1", "messages": [{"status": "4", "error-text":'
                ' "Bad Credentials"}]}',
            )
        ],
    ),
}
