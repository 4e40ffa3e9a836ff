"""Whom alerts reach and which are held back, by the configuration that the role writes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from rendering import run_tasks

PROJECT = Path(__file__).parents[3]
ROLE = PROJECT / "roles/alertmanager"

REFERENTS = [{"facility": name, "to": [f"it@{name}.example"]} for name in ("lille", "nantes")]
ZONES = {
    "bicZone": {"catalog_provider": "dc1-icat"},
    "otherZone": {"catalog_provider": "dc3-icat"},
}
EMAIL = {"to": "ops@x.example", "from": "alerts@x.example", "smarthost": "mail.x.example:587"}


def program(name: str) -> str:
    if path := shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}"):
        return path
    message = f"{name} is not installed: `make rule-checkers` puts it beside the other tools"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def configured(folder: Path, **given: object) -> Path:
    """The configuration as the role writes it, with the dependencies that site.yml finds."""
    (play,) = [
        each for each in yaml.safe_load((PROJECT / "site.yml").read_text()) if each["hosts"] == "prometheus"
    ]
    names = ["alertmanager_dependencies", "alertmanager_referents"]
    # Templates are looked for beside the play.
    (folder / "playbooks").symlink_to(PROJECT / "playbooks")
    file = folder / "alertmanager.yml"
    task = {
        "name": "Write it",
        "ansible.builtin.template": {
            "src": str(ROLE / "templates/alertmanager.yml.j2"),
            "dest": str(file),
        },
        "vars": {name: play["vars"][name] for name in names},
    }
    login = {"bic_login": {"host": "dc1-idp"}, "bic_login_database_host": "dc1-db"}
    facts = {
        "bic_zones": ZONES,
        "bic_referents": REFERENTS,
        "bic_store_host": "dc1-db",
        "bic_omero_servers": {"dc1-omero": {"database_host": "dc2-db"}},
        "bic_buffers": {"hosts": ["buffer-nantes"]},
        **login,
    }
    run_tasks(folder, ROLE, [task], yaml.safe_dump({**facts, **given}))
    return file


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return configured(
        tmp_path_factory.mktemp("alertmanager"),
        alertmanager_email=EMAIL,
        alertmanager_webhooks=[{"url": "https://chat.x.example/hook"}],
        alertmanager_heartbeat={"url": "https://heartbeat.x.example/beat"},
    )


@pytest.mark.parametrize("given", [{}, {"alertmanager_email": EMAIL}], ids=["nobody", "email"])
def test_every_configuration_is_valid(tmp_path: Path, given: Mapping[str, Any]) -> None:
    file = configured(tmp_path, **given)
    checked = subprocess.run(
        [program("amtool"), "check-config", file], capture_output=True, text=True, timeout=60, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ({"alertname": "HostDown", "severity": "critical", "owner": "operations"}, ["operations"]),
        (
            {"alertname": "Drift", "severity": "warning", "owner": "operations", "facility": ""},
            ["operations"],
        ),
        (
            {"alertname": "HostDown", "severity": "critical", "owner": "operations", "facility": "nantes"},
            ["referents of nantes", "operations"],
        ),
        (
            {"alertname": "QuotaAlmostUsed", "severity": "warning", "owner": "facility", "facility": "lille"},
            ["referents of lille"],
        ),
        # One that the inventory does not know any more still reaches somebody.
        (
            {"alertname": "QuotaAlmostUsed", "severity": "warning", "owner": "facility", "facility": "gone"},
            ["operations"],
        ),
        ({"alertname": "Watchdog", "severity": "none", "owner": "operations"}, ["heartbeat"]),
    ],
    ids=lambda value: value["alertname"] if isinstance(value, dict) else None,
)
def test_alerts_reach_who_can_act(
    configuration: Path, labels: Mapping[str, str], receivers: list[str]
) -> None:
    words = [f"{name}={value}" for name, value in labels.items() if value]
    routed = subprocess.run(
        [program("amtool"), "config", "routes", "test", f"--config.file={configuration}", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert routed.returncode == 0, routed.stderr
    assert routed.stdout.strip().split(",") == receivers


def test_without_a_mail_server_everything_stays_with_operations(tmp_path: Path) -> None:
    routes = yaml.safe_load(configured(tmp_path).read_text())
    assert {receiver["name"] for receiver in routes["receivers"]} == {"operations", "heartbeat"}


def matches(matcher: str, labels: Mapping[str, str]) -> bool:
    """Whether an alert fits one of Alertmanager's matchers; a label that it does not have is empty."""
    parsed = re.fullmatch(r'(\w+)(=~|!~|!=|=)"(.*)"', matcher)
    assert parsed, matcher
    value = labels.get(parsed[1], "")
    fits = bool(re.fullmatch(parsed[3], value)) if "~" in parsed[2] else parsed[3] == value
    return fits != parsed[2].startswith("!")


def held_back(rules: list[dict[str, Any]], cause: Mapping[str, str], alert: Mapping[str, str]) -> bool:
    """Whether an alert is held back while another one fires, as Alertmanager decides it.

    `amtool` tests routes and not these rules. What an alert shares with its cause are the labels in `equal`;
    those that both lack count as the same.
    """
    return any(
        all(matches(matcher, cause) for matcher in rule["source_matchers"])
        and all(matches(matcher, alert) for matcher in rule["target_matchers"])
        and all(cause.get(label, "") == alert.get(label, "") for label in rule["equal"])
        for rule in rules
    )


CASES: dict[str, tuple[dict[str, str], list[dict[str, str]], list[dict[str, str]]]] = {
    "a host takes its services along": (
        {"alertname": "HostDown", "host": "dc2-irods"},
        [
            {"alertname": "ExporterDown", "host": "dc2-irods"},
            {"alertname": "IrodsServerDown", "host": "dc2-irods"},
        ],
        [{"alertname": "UnitFailed", "host": "dc1-icat"}, {"alertname": "Drift"}],
    ),
    "PostgreSQL takes its zone along, and no other": (
        {"alertname": "PostgreSQLDown", "host": "dc1-icat"},
        [
            {"alertname": "IrodsZoneDown", "zone": "bicZone"},
            {"alertname": "IrodsServerDown", "zone": "bicZone", "host": "dc2-irods"},
            {"alertname": "CollectorFailing", "zone": "bicZone", "host": "dc1-monitor"},
            {"alertname": "OperationBudgetBurnsFast", "zone": "bicZone", "operation": "write"},
        ],
        [
            {"alertname": "IrodsReplicasStale", "zone": "otherZone"},
            {"alertname": "AuthentikOutpostDown"},
            {"alertname": "FilesystemAlmostFull", "host": "dc1-icat"},
        ],
    ),
    "databases take logins, and what is read from the store, along": (
        {"alertname": "PostgreSQLDown", "host": "dc1-db"},
        [
            {"alertname": "AuthentikOutpostDown"},
            {"alertname": "PeopleDoNotFollow"},
            {"alertname": "OperationBudgetBurnsFast", "operation": "login"},
            {"alertname": "CollectorFailing", "collector": "store", "host": "dc1-monitor"},
            {"alertname": "CollectorFailing", "collector": "authentik", "host": "dc1-monitor"},
            {"alertname": "UnitFailed", "name": "bic-drift.service", "host": "dc1-monitor"},
        ],
        [
            {"alertname": "OperationBudgetBurnsSlowly", "zone": "bicZone", "operation": "write"},
            {"alertname": "CollectorFailing", "collector": "irods_usage_bicZone", "host": "dc1-monitor"},
            {"alertname": "UnitFailed", "name": "chrony.service", "host": "dc1-monitor"},
        ],
    ),
    "a database takes OMERO along": (
        {"alertname": "PostgreSQLDown", "host": "dc2-db"},
        [
            {"alertname": "OmeroServerDown", "host": "dc1-omero"},
            {"alertname": "PeopleDoNotFollow", "system": "omero/dc1-omero"},
        ],
        [
            {"alertname": "OmeroServerDown", "host": "dc2-omero"},
            {"alertname": "PeopleDoNotFollow", "system": "irods/bicZone"},
        ],
    ),
    "nobody follows onto a buffer server that is down": (
        {"alertname": "HostDown", "host": "buffer-nantes"},
        [{"alertname": "PeopleDoNotFollow", "system": "buffer/buffer-nantes"}],
        [{"alertname": "PeopleDoNotFollow", "system": "buffer/buffer-lyon"}],
    ),
    "the login server takes along what is asked of it": (
        {"alertname": "HostDown", "host": "dc1-idp"},
        [
            {"alertname": "AuthentikOutpostDown"},
            {"alertname": "PeopleDoNotFollow", "host": "dc1-monitor"},
            {"alertname": "OperationBudgetBurnsFast", "operation": "login"},
            {"alertname": "CollectorFailing", "collector": "authentik_operations", "host": "dc1-monitor"},
        ],
        [
            {"alertname": "OperationBudgetBurnsFast", "zone": "bicZone", "operation": "write"},
            {"alertname": "CollectorFailing", "collector": "store", "host": "dc1-monitor"},
        ],
    ),
    "an exporter takes along what it alone tells": (
        {"alertname": "ExporterDown", "host": "dc1-icat"},
        [{"alertname": "PostgreSQLBackupMissing", "host": "dc1-icat"}],
        [{"alertname": "PostgreSQLBackupMissing", "host": "dc1-db"}, {"alertname": "UnitFailed"}],
    ),
    "a zone takes its servers along": (
        {"alertname": "IrodsZoneDown", "zone": "otherZone"},
        [{"alertname": "IrodsServerDown", "zone": "otherZone", "host": "dc3-icat"}],
        [{"alertname": "IrodsStorageResourceDown", "zone": "bicZone"}],
    ),
    "the worse of two words for one trouble is said": (
        {"alertname": "FilesystemAlmostFull", "host": "a", "mountpoint": "/srv"},
        [{"alertname": "FilesystemFillingUp", "host": "a", "mountpoint": "/srv"}],
        [{"alertname": "FilesystemInodesAlmostUsed", "host": "a", "mountpoint": "/srv"}],
    ),
    "a fast burn says all that a slow one does": (
        {"alertname": "OperationBudgetBurnsFast", "zone": "bicZone", "operation": "read"},
        [{"alertname": "OperationBudgetBurnsSlowly", "zone": "bicZone", "operation": "read"}],
        [{"alertname": "IrodsDelayQueueStuck", "zone": "bicZone"}],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_consequences_are_held_back_and_nothing_else(configuration: Path, name: str) -> None:
    rules = yaml.safe_load(configuration.read_text())["inhibit_rules"]
    cause, consequences, others = CASES[name]
    cause = {**cause, "environment": "one"}
    for alert in consequences:
        assert held_back(rules, cause, {**alert, "environment": "one"}), alert
        assert not held_back(rules, cause, {**alert, "environment": "two"}), alert
    for alert in (cause, *others):
        assert not held_back(rules, cause, {**alert, "environment": "one"}), alert


def test_every_alert_that_the_configuration_names_exists(configuration: Path) -> None:
    rules = [yaml.safe_load(file.read_text()) for file in (PROJECT / "monitoring/rules").glob("*.yml")]
    names = {
        rule["alert"]
        for file in rules
        for group in file["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    text = yaml.safe_load(configuration.read_text())
    matchers = [
        matcher
        for rule in text["inhibit_rules"]
        for matcher in (*rule["source_matchers"], *rule["target_matchers"])
    ]
    named = {
        name.removesuffix(".*")
        for matcher in matchers
        if matcher.startswith("alertname")
        for name in matcher.split('"')[1].split("|")
    }
    assert named
    assert all(any(known.startswith(name) for known in names) for name in named), named - names
