"""How the role prometheus lets Prometheus ask exporters; to see that needs no Prometheus."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from rendering import run_tasks

ROLE = Path(__file__).parents[3] / "roles/prometheus"
PASSWORD = "only-for-those-who-scrape"
JOBS = [
    {"name": "bic", "port": 9887, "basic_auth": True, "targets": []},
    {"name": "authentik", "port": 9300, "scheme": "http", "targets": []},
]


def configured(folder: Path, **given: object) -> dict[str, Any]:
    """The scrape configurations that the role writes, by job."""
    file = folder / "prometheus.yml"
    source = str(ROLE / "templates/prometheus.yml.j2")
    task = {"name": "Write it", "ansible.builtin.template": {"src": source, "dest": str(file)}}
    facts = {"prometheus_address": "192.0.2.1", "prometheus_scrape_jobs": JOBS, **given}
    run_tasks(folder, ROLE, [task], yaml.safe_dump(facts))
    assert PASSWORD not in file.read_text()
    written = yaml.safe_load(file.read_text())["scrape_configs"]
    return {job["job_name"]: job for job in written}


def test_the_password_goes_to_jobs_that_ask_for_it_from_a_file(tmp_path: Path) -> None:
    jobs = configured(tmp_path, prometheus_scrape_password=PASSWORD)
    assert jobs["bic"]["basic_auth"] == {
        "username": "prometheus",
        "password_file": "/etc/prometheus/scrape_password",
    }
    assert jobs["bic"]["scheme"] == "https"
    assert "basic_auth" not in jobs["authentik"]


def test_without_a_password_nobody_is_given_one(tmp_path: Path) -> None:
    assert not [job for job in configured(tmp_path).values() if "basic_auth" in job]


def checked(folder: Path, jobs: list[dict[str, Any]]) -> None:
    preflight = [
        task
        for task in yaml.safe_load((ROLE / "tasks/preflight.yml").read_text())
        if "password" in task["name"]
    ]
    assert preflight
    run_tasks(folder, ROLE, preflight, yaml.safe_dump({"prometheus_scrape_jobs": jobs}))


def test_a_password_in_plain_text_is_refused(tmp_path: Path) -> None:
    checked(tmp_path, JOBS)
    with pytest.raises(AssertionError, match="has a job with both `basic_auth: true` and `scheme: http`"):
        checked(tmp_path, [*JOBS, {**JOBS[1], "basic_auth": True}])
