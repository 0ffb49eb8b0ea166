"""A file is written whole or not at all, and stays whose it is."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from radius_smsotp.settings import whole_file


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_what_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the error names the file, not the one beside it that nobody has heard of."""
    path = tmp_path / "accounts.csv"
    path.write_text("before")

    def fail(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space") as caught:
        whole_file.write(path, "after", 0o600)
    assert caught.value.filename == str(path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_who_owns_a_file_goes_on_owning_it(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("before")
    os.chown(path, 12345, 12346)
    whole_file.write(path, "after", 0o640)
    assert (path.stat().st_uid, path.stat().st_gid, mode(path)) == (12345, 12346, 0o640)
    assert path.read_text() == "after"


@pytest.mark.parametrize(
    ("there", "asked", "after"),
    [(None, 0o640, 0o640), (0o604, 0o666, 0o604), (0o644, 0o600, 0o600), (0o660, 0o777, 0o660)],
)
def test_a_file_stays_as_closed_as_it_was(
    tmp_path: Path, there: int | None, asked: int, after: int
) -> None:
    """Whatever the umask is, which is for new ones; and becomes it, if it has to be."""
    path = tmp_path / "file"
    if there is not None:
        path.write_text("before")
        path.chmod(there)
    umask = os.umask(0o027)
    try:
        whole_file.write(path, "after", asked)
    finally:
        os.umask(umask)
    assert mode(path) == after


def test_what_a_link_points_to_is_replaced(tmp_path: Path) -> None:
    """Who reads the old one reads it to its end; the link stays, and may point to nothing yet."""
    (tmp_path / "link").symlink_to("file")
    for text in ("first", "second"):
        whole_file.write(tmp_path / "link", text, 0o600)
        assert (tmp_path / "file").read_text() == text
    with (tmp_path / "file").open() as reader:
        whole_file.write(tmp_path / "link", "third", 0o600)
        assert reader.read() == "second"
    assert (tmp_path / "link").is_symlink()


def test_what_must_outlast_a_crash_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key"
    synced: list[str] = []

    def sync(handle: int) -> None:
        assert not path.exists()
        synced.append(Path(f"/proc/self/fd/{handle}").read_text())

    monkeypatch.setattr(os, "fsync", sync)
    whole_file.write(path, "secret", 0o600, durable=True)
    assert synced == ["secret"]
