"""A login to a real ocserv with openconnect, which show the prompt and ask for the code."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from tests.freeradius import recipe
from tests.peers.concentrator import Concentrator
from tests.peers.network import own_network
from tests.support.freeradius import Radiusd, Site
from tests.support.site import PIN, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PROMPT = "Enter the 6-digit code sent to ***67: \n"
WORDS = "Code per SMS an {phone_hint}, gültig {minutes} Minuten; «r» schickt ihn nochmals, €uro: "


@pytest.fixture
def make_concentrator(tmp_path: Path) -> Iterator[Callable[..., Concentrator]]:
    """Make an ocserv that runs."""
    made: list[Concentrator] = []

    def make(*servers: Radiusd, timeout: int = 10) -> Concentrator:
        one = Concentrator(tmp_path / f"ocserv{len(made)}", servers, timeout)
        made.append(one)
        one.start()
        return one

    yield make
    for one in made:
        one.stop()


def sent_code(site: Site, before: int = 0) -> str:
    """The code of the message after `before` others."""
    [*_, message] = eventually(lambda: len(found := site.messages()) > before and found)
    return site.code(message["transaction_id"].encode())


def test_ten_logins_in_a_row(
    make_site: Callable[..., Site], make_concentrator: Callable[..., Concentrator]
) -> None:
    site = make_site(limits={"per_account_hour": 0, "per_number_hour": 0})
    concentrator = make_concentrator(site.start())
    for number in range(10):
        login = concentrator.connect()
        login.type(PIN)
        login.type(sent_code(site, number))
        status, shown = login.end()
        assert status == 0, shown
        assert PROMPT in shown
        assert "COOKIE=" in shown
    assert site.kinds("alice") == ["challenge-opened", "sms-accepted", "code-accepted"] * 10
    # ocserv says which address the user comes from.
    assert {event.station for event in site.events("alice")} == {"127.0.0.1"}


def test_a_wrong_code_is_asked_for_again_until_the_guesses_are_used_up(
    site: Site, radiusd: Radiusd, make_concentrator: Callable[..., Concentrator]
) -> None:
    concentrator = make_concentrator(radiusd)
    login = concentrator.connect()
    login.type(PIN)
    code = sent_code(site)
    login.type("000000")
    login.type(code)
    status, shown = login.end()
    assert status == 0, shown
    assert f"Wrong code, 2 left. {PROMPT}" in shown
    recipe.assert_read("OpenConnect", shown)
    login = concentrator.connect()
    login.type(PIN)
    for _ in range(3):
        login.type("000000")
    status, shown = login.end()
    assert status != 0
    assert f"Wrong code, 1 left. {PROMPT}" in shown
    assert "COOKIE=" not in shown
    assert site.kinds("alice")[-1] == "code-rejected"


def test_a_wrong_pin_and_an_expired_code_do_not_let_in(
    site: Site, radiusd: Radiusd, make_concentrator: Callable[..., Concentrator]
) -> None:
    concentrator = make_concentrator(radiusd)
    login = concentrator.connect()
    login.type("9999")
    status, shown = login.end()
    assert status != 0, shown
    login = concentrator.connect()
    login.type(PIN)
    code = sent_code(site)
    with sqlite3.connect(site.folder / "smsotp.db") as db:
        db.execute("UPDATE challenge SET expires_at = created_at")
    db.close()
    login.type(code)
    status, shown = login.end()
    assert status != 0, shown
    assert "COOKIE=" not in shown
    assert site.events("alice")[-1].detail == {"reason": "expired"}


def test_a_prompt_in_any_language_arrives_whole_and_r_resends(
    make_site: Callable[..., Site], make_concentrator: Callable[..., Concentrator]
) -> None:
    site = make_site(challenge={"prompt": WORDS})
    concentrator = make_concentrator(site.start())
    login = concentrator.connect()
    login.type(PIN)
    code = sent_code(site)
    login.type("r")
    eventually(lambda: site.kinds("alice").count("sms-accepted") == 2)
    login.type(code)
    status, shown = login.end()
    assert status == 0, shown
    prompt = WORDS.format(phone_hint="***67", minutes=5)
    assert f"\n{prompt}\n" in shown
    assert f"\nSent again. {prompt}\n" in shown


def test_a_server_that_dies_between_the_steps_is_replaced_by_the_other(
    site: Site, make_concentrator: Callable[..., Concentrator]
) -> None:
    one, two = site.start("one"), site.start("two")
    concentrator = make_concentrator(one, two, timeout=1)
    login = concentrator.connect()
    login.type(PIN)
    code = sent_code(site)
    eventually(lambda: "sms-accepted" in site.kinds("alice"))
    one.stop()
    login.type(code)
    status, shown = login.end()
    assert status == 0, shown
    # Whoever is slow to answer is asked again, which is no other login.
    kinds = [kind for kind in site.kinds("alice") if kind != "challenge-repeated"]
    assert kinds == ["challenge-opened", "sms-accepted", "code-accepted"]


def test_a_session_is_accounted_for(
    make_site: Callable[..., Site], make_concentrator: Callable[..., Concentrator]
) -> None:
    """ocserv lets nobody in whose session gets no answer: "no reply from RADIUS acct server"."""
    with own_network():
        site = make_site()
        concentrator = make_concentrator(site.start())
        login = concentrator.connect(tunnel=True)
        login.type(PIN)
        login.type(sent_code(site))
        login.expect("Configured as 192.0.2.")
        eventually(lambda: "session-started" in site.kinds("alice"))
        login.stop()
        eventually(lambda: "session-ended" in site.kinds("alice"))
        ended = site.events("alice")[-1]
        assert str(ended.detail["address"]).startswith("192.0.2.")
        concentrator.stop()
