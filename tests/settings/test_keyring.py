"""The key file."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from radius_smsotp.errors import ConfigurationError
from radius_smsotp.model import pin
from radius_smsotp.model.code import KEY_OCTETS
from radius_smsotp.settings import keyring

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "00112233445566778899aabbccddeeff" * 2


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the key is."""
    return tmp_path / "key"


def written(path: Path, text: str, mode: int = 0o600) -> Path:
    """A key file with this text."""
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def fault(path: Path) -> str:
    """What is wrong with a key file, with what to do."""
    with pytest.raises(ConfigurationError) as caught:
        keyring.read(path)
    assert caught.value.__cause__ is None
    for problem in caught.value.problems:
        assert problem.remedy
        assert str(path) in problem.path
    return str(caught.value)


def test_a_new_key_can_be_read(path: Path) -> None:
    """It is for its owner alone, and long enough."""
    keyring.create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    keys = keyring.read(path)
    assert len(keys.secret) == KEY_OCTETS
    assert keys.get(keys.current) == keys.secret
    assert list(keys.pin_keys) == [keys.sealing, keys.current]
    assert keys.get(keys.sealing) is None
    assert len(keys.pin_keys[keys.sealing]) == KEY_OCTETS


def test_no_two_new_keys_are_alike(tmp_path: Path) -> None:
    """They are random, and a challenge of one never finds the other."""
    for name in ("a", "b"):
        keyring.create(tmp_path / name)
    one, other = keyring.read(tmp_path / "a"), keyring.read(tmp_path / "b")
    assert one.secret != other.secret
    assert one.current != other.current


def test_a_key_is_never_overwritten(path: Path) -> None:
    """All running challenges hang on it."""
    keyring.create(path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        keyring.create(path)
    assert path.read_bytes() == before


def test_the_first_line_is_in_use_and_the_others_still_open(path: Path) -> None:
    """So a new key is put above the old one, which goes when nothing runs any more."""
    old = SECRET.replace("0", "f")
    keys = keyring.read(written(path, f"# comment\n\nnew {SECRET}\n  old   {old}  \r\n"))
    assert keys.current == "new"
    assert keys.secret == bytes.fromhex(SECRET)
    assert keys.get("old") == bytes.fromhex(old)
    assert keys.get("older") is None


def test_a_key_signs_when_its_time_has_come(path: Path) -> None:
    """So all servers change over at once, and have known it before."""
    old = SECRET.replace("0", "f")
    begins = datetime(2026, 3, 1, 12, tzinfo=UTC)
    written(path, f"new {SECRET} 2026-03-01T13:00:00+01:00\nold {old}\n")
    before = keyring.read(path, begins - timedelta(seconds=1))
    assert (before.current, before.waiting) == ("old", ("new", begins))
    assert before.get("new") == bytes.fromhex(SECRET)
    assert not before.is_outdated(begins - timedelta(seconds=1))
    assert before.is_outdated(begins)
    after = keyring.read(path, begins)
    assert (after.current, after.waiting) == ("new", None)
    assert not after.is_outdated(begins + timedelta(days=1))
    assert before.oldest_secret == after.oldest_secret == bytes.fromhex(old)


def test_a_key_for_pins_has_a_line_of_its_own(path: Path) -> None:
    """It takes over like one for codes, and until then the one that signs seals."""
    other, begins = SECRET.replace("0", "f"), datetime(2026, 3, 1, 12, tzinfo=UTC)
    written(path, f"p1 {other} 2026-03-01T12:00:00Z pin\nk1 {SECRET}\n")
    before = keyring.read(path, begins - timedelta(seconds=1))
    assert (before.current, before.sealing, before.waiting) == ("k1", "k1", None)
    assert before.pin_waiting == ("p1", begins)
    assert not before.is_outdated(begins - timedelta(seconds=1))
    assert before.is_outdated(begins)
    after = keyring.read(path, begins)
    assert (after.current, after.sealing, after.pin_waiting) == ("k1", "p1", None)
    assert (list(after.keys), list(after.pin_keys)) == (["k1"], ["p1", "k1"])
    assert after.fingerprints == before.fingerprints
    assert list(after.fingerprints.values()) == ["p1", "k1"]


def test_servers_seal_alike_with_files_of_before(path: Path) -> None:
    """One that has retired an old key opens what one has sealed that still has it."""
    old = SECRET.replace("0", "f")
    plain = pin.digest("1234", b"0123456789abcdef", 1)
    early = keyring.read(written(path, f"k2 {SECRET}\nk1 {old}\n"))
    late = keyring.read(written(path, f"k2 {SECRET}\n"))
    assert late.open_pin("alice", early.seal_pin("alice", plain)) == plain
    assert late.open_pin("alice", plain) == plain
    assert late.open_pin("alice", pin.seal(plain, "alice", "k1", bytes.fromhex(old))) is None
    # Who has a newer file, with a key for PINs, opens it as well.
    newer = written(path, f"p3 {old[::-1]} pin\nk2 {SECRET}\n")
    assert keyring.read(newer).open_pin("alice", late.seal_pin("alice", plain)) == plain


def test_a_new_key_goes_before_the_others_and_an_old_one_goes(path: Path) -> None:
    """The rest of the file stays as it is, and its mode as well."""
    written(path, f"# ours\n\nk1 {SECRET}\n# Schlüssel\n")
    begins = datetime.now(UTC) + timedelta(hours=1)
    made = keyring.add(path, begins)
    keys = keyring.read(path)
    assert list(keys.keys) == [made, "k1"]
    assert keys.current == "k1"
    assert keyring.read(path, begins).current == made
    assert path.read_text().startswith(f"# ours\n\n{made} ")
    assert path.read_text().endswith(f"\nk1 {SECRET}\n# Schlüssel\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    keyring.remove(path, made)
    assert path.read_text() == f"# ours\n\nk1 {SECRET}\n# Schlüssel\n"
    assert [one.name for one in path.parent.iterdir()] == ["key"]


def test_a_link_to_the_key_file_stays_one(tmp_path: Path) -> None:
    """What it points to is replaced."""
    written(tmp_path / "real", f"k1 {SECRET}\n")
    (tmp_path / "key").symlink_to("real")
    made = keyring.add(tmp_path / "key", datetime.now(UTC))
    assert (tmp_path / "key").is_symlink()
    assert keyring.read(tmp_path / "real").get(made) is not None


def test_a_keyring_does_not_show_its_keys(path: Path) -> None:
    """Its repr may come into a log."""
    assert SECRET not in repr(keyring.read(written(path, f"k {SECRET}")))
    assert repr(bytes.fromhex(SECRET)) not in repr(keyring.read(path))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610, 0o601])
def test_a_file_that_others_may_use_is_refused(path: Path, mode: int) -> None:
    """Whoever reads the key knows every code."""
    assert f"chmod 600 {path}" in fault(written(path, f"k {SECRET}", mode))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "holds no key"),
        ("# only a comment\n", "holds no key"),
        ("k\n", "line 1 is not 'ID SECRET'"),
        (f"{SECRET}\n", "line 1 is not 'ID SECRET'"),
        (f"# first\nk {SECRET} more stuff\n", "line 2 is not 'ID SECRET'"),
        (f"# first\nk {SECRET} more\n", "line 2: what stands behind the secret is no time"),
        (f"k {SECRET} 2026-01-01T00:00:00\n", "line 1: what stands behind the secret is no time"),
        (f"k {SECRET} 9999-01-01T00:00:00Z\n", "holds no key whose time has come"),
        (f"{SECRET} k\n", "line 1: the secret is not hexadecimal"),
        ("k 0011\n", "line 1: the secret is too short (2 octets)"),
        (f"k {SECRET[:-2]}\n", "too short (31 octets)"),
        (f"k {SECRET}\nk {SECRET[::-1]}\n", "line 2: the id stands here twice"),
        (f"k {SECRET}\nk {SECRET[::-1]} pin\n", "line 2: the id stands here twice"),
        (f"p {SECRET} pin\n", "holds no key"),
        (f"k {SECRET} pin 2026-01-01T00:00:00Z\n", "line 1 is not 'ID SECRET'"),
        (f"k {SECRET} soon pin\n", "line 1: what stands behind the secret is no time"),
        (f"k {SECRET[:-2]}ü\n", "the secret is not hexadecimal"),
    ],
)
def test_a_malformed_file_is_refused_by_line(path: Path, text: str, complaint: str) -> None:
    """And the secret is not in the complaint."""
    said = fault(written(path, text))
    assert complaint in said
    assert SECRET[:20] not in said


def test_a_file_that_is_missing_or_no_file(path: Path) -> None:
    """What to do stands there."""
    assert "bring it back from a backup" in fault(path)
    assert f"a new installation gets one by 'smsotp init {path.parent}'" in fault(path)
    path.mkdir()
    assert "Is a directory" in fault(path)


def test_a_file_of_somebody_else(path: Path) -> None:
    """Whose it should be stands there."""
    written(path, f"k {SECRET}", 0o000)
    mine = os.geteuid()
    if mine == 0:
        os.seteuid(65534)  # nobody, since root may read everything
    try:
        assert "make the user of FreeRADIUS its owner" in fault(path)
    finally:
        os.seteuid(mine)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=300))
def test_any_file_is_a_keyring_or_a_configuration_error(path: Path, octets: bytes) -> None:
    """Nothing else comes out, and nothing of the file is repeated."""
    written(path, "")
    path.write_bytes(octets)
    try:
        keys = keyring.read(path)
    except ConfigurationError:
        return
    assert len(keys.secret) >= KEY_OCTETS
