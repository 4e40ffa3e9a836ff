"""The inventory as typed, immutable objects.

`load_platform` reads a folder, checks it as a whole and returns a `Platform`, or raises an
`InventoryError` that names every problem with its file, line and column.
"""

from controlplane.model.digest import inventory_digest
from controlplane.model.facility import (
    Facility,
    Group,
    HpcMount,
    Instrument,
    Member,
    Person,
    Quota,
    StorageResource,
    Team,
)
from controlplane.model.load import load_platform
from controlplane.model.platform import (
    BufferAccess,
    Host,
    Identity,
    Limits,
    OmeroServer,
    Platform,
    Portal,
    RemoteZone,
    RetentionRule,
    RuleBaseUse,
    Rules,
    Zone,
)
from controlplane.model.problems import InventoryError, Problem
from controlplane.model.sizes import format_size, parse_size

__all__ = [
    "BufferAccess",
    "Facility",
    "Group",
    "Host",
    "HpcMount",
    "Identity",
    "Instrument",
    "InventoryError",
    "Limits",
    "Member",
    "OmeroServer",
    "Person",
    "Platform",
    "Portal",
    "Problem",
    "Quota",
    "RemoteZone",
    "RetentionRule",
    "RuleBaseUse",
    "Rules",
    "StorageResource",
    "Team",
    "Zone",
    "format_size",
    "inventory_digest",
    "load_platform",
    "parse_size",
]
