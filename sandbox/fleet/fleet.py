"""The whole fleet: bringing it up, telling how it is, and taking it away."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sandbox.federation import control as outside
from sandbox.fleet import host as hosts
from sandbox.fleet import image, network, prerequisites
from sandbox.fleet.disk import Disk
from sandbox.fleet.spec import FleetSpec, HostSpec, SandboxError, sandbox_root
from sandbox.fleet.system import locked
from sandbox.mirror import artifacts
from sandbox.mirror import control as mirror

Report = Callable[[str], None]

#: Hosts that are made or booted at the same time.
PARALLEL = 4


@dataclass(frozen=True)
class HostStatus:
    """How a host is: `state` is `missing`, `off`, `running` or `cut`."""

    host: HostSpec
    state: str
    snapshots: tuple[str, ...]


def up(fleet: FleetSpec, names: list[str], report: Report) -> None:
    """Bring the named hosts up (all for an empty list), with the network, mirror and outside world they need.

    What exists already stays as it is, so this also repairs a fleet that was left half-made.
    """
    prerequisites.require()
    wanted = fleet.select(names)
    with locked(_lock(fleet)):
        network.up(fleet)
        mirror.start(fleet)
        if fleet.federated:
            outside.start(fleet)
        if fleet.buffer_key:
            hosts.make_key(fleet.buffer_key, f"bic-{fleet.name}")
        with ThreadPoolExecutor() as pool:
            publishing = pool.submit(artifacts.publish, fleet, report)
            root = image.built(report, fleet.mirror_url)
            publishing.result()
        missing = [host for host in wanted if not hosts.exists(fleet, host)]
        off = [host for host in wanted if not hosts.running(fleet, host)]
        if missing:
            report(f"making {len(missing)} hosts: {', '.join(host.name for host in missing)}")
        with ThreadPoolExecutor(PARALLEL) as pool:
            list(pool.map(lambda host: hosts.create(fleet, host, root), missing))
        hosts.write_known_hosts(fleet)
        (fleet.folder / "ssh").mkdir(mode=0o700, exist_ok=True)
        if off:
            report(f"booting {len(off)} hosts")
        with ThreadPoolExecutor(PARALLEL) as pool:
            list(pool.map(lambda host: hosts.start(fleet, host), off))
            list(pool.map(lambda host: hosts.wait_for_ssh(fleet, host), off))
        report(f"{len(wanted)} hosts are up")


def down(fleet: FleetSpec, names: list[str], report: Report) -> None:
    """Remove the named hosts; for an empty list remove the fleet with all that was made for it.

    Hosts that the inventory no longer names are found by their folders. Caches stay.
    """
    with locked(_lock(fleet)):
        chosen = [
            host
            for host in (fleet.select(names) if names else _all_hosts(fleet))
            if hosts.folder(fleet, host).exists()
        ]
        with ThreadPoolExecutor(PARALLEL) as pool:
            list(pool.map(lambda host: hosts.remove(fleet, host), chosen))
        if names and fleet.folder.exists():
            hosts.write_known_hosts(fleet)
        elif not names:
            outside.stop(fleet)
            mirror.stop(fleet)
            network.down(fleet)
            if fleet.folder.exists():
                shutil.rmtree(fleet.folder)
            if not list((sandbox_root() / "fleets").glob("*/hosts")):
                network.restore_sysctls()
        report(f"removed {len(chosen)} hosts{'' if names else f' and fleet {fleet.name}'}")


def _all_hosts(fleet: FleetSpec) -> tuple[HostSpec, ...]:
    """The hosts that the inventory names and those whose folders an earlier inventory left."""
    known = {host.name for host in fleet.hosts}
    left = [
        HostSpec(name=path.name, fqdn=path.name, address=fleet.gateway, machine=path.name)
        for path in sorted((fleet.folder / "hosts").glob("*"))
        if path.name not in known
    ]
    return (*fleet.hosts, *left)


def status(fleet: FleetSpec) -> list[HostStatus]:
    """Tell how each host of the fleet is."""
    return [_status(fleet, host) for host in fleet.hosts]


def _status(fleet: FleetSpec, host: HostSpec) -> HostStatus:
    disk = Disk.load(hosts.folder(fleet, host))
    if disk is None:
        return HostStatus(host, "missing", ())
    snapshots = tuple(disk.snapshots)
    if not hosts.running(fleet, host):
        return HostStatus(host, "off", snapshots)
    return HostStatus(host, "cut" if network.is_cut(host) else "running", snapshots)


def change(fleet: FleetSpec, name: str, action: Callable[[HostSpec], None]) -> None:
    """Do something to one existing host while nobody else changes the fleet."""
    host = fleet.host(name)
    if not hosts.exists(fleet, host):
        raise SandboxError(f"{name} does not exist: `bic sandbox up {name}` makes it")
    with locked(_lock(fleet)):
        action(host)


def _lock(fleet: FleetSpec) -> Path:
    return sandbox_root() / "fleets" / f".{fleet.name}.lock"


def leftovers(fleet: FleetSpec) -> list[str]:
    """What of the fleet is on this machine: for tests, and for a person who wonders."""
    found = [f"host {path.name}" for path in sorted((fleet.folder / "hosts").glob("*"))]
    if network.bridge_is_ours(fleet):
        found.append(f"bridge {fleet.bridge}")
    if network.table_exists(fleet):
        found.append(f"nftables table {fleet.table}")
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    found += [f"mount {line.split()[4]}" for line in mounts if line.split()[4].startswith(f"{fleet.folder}/")]
    found += [f"process {pid} (artifact mirror)" for pid in mirror.pids(fleet)]
    found += [f"process {pid} (outside world)" for pid in outside.pids(fleet)]
    return found
