"""The inventory as typed, immutable objects.

`load_platform` reads a folder, checks it as a whole and returns a `Platform`, or raises an
`InventoryError` that names every problem with its file, line and column.
"""

from controlplane.model.load import load_platform
from controlplane.model.platform import Facility, Group, Host, Platform, StorageResource, Team, Zone
from controlplane.model.problems import InventoryError, Problem

__all__ = [
    "Facility",
    "Group",
    "Host",
    "InventoryError",
    "Platform",
    "Problem",
    "StorageResource",
    "Team",
    "Zone",
    "load_platform",
]
