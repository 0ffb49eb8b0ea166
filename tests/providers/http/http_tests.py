"""What the tests of provider ``http`` share."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.errors import DeliveryError
from radius_smsotp.providers import Surroundings
from radius_smsotp.providers.contract import CODE, PHONE, message, soon
from radius_smsotp.providers.http.provider import Provider, Settings
from tests.providers.gateway import Authority, Gateway

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PASSWORD = "s3cret-wörd"
KEYS = {"sms_phonenumber_key": "to", "sms_text_key": "text"}


class HttpTests:
    """Fixtures: a gateway, a certification authority, and a builder of providers."""

    @pytest.fixture
    def gateway(self) -> Iterator[Gateway]:
        with Gateway() as running:
            yield running

    @pytest.fixture(scope="class")
    @classmethod
    def authority(cls, tmp_path_factory: pytest.TempPathFactory) -> Authority:
        return Authority(tmp_path_factory.mktemp("authority"))

    @pytest.fixture
    def build(self, tmp_path: Path) -> Iterator[Callable[..., Provider]]:
        """Builds providers, and closes them afterwards."""
        with ExitStack() as stack:

            def built(given: dict[str, Any] | None = None, **settings: Any) -> Provider:
                settings = {"type": "http", **(given or KEYS), **settings}
                surroundings = Surroundings(tmp_path, {}, tmp_path)
                made = Provider("sms", Settings.model_validate(settings), surroundings)
                stack.callback(made.close)
                return made

            yield built


def failure(provider: Provider, seconds: float = 20, **changes: Any) -> DeliveryError:
    """The error that a message ends with, after a look at what it tells."""
    with pytest.raises(DeliveryError) as caught:
        provider.send(message(**changes), soon(seconds))
    told = str(caught.value)
    assert caught.value.__context__ is None
    for secret in (CODE, PHONE[1:], PASSWORD):
        assert secret not in told
    return caught.value
