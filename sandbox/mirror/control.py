"""Starting and stopping a fleet's mirror."""

from __future__ import annotations

from pathlib import Path

from sandbox.fleet.background import Program
from sandbox.fleet.spec import MIRROR_PORT, FleetSpec, sandbox_root

_SERVED = ("irods", "authentik", "grafana", "omero", "wheels")


def folder(fleet: FleetSpec, prefix: str) -> Path:
    """Folder that the fleet's mirror serves under `/PREFIX/`."""
    return fleet.folder / "mirror" / prefix


def program(fleet: FleetSpec) -> Program:
    """The mirror of the fleet."""
    return Program(
        title="artifact mirror",
        module="sandbox.mirror.server",
        url=f"{fleet.mirror_url}/wheels/",
        log=fleet.folder / "mirror.log",
    )


def pids(fleet: FleetSpec) -> list[int]:
    """Process ids of the fleet's mirror: one, or none."""
    return program(fleet).pids(fleet)


def start(fleet: FleetSpec) -> None:
    """Start the mirror and wait until it answers; one that runs already stays.

    Raises `SandboxError` with its last words when it does not answer.
    """
    folder(fleet, "wheels").mkdir(parents=True, exist_ok=True)
    arguments = ["--listen", f"{fleet.gateway}:{MIRROR_PORT}"]
    arguments += ["--cache", str(sandbox_root() / "cache" / "packages")]
    arguments += [word for prefix in _SERVED for word in ("--serve", f"{prefix}={folder(fleet, prefix)}")]
    program(fleet).start(fleet, arguments)


def stop(fleet: FleetSpec) -> None:
    """End the mirror; none is fine."""
    program(fleet).stop(fleet)
