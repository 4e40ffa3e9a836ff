"""Starting and stopping a fleet's mirror."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import httpx

from sandbox.fleet import processes
from sandbox.fleet.spec import MIRROR_PORT, FleetSpec, SandboxError, sandbox_root

_MODULE = "sandbox.mirror.server"
_START_DEADLINE = 20


def folder(fleet: FleetSpec, prefix: str) -> Path:
    """Folder that the fleet's mirror serves under `/PREFIX/`."""
    return fleet.folder / "mirror" / prefix


def pids(fleet: FleetSpec) -> list[int]:
    """Process ids of the fleet's mirror: one, or none."""
    program = Path(sys.executable).name
    named = set(processes.with_argument(program, f"--fleet={fleet.name}"))
    return sorted(named & set(processes.with_argument(program, _MODULE)))


def start(fleet: FleetSpec) -> None:
    """Start the mirror and wait until it answers; one that runs already stays.

    Raises `SandboxError` with its last words when it does not answer.
    """
    if pids(fleet) and _answers(fleet):
        return
    stop(fleet)
    folder(fleet, "wheels").mkdir(parents=True, exist_ok=True)
    log = fleet.folder / "mirror.log"
    command = [sys.executable, "-m", _MODULE, f"--fleet={fleet.name}"]
    command += [
        "--listen",
        f"{fleet.gateway}:{MIRROR_PORT}",
        "--cache",
        str(sandbox_root() / "cache" / "packages"),
    ]
    command += [
        word
        for prefix in ("irods", "authentik", "wheels")
        for word in ("--serve", f"{prefix}={folder(fleet, prefix)}")
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    until = time.monotonic() + _START_DEADLINE
    while time.monotonic() < until and process.poll() is None:
        if _answers(fleet):
            return
        time.sleep(0.05)
    raise SandboxError(
        f"the artifact mirror does not answer on {fleet.mirror_url}:\n{log.read_text()[-2000:]}"
    )


def _answers(fleet: FleetSpec) -> bool:
    try:
        return (
            httpx.get(f"{fleet.mirror_url}/wheels/", timeout=5, trust_env=False).status_code == httpx.codes.OK
        )
    except httpx.TransportError:
        return False


def stop(fleet: FleetSpec) -> None:
    """End the mirror; none is fine."""
    processes.kill(pids(fleet))
