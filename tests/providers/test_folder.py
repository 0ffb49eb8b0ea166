"""The provider ``folder``: a file for each message, whole or not at all."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from radius_smsotp.errors import Unavailable
from radius_smsotp.providers import Receipt, Surroundings, build
from radius_smsotp.providers.contract import PHONE, ProviderContract, message, soon
from radius_smsotp.providers.folder import Provider, Settings


def provider(folder: Path, path: str | Path = "out") -> Provider:
    settings = Settings.model_validate({"type": "folder", "PATH": str(path)})
    made = build("files", settings, Surroundings(folder, {}, folder))
    assert isinstance(made, Provider)
    return made


class FolderStandIn:
    """The folder itself."""

    secrets = ()

    def __init__(self, path: Path) -> None:
        self.path = path

    def provider(self) -> Provider:
        return provider(self.path.parent, self.path)

    def refuse(self) -> None:
        """It has no such case."""

    def be_busy(self) -> None:
        """It has no such case."""

    def go_away(self) -> None:
        # A file in its place: that stops root as well, whom no permission would.
        self.path.write_text("in the way")

    def fall_silent(self) -> None:
        """It has no such case."""

    def received(self) -> list[tuple[str, str]]:
        records = [json.loads(file.read_text("utf-8")) for file in self.path.glob("*.json")]
        return [(record["phone"], record["text"]) for record in records]


class TestContract(ProviderContract):
    can_refuse = can_be_busy = False
    can_fall_silent = False

    @pytest.fixture
    def stand_in(self, tmp_path: Path) -> FolderStandIn:
        return FolderStandIn(tmp_path / "out")


def test_the_file_is_named_after_the_transaction_and_holds_four_fields(tmp_path: Path) -> None:
    before = datetime.now(UTC)
    receipt = provider(tmp_path).send(message(7), soon())
    assert receipt == Receipt(f"{7:032x}")
    [file] = (tmp_path / "out").iterdir()
    assert file.name == f"{7:032x}.json"
    record = json.loads(file.read_text("utf-8"))
    sent = datetime.fromisoformat(record.pop("time"))
    assert record == {"transaction_id": f"{7:032x}", "phone": PHONE, "text": message().text}
    assert abs(sent - before) < timedelta(seconds=20)
    assert sent.utcoffset() == timedelta(0)


def test_nobody_but_the_owner_may_read_it(tmp_path: Path) -> None:
    provider(tmp_path).send(message(), soon())
    [file] = (tmp_path / "out").iterdir()
    assert file.stat().st_mode & 0o077 == 0
    assert file.parent.stat().st_mode & 0o077 == 0


def test_whoever_watches_the_folder_never_sees_half_a_file(tmp_path: Path) -> None:
    text = "a long text, so that it is not written at one stroke; " * 20_000
    out = tmp_path / "out"
    done = threading.Event()

    def watch() -> int:
        looks = 0
        while not done.is_set():
            for file in out.glob("*.json"):
                assert json.loads(file.read_text("utf-8"))["text"] == text
                looks += 1
        return looks

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        try:
            sender = provider(tmp_path)
            for _ in range(30):  # again and again over the same file
                sender.send(message(1, text), soon())
        finally:
            done.set()
        assert watching.result(10) > 0
    assert [file.name for file in out.iterdir()] == [f"{1:032x}.json"]


def test_the_path_may_be_absolute_or_count_from_the_settings(tmp_path: Path) -> None:
    settings, elsewhere = tmp_path / "settings", tmp_path / "elsewhere"
    provider(settings, "a/b").send(message(1), soon())
    provider(settings, elsewhere).send(message(2), soon())
    assert len(list((settings / "a/b").iterdir())) == 1
    assert len(list(elsewhere.iterdir())) == 1


def test_building_makes_no_folder_and_check_leaves_no_file(tmp_path: Path) -> None:
    made = provider(tmp_path)
    assert not (tmp_path / "out").exists()
    assert made.check() == []
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_cannot_be_is_a_problem_with_path_fault_and_remedy(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    [problem] = provider(tmp_path).check()
    assert problem.path == "providers.files.path"
    assert str(tmp_path / "out") in problem.fault
    assert problem.remedy
    with pytest.raises(Unavailable):
        provider(tmp_path).send(message(), soon())


def test_settings_without_a_path_are_refused() -> None:
    with pytest.raises(ValidationError, match="path"):
        Settings.model_validate({"type": "folder"})
