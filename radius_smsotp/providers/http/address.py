"""Addresses of gateways and proxies: whether they can be used, and who reads along on the way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, SecretStr

from radius_smsotp.model.text import placeholders
from radius_smsotp.providers import TUNNEL, Fault, is_loopback
from radius_smsotp.providers.http.request import checked_template


def split_url(url: str, *schemes: str) -> SplitResult:
    """The parts of an address.  Raises ValueError if it cannot be used."""
    beginning = " or ".join(f"{scheme}://" for scheme in schemes)
    if re.search(r"[\s\x00-\x1f\x7f]", url):
        raise ValueError("has a blank in it; write %20 if it belongs there")
    try:
        split = urlsplit(url)
        _ = split.port
    except ValueError:
        raise ValueError("has no usable host and port; write HOST:PORT after ://") from None
    if split.scheme.lower() not in schemes:
        raise ValueError(f"does not begin with {beginning}")
    if not split.hostname:
        raise ValueError("names no host; write it after ://")
    return split


def exposed(here: str, url: str, proxy: tuple[str, str] | None) -> Iterator[Fault]:
    """
    What others can read on the way to a gateway.

    Args:
        here: The path of the provider's settings.
        proxy: The setting that names the proxy to use, and its value.
    """
    split = urlsplit(url)
    hosts = [split.hostname or ""]
    if proxy is not None:
        through = urlsplit(proxy[1])
        hosts.append(through.hostname or "")
        if through.username and not is_loopback(hosts[1]):
            fault = f"user name and password for the proxy go to {hosts[1]} in the clear"
            remedy = f"let it know this host by its address, or {TUNNEL}"
            yield f"{here}.{proxy[0]}", fault, remedy
    far = [host for host in hosts if not is_loopback(host)]
    if split.scheme.lower() == "http" and far:
        fault = f"numbers, codes and passwords go to {far[0]} in the clear"
        yield f"{here}.url", fault, f"write https://, if the gateway takes it, or {TUNNEL}"


def _usable(url: str) -> str:
    split = split_url(url, "http", "https")
    if placeholders(split.hostname or ""):
        raise ValueError("has a placeholder in the host; only path and query may have some")
    checked_template(url.partition(split.netloc)[2])
    return url


def _usable_proxy(proxy: SecretStr) -> SecretStr:
    # A bare HOST:PORT is what people write; with https:// they mean what goes through the proxy, as
    # privacyIDEA's PROXY does.  TLS is spoken with the gateway, not with the proxy.
    url = re.sub("^https://", "http://", proxy.get_secret_value(), flags=re.IGNORECASE)
    url = url if "://" in url else f"http://{url}"
    split_url(url, "http")
    return SecretStr(url)


Url = Annotated[str, AfterValidator(_usable)]
"""Of a gateway; placeholders may stand in path and query."""

ProxyUrl = Annotated[SecretStr, AfterValidator(_usable_proxy)]
"""Of an HTTP proxy, with its user name and password."""

Proxy = Annotated[
    ProxyUrl | None,
    Field(description="HTTP proxy to go through, `http://USER:PASSWORD@HOST:PORT`"),
]
"""The setting that names one."""
