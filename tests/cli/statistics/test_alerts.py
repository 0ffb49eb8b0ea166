"""Each alert in freeradius/ fires when it should, and only then: Prometheus itself is asked."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.installation import ROOT

RULES = ROOT / "freeradius" / "monitoring" / "prometheus-rules.yml"
CASES: list[dict[str, Any]] = yaml.safe_load(
    Path(__file__).with_name("alerts.yml").read_text("utf-8")
)


def alert(case: dict[str, Any]) -> str:
    """Which alert a case is about."""
    return str(case["name"]).partition(":")[0]


@pytest.mark.server
@pytest.mark.parametrize("case", CASES, ids=alert)
def test_it_fires_when_it_should_and_only_then(case: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "tests.yml"
    whole = {
        "rule_files": [str(RULES)],
        "evaluation_interval": case["interval"],
        "tests": [case],
    }
    path.write_text(yaml.safe_dump(whole, allow_unicode=True), "utf-8")
    done = subprocess.run(
        ["promtool", "test", "rules", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tried_both_ways() -> None:
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    assert [rule["alert"] for group in groups for rule in group["rules"]] == list(map(alert, CASES))
    for case in CASES:
        looks = case["alert_rule_test"]
        assert {look["alertname"] for look in looks} == {alert(case)}
        assert any("exp_alerts" in look for look in looks), case["name"]
        assert any("exp_alerts" not in look for look in looks), case["name"]
