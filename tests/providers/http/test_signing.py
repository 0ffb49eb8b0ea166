"""Signed requests are signed as the vendors' own examples are."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from radius_smsotp.providers.http.request import Request
from radius_smsotp.providers.http.signing import SIGNERS, Signer, of_amazon

IN_2015 = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)


def signed(
    how: str, by: Signer, url: str, body: str = "", method: str = "POST", **headers: str
) -> dict[str, str]:
    """The header fields of a request, signed."""
    fields = {name.replace("_", "-"): value.encode() for name, value in headers.items()}
    request = SIGNERS[how](Request(method, url, fields, body.encode(), ""), by)
    assert (request.method, request.url, request.body) == (method, url, body.encode())
    return {name: value.decode() for name, value in request.headers.items()}


def test_aws() -> None:
    """
    "Create a signed AWS API request": the example of IAM's ListUsers.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    found = signed(
        "aws",
        Signer("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", IN_2015, ""),
        "https://iam.amazonaws.com/?Version=2010-05-08&Action=ListUsers",
        method="GET",
        Content_Type="application/x-www-form-urlencoded; charset=utf-8",
    )
    assert found["X-Amz-Date"] == "20150830T123600Z"
    assert found["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )


def test_tencent() -> None:
    """
    "Signature v3": the example of CVM's DescribeInstances.

    https://www.tencentcloud.com/document/product/614/42761
    """
    found = signed(
        "tencent",
        Signer(
            "AKIDz8krbsJ5yKBZQpn74WFkmLPx3*******",
            "Gu5t9xGARNpq86cd98joQYCN3*******",
            datetime.fromtimestamp(1551113065, UTC),
            "",
        ),
        "https://cvm.tencentcloudapi.com/",
        '{"Limit": 1, "Filters": [{"Values": ["\\u672a\\u547d\\u540d"], "Name": "instance-name"}]}',
        Content_Type="application/json; charset=utf-8",
        X_TC_Action="DescribeInstances",
        X_TC_Version="2017-03-12",
        X_TC_Region="ap-guangzhou",
    )
    assert found["X-TC-Timestamp"] == "1551113065"
    assert found["Authorization"] == (
        "TC3-HMAC-SHA256 "
        "Credential=AKIDz8krbsJ5yKBZQpn74WFkmLPx3*******/2019-02-25/cvm/tc3_request, "
        "SignedHeaders=content-type;host, "
        "Signature=2230eefd229f582d8b1b891af7107b91597240707d778ab3738f756258d7652c"
    )


def test_aliyun() -> None:
    """
    "Request syntax and signature method V3": the example with fixed parameters.

    https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature
    """
    found = signed(
        "aliyun",
        Signer(
            "YourAccessKeyId",
            "YourAccessKeySecret",
            datetime(2023, 10, 26, 10, 22, 32, tzinfo=UTC),
            "3156853299f313e23d1673dc12e1703d",
        ),
        "https://ecs.cn-shanghai.aliyuncs.com/?RegionId=cn-shanghai"
        "&ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd",
        x_acs_action="RunInstances",
        x_acs_version="2014-05-26",
    )
    assert found["x-acs-date"] == "2023-10-26T10:22:32Z"
    assert found["Authorization"] == (
        "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders=host;x-acs-action;"
        "x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,"
        "Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    )


@pytest.mark.parametrize(
    ("keys", "consumer", "url", "method", "body", "seconds", "signature"),
    [
        (
            ("fake application key", "fake application secret"),
            "fake consumer key",
            "https://eu.api.ovh.com/1.0/unit/test",
            "METHOD",
            '{"some": "random", "data": 42}',
            1404395931,
            "$1$9acb1ac0120006d16261a635aed788e83ab172d2",
        ),
        (
            ("TDPKJdwZwAQPwKX2", "9ufkBmLaTQ9nz5yMUlg79taH0GNnzDjk"),
            "5mBuy6SUQcRw2ZUxg0cG68BoDKpED4KY",
            "https://api.eu.ovhcloud.com/1.0/auth",
            "POST",
            '{"a":"b","c":"d"}',
            1457018875,
            "$1$ea0e0d82447373a3ddf5947065f1d519ca0bcaf2",
        ),
    ],
)
def test_ovh(
    keys: tuple[str, str],
    consumer: str,
    url: str,
    method: str,
    body: str,
    seconds: int,
    signature: str,
) -> None:
    """
    The tests of OVH's own libraries.

    https://github.com/ovh/python-ovh/blob/master/tests/test_client.py
    https://github.com/ovh/go-ovh/blob/master/ovh/ovh_test.go
    """
    by = Signer(*keys, datetime.fromtimestamp(seconds, UTC), "")
    found = signed("ovh", by, url, body, method, X_Ovh_Consumer=consumer)
    assert found == {
        "X-Ovh-Consumer": consumer,
        "X-Ovh-Application": keys[0],
        "X-Ovh-Timestamp": str(seconds),
        "X-Ovh-Signature": signature,
    }


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("sns.eu-central-1.amazonaws.com", ("sns", "eu-central-1")),
        ("sms-voice.us-gov-west-1.amazonaws.com:443", ("sms-voice", "us-gov-west-1")),
        ("SNS.cn-north-1.amazonaws.com.cn", ("sns", "cn-north-1")),
        ("vpce-0a-1b.sns.eu-west-3.vpce.amazonaws.com", ("sns", "eu-west-3")),
        ("iam.amazonaws.com", ("iam", "us-east-1")),
        ("localhost:4566", None),
        ("amazonaws.com.example.org", None),
    ],
)
def test_service_and_region_stand_in_the_address(host: str, found: tuple[str, str] | None) -> None:
    assert of_amazon(host) == found
