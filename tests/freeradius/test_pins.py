"""PIN hashes under their seal, as FreeRADIUS's `pap` gets to see them."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.cli.user import bulk
from radius_smsotp.model import pin
from radius_smsotp.model.records import Account
from radius_smsotp.settings import keyring
from tests.support import leaks
from tests.support.radius import RadiusClient
from tests.support.site import PHONE, PIN, ROUNDS, eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.freeradius import Radiusd, Site

NEVER = dict.fromkeys(("per_account_hour", "per_number_hour", "per_day", "cooldown"), 0)


def put(site: Site, name: str, pin_hash: str) -> None:
    """An account with this hash."""
    leaks.note_pin(site.folder, PIN)
    with site.store.write() as tx:
        tx.put_account(Account(name, PHONE, pin_hash), datetime.now(UTC))


def kept(site: Site, name: str) -> str:
    """The hash of an account, as it is kept."""
    found = site.account(name)
    assert found is not None
    return found.pin_hash or ""


def log_in(site: Site, radiusd: Radiusd, client: RadiusClient, name: str) -> None:
    """A whole login."""
    begun = client.ask(name, PIN)
    assert begun.kind == "Access-Challenge", (begun, radiusd.log()[-3000:])
    assert client.ask(name, site.code(begun.state), begun.state).kind == "Access-Accept"


@pytest.mark.parametrize("rounds", [ROUNDS, 3 * ROUNDS, 1])
def test_a_hash_of_before_is_as_new_ones_after_the_next_right_pin(
    site: Site, radiusd: Radiusd, rounds: int
) -> None:
    put(site, "old", pin.digest(PIN, b"0123456789abcdef", rounds))
    assert radiusd.ask("old", "4321").kind == "Access-Reject"
    assert pin.sealed_with(kept(site, "old")) == ""
    log_in(site, radiusd, radiusd.client, "old")
    eventually(lambda: pin.sealed_with(kept(site, "old")))
    assert f":{ROUNDS}:" in site.pin_hash("old")
    assert radiusd.ask("old", "4321").kind == "Access-Reject"
    log_in(site, radiusd, radiusd.client, "old")


def test_a_hash_that_is_copied_to_another_account_is_worth_nothing(
    site: Site, radiusd: Radiusd
) -> None:
    """A wrong PIN, and nothing else."""
    site.add("mallory", text="1111")
    assert radiusd.ask("mallory", "1111").kind == "Access-Challenge"
    put(site, "alice", kept(site, "mallory"))
    for password in ("1111", PIN):
        assert radiusd.ask("alice", password).kind == "Access-Reject"
    assert site.kinds("alice") == ["pin-wrong"] * 2


def test_a_pin_whose_key_is_elsewhere_is_refused_and_said(site: Site, radiusd: Radiusd) -> None:
    put(site, "alice", f"p20991231-00000000{pin.digest(PIN, b's' * 16, ROUNDS)}")
    reply = radiusd.ask("alice", PIN)
    assert (reply.kind, reply.message) == ("Access-Reject", "Login failed.")
    [event] = site.events("alice")
    assert (event.kind, event.detail) == ("login-refused", {"reason": "other-key"})
    assert "another key than the one that made the code, or sealed the PIN" in radiusd.log()


def test_pins_are_sealed_with_a_new_key_in_the_middle_of_logins(
    make_site: Callable[..., Site],
) -> None:
    """None is refused: every server has the key before the first PIN is sealed with it."""
    site = make_site(limits=NEVER)
    names = [f"user{number}" for number in range(8)]
    for name in names:
        site.add(name)
    radiusd = site.start()
    radiusd.ask("alice", PIN)  # from its first request on it looks at its files
    done, ending = dict.fromkeys(names, 0), threading.Event()

    def go_on(name: str) -> None:
        client = RadiusClient(radiusd.port)
        while not ending.is_set():
            log_in(site, radiusd, client, name)
            done[name] += 1

    threads = [threading.Thread(target=go_on, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    path = site.folder / "key"
    for _ in range(3):
        new = keyring.add(path, datetime.now(UTC) + timedelta(days=1), for_pins=True)
        read = radiusd.log().count("the settings were read again") + 1
        eventually(lambda: radiusd.log().count("the settings were read again") >= read)  # noqa: B023
        assert bulk.seal(site.store, replace(keyring.read(path), sealing=new)) >= len(names)
        before = sum(done.values())
        eventually(lambda: sum(done.values()) > before + len(names))  # noqa: B023
    ending.set()
    for thread in threads:
        thread.join()
    assert min(done.values()) > 0
    assert all(event.kind != "pin-wrong" for name in names for event in site.events(name))
    assert {pin.sealed_with(kept(site, name)) for name in names} == {new}
