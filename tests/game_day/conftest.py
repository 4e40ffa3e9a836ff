"""The nation that has the game day."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "harness"))

from game_day import MONITOR, GameDay
from nation import Nation, copy_inventory, environment_for, require_fleet

from sandbox.fleet import fleet as fleets


@pytest.fixture(scope="session")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GameDay]:
    """A nation of its own, which has had its backups and the proof that they can be restored."""
    require_fleet()
    folder = tmp_path_factory.mktemp("game-day")
    inventory = copy_inventory(folder, "gameday", "10.83.0")
    environment = environment_for(inventory, folder / "state")
    nation = Nation(inventory, environment)
    with pytest.MonkeyPatch.context() as patch:
        # The state folder is read when the inventory is loaded, in this process too.
        patch.setenv("BIC_STATE_DIR", environment["BIC_STATE_DIR"])
        fleets.down(nation.fleet, [], print)
        try:
            demo = nation.run("make", "demo")
            assert demo.code == 0, demo.output[-8000:]
            day = GameDay(nation, folder)
            for name in ("ICAT", "bic", "authentik"):
                for unit in ("postgresql-backup", "postgresql-restore-drill"):
                    day.inside("dc1-icat", f"systemctl start {unit}@{name}")
            for unit in ("authentik-backup", "authentik-restore-drill"):
                day.inside("dc1-idp", f"systemctl start {unit}")
            day.inside(MONITOR, "systemctl start bic-free-space")
            assert day.quiet(240) is not None, (day.told(), day.causes())
            yield day
            print(day.table())
        finally:
            fleets.down(nation.fleet, [], print)
