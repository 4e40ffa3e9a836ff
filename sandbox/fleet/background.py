"""Programs that run beside the hosts of a fleet: started, waited for, and found again by their marks."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from sandbox.fleet import processes
from sandbox.fleet.spec import FleetSpec, SandboxError

_START_DEADLINE = 20


@dataclass(frozen=True)
class Program:
    """A module that serves HTTP for one fleet; it is marked by the argument `--fleet=NAME`."""

    title: str
    """What people call it."""
    module: str
    url: str
    """A page that answers 200 when it is ready."""
    log: Path

    def pids(self, fleet: FleetSpec) -> list[int]:
        """Process ids of the program for this fleet: one, or none."""
        python = Path(sys.executable).name
        named = set(processes.with_argument(python, f"--fleet={fleet.name}"))
        return sorted(named & set(processes.with_argument(python, self.module)))

    def start(self, fleet: FleetSpec, arguments: list[str]) -> None:
        """Start it and wait until it answers; one that runs already stays.

        Raises `SandboxError` with its last words when it does not answer.
        """
        if self.pids(fleet) and self._answers():
            return
        self.stop(fleet)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", self.module, f"--fleet={fleet.name}", *arguments]
        with self.log.open("wb") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        until = time.monotonic() + _START_DEADLINE
        while time.monotonic() < until and process.poll() is None:
            if self._answers():
                return
            time.sleep(0.05)
        last_words = self.log.read_text(errors="replace")[-2000:]
        raise SandboxError(f"the {self.title} does not answer on {self.url}:\n{last_words}")

    def stop(self, fleet: FleetSpec) -> None:
        """End it; none is fine."""
        processes.kill(self.pids(fleet))

    def _answers(self) -> bool:
        try:
            return httpx.get(self.url, timeout=5, trust_env=False).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False
