"""``smsotp key``: a new key takes over without a break."""

from __future__ import annotations

import json
import os
import pwd
import re
import stat
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from radius_smsotp.cli import smsotp
from radius_smsotp.cli.key import rotate
from radius_smsotp.login.answers import Accepted
from radius_smsotp.model import pin
from radius_smsotp.model.records import Account
from radius_smsotp.settings import keyring
from tests.cli.installation import ROUNDS, Installation
from tests.support import leaks

if TYPE_CHECKING:
    from radius_smsotp.settings.keyring import Keyring
    from tests.store.postgres_server import PostgresServer
    from tests.support.site import Node


def keys(here: Installation, later: float = 0.0) -> Keyring:
    """The keys as they are, or as they will be in so many minutes."""
    now = datetime.now(UTC) + timedelta(minutes=later)
    return keyring.read(here.folder / "key", now)


def listed(here: Installation) -> list[dict[str, str]]:
    """What `key list` tells."""
    found: list[dict[str, str]] = json.loads(here.done("key", "list", "--json"))
    return found


def hasten(here: Installation) -> None:
    """Let keys that wait take over now."""
    path = here.folder / "key"
    path.write_text(re.sub(r" 20\d\d-\S+", "", path.read_text()))


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new key takes over without notice."""
    monkeypatch.setattr(sys.modules[rotate.callback.__module__], "NOTICE", timedelta(0))


def test_the_new_key_signs_when_every_process_has_read_it(here: Installation) -> None:
    [old] = keys(here).keys
    sealed = keys(here).sealing
    said = here.done("key", "rotate")
    new, _ = keys(here).keys
    seals = next(iter(keys(here).pin_keys))
    before, after = keys(here), keys(here, 0.5)
    assert (before.current, before.sealing) == (old, sealed)
    assert (after.current, after.sealing) == (new, seals)
    assert f"{new}: signs new challenges from" in said
    assert f"{seals}: seals PINs from then on\n" in said
    assert said.endswith(f" on the old ones may go: smsotp key retire {old} {sealed}\n")


def test_there_is_time_to_copy_the_file_to_other_servers(here: Installation) -> None:
    said = here.done("key", "rotate", "--in", "60")
    assert f"Copy {here.folder / 'key'} to every other server before that." in said
    new, old = keys(here).keys
    assert keys(here, 59).current == old
    assert keys(here, 61).current == new
    again = here.run("key", "rotate")
    assert again.exit_code == 1
    assert f"{new} is waiting already" in again.output
    here.done("key", "retire", new, next(iter(keys(here).pin_keys)))
    assert list(keys(here).keys) == [old]
    here.done("key", "rotate")


def test_a_challenge_of_the_old_key_is_answered_after_the_change(here: Installation) -> None:
    here.done("user", "add", "alice", "--phone", "+491701234567", "--pin", "1234")
    running = here.node().challenge("alice", "1234")
    here.done("key", "rotate", "--in", "60")
    new, old = keys(here).keys
    hasten(here)
    node = here.node()
    assert [one["state"] for one in listed(here)] == ["seals", "old", "signs", "old"]
    assert [one["open_challenges"] for one in listed(here)] == [0, 0, 0, 1]
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
    seals, sealed = list(keys(here).pin_keys)[:2]
    with here.store.read() as tx:
        assert set(tx.known_keys().values()) == {old, new, seals, sealed}
    here.done("key", "retire", new, seals)
    with here.store.read() as tx:
        assert set(tx.known_keys().values()) == {old, sealed}


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
    [
        ("current", "signs new challenges; first 'smsotp key rotate'"),
        ("sealing", "seals PINs; first 'smsotp key rotate'"),
        ("gone", "there is no key"),
    ],
)
def test_a_key_that_cannot_be_retired(here: Installation, which: str, complaint: str) -> None:
    before = (here.folder / "key").read_bytes()
    result = here.run("key", "retire", getattr(keys(here), which, "gone"))
    assert result.exit_code == 1
    assert complaint in result.output
    assert (here.folder / "key").read_bytes() == before


def test_no_secret_is_shown(here: Installation) -> None:
    said = here.done("key", "rotate") + here.done("key", "list")
    said += here.done("key", "list", "--json")
    for secret in keys(here).pin_keys.values():
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


def hashes(here: Installation | Node) -> dict[str, str]:
    """Account to the hash of its PIN, as it is kept."""
    with here.store.read() as tx:
        return {one.name: one.pin_hash for one, _ in tx.accounts() if one.pin_hash}


def put_plain(here: Installation, name: str = "alice", text: str = "1234") -> None:
    """An account of a version that did not seal."""
    leaks.note_pin(here.folder, text)
    account = Account(name, "+491701234567", pin.digest(text, b"0123456789abcdef", ROUNDS))
    with here.store.write() as tx:
        tx.put_account(account, datetime.now(UTC))


def log_in(here: Installation, name: str = "alice", text: str = "1234") -> None:
    """A whole login, at a server that starts now."""
    node = here.node()
    challenged = node.challenge(name, text)
    assert node.second(challenged, node.code(challenged), name) == Accepted()


def test_a_pin_is_sealed_from_the_beginning(here: Installation) -> None:
    here.done("user", "add", "alice", "--phone", "+491701234567", "--pin", "1234")
    [kept] = hashes(here).values()
    assert pin.sealed_with(kept) == keys(here).sealing
    assert {one["id"]: one["pins"] for one in listed(here)} == {
        keys(here).sealing: 1,
        keys(here).current: 0,
    }
    log_in(here)


def test_pins_follow_to_the_new_key_in_place(here: Installation, at_once: None) -> None:
    """Those that were not sealed too; nobody types one, and the rest of the hash stays."""
    here.done("user", "add", "alice", "--phone", "+491701234567", "--pin", "1234")
    put_plain(here, "bob", "5678")
    old, before = keys(here).sealing, hashes(here)
    said = here.done("key", "rotate")
    new = keys(here).sealing
    assert new != old
    assert "PINs sealed with it: 2\n" in said
    for name, after in hashes(here).items():
        assert pin.sealed_with(after) == new
        fields = before[name].split("$")[1:-1]
        assert after.split("$")[1:-1] == fields
    log_in(here, "alice", "1234")
    log_in(here, "bob", "5678")
    here.done("key", "retire", old)
    log_in(here, "alice", "1234")


def test_several_servers_change_over_before_their_pins_do(here: Installation) -> None:
    """One that has the file already, and one that gets it within the hour, log in meanwhile."""
    put_plain(here)
    old = keys(here).sealing
    here.done("key", "rotate", "--in", "60")
    assert {pin.sealed_with(one) for one in hashes(here).values()} == {old}
    log_in(here)
    hasten(here)
    log_in(here)
    assert here.done("key", "retire", old) == f"{old}: retired\n"
    assert {pin.sealed_with(one) for one in hashes(here).values()} == {keys(here).sealing}
    log_in(here)


def test_a_file_of_before_seals_with_the_key_that_signs(here: Installation, at_once: None) -> None:
    """So that all servers agree whose files are alike; the next rotation makes one of its own."""
    path = here.folder / "key"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line for line in lines if not line.endswith(" pin")) + "\n")
    put_plain(here)
    before = path.read_bytes()
    assert f"PINs sealed with {keys(here).current}: 1\n" in here.done("init", str(here.folder))
    assert path.read_bytes() == before
    [old] = keys(here).keys
    assert [(one["state"], one["pins"]) for one in listed(here)] == [("signs, seals", 1)]
    log_in(here)
    said = here.done("key", "rotate")
    assert said.endswith(f" on the old one may go: smsotp key retire {old}\n")
    assert keys(here).sealing.startswith("p")
    here.done("key", "retire", old, "--cancel")
    log_in(here)


def test_a_key_that_pins_hang_on_and_that_is_not_here_stays_known(here: Installation) -> None:
    """Another server may have it: nobody else can seal them anew."""
    here.done("user", "add", "alice", "--phone", "+491701234567", "--pin", "1234")
    path = here.folder / "key"
    whole, old = path.read_text(), keys(here).sealing
    keyring.add(path, datetime.now(UTC), for_pins=True)
    keyring.remove(path, old)
    result = here.run("key", "retire", old)
    assert result.exit_code == 1
    assert "1 PIN is sealed with it, and it is not here; see 'smsotp check'" in result.output
    with here.store.read() as tx:
        assert old in tx.known_keys().values()
    path.write_text(whole)
    log_in(here)


def test_in_a_database_pins_stay_until_the_old_key_goes(
    tmp_path: Path, postgres_server: PostgresServer, at_once: None
) -> None:
    """Other servers may share it, to which the key file is still to be copied."""
    here = Installation(tmp_path / "site", "--store", postgres_server.make_url())
    try:
        here.done("user", "add", "alice", "--phone", "+491701234567", "--pin", "271828")
        node, old = here.node(), keys(here).sealing
        before = hashes(node)
        assert before
        whole = (here.folder / "key").read_text()
        here.done("key", "rotate")
        assert keys(here).sealing != old
        log_in(here, "alice", "271828")
        assert hashes(node) == before
        new, path = (here.folder / "key").read_text(), here.folder / "key"
        path.write_text(whole)
        log_in(here, "alice", "271828")  # at a server that has not got it
        path.write_text(new)
        here.done("key", "retire", old)
        assert pin.sealed_with(hashes(node)["alice"]) == keys(here).sealing
        log_in(here, "alice", "271828")
    finally:
        here.close()
