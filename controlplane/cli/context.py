"""What every command knows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from controlplane.model import Platform

LOCK_PATIENCE = 60.0
"""Seconds that a command waits for the lock of the platform; a sync, which comes by itself, ends sooner."""


@dataclass(frozen=True)
class Context:
    """The global options of `bic`."""

    inventory: Path
    """The inventory's folder."""

    def load(self) -> Platform:
        """The inventory as a platform.

        Raises InventoryError, which `main` prints with exit code 2.
        """
        from controlplane.model import load_platform

        return load_platform(self.inventory)
