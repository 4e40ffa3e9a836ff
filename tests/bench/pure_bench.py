"""The pure part of a plan at the size of a million people: seconds and peak memory of each phase."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from table import Results, Target

from controlplane.generate.nation import Nation, default_teams, files
from controlplane.generate.write import write_inventory

PEOPLE_PER_FACILITY = 8000 / 30
MAX_SECONDS = 60.0
MAX_MIB = 4096.0

T = TypeVar("T")


def measure(people: int, results: Results) -> None:
    """Load, compile and diff an inventory of that many people in a process of its own."""
    facilities = max(1, round(people / PEOPLE_PER_FACILITY))
    with tempfile.TemporaryDirectory(prefix="bic-bench-") as folder:
        inventory = Path(folder) / "inventory"
        begun, before = time.monotonic(), time.process_time()
        write_inventory(inventory, files(Nation(facilities, people, default_teams(facilities, people))))
        seconds, cpu = time.monotonic() - begun, time.process_time() - before
        results.phases.append(
            {"phase": "generate", "people": people, "seconds": seconds, "cpu": cpu, "peak_mib": 0}
        )
        answer = subprocess.run(
            [sys.executable, __file__, str(inventory)], check=True, stdout=subprocess.PIPE, text=True
        )
    phases = json.loads(answer.stdout)
    results.phases.extend({"people": people, **phase} for phase in phases)
    seconds = sum(phase["seconds"] for phase in phases)
    peak = max(phase["peak_mib"] for phase in phases)
    results.targets += [
        Target(
            f"load, compile and diff {people:,} people",
            f"at most {MAX_SECONDS:.0f} s",
            f"{seconds:.1f} s",
            seconds <= MAX_SECONDS,
        ),
        Target("their peak memory", f"at most {MAX_MIB:,.0f} MiB", f"{peak:,.0f} MiB", peak <= MAX_MIB),
    ]


def _peak_mib() -> float:
    # Not getrusage: that remembers the process which started this one.
    status = Path("/proc/self/status").read_text("ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def main(inventory: Path) -> None:
    """Go through the phases and print them as JSON; what is imported is not counted."""
    from controlplane.model import load_platform
    from controlplane.state import make_plan
    from controlplane.systems.irods.desired import desired_state

    phases = []

    def phase(name: str, work: Callable[[], T]) -> T:
        begun, before = time.monotonic(), time.process_time()
        result = work()
        seconds, cpu = time.monotonic() - begun, time.process_time() - before
        phases.append({"phase": name, "seconds": seconds, "cpu": cpu, "peak_mib": _peak_mib()})
        return result

    platform = phase("load", lambda: load_platform(inventory))
    (zone,) = platform.zones.values()
    desired = phase("compile", lambda: desired_state(platform, zone))
    # What is compared is another state with the same contents, as an observation is.
    observed = phase("compile the other side", lambda: desired_state(platform, zone))
    plan = phase("diff", lambda: make_plan("irods", desired, observed))
    assert not plan.changes
    json.dump(phases, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
