"""The nation that the integration tests share, deployed once by demo runs that were killed."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "harness"))

from nation import FLEET, KILL_POINTS, NETWORK, Nation, copy_inventory, environment_for, require_fleet

from sandbox.fleet import fleet as fleets


@pytest.fixture(scope="session", autouse=True)
def _fleet_possible() -> None:
    require_fleet()


@pytest.fixture(scope="session")
def nation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nation]:
    """A nation deployed by `make demo`, which was killed at several points before it was left alone."""
    folder = tmp_path_factory.mktemp("nation")
    inventory = copy_inventory(folder, FLEET, NETWORK)
    environment = environment_for(inventory, folder / "state")
    # The state folder is read when the inventory is loaded, in this process too.
    os.environ["BIC_STATE_DIR"] = environment["BIC_STATE_DIR"]
    nation = Nation(inventory, environment)
    fleets.down(nation.fleet, [], print)
    try:
        first, *others = KILL_POINTS
        nation.killed.append(nation.run("make", "demo", until=first))
        nation.bic("sandbox", "up")
        nation.check = nation.ansible("--check")
        nation.killed += [nation.run("make", "demo", until=point) for point in others]
        nation.demo = nation.run("make", "demo")
        nation.again = nation.run("make", "demo")
        yield nation
    finally:
        fleets.down(nation.fleet, [], print)
        del os.environ["BIC_STATE_DIR"]
