"""Other ways of an account: set, shown, imported, exported and erased."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.installation import Installation

PHONE, OTHER, MAIL = "+491701234567", "+491707654321", "alice.b@example.org"
WAYS = {"mail": {"address": "email", "order": ["office"]}, "call": {}, "second": {}}
PROVIDERS = {
    "demo": {"type": "folder", "path": "outbox"},
    "office": {
        "type": "smtp",
        "mailserver": "127.0.0.1:1",
        "mailto": "{email}",
        "mailsender": "otp@example.org",
        "subject": "Login",
    },
}


@pytest.fixture
def site(here: Installation) -> Installation:
    here.write(ways=WAYS, providers=PROVIDERS, country="DE")
    return here


def ways(site: Installation, name: str = "alice") -> list[str]:
    found = site.account(name)
    assert found is not None
    return [*found.ways]


def test_an_account_has_ways_in_its_own_order(site: Installation) -> None:
    second = "--way", "second=0170 7654321"
    site.done("user", "add", "alice", "--phone", PHONE, *second, "--way", MAIL, "--way", "call")
    assert ways(site) == [f"second={OTHER}", f"mail={MAIL}", "call"]
    shown = " ".join(site.done("user", "show", "alice").split())
    assert f"Other ways second={OTHER}, mail={MAIL}, call" in shown
    told = json.loads(site.done("user", "show", "alice", "--json"))
    assert told["ways"] == [f"second={OTHER}", f"mail={MAIL}", "call"]
    # What is named replaces all of them.
    assert site.done("user", "set", "alice", "--way", "call") == "alice: changed (ways)\n"
    assert ways(site) == ["call"]
    site.done("user", "set", "alice", "--language", "de")
    assert ways(site) == ["call"]
    assert site.events()[-1].detail["fields"] == "language"
    assert site.done("user", "ensure", "alice", "--way", "call") == "alice: ok\n"
    site.done("user", "set", "alice", "--no-ways")
    assert ways(site) == []


@pytest.mark.parametrize(
    ("way", "fault"),
    [
        ("pigeon", "--way: the way 'pigeon' is not one of the settings' ways (mail, call, sec"),
        ("mail=alice", "--way: is no mail address"),
        ("second=0900 1234567", "--way: the phone number is a premium number"),
        ("mail=a@example.org,mail=b@example.org", "--way: the way 'mail' is given twice"),
        (" ", "--way: the way is empty"),
    ],
)
def test_what_is_no_way_is_refused(site: Installation, way: str, fault: str) -> None:
    result = site.run("user", "add", "alice", "--phone", PHONE, "--way", way)
    assert result.exit_code == 2
    assert fault in " ".join(result.output.split())
    assert site.account("alice") is None


def test_without_the_setting_there_is_no_other_way(here: Installation) -> None:
    result = here.run("user", "add", "alice", "--phone", PHONE, "--way", f"mail={MAIL}")
    assert result.exit_code == 2
    assert "not one of the settings' ways (there is none)" in " ".join(result.output.split())


def test_codes_under_way_are_worthless_once_a_way_changes(site: Installation) -> None:
    site.done("user", "add", "alice", "--phone", PHONE, "--pin", "geheim", "--way", MAIL)
    node = site.node()
    challenged = node.challenge("alice", "geheim")
    site.done("user", "set", "alice", "--way", "mail=other@example.org")
    assert node.stored(challenged.transaction_id).state == "cancelled"


def test_a_sheet_has_ways_in_one_column(site: Installation, tmp_path: Path) -> None:
    """Under whatever title, and back again."""
    sheet = tmp_path / "staff.csv"
    sheet.write_text(
        f"name,phone,E-Mail\nalice,{PHONE},{MAIL}\nbob,{OTHER},\n"
        f'carol,{OTHER},"call; mail=c@example.org"\n'
    )
    site.done("user", "import", str(sheet), "--column", "ways=E-Mail")
    assert (ways(site), ways(site, "bob")) == ([f"mail={MAIL}"], [])
    assert ways(site, "carol") == ["call", "mail=c@example.org"]
    exported = site.done("user", "export", "-")
    rows = [*csv.DictReader(io.StringIO(exported))]
    assert rows[2]["ways"] == "call; mail=c@example.org"
    (tmp_path / "again.csv").write_text(exported)
    done = site.done("user", "import", str(tmp_path / "again.csv"), "--update")
    assert "left as they are: 3" in done


def kept(site: Installation) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(site.done("user", "export-data", "alice"))
    return found


def test_a_persons_data_holds_all_addresses_and_none_is_left(site: Installation) -> None:
    site.done("user", "add", "alice", "--phone", PHONE, "--pin", "geheim", "--way", MAIL)
    node = site.node()
    challenged = node.challenge("alice", "geheim")
    node.second(challenged, "r mail")
    node.settle(challenged.transaction_id)
    found = kept(site)
    assert found["account"][0]["ways"] == [f"mail={MAIL}"]
    first, second = found["messages"]
    assert (first["way"], first["phone"]) == ("sms", PHONE)
    assert (second["way"], second["phone"]) == ("mail", MAIL)
    assert second["ways"] == [f"mail={MAIL}", f"sms={PHONE}"]
    assert len([one for one in found["tallies"] if one["scope"].startswith("number ")]) == 2
    site.done("user", "erase", "alice", "--yes")
    with site.store.read() as tx:
        left = [*tx.kept("alice", [])]
    assert left == []
