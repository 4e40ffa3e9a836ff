"""The role's own proof, against a server that is as it should be, and against one that is not."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_site import METRICS, PASSWORD, ROLE, ROOT, Site
from rendering import run_tasks

from sandbox.standins.grafana.release import VERSION

WELL = [{"name": "dc1-monitor", "url": "https://192.0.2.1:9090"}]
AWAY = [{"name": "dc2-monitor", "url": "https://192.0.2.2:9090"}]


def verify(folder: Path, site: Site, **given: Any) -> str:
    """Run the role's tasks; return what they say when they fail, or nothing."""
    (block,) = yaml.safe_load((ROLE / "tasks/verify.yml").read_text())
    for task in block["block"]:
        # No server here needs time to come to itself.
        if "retries" in task:
            task.update(retries=2, delay=0)
    said = folder / "said"
    block["rescue"] = [
        {
            "name": "Keep what it says",
            "ansible.builtin.copy": {
                "content": "{{ ([ansible_failed_result] + ansible_failed_result.results | default([]))"
                " | selectattr('failed', 'true') | map(attribute='msg') | join('\n') }}",
                "dest": str(said),
                "mode": "0600",
            },
        }
    ]
    assert site.folder
    variables = {
        "grafana_local_url": site.url,
        "grafana_address": "127.0.0.1",
        "grafana_ca_file": str(site.folder / "tls.crt"),
        "grafana_version": VERSION,
        "grafana_admin_password": PASSWORD,
        "grafana_metrics_password": METRICS[1],
        "grafana_dashboards_dir": str(ROOT / "monitoring/dashboards"),
        "grafana_prometheus_servers": WELL,
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
    }
    run_tasks(folder, ROLE, [block], yaml.safe_dump({**variables, **given}))
    return said.read_text() if said.exists() else ""


@pytest.fixture
def standin(site: Site) -> Site:
    if site.folder is None:
        pytest.skip("a real server is proved by the role when it is deployed")
    return site


def test_a_server_that_is_well_passes(standin: Site, tmp_path: Path) -> None:
    assert verify(tmp_path, standin) == ""


def test_a_prometheus_that_does_not_answer_is_named(standin: Site, tmp_path: Path) -> None:
    said = verify(tmp_path, standin, grafana_prometheus_servers=WELL + AWAY)
    assert "cannot ask prometheus-dc2-monitor (400:" in said
    assert "the firewall there lets 127.0.0.1 in" in " ".join(said.split())


def test_a_dashboard_that_was_not_taken_is_named(standin: Site, tmp_path: Path) -> None:
    dashboards = tmp_path / "dashboards"
    dashboards.mkdir()
    (dashboards / "new.json").write_text('{"uid": "bic-new", "title": "New"}')
    said = verify(tmp_path, standin, grafana_dashboards_dir=str(dashboards))
    assert "did not take the dashboards bic-new" in said


def test_another_password_is_told_with_the_command(standin: Site, tmp_path: Path) -> None:
    said = verify(tmp_path, standin, grafana_admin_password="another-password-than-before")
    assert "refuses grafana_admin_password, which counts at the very first start only" in " ".join(
        said.split()
    )
    assert "admin reset-admin-password --password-from-stdin" in " ".join(said.split())
