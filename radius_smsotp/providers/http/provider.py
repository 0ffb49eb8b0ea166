"""
Provider ``http``: any SMS gateway that takes an HTTP request.

First its settings; then the provider, which puts together what the modules beside it do: `request`
builds a request, `signing` and `token` say who we are, `transport` sends it, and `answer` judges
what comes back.
"""

from __future__ import annotations

import html
import http
import re
import uuid
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from radius_smsotp.errors import DeliveryError
from radius_smsotp.providers import (
    BaseProvider,
    CaFile,
    Fault,
    Message,
    ProviderSettings,
    Receipt,
    Section,
    Surroundings,
    connection,
    unverified,
)
from radius_smsotp.providers.excerpt import excerpt
from radius_smsotp.providers.http.address import Proxy, ProxyUrl, Url, exposed
from radius_smsotp.providers.http.answer import Answer, Condition, Rules, Signs, judge
from radius_smsotp.providers.http.receiving import ReceiptSettings, place
from radius_smsotp.providers.http.request import (
    TOKEN,
    Request,
    Template,
    Tree,
    checked_headers,
    checked_parameter,
    checked_template,
    leaves,
)
from radius_smsotp.providers.http.signing import SIGNERS, Signer, host, of_amazon
from radius_smsotp.providers.http.token import Source, Token
from radius_smsotp.providers.template import OF_NUMBER, OF_TEXT, PLACEHOLDERS, Regexp, values

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from radius_smsotp.providers.http.receipt import Reading
    from radius_smsotp.providers.http.transport import Wire

_NOTHING = dict.fromkeys(PLACEHOLDERS, "")
"""What placeholders stand for where only the rest of a request is looked at."""

_SECRET_NAME = re.compile(
    r"pass|pwd|secret|token|key|auth|sign|hash|consumer|pin$|sid$|cookie", re.I
)
"""Names of parameters and headers whose values an error must not repeat."""

_IN_BODY = re.compile(
    r"""([\w-]+)["']?\s*(?:[=:]\s*(?:"([^"]+)"|'([^']+)'|([^"'&,{}\s][^"'&,{}\n]*))|>\s*([^<]+))"""
)
"""What may be a name and its value: ``a=b``, ``a="b"``, ``<a>b</a>``, ``"a": "b"``."""


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


def _usable_body(body: str) -> str:
    if "<![CDATA[" in body:
        raise ValueError("has a CDATA section; write {message} without, it is escaped for XML")
    return checked_template(body)


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


class TokenSettings(Section):
    """How a token is fetched, before the first message and whenever it has expired."""

    url: Url = Field(repr=False, description="where the gateway gives one")
    http_method: _Method = Field("POST", description="as for the messages")
    parameter: Annotated[Tree, BeforeValidator(checked_parameter)] = Field(
        {"grant_type": "client_credentials"}, repr=False, description="what to send"
    )
    send_data_as_json: bool = Field(False, description="send JSON instead of a form")
    headers: Annotated[dict[str, str], BeforeValidator(checked_headers)] = Field(
        {}, repr=False, description="header fields to add"
    )
    username: str | None = Field(None, description="user name, or client_id: basic authentication")
    password: SecretStr | None = Field(None, description="password, or client_secret")
    token_json: Annotated[Condition, BeforeValidator(place)] = Field(
        "access_token", validate_default=True, description="where the token stands in the answer"
    )
    expires_json: Annotated[Condition, BeforeValidator(place)] = Field(
        "expires_in", validate_default=True, description="where the seconds of its life stand"
    )
    lifetime: float = Field(
        300.0,
        gt=0,
        description="the seconds, if they are not there; after a 401 it is fetched anew",
    )

    def template(self) -> Template:
        """The request that these settings describe."""
        return Template(
            self.http_method, self.url, self.parameter, self.headers, self.send_data_as_json
        )

    def credentials(self) -> tuple[str, str] | None:
        """User name and password."""
        return _pair(self.username, self.password)

    def secrets(self) -> list[str]:
        """What an error must not repeat."""
        return _secrets([*self.headers.items(), *leaves(self.parameter)], self.credentials())

    def token(self, wire: Wire, secrets: list[str]) -> Token:
        """
        The token, not fetched yet.

        Args:
            wire: The way to `url`.
            secrets: What an error must not repeat.
        """
        quote = partial(excerpt, secrets=secrets)
        request = self.template().request({})
        found = self.token_json, self.expires_json, self.lifetime
        return Token(Source(request, wire.exchange, quote, *found))


def _secrets(named: list[tuple[str, Any]], *pairs: tuple[str, str] | None) -> list[str]:
    """The secrets among parameters and headers, and those of user names and passwords."""
    secrets = [str(value) for name, value in named if _is_secret(name, value)]
    # "Bearer TOKEN": the token alone as well.
    secrets += [word for secret in secrets for word in secret.split()[-1:]]
    for pair in filter(None, pairs):
        # A user name without a password is a token that stands for both.
        secrets += [pair[1] or pair[0], ":".join(pair)]
    return secrets


def _pair(username: str | None, password: SecretStr | None) -> tuple[str, str] | None:
    return (username, password.get_secret_value() if password else "") if username else None


class Settings(ProviderSettings):
    """Settings of an ``http`` provider."""

    type: Literal["http"]
    url: Url = Field(
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
    parameter_ucs2: Annotated[Tree, BeforeValidator(checked_parameter)] = Field(
        {},
        repr=False,
        description="what to send besides, or instead, if the text has letters outside of the GSM "
        "alphabet: {coding: 2}",
    )
    body: Annotated[str, AfterValidator(_usable_body)] | None = Field(
        None,
        repr=False,
        description="what POST and PUT send instead of parameters, as it is written; what is "
        "filled in is escaped as the header Content-Type says: for XML, JSON or a form",
    )
    body_ucs2: Annotated[str, AfterValidator(_usable_body)] | None = Field(
        None,
        repr=False,
        description="another body if the text has letters outside of the GSM alphabet",
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
    auth: Literal["basic", "digest", "aws", "aliyun", "tencent", "ovh"] = Field(
        "basic",
        description="how user name and password are sent: basic or digest; or how requests are "
        "signed with them, a key's name and the key: aws, aliyun, tencent or ovh",
    )
    token: TokenSettings | None = Field(
        None,
        description="how to fetch the token that {token} stands for; where that stands nowhere, "
        "it goes out as `Authorization: Bearer`",
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
    return_busy: str | None = Field(
        None, description="text that the answer holds if the message is to come again later"
    )
    return_busy_regex: _Pattern | None = Field(
        None, description="the same, as a regular expression"
    )
    return_busy_json: _Json | None = Field(
        None, description="the same, as a path into a JSON answer: messages.0.status = 1"
    )
    message_id_json: Annotated[Condition, BeforeValidator(place)] | None = Field(
        None, description="where the gateway's id of the message stands in a JSON answer"
    )
    message_id_regex: Annotated[_Pattern, AfterValidator(_with_one_group)] | None = Field(
        None, description="the same for any answer: what its one group encloses"
    )
    receipt: ReceiptSettings | None = Field(
        None, description="how to read what the gateway tells `smsotp receiver`"
    )
    proxy: Proxy = None
    http_proxy: ProxyUrl | None = Field(None, description="proxy if url begins with `http://`")
    https_proxy: ProxyUrl | None = Field(None, description="proxy if url begins with `https://`")
    check_ssl: bool = Field(True, description="whether the gateway's certificate is verified")
    ca_file: CaFile = None
    client_cert: Path | None = Field(None, description="our own certificate, in PEM")
    client_key: Path | None = Field(
        None, description="its key without a passphrase, if client_cert does not hold it as well"
    )

    @model_validator(mode="after")
    def _sends_all(self) -> Settings:
        template = self.template()
        if self.body is not None and (self.http_method == "GET" or template.tree()):
            raise ValueError(
                "body stands for all that is sent: set http_method to POST, and write what "
                "parameter and the keys name into it, or into url"
            )
        for name, base in (("parameter_ucs2", self.parameter), ("body_ucs2", self.body)):
            laid = getattr(self, name)
            if laid and not isinstance(laid, type(base)):
                told = name.removesuffix("_ucs2")
                raise ValueError(f"{name} is laid over {told}, and both have to be of one kind")
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
            places = " and ".join(
                f"{each} into url, parameter, body or headers)" for each in missing
            )
            twice = " and ".join(sorted(key for key in self._keys() if key in self.parameter))
            hint = f"; parameter has {twice} as well, and wins" if twice else ""
            raise ValueError(f"the request has no place for {places}{hint}")
        return self

    @model_validator(mode="after")
    def _says_who_we_are(self) -> Settings:
        template = self.template()
        if self.password and not self.credentials():
            raise ValueError("password is set without username; set both")
        if self.auth != "basic" and not self.credentials():
            raise ValueError(f"auth is {self.auth}, which needs username and password")
        if self.auth == "aws" and not of_amazon(host(template.request(_NOTHING))):
            raise ValueError(
                "auth is aws, and url names no service and region, as "
                "https://sns.eu-central-1.amazonaws.com does; elsewhere a header Host may name them"
            )
        if "token" in template.carries() and not self.token:
            raise ValueError(f"{TOKEN} stands for what token fetches, which is not set")
        log_in = template.headers.get("Authorization", "")
        if self.credentials() and TOKEN in log_in:
            raise ValueError("username and token both log in; move username into token")
        if self.receipt and self.receipt.signature and not self.reading():
            raise ValueError("receipt.signature is set without receipt.secret; set both")
        if self.client_key and not self.client_cert:
            raise ValueError("client_key is set without client_cert; set both")
        return self

    def _keys(self) -> set[str]:
        return {key for key in (self.sms_phonenumber_key, self.sms_text_key) if key}

    def template(self) -> Template:
        """The request that these settings describe."""
        split = urlsplit(self.url)
        made = Template(
            method=self.http_method,
            url=split._replace(netloc=split.netloc.rpartition("@")[2]).geturl(),
            parameter=self.parameter,
            headers=self.headers,
            as_json=self.send_data_as_json,
            phone_key=self.sms_phonenumber_key,
            text_key=self.sms_text_key,
            body=self.body,
            ucs2=self.parameter_ucs2,
            body_ucs2=self.body_ucs2,
        )
        if not self.token or "token" in made.carries():
            return made
        return replace(made, headers={"Authorization": f"Bearer {TOKEN}"} | self.headers)

    def rules(self) -> Rules:
        """How to read the answer."""
        return Rules(
            success=Signs(self.return_success, self.return_success_regex, self.return_success_json),
            fail=Signs(self.return_fail, self.return_fail_regex, self.return_fail_json),
            busy=Signs(self.return_busy, self.return_busy_regex, self.return_busy_json),
            id_path=self.message_id_json,
            id_regex=self.message_id_regex,
        )

    def reading(self) -> Reading | None:
        """How to read receipts; None if none are expected, or could not be trusted."""
        return self.receipt.reading(self.password) if self.receipt else None

    def asks_for_receipts(self) -> bool:
        """See `ProviderSettings`."""
        return "receipt_url" in self.template().carries()

    def credentials(self) -> tuple[str, str] | None:
        """User name and password, which may also stand in the URL as in ``user:password@host``."""
        split = urlsplit(self.url)
        if not self.username and split.username:
            return unquote(split.username), unquote(split.password or "")
        return _pair(self.username, self.password)

    def proxy_setting(self, url: str = "") -> tuple[str, str] | None:
        """The name of the setting that names the proxy to use, and its value."""
        for name in (f"{urlsplit(url or self.url).scheme.lower()}_proxy", "proxy"):
            value: SecretStr | None = getattr(self, name)
            if value:
                return name, value.get_secret_value()
        return None

    def secrets(self) -> list[str]:
        """What an error must not repeat, besides number, code and text."""
        named = [*self.headers.items(), *leaves(self.parameter), *leaves(self.parameter_ucs2)]
        named += parse_qsl(urlsplit(self.url).query)
        for body in filter(None, (self.body, self.body_ucs2)):
            found = ((name, "".join(value)) for name, *value in _IN_BODY.findall(body))
            named += [(name, each) for name, one in found for each in {one, html.unescape(one)}]
        secrets = _secrets(named, self.credentials())
        secrets += self.token.secrets() if self.token else []
        if proxy := self.proxy_setting():
            split = urlsplit(proxy[1])
            pair = unquote(split.username or ""), unquote(split.password or "")
            secrets += [pair[1], ":".join(pair) if any(pair) else ""]
        return secrets


class Provider(BaseProvider[Settings]):
    """Sends messages through an HTTP gateway."""

    def __init__(self, name: str, settings: Settings, surroundings: Surroundings) -> None:
        super().__init__(name, settings, surroundings)
        self._template = settings.template()
        self._rules = settings.rules()
        self._secrets = settings.secrets()
        self._receipt_url = surroundings.receipt_url(name)
        self._tls_context = partial(
            connection.tls_context,
            self._path(settings.ca_file),
            self._path(settings.client_cert),
            self._path(settings.client_key),
            verify=settings.check_ssl,
        )
        # Whoever signs sends no password.
        own = settings.credentials() if settings.auth not in SIGNERS else None
        self._wire = self._new_wire(settings.url, own, digest=settings.auth == "digest")
        self._token: Token | None = None
        if settings.token:
            self._token_wire = self._new_wire(settings.token.url, settings.token.credentials())
            self._token = settings.token.token(self._token_wire, self._secrets)

    def _new_wire(
        self, url: str, credentials: tuple[str, str] | None, *, digest: bool = False
    ) -> Wire:
        # Whoever only reads the settings, as most commands do, need not wait for requests.
        from radius_smsotp.providers.http.transport import Wire  # noqa: PLC0415

        proxy = self._settings.proxy_setting(url)
        return Wire(self._tls_context, proxy[1] if proxy else None, credentials, digest=digest)

    def close(self) -> None:
        """Close the connections that are kept for the next message."""
        self._wire.close()
        if self._token:
            self._token_wire.close()

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
        faults = self._reach(context, limit)
        if self._token and not faults:
            # Nothing is sent by it, and it tells whether user name and password are right.
            try:
                self._token.get(limit)
            except DeliveryError as error:
                return [("token", str(error), "mend what is written there")]
        return faults

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
        if settings.token:
            yield from exposed(f"{here}.token", settings.token.url, None)
        if not settings.check_ssl:
            yield unverified(f"{here}.check_ssl", urlsplit(settings.url).hostname or "")

    def _send(self, message: Message, limit: float) -> Receipt:
        given = values(message, self._settings.regexp) | {"receipt_url": self._receipt_url}
        request, answer = self._submit(given, limit)
        if answer.status == http.HTTPStatus.UNAUTHORIZED and self._token:
            # It was withdrawn, or the gateway has been started again.  Once: a new one is not
            # taken either where the account may not send.
            request, answer = self._submit(given, limit, refused=given["token"])
        quote = partial(excerpt, secrets=self._secrets_of(request), message=message)
        verdict = judge(answer, self._rules, quote, datetime.now(timezone.utc))
        if isinstance(verdict, DeliveryError):
            raise verdict
        if verdict.message_id is None and "attempt" in self._template.carries():
            return Receipt(message.attempt)
        return verdict

    def _submit(
        self, given: dict[str, str], limit: float, refused: str = ""
    ) -> tuple[Request, Answer]:
        """Send the request, with a token that is valid, and signed now."""
        settings = self._settings
        if self._token:
            given["token"] = self._token.get(limit, refused)
        request = self._template.request(given)
        if sign := SIGNERS.get(settings.auth):
            name, key = settings.credentials() or ("", "")
            request = sign(
                request, Signer(name, key, datetime.now(timezone.utc), str(uuid.uuid4()))
            )
        return request, self._wire.exchange(request, limit)

    def _secrets_of(self, request: Request) -> list[str]:
        # The path too: some gateways have a password in it, and a 404 likes to repeat it.
        split = urlsplit(request.url)
        path = split.path if len(split.path) > 1 else ""
        target = f"{split.path}?{split.query}" if split.query else ""
        # Some leave out the first slash.  A single word is none of the secrets that hide in paths.
        bare = path[1:] if path.count("/") > 1 else ""
        token = self._token.value if self._token else ""
        return [*self._secrets, self._receipt_url, request.number, path, bare, target, token]
