"""The control plane on a host: its exporter answers, its secrets are private, and changes take effect."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from testinfra.host import Host

PORT = 9887
UNIT = "bic-exporter"
PROJECT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
NATION = PROJECT / "molecule/nation"
FACILITY = """
id: lille
title: Lille light microscopy facility
institution: Université de Lille
city: Lille
data_centre: dc2
zone: molZone
"""

Metrics = Callable[[], str]


@pytest.fixture
def metrics(address: str, prometheus: urllib.request.OpenerDirector) -> Metrics:
    """Scrapes the exporter as Prometheus does."""

    def scrape() -> str:
        with prometheus.open(f"https://{address}:{PORT}/metrics", timeout=10) as answer:
            return str(answer.read(), "utf-8")

    return scrape


def converge(inventory: Path) -> None:
    """Apply the scenario's playbook again, with another inventory to install."""
    scenario = PROJECT / "molecule" / os.environ["MOLECULE_SCENARIO_NAME"]
    hosts = os.environ["MOLECULE_INVENTORY_FILE"]
    extra = f"controlplane_inventory_dir={inventory}"
    result = subprocess.run(
        ["ansible-playbook", "-i", hosts, "-e", extra, str(scenario / "converge.yml")],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def main_pid(host: Host) -> str:
    return host.check_output("systemctl show --property=MainPID --value %s", UNIT)


def installed(host: Host) -> set[str]:
    return set(host.check_output("cd /etc/bic/inventory && find . -type f").split())


def test_metrics_over_tls_whether_or_not_the_zone_answers(metrics: Metrics) -> None:
    text = metrics()
    for collector in ("servers", "contents", "usage"):
        assert f'bic_collector_up{{collector="irods_{collector}_molZone"}}' in text


def test_nobody_reads_metrics_without_the_password(address: str, tls: ssl.SSLContext) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401") as refused:
        urllib.request.urlopen(f"https://{address}:{PORT}/metrics", context=tls, timeout=10)
    assert b"bic_" not in refused.value.read()


def test_plaintext_is_refused(address: str) -> None:
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        urllib.request.urlopen(f"http://{address}:{PORT}/metrics", timeout=10)


def test_certificate_is_the_authoritys(address: str) -> None:
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(f"https://{address}:{PORT}/metrics", timeout=10)


@pytest.mark.parametrize("name", ["irods_admin_password", "scrape_password"])
def test_secrets_are_for_the_control_plane_alone(host: Host, state_dir: Path, name: str) -> None:
    file = f"/var/lib/bic/secrets/{name}"
    secret = (state_dir / "secrets" / name).read_text().strip()
    assert host.check_output("sudo -u bic cat %s", file) == secret
    assert "Permission denied" in host.run_expect([1], "sudo -u nobody cat %s", file).stderr
    assert (
        "Permission denied"
        in host.run_expect([1], "sudo -u nobody cat /etc/bic/inventory/platform.yml").stderr
    )
    assert "Permission denied" in host.run_expect([1], "sudo -u bic touch %s", file).stderr
    arguments = f"/proc/{main_pid(host)}/cmdline"
    shown = host.check_output("journalctl --no-pager; systemctl cat --no-pager %s; cat %s", UNIT, arguments)
    assert secret not in shown


def test_key_is_private_to_the_exporter(host: Host) -> None:
    key = host.file("/etc/bic/pki/bic-exporter.key")
    assert (key.user, key.group, key.mode) == ("root", "bic", 0o640)


@pytest.mark.parametrize("unit", ["bic-exporter", "bic-drift", "bic-free-space", "bic-worker"])
def test_units_are_confined(host: Host, unit: str) -> None:
    # In tenths: systemd calls up to 3.0 well protected.
    host.run_expect([0], "systemd-analyze security --threshold=30 %s.service", unit)


def test_the_free_space_is_measured_on_a_timer(host: Host) -> None:
    assert host.service("bic-free-space.timer").is_running
    assert host.service("bic-free-space.timer").is_enabled
    # The inventory here has no storage resource, so there is nothing to ask a zone for.
    host.run_expect([0], "systemctl start bic-free-space")


def test_the_comparison_runs_on_a_timer_and_its_result_is_a_metric(host: Host, metrics: Metrics) -> None:
    assert host.service("bic-drift.timer").is_running
    assert host.service("bic-drift.timer").is_enabled
    # There is no zone here, so the comparison fails, names it, and keeps that for the exporter.
    assert host.run("systemctl start bic-drift").failed
    assert "molZone" in host.check_output("journalctl --no-pager --output=cat --lines=20 --unit=bic-drift")
    store = host.file("/var/lib/bic/store.sqlite")
    assert (store.user, store.group, store.mode) == ("bic", "bic", 0o600)
    host.check_output("systemctl restart %s", UNIT)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            if 'bic_drift_up{system="irods/molZone"} 0.0' in metrics():
                return
        time.sleep(0.5)
    pytest.fail(metrics())


def test_no_worker_runs_where_none_is_wanted(host: Host) -> None:
    worker = host.service("bic-worker")
    assert not worker.is_running
    assert not worker.is_enabled


def test_the_inventory_is_the_one_of_the_control_host(host: Host) -> None:
    installed_text = host.file("/etc/bic/inventory/platform.yml").content_string
    assert installed_text == (NATION / "platform.yml").read_text()
    host.check_output(
        "sudo -u bic env BIC_STATE_DIR=/var/lib/bic /opt/bic/venv/bin/bic -i /etc/bic/inventory check"
    )


def versions(lines: Iterable[str]) -> set[str]:
    """The pinned versions among the lines, with names as the package index normalises them."""
    pins = (line.split()[0].partition("==") for line in lines if re.match(r"[\w.-]+==", line))
    return {f"{re.sub('[-_.]+', '-', name).lower()}=={version}" for name, _, version in pins}


def test_installed_versions_are_the_locked_ones(host: Host) -> None:
    freeze = "/opt/bic/venv/bin/python -m pip freeze --exclude setuptools --exclude pip"
    installed_lines = host.check_output(freeze).splitlines()
    found = versions(installed_lines)
    # All of them but the control plane itself and Ice, which are installed from their files.
    assert len(found) == len(installed_lines) - 2
    assert found <= versions((PROJECT / "requirements/controlplane.lock").read_text().splitlines())


def test_unit_comes_back_after_a_kill(host: Host, metrics: Metrics) -> None:
    before = main_pid(host)
    host.check_output("systemctl kill --signal=KILL %s", UNIT)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            if "bic_collector_up" in metrics() and main_pid(host) not in {"0", before}:
                return
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.5)
    pytest.fail(host.check_output("journalctl --no-pager --lines=20 --unit=%s", UNIT))


def test_changes_take_effect_and_an_interrupted_installation_is_finished(
    host: Host, metrics: Metrics, tmp_path: Path
) -> None:
    inventory = tmp_path / "nation"
    shutil.copytree(NATION, inventory)
    (inventory / "facilities").mkdir(exist_ok=True)
    (inventory / "facilities/lille.yml").write_text(FACILITY)
    before = main_pid(host)
    converge(inventory)
    assert "./facilities/lille.yml" in installed(host)
    assert main_pid(host) != before
    # What an installation looks like that was killed half-way: packages are missing, and so is the last mark.
    release = host.check_output("readlink /opt/bic/venv")
    host.check_output("rm -r %s/.complete %s/lib/python3.11/site-packages/typer", release, release)
    converge(NATION)
    assert "./facilities/lille.yml" not in installed(host)
    assert host.check_output("/opt/bic/venv/bin/bic --version")
    assert "bic_collector_up" in metrics()
