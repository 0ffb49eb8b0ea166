"""PIN, SMS, code, once: over PAP, on a real FreeRADIUS."""

from __future__ import annotations

import re
import sqlite3
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.settings import keyring
from tests.freeradius import recipe
from tests.support.freeradius import Radiusd, Site
from tests.support.radius import SECRET
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import Callable

START_AGAIN = "This code is not valid any more. Please log in again from the start."
UNKNOWN_STATE = b"0123456789abcdef0123456789abcdef"


def test_pin_then_code_is_let_in(site: Site, radiusd: Radiusd) -> None:
    challenge = radiusd.challenge()
    assert challenge.state is not None
    assert re.fullmatch(rb"[0-9a-f]{32}", challenge.state)
    assert challenge.message == "Enter the 6-digit code sent to ***67: "
    [message] = site.messages()
    assert message["transaction_id"] == challenge.state.decode()
    assert message["phone"] == "+491701234567"
    reply = radiusd.ask("alice", site.code(challenge.state), challenge.state)
    assert reply.kind == "Access-Accept"
    assert site.kinds("alice") == ["challenge-opened", "sms-accepted", "code-accepted"]


def test_radtest_and_radclient_do_the_same(site: Site, radiusd: Radiusd) -> None:
    first = subprocess.run(
        ["radtest", "alice", PIN, f"127.0.0.1:{radiusd.port}", "0", SECRET, "0", "127.0.0.1"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    assert "Received Access-Challenge" in first
    recipe.assert_read("radtest and radclient", first)
    state = re.search(r"State = (0x[0-9a-f]{64})", first)
    assert state, first
    code = site.code(bytes.fromhex(state[1][2:]))
    second = subprocess.run(
        ["radclient", "-x", f"127.0.0.1:{radiusd.port}", "auth", SECRET],
        input=f"User-Name = alice, User-Password = {code}, State = {state[1]}",
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    assert "Received Access-Accept" in second
    assert "Message-Authenticator" in second.split("Received Access-Accept")[1]


def test_a_code_is_accepted_once(site: Site, radiusd: Radiusd) -> None:
    challenge = radiusd.challenge()
    code = site.code(challenge.state)
    assert radiusd.ask("alice", code, challenge.state).kind == "Access-Accept"
    again = radiusd.ask("alice", code, challenge.state)
    assert (again.kind, again.message) == ("Access-Reject", START_AGAIN)


@pytest.mark.once
def test_a_code_at_the_same_moment_from_two_servers_is_accepted_once(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(limits={"per_account_hour": 0, "per_number_hour": 0})
    servers = [site.start("one"), site.start("two")]
    for _ in range(10):
        challenge = servers[0].challenge()
        code = site.code(challenge.state)
        with ThreadPoolExecutor(8) as pool:
            asked = [
                pool.submit(server.ask, "alice", code, challenge.state) for server in servers * 4
            ]
            kinds = sorted(one.result().kind for one in asked)
        assert kinds == ["Access-Accept"] + ["Access-Reject"] * 7


@pytest.mark.once
def test_a_challenge_opened_on_one_server_is_answered_on_the_other(site: Site) -> None:
    one, two = site.start("one"), site.start("two")
    challenge = one.challenge()
    reply = two.ask("alice", site.code(challenge.state), challenge.state)
    assert reply.kind == "Access-Accept"


def test_wrong_codes_use_up_the_guesses_and_then_the_right_one_does_not_help(
    site: Site, radiusd: Radiusd
) -> None:
    challenge = radiusd.challenge()
    for left in (2, 1):
        reply = radiusd.ask("alice", "000000", challenge.state)
        assert (reply.kind, reply.state) == ("Access-Challenge", challenge.state)
        assert reply.message.startswith(f"Wrong code, {left} left. Enter")
    third = radiusd.ask("alice", "000000", challenge.state)
    assert (third.kind, third.message) == ("Access-Reject", START_AGAIN)
    right = radiusd.ask("alice", site.code(challenge.state), challenge.state)
    assert (right.kind, right.message) == ("Access-Reject", START_AGAIN)


def test_another_account_cannot_use_a_challenge(site: Site, radiusd: Radiusd) -> None:
    site.add("bob")
    challenge = radiusd.challenge("alice")
    code = site.code(challenge.state)
    foreign = radiusd.ask("bob", code, challenge.state)
    assert (foreign.kind, foreign.message) == ("Access-Reject", START_AGAIN)
    assert radiusd.ask("alice", code, challenge.state).kind == "Access-Accept"


def test_an_unknown_state_says_to_start_again(radiusd: Radiusd) -> None:
    reply = radiusd.ask("alice", "123456", UNKNOWN_STATE)
    assert (reply.kind, reply.message) == ("Access-Reject", START_AGAIN)


def test_a_state_that_is_not_ours_is_a_first_step(radiusd: Radiusd) -> None:
    reply = radiusd.ask("alice", PIN, b"somebody else's")
    assert reply.kind == "Access-Challenge"


def test_an_expired_challenge_says_to_start_again(site: Site, radiusd: Radiusd) -> None:
    challenge = radiusd.challenge()
    code = site.code(challenge.state)
    with sqlite3.connect(site.folder / "smsotp.db") as db:
        db.execute("UPDATE challenge SET expires_at = created_at")
    db.close()
    reply = radiusd.ask("alice", code, challenge.state)
    assert (reply.kind, reply.message) == ("Access-Reject", START_AGAIN)


@pytest.mark.once
def test_a_challenge_survives_a_restart_of_the_server(site: Site, radiusd: Radiusd) -> None:
    challenge = radiusd.challenge()
    assert radiusd.stop() == 0
    radiusd.start()
    reply = radiusd.ask("alice", site.code(challenge.state), challenge.state)
    assert reply.kind == "Access-Accept"


@pytest.mark.once
def test_a_repeat_within_the_cooldown_gets_the_same_challenge_and_no_second_sms(
    site: Site, radiusd: Radiusd
) -> None:
    other = site.start("other")
    first = radiusd.challenge()
    site.code(first.state)
    sent = [path.stat().st_mtime_ns for path in site.outbox.iterdir()]
    assert radiusd.challenge() == first
    assert other.challenge() == first
    assert [path.stat().st_mtime_ns for path in site.outbox.iterdir()] == sent
    assert site.kinds("alice").count("sms-accepted") == 1


@pytest.mark.once
def test_a_new_key_in_front_lets_running_challenges_end(site: Site, radiusd: Radiusd) -> None:
    challenge = radiusd.challenge()
    code = site.code(challenge.state)
    path = site.folder / "key"
    old = keyring.read(path).current
    path.write_text(f"new {'ab' * 32}\n{path.read_text()}")
    radiusd.stop()
    radiusd.start()
    assert radiusd.ask("alice", code, challenge.state).kind == "Access-Accept"
    new = radiusd.challenge()
    with site.store.read() as tx:
        found = [tx.challenge(state.decode()) for state in (challenge.state, new.state) if state]
    assert [one.key_id for one in found if one] == [old, "new"]


def test_the_example_policy_lets_another_module_check_the_first_factor(
    make_site: Callable[..., Site],
) -> None:
    site = make_site()
    site.add("carol", text=None)

    def edit(raddb: object) -> None:
        path = site.folder / "raddb" / "policy.d" / "smsotp_first_factor"
        text = path.read_text()
        unlang = 'if (&User-Password == "elsewhere") {\n\t\tupdated\n\t}\n\telse {\n\t\treject\n\t}'
        assert "smsotp_first_factor {\n\tpap\n}" in text
        path.write_text(text.replace("{\n\tpap\n}", "{\n\t" + unlang + "\n}"))

    radiusd = site.start(edit=edit)
    assert radiusd.ask("carol", "wrong").kind == "Access-Reject"
    challenge = radiusd.challenge("carol", "elsewhere")
    assert radiusd.ask("carol", site.code(challenge.state), challenge.state).kind == "Access-Accept"
    assert "pin-wrong" in site.kinds("carol")
