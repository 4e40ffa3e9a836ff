"""What the tests of the scenario have in common."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def secrets(state_dir: Path) -> dict[str, str]:
    """The scenario's secrets by name."""
    return {path.name: path.read_text().strip() for path in (state_dir / "secrets").iterdir()}
