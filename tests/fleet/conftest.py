"""What the tests of the fleet by itself need."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "harness"))

from nation import require_fleet


@pytest.fixture(scope="session", autouse=True)
def _fleet_possible() -> None:
    require_fleet()
