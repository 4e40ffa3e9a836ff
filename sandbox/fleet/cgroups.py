"""A control group for each host, where no systemd of this machine makes one.

Without it all hosts would share one group, and the systemd of one would remove the groups of another's
services.
"""

from __future__ import annotations

import errno
import time
from pathlib import Path

from sandbox.fleet.spec import FleetSpec, HostSpec, SandboxError


def _hierarchies() -> list[Path]:
    """Mount points of the hierarchies in which systemd keeps services: version 2, and version 1's own."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        kind, _, options = rest.split(" ", 2)
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
            found.append(Path(fields.split()[4]))
    return found


def _folders(fleet: FleetSpec, host: HostSpec) -> list[Path]:
    return [hierarchy / fleet.bridge / host.machine for hierarchy in _hierarchies()]


def wrapped(fleet: FleetSpec, host: HostSpec, command: list[str]) -> list[str]:
    """The command that runs `command` in the host's own control groups, which are made if need be."""
    files = []
    for folder in _folders(fleet, host):
        folder.mkdir(parents=True, exist_ok=True)
        files.append(str(folder / "cgroup.procs"))
    enter = (
        'n=$1; shift; while [ "$n" -gt 0 ]; do echo $$ >"$1" || exit; shift; n=$((n - 1)); done; exec "$@"'
    )
    return ["sh", "-c", enter, "sh", str(len(files)), *files, *command]


def remove(fleet: FleetSpec, host: HostSpec, deadline: float = 10) -> None:
    """Remove the control groups of a host that is off.

    The kernel lets go of them some time after their last process; raises `SandboxError` when it still has
    not after `deadline` seconds.
    """
    until = time.monotonic() + deadline
    for folder in _folders(fleet, host):
        while folder.is_dir():
            try:
                for inner in sorted(folder.rglob("*/"), reverse=True):
                    inner.rmdir()
                folder.rmdir()
            except OSError as error:
                if error.errno != errno.EBUSY or time.monotonic() > until:
                    raise SandboxError(f"the control group {folder} of {host.name} stays: {error}") from error
                time.sleep(0.02)
        if folder.parent.is_dir() and not any(path.is_dir() for path in folder.parent.iterdir()):
            folder.parent.rmdir()
