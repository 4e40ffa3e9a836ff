"""The alert rules: correct, tested both ways, and each with a runbook that exists."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[3]
RULES = sorted((PROJECT / "monitoring/rules").glob("*.yml"))
TESTS = sorted((PROJECT / "monitoring/rules/tests").glob("*.yml"))
RUNBOOKS = PROJECT / "docs/runbooks"


def rules_of(file: Path) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]


def alerts_of(file: Path) -> list[dict[str, Any]]:
    return [rule for rule in rules_of(file) if "alert" in rule]


ALERTS = {rule["alert"]: rule for file in RULES for rule in alerts_of(file)}
ALWAYS_FIRING = "Watchdog"


@pytest.fixture
def promtool() -> str:
    """The path of promtool; without it these tests are skipped, but never in CI."""
    if path := shutil.which("promtool"):
        return path
    message = "promtool is not installed: `make rule-checkers` puts it beside the other tools"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_rules_are_valid(promtool: str) -> None:
    result = run(promtool, "check", "rules", "--lint=all", "--lint-fatal", *RULES)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_alerts_fire_when_they_should(promtool: str, file: Path) -> None:
    result = run(promtool, "test", "rules", file)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_is_tested_both_ways(name: str) -> None:
    checks = [
        check
        for file in TESTS
        for test in yaml.safe_load(file.read_text())["tests"]
        for check in test["alert_rule_test"]
        if check["alertname"] == name
    ]
    assert any(check.get("exp_alerts") for check in checks), "no test in which it fires"
    assert any(not check.get("exp_alerts") for check in checks), "no test in which it stays silent"


@pytest.mark.parametrize(("name", "rule"), ALERTS.items(), ids=ALERTS)
def test_every_alert_says_what_to_do(name: str, rule: dict[str, Any]) -> None:
    assert set(rule["labels"]) == {"severity", "owner"}
    assert rule["labels"]["severity"] in ({"none"} if name == ALWAYS_FIRING else {"critical", "warning"})
    assert rule["labels"]["owner"] in {"operations", "facility"}
    assert rule["for"], "an alert without a duration pages for a single failed scrape"
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    runbook = PROJECT / rule["annotations"]["runbook"]
    assert runbook == RUNBOOKS / f"{name}.md"
    assert runbook.read_text().startswith(f"# {name}\n")


def test_no_runbook_without_an_alert() -> None:
    assert {file.stem for file in RUNBOOKS.glob("*.md")} - {"README"} == set(ALERTS)


def test_no_alert_is_defined_twice() -> None:
    assert len(ALERTS) == sum(len(alerts_of(file)) for file in RULES)
    groups = [group["name"] for file in RULES for group in yaml.safe_load(file.read_text())["groups"]]
    assert len(groups) == len(set(groups)), "the role merges all files into one, where names must be unique"
