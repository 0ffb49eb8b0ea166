"""``smsotp key``: a new key takes over without a break."""

from __future__ import annotations

import json
import os
import pwd
import stat
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from radius_smsotp.cli import smsotp
from radius_smsotp.login.answers import Accepted
from radius_smsotp.settings import keyring

if TYPE_CHECKING:
    from radius_smsotp.settings.keyring import Keyring
    from tests.cli.installation import Installation


def keys(here: Installation, later: float = 0.0) -> Keyring:
    """The keys as they are, or as they will be in so many minutes."""
    now = datetime.now(UTC) + timedelta(minutes=later)
    return keyring.read(here.folder / "key", now)


def listed(here: Installation) -> list[dict[str, str]]:
    """What `key list` tells."""
    found: list[dict[str, str]] = json.loads(here.done("key", "list", "--json"))
    return found


def test_the_new_key_signs_when_every_process_has_read_it(here: Installation) -> None:
    [old] = keys(here).keys
    said = here.done("key", "rotate")
    new, _ = keys(here).keys
    assert keys(here).current == old
    assert keys(here, 0.5).current == new
    assert f"{new}: signs new challenges from" in said
    assert said.endswith(f" on the old one may go: smsotp key retire {old}\n")


def test_there_is_time_to_copy_the_file_to_other_servers(here: Installation) -> None:
    said = here.done("key", "rotate", "--in", "60")
    assert f"Copy {here.folder / 'key'} to every other server before that." in said
    new, old = keys(here).keys
    assert keys(here, 59).current == old
    assert keys(here, 61).current == new
    again = here.run("key", "rotate")
    assert again.exit_code == 1
    assert f"{new} is waiting already" in again.output
    here.done("key", "retire", new)
    assert list(keys(here).keys) == [old]


def test_a_challenge_of_the_old_key_is_answered_after_the_change(here: Installation) -> None:
    here.done("user", "add", "alice", "--phone", "+491701234567", "--pin", "1234")
    running = here.node().challenge("alice", "1234")
    here.done("key", "rotate")
    new, old = keys(here).keys
    lines = (here.folder / "key").read_text().splitlines()
    words = [line.rsplit(" ", 1)[0] if line.startswith(new) else line for line in lines]
    (here.folder / "key").write_text("\n".join(words) + "\n")  # its time has come
    node = here.node()
    assert [one["state"] for one in listed(here)] == ["signs", "old"]
    assert [one["open_challenges"] for one in listed(here)] == [0, 1]
    refused = here.run("key", "retire", old)
    assert refused.exit_code == 1
    assert "1 open challenge still needs it" in refused.output
    assert node.second(running, node.code(running)) == Accepted()
    assert here.done("key", "retire", old) == f"{old}: retired\n"
    assert node.stored(node.challenge("alice", "1234").transaction_id).key_id == new


def test_a_key_that_has_become_known_goes_with_its_challenges(here: Installation) -> None:
    here.done("user", "add", "alice", "--phone", "+491701234567", "--pin", "1234")
    running = here.node().challenge("alice", "1234")
    [old] = keys(here).keys
    keyring.add(here.folder / "key", datetime.now(UTC))
    here.done("key", "retire", old, "--cancel")
    node = here.node()
    assert old not in node.keys.keys
    assert node.stored(running.transaction_id).state == "cancelled"


def test_the_store_knows_a_key_from_its_making_to_its_end(here: Installation) -> None:
    [old] = keys(here).keys
    here.done("key", "rotate", "--in", "60")
    new, _ = keys(here).keys
    with here.store.read() as tx:
        assert set(tx.known_keys().values()) == {old, new}
    here.done("key", "retire", new)
    with here.store.read() as tx:
        assert set(tx.known_keys().values()) == {old}


def test_a_key_that_no_server_has_is_retired_too(here: Installation) -> None:
    here.done("key", "rotate")
    with here.store.write() as tx:
        tx.add_key("0123456789abcdef", "k1", datetime.now(UTC))
    before = keys(here).keys
    here.done("key", "retire", "k1")
    assert keys(here).keys == before
    assert here.run("key", "retire", "k1").exit_code == 1


@pytest.mark.parametrize(
    ("which", "complaint"),
    [("current", "signs new challenges; first 'smsotp key rotate'"), ("gone", "there is no key")],
)
def test_a_key_that_cannot_be_retired(here: Installation, which: str, complaint: str) -> None:
    current = keys(here).current
    before = (here.folder / "key").read_bytes()
    result = here.run("key", "retire", current if which == "current" else "gone")
    assert result.exit_code == 1
    assert complaint in result.output
    assert (here.folder / "key").read_bytes() == before


def test_no_secret_is_shown(here: Installation) -> None:
    said = here.done("key", "rotate") + here.done("key", "list")
    said += here.done("key", "list", "--json")
    for secret in keys(here).keys.values():
        assert secret.hex()[:8] not in said


def test_a_key_that_root_makes_belongs_to_who_had_the_file() -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o711)
        folder = Path(name) / "site"
        owner = ("--owner", "nobody") if os.geteuid() == 0 else ()
        config = ("--config", str(folder / "smsotp.yaml"))
        assert CliRunner().invoke(smsotp, ["init", str(folder), *owner]).exit_code == 0
        before = (folder / "key").stat()
        assert CliRunner().invoke(smsotp, [*config, "key", "rotate"]).exit_code == 0
        after = (folder / "key").stat()
        assert (after.st_uid, stat.S_IMODE(after.st_mode)) == (before.st_uid, 0o600)
        if owner:
            assert pwd.getpwuid(after.st_uid).pw_name == "nobody"


def test_a_change_in_a_thousand_years_is_wrong_usage(here: Installation) -> None:
    done = here.run("key", "rotate", "--in", "99999999999")
    assert done.exit_code == 2
    assert len(keys(here).keys) == 1
