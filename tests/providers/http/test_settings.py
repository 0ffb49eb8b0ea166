"""The settings of provider ``http``: every fault is found without I/O, and says what to do."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from radius_smsotp.providers import Surroundings, build, module
from radius_smsotp.providers.http.provider import Provider, Settings
from radius_smsotp.providers.template import PLACEHOLDERS

GOOD: dict[str, Any] = {
    "type": "http",
    "url": "https://sms.example.org/send",
    "sms_phonenumber_key": "to",
    "sms_text_key": "text",
}


def faults(**changes: Any) -> list[tuple[str, str]]:
    """Every fault as setting and sentence."""
    given = {key: value for key, value in (GOOD | changes).items() if value is not ...}
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(given)
    assert "s3cret" not in str(caught.value)
    return [(".".join(map(str, e["loc"])), e["msg"]) for e in caught.value.errors()]


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("url", "sms.example.org/send", "does not begin with http:// or https://"),
        ("url", "ftp://sms.example.org", "does not begin with http:// or https://"),
        ("url", "https:///send", "names no host"),
        ("url", "https://sms example.org/", "has a blank in it"),
        ("url", "https://sms.example.org/a\n", "has a blank in it"),
        ("url", "https://sms.example.org:port/", "no usable host and port"),
        ("url", "https://sms.example.org:99999/", "no usable host and port"),
        ("url", "https://[::1/", "no usable host and port"),
        ("url", "https://{phone}.example.org/", "placeholder in the host"),
        (
            "url",
            "https://me:s3cret@sms.example.org/?{phne}",
            "{phne} is no placeholder here; did you mean {phone}?",
        ),
        ("http_method", "DELETE", "'GET', 'POST' or 'PUT'"),
        (
            "parameter",
            {"a": [{"b": "{mesage}"}]},
            "{mesage} at a.0.b is no placeholder here; did you mean {message}?",
        ),
        (
            "parameter",
            {"a": "{phone_number}"},
            "{phone_number} at a is no placeholder here; did you mean {phone}?",
        ),
        ("parameter", {"a": "{OTP}"}, "{OTP} at a is no placeholder here; did you mean {otp}?"),
        ("parameter", {"a": "{user}"}, "{user} at a is no placeholder here; known: {phone}, "),
        ("parameter", {"a": '{"to": 1}'}, "alone at a; write a brace that is meant as such twice"),
        ("parameter", {"a": date(2024, 1, 1)}, "a is a date; write it in quotes"),
        ("parameter", {"a": [{"phone": None}]}, "a.0 is {phone} without quotes; add them"),
        ("parameter", {"a": {1: "b"}}, "the key 1 is not text; write it in quotes"),
        ("parameter", {"a": float("nan")}, "a is not a finite number"),
        ("parameter", "text", "is not a mapping"),
        ("headers", {"X-To": "{phoen}"}, "{phoen} at X-To is no placeholder"),
        ("headers", {"X To": "a"}, "is no header name"),
        ("headers", {"X-To": "s3cret\r\nX: 1"}, "has a line break"),
        ("headers", {"X-To": True}, "the value of X-To is not text"),
        ("headers", {"Content-Length": "3"}, "leave it out"),
        ("headers", ["X-To"], "is not a mapping"),
        ("body", "<a><![CDATA[{message}]]></a>", "has a CDATA section"),
        ("body", "{mesage}", "{mesage} is no placeholder here; did you mean {message}?"),
        ("regexp", "^0", "/PATTERN/REPLACEMENT/"),
        ("regexp", "/(/x/", "regular expression"),
        ("regexp", r"/0/\1/", "regular expression"),
        ("return_success_regex", "ID (", "is no regular expression (missing )"),
        ("return_fail_regex", "[", "is no regular expression"),
        ("return_success_json", "a..b = 1", "is no path"),
        ("return_fail_json", "= 1", "is no path"),
        ("message_id_json", "a = 1", "takes no value"),
        ("message_id_regex", "ID", "needs one group"),
        ("message_id_regex", "(I)(D)", "needs one group"),
        ("proxy", "socks5://s3cret@localhost", "does not begin with http://"),
        ("http_proxy", "http://", "names no host"),
        ("timeout", "soon", "valid number"),
        ("check_ssl", "maybe", "valid boolean"),
        ("auth", "ntlm", "'tencent' or 'ovh'"),
        ("retrun_success", "ID", "not permitted"),
    ],
)
def test_a_fault_names_its_setting(setting: str, value: Any, told: str) -> None:
    [(where, sentence)] = faults(**{setting: value})
    assert where == setting
    assert told in sentence


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sms_phonenumber_key": ...}, r"no place for the phone number \(set .*\{phone\}"),
        ({"sms_text_key": ...}, r"no place for the text \(set .*\{message\} or \{otp\}"),
        ({"sms_text_key": ..., "sms_phonenumber_key": ...}, "the phone number .* and the text"),
        ({"parameter": {"to": "fixed"}}, "parameter has to as well"),
        ({"parameter": ["{phone}"]}, "only JSON can send"),
        (
            {
                "parameter": [{"to": "{phone}"}],
                "http_method": "POST",
                "send_data_as_json": True,
                "sms_phonenumber_key": ...,
                "sms_text_key": ...,
            },
            "no place for the text",
        ),
        ({"password": "s3cret"}, "password is set without username"),
        ({"auth": "digest"}, "needs username and password"),
        ({"client_key": "key.pem"}, "client_key is set without client_cert"),
        ({"body": "{phone} {message}"}, "body stands for all that is sent: set http_method"),
        (
            {"body": "{phone} {message}", "http_method": "POST"},
            "write what parameter and the keys name into it",
        ),
        ({"auth": "ovh"}, "auth is ovh, which needs username and password"),
        (
            {"auth": "aws", "username": "AKID", "password": "s3cret"},
            "names no service and region, as https://sns.eu-central-1",
        ),
        ({"headers": {"Authorization": "{token}"}}, "{token} stands for what token fetches"),
        (
            {"token": {"url": "https://sms.example.org/"}, "username": "me"},
            "move username into token",
        ),
        ({"parameter_ucs2": [1]}, "parameter_ucs2 is laid over parameter"),
        ({"body_ucs2": "{message}"}, "body_ucs2 is laid over body"),
    ],
)
def test_a_fault_of_several_settings_says_what_to_do(changes: dict[str, Any], told: str) -> None:
    [(where, sentence)] = faults(**changes)
    assert where == ""
    assert re.search(told, sentence)


def test_all_faults_come_at_once_with_the_known_placeholders() -> None:
    found = faults(url="x", http_method="x", parameter={"a": "{user}"})
    assert [where for where, _ in found] == ["url", "http_method", "parameter"]
    known = ", ".join(f"{{{one}}}" for one in PLACEHOLDERS)
    assert known in found[2][1]


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "https://sms.example.org/{phone}/{otp}"},
        {"url": "https://sms.example.org?a={phone_digits}&b={message}"},
        {"headers": {"X-To": "{phone}", "X-Text": "{code}"}},
        {"parameter": {"a": [{"b": ["{phone}"]}], "c": {"d": "-{otp}-"}}},
    ],
)
def test_number_and_text_may_stand_anywhere(changes: dict[str, Any]) -> None:
    Settings.model_validate(
        {"type": "http", "url": GOOD["url"]} | changes,
    )


def test_a_fault_of_the_token_has_its_path() -> None:
    found = faults(token={"url": "s3cret", "tokn_json": "a", "lifetime": 0})
    assert [where for where, _ in found] == ["token.url", "token.lifetime", "token.tokn_json"]


def test_an_emulator_of_amazons_is_told_service_and_region_by_a_header() -> None:
    """As is what is reached through a tunnel."""
    host = {"Host": "sns.eu-central-1.amazonaws.com"}
    signed = {"auth": "aws", "username": "AKID", "password": "s3cret", "headers": host}
    Settings.model_validate(GOOD | signed)


@pytest.mark.parametrize("said", ["yes", "True", "1", True, 1])
def test_booleans_may_be_words(said: Any) -> None:
    assert Settings.model_validate(GOOD | {"SEND_DATA_AS_JSON": said}).send_data_as_json is True


def test_a_setting_that_is_left_empty_is_not_set() -> None:
    empty = {"PROXY": "", "RETURN_FAIL": "", "TIMEOUT": None, "PARAMETER": None, "USERNAME": ""}
    settings = Settings.model_validate(GOOD | empty)
    assert settings == Settings.model_validate(GOOD)


@pytest.mark.parametrize(
    ("url", "given", "used"),
    [
        ("http", {"proxy": "http://a:1"}, ("proxy", "http://a:1")),
        ("https", {"proxy": "a:1"}, ("proxy", "http://a:1")),
        ("https", {"proxy": "http://a", "https_proxy": "http://b"}, ("https_proxy", "http://b")),
        ("http", {"proxy": "http://a", "https_proxy": "http://b"}, ("proxy", "http://a")),
        ("http", {"https_proxy": "http://b"}, None),
        ("http", {}, None),
    ],
)
def test_the_proxy_for_the_scheme_of_the_url_wins(
    url: str, given: dict[str, str], used: tuple[str, str] | None
) -> None:
    settings = Settings.model_validate(GOOD | {"url": f"{url}://sms.example.org"} | given)
    assert settings.proxy_setting() == used


def test_every_setting_is_described() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description or name == "type", name


def test_building_a_provider_opens_nothing(tmp_path: Any) -> None:
    settings = Settings.model_validate(GOOD | {"ca_file": "nowhere", "url": "https://192.0.2.1"})
    assert module("http").Provider is Provider
    provider = build("sms", settings, Surroundings(tmp_path, {}, tmp_path))
    assert provider.name == "sms"
    provider.close()
