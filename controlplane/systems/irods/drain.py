"""Emptying a storage resource, so that it can be taken out of the zone.

Every good replica on it is copied to another storage resource and then removed; a stale one is removed where
a good one is elsewhere. The servers copy among themselves, and the catalogue is asked anew for each data
object, so a drain can be killed anywhere, run again, and go on beside people who work: what is open for
writing is left, and said.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from irods.models import Collection, DataObject, Resource
from irods.session import iRODSSession

from controlplane.errors import BadInputError
from controlplane.model.problems import suggestion
from controlplane.systems.irods import calls
from controlplane.systems.irods.calls import Row
from controlplane.systems.irods.client import Client, IrodsError

TIMEOUT = 12 * 3600.0
"""Seconds for one answer: copying a data object is one request, however large it is."""

AT_ONCE = 4
"""Data objects that are moved at a time."""

PATIENCE = 60.0
"""Seconds to go on trying while a server may come back."""

PAGE = 500
"""Data objects that are asked for at a time."""

# The states of a replica; all others are those of one that is open for writing.
_STALE, _GOOD = "0", "1"


@dataclass(frozen=True)
class Leaf:
    """A storage resource that holds data."""

    number: str
    name: str
    hierarchy: str
    """Its name after those of all above it, as iRODS writes it."""


@dataclass(frozen=True)
class Left:
    """A data object that could not be moved."""

    path: str
    reason: str


@dataclass
class Drained:
    """What became of the replicas on a storage resource."""

    moved: int = 0
    removed: int = 0
    """Those of which the target, or for stale ones any storage resource, had a good one already."""
    bytes: int = 0
    """The size of what was moved."""
    left: list[Left] = field(default_factory=list)


@dataclass(frozen=True)
class Drain:
    """A drain that can begin."""

    client: Client
    source: Leaf
    target: Leaf
    replicas: int
    bytes: int

    def run(self, progress: Callable[[int, int], None]) -> Drained:
        """Move everything; `progress` is told of each data object that is done. Raises IrodsError."""
        outcome = Drained()
        skipped: set[str] = set()
        done = 0
        with ThreadPoolExecutor(self.client.connections, thread_name_prefix="drain") as workers:
            # Who is done is not listed any more, so the next page is again the first.
            while some := self._page(skipped):
                for row, (kind, reason) in zip(some, workers.map(self._attempt, some), strict=True):
                    number, path, size = row[0], _path(row), int(row[3])
                    if kind == "moved":
                        outcome.moved += 1
                        outcome.bytes += size
                    elif kind == "removed":
                        outcome.removed += 1
                    elif kind == "left":
                        outcome.left.append(Left(path, reason))
                        skipped.add(number)
                    done += 1
                    progress(done, max(done, self.replicas))
        return outcome

    def _page(self, skipped: Iterable[str]) -> list[Row]:
        """Data objects with a replica on the source: number, collection, name and size."""
        without = set(skipped)
        columns = (DataObject.id, Collection.name, DataObject.name, DataObject.size)
        where = (DataObject.resc_id == self.source.number,)
        found = self.client.call(
            lambda session: calls.first_rows(session, columns, where, PAGE + len(without)), patience=PATIENCE
        )
        return [row for row in found if row[0] not in without]

    def _attempt(self, row: Row) -> tuple[str, str]:
        try:
            return self.client.call(
                partial(_move, row=row, source=self.source, target=self.target), patience=PATIENCE
            )
        except IrodsError as error:
            if error.transient:
                raise
            return "left", str(error)


def prepare(client: Client, name: str, to: str) -> Drain:
    """Look at both storage resources, and count what is to be moved.

    Raises BadInputError where they cannot be used, and IrodsError.
    """
    columns = (Resource.id, Resource.name, Resource.location, Resource.status, Resource.parent)
    rows = {row[0]: row for row in client.rows(*columns, patience=PATIENCE)}
    source, _ = _leaf(rows, name)
    target, status = _leaf(rows, to)
    if source == target:
        raise BadInputError(f"{name} cannot be drained to itself; name another storage resource with --to")
    if status == "down":
        raise BadInputError(
            f"the storage resource {to} is down; bring it up in the inventory, or name another"
        )
    above = source.hierarchy.rpartition(";")[0].rpartition(";")[2]
    if above:
        raise BadInputError(
            f"the storage resource {name} is below {above}, through which new data keep coming: take it out "
            f"of the children of {above} in the inventory, run bic apply, and drain it then"
        )
    replicas, size = client.call(
        lambda session: calls.amount(session, DataObject.resc_id == source.number), patience=PATIENCE
    )
    return Drain(client, source, target, replicas, size)


def _leaf(rows: dict[str, Row], name: str) -> tuple[Leaf, str]:
    """A storage resource that holds data, and its status."""
    found = next((row for row in rows.values() if row[1] == name), None)
    leaves = [row[1] for row in rows.values() if row[2] != calls.EMPTY_HOST]
    if found is None:
        raise BadInputError(f"the zone has no storage resource {name!r}; {suggestion(name, leaves)}")
    if found[2] == calls.EMPTY_HOST:
        raise BadInputError(
            f"the storage resource {name} holds no data itself, but coordinates others; name one of those"
        )
    line, above = [name], found[4]
    while above in rows:
        line.insert(0, rows[above][1])
        above = rows[above][4]
    return Leaf(found[0], name, ";".join(line)), found[3]


def _path(row: Row) -> str:
    return f"{row[1]}/{row[2]}"


def _move(session: iRODSSession, row: Row, source: Leaf, target: Leaf) -> tuple[str, str]:
    """Bring one data object away from the source: `moved`, `removed`, `gone`, or `left` and why."""
    columns = (DataObject.resc_id, DataObject.replica_number, DataObject.replica_status)
    replicas = {
        on: (number, status)
        for on, number, status in calls.rows(session, columns, (DataObject.id == int(row[0]),))
    }
    number, status = replicas.pop(source.number, ("", ""))
    if not number:
        return "gone", ""
    states = {state for _, state in replicas.values()}
    if status not in (_STALE, _GOOD) or not states <= {_STALE, _GOOD}:
        return "left", "it is open for writing"
    copying = status == _GOOD and replicas.get(target.number, ("", ""))[1] != _GOOD
    if not copying and _GOOD not in states:
        return "left", "none of its replicas is good"
    if copying:
        calls.replicate(session, _path(row), target.hierarchy)
    if not calls.trim(session, _path(row), number):
        return "left", "the server did not remove its replica"
    return ("moved" if copying else "removed"), ""
