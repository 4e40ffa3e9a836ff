"""Finding and ending processes of the sandbox by their exact command line, never by a broad name."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from sandbox.fleet.spec import SandboxError


def with_argument(program: str, argument: str) -> list[int]:
    """Ids of the processes whose program is called `program` and which were given exactly `argument`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if argument in words[1:] and any(Path(word).name == program for word in words[:3]):
            found.append(int(folder.name))
    return sorted(found)


def children(pid: int) -> list[int]:
    """Ids of the direct children of a process; empty when it is gone."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def living_on(mount: Path) -> list[int]:
    """Ids of the processes whose root file system is the one mounted at `mount`.

    They include a host's PID 1 whose supervisor was killed by somebody else.
    """
    device = mount.stat().st_dev
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "root/.").stat().st_dev == device:
                found.append(int(folder.name))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def alive(pid: int) -> bool:
    """Tell whether a process exists and is more than a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def kill(pids: list[int], deadline: float = 30) -> None:
    """End processes at once and wait until they are gone.

    Raises `SandboxError` when one is still there after `deadline` seconds.
    """
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    until = time.monotonic() + deadline
    while remaining := [pid for pid in pids if alive(pid)]:
        if time.monotonic() > until:
            raise SandboxError(f"processes {remaining} do not end, although they were killed")
        time.sleep(0.02)
