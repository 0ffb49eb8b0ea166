"""What commands that do something say to programs: one object, of one shape."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.documents.test_docs import COMMANDS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.installation import Installation

OTHERWISE = {
    "completion": "a program for the shell",
    "courier": "a service",
    "demo": "a show",
    "exporter": "a service",
    "gateway": "a service",
    "language show": "settings, to be pasted",
    "login": "a conversation",
    "provider preset": "settings, to be pasted",
    "receiver": "a service",
    "report": "a page",
    "user export": "a file that 'user import' reads",
    "user export-data": "JSON anyway",
    "wifi profile": "a file for a device",
}
"""Commands without ``--json``, to what they print."""


def told(here: Installation, *arguments: str, code: int = 0) -> dict[str, Any]:
    result = here.run(*arguments, "--json")
    assert result.exit_code == code, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    assert list(found) == ["changed", "results", "notes", "error"]
    assert all({"name", "result"} <= one.keys() for one in found["results"])
    return found


def words(found: dict[str, Any]) -> list[str]:
    return [one["result"] for one in found["results"]]


def test_every_command_says_what_it_does_to_programs_or_is_nothing_for_them() -> None:
    without = {
        " ".join(path)
        for path, command in COMMANDS.items()
        if not any("--json" in option.opts for option in command.params)
    }
    assert without == {*OTHERWISE}


def test_settings_key_and_store_that_are_made(here: Installation, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    made = told(here, "init", str(folder))
    names = [one["name"] for one in made["results"]]
    assert names == [
        *map(str, (folder / "smsotp.yaml", folder / "key")),
        f"sqlite:///{folder}/smsotp.db",
    ]
    assert words(made) == ["made"] * 3
    assert any("smsotp backup" in note for note in made["notes"])
    again = told(here, "init", str(folder))
    assert (again["changed"], words(again)) == (False, ["ok"] * 3)


def test_keys(here: Installation) -> None:
    before = [one["id"] for one in json.loads(here.done("key", "list", "--json"))]
    made = told(here, "key", "rotate", "--in", "60")["results"]
    assert [(one["result"], one["use"]) for one in made] == [("made", "codes"), ("made", "pins")]
    waiting = told(here, "key", "rotate", code=1)
    assert (waiting["changed"], waiting["results"]) == (False, [])
    assert "is waiting already" in waiting["error"]
    assert "signs new challenges" in told(here, "key", "retire", before[-1], code=1)["error"]
    with here.store.write() as tx:
        tx.add_key("0123456789abcdef", "k-of-old", datetime.now(UTC))
    retired = told(here, "key", "retire", "k-of-old")
    assert retired["results"] == [{"name": "k-of-old", "result": "retired"}]


def test_a_message_that_is_sent_to_try_a_provider(here: Installation) -> None:
    number = "+491701234567"
    [sent] = told(here, "provider", "test", "demo", "--phone", number)["results"]
    assert (sent["name"], sent["result"], sent["to"]) == ("demo", "sent", "***67")
    here.outbox.rename(here.folder / "before")
    here.outbox.write_text("no folder")
    failed = told(here, "provider", "test", "demo", "--phone", number, code=1)
    [one] = failed["results"]
    assert (one["result"], one["verdict"]) == ("failed", "unavailable")
    assert one["error"].startswith("demo: unavailable after ")
    assert number not in json.dumps(failed)


def test_what_is_cleaned_up_copied_and_put_back(here: Installation, tmp_path: Path) -> None:
    [pruned] = told(here, "prune")["results"]
    assert (pruned["result"], pruned["removed"]) == ("ok", 0)
    here.done("user", "add", "alice", "--phone", "+491701234567")
    stores = f"sqlite:///{here.store_path}", f"sqlite:///{tmp_path}/copy.db"
    [copied] = told(here, "store", "copy", *stores)["results"]
    assert (copied["result"], copied["rows"]["accounts"]) == ("copied", 1)
    full = told(here, "store", "copy", *stores, code=1)
    assert "--overwrite replaces what is there" in full["error"]
    [restored] = told(here, "store", "restored")["results"]
    assert (restored["result"], restored["challenges"]) == ("restored", 0)


def test_a_configuration_of_freeradius(here: Installation, tmp_path: Path) -> None:
    """File by file; what an administrator has edited is kept, and nothing has changed then."""
    made = told(here, "raddb", "create", str(tmp_path / "raddb"), "--secret", "Geheim-12345")
    names = {one["name"] for one in made["results"] if one["result"] == "written"}
    assert str(tmp_path / "raddb" / "clients.conf") in names
    assert "Geheim-12345" not in json.dumps(made)
    raddb = tmp_path / "3.0"
    for name in ("mods-available", "mods-enabled", "sites-available", "sites-enabled", "policy.d"):
        (raddb / name).mkdir(parents=True)
    for name in ("radiusd.conf", "clients.conf", "dictionary"):
        (raddb / name).touch()
    install = ("raddb", "install", "--raddb", str(raddb))
    assert told(here, *install)["changed"] is True
    assert told(here, *install)["changed"] is False
    policy = raddb / "policy.d" / "smsotp"
    policy.write_text(f"{policy.read_text()}# ours\n")
    again = told(here, *install)
    assert again["changed"] is False
    assert [one["name"] for one in again["results"] if one["result"] == "kept"] == [str(policy)]
    gone = told(here, "raddb", "uninstall", "--raddb", str(raddb))
    assert (gone["changed"], {*words(gone)}) == (True, {"removed", "kept"})


@pytest.mark.parametrize(
    "arguments", [("user", "disable", "alice"), ("prune",), ("user", "code", "alice")]
)
def test_settings_that_cannot_be_used_are_an_error_of_the_whole(
    here: Installation, arguments: tuple[str, ...]
) -> None:
    here.settings_path.write_text("pin: {rounds: 5}\n")
    found = told(here, *arguments, code=3)
    assert (found["changed"], found["results"]) == (False, [])
    assert "rounds" in found["error"]
