"""The provider ``http``: APIs that want to be logged in to first."""

from __future__ import annotations

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.errors import DeliveryError, Refused, Unavailable
from radius_smsotp.providers.contract import message, soon
from radius_smsotp.providers.http import token as of_token
from tests.providers import gateway as gw
from tests.providers.http.http_tests import KEYS, PASSWORD, HttpTests, failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from radius_smsotp.providers.http.provider import Provider
    from tests.providers.gateway import Gateway


class Api:
    """
    One with OAuth 2, as a gateway behaves.

    Attributes:
        valid: The tokens that are taken.
        takes_none: Not even those.
        fetched: How often one was asked for.
        life: Seconds, as the answer tells them.
    """

    def __init__(self) -> None:
        self.valid: set[str] = set()
        self.takes_none = False
        self.fetched = 0
        self.life: Any = 3600
        self._lock = threading.Lock()

    def __call__(self, call: gw.Call) -> None:
        if call.request.path != "/token":
            given = call.request.headers.get("authorization", "").removeprefix("Bearer ")
            known = given in self.valid and not self.takes_none
            call.answer(200 if known else 401, "ID: 1" if known else f"{given} has expired")
            return
        with self._lock:
            self.fetched += 1
            made = f"tok-{self.fetched:04}-secret"
            self.valid.add(made)
        told = {"access_token": made, "expires_in": self.life, "token_type": "Bearer"}
        call.answer(200, json.dumps(told))


class TestClientCredentials(HttpTests):
    """OAuth 2: RFC 6749 4.4."""

    @pytest.fixture
    def api(self, gateway: Gateway) -> Api:
        gateway.behave = api = Api()
        return api

    @pytest.fixture
    def new(self, gateway: Gateway, build: Callable[..., Provider]) -> Callable[[], Provider]:
        """Makes a provider, as each process has its own."""
        token = {"url": f"{gateway.url}/token", "username": "me", "password": PASSWORD}
        return lambda: build(url=f"{gateway.url}/send", token=token)

    @pytest.fixture
    def provider(self, new: Callable[[], Provider]) -> Provider:
        return new()

    def test_a_token_is_fetched_as_the_rfc_says_and_used_until_it_expires(
        self, gateway: Gateway, api: Api, provider: Provider
    ) -> None:
        for number in range(3):
            provider.send(message(number), soon())
        fetch, *sent = gateway.requests
        assert (fetch.method, fetch.form) == ("POST", {"grant_type": ["client_credentials"]})
        assert fetch.headers["authorization"].startswith("Basic ")
        assert [one.headers["authorization"] for one in sent] == ["Bearer tok-0001-secret"] * 3

    def test_one_fetches_it_for_all(self, api: Api, provider: Provider) -> None:
        with ThreadPoolExecutor(12) as pool:
            list(pool.map(lambda n: provider.send(message(n), soon()), range(12)))
        assert api.fetched == 1

    def test_one_that_is_not_taken_any_more_is_fetched_anew_once_for_all(
        self, api: Api, provider: Provider
    ) -> None:
        provider.send(message(), soon())
        api.valid.clear()
        with ThreadPoolExecutor(12) as pool:
            list(pool.map(lambda n: provider.send(message(n), soon()), range(12)))
        assert api.fetched == 2

    def test_an_account_that_may_not_send_is_refused_after_a_second_one(
        self, gateway: Gateway, api: Api, provider: Provider, caplog: pytest.LogCaptureFixture
    ) -> None:
        """And what the gateway repeats of the token is told to nobody."""
        caplog.set_level(logging.DEBUG)
        api.takes_none = True
        error = failure(provider)
        assert isinstance(error, Refused)
        assert error.out_of_order
        assert (api.fetched, len(gateway.requests)) == (2, 4)
        assert "tok-" not in str(error) + caplog.text
        assert "*** has expired" in str(error)

    @pytest.mark.parametrize("life", ["1000", 1000, 1000.5, None, "soon"])
    def test_its_life_is_what_the_answer_says(
        self,
        api: Api,
        provider: Provider,
        life: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Less a tenth, for clocks that differ; and five minutes if it does not say."""
        clock = SimpleNamespace(monotonic=lambda: 0.0)
        monkeypatch.setattr(of_token, "time", clock)
        api.life = life
        provider.send(message(1), soon())
        seconds = 0.9 * (300 if life in (None, "soon") else float(life))
        clock.monotonic = lambda: seconds - 1
        provider.send(message(2), soon())
        assert api.fetched == 1
        clock.monotonic = lambda: seconds + 1
        provider.send(message(3), soon())
        assert api.fetched == 2

    @pytest.mark.parametrize(
        ("behave", "kind", "told"),
        [
            (
                gw.answers(401, "wrong: s3cret-wörd"),
                Refused,
                "the gateway answered 401: wrong: ***",
            ),
            (gw.answers(400, '{"error": "invalid_client"}'), Refused, "invalid_client"),
            (gw.answers(200, '{"jwt": "tok-secret"}'), Refused, "there is none at access_token"),
            (gw.answers(200, "tok-secret"), Refused, "mend token_json"),
            (gw.answers(503, "later", Retry_After="7"), Unavailable, "the gateway answered 503"),
            (gw.hang_up, Unavailable, "the connection was closed"),
            (gw.broken_body, Unavailable, "the connection broke"),
        ],
    )
    def test_without_one_nothing_is_sent(
        self,
        gateway: Gateway,
        provider: Provider,
        behave: gw.Behaviour,
        kind: type[DeliveryError],
        told: str,
    ) -> None:
        gateway.behave = behave
        error = failure(provider)
        assert isinstance(error, kind)
        assert getattr(error, "out_of_order", True)
        assert str(error).startswith("no token: ")
        assert told in str(error)
        assert "tok-" not in str(error)
        assert {one.path for one in gateway.requests} == {"/token"}

    def test_silence_ends_for_all_at_their_deadlines(
        self, gateway: Gateway, provider: Provider
    ) -> None:
        gateway.behave = gw.stall
        with ThreadPoolExecutor(3) as pool:
            futures = [pool.submit(provider.send, message(n), soon(0.5)) for n in range(3)]
            errors = [one.exception(timeout=20) for one in futures]
        assert [type(one) for one in errors] == [Unavailable] * 3

    def test_check_fetches_one_and_says_what_is_wrong(
        self, gateway: Gateway, api: Api, new: Callable[[], Provider]
    ) -> None:
        assert new().check() == []
        assert api.fetched == 1
        gateway.behave = gw.answers(401, "no")
        [problem] = new().check()
        assert problem.path == "providers.sms.token"
        assert problem.fault == "no token: the gateway answered 401: no"


class TestWaysOfTheirOwn(HttpTests):
    """Logging in first, in JSON."""

    def test_the_token_goes_where_it_is_written(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        def behave(call: gw.Call) -> None:
            if call.request.path == "/login":
                call.answer(200, '{"data": {"token": "a+b/c&d", "expires": 299}}')
            else:
                call.answer(200, "ID: 1")

        gateway.behave = behave
        token = {
            "url": f"{gateway.url}/login",
            "send_data_as_json": True,
            "parameter": {"username": "me", "password": PASSWORD},
            "token_json": "data.token",
            "expires_json": "data.expires",
        }
        parameter = {"key": "{token}"}
        url = gateway.url + "/send/{token}"
        build(url=url, http_method="POST", parameter=parameter, token=token).send(message(), soon())
        login, sent = gateway.requests
        assert login.json == {"username": "me", "password": PASSWORD}
        assert sent.path == "/send/a%2Bb%2Fc%26d"
        assert sent.form["key"] == ["a+b/c&d"]
        assert "authorization" not in sent.headers

    def test_a_wrong_password_is_not_repeated_by_the_error(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        gateway.behave = gw.answers(403, f'{{"password": "{PASSWORD}"}}')
        token = {"url": gateway.url, "parameter": {"password": PASSWORD}}
        error = failure(build(KEYS, url=gateway.url, token=token))
        assert isinstance(error, Refused)
