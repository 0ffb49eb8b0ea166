"""``smsotp challenge``."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.installation import Installation

PHONE = "+491701234567"


class TestList:
    def test_an_open_login_is_listed_with_all_that_is_known_of_it(self, here: Installation) -> None:
        here.done("user", "add", "alice", "--phone", PHONE, "--pin", "1234")
        node = here.node()
        challenged = node.challenge("alice", "1234")
        node.second(challenged, "wrong")
        lines = here.done("challenge", "list").splitlines()
        columns = [name.strip() for name in lines[0].split("  ") if name]
        cells = [cell.strip() for cell in lines[1].split("  ") if cell]
        row = dict(zip(columns, cells, strict=True))
        assert row.pop("Age").endswith(" s")
        assert row.pop("Ends in").startswith(("4 min", "5 min"))
        assert row == {
            "Transaction": challenged.transaction_id,
            "Account": "alice",
            "Client": "vpn",
            "Station": "02-00-00-00-00-01",
            "Phone": "***67",
            "Guesses": "2",
            "Delivery": "accepted",
            "Provider": "demo",
        }

    def test_json_holds_the_same_with_times(self, here: Installation) -> None:
        here.done("user", "add", "alice", "--phone", PHONE, "--pin", "1234")
        challenged = here.node().challenge("alice", "1234")
        shown = here.done("challenge", "list", "--json")
        [record] = json.loads(shown)
        assert record["transaction_id"] == challenged.transaction_id
        assert record["guesses_left"] == 3
        assert record["delivery"] == "accepted"
        start, end = (datetime.fromisoformat(record[key]) for key in ("created_at", "expires_at"))
        assert end - start == timedelta(minutes=5)
        assert start <= datetime.now(UTC)
        assert PHONE not in shown

    def test_one_that_has_ended_is_not_listed(self, here: Installation) -> None:
        here.done("user", "add", "alice", "--phone", PHONE, "--pin", "1234")
        node = here.node()
        challenged = node.challenge("alice", "1234")
        node.second(challenged, node.code(challenged))
        assert here.done("challenge", "list") == "No challenge is open.\n"
        assert json.loads(here.done("challenge", "list", "--json")) == []
