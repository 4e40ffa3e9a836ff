"""One host: making it, booting it, cutting its power, and running commands in it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from sandbox.fleet import cgroups, network, processes
from sandbox.fleet.disk import Disk
from sandbox.fleet.spec import FleetSpec, HostSpec, SandboxError, sandbox_root
from sandbox.fleet.system import run, succeeds, write_atomically

#: Seconds that a host may take until its SSH server answers.
BOOT_DEADLINE = 60

_NSPAWN = "systemd-nspawn"


def folder(fleet: FleetSpec, host: HostSpec) -> Path:
    """Folder of a host's disk and console."""
    return fleet.folder / "hosts" / host.name


def exists(fleet: FleetSpec, host: HostSpec) -> bool:
    """Tell whether the host has been made."""
    return (folder(fleet, host) / "disk.json").exists()


def ssh_key() -> Path:
    """Private key that every host of the sandbox accepts for root; made at the first call."""
    return make_key(sandbox_root() / "ssh" / "id_ed25519", "bic-sandbox")


def make_key(key: Path, comment: str) -> Path:
    """The private SSH key in a file, its public one beside it; made when it is not there."""
    if not key.exists():
        key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = key.with_name(f"new-{os.getpid()}")
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", temporary])
        temporary.with_suffix(".pub").rename(key.with_suffix(".pub"))
        temporary.rename(key)
    return key


def create(fleet: FleetSpec, host: HostSpec, image: Path) -> Disk:
    """Make a host's disk with its identity: name, address, host keys, and whom it lets in."""
    place = folder(fleet, host)
    if place.exists():
        # Without `disk.json` this is what a killed creation left.
        shutil.rmtree(place)
    place.mkdir(parents=True)
    top = place / "identity"
    for name in ("etc/systemd/network", "etc/ssh", "etc/apt/apt.conf.d", "root/.ssh"):
        (top / name).mkdir(parents=True)
    (top / "root/.ssh").chmod(0o700)
    (top / "root").chmod(0o700)
    (top / "etc/hostname").write_text(f"{host.name}\n")
    (top / "etc/hosts").write_text(
        "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
        f"{host.address} {host.fqdn} {host.name}\n"
    )
    (top / "etc/machine-id").write_text(f"{uuid.uuid4().hex}\n")
    # The name sorts before 80-container-host0.network, which would ask for DHCP.
    (top / "etc/systemd/network/10-host0.network").write_text(
        f"[Match]\nName=host0\n\n[Network]\nAddress={host.address}/{fleet.network.prefixlen}\n"
        f"Gateway={fleet.gateway}\nDHCP=no\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
    )
    (top / "etc/apt/apt.conf.d/90bic-sandbox").write_text(
        # The mirror's own repositories are not for its cache: they change under the same names.
        f'Acquire::http::Proxy "{fleet.mirror_url}";\nAcquire::http::Proxy::{fleet.gateway} "DIRECT";\n'
        'Acquire::https::Proxy "DIRECT";\n'
    )
    shutil.copy("/etc/resolv.conf", top / "etc/resolv.conf")
    for kind in ("ed25519", "ecdsa"):
        key = top / f"etc/ssh/ssh_host_{kind}_key"
        run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", host.fqdn, "-f", key])
    shutil.copy(ssh_key().with_suffix(".pub"), top / "root/.ssh/authorized_keys")
    (top / "root/.ssh/authorized_keys").chmod(0o600)
    disk = Disk.create(place, image)
    # The identity goes through the mount, so the overlay sees ordinary files in the top layer.
    disk.mount()
    try:
        run(["cp", "-a", f"{top}/.", disk.root])
    finally:
        disk.unmount()
    write_atomically(place / "known_host", _known_host(host, top))
    shutil.rmtree(top)
    disk.snapshot("new")
    return disk


def _known_host(host: HostSpec, top: Path) -> str:
    lines = []
    for path in sorted((top / "etc/ssh").glob("*.pub")):
        kind, key = path.read_text().split()[:2]
        lines.append(f"{host.address},{host.name},{host.fqdn} {kind} {key}\n")
    return "".join(lines)


def _end_kept_connection(fleet: FleetSpec, host: HostSpec) -> None:
    """End the SSH connection that Ansible keeps for its next run.

    Across a loss of power it would be dead without knowing it, and the next run would find the host
    unreachable.
    """
    control = fleet.folder / "ssh" / str(host.address)
    if control.exists():
        # A socket whose process is gone already only has to be removed.
        succeeds(["ssh", "-o", f"ControlPath={control}", "-O", "exit", str(host.address)])
        control.unlink(missing_ok=True)


def write_known_hosts(fleet: FleetSpec) -> None:
    """Collect the hosts' public keys in the fleet's `known_hosts`, for strict checking by SSH."""
    parts = [path.read_text() for path in sorted((fleet.folder / "hosts").glob("*/known_host"))]
    write_atomically(fleet.folder / "known_hosts", "".join(parts))


def _nspawn(disk: Disk) -> list[int]:
    return processes.with_argument(_NSPAWN, f"--directory={disk.root}")


def _disk(fleet: FleetSpec, host: HostSpec) -> Disk:
    disk = Disk.load(folder(fleet, host))
    if disk is None:
        raise SandboxError(f"{host.name} does not exist: `bic sandbox up {host.name}` makes it")
    return disk


def running(fleet: FleetSpec, host: HostSpec) -> bool:
    """Tell whether the host is powered on."""
    disk = Disk.load(folder(fleet, host))
    return disk is not None and bool(_nspawn(disk))


def start(fleet: FleetSpec, host: HostSpec) -> None:
    """Power a host on and return at once; a host that is on stays on. See `wait_for_ssh`."""
    disk = _disk(fleet, host)
    if _nspawn(disk):
        return
    network.unplug(host)
    disk.mount()
    command = [
        _NSPAWN,
        "--quiet",
        f"--directory={disk.root}",
        f"--machine={host.machine}",
        f"--hostname={host.name}",
        "--register=no",
        "--keep-unit",
        f"--network-bridge={fleet.bridge}",
        "--resolv-conf=off",
        "--boot",
    ]
    console_path = folder(fleet, host) / "console.log"
    if Path("/run/systemd/system").is_dir():
        # A unit of its own: the host must outlive the shell that started it, and needs a cgroup subtree
        # that systemd leaves to it.
        unit = ["systemd-run", "--quiet", "--collect", f"--unit=bic-sandbox-{host.machine}"]
        properties = ["Delegate=yes", "KillMode=mixed", f"StandardOutput=append:{console_path}"]
        command = [*unit, *(f"--property={item}" for item in properties), *command]
    else:
        command = cgroups.wrapped(fleet, host, command)
    with console_path.open("ab") as console:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True
        )
    # A busy machine takes a moment until the supervisor runs; systemd-run ends well before the host does.
    until = time.monotonic() + BOOT_DEADLINE
    while not _nspawn(disk):
        if process.poll() or time.monotonic() > until:
            raise SandboxError(f"{host.name} did not start:\n{console_tail(fleet, host)}")
        time.sleep(0.02)


def wait_for_ssh(fleet: FleetSpec, host: HostSpec, deadline: float = BOOT_DEADLINE) -> None:
    """Wait until the host's SSH server sends its banner.

    Raises `SandboxError` with the end of the console when that takes more than `deadline` seconds.
    """
    until = time.monotonic() + deadline
    while time.monotonic() < until:
        try:
            with socket.create_connection((str(host.address), 22), timeout=1) as connection:
                if connection.recv(4) == b"SSH-":
                    return
        except OSError:
            if not running(fleet, host):
                break
        time.sleep(0.05)
    raise SandboxError(
        f"{host.name} does not answer on SSH; the end of its console:\n{console_tail(fleet, host)}"
    )


def console_tail(fleet: FleetSpec, host: HostSpec, lines: int = 15) -> str:
    """The last lines that the host printed on its console."""
    path = folder(fleet, host) / "console.log"
    if not path.exists():
        return "(its console is empty)"
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def stop(fleet: FleetSpec, host: HostSpec) -> None:
    """Cut a host's power: nothing in it gets a chance to shut down. A host that is off stays off."""
    disk = Disk.load(folder(fleet, host))
    if disk is None:
        return
    _end_kept_connection(fleet, host)
    # The supervisor alone is not enough: the host's PID 1 can outlive it.
    inhabitants = processes.living_on(disk.root) if disk.mounted() else []
    processes.kill([*_nspawn(disk), *inhabitants])
    network.unplug(host)
    cgroups.remove(fleet, host)
    disk.unmount()


def remove(fleet: FleetSpec, host: HostSpec) -> None:
    """Cut the power and delete the host with its disk."""
    stop(fleet, host)
    place = folder(fleet, host)
    if place.exists():
        shutil.rmtree(place)


def snapshot(fleet: FleetSpec, host: HostSpec, name: str) -> None:
    """Keep the host's disk as it is now under a name; a running host loses power and boots again."""
    _offline(fleet, host, lambda disk: disk.snapshot(name))


def reset(fleet: FleetSpec, host: HostSpec, name: str) -> None:
    """Return the host's disk to a snapshot; a running host loses power and boots again."""
    _offline(fleet, host, lambda disk: disk.reset(name))


def _offline(fleet: FleetSpec, host: HostSpec, change: Callable[[Disk], None]) -> None:
    was_running = running(fleet, host)
    stop(fleet, host)
    change(_disk(fleet, host))
    if was_running:
        start(fleet, host)


def leader(fleet: FleetSpec, host: HostSpec) -> int:
    """Process id, on this machine, of the host's PID 1; raises `SandboxError` when it is off."""
    supervisors = _nspawn(_disk(fleet, host))
    inner = [child for supervisor in supervisors for child in processes.children(supervisor)]
    if not inner:
        raise SandboxError(f"{host.name} is off: `bic sandbox start {host.name}`")
    return inner[0]


def command_in(fleet: FleetSpec, host: HostSpec, words: Sequence[str]) -> list[str]:
    """The command that runs `words` as root inside the host, network or not."""
    environment = ["env", "-i", "HOME=/root", "LANG=C.UTF-8", f"TERM={os.environ.get('TERM', 'dumb')}"]
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    enter = ["nsenter", f"--target={leader(fleet, host)}", "--mount", "--uts", "--ipc", "--net", "--pid"]
    return [*enter, "--root", "--wd", "--", *environment, path, *words]
