"""
What the public descriptions of gateways say: the request, and answers to it.

They are the descriptions that the presets name as their sources.  Number, text and credentials
are replaced; of answers, the fields that decide are theirs, and others may be left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from radius_smsotp.providers.contract import CODE, PHONE, message
from tests.providers.recorder import Answer

TEXT = message().text
RUSSIAN = "739154 — ваш код"
HEX = "003700330039003100350034002020140020043204300448 0020043A043E0434".replace(" ", "")
DIGITS = PHONE.removeprefix("+")


@dataclass(frozen=True)
class Login:
    """How a token is fetched."""

    path: str
    json: Any
    answer: Answer


@dataclass(frozen=True)
class Described:
    """
    What a gateway's description says.  Blanks of the preset stand in lower case, "api-key".

    Attributes:
        headers: As they have to be, or a pattern for the whole of one: a signature.
        busy: What it answers with status 200 where it has no room now.
        ucs2: What is sent besides for a text that needs UCS-2, or instead.
        login: What comes before.
    """

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
    ucs2: dict[str, str] | None = None
    login: Login | None = None
    busy: str | None = None


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
        ucs2={"unicode": "1", "text": HEX},
        refuses=[
            Answer(200, "ERR: 001, Authentication failed"),
            Answer(200, "ERR: 105, INVALID DESTINATION ADDRESS"),
        ],
    ),
    "gatewayapi": Described(
        path="/mobile/single",
        headers={"authorization": "Token api-token", "accept": "application/json"},
        json={"sender": "sender", "message": TEXT, "recipient": int(DIGITS)},
        accepts=Answer(
            200,
            '{"msg_id": "01JNN696A9E0WS89FPYGT15NBX", "recipient": 4512345678,'
            ' "reference": "<client provided reference>"}',
        ),
        message_id="01JNN696A9E0WS89FPYGT15NBX",
        refuses=[Answer(401, '{"detail": "Invalid token"}'), Answer(422, '{"detail": []}')],
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
    "jasmin": Described(
        path="/send",
        form={"username": "user", "password": "password", "to": PHONE, "content": TEXT},
        accepts=Answer(200, 'Success "07033084-5cfd-4812-90a4-e4d24ffb6e3d"'),
        message_id="07033084-5cfd-4812-90a4-e4d24ffb6e3d",
        ucs2={"content": None, "coding": "8", "hex-content": HEX},
        refuses=[
            Answer(403, 'Error "Authentication failure for username:user"'),
            Answer(412, 'Error "No route found"'),
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
        accepts=Answer(202, "0: Accepted for delivery"),
        message_id=None,
        ucs2={"coding": "2"},
        refuses=[Answer(403, "Authorization failed for sendsms")],
    ),
    "messagebird": Described(
        path="/messages",
        headers={"authorization": "AccessKey access-key", "accept": "application/json"},
        json={
            "originator": "sender",
            "recipients": [int(DIGITS)],
            "body": TEXT,
            "datacoding": "auto",
        },
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
        ucs2={"encoding": "unicode"},
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
    "twilio-voice": Described(
        path="/2010-04-01/Accounts/account-sid/Calls.json",
        basic="account-sid:auth-token",
        form={
            "From": "number",
            "To": PHONE,
            "Twiml": '<Response><Say language="de-DE">Ihr Code: sieben, drei, neun, eins, fünf,'
            " vier.</Say></Response>",
        },
        accepts=Answer(
            201, '{"sid": "CAaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "status": "queued", "to": "+1"}'
        ),
        message_id="CAaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        refuses=[
            Answer(
                400,
                '{"code": 21211, "message": "Invalid \'To\' Phone Number", "more_info":'
                ' "https://www.twilio.com/docs/errors/21211", "status": 400}',
            )
        ],
    ),
    "twilio-whatsapp": Described(
        path="/2010-04-01/Accounts/account-sid/Messages.json",
        basic="account-sid:auth-token",
        form={
            "From": "whatsapp:sender",
            "To": f"whatsapp:{PHONE}",
            "ContentSid": "content-sid",
            "ContentVariables": f'{{"1": "{CODE}"}}',
        },
        accepts=Answer(
            201,
            '{"account_sid": "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "error_code": null, "sid":'
            ' "SMaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "status": "queued"}',
        ),
        message_id="SMaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        refuses=[Answer(400, '{"code": 21656, "message": "invalid", "status": 400}')],
    ),
    "meta-whatsapp": Described(
        path="/v23.0/number-id/messages",
        headers={"authorization": "Bearer token"},
        json={
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": DIGITS,
            "type": "template",
            "template": {
                "name": "template",
                "language": {"code": "de"},
                "components": [
                    {"type": "body", "parameters": [{"type": "text", "text": CODE}]},
                    {
                        "type": "button",
                        "sub_type": "url",
                        "index": "0",
                        "parameters": [{"type": "text", "text": CODE}],
                    },
                ],
            },
        },
        accepts=Answer(
            200,
            '{"messaging_product": "whatsapp", "contacts": [{"input": "12015553931", "wa_id":'
            ' "12015553931"}], "messages": [{"id": "wamid.HBgLMTY1MDM4Nzk0MzkVAgARGBI4QTNB"}]}',
        ),
        message_id="wamid.HBgLMTY1MDM4Nzk0MzkVAgARGBI4QTNB",
        refuses=[Answer(400, '{"error": {"message": "no such template", "code": 132001}}')],
    ),
    "infobip-whatsapp": Described(
        path="/whatsapp/1/message/template",
        headers={"authorization": "App api-key", "accept": "application/json"},
        json={
            "messages": [
                {
                    "from": "sender",
                    "to": DIGITS,
                    "content": {
                        "templateName": "template",
                        "templateData": {
                            "body": {"placeholders": [CODE]},
                            "buttons": [{"type": "URL", "parameter": CODE}],
                        },
                        "language": "de",
                    },
                }
            ]
        },
        accepts=Answer(
            200,
            '{"messages": [{"to": "441134960001", "messageCount": 1, "messageId": "a28dd97c",'
            ' "status": {"groupId": 1, "groupName": "PENDING", "id": 7}}], "bulkId": "2034"}',
        ),
        message_id="a28dd97c",
        refuses=[
            Answer(
                200,
                '{"messages": [{"messageId": "1", "status": {"groupId": 5, "groupName":'
                ' "REJECTED", "id": 12}}]}',
            ),
            Answer(401, '{"requestError": {"serviceException": {"messageId": "UNAUTHORIZED"}}}'),
        ],
    ),
    "vonage": Described(
        path="/v1/messages",
        basic="api-key:api-secret",
        json={
            "channel": "sms",
            "message_type": "text",
            "to": DIGITS,
            "from": "sender",
            "text": TEXT,
        },
        accepts=Answer(202, '{"message_uuid": "aaaaaaaa-bbbb-4ccc-8ddd-001122334455"}'),
        message_id="aaaaaaaa-bbbb-4ccc-8ddd-001122334455",
        refuses=[
            Answer(
                401,
                '{"type": "https://developer.vonage.com/api-errors#unauthorized", "title":'
                ' "Unauthorized", "detail": "You did not provide correct credentials."}',
            ),
            Answer(422, '{"title": "Invalid params"}'),
        ],
    ),
    "vonage-sms": Described(
        path="/sms/json",
        basic="api-key:api-secret",
        form={"from": "sender", "to": DIGITS, "text": TEXT},
        accepts=Answer(
            200,
            '{"message-count": "1", "messages": [{"to": "447700900000", "message-id":'
            ' "0C000000217B7F02", "status": "0", "remaining-balance": "15.53590000"}]}',
        ),
        message_id="0C000000217B7F02",
        ucs2={"type": "unicode"},
        refuses=[
            Answer(
                200,
                '{"message-count": "1", "messages": [{"status": "4", "error-text":'
                ' "Bad Credentials"}]}',
            )
        ],
        busy='{"message-count": "1", "messages": [{"status": "1", "error-text": "Throttled"}]}',
    ),
    "bird": Described(
        path="/v1/sms",
        headers={
            "authorization": "Bearer api-key",
            "idempotency-key": "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
            "user-agent": "radius-smsotp",
        },
        json={"to": PHONE, "from": "sender", "text": TEXT},
        accepts=Answer(200, '{"id": "sms_4kT01Lq2m", "status": "accepted"}'),
        message_id="sms_4kT01Lq2m",
        refuses=[Answer(403, '{"type": "invalid_key", "message": "…", "doc_url": "…"}')],
    ),
    "telnyx": Described(
        path="/v2/messages",
        headers={"authorization": "Bearer api-key"},
        json={"from": "sender", "to": PHONE, "text": TEXT},
        accepts=Answer(
            200,
            '{"data": {"id": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "record_type": "message",'
            ' "direction": "outbound", "errors": [], "parts": 1}}',
        ),
        message_id="3fa85f64-5717-4562-b3fc-2c963f66afa6",
        refuses=[
            Answer(401, '{"errors": [{"code": "10009", "title": "Authentication failed"}]}'),
            Answer(422, '{"errors": [{"code": "10005", "title": "Invalid phone number"}]}'),
        ],
    ),
    "sinch": Described(
        path="/xms/v1/plan-id/batches",
        headers={"authorization": "Bearer api-token"},
        json={"from": "sender", "to": [PHONE], "body": TEXT, "type": "mt_text"},
        accepts=Answer(201, '{"id": "01FC66621XXXXX119Z8PMV1QPQ", "to": ["15551231234"]}'),
        message_id="01FC66621XXXXX119Z8PMV1QPQ",
        refuses=[Answer(400, '{"code": "syntax_invalid_parameter_format"}'), Answer(401)],
    ),
    "clicksend": Described(
        path="/v3/sms/send",
        basic="user:api-key",
        json={
            "messages": [
                {"source": "radius-smsotp", "from": "sender", "to": PHONE, "body": TEXT},
            ]
        },
        accepts=Answer(
            200,
            '{"http_code": 200, "response_code": "SUCCESS", "response_msg": "Messages queued",'
            ' "data": {"messages": [{"to": "+61411111111", "message_id":'
            ' "BF7AD270-0DE2-418B-B606-71D527D9C1AE", "status": "SUCCESS"}]}}',
        ),
        message_id="BF7AD270-0DE2-418B-B606-71D527D9C1AE",
        refuses=[
            Answer(
                200,
                '{"http_code": 200, "response_code": "SUCCESS", "data": {"messages": [{"status":'
                ' "INSUFFICIENT_CREDIT", "message_id": "BF7AD270-0DE2-418B-B606-71D527D9C1AE"}]}}',
            ),
            Answer(401, '{"http_code": 401, "response_code": "UNAUTHORIZED"}'),
        ],
    ),
    "smsapi": Described(
        path="/sms.do",
        headers={"authorization": "Bearer token"},
        form={
            "from": "sender",
            "to": DIGITS,
            "message": TEXT,
            "encoding": "utf-8",
            "format": "json",
        },
        accepts=Answer(
            200,
            '{"count": 1, "list": [{"id": "1460969715572091219", "points": 0.16, "number":'
            ' "44123456789", "status": "QUEUE", "error": null}]}',
        ),
        message_id="1460969715572091219",
        refuses=[
            Answer(200, '{"error": 13, "message": "No correct phonenumbers"}'),
            Answer(401, '{"error": 101, "message": "Authorization failed"}'),
        ],
    ),
    "46elks": Described(
        path="/a1/sms",
        basic="user:password",
        form={"from": "sender", "to": PHONE, "message": TEXT, "dontlog": "message"},
        accepts=Answer(
            200,
            '{"id": "s3633fa8e62f823e52fbc67ebf6925ab5", "status": "created", "direction":'
            ' "outgoing", "from": "SMSElk", "to": "+46700000000", "cost": 3500}',
        ),
        message_id="s3633fa8e62f823e52fbc67ebf6925ab5",
        refuses=[
            Answer(200, '{"id": "s3633fa8e62f823e52fbc67ebf6925ab5", "status": "failed"}'),
            Answer(403, "Not enough credits"),
        ],
    ),
    "sms-gate": Described(
        path="/message",
        basic="user:password",
        json={"textMessage": {"text": TEXT}, "phoneNumbers": [PHONE]},
        accepts=Answer(
            202,
            '{"id": "PyDmBQZZXYmyxMwED8Fzy", "state": "Pending", "isHashed": false,'
            ' "recipients": [{"phoneNumber": "+79990001234", "state": "Pending"}]}',
        ),
        message_id="PyDmBQZZXYmyxMwED8Fzy",
        refuses=[
            Answer(400, '{"message": "phoneNumbers is empty"}'),
            Answer(202, '{"id": "PyDmBQZZXYmyxMwED8Fzy", "state": "Failed"}'),
            Answer(401),
        ],
    ),
    "teltonika": Described(
        path="/api/messages/actions/send",
        headers={"authorization": "Bearer 6a1d7bc1d16b5a3e4f9a2b8c0d1e2f3a"},
        json={"data": {"number": PHONE, "message": TEXT, "modem": "modem"}},
        accepts=Answer(200, '{"success": true, "data": {"sms_used": 1}}'),
        message_id=None,
        refuses=[
            Answer(200, '{"success": false, "errors": [{"code": 122, "error": "…"}]}'),
            Answer(422, '{"success": false, "errors": [{"code": 109, "error": "…"}]}'),
        ],
        login=Login(
            "/api/login",
            {"username": "user", "password": "password"},
            Answer(
                200,
                '{"success": true, "data": {"username": "user", "group": "root", "expires": 299,'
                ' "token": "6a1d7bc1d16b5a3e4f9a2b8c0d1e2f3a"}}',
            ),
        ),
    ),
    "mikrotik": Described(
        path="/rest/tool/sms/send",
        basic="user:password",
        json={"port": "lte1", "phone-number": PHONE, "message": TEXT},
        accepts=Answer(200, "[]"),
        message_id=None,
        refuses=[
            Answer(400, '{"error": 400, "message": "Bad Request", "detail": "failure: timeout"}'),
            Answer(401, '{"error": 401, "message": "Unauthorized"}'),
        ],
    ),
    "aws-sns": Described(
        path="/",
        headers={
            "x-amz-date": "[0-9]{8}T[0-9]{6}Z",
            "authorization": "AWS4-HMAC-SHA256 Credential=access-key-id/[0-9]{8}/eu-central-1/sns/"
            "aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=[0-9a-f]{64}",
        },
        form={
            "Action": "Publish",
            "Version": "2010-03-31",
            "PhoneNumber": PHONE,
            "Message": TEXT,
            "MessageAttributes.entry.1.Name": "AWS.SNS.SMS.SMSType",
            "MessageAttributes.entry.1.Value.DataType": "String",
            "MessageAttributes.entry.1.Value.StringValue": "Transactional",
        },
        accepts=Answer(
            200,
            '<PublishResponse xmlns="https://sns.amazonaws.com/doc/2010-03-31/"><PublishResult>'
            "<MessageId>567910cd-659e-55d4-8ccb-5aaf14679dc0</MessageId></PublishResult>"
            "</PublishResponse>",
        ),
        message_id="567910cd-659e-55d4-8ccb-5aaf14679dc0",
        refuses=[
            Answer(
                403,
                "<ErrorResponse><Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code>"
                "</Error></ErrorResponse>",
            )
        ],
    ),
    "aws-sms": Described(
        path="/",
        headers={
            "content-type": "application/x-amz-json-1.0",
            "x-amz-target": "PinpointSMSVoiceV2.SendTextMessage",
            "authorization": "AWS4-HMAC-SHA256 Credential=access-key-id/[0-9]{8}/eu-central-1/"
            "sms-voice/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, "
            "Signature=[0-9a-f]{64}",
        },
        json={
            "DestinationPhoneNumber": PHONE,
            "OriginationIdentity": "sender",
            "MessageBody": TEXT,
            "MessageType": "TRANSACTIONAL",
        },
        accepts=Answer(200, '{"MessageId": "f5b5c4d2-0000-4000-8000-000000000000"}'),
        message_id="f5b5c4d2-0000-4000-8000-000000000000",
        refuses=[
            Answer(400, '{"__type": "AccessDeniedException", "Reason": "INSUFFICIENT_ACCOUNT_…"}'),
        ],
    ),
    "aliyun": Described(
        method="GET",
        path="/",
        query={
            "PhoneNumbers": DIGITS,
            "SignName": "sign-name",
            "TemplateCode": "template",
            "TemplateParam": f'{{"code":"{CODE}"}}',
        },
        headers={
            "x-acs-action": "SendSms",
            "x-acs-version": "2017-05-25",
            "authorization": "ACS3-HMAC-SHA256 Credential=access-key-id,SignedHeaders=host;"
            "x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,"
            "Signature=[0-9a-f]{64}",
        },
        accepts=Answer(
            200,
            '{"Message": "OK", "RequestId": "F655A8D5-B967-440B-8683-DAD6FF8DE990", "Code": "OK",'
            ' "BizId": "900619746936498440^0"}',
        ),
        message_id="900619746936498440^0",
        refuses=[
            Answer(200, '{"Message": "…", "Code": "isv.MOBILE_NUMBER_ILLEGAL"}'),
            Answer(400, '{"Code": "SignatureDoesNotMatch", "Message": "…"}'),
        ],
    ),
    "aliyun-global": Described(
        method="GET",
        path="/",
        query={"To": DIGITS, "From": "sender", "Message": TEXT},
        headers={
            "x-acs-action": "SendMessageToGlobe",
            "x-acs-version": "2018-05-01",
            "authorization": "ACS3-HMAC-SHA256 Credential=access-key-id,.*",
        },
        accepts=Answer(
            200,
            '{"ResponseCode": "OK", "NumberDetail": {"Country": "Hongkong, China"}, "RequestId":'
            ' "F655A8D5-B967-440B-8683-DAD6FF8DE990", "MessageId": "1008030300****"}',
        ),
        message_id="1008030300****",
        refuses=[Answer(200, '{"ResponseCode": "MOBILE_NUMBER_ILLEGAL"}')],
    ),
    "tencent": Described(
        path="/",
        headers={
            "content-type": "application/json; charset=utf-8",
            "x-tc-action": "SendSms",
            "x-tc-version": "2021-01-11",
            "x-tc-region": "ap-guangzhou",
            "x-tc-timestamp": "[0-9]{10}",
            "authorization": "TC3-HMAC-SHA256 Credential=secret-id/[0-9-]{10}/sms/tc3_request, "
            "SignedHeaders=content-type;host, Signature=[0-9a-f]{64}",
        },
        json={
            "PhoneNumberSet": [PHONE],
            "SmsSdkAppId": "app-id",
            "TemplateId": "template",
            "SignName": "sign-name",
            "TemplateParamSet": [CODE],
        },
        accepts=Answer(
            200,
            '{"Response": {"SendStatusSet": [{"SerialNo": "5000:1045710669157053657849499619",'
            ' "PhoneNumber": "+60198890000", "Fee": 1, "Code": "Ok", "Message": "send success"}],'
            ' "RequestId": "a0aabda6-cf91-4f3e-a81f-9198114a2279"}}',
        ),
        message_id="5000:1045710669157053657849499619",
        refuses=[
            Answer(
                200,
                '{"Response": {"SendStatusSet": [{"SerialNo": "", "Code":'
                ' "InvalidParameterValue.IncorrectPhoneNumber"}]}}',
            ),
            Answer(200, '{"Response": {"Error": {"Code": "AuthFailure.SignatureFailure"}}}'),
        ],
    ),
    "ovh": Described(
        path="/1.0/sms/account/jobs",
        headers={
            "x-ovh-application": "application-key",
            "x-ovh-consumer": "consumer-key",
            "x-ovh-timestamp": "[0-9]{10}",
            "x-ovh-signature": r"\$1\$[0-9a-f]{40}",
        },
        json={
            "sender": "sender",
            "receivers": [PHONE],
            "message": TEXT,
            "charset": "UTF-8",
            "coding": "7bit",
            "noStopClause": True,
            "priority": "high",
        },
        accepts=Answer(
            200,
            '{"totalCreditsRemoved": 1, "invalidReceivers": [], "ids": [27814656],'
            ' "validReceivers": ["+336000000"]}',
        ),
        message_id="27814656",
        ucs2={"coding": "8bit"},
        refuses=[
            Answer(200, '{"totalCreditsRemoved": 0, "invalidReceivers": ["+3360"], "ids": []}'),
            Answer(403, '{"message": "This call has not been granted"}'),
        ],
    ),
}
