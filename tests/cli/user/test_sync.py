"""``smsotp user sync``: the accounts are those of a file, and nobody else logs in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.cli.user import account
from tests.cli.user.test_import import OTHER, PHONE, accounts, write

if TYPE_CHECKING:
    from tests.cli.installation import Installation

STAFF = f"name,phone,pin\nalice,{PHONE},geheim\nbob,{OTHER},2580\ncarol,{PHONE},1470\n"


@pytest.fixture
def staff(here: Installation) -> Installation:
    """An installation with alice, bob and carol, and a name that a directory knows."""
    assert sync(here, STAFF) == "added: 3, changed: 0, disabled: 0, left as they are: 0\n"
    here.done("user", "set", "dora", "--language", "de", "--elsewhere")
    return here


def sync(here: Installation, text: str, *options: str) -> str:
    """Sync with a file of such lines.  Returns what is printed."""
    return here.done("user", "sync", "-", *options, stdin=text)


def enabled(here: Installation) -> list[str]:
    """Who may log in, of our accounts."""
    return [one.name for one in accounts(here) if one.enabled and not one.is_bare]


def without(*names: str) -> str:
    """The file, where some have left."""
    return "".join(
        line for line in STAFF.splitlines(keepends=True) if line.split(",")[0] not in names
    )


def test_the_same_file_changes_nothing_and_hashes_nothing(
    staff: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = accounts(staff)
    monkeypatch.setattr(account, "hashed", None)
    assert sync(staff, STAFF) == "added: 0, changed: 0, disabled: 0, left as they are: 3\n"
    assert accounts(staff) == before
    assert staff.kinds("alice") == ["account-added"]


def test_who_is_gone_is_disabled_and_who_comes_back_is_enabled(staff: Installation) -> None:
    told = sync(staff, without("bob"))
    assert told == (
        "bob: disabled: no line names it\nadded: 0, changed: 0, disabled: 1, left as they are: 2\n"
    )
    assert "disabled: not in the file of 'sync'" in staff.done("user", "show", "bob")
    assert sync(staff, without("bob")).startswith("added: 0, changed: 0, disabled: 0")
    assert sync(staff, STAFF) == "added: 0, changed: 1, disabled: 0, left as they are: 2\n"
    assert enabled(staff) == ["alice", "bob", "carol"]
    assert [one.detail.get("fields") for one in staff.events("bob")[1:]] == ["disabled", "enabled"]


def test_who_was_disabled_by_hand_stays_so(staff: Installation) -> None:
    """Even if the file had lost them before; the column 'enabled' is another word on it."""
    sync(staff, without("bob"))
    assert staff.done("user", "disable", "bob") == "bob: disabled\n"
    staff.done("user", "disable", "alice")
    sync(staff, STAFF)
    assert enabled(staff) == ["carol"]
    sync(staff, f"name,phone,enabled\nalice,{PHONE},ja\nbob,{OTHER},nein\ncarol,{PHONE},\n")
    assert enabled(staff) == ["alice", "carol"]


def test_who_is_enabled_by_an_import_is_gone_no_more(staff: Installation) -> None:
    sync(staff, without("bob"))
    path = write(staff, f"name,phone,enabled\nbob,{OTHER},yes\n")
    staff.done("user", "import", path, "--update")
    assert "State               enabled\n" in staff.done("user", "show", "bob")


def test_names_of_a_directory_and_those_to_keep_are_left_alone(staff: Installation) -> None:
    staff.done("user", "add", "ext-eve", "--phone", PHONE)
    told = sync(staff, without("carol"), "--keep", "EXT-*")
    assert told.startswith("carol: disabled")
    assert enabled(staff) == ["alice", "bob", "ext-eve"]
    dora = staff.account("dora")
    assert dora is not None
    assert dora.enabled
    # One that is in the file as well is an account from then on.
    assert "added: 1" in sync(staff, f"{STAFF}dora,{OTHER},\n", "--keep", "ext-*")
    assert staff.kinds("dora")[-1] == "account-added"


@pytest.mark.parametrize(
    ("text", "options", "missing", "share"),
    [
        ("name,phone,pin\n", (), "alice and 2 more, of 3", 10),
        (without("alice", "bob"), (), "alice and 1 more, of 3", 10),
        (without("alice", "bob", "carol"), ("--most", "99"), "alice and 2 more, of 3", 99),
    ],
    ids=["empty", "cut off", "everybody"],
)
def test_a_file_that_lacks_too_many_is_refused(
    staff: Installation, text: str, options: tuple[str, ...], missing: str, share: int
) -> None:
    """A dry run shows them, and says so too; told to, it is done."""
    path = write(staff, text)
    before = accounts(staff)
    refusal = f"smsotp: the file does not name {missing} enabled accounts, and --most is {share}; "
    for dry in ((), ("--dry-run",)):
        result = staff.run("user", "sync", path, *options, *dry)
        assert result.exit_code == 1
        assert result.stderr.startswith(refusal)
        assert ("alice: would be disabled: no line names it" in result.stdout) == bool(dry)
    assert accounts(staff) == before
    assert "alice: disabled" in staff.done("user", "sync", path, "--most", "100")


def test_a_file_of_no_octets_is_none(staff: Installation) -> None:
    result = staff.run("user", "sync", write(staff, ""), "--most", "100")
    assert (result.exit_code, "the column 'name' is missing" in result.output) == (1, True)
    assert len(enabled(staff)) == 3


def test_a_faulty_line_keeps_all_as_it_is(staff: Installation) -> None:
    before = accounts(staff)
    text = f"name,phone\nalice,{OTHER}\nbob,0170 1\ncarol,{PHONE}\nzoe,{PHONE}\n"
    result = staff.run("user", "sync", write(staff, text))
    assert result.exit_code == 1
    assert "line 3: the phone number has no country code" in result.stderr
    assert result.stderr.endswith("smsotp: 1 faulty line; nothing was changed\n")
    assert accounts(staff) == before


def test_a_dry_run_says_what_each_line_would_do(staff: Installation) -> None:
    before = accounts(staff)
    text = f"name,phone,pin\nalice,{PHONE},geheim\ncarol,{OTHER},9630\nzoe,{PHONE},\n"
    assert sync(staff, text, "--dry-run").splitlines() == [
        "line 3: carol would be changed (phone, pin)",
        "line 4: zoe would be added",
        "bob: would be disabled: no line names it",
        "would be added: 1, changed: 1, disabled: 1, left as they are: 1",
    ]
    assert accounts(staff) == before


def test_programs_are_told_what_differs(staff: Installation) -> None:
    text = f"Login;Handy\nALICE;{PHONE}\ncarol;{OTHER}\nzoe;{PHONE}\n".encode("utf-16")
    columns = ("--column", "name=Login", "--column", "phone=Handy")
    shown = staff.done("user", "sync", write(staff, text), *columns, "--json")
    found = json.loads(shown)
    assert found["results"] == [
        {"name": "carol", "result": "changed", "fields": ["phone"], "line": 3},
        {"name": "zoe", "result": "added", "fields": ["phone"], "line": 4},
        {"name": "bob", "result": "disabled"},
    ]
    assert found["changed"] is True
    assert OTHER not in shown
    faulty = staff.run("user", "sync", write(staff, "name,phone\nalice,1\n"), "--json")
    found = json.loads(faulty.stdout)
    assert [(one["line"], one["result"]) for one in found["results"]] == [(2, "failed")]
    assert found["error"] == "1 faulty line; nothing was changed"


def test_an_import_leaves_a_pin_that_is_the_accounts_as_it_is(staff: Installation) -> None:
    """So --update forgets no device of those whose line says what is so."""
    before = accounts(staff)
    path = write(staff, STAFF.replace("1470", "9630"))
    told = staff.done("user", "import", path, "--update")
    assert told == "added: 0, changed: 1, left as they are: 2\n"
    assert accounts(staff)[:2] == before[:2]
