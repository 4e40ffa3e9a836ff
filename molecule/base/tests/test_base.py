"""The base role: who gets in, what the firewall lets through, and what answers."""

from __future__ import annotations

import os
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from conftest import reachable
from testinfra.host import Host


def ssh(host: Host, user: str, *command: str) -> subprocess.CompletedProcess[str]:
    variables = host.ansible.get_variables()
    options = [
        "-oBatchMode=yes",
        "-oStrictHostKeyChecking=no",
        "-oUserKnownHostsFile=/dev/null",
        "-oLogLevel=ERROR",
    ]
    key = str(variables["ansible_private_key_file"])
    return subprocess.run(
        ["ssh", *options, "-i", key, f"{user}@{variables['ansible_host']}", *command],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def play(name: str) -> list[str]:
    """The command that runs one of the scenario's own playbooks."""
    scenario = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])
    return ["ansible-playbook", "-i", os.environ["MOLECULE_INVENTORY_FILE"], str(scenario / name)]


def test_names(host: Host) -> None:
    assert host.check_output("hostname") == "mol-base"
    assert host.check_output("hostname --fqdn") == "mol-base.mol.example"
    assert host.addr("mol-postgresql.mol.example").ipv4_addresses == ["10.79.0.13"]


@pytest.mark.parametrize(("user", "becomes_root"), [("ada", True), ("grace", False)])
def test_operators_log_in_and_only_some_become_root(host: Host, user: str, becomes_root: bool) -> None:
    assert ssh(host, user, "id", "-un").stdout.strip() == user
    assert (ssh(host, user, "sudo", "-n", "id", "-un").stdout.strip() == "root") is becomes_root


def test_ssh_offers_keys_only(host: Host, address: str) -> None:
    assert ssh(host, "root", "true").returncode == 0, "Ansible's own way in"
    answer = subprocess.run(
        [
            "ssh",
            "-oBatchMode=yes",
            "-oPubkeyAuthentication=no",
            "-oStrictHostKeyChecking=no",
            f"ada@{address}",
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "Permission denied (publickey)" in answer.stderr


def test_reload_that_an_interrupted_run_forgot_is_made_up_for(host: Host) -> None:
    command = play("outdated.yml")
    before = host.service("ssh").systemd_properties["StateChangeTimestampMonotonic"]
    host.check_output("touch /etc/ssh/sshd_config.d/10-bic.conf")
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    after = host.service("ssh").systemd_properties["StateChangeTimestampMonotonic"]
    assert int(after) > int(before)
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    assert host.service("ssh").systemd_properties["StateChangeTimestampMonotonic"] == after


@pytest.mark.parametrize(
    ("port", "open_to_us"), [(8081, True), (8091, True), (8082, False), (8083, False), (8084, False)]
)
def test_firewall_lets_in_what_was_opened_and_drops_the_rest(
    address: str, port: int, open_to_us: bool
) -> None:
    assert reachable(address, port) is open_to_us


def test_firewall_stays_after_a_restart_of_its_service(host: Host, address: str) -> None:
    host.check_output("systemctl restart nftables.service")
    assert not reachable(address, 8084)
    assert host.service("nftables").is_enabled


def test_machine_metrics_over_tls(address: str, prometheus: urllib.request.OpenerDirector) -> None:
    with prometheus.open(f"https://{address}:9100/metrics", timeout=10) as answer:
        assert b"node_memory_MemTotal_bytes" in answer.read()


def test_nobody_reads_machine_metrics_without_the_password(address: str, tls: ssl.SSLContext) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"https://{address}:9100/metrics", context=tls, timeout=10)


def test_the_password_is_kept_as_a_hash_for_the_exporter_alone(host: Host, state_dir: Path) -> None:
    file = host.file("/etc/bic/node_exporter.yml")
    assert (file.user, file.group, file.mode) == ("root", "prometheus", 0o640)
    assert (state_dir / "secrets/scrape_password").read_text().strip() not in file.content_string


def test_machine_metrics_refuse_plaintext(address: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(f"http://{address}:9100/metrics", timeout=10)


def test_machine_metrics_are_not_trusted_without_the_authority(address: str) -> None:
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(f"https://{address}:9100/metrics", timeout=10)


def test_key_is_private_to_its_service(host: Host) -> None:
    key = host.file("/etc/bic/pki/node_exporter.key")
    assert (key.user, key.group, key.mode) == ("root", "prometheus", 0o640)


def test_chrony_runs_and_serves_no_time(host: Host) -> None:
    assert host.service("chrony").is_running
    assert host.service("chrony").is_enabled
    assert not host.socket("udp://0.0.0.0:123").is_listening


def test_journal_is_kept_and_limited(host: Host) -> None:
    assert host.file("/var/log/journal").is_directory
    settings = host.check_output("systemd-analyze cat-config systemd/journald.conf")
    assert "SystemMaxUse=1G" in settings


def test_only_security_updates_are_automatic(host: Host) -> None:
    settings = host.check_output("apt-config dump Unattended-Upgrade::Origins-Pattern").splitlines()
    origins = [line for line in settings if line.startswith("Unattended-Upgrade::Origins-Pattern::")]
    security = "origin=Debian,codename=${distro_codename}-security,label=Debian-Security"
    assert origins == [f'Unattended-Upgrade::Origins-Pattern:: "{security}";']
    assert host.run("unattended-upgrade --dry-run").rc == 0


def test_authority_key_never_left_the_control_host(host: Host, state_dir: Path) -> None:
    key = state_dir / "pki/ca.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert os.stat(key.parent).st_mode & 0o777 == 0o700
    secret = key.read_text().splitlines()[1]
    assert host.run("grep -rlF -e %s /etc /root /home /tmp /var/tmp /usr/local", secret).stdout == ""


def test_an_installation_that_a_loss_of_power_interrupted_is_finished(host: Host) -> None:
    host.check_output("cd /tmp && apt-get download -qq tree && dpkg --unpack tree_*.deb")
    # What dpkg leaves of a package whose unpacking did not come to its end.
    state = "s/^Status: .*/Status: install reinstreq half-installed/"
    host.check_output(f"sed -i '/^Package: tree$/,/^$/{state}' /var/lib/dpkg/status")
    assert "tree" in host.check_output("dpkg --audit")
    done = subprocess.run(play("interrupted.yml"), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    assert host.check_output("dpkg --audit") == ""
    assert host.package("tree").is_installed
    again = subprocess.run(play("interrupted.yml"), capture_output=True, text=True, timeout=60, check=False)
    assert "changed=0" in again.stdout
