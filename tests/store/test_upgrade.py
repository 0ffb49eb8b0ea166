"""A site of the version before messages were rows is upgraded in the middle of logins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from radius_smsotp.cli import smsotp
from radius_smsotp.login.answers import Accepted, Challenged
from radius_smsotp.model import code, pin
from radius_smsotp.model.records import Client
from radius_smsotp.settings import keyring
from tests.store.test_migration import Database, made
from tests.support import leaks
from tests.support.site import PHONE, PIN, ROUNDS, Node, kind, request

if TYPE_CHECKING:
    from tests.store.postgres_server import PostgresServer
    from tests.support.site import Gateways, Site

ACCEPTED, QUEUED = "a" * 32, "b" * 32
HERE = request().client
ELSEWHERE = Client("vpn", "192.0.2.1", "02-00-00-00-00-02")

OPEN = """
INSERT INTO challenge (transaction_id, account, client, station, key_id, digits, phone_hint,
        created_at, expires_at, guesses_left, state, delivery_state, route, sealed_phone, template,
        sends, provider, lease_owner, lease_until, answered, language)
    VALUES ('{transaction_id}', '{account}', 'vpn', '{station}', '{key_id}', 6, '***67',
        {now} - 20, {now} + 280, 3, 'open', '{state}', '{route}', '{sealed}', 'Code {{code}}',
        1, {provider}, {owner}, {until}, '', '')
"""


def fill(site: Site, old: Database) -> None:
    """Have it hold what is left of a login of alice's, and of one of bob's."""
    old.make(6)
    site.write(store=old.url)
    keys, now = keyring.read(site.folder / "key"), site.clock().timestamp()
    leaks.note_pin(site.folder, PIN)
    pin_hash = pin.digest(PIN, b"0123456789abcdef", ROUNDS)

    def run(sql: str, **values: Any) -> None:
        old.run(sql.format(now=now, **values))

    def begin(account: str, transaction_id: str, **message: str) -> None:
        sealed = code.seal(keys.secret, transaction_id, PHONE)
        of = {"account": account, "transaction_id": transaction_id, "station": HERE.station}
        more = "NULL, 1, 0, 0, NULL"
        run(f"INSERT INTO account VALUES ('{account}', '{PHONE}', '{pin_hash}', {more})")
        run(OPEN, key_id=keys.current, sealed=sealed, **of, **message)

    nobody = {"owner": "NULL", "until": "NULL"}
    begin("alice", ACCEPTED, state="accepted", route="second", provider="'first'", **nobody)
    dead = {"owner": "'elsewhere:1:aa'", "until": f"{now} - 1"}
    begin("bob", QUEUED, state="queued", route="first second", provider="NULL", **dead)
    seen = "\n".join(("alice", HERE.name, HERE.station))
    run("INSERT INTO lockout VALUES ('alice', 10, {now} - 60, {now} + 840)")
    run("INSERT INTO lockout VALUES ('{seen}', 0, {now} - 3600, NULL)", seen=seen)
    run("INSERT INTO tally VALUES ('account {seen}', {slot}, 5)", seen=seen, slot=int(now) // 300)


@pytest.fixture(params=["sqlite", "postgresql"])
def node(
    request: pytest.FixtureRequest, site: Site, gateways: Gateways, postgres_server: PostgresServer
) -> Node:
    """
    A server of this version on a store of schema 6.

    Alice's message was taken, bob's was under way when his server ended.  Alice has logged in from
    here; somewhere else somebody has guessed at her account, which is locked.
    """
    with made(request.param, site.store_path, postgres_server) as old:
        fill(site, old)
    one = Node(site)
    site.nodes.append(one)
    return one


def opened(transaction_id: str) -> Challenged:
    """What the version before has answered."""
    return Challenged(transaction_id, "", "challenge")


def test_a_code_that_was_sent_before_is_accepted_once(node: Node) -> None:
    challenged = opened(ACCEPTED)
    assert kind(node.second(challenged, "000000")) == "challenged"
    assert node.second(challenged, node.code(challenged)) == Accepted()
    assert kind(node.second(challenged, node.code(challenged))) == "rejected"


def test_a_code_that_was_sent_before_is_accepted_behind_the_pin(node: Node) -> None:
    assert node.first(password=PIN + node.code(opened(ACCEPTED))) == Accepted()


def test_a_message_that_waited_is_sent(node: Node, site: Site, gateways: Gateways) -> None:
    """By the first sweep that may: its lease is of another host, and believed for its length."""
    challenged = opened(QUEUED)
    assert node.courier.sweep() == 0
    site.clock.advance(15)
    assert node.courier.sweep() == 1
    node.settle(QUEUED)
    [(provider, message)] = gateways.sent
    assert (provider, message.phone) == ("first", PHONE)
    assert message.text == f"Code {node.code(challenged)}"
    assert node.courier.sweep() == 0
    gateways.report("first", "first-1", delivered=True)
    assert node.kinds("bob") == ["sms-accepted", "sms-delivered"]
    assert node.second(challenged, node.code(challenged), "bob") == Accepted()


def test_one_more_message_goes_through_the_next_provider(node: Node, gateways: Gateways) -> None:
    node.second(opened(ACCEPTED), "r")
    node.settle(ACCEPTED)
    assert gateways.names() == ["second"]
    assert node.message(opened(ACCEPTED)).number == 2


def test_a_station_is_known_and_counted_on_its_own(node: Node, site: Site) -> None:
    """Failures elsewhere do not count here, nor do messages; those from here go on."""
    assert kind(node.first(client=ELSEWHERE)) == "rejected"
    site.clock.advance(61)
    node.challenge()
    site.clock.advance(61)
    assert kind(node.first()) == "rejected"
    assert node.events()[-1].detail == {"reason": "per_account_hour"}
    with node.store.read() as tx:
        assert tx.lockout("alice").failures == 10


def test_pins_are_sealed_in_place_while_logins_go_on(node: Node, site: Site) -> None:
    """By the command that an upgrade begins with; what is sealed already stays as it is."""
    told = CliRunner().invoke(smsotp, ["init", str(site.folder)]).output
    assert f"PINs sealed with {node.keys.sealing}: 2\n" in told
    with node.store.read() as tx:
        hashes = [one.pin_hash or "" for one, _ in tx.accounts()]
    assert [pin.sealed_with(one) for one in hashes] == [node.keys.sealing] * 2
    assert kind(node.first("bob")) == "challenged"
    assert kind(node.first("bob", "4321")) == "rejected"
    assert "PINs sealed" not in CliRunner().invoke(smsotp, ["init", str(site.folder)]).output
    with node.store.read() as tx:
        assert hashes == [one.pin_hash for one, _ in tx.accounts()]
