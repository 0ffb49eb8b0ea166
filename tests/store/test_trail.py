"""How much of what anybody can cause becomes a line of its own, and what becomes of the rest."""

from __future__ import annotations

import ast
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import radius_smsotp
from radius_smsotp.model.records import Event
from radius_smsotp.store.trail import LINES, MOST, NAMED, Group, Sum, Trail, lines

NOW = datetime(2026, 3, 2, 12, 0, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
OF_ALL, OF_CLIENT, OF_NAME = LINES


def event(account: str = "alice", kind: str = "code-rejected", **fields: object) -> Event:
    """One of the events that are noted, at the client "vpn"."""
    usual: dict[str, object] = {"time": NOW, "client": "vpn", "station": "s1"}
    return Event(kind, account=account, **(usual | fields))  # type: ignore[arg-type]


def admitted(trail: Trail, *events: Event) -> int:
    """How many of them become a line each."""
    return sum(map(trail.admits, events))


class TestLines:
    def test_of_one_name_some_are_written(self) -> None:
        """And of another name as many, at the same client."""
        trail = Trail()
        assert admitted(trail, *[event()] * 100) == OF_NAME
        assert admitted(trail, *[event("bob")] * 100) == OF_NAME

    def test_of_one_client_some_are_written(self) -> None:
        """However many names it makes up; another client has its own."""
        trail = Trail()
        names = [f"name{number}" for number in range(1000)]
        assert admitted(trail, *map(event, names)) == OF_CLIENT
        assert admitted(trail, *(event(one, client="wifi") for one in names)) == OF_CLIENT

    def test_of_all_clients_together_some_are_written(self) -> None:
        """A client may be whatever a packet says, where the policy does not say who asks."""
        trail = Trail()
        many = (event(f"n{number}", client=f"c{number % 97}") for number in range(5000))
        assert admitted(trail, *many) == OF_ALL

    def test_each_kind_has_its_own(self) -> None:
        """Made-up States do not hide that a device cannot do GTC."""
        trail = Trail()
        assert admitted(trail, *[event()] * 100, event(kind="eap-refused")) == OF_NAME + 1

    def test_what_is_known_of_a_name_does_not_show(self) -> None:
        """A wrong PIN and an unknown name are counted as one: which is written takes longer."""
        trail = Trail()
        assert admitted(trail, *[event(kind="login-refused")] * 100) == OF_NAME
        assert admitted(trail, event(kind="pin-wrong")) == 0
        others = (event(f"n{number}", "login-refused") for number in range(OF_CLIENT))
        assert admitted(trail, *others) == OF_CLIENT - OF_NAME
        assert admitted(trail, event("bob", "pin-wrong")) == 0

    def test_the_next_minute_begins_anew(self) -> None:
        """So does one that comes because the clock was set."""
        trail = Trail()
        for time in (NOW, NOW + MINUTE, NOW - 60 * MINUTE):
            assert admitted(trail, *[event(time=time)] * 100) == OF_NAME

    def test_it_does_not_grow(self) -> None:
        """However many names and clients there are."""
        trail = Trail()
        for number in range(20_000):
            one = event(f"name{number}", client=f"client{number}")
            if not trail.admits(one):
                trail.count([one])
        assert len(trail._lines) <= OF_ALL * len(LINES)
        sums = trail.take(None)
        assert len(sums) == MOST[1] + 1
        assert sum(one.number for one in sums.values()) == 20_000 - OF_ALL


class TestSums:
    def test_they_are_taken_when_their_minute_is_over(self) -> None:
        """Once; and all of them at the end."""
        trail = Trail()
        trail.count([event(), event("bob")])
        assert trail.take(NOW + timedelta(seconds=50)) == {}
        trail.count([event(time=NOW + MINUTE)])
        taken = trail.take(NOW + MINUTE)
        assert {(group.account, one.number) for group, one in taken.items()} == {
            ("alice", 1),
            ("bob", 1),
        }
        assert trail.take(NOW + MINUTE) == {}
        assert len(trail.take(None)) == 1

    def test_they_name_the_station_if_it_was_one(self) -> None:
        """And the time of the last event; each reason has its own."""
        trail = Trail()
        spent: dict[str, object] = {"detail": {"reason": "spent"}}
        trail.count([event(**spent), event(time=NOW + timedelta(seconds=9), **spent)])
        trail.count([event("bob"), event("bob", station="s2")])
        found = list(lines(trail.take(None), {"alice", "bob"}))
        assert [(one.account, one.station, one.detail) for one in found] == [
            ("bob", "", {"more": 2}),
            ("alice", "s1", {"reason": "spent", "more": 2}),
        ]
        assert found[1].time == NOW + timedelta(seconds=9)

    def test_what_could_not_be_written_is_added_to_what_came_since(self) -> None:
        trail = Trail()
        trail.count([event()] * 3)
        taken = trail.take(None)
        trail.count([event()] * 4)
        trail.put_back(taken)
        assert [one.number for one in trail.take(None).values()] == [7]

    def test_names_of_which_nothing_is_known_share_a_line(self) -> None:
        """The busiest accounts have lines of their own, as many as there is room for."""
        sums = {
            Group(1, "pin-wrong", "", "vpn", f"user{number}"): Sum(number + 1, NOW, "s1")
            for number in range(2 * NAMED)
        }
        sums[Group(1, "pin-wrong", "", "vpn", "made-up")] = Sum(1000, NOW, "s1")
        found = Counter[str]()
        for one in lines(sums, {f"user{number}" for number in range(2 * NAMED)}):
            found[one.account] += int(one.detail["more"])
        assert len(found) == NAMED + 1
        assert found[""] == 1000 + sum(range(1, NAMED + 1))
        assert found[f"user{NAMED}"] == NAMED + 1
        assert "made-up" not in found

    def test_no_noise_takes_its_line_from_who_is_guessed_at(self) -> None:
        """
        A wrong PIN is of an account: neither more made-up names than are kept hide it, nor more
        first steps of other accounts that were not looked at than have lines.
        """
        trail = Trail()
        accounts = {"alice", *(f"user{number}" for number in range(2 * NAMED))}
        made_up = [f"name{number}" for number in range(MOST[1] + 10)]
        held: dict[str, object] = {"kind": "login-refused", "detail": {"reason": "noise"}}
        trail.count([event(name, **held) for name in (*accounts - {"alice"}, *made_up) * 2])
        trail.count([event(kind="pin-wrong")])
        found = list(lines(trail.take(None), accounts))
        assert [one.detail for one in found if one.account == "alice"] == [{"more": 1}]
        assert len({one.account for one in found}) == NAMED + 1


def test_what_a_login_refuses_is_noted() -> None:
    """Else it would be written however often it comes: only what ends by itself may be added."""
    bounded = {
        *("device-accepted", "challenge-opened", "sms-resent", "code-accepted", "code-wrong"),
        *("account-locked", "device-forgotten", "device-remembered"),
    }
    added = set()
    for path in (Path(radius_smsotp.__file__).parent / "login").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_event":
                [given] = node.args
                if isinstance(given, ast.Call) and isinstance(given.args[0], ast.Constant):
                    added.add(given.args[0].value)
    assert added
    assert added <= bounded
