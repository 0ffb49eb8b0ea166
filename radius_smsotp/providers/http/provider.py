"""
Provider ``http``: any SMS gateway that takes an HTTP request.

First its settings; then the provider, which puts together what the modules beside it do: `request`
builds a request, `transport` sends it, and `answer` judges what comes back.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from radius_smsotp.errors import DeliveryError
from radius_smsotp.model.text import placeholders
from radius_smsotp.providers import (
    TUNNEL,
    BaseProvider,
    CaFile,
    Fault,
    Message,
    ProviderSettings,
    Receipt,
    Surroundings,
    connection,
    is_loopback,
    unverified,
)
from radius_smsotp.providers.excerpt import excerpt
from radius_smsotp.providers.http.answer import Condition, Rules, Signs, judge
from radius_smsotp.providers.http.request import (
    Request,
    Template,
    Tree,
    checked_headers,
    checked_parameter,
    leaves,
)
from radius_smsotp.providers.template import OF_NUMBER, OF_TEXT, Regexp, checked

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

_SECRET_NAME = re.compile(r"pass|pwd|secret|token|key|auth|sign|hash|pin$|sid$|cookie", re.I)
"""Names of parameters and headers whose values an error must not repeat."""


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


def _usable_url(url: str) -> str:
    split = split_url(url, "http", "https")
    if placeholders(split.hostname or ""):
        raise ValueError("has a placeholder in the host; only path and query may have some")
    checked(url.partition(split.netloc)[2])
    return url


def _usable_proxy(proxy: SecretStr) -> SecretStr:
    # privacyIDEA's examples all have a scheme; a bare HOST:PORT is what people write.
    url = proxy.get_secret_value()
    url = url if "://" in url else f"http://{url}"
    # Not https: TLS goes through the proxy to the gateway, not to the proxy itself.
    split_url(url, "http")
    return SecretStr(url)


def _compiled(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(f"is no regular expression ({error})") from None


def _with_one_group(pattern: re.Pattern[str]) -> re.Pattern[str]:
    if pattern.groups != 1:
        raise ValueError("needs one group, in parentheses: what they enclose is the message id")
    return pattern


def _condition(text: Any) -> Any:
    return Condition.parse(text) if isinstance(text, str) else text


def _path(text: Any) -> Any:
    path = _condition(text)
    if isinstance(path, Condition) and path.wanted is not None:
        raise ValueError("is a path and takes no value; leave out the equals sign")
    return path


_Url = Annotated[str, AfterValidator(_usable_url)]
_Proxy = Annotated[SecretStr, AfterValidator(_usable_proxy)]
Proxy = Annotated[
    _Proxy | None,
    Field(description="HTTP proxy to go through, http://USER:PASSWORD@HOST:PORT"),
]
_Method = Annotated[
    Literal["GET", "POST", "PUT"],
    BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value),
]
_Pattern = Annotated[re.Pattern[str], BeforeValidator(_compiled)]
_Json = Annotated[Condition, BeforeValidator(_condition)]


def _is_secret(name: str, value: Any) -> bool:
    # Not the 1 of "sign: 1", nor true and null: answers are full of them.
    telling = isinstance(value, str) or (isinstance(value, int) and value > 999)
    return telling and _SECRET_NAME.search(name) is not None


class Settings(ProviderSettings):
    """Settings of an ``http`` provider."""

    type: Literal["http"]
    url: _Url = Field(
        repr=False,
        description="where the gateway takes requests; placeholders may stand in path and query",
    )
    http_method: _Method = Field(
        "GET",
        description="GET sends the parameters in the query; POST and PUT send them in the body",
    )
    parameter: Annotated[Tree, BeforeValidator(checked_parameter)] = Field(
        {}, repr=False, description="what to send, nested as deep as the gateway wants it"
    )
    send_data_as_json: bool = Field(
        False, description="POST and PUT send JSON instead of a form; GET never does"
    )
    headers: Annotated[dict[str, str], BeforeValidator(checked_headers)] = Field(
        {}, repr=False, description="header fields to add; they win over our own"
    )
    sms_phonenumber_key: str | None = Field(
        None, description="name of one more parameter, which holds the phone number"
    )
    sms_text_key: str | None = Field(
        None, description="name of one more parameter, which holds the text"
    )
    regexp: Regexp = None
    username: str | None = Field(None, description="user name at the gateway")
    password: SecretStr | None = Field(None, description="password at the gateway")
    auth: Literal["basic", "digest"] = Field(
        "basic", description="how user name and password are sent: basic or digest"
    )
    return_success: str | None = Field(
        None, description="text that the answer holds if the message was taken"
    )
    return_success_regex: _Pattern | None = Field(
        None, description="the same, as a regular expression"
    )
    return_success_json: _Json | None = Field(
        None, description="the same, as a path into a JSON answer: messages.0.status = 0"
    )
    return_fail: str | None = Field(
        None, description="text that the answer holds if the message was refused; it wins"
    )
    return_fail_regex: _Pattern | None = Field(
        None, description="the same, as a regular expression"
    )
    return_fail_json: _Json | None = Field(
        None, description="the same, as a path into a JSON answer: errors"
    )
    message_id_json: Annotated[Condition, BeforeValidator(_path)] | None = Field(
        None, description="where the gateway's id of the message stands in a JSON answer"
    )
    message_id_regex: Annotated[_Pattern, AfterValidator(_with_one_group)] | None = Field(
        None, description="the same for any answer: what its one group encloses"
    )
    proxy: Proxy = None
    http_proxy: _Proxy | None = Field(None, description="proxy if url begins with http://")
    https_proxy: _Proxy | None = Field(None, description="proxy if url begins with https://")
    check_ssl: bool = Field(True, description="whether the gateway's certificate is verified")
    ca_file: CaFile = None
    client_cert: Path | None = Field(None, description="our own certificate, in PEM")
    client_key: Path | None = Field(
        None, description="its key without a passphrase, if client_cert does not hold it as well"
    )

    @model_validator(mode="after")
    def _usable_together(self) -> Settings:
        template = self.template()
        if isinstance(self.parameter, list) and (
            self.http_method == "GET" or not self.send_data_as_json or self._keys()
        ):
            raise ValueError(
                "parameter is a list, which only JSON can send: set http_method to POST and "
                "send_data_as_json to true, and write {phone} and {message} into the list"
            )
        missing = []
        if not template.carries() & set(OF_NUMBER):
            missing.append("the phone number (set sms_phonenumber_key, or write {phone}")
        if not template.carries() & set(OF_TEXT):
            missing.append("the text (set sms_text_key, or write {message} or {otp}")
        if missing:
            places = " and ".join(f"{each} into url, parameter or headers)" for each in missing)
            twice = " and ".join(sorted(key for key in self._keys() if key in self.parameter))
            hint = f"; parameter has {twice} as well, and wins" if twice else ""
            raise ValueError(f"the request has no place for {places}{hint}")
        if self.password and not self.credentials():
            raise ValueError("password is set without username; set both")
        if self.auth == "digest" and not self.credentials():
            raise ValueError("auth is digest, which needs username and password")
        if self.client_key and not self.client_cert:
            raise ValueError("client_key is set without client_cert; set both")
        return self

    def _keys(self) -> set[str]:
        return {key for key in (self.sms_phonenumber_key, self.sms_text_key) if key}

    def template(self) -> Template:
        """The request that these settings describe."""
        split = urlsplit(self.url)
        return Template(
            method=self.http_method,
            url=split._replace(netloc=split.netloc.rpartition("@")[2]).geturl(),
            parameter=self.parameter,
            headers=self.headers,
            as_json=self.send_data_as_json,
            phone_key=self.sms_phonenumber_key,
            text_key=self.sms_text_key,
            regexp=self.regexp,
        )

    def rules(self) -> Rules:
        """How to read the answer."""
        return Rules(
            success=Signs(self.return_success, self.return_success_regex, self.return_success_json),
            fail=Signs(self.return_fail, self.return_fail_regex, self.return_fail_json),
            id_path=self.message_id_json,
            id_regex=self.message_id_regex,
        )

    def credentials(self) -> tuple[str, str] | None:
        """User name and password, which may also stand in the URL as in ``user:password@host``."""
        split = urlsplit(self.url)
        if self.username:
            return self.username, self.password.get_secret_value() if self.password else ""
        if split.username:
            return unquote(split.username), unquote(split.password or "")
        return None

    def proxy_setting(self) -> tuple[str, str] | None:
        """The name of the setting that names the proxy to use, and its value."""
        for name in (f"{urlsplit(self.url).scheme.lower()}_proxy", "proxy"):
            value: SecretStr | None = getattr(self, name)
            if value:
                return name, value.get_secret_value()
        return None

    def secrets(self) -> list[str]:
        """What an error must not repeat, besides number, code and text."""
        named = [*self.headers.items(), *leaves(self.parameter)]
        named += parse_qsl(urlsplit(self.url).query)
        secrets = [str(value) for name, value in named if _is_secret(name, value)]
        # "Bearer TOKEN": the token alone as well.
        secrets += [word for secret in secrets for word in secret.split()[-1:]]
        if credentials := self.credentials():
            # A user name without a password is a token that stands for both.
            secrets += [credentials[1] or credentials[0], ":".join(credentials)]
        if proxy := self.proxy_setting():
            split = urlsplit(proxy[1])
            pair = unquote(split.username or ""), unquote(split.password or "")
            secrets += [pair[1], ":".join(pair) if any(pair) else ""]
        return secrets


class Provider(BaseProvider[Settings]):
    """Sends messages through an HTTP gateway."""

    def __init__(self, name: str, settings: Settings, surroundings: Surroundings) -> None:
        # Whoever only reads the settings, as most commands do, need not wait for requests.
        from radius_smsotp.providers.http.transport import Wire  # noqa: PLC0415

        super().__init__(name, settings, surroundings)
        self._template = settings.template()
        self._rules = settings.rules()
        self._secrets = settings.secrets()
        proxy = settings.proxy_setting()
        self._tls_context = partial(
            connection.tls_context,
            self._path(settings.ca_file),
            self._path(settings.client_cert),
            self._path(settings.client_key),
            verify=settings.check_ssl,
        )
        self._wire = Wire(
            self._tls_context,
            proxy[1] if proxy else None,
            settings.credentials(),
            digest=settings.auth == "digest",
        )

    def close(self) -> None:
        """Close the connections that are kept for the next message."""
        self._wire.close()

    def _faults(self, limit: float) -> list[Fault]:
        """Look whether files can be read and the gateway, or the proxy, can be reached."""
        if faults := connection.ca_faults(self._path(self._settings.ca_file)):
            return faults
        try:
            context = self._tls_context()
        except OSError as error:
            fault = f"cannot be used ({connection.reason(error)})"
            remedy = "name readable files in PEM, and a key without a passphrase"
            return [("client_cert", fault, remedy)]
        return self._reach(context, limit)

    def _reach(self, context: ssl.SSLContext, limit: float) -> list[Fault]:
        setting, url = self._settings.proxy_setting() or ("url", self._settings.url)
        split = urlsplit(url)
        host, secure = split.hostname or "", split.scheme.lower() == "https"
        port = split.port or (443 if secure else 80)
        what, remedy = "cannot connect to", "mend the address, or what is between here and there"
        try:
            with connection.connect(host, port, limit) as sock:
                if secure:
                    what = "no TLS with"
                    remedy = "set ca_file if its certificates come from a CA of your own"
                    connection.secure(sock, host, context).close()
        except OSError as error:
            return [(setting, f"{what} {host}:{port} ({connection.reason(error)})", remedy)]
        return []

    def _weaknesses(self, here: str) -> Iterator[Fault]:
        settings = self._settings
        yield from exposed(here, settings.url, settings.proxy_setting())
        if not settings.check_ssl:
            yield unverified(f"{here}.check_ssl", urlsplit(settings.url).hostname or "")

    def _send(self, message: Message, limit: float) -> Receipt:
        request = self._template.request(message)
        answer = self._wire.exchange(request, limit)
        quote = partial(excerpt, secrets=self._secrets_of(request), message=message)
        verdict = judge(answer, self._rules, quote, datetime.now(UTC))
        if isinstance(verdict, DeliveryError):
            raise verdict
        return verdict

    def _secrets_of(self, request: Request) -> list[str]:
        # The path too: some gateways have a password in it, and a 404 likes to repeat it.
        split = urlsplit(request.url)
        path = split.path if len(split.path) > 1 else ""
        target = f"{split.path}?{split.query}" if split.query else ""
        # Some leave out the first slash.  A single word is none of the secrets that hide in paths.
        bare = path[1:] if path.count("/") > 1 else ""
        return [*self._secrets, request.number, path, bare, target]
