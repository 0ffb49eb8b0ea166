"""The systemd units in freeradius/: systemd understands every line, and they leave few rights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
UNITS = sorted((TOP / "freeradius" / "systemd").glob("*.service"))

pytestmark = pytest.mark.server
"""Programs of systemd."""

EXPOSURE = 25
"""Of 100, at most; a unit that says nothing of its rights has 96."""


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Ask systemd-analyze, which needs no systemd that runs."""
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
class TestEveryUnit:
    def test_systemd_has_nothing_to_say(self, unit: Path, tmp_path: Path) -> None:
        """Of units of others, which it reads on the way, it may have."""
        program = Path(sys.executable).with_name("smsotp")
        text = unit.read_text("utf-8")
        assert "/usr/local/bin/smsotp " in text
        here = tmp_path / unit.name
        here.write_text(text.replace("/usr/local/bin/smsotp ", f"{program} "), "utf-8")
        done = analyze("verify", here)
        assert done.returncode == 0, done.stderr
        assert unit.name not in done.stderr, done.stderr

    def test_it_leaves_few_rights(self, unit: Path) -> None:
        done = analyze("security", "--offline=true", f"--threshold={EXPOSURE}", unit)
        assert done.returncode == 0, done.stdout

    def test_it_runs_as_who_freeradius_runs_as(self, unit: Path) -> None:
        """The store and the key are that user's."""
        lines = unit.read_text("utf-8").splitlines()
        assert {"User=freerad", "Group=freerad"} <= set(lines)


def test_the_timer_calls_its_service(tmp_path: Path) -> None:
    """systemd-analyze looks for it beside the timer."""
    for unit in (TOP / "freeradius" / "systemd").glob("smsotp-prune.*"):
        text = unit.read_text("utf-8").replace("/usr/local/bin/smsotp ", "/bin/true ")
        (tmp_path / unit.name).write_text(text, "utf-8")
    done = analyze("verify", tmp_path / "smsotp-prune.timer")
    assert (done.returncode, "smsotp-prune" in done.stderr) == (0, False), done.stderr
