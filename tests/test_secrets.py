"""No code, no PIN and no whole number outside the account table, the SMS and the reply."""

from __future__ import annotations

import logging
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.errors import Refused, Unavailable, Unknown
from radius_smsotp.login.answers import Challenged
from radius_smsotp.model.records import Client
from tests.support.site import add, request

if TYPE_CHECKING:
    from tests.support.site import Node, Site

PIN = "Geheimes Kennwort 4711"
PHONE = "+491719876543"
ELSEWHERE = "+436641234567"
"""A number that FreeRADIUS says, and the store never holds."""


class Story:
    """Many logins, with everything that was said and shown meanwhile."""

    def __init__(self, site: Site, node: Node) -> None:
        self.site = site
        self.node = node
        self.codes: list[str] = []
        self.shown: list[Any] = []

    def asked(self, user: str, password: str, **more: Any) -> Any:
        """A first step, and its outcome."""
        self.shown += [request(user, password, **more)]
        self.shown += [self.node.service.prepare(self.shown[-1])]
        outcome = self.node.first(user, password, **more)
        self.shown.append(outcome)
        if isinstance(outcome, Challenged):
            self.node.settle(outcome.transaction_id)
            self.codes.append(self.node.code(outcome))
            self.shown.append(self.node.stored(outcome.transaction_id))
        return outcome

    def tell(self) -> None:
        """Logins of every kind, and everything that may go wrong."""
        gateways = self.site.gateways
        for user, more in (("alice", {}), ("carol", {"phones": (ELSEWHERE,)})):
            gateways.will("first", None)
            one = self.asked(user, PIN, **more)
            self.shown.append(self.node.second(one, "000000000", user))
            self.shown.append(self.node.second(one, "r", user))
            self.node.settle(one.transaction_id)
            self.shown.append(self.node.second(one, self.codes[-1], user))
            self.shown.append(self.node.second(one, self.codes[-1], user))
            self.asked(user, PIN + self.codes[-1], **more)
            for error in (Refused("no"), Unavailable("busy"), Unknown("silence"), ValueError(PIN)):
                gateways.will("first", error)
                self.site.clock.advance(61)
                one = self.asked(user, PIN, client=Client("wifi"), **more)
                gateways.report("second", f"second-{len(gateways.sent)}", delivered=False)
                self.asked(user, PIN + self.codes[-1], client=Client("wifi"), **more)
            one = self.asked(user, PIN, style="reject", **more)
            self.asked(user, "wrong" + self.codes[-1], **more)
            self.asked(user, PIN + "000000000", **more)
        self.asked("alice", PIN, phones=("no number 0664 7654999",))
        self.asked("nobody", PIN)
        self.node.courier.sweep()


@pytest.fixture
def story(site: Site, caplog: pytest.LogCaptureFixture) -> Story:
    """A story that was told."""
    caplog.set_level(logging.DEBUG)
    limits = {"per_account_hour": 0, "per_number_hour": 0}
    # Nine digits: no accident brings them about in a file of some hundred kilobytes.
    node = site.node(code={"digits": 9}, limits=limits, lockout={"failures": 1000})
    add(node, "alice", PHONE, PIN)
    one = Story(site, node)
    one.tell()
    assert len(set(one.codes)) > 8
    return one


def secrets(story: Story, *numbers: str) -> list[str]:
    """What must not be found, in all its writings."""
    return [*story.codes, PIN, PIN[:12], *(number.lstrip("+") for number in numbers)]


def test_the_files_of_the_store_hold_none(story: Story) -> None:
    """Neither the database nor what stands beside it; the number of an account aside."""
    files = [*story.site.folder.glob("smsotp.db*")]
    assert len(files) == 5
    octets = b"".join(file.read_bytes() for file in files)
    assert b"alice" in octets
    for secret in secrets(story, ELSEWHERE):
        assert secret.encode() not in octets, secret


def test_no_table_but_that_of_accounts_holds_a_number(story: Story) -> None:
    """With a challenge it is sealed, in the tallies it is a tag."""
    db = sqlite3.connect(story.site.store_path)
    tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    assert len(tables) >= 7
    for table in tables:
        text = str(db.execute(f"SELECT * FROM {table}").fetchall())
        if table == "account":
            assert PHONE in text
            continue
        for secret in secrets(story, PHONE, ELSEWHERE):
            assert secret not in text, table
    db.close()


def test_neither_audit_trail_nor_log_holds_any(
    story: Story, caplog: pytest.LogCaptureFixture
) -> None:
    """Both are read by people who may not log in."""
    with story.node.store.read() as tx:
        events = [tx.events(name, 10_000) for name in ("alice", "carol", "nobody")]
    logged = "\n".join(record.getMessage() for record in caplog.get_records("setup"))
    assert len(events[0]) > 20
    assert "provider first is skipped" in logged
    for secret in secrets(story, PHONE, ELSEWHERE, "7654999"):
        assert secret not in str(events)
        assert secret not in logged


def test_no_value_shows_one(story: Story) -> None:
    """A repr may come into a log by way of a traceback; a reply shows the masked number."""
    node = story.node
    everything = [*story.shown, node.loaded, node.keys, *story.site.gateways.sent]
    shown = "\n".join(map(repr, everything))
    assert "***67" in shown
    for secret in (
        *secrets(story, PHONE, ELSEWHERE),
        *(key.hex() for key in node.keys.keys.values()),
    ):
        assert secret not in shown, secret
