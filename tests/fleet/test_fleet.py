"""The fleet by itself: hosts that boot, lose power, lose the network, and leave nothing behind."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from nation import BIN, REPOSITORY, Nation, copy_inventory, environment_for
from sandbox_inventory import leave_zones

from sandbox.fleet import fleet as fleets
from sandbox.fleet import host as hosts
from sandbox.fleet import processes
from sandbox.fleet.spec import SandboxError

TWO = ["dc1-icat", "dc2-irods"]


def _small_nation(folder: Path, fleet: str, addresses: str) -> Nation:
    inventory = copy_inventory(folder, fleet, addresses)
    # Without a login server no world of institutions has to be there.
    leave_zones(inventory)
    return Nation(inventory, environment_for(inventory, folder / "state"))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nation]:
    """Two hosts of a fleet of their own."""
    nation = _small_nation(tmp_path_factory.mktemp("small"), "ftest", "10.76.0")
    fleets.down(nation.fleet, [], print)
    try:
        assert nation.bic("sandbox", "up", *TWO).code == 0
        yield nation
    finally:
        fleets.down(nation.fleet, [], print)


def _exec(nation: Nation, host: str, *words: str) -> str:
    done = nation.bic("sandbox", "exec", host, "--", *words)
    assert done.code == 0, done.output
    return done.output


def _reaches(nation: Nation, host: str, address: str) -> bool:
    script = f"import socket; socket.create_connection(('{address}', 22), timeout=2).recv(4)"
    return nation.bic("sandbox", "exec", host, "--", "python3", "-c", script).code == 0


def test_hosts_run_systemd_and_have_their_own_identity(small: Nation) -> None:
    for host in TWO:
        assert _exec(small, host, "cat", "/proc/1/comm").strip() == "systemd"
        assert _exec(small, host, "hostname").strip() == host
        assert _exec(small, host, "systemctl", "is-system-running", "--wait").strip() == "running"
    machine_ids = {_exec(small, host, "cat", "/etc/machine-id") for host in TWO}
    host_keys = {_exec(small, host, "cat", "/etc/ssh/ssh_host_ed25519_key.pub") for host in TWO}
    assert len(machine_ids) == len(host_keys) == len(TWO)


def test_hosts_reach_each_other_until_one_is_cut_and_again_when_it_is_mended(small: Nation) -> None:
    address = small.address(TWO[0])
    assert _reaches(small, TWO[1], address)
    assert small.bic("sandbox", "cut", TWO[0]).code == 0
    assert "cut" in small.bic("sandbox", "status").output
    assert not _reaches(small, TWO[1], address)
    assert _exec(small, TWO[0], "hostname").strip() == TWO[0], "a host that is cut still runs"
    assert small.bic("sandbox", "mend", TWO[0]).code == 0
    assert _reaches(small, TWO[1], address)


def test_power_loss_keeps_the_disk_and_ends_every_process(small: Nation) -> None:
    _exec(small, TWO[0], "sh", "-c", "echo kept >/root/kept")
    target = small.fleet.host(TWO[0])
    leader = hosts.leader(small.fleet, target)
    assert small.bic("sandbox", "stop", TWO[0]).code == 0
    assert not processes.alive(leader)
    refused = small.bic("sandbox", "exec", TWO[0], "--", "true")
    assert refused.code == 1
    assert "is off" in refused.output
    assert small.bic("sandbox", "start", TWO[0]).code == 0
    assert _exec(small, TWO[0], "cat", "/root/kept").strip() == "kept"


def test_the_gateway_keeps_its_hardware_address_when_hosts_go(small: Nation) -> None:
    address = Path(f"/sys/class/net/{small.fleet.bridge}/address")
    before = address.read_text()
    for name in TWO:
        assert small.bic("sandbox", "stop", name).code == 0
        assert address.read_text() == before
        assert small.bic("sandbox", "start", name).code == 0


def test_ansible_reaches_a_host_right_after_a_loss_of_power(small: Nation) -> None:
    # Ansible's own strategy keeps connections between its runs.
    own = ("env", "-u", "ANSIBLE_STRATEGY", BIN / "ansible")
    ping = (*own, "-i", small.inventory / "platform.yml", TWO[0], "-m", "ansible.builtin.ping")
    kept = small.fleet.folder / "ssh" / small.address(TWO[0])
    assert small.run(*ping).code == 0
    assert kept.exists()
    assert small.bic("sandbox", "stop", TWO[0]).code == 0
    assert not kept.exists()
    assert small.bic("sandbox", "start", TWO[0]).code == 0
    assert small.run(*ping).code == 0


def test_reset_returns_to_the_snapshot(small: Nation) -> None:
    _exec(small, TWO[0], "sh", "-c", "echo one >/root/state")
    assert small.bic("sandbox", "snapshot", TWO[0], "one").code == 0
    _exec(small, TWO[0], "sh", "-c", "echo two >/root/state; touch /root/later; rm /etc/hostname")
    begun = time.monotonic()
    assert small.bic("sandbox", "reset", TWO[0], "one").code == 0
    print(f"reset took {time.monotonic() - begun:.2f} s")
    hosts.wait_for_ssh(small.fleet, small.fleet.host(TWO[0]))
    assert _exec(small, TWO[0], "cat", "/root/state").strip() == "one"
    assert _exec(small, TWO[0], "cat", "/etc/hostname").strip() == TWO[0]
    assert small.bic("sandbox", "exec", TWO[0], "--", "test", "-e", "/root/later").code == 1
    unknown = small.bic("sandbox", "reset", TWO[0], "nosuch")
    assert unknown.code == 1
    assert "no snapshot 'nosuch'" in unknown.output


def test_a_host_whose_supervisor_was_killed_is_still_stopped_whole(small: Nation) -> None:
    target = small.fleet.host(TWO[1])
    leader = hosts.leader(small.fleet, target)
    root = hosts.folder(small.fleet, target) / "root"
    for pid in processes.with_argument("systemd-nspawn", f"--directory={root}"):
        os.kill(pid, signal.SIGKILL)
    assert small.bic("sandbox", "stop", TWO[1]).code == 0
    assert not processes.alive(leader)
    assert small.bic("sandbox", "start", TWO[1]).code == 0


def test_two_fleets_live_side_by_side_and_one_goes_without_the_other(small: Nation, tmp_path: Path) -> None:
    other = _small_nation(tmp_path, "ftest2", "10.75.0")
    try:
        assert other.bic("sandbox", "up", TWO[0]).code == 0
        assert _exec(other, TWO[0], "hostname").strip() == TWO[0]
        assert other.bic("sandbox", "down").code == 0
        assert fleets.leftovers(other.fleet) == []
        assert _exec(small, TWO[1], "hostname").strip() == TWO[1]
    finally:
        fleets.down(other.fleet, [], print)


@pytest.mark.parametrize("point", ["making", "booting"])
def test_a_killed_up_is_finished_by_the_next_and_removed_by_down(tmp_path: Path, point: str) -> None:
    nation = _small_nation(tmp_path, "ftest3", "10.74.0")
    try:
        killed = nation.run(BIN / "bic", "sandbox", "up", TWO[0], until=point)
        assert killed.killed_at == point
        assert nation.bic("sandbox", "up", TWO[0]).code == 0
        assert _exec(nation, TWO[0], "hostname").strip() == TWO[0]
        killed = nation.run(BIN / "bic", "sandbox", "up", TWO[1], until=point)
        assert killed.killed_at == point
    finally:
        fleets.down(nation.fleet, [], print)
    assert fleets.leftovers(nation.fleet) == []


def test_a_bridge_of_somebody_else_is_refused_and_stays(tmp_path: Path) -> None:
    nation = _small_nation(tmp_path, "ftest4", "10.73.0")
    bridge = nation.fleet.bridge
    subprocess.run(["ip", "link", "add", bridge, "type", "bridge"], check=True)
    try:
        done = nation.bic("sandbox", "up", TWO[0])
        assert done.code == 2
        assert f"an interface {bridge} exists that the sandbox did not make" in done.output
        with pytest.raises(SandboxError):
            fleets.down(nation.fleet, [], print)
        links = json.loads(subprocess.run(["ip", "-json", "link"], capture_output=True, check=True).stdout)
        assert bridge in [link["ifname"] for link in links]
    finally:
        subprocess.run(["ip", "link", "delete", bridge], check=True)


@pytest.mark.parametrize(
    ("prefix", "message"),
    [
        (["setpriv", "--reuid=65534", "--clear-groups"], "the sandbox needs root"),
        (["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"], "cannot mount overlayfs"),
        (["env", "PATH=/nonexistent"], "apt-get install"),
    ],
)
def test_a_machine_that_cannot_run_a_fleet_gets_one_clear_message(prefix: list[str], message: str) -> None:
    for verb in ("check", "demo"):
        words = [*prefix, BIN / "python", BIN / "bic", "sandbox", verb]
        done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert done.returncode == 2, done.stderr
        assert done.stdout == ""
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def test_removing_what_is_not_there_is_fine(tmp_path: Path) -> None:
    nation = _small_nation(tmp_path, "ftest6", "10.69.0")
    for words in ((), (TWO[0],)):
        assert nation.bic("sandbox", "down", *words).code == 0
    assert fleets.leftovers(nation.fleet) == []


def test_a_broken_inventory_stops_the_demo_before_anything_is_made(tmp_path: Path) -> None:
    nation = _small_nation(tmp_path, "ftest5", "10.72.0")
    fleet = nation.fleet
    facility = nation.inventory / "facilities" / "nantes.yml"
    facility.write_text(facility.read_text().replace("data_centre: dc1", "data_centre: dc9"))
    done = nation.run("make", "demo")
    assert done.code == 2
    assert f"{facility}:6:14: " in done.output
    assert "dc9" in done.output
    assert "Traceback" not in done.output
    assert fleets.leftovers(fleet) == []
    assert not (tmp_path / "state").exists()
