"""Prometheus: what it watches, whom it tells, and which files it refuses."""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Webhook, assert_modern_tls, assert_plaintext_is_refused, converge, eventually, said
from testinfra.host import Host

UNIT, PORT = "prometheus", 9090
PROJECT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
FIRING_RULE = """
groups:
  - name: scenario
    rules:
      - alert: ScenarioFiring
        expr: vector(1)
        labels: {severity: critical, host: nowhere}
"""
BROKEN_RULE = FIRING_RULE.replace("vector(1)", "vector(1")

Get = Callable[[str], Any]


@pytest.fixture
def get(address: str, tls: ssl.SSLContext) -> Get:
    """Reads a path of the service over TLS, as JSON."""

    def read(path: str) -> Any:
        with urllib.request.urlopen(f"https://{address}:{PORT}{path}", context=tls, timeout=10) as answer:
            return json.load(answer)

    return read


def alert_names(get: Get) -> set[str]:
    groups = get("/api/v1/rules?type=alert")["data"]["groups"]
    return {rule["name"] for group in groups for rule in group["rules"]}


def names_in_files() -> set[str]:
    files = [yaml.safe_load(file.read_text()) for file in (PROJECT / "monitoring/rules").glob("*.yml")]
    rules = [rule for file in files for group in file["groups"] for rule in group["rules"]]
    return {rule["alert"] for rule in rules if "alert" in rule}


def test_every_target_is_up(get: Get) -> None:
    def health() -> dict[str, str]:
        targets = get("/api/v1/targets?state=active")["data"]["activeTargets"]
        return {target["scrapePool"]: target["health"] for target in targets}

    assert eventually(lambda: set(health().values()) == {"up"}, 20), health()
    assert set(health()) == {"node", "prometheus", "alertmanager"}


def test_samples_carry_the_labels_of_the_inventory(get: Get) -> None:
    (sample,) = get("/api/v1/query?query=up{job='node'}")["data"]["result"]
    assert sample["metric"]["host"] == "mol-prometheus"
    assert sample["metric"]["data_centre"] == "dc1"
    assert sample["metric"]["environment"] == "molecule"


def test_a_new_target_needs_no_reload(host: Host, get: Get) -> None:
    file = "/etc/prometheus/targets/postgresql.json"
    assert host.check_output("cat %s", file).split() == ["[", "]"]
    added = json.dumps([{"targets": ["192.0.2.1:9187"], "labels": {"host": "added"}}])
    try:
        host.check_output("printf %%s %s > %s.new && mv %s.new %s", added, file, file, file)
        assert eventually(lambda: "added" in json.dumps(get("/api/v1/targets?state=active")["data"]), 10)
    finally:
        host.check_output("printf '[\n]\n' > %s.new && mv %s.new %s", file, file, file)


def test_only_modern_tls_is_spoken(address: str, authority: Path) -> None:
    assert_plaintext_is_refused(address, PORT)
    assert_modern_tls(address, PORT, authority)


def test_prometheus_knows_its_alertmanager(get: Get) -> None:
    known = get("/api/v1/alertmanagers")["data"]["activeAlertmanagers"]
    assert [entry["url"] for entry in known] == ["https://10.79.0.16:9093/api/v2/alerts"]


def test_rules_are_loaded(get: Get) -> None:
    assert alert_names(get) == names_in_files()


def test_unit_is_confined(host: Host) -> None:
    # In tenths: systemd calls up to 3.0 well protected.
    host.run_expect([0], f"systemd-analyze security --threshold=30 {UNIT}.service")


def test_unit_comes_back_after_a_kill(host: Host, address: str, tls: ssl.SSLContext) -> None:
    before = host.check_output("systemctl show --property=MainPID --value %s", UNIT)
    host.check_output("systemctl kill --signal=KILL %s", UNIT)

    def ready() -> bool:
        if host.check_output("systemctl show --property=MainPID --value %s", UNIT) in {"0", before}:
            return False
        url = f"https://{address}:{PORT}/-/ready"
        with urllib.request.urlopen(url, context=tls, timeout=5) as answer:
            return bool(answer.status == 200)

    assert eventually(ready, 30)


def test_a_broken_rule_file_is_refused_and_the_old_rules_stay(host: Host, get: Get, tmp_path: Path) -> None:
    (tmp_path / "broken.yml").write_text(BROKEN_RULE)
    before = host.file("/etc/prometheus/rules.yml").content_string
    result = converge(prometheus_rules_dir=str(tmp_path))
    assert result.returncode != 0
    assert "unclosed left parenthesis" in said(result), "promtool says what is wrong"
    assert host.file("/etc/prometheus/rules.yml").content_string == before
    assert alert_names(get) == names_in_files()


def test_new_rules_are_taken_up_and_their_alert_is_delivered(
    get: Get, webhook: Webhook, state_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "firing.yml").write_text(FIRING_RULE)
    result = converge(prometheus_rules_dir=str(tmp_path))
    assert result.returncode == 0, result.stdout + result.stderr
    assert alert_names(get) == {"ScenarioFiring"}

    def delivered() -> list[tuple[str, dict[str, Any]]]:
        return [entry for entry in webhook.received if "ScenarioFiring" in json.dumps(entry[1])]

    # What Prometheus drops in a reload it sends again after a minute; Alertmanager then waits 30 s for more.
    assert eventually(lambda: bool(delivered()), 120)
    authorization, notification = delivered()[0]
    assert authorization == "Bearer " + (state_dir / "secrets/webhook_token").read_text().strip()
    assert notification["commonLabels"]["platform"] == "molecule"
    assert notification["externalURL"] == "https://mol-prometheus.mol.example:9093"
