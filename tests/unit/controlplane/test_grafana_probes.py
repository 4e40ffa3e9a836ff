"""What health says of Grafana."""

from functools import partial
from pathlib import Path

import pytest
from https_pages import answering
from inventory_editing import Edit

from controlplane.health.net import fetch
from controlplane.health.port import CheckFailedError, Severity
from controlplane.model import load_platform
from controlplane.systems.grafana import probes

HEALTH = "/api/health"


def test_a_version_is_said_when_it_is_well(tmp_path: Path) -> None:
    with answering(tmp_path, {HEALTH: '{"database": "ok", "version": "12.4.10"}'}) as (base, ca_file):
        assert probes._ready(base, partial(fetch, ca_file=ca_file)) == "version 12.4.10"


@pytest.mark.parametrize(
    ("pages", "reason"),
    [
        ({}, "answers 404"),
        ({HEALTH: "<html>"}, "does not answer as Grafana does"),
        ({HEALTH: "[]"}, "does not answer as Grafana does"),
        ({HEALTH: '{"database": "failing", "version": "1"}'}, "says that its database is 'failing'"),
    ],
)
def test_what_is_not_well_is_named(tmp_path: Path, pages: dict[str, str | int], reason: str) -> None:
    with answering(tmp_path, pages) as (base, ca_file), pytest.raises(CheckFailedError, match=reason):
        probes._ready(base, partial(fetch, ca_file=ca_file))


def test_it_is_asked_by_its_public_name_and_holds_up_no_facility(inventory: Path, edit: Edit) -> None:
    edit("platform.yml", ", grafana]", "]")
    assert not list(probes.probes(load_platform(inventory)))
    edit("platform.yml", "[prometheus, controlplane]", "[prometheus, grafana, controlplane]")
    (probe,) = probes.probes(load_platform(inventory))
    assert (probe.target, probe.serves) == ("dc1-monitor", frozenset())
    assert {check.severity for check in probe.checks} == {Severity.WARNING}
    (ready,) = [check for check in probe.checks if check.name == "ready"]
    assert ready.run.args[0] == "https://grafana.bic.example"  # type: ignore[attr-defined]
