"""What a collection holds, in one query for its collections and one for its data objects.

The queries are GenQuery2: it shows an ordinary user only what the user may read, and quotes any name safely.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from irods.session import iRODSSession

PAGE = 5000
"""Rows of one answer."""

MODIFY = 1120
"""The permission `modify_object`, which is called `write` too; those with higher numbers include it."""

GOOD = "1"
"""The status of a replica that holds the data; others are stale, being written, or locked."""


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection of the zone."""

    path: str
    created: int
    """Seconds since 1970."""
    modified: int


@dataclass(frozen=True, slots=True)
class DataObject:
    """A data object of the zone, as its newest good replica is."""

    path: str
    created: int
    """Seconds since 1970."""
    modified: int
    size: int
    """Bytes; those of the newest replica while none is good."""
    id: int
    checksum: str
    """Of the replica, or empty."""

    @property
    def version(self) -> str:
        """Changes when the content does. The catalogue counts in whole seconds."""
        digest = self.checksum.partition(":")[2] or self.checksum
        return f"{self.id:x}-{self.modified:x}-{self.size:x}" + (f"-{digest[:16]}" if digest else "")


Entry = Collection | DataObject


def quoted(value: str) -> str:
    """A text as a literal of GenQuery2, which knows `''` and `\\xHH` and nothing else."""
    escaped = value.replace("'", "''").replace("\\", r"\x5c")
    return f"'{escaped}'"


def parent(path: str) -> str:
    """The collection that holds a path."""
    return path.rpartition("/")[0] or "/"


def find(session: iRODSSession, path: str) -> Entry | None:
    """What is at a path, or None when there is nothing that this user may read."""
    here = f"COLL_NAME = {quoted(path)}"
    for collection in _collections(session, path, here):
        return collection
    name = path.rpartition("/")[2]
    same = f"COLL_NAME = {quoted(parent(path))} and DATA_NAME = {quoted(name)}"
    for data_object in _data_objects(session, path, same):
        return data_object
    return None


def members(session: iRODSSession, path: str) -> list[Entry]:
    """What is directly in a collection, by name."""
    inside = f"COLL_PARENT_NAME = {quoted(path)}"
    collections = (entry for entry in _collections(session, path, inside) if entry.path != path)
    return [*collections, *_data_objects(session, path, f"COLL_NAME = {quoted(path)}")]


def descendants(session: iRODSSession, path: str) -> list[Entry]:
    """All that is below a collection, by path, so that a collection comes before what it holds."""
    # The pattern is wider than what is meant where a name has a wildcard in it.
    below = f"COLL_NAME like {quoted(path + '/%')}"
    here = f"COLL_NAME = {quoted(path)}"
    found: list[Entry] = [
        *_collections(session, path, below),
        *_data_objects(session, path, f"({here} or {below})"),
    ]
    return sorted(
        (entry for entry in found if entry.path.startswith(path + "/")), key=lambda entry: entry.path
    )


def may_write(session: iRODSSession, entry: Entry) -> bool:
    """Whether the session's user may change something, by itself or through a group."""
    if isinstance(entry, Collection):
        what, where = "COLL", f"COLL_NAME = {quoted(entry.path)}"
    else:
        what, where = "DATA", f"DATA_ID = '{entry.id}'"
    # GenQuery2 has a row for every member of a group that has access.
    user = f"{what}_ACCESS_USER_NAME = {quoted(session.username)}"
    zone = f"{what}_ACCESS_USER_ZONE = {quoted(session.zone)}"
    query = f"select distinct {what}_ACCESS_PERM_ID where {where} and {user} and {zone}"
    rows = session.genquery2(query, zone=entry.path.split("/")[1])
    return any(int(permission) >= MODIFY for (permission,) in rows)


def _collections(session: iRODSSession, path: str, where: str) -> Iterator[Collection]:
    columns = "COLL_NAME, COLL_CREATE_TIME, COLL_MODIFY_TIME"
    for name, created, modified in _rows(session, path, columns, where, "COLL_NAME"):
        yield Collection(name, int(created or 0), int(modified or 0))


def _data_objects(session: iRODSSession, path: str, where: str) -> Iterator[DataObject]:
    columns = (
        "COLL_NAME, DATA_NAME, DATA_CREATE_TIME, DATA_MODIFY_TIME, DATA_SIZE, DATA_ID, DATA_CHECKSUM, "
        "DATA_REPL_STATUS, DATA_REPL_NUM"
    )
    order = "COLL_NAME, DATA_NAME, DATA_REPL_NUM"
    yield from _newest(_rows(session, path, columns, where, order))


def _newest(rows: Iterable[Sequence[str]]) -> Iterator[DataObject]:
    """One data object for the rows of all its replicas, which come one after the other."""
    best: Sequence[str] = ()
    for row in rows:
        if best and row[5] != best[5]:
            yield _data_object(best)
            best = ()
        if not best or _preference(row) > _preference(best):
            best = row
    if best:
        yield _data_object(best)


def _preference(row: Sequence[str]) -> tuple[bool, int]:
    return row[7] == GOOD, int(row[3] or 0)


def _data_object(row: Sequence[str]) -> DataObject:
    collection, name, created, modified, size, identifier, checksum = row[:7]
    path = f"{collection}/{name}"
    return DataObject(
        path, int(created or 0), int(modified or 0), int(size or 0), int(identifier), checksum or ""
    )


def _rows(session: iRODSSession, path: str, columns: str, where: str, order: str) -> Iterator[Sequence[str]]:
    zone = path.split("/")[1]
    offset = 0
    while True:
        query = f"select distinct {columns} where {where} order by {order} offset {offset} limit {PAGE}"
        page: list[Sequence[str]] = session.genquery2(query, zone=zone)
        yield from page
        if len(page) < PAGE:
            return
        offset += PAGE
