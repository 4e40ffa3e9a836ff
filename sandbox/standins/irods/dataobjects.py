"""Data objects: the catalogue's side of opening, closing, checksums, removal, renaming and copying."""

import os
from dataclasses import dataclass

from . import access, namespace, resources
from .access import Client
from .catalogue import Transaction
from .errors import Code, IrodsError
from .resources import Resource
from .vault import File

GOOD, STALE, INTERMEDIATE = 1, 0, 2
FIRST_DESCRIPTOR, LAST_DESCRIPTOR = 3, 1025


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica of a data object and where its bytes are."""

    data_id: int
    number: int
    path: str
    size: int
    status: int
    checksum: str
    resource: Resource


@dataclass(slots=True)
class OpenObject:
    """A data object that a client has open."""

    file: File
    replica: Replica
    writable: bool
    copies_to: tuple[Resource, ...] = ()


class OpenObjects:
    """The data objects that a connection has open, by descriptor."""

    def __init__(self) -> None:
        self._open: dict[int, OpenObject] = {}

    def add(self, opened: OpenObject) -> int:
        """Keep an open data object and return its descriptor. Raises -19000 when there are too many."""
        descriptor = FIRST_DESCRIPTOR
        while descriptor in self._open:
            descriptor += 1
        if descriptor > LAST_DESCRIPTOR:
            opened.file.close()
            raise IrodsError(Code.SYS_FILE_DESC_OUT_OF_RANGE)
        self._open[descriptor] = opened
        return descriptor

    def __contains__(self, descriptor: int) -> bool:
        """Return whether a descriptor is that of an open data object."""
        return descriptor in self._open

    def get(self, descriptor: int) -> OpenObject:
        """Return an open data object. Raises -19000 or -345000 for a descriptor that is none."""
        if not FIRST_DESCRIPTOR <= descriptor <= LAST_DESCRIPTOR:
            raise IrodsError(Code.SYS_FILE_DESC_OUT_OF_RANGE)
        if descriptor not in self._open:
            raise IrodsError(Code.BAD_INPUT_DESC_INDEX)
        return self._open[descriptor]

    def take(self, descriptor: int) -> OpenObject:
        """Return an open data object and forget its descriptor."""
        opened = self.get(descriptor)
        del self._open[descriptor]
        return opened

    def take_all(self) -> list[OpenObject]:
        """Return what is open and forget it."""
        opened, self._open = list(self._open.values()), {}
        return opened


def replicas(tx: Transaction, data_id: int) -> list[Replica]:
    """Return the replicas of a data object by number."""
    rows = tx.rows(
        "select data_id, data_repl_num, data_path, data_size, data_is_dirty, data_checksum, resc_id"
        " from r_data_main where data_id = ? order by data_repl_num",
        (data_id,),
    )
    return [
        Replica(data_id, number, path, size, status, checksum, resources.by_id(tx, resc_id))
        for data_id, number, path, size, status, checksum, resc_id in rows
    ]


def existing(tx: Transaction, client: Client, path: str, level: int) -> int:
    """Return the id of a data object on which a client has a permission.

    Raises -358000 when there is none and -818000 without the permission.
    """
    found = access.data_id(tx, path)
    if found is None:
        raise IrodsError(Code.OBJ_PATH_DOES_NOT_EXIST)
    if access.level(tx, client, found) < level:
        raise IrodsError(Code.CAT_NO_ACCESS_PERMISSION)
    return found


def usable(found: list[Replica]) -> Replica:
    """Return the first good replica on a storage resource that is not down.

    Raises -105000 when there is none.
    """
    chosen = next(
        (replica for replica in found if not replica.resource.down and replica.status != STALE), None
    )
    if chosen is None:
        raise IrodsError(Code.SYS_RESC_IS_DOWN)
    return chosen


def check_create(tx: Transaction, zone: str, client: Client, path: str) -> int:
    """Return the collection in which a client may make a data object.

    Raises -814000 when the collection is unknown, -818000 without permission on it, -833000 when a collection
    has the name.
    """
    namespace.check_path(zone, path)
    parent, _ = access.split(path)
    parent_id = access.collection_id(tx, parent)
    if parent_id is None:
        raise IrodsError(Code.CAT_UNKNOWN_COLLECTION, f"collection '{parent}' is unknown")
    if access.level(tx, client, parent_id) < access.MODIFY:
        raise IrodsError(Code.CAT_NO_ACCESS_PERMISSION, f"no permission to update collection '{parent}'")
    if access.collection_id(tx, path) is not None:
        raise IrodsError(Code.CAT_NAME_EXISTS_AS_COLLECTION)
    return parent_id


def vault_path(resource: Resource, zone: str, path: str) -> str:
    """Return where a data object's bytes go in a vault: the logical path without the zone."""
    return resource.vault.rstrip("/") + path.removeprefix(f"/{zone}")


def register(
    tx: Transaction, client: Client, parent_id: int, name: str, places: list[tuple[Resource, str]]
) -> list[Replica]:
    """Write a new data object, owned by a client, with an intermediate replica at each place."""
    data_id = tx.new_id()
    for number, (resource, path) in enumerate(places):
        tx.execute(
            "insert into r_data_main (data_id, coll_id, data_name, data_repl_num, data_size, resc_id,"
            " data_path, data_owner_name, data_owner_zone, data_is_dirty, create_ts, modify_ts, access_ts)"
            " values (?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?)",
            (data_id, parent_id, name, number, resource.resc_id, path, client.name, client.zone, INTERMEDIATE)
            + (tx.now,) * 3,
        )
    access.grant(tx, data_id, client.user_id, access.OWN)
    access.inherit(tx, parent_id, data_id)
    access.grant(tx, data_id, client.user_id, access.OWN)
    return replicas(tx, data_id)


def register_further(tx: Transaction, source: Replica, resource: Resource, path: str) -> Replica:
    """Write a further, intermediate replica of a data object beside one that is there."""
    number = max(replica.number for replica in replicas(tx, source.data_id)) + 1
    columns = (
        "data_id, coll_id, data_name, data_version, data_type_name, data_owner_name, data_owner_zone,"
        " data_status, data_expiry_ts, data_map_id, data_mode, r_comment, create_ts, modify_ts, access_ts"
    )
    tx.execute(
        f"insert into r_data_main ({columns}, data_repl_num, data_size, resc_id, data_path, data_is_dirty)"  # noqa: S608
        f" select {columns}, ?, 0, ?, ?, ? from r_data_main where data_id = ? and data_repl_num = ?",
        (number, resource.resc_id, path, INTERMEDIATE, source.data_id, source.number),
    )
    return Replica(source.data_id, number, path, 0, INTERMEDIATE, "", resource)


def finish(tx: Transaction, replica: Replica, size: int, status: int, checksum: str) -> None:
    """Write the size and state of a replica after it was written to."""
    tx.execute(
        "update r_data_main set data_size = ?, data_is_dirty = ?, data_checksum = ?, modify_ts = ?"
        " where data_id = ? and data_repl_num = ?",
        (size, status, checksum, tx.now, replica.data_id, replica.number),
    )


def set_checksum(tx: Transaction, replica: Replica, checksum: str) -> None:
    """Write a replica's checksum."""
    tx.execute(
        "update r_data_main set data_checksum = ? where data_id = ? and data_repl_num = ?",
        (checksum, replica.data_id, replica.number),
    )


def unregister(tx: Transaction, data_id: int) -> None:
    """Take a data object and all that hangs on it out of the catalogue, without any check."""
    for statement in (
        "delete from r_objt_access where object_id = ?",
        "delete from r_objt_metamap where object_id = ?",
        "delete from r_data_main where data_id = ?",
    ):
        tx.execute(statement, (data_id,))


def unregister_replica(tx: Transaction, replica: Replica) -> None:
    """Take one replica of a data object that has others out of the catalogue."""
    tx.execute(
        "delete from r_data_main where data_id = ? and data_repl_num = ?", (replica.data_id, replica.number)
    )


def removable(tx: Transaction, client: Client, path: str, *, admin_mode: bool = False) -> int:
    """Return the id of a data object that a client may remove. Raises -808000 or -818000."""
    found = access.data_id(tx, path)
    if found is None:
        raise IrodsError(Code.CAT_NO_ROWS_FOUND)
    if not (admin_mode and client.admin) and access.level(tx, client, found) < access.DELETE:
        raise IrodsError(Code.CAT_NO_ACCESS_PERMISSION)
    return found


def to_trash(tx: Transaction, zone: str, client: Client, path: str, data_id: int) -> None:
    """Move a data object into the client's trash; its bytes stay where they are."""
    target = namespace.free_name(tx, namespace.trash_path(zone, client, path))
    namespace.ensure_parents(tx, client, target)
    place(tx, data_id, target)


def place(tx: Transaction, data_id: int, path: str) -> None:
    """Give a data object another logical path, without any check."""
    parent, name = access.split(path)
    tx.execute(
        "update r_data_main set coll_id = ?, data_name = ?, modify_ts = ? where data_id = ?",
        (access.collection_id(tx, parent), name, tx.now, data_id),
    )


def move(tx: Transaction, zone: str, client: Client, source: str, destination: str) -> int:
    """Give a data object another logical path; return its id.

    Raises -358000 for an unknown source, -818000 without permission and -809000 when the name is taken.
    """
    if source == destination:
        raise IrodsError(Code.SAME_SRC_DEST_PATHS_ERR)
    data_id = existing(tx, client, source, access.DELETE)
    check_create(tx, zone, client, destination)
    if access.data_id(tx, destination) is not None:
        raise IrodsError(Code.CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME)
    place(tx, data_id, destination)
    return data_id


def writes(flags: int) -> bool:
    """Return whether open flags allow writing."""
    return flags & os.O_ACCMODE != os.O_RDONLY
