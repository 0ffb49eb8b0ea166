"""Wi-Fi: a device is asked for the PIN, then for the code, inside one conversation."""

from __future__ import annotations

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.freeradius.supplicant import PEAP_GTC, STATION, TTLS_GTC, Supplicant
from tests.support.freeradius import Radiusd, Site
from tests.support.site import PHONE, PIN

if TYPE_CHECKING:
    from collections.abc import Callable

METHODS = pytest.mark.parametrize("method", [PEAP_GTC, TTLS_GTC], ids=["peap", "ttls"])
CODE_PROMPT = "Enter the 6-digit code sent to ***67: "
START_AGAIN = "Wrong code, {} left. " + CODE_PROMPT


def code(site: Site, user: str = "alice") -> str:
    """The code of the challenge that was opened last."""
    opened = [event for event in site.events(user) if event.kind == "challenge-opened"][-1]
    return site.code(opened.transaction_id.encode())


def wrong(right: str) -> str:
    """A code that is not the right one."""
    return f"{(int(right) + 1) % 1_000_000:06d}"


@METHODS
def test_a_device_is_asked_for_the_pin_and_then_for_the_code(
    site: Site, radiusd: Radiusd, method: str
) -> None:
    with Supplicant(radiusd, method) as device:
        assert device.question() == "PIN: "
        assert device.answer(PIN) == CODE_PROMPT
        assert device.answer(code(site)) is None
        assert device.accepted()
    opened, *_, accepted = site.events("alice")
    assert (opened.kind, accepted.kind) == ("challenge-opened", "code-accepted")
    # Who asked is the access point, not the loopback address that the tunnel ends at.
    assert {(event.client, event.station) for event in (opened, accepted)} == {
        ("local", STATION.replace(":", "-"))
    }
    assert site.messages()[0]["phone"] == PHONE


@METHODS
def test_a_wrong_pin_ends_the_conversation_and_counts_once(
    site: Site, radiusd: Radiusd, method: str
) -> None:
    with Supplicant(radiusd, method) as device:
        device.question()
        assert device.answer("9999") is None
        assert not device.accepted()
    assert site.kinds("alice") == ["pin-wrong"]
    with site.store.read() as tx:
        assert tx.lockout("alice").failures == 1
        assert tx.lockout("anonymous").failures == 0
    assert site.messages() == []


def test_after_a_wrong_code_peap_asks_again_while_guesses_are_left(
    site: Site, radiusd: Radiusd
) -> None:
    with Supplicant(radiusd, PEAP_GTC) as device:
        device.question()
        device.answer(PIN)
        right = code(site)
        assert device.answer(wrong(right)) == START_AGAIN.format(2)
        assert device.answer(wrong(right)) == START_AGAIN.format(1)
        assert device.answer(right) is None
        assert device.accepted()
    with Supplicant(radiusd, PEAP_GTC) as device:
        device.question()
        device.answer(PIN)
        right = code(site)
        for _ in range(2):
            assert device.answer(wrong(right)) is not None
        assert device.answer(wrong(right)) is None
        assert not device.accepted()
    assert [event.detail.get("reason") for event in site.events("alice")][-1] == "exhausted"


def test_after_a_wrong_code_ttls_ends_and_the_same_code_is_asked_for_at_the_next_start(
    site: Site, radiusd: Radiusd
) -> None:
    """wpa_supplicant discards a third question inside TTLS, and would wait for its time-out."""
    with Supplicant(radiusd, TTLS_GTC) as device:
        device.question()
        device.answer(PIN)
        right = code(site)
        assert device.answer(wrong(right)) is None
        assert not device.accepted()
    with Supplicant(radiusd, TTLS_GTC) as device:
        device.question()
        assert device.answer(PIN) == CODE_PROMPT
        assert device.answer(right) is None
        assert device.accepted()
    assert len(site.messages()) == 1


def test_r_sends_the_same_code_again(site: Site, radiusd: Radiusd) -> None:
    with Supplicant(radiusd, PEAP_GTC) as device:
        device.question()
        device.answer(PIN)
        right = code(site)
        assert device.answer("r") == "Sent again. " + CODE_PROMPT
        assert device.answer(right) is None
        assert device.accepted()
    assert "sms-resent" in site.kinds("alice")


def test_a_code_may_take_40_seconds(site: Site, radiusd: Radiusd) -> None:
    site.add("bob")
    with (
        Supplicant(radiusd, PEAP_GTC, "alice") as one,
        Supplicant(radiusd, TTLS_GTC, "bob") as two,
    ):
        for device in (one, two):
            device.question()
            device.answer(PIN)
        time.sleep(40)
        assert one.answer(code(site, "alice")) is None
        assert two.answer(code(site, "bob")) is None
        assert one.accepted()
        assert two.accepted()


@METHODS
def test_an_expired_code_ends_the_conversation(site: Site, radiusd: Radiusd, method: str) -> None:
    with Supplicant(radiusd, method) as device:
        device.question()
        device.answer(PIN)
        right = code(site)
        with sqlite3.connect(site.folder / "smsotp.db") as db:
            db.execute("UPDATE challenge SET expires_at = expires_at - 301")
        assert device.answer(right) is None
        assert not device.accepted()
    assert site.events("alice")[-1].detail["reason"] == "expired"


@pytest.mark.parametrize(
    "method",
    ['eap=PEAP phase2="auth=MSCHAPV2"', 'eap=TTLS phase2="autheap=MSCHAPV2"'],
    ids=["peap", "ttls"],
)
def test_a_device_that_refuses_gtc_is_rejected_and_the_trail_says_why(
    site: Site, radiusd: Radiusd, method: str
) -> None:
    """As a wrong PIN is, and it counts for nobody."""
    with Supplicant(radiusd, method, password=PIN) as device:
        assert device.question() is None
        assert not device.accepted()
    assert [(event.kind, event.detail) for event in site.events("alice")] == [
        ("pin-wrong", {"reason": "hashed-pin", "method": "MS-CHAPv2"})
    ]
    with site.store.read() as tx:
        assert tx.lockout("alice").failures == 0


def test_two_conversations_of_one_account_share_a_code_and_one_of_them_gets_in(
    site: Site, radiusd: Radiusd
) -> None:
    with ExitStack() as stack:
        devices = [stack.enter_context(Supplicant(radiusd)) for _ in range(2)]
        for device in devices:
            device.question()
            assert device.answer(PIN) == CODE_PROMPT
        right = code(site)
        assert len(site.messages()) == 1
        with ThreadPoolExecutor(2) as pool:
            asked = list(pool.map(lambda device: device.answer(right), devices))
        assert asked == [None, None]
        assert sorted(device.accepted() for device in devices) == [False, True]
    assert site.kinds("alice").count("code-accepted") == 1


def test_prompts_in_any_language_arrive_whole(make_site: Callable[..., Site]) -> None:
    prompt = "Пожалуйста, введите код из сообщения („{digits}“, 代码): " + "x" * 60
    site = make_site(challenge={"prompt": prompt}, texts={"first_factor": "Kennwort für Zürich: "})
    site.add("zoë", text="größe€")
    with Supplicant(site.start(), PEAP_GTC, "zoë") as device:
        assert device.question() == "Kennwort für Zürich: "
        assert device.answer("größe€") == prompt.replace("{digits}", "6")
        assert device.answer(code(site, "zoë")) is None
        assert device.accepted()


def test_what_the_site_says_of_a_user_reaches_the_access_point(site: Site) -> None:
    def assign(raddb: object) -> None:
        path = site.folder / "raddb" / "sites-available" / "smsotp-gtc"
        text = path.read_text()
        comment = '#  update reply {\n\t\t#  \t&User-Name := "%{User-Name}"\n\t\t#  }'
        assert comment in text
        path.write_text(text.replace(comment, comment.replace("#  ", "")))

    with Supplicant(site.start(edit=assign)) as device:
        device.question()
        device.answer(PIN)
        device.answer(code(site))
        assert device.accepted()
        accept = device.output().rpartition("code=2 (Access-Accept)")[2]
    assert "Attribute 1 (User-Name) length=7" in accept
