"""A real Kannel, sent to as its preset says, with a real SMSC behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.errors import Refused
from radius_smsotp.providers import Surroundings, build
from radius_smsotp.providers.contract import PHONE, message, soon
from tests.providers.descriptions import RUSSIAN
from tests.providers.smpp.smsc import PASSWORD, Smsc
from tests.providers.test_presets import filled, load
from tests.support.kannel import Kannel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from radius_smsotp.providers import Provider

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def smsc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Smsc]:
    with Smsc(tmp_path_factory.mktemp("smsc")) as running:
        yield running


@pytest.fixture(scope="module")
def kannel(smsc: Smsc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kannel]:
    with Kannel(tmp_path_factory.mktemp("kannel"), smsc.port, PASSWORD) as running:
        smsc.wait("bind")
        yield running


@pytest.fixture
def provider(kannel: Kannel, tmp_path: Path) -> Iterator[Callable[..., Provider]]:
    """The preset, filled in, with changes."""
    made: list[Provider] = []

    def building(**changes: Any) -> Provider:
        settings = load(filled("kannel") | {"url": kannel.url} | changes)
        made.append(build("kannel", settings, Surroundings(tmp_path, {}, tmp_path)))
        return made[-1]

    yield building
    for one in made:
        one.close()


@pytest.mark.parametrize("text", [message().text, RUSSIAN, "739154 “ça” 🔑", "739154 {[€]}"])
def test_every_letter_arrives(smsc: Smsc, provider: Callable[..., Provider], text: str) -> None:
    provider().send(message(text=text), soon())
    sent = smsc.wait("submit")
    assert sent["to"][0] == PHONE.removeprefix("+")
    assert sent["text"] == text
    assert sent["coding"] == (0 if all(one in message().text + "{[€]}" for one in text) else 8)


def test_without_what_the_preset_adds_question_marks_would_arrive(
    smsc: Smsc, provider: Callable[..., Provider]
) -> None:
    """And Kannel says that it has sent the message: that is why ``smsotp check`` warns."""
    provider(parameter_ucs2={}).send(message(text=RUSSIAN), soon())
    sent = smsc.wait("submit")
    assert sent["coding"] == 0
    assert sent["text"].startswith("739154 ? ??? ???")


def test_a_wrong_password_is_refused(provider: Callable[..., Provider]) -> None:
    wrong = filled("kannel")["parameter"] | {"password": "wrong"}
    with pytest.raises(Refused, match="Authorization failed"):
        provider(parameter=wrong).send(message(), soon())
