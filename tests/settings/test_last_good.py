"""The last settings that worked, for a start when they do not any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from radius_smsotp.settings import file, last_good

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TEXT = "code: {digits: 8}\nproviders: {demo: {type: folder, path: outbox}}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Settings that work, and are kept."""
    path = tmp_path / "smsotp.yaml"
    path.write_text(TEXT)
    last_good.keep(file.load(path))
    return path


def test_they_come_back_as_they_were_and_only_their_owner_can_read_them(path: Path) -> None:
    """With the paths of the file that they were read from."""
    path.write_text("code: [")
    kept = last_good.load(path)
    assert kept is not None
    assert kept[0].values.code.digits == 8
    assert kept[0].key_path == path.parent / "key"
    assert abs(kept[1].timestamp() - last_good.place(path).stat().st_mtime) < 1
    assert last_good.place(path).stat().st_mode & 0o777 == 0o600


def test_they_are_written_only_when_they_have_changed(path: Path) -> None:
    """A server reads its settings at each start."""
    before = last_good.place(path).stat()
    last_good.keep(file.load(path))
    assert last_good.place(path).stat().st_ino == before.st_ino
    path.write_text(TEXT.replace("8", "7"))
    last_good.keep(file.load(path))
    kept = last_good.load(path)
    assert kept is not None
    assert kept[0].values.code.digits == 7


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("digits: 8", "digits: 6"),
        lambda text: text[:-10],
        lambda text: "",
        lambda text: text.partition("\n")[2],
    ],
    ids=["edited", "cut off", "empty", "without its fingerprint"],
)
def test_what_is_not_as_it_was_kept_does_not_count(
    path: Path, change: Callable[[str], str]
) -> None:
    """A disk that was full, or somebody who took it for the settings."""
    kept = last_good.place(path)
    kept.write_text(change(kept.read_text()))
    assert last_good.load(path) is None


def test_there_may_be_none(tmp_path: Path) -> None:
    """Before the first start."""
    assert last_good.load(tmp_path / "smsotp.yaml") is None


def test_a_folder_that_cannot_be_written_is_an_oserror(path: Path) -> None:
    loaded = file.load(path)
    last_good.place(path).unlink()
    last_good.place(path).mkdir()
    with pytest.raises(OSError, match="last-good"):
        last_good.keep(loaded)
