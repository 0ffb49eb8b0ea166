"""
Requests that are signed, as some gateways want it in place of a password.

Pure: the time and what must not come twice are arguments.  Each signs with ``username``, the name
of the key, and ``password``, the key; whatever else it goes by (region, service, action) stands in
the address and in the headers of the settings.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import quote, urlsplit

from radius_smsotp.providers.http.request import Request

_OF_AMAZON = re.compile(
    r"([a-z0-9-]+)(?:\.([a-z]+(?:-[a-z]+)+-[0-9]))?\.(?:vpce\.)?amazonaws\.com(?:\.cn)?(?::443)?$"
)
_WITHOUT_REGION = "us-east-1"
"""Where Amazon's services are that have no region in their address."""


@dataclass(frozen=True, slots=True)
class Signer:
    """
    Who signs.

    Attributes:
        key_id: The name of the key.
        key: The key.
        at: Aware UTC time.
        nonce: Comes only once.
    """

    key_id: str
    key: str
    at: datetime
    nonce: str


def host(request: Request) -> str:
    """The host as it is sent: that of the headers wins, as for a tunnel or an emulator."""
    own = (value for name, value in request.headers.items() if name.lower() == "host")
    return next(own, urlsplit(request.url).netloc.encode()).decode()


def of_amazon(host: str) -> tuple[str, str] | None:
    """Service and region of an address of Amazon's; None if it is none."""
    found = _OF_AMAZON.search(host.lower())
    return (found[1], found[2] or _WITHOUT_REGION) if found else None


def aws(request: Request, by: Signer) -> Request:
    """
    Amazon's Signature Version 4.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    service, region = of_amazon(host(request)) or ("", "")
    request = _with(request, {"X-Amz-Date": f"{by.at:%Y%m%dT%H%M%SZ}"})
    split = urlsplit(request.url)
    # Each segment once more, as every service but S3 wants it.
    path = quote(split.path or "/", safe="/-._~")
    signed, canonical = _canonical(
        request, path, _by_name(split.query), ("host", "content-type", "x-amz-")
    )
    scope = f"{by.at:%Y%m%d}/{region}/{service}/aws4_request"
    told = f"AWS4-HMAC-SHA256\n{by.at:%Y%m%dT%H%M%SZ}\n{scope}\n{_sha256(canonical)}"
    signature = _chain(f"AWS4{by.key}", [*scope.split("/"), told]).hex()
    value = f"AWS4-HMAC-SHA256 Credential={by.key_id}/{scope}, SignedHeaders={signed}, "
    return _with(request, {"Authorization": f"{value}Signature={signature}"})


def tencent(request: Request, by: Signer) -> Request:
    """
    Tencent Cloud's TC3-HMAC-SHA256.

    https://www.tencentcloud.com/document/product/614/42761
    """
    service, seconds = host(request).partition(".")[0], int(by.at.timestamp())
    split = urlsplit(request.url)
    names = ("host", "content-type")
    signed, canonical = _canonical(request, split.path or "/", split.query, names)
    scope = f"{by.at:%Y-%m-%d}/{service}/tc3_request"
    told = f"TC3-HMAC-SHA256\n{seconds}\n{scope}\n{_sha256(canonical)}"
    signature = _chain(f"TC3{by.key}", [*scope.split("/"), told]).hex()
    value = f"TC3-HMAC-SHA256 Credential={by.key_id}/{scope}, SignedHeaders={signed}, "
    value += f"Signature={signature}"
    return _with(request, {"X-TC-Timestamp": str(seconds), "Authorization": value})


def aliyun(request: Request, by: Signer) -> Request:
    """
    Alibaba Cloud's ACS3-HMAC-SHA256.

    https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature
    """
    request = _with(
        request,
        {
            "x-acs-date": f"{by.at:%Y-%m-%dT%H:%M:%SZ}",
            "x-acs-signature-nonce": by.nonce,
            "x-acs-content-sha256": _sha256(request.body or b""),
        },
    )
    split = urlsplit(request.url)
    names = ("host", "content-type", "x-acs-")
    signed, canonical = _canonical(request, split.path or "/", _by_name(split.query), names)
    signature = _chain(by.key, [f"ACS3-HMAC-SHA256\n{_sha256(canonical)}"]).hex()
    value = f"ACS3-HMAC-SHA256 Credential={by.key_id},SignedHeaders={signed},Signature={signature}"
    return _with(request, {"Authorization": value})


def ovh(request: Request, by: Signer) -> Request:
    """
    OVHcloud's signature: the third secret, the consumer key, stands in the header X-Ovh-Consumer.

    https://help.ovhcloud.com/csm/en-gb-api-getting-started-ovhcloud-api
    """
    fields = {name.lower(): value.decode() for name, value in request.headers.items()}
    seconds = str(int(by.at.timestamp()))
    body = (request.body or b"").decode()
    told = (by.key, fields.get("x-ovh-consumer", ""), request.method, request.url, body, seconds)
    signature = hashlib.sha1("+".join(told).encode()).hexdigest()  # noqa: S324  # OVH's choice
    return _with(
        request,
        {
            "X-Ovh-Application": by.key_id,
            "X-Ovh-Timestamp": seconds,
            "X-Ovh-Signature": f"$1${signature}",
        },
    )


SIGNERS: dict[str, Callable[[Request, Signer], Request]] = {
    "aws": aws,
    "aliyun": aliyun,
    "tencent": tencent,
    "ovh": ovh,
}
"""By the value of the setting ``auth``."""


def _with(request: Request, headers: dict[str, str]) -> Request:
    return replace(request, headers=request.headers | {k: v.encode() for k, v in headers.items()})


def _by_name(query: str) -> str:
    return "&".join(sorted(query.split("&"), key=lambda one: one.partition("=")[::2]))


def _canonical(request: Request, path: str, query: str, names: Iterable[str]) -> tuple[str, str]:
    """
    What all but OVH sign: the names of the signed headers, and the request in one form.

    Args:
        names: Of the headers to sign, or their beginnings, in lower case.
    """
    fields = {name.lower(): value.decode() for name, value in request.headers.items()}
    fields["host"] = host(request)
    chosen = sorted(name for name in fields if name.startswith(tuple(names)))
    lines = "".join(f"{name}:{fields[name].strip()}\n" for name in chosen)
    signed, payload = ";".join(chosen), _sha256(request.body or b"")
    return signed, "\n".join((request.method, path, query, lines, signed, payload))


def _sha256(value: str | bytes) -> str:
    return hashlib.sha256(value.encode() if isinstance(value, str) else value).hexdigest()


def _chain(key: str, messages: Iterable[str]) -> bytes:
    """The last of several HMACs, each the key of the next."""
    made = key.encode()
    for message in messages:
        made = hmac.digest(made, message.encode(), "sha256")
    return made
