"""What a zone holds, in numbers that the catalogue itself adds up.

The number of queries depends on the facilities and never on the data. Every replica of a data object counts:
that is what fills the disks.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from irods.column import Column, Criterion, Integer, Like, String
from irods.models import Collection, DataObject, Quota, Resource, RuleExec, User

from controlplane.model import StorageResource
from controlplane.systems.irods import calls
from controlplane.systems.irods.client import Client

# Columns that the client library does not name, or whose times it would turn into objects.
_DUE = Column(String, "RULE_EXEC_TIME", 1005)
_QUOTA_GROUP = Column(String, "QUOTA_USER_NAME", 2021)
_ACCOUNTED = Column(String, "QUOTA_USAGE_MODIFY_TIME", 2013)
_QUOTA_USER = Column(Integer, "QUOTA_USAGE_USER_ID", 2010)

STATES: Mapping[str, str] = {
    "0": "stale",
    "1": "good",
    "2": "intermediate",
    "3": "read_locked",
    "4": "write_locked",
}
"""The states of a replica, as the catalogue numbers them."""

Amount = tuple[int, int]
"""Replicas and bytes."""

Amounts = Mapping[tuple[str, str], Amount]
"""By the name of the storage resource and the state."""


@dataclass(frozen=True)
class Queue:
    """The delay queue of a zone."""

    rules: int
    overdue: int
    """Rules whose time has come, those at work included."""
    age: float
    """Seconds for which the first of them has been overdue; 0 when none is."""


@dataclass(frozen=True)
class Limit:
    """A quota and how much of it is used, in bytes, as the latest accounting found."""

    group: str
    storage_resource: str
    """Empty for a limit on all together."""
    limit: int
    usage: int


def counts(client: Client) -> dict[str, int]:
    """How many users, groups and collections the client's zone has. Raises IrodsError."""
    here = User.zone == client.server.zone
    return {
        "users": _count(client, User.id, here, User.type != "rodsgroup"),
        "groups": _count(client, User.id, here, User.type == "rodsgroup"),
        "collections": _count(client, Collection.id),
    }


def held(client: Client, *where: Criterion) -> Amounts:
    """What storage resources hold of the data objects that conditions pick. Raises IrodsError."""
    by = (DataObject.resource_name, DataObject.replica_status)
    found = client.call(lambda session: calls.amounts(session, by, *where))
    return {(name, STATES.get(state, "unknown")): amount for (name, state), amount in found.items()}


def with_empty(held: Amounts, storage: Iterable[StorageResource]) -> Amounts:
    """Those amounts, and 0 for good and stale replicas where a storage resource has none.

    Without it nothing would tell what is empty from what is not measured.
    """
    places = [resource.name for resource in storage if resource.host is not None]
    return {(name, state): (0, 0) for name in places for state in ("good", "stale")} | dict(held)


def held_by(client: Client, facilities: Iterable[str]) -> dict[str, Amounts]:
    """What each facility holds: in its home collection, below it, and in its teams' homes.

    Raises IrodsError.
    """
    prefixes = {name: f"/{client.server.zone}/home/{name}" for name in facilities}
    homes = {
        name: [
            held(client, Collection.name == home),
            held(client, Like(Collection.name, f"{home}/%")),
            held(client, Like(Collection.name, f"{home}-%")),
        ]
        for name, home in prefixes.items()
    }
    return facility_totals(homes)


def facility_totals(homes: Mapping[str, Sequence[Amounts]]) -> dict[str, Amounts]:
    """What each facility holds, from what is under its prefixes.

    The prefix of the facility `a` also covers the homes of a facility `a-b`, which is not one of its teams,
    so what that one holds is taken off.
    """
    totals: dict[str, Amounts] = {}
    for facility in sorted(homes, key=len, reverse=True):
        others = [held for other, held in totals.items() if other.startswith(f"{facility}-")]
        totals[facility] = _sum(homes[facility], others)
    return dict(sorted(totals.items()))


def _sum(added: Iterable[Amounts], taken_off: Iterable[Amounts]) -> Amounts:
    objects: defaultdict[tuple[str, str], int] = defaultdict(int)
    size: defaultdict[tuple[str, str], int] = defaultdict(int)
    for sign, some in ((1, added), (-1, taken_off)):
        for amounts in some:
            for key, (number, length) in amounts.items():
                objects[key] += sign * number
                size[key] += sign * length
    return {key: (objects[key], size[key]) for key in objects if objects[key] or size[key]}


def missing(storage: Iterable[StorageResource], amounts: Amounts) -> dict[str, int]:
    """How many replicas each child of a storage resource of kind `replication` lacks.

    Each of them has a replica of every data object, so one that has fewer than another lacks at least the
    difference; only where each lacks others than the next, more are missing than this tells.
    """
    known = {resource.name: resource for resource in storage}
    replicas: defaultdict[str, int] = defaultdict(int)
    for (name, _), (number, _) in amounts.items():
        # Its own, and those of whatever it is below.
        current: str | None = name
        while current is not None and current in known:
            replicas[current] += number
            current = known[current].parent
    found: dict[str, int] = {}
    for parent in known.values():
        if parent.kind == "replication":
            children = [child.name for child in known.values() if child.parent == parent.name]
            most = max((replicas[child] for child in children), default=0)
            found |= {child: most - replicas[child] for child in children}
    return found


def delay_queue(client: Client, now: float | None = None) -> Queue:
    """The delay queue, as of now. Raises IrodsError."""
    now = time.time() if now is None else now
    number = _count(client, RuleExec.id)
    come = Criterion("<", _DUE, f"{int(now):011d}")
    due, first = client.call(
        lambda session: calls.aggregate(session, {RuleExec.id: calls.COUNT, _DUE: calls.MIN}, come)
    )
    return Queue(number, int(due or 0), max(0.0, now - int(first)) if first else 0.0)


def quotas(client: Client) -> list[Limit]:
    """All quotas with their use, in one query for them and one for storage resources. Raises IrodsError."""
    names = {row[0]: row[1] for row in client.rows(Resource.id, Resource.name)} | {"0": ""}
    rows = client.rows(_QUOTA_GROUP, Quota.resc_id, Quota.limit, Quota.over)
    # What is over is the use minus the limit: negative while there is room.
    return [
        Limit(group, names.get(storage, storage), int(limit), int(limit) + int(over))
        for group, storage, limit, over in rows
    ]


def accounted(client: Client) -> float | None:
    """When the use of quotas was last computed, as Unix time; None when never. Raises IrodsError."""
    number, latest = client.call(
        lambda session: calls.aggregate(session, {_QUOTA_USER: calls.COUNT, _ACCOUNTED: calls.MAX})
    )
    return float(latest) if int(number or 0) else None


def _count(client: Client, column: Column, *where: Criterion) -> int:
    (number,) = client.call(lambda session: calls.aggregate(session, {column: calls.COUNT}, *where))
    return int(number or 0)
