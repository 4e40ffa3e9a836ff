"""A fleet on a fresh Debian machine whose PID 1 is systemd: a host of a fleet stands for that machine."""

import subprocess
from collections.abc import Iterator

import pytest
from nation import REPOSITORY, Nation, environment_for

from sandbox.fleet import fleet as fleets
from sandbox.fleet import host as hosts

PLATFORM = """\
name: outer
title: One machine
environment: sandbox
domain: outer.example
sandbox: {fleet: outer, network: 10.71.0.0/24}
data_centres:
  dc1: {title: Data centre 1, city: Nantes}
hosts:
  machine: {data_centre: dc1, address: 10.71.0.11}
"""

#: The machine's disk is an overlay, on which no overlay can be; its memory can carry one. A container's
#: kernel settings are read-only until told otherwise.
PREPARE = """
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends make git >/dev/null 2>&1
mkdir -p /var/lib/bic-sandbox
mount -t tmpfs -o size=4G tmpfs /var/lib/bic-sandbox
mount -o remount,rw /proc/sys
git clone -q /root/repository.bundle /root/repository
cd /root/repository
make -s host-packages venv
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nation]:
    """A fresh Debian 12 machine with a clone of this repository and what `make` installs."""
    folder = tmp_path_factory.mktemp("outer")
    (folder / "inventory").mkdir()
    (folder / "inventory" / "platform.yml").write_text(PLATFORM)
    nation = Nation(folder / "inventory", environment_for(folder / "inventory", folder / "state"))
    bundle = folder / "repository.bundle"
    fleets.down(nation.fleet, [], print)
    subprocess.run(["git", "bundle", "create", "-q", bundle, "HEAD"], cwd=REPOSITORY, check=True)
    try:
        assert nation.bic("sandbox", "up").code == 0
        root = hosts.folder(nation.fleet, nation.fleet.host("machine")) / "root"
        (root / "root" / "repository.bundle").write_bytes(bundle.read_bytes())
        prepared = _in_machine(nation, PREPARE)
        assert prepared.returncode == 0, prepared.stdout
        yield nation
    finally:
        fleets.down(nation.fleet, [], print)


def _in_machine(nation: Nation, script: str) -> subprocess.CompletedProcess[str]:
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    certificates = (f"PIP_CERT={bundle}", f"SSL_CERT_FILE={bundle}")
    script = f"exec 2>&1; cd /root; {script}"
    return nation.in_host("machine", "env", *certificates, "sh", "-c", script, seconds=1800)


def test_a_fleet_lives_and_goes_on_such_a_machine(machine: Nation) -> None:
    done = _in_machine(
        machine,
        """
        set -e
        cd repository
        .venv/bin/bic sandbox up dc1-icat
        .venv/bin/bic sandbox exec dc1-icat -- systemctl is-system-running --wait
        systemctl is-active bic-sandbox-demo-11.service
        .venv/bin/bic sandbox stop dc1-icat
        .venv/bin/bic sandbox start dc1-icat
        .venv/bin/bic sandbox reset dc1-icat new
        .venv/bin/bic sandbox down
        echo "left: $(ls /sys/class/net | grep -c -e bic- -e vb- || true)"
        """,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("running\n") == 1
    assert "active\n" in done.stdout
    assert done.stdout.rstrip().endswith("left: 0")
