"""
Provider ``http``: any SMS gateway that takes an HTTP request.

`http_settings` says what may be set, `http_template` builds the request, `http_wire` sends it
over connections of `http_pool`, and `http_verdict` judges the answer; here they are put together.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from radius_smsotp.errors import DeliveryError, Problem, Unavailable
from radius_smsotp.providers import Message, Receipt, Surroundings, connection
from radius_smsotp.providers.excerpt import excerpt
from radius_smsotp.providers.http_settings import Settings
from radius_smsotp.providers.http_verdict import judge

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from radius_smsotp.providers.http_template import Request

__all__ = ["Provider", "Settings"]

CHECK = 4.5
"""Seconds that `Provider.check` may take."""


class Provider:
    """Sends messages through an HTTP gateway."""

    def __init__(self, name: str, settings: Settings, surroundings: Surroundings) -> None:
        # Whoever only reads the settings, as most commands do, need not wait for requests.
        import urllib3  # noqa: PLC0415

        from radius_smsotp.providers.http_wire import Wire  # noqa: PLC0415

        self.name = name
        self._settings = settings
        self._folder = surroundings.folder
        self._template = settings.template()
        self._rules = settings.rules()
        self._secrets = settings.secrets()
        proxy = settings.proxy_setting()
        self._wire = Wire(
            self._tls_context,
            proxy[1] if proxy else None,
            settings.credentials(),
            digest=settings.auth == "digest",
        )
        if not settings.check_ssl:
            # It was asked for; a line on stderr for each connection changes nothing.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def check(self) -> list[Problem]:
        """Look whether files can be read and the gateway, or the proxy, can be reached."""
        settings = self._settings
        try:
            connection.tls_context(self._path(settings.ca_file))
        except OSError as error:
            return [self._problem("ca_file", error, "name a readable file in PEM")]
        try:
            context = self._tls_context()
        except OSError as error:
            remedy = "name readable files in PEM, and a key without a passphrase"
            return [self._problem("client_cert", error, remedy)]
        return self._reach(context)

    def send(self, message: Message, deadline: float) -> Receipt:
        """Send one message.  See `radius_smsotp.providers.Provider.send`."""
        limit = min(deadline, time.monotonic() + self._settings.timeout)
        if time.monotonic() >= limit:
            raise Unavailable("no time was left to send the message")
        # What no encoding can write would raise errors that quote it.
        message = replace(message, text=message.text.encode(errors="replace").decode())
        request = self._template.request(message)
        answer = self._wire.exchange(request, limit)
        quote = partial(_quote, self._secrets_of(request), message)
        verdict = judge(answer, self._rules, quote, datetime.now(UTC))
        if isinstance(verdict, DeliveryError):
            raise verdict
        return verdict

    def close(self) -> None:
        """Close the connections that are kept for the next message."""
        self._wire.close()

    def _secrets_of(self, request: Request) -> list[str]:
        # The path too: some gateways have a password in it, and a 404 likes to repeat it.
        split = urlsplit(request.url)
        path = split.path if len(split.path) > 1 else ""
        target = f"{split.path}?{split.query}" if split.query else ""
        # Some leave out the first slash.  A single word is none of the secrets that hide in paths.
        bare = path[1:] if path.count("/") > 1 else ""
        return [*self._secrets, request.number, path, bare, target]

    def _reach(self, context: ssl.SSLContext) -> list[Problem]:
        setting, url = self._settings.proxy_setting() or ("url", self._settings.url)
        split = urlsplit(url)
        host, secure = split.hostname or "", split.scheme.lower() == "https"
        port = split.port or (443 if secure else 80)
        deadline = time.monotonic() + CHECK
        try:
            sock = connection.connect(host, port, deadline)
        except OSError as error:
            remedy = "mend the address, or what is between here and there"
            return [self._problem(setting, error, remedy, f"cannot connect to {host}:{port}")]
        try:
            if secure:
                sock = connection.secure(sock, host, context)
        except OSError as error:
            remedy = "set ca_file if its certificates come from a CA of your own"
            return [self._problem(setting, error, remedy, f"no TLS with {host}:{port}")]
        finally:
            sock.close()
        return []

    def _problem(self, setting: str, error: OSError, remedy: str, what: str = "") -> Problem:
        fault = f"{what or 'cannot be used'} ({connection.reason(error)})"
        return Problem(f"providers.{self.name}.{setting}", fault, remedy)

    def _tls_context(self) -> ssl.SSLContext:
        settings = self._settings
        from radius_smsotp.providers.http_pool import tls_context  # noqa: PLC0415  # as above

        return tls_context(
            self._path(settings.ca_file),
            self._path(settings.client_cert),
            self._path(settings.client_key),
            verify=settings.check_ssl,
        )

    def _path(self, path: Path | None) -> Path | None:
        return self._folder / path if path else None


def _quote(secrets: list[str], message: Message, said: str, limit: int) -> str:
    return excerpt(said, secrets, message, limit)
