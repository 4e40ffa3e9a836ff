"""The APIs for collections and data objects, which join the catalogue with the vaults."""

import os
import secrets

from . import access, dataobjects, namespace, quotas, resources
from .api import Reply, api
from .catalogue import Transaction
from .dataobjects import OpenObject, Replica
from .errors import Code, IrodsError
from .resources import Resource
from .session import Session
from .wire import Message, Node, element, leaf

_COPY_CHUNK = 4 * 1024 * 1024
_RENAME_COLLECTION = 12


@api(681, "COLL_CREATE_AN")
def create_collection(session: Session, message: Message) -> Reply:
    """Make a collection."""
    node = Node.parse(message.body)
    recursive = "recursiveOpr" in node.keywords()
    with session.catalogue.write() as tx:
        namespace.create(tx, session.config.zone, session.user, node.get("collName"), recursive=recursive)
    return Reply()


@api(679, "RM_COLL_AN")
def remove_collection(session: Session, message: Message) -> Reply:
    """Remove a collection: an empty one, or with all it holds, into the trash or for good."""
    node = Node.parse(message.body)
    path, keywords = node.get("collName"), node.keywords()
    zone = session.config.zone
    admin_mode = "irodsAdminRmTrash" in keywords and session.user.admin
    doomed: list[Replica] = []
    for_good = "forceFlag" in keywords or path.startswith(f"/{zone}/trash/")
    with session.catalogue.write() as tx:
        coll_id = access.collection_id(tx, path)
        if coll_id is None:
            raise IrodsError(Code.CAT_UNKNOWN_COLLECTION)
        if not admin_mode and access.level(tx, session.user, coll_id) < access.DELETE:
            raise IrodsError(Code.CAT_NO_ACCESS_PERMISSION)
        if namespace.is_empty(tx, path, coll_id):
            namespace.unregister(tx, coll_id)
        elif "recursiveOpr" not in keywords:
            raise IrodsError(Code.CAT_COLLECTION_NOT_EMPTY)
        elif not for_good:
            target = namespace.free_name(tx, namespace.trash_path(zone, session.user, path))
            namespace.ensure_parents(tx, session.user, target)
            namespace.move(tx, session.user, path, target)
        else:
            doomed = _doomed(tx, session, path, admin_mode=admin_mode)
    removed = _remove_for_good(session, path, doomed) if doomed or for_good else 0
    body = element(
        "CollOprStat_PI",
        leaf("filesCnt", removed),
        leaf("totalFileCnt", removed),
        leaf("bytesWritten", 0),
        leaf("lastObjPath", ""),
    )
    return Reply(body=body)


def _doomed(tx: Transaction, session: Session, path: str, *, admin_mode: bool) -> list[Replica]:
    """Return all replicas below a collection, if the client may remove every one."""
    found: list[Replica] = []
    for coll_id, _ in namespace.below(tx, path):
        for (data_id,) in tx.rows("select distinct data_id from r_data_main where coll_id = ?", (coll_id,)):
            if not admin_mode and access.level(tx, session.user, data_id) < access.DELETE:
                raise IrodsError(Code.CAT_NO_ACCESS_PERMISSION)
            found += dataobjects.replicas(tx, data_id)
    return found


def _remove_for_good(session: Session, path: str, doomed: list[Replica]) -> int:
    for replica in doomed:
        session.vault(replica.resource).unlink(replica.path)
    data_ids = {replica.data_id for replica in doomed}
    with session.catalogue.write() as tx:
        for data_id in data_ids:
            dataobjects.unregister(tx, data_id)
        for coll_id, name in namespace.below(tx, path):
            # Something may have been put there meanwhile: that stays.
            if namespace.is_empty(tx, name, coll_id):
                namespace.unregister(tx, coll_id)
    return len(data_ids)


@api(627, "DATA_OBJ_RENAME_AN")
def rename(session: Session, message: Message) -> Reply:
    """Give a data object or a collection another path."""
    source, target = Node.parse(message.body).children("DataObjInp_PI")
    old, new = source.get("objPath"), target.get("objPath")
    zone = session.config.zone
    namespace.check_path(zone, new)
    with session.catalogue.write() as tx:
        if source.number("oprType") == _RENAME_COLLECTION or (
            access.data_id(tx, old) is None and access.collection_id(tx, old) is not None
        ):
            namespace.move(tx, session.user, old, new)
        else:
            dataobjects.move(tx, zone, session.user, old, new)
    return Reply()


def places(session: Session, leaves: list[Resource], path: str) -> list[tuple[Resource, str]]:
    """Return a physical path in each vault that no file has yet."""
    found = []
    for resource in leaves:
        physical = dataobjects.vault_path(resource, session.config.zone, path)
        while session.vault(resource).size(physical) >= 0:
            physical = f"{physical}.{secrets.randbelow(10**9)}"
        found.append((resource, physical))
    return found


def _create(session: Session, path: str, keywords: dict[str, str], flags: int, size: int) -> OpenObject:
    """Register a new data object and open its first replica."""
    wanted = keywords.get("destRescName") or keywords.get("defRescName") or session.default_resource(path)
    with session.catalogue.read() as tx:
        dataobjects.check_create(tx, session.config.zone, session.user, path)
        leaves = resources.leaves_for_create(tx, wanted)
        for leaf_resource in leaves:
            resources.check_room(tx, leaf_resource, size)
        if session.enforces_quotas:
            for leaf_resource in leaves:
                quotas.check(tx, session.user, leaf_resource.resc_id, size)
    found = places(session, leaves, path)
    with session.catalogue.write() as tx:
        parent_id = dataobjects.check_create(tx, session.config.zone, session.user, path)
        if access.data_id(tx, path) is not None:
            raise IrodsError(Code.CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME)
        _, name = access.split(path)
        replicas = dataobjects.register(tx, session.user, parent_id, name, found)
    first = replicas[0]
    try:
        file = session.vault(first.resource).open(first.path, flags | os.O_CREAT)
    except IrodsError:
        with session.catalogue.write() as tx:
            dataobjects.unregister(tx, first.data_id)
        raise
    return OpenObject(file, first, writable=True)


def _open(session: Session, path: str, keywords: dict[str, str], flags: int, size: int) -> OpenObject:
    writable = dataobjects.writes(flags)
    with session.catalogue.read() as tx:
        data_id = access.data_id(tx, path)
        if data_id is not None:
            if flags & os.O_CREAT and flags & os.O_EXCL:
                raise IrodsError(Code.OVERWRITE_WITHOUT_FORCE_FLAG)
            dataobjects.existing(tx, session.user, path, access.MODIFY if writable else access.READ)
            replica = dataobjects.usable(dataobjects.replicas(tx, data_id))
            if writable and session.enforces_quotas:
                quotas.check(tx, session.user, replica.resource.resc_id, size)
    if data_id is None:
        if not flags & os.O_CREAT:
            raise IrodsError(Code.OBJ_PATH_DOES_NOT_EXIST)
        return _create(session, path, keywords, flags, size)
    file = session.vault(replica.resource).open(replica.path, flags & ~(os.O_CREAT | os.O_EXCL))
    return OpenObject(file, replica, writable)


@api(602, "DATA_OBJ_OPEN_AN")
def open_object(session: Session, message: Message) -> Reply:
    """Open a data object, making it when the flags say so; answers a descriptor."""
    node = Node.parse(message.body)
    opened = _open(
        session, node.get("objPath"), node.keywords(), node.number("openFlags"), node.number("dataSize")
    )
    return Reply(session.objects.add(opened))


@api(601, "DATA_OBJ_CREATE_AN")
def create_object(session: Session, message: Message) -> Reply:
    """Make a data object, or with the force keyword empty one that is there; answers a descriptor."""
    node = Node.parse(message.body)
    flags = os.O_RDWR | os.O_CREAT | (os.O_TRUNC if "forceFlag" in node.keywords() else os.O_EXCL)
    opened = _open(session, node.get("objPath"), node.keywords(), flags, node.number("dataSize"))
    return Reply(session.objects.add(opened))


@api(675, "DATA_OBJ_READ_AN")
def read_object(session: Session, message: Message) -> Reply:
    """Read from an open data object; answers the bytes and their number."""
    node = Node.parse(message.body)
    data = session.objects.get(node.number("l1descInx")).file.read(node.number("len"))
    return Reply(len(data), bs=data)


@api(676, "DATA_OBJ_WRITE_AN")
def write_object(session: Session, message: Message) -> Reply:
    """Write to an open data object; answers the number of bytes."""
    opened = session.objects.get(Node.parse(message.body).number("l1descInx"))
    if not opened.writable:
        raise IrodsError(Code.CAT_NO_ACCESS_PERMISSION)
    return Reply(opened.file.write(message.bs))


@api(674, "DATA_OBJ_LSEEK_AN")
def seek_object(session: Session, message: Message) -> Reply:
    """Move the position in an open data object; answers the new one."""
    node = Node.parse(message.body)
    file = session.objects.get(node.number("l1descInx")).file
    return Reply(
        body=element(
            "fileLseekOut_PI", leaf("offset", file.seek(node.number("offset"), node.number("whence")))
        )
    )


@api(673, "DATA_OBJ_CLOSE_AN")
def close_object(session: Session, message: Message) -> Reply:
    """Close a data object; one that was written gets its size, and those of its tree the same bytes."""
    node = Node.parse(message.body)
    opened = session.objects.take(node.number("l1descInx"))
    opened.file.close()
    if opened.writable:
        finish_writing(session, opened, register_checksum="regChksum" in node.keywords())
    return Reply()


def finish_writing(session: Session, opened: OpenObject, *, register_checksum: bool = False) -> None:
    """Bring the catalogue and the other replicas in line with a replica that was written.

    Those of the same tree of storage resources are written too; those elsewhere are stale from then on.
    """
    written = opened.replica
    vault = session.vault(written.resource)
    size = vault.size(written.path)
    checksum = vault.checksum(written.path, session.config.hash_scheme) if register_checksum else ""
    with session.catalogue.write() as tx:
        dataobjects.finish(tx, written, size, dataobjects.GOOD, checksum)
        others = [
            other for other in dataobjects.replicas(tx, written.data_id) if other.number != written.number
        ]
        for other in others:
            dataobjects.finish(tx, other, other.size, dataobjects.STALE, "")
        tree = resources.root(tx, written.resource)
        here = [other for other in others if resources.root(tx, other.resource) == tree]
    for other in here:
        if not other.resource.down:
            copy_bytes(session, written, other)
            with session.catalogue.write() as tx:
                dataobjects.finish(tx, other, size, dataobjects.GOOD, checksum)


def copy_bytes(session: Session, source: Replica, target: Replica) -> int:
    """Write one replica's bytes over another's and return how many there were."""
    reader = session.vault(source.resource).open(source.path, os.O_RDONLY)
    copied = 0
    try:
        writer = session.vault(target.resource).open(target.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            while chunk := reader.read(_COPY_CHUNK):
                copied += writer.write(chunk)
        finally:
            writer.close()
    finally:
        reader.close()
    return copied


@api(514, "FILE_GET_FS_FREE_SPACE_AN", admin=True)
def free_space(session: Session, message: Message) -> Reply:
    """Answer how much may still be written on the file system of a storage resource's vault."""
    node = Node.parse(message.body)
    with session.catalogue.read() as tx:
        found = resources.find(tx, node.get("rescHier").rpartition(";")[2])
    if found is None:
        raise IrodsError(Code.SYS_RESC_DOES_NOT_EXIST)
    free = session.vault(found).free(found.vault)
    return Reply(body=element("fileGetFsFreeSpaceOut_PI", leaf("size", free)))


@api(615, "DATA_OBJ_UNLINK_AN")
def unlink_object(session: Session, message: Message) -> Reply:
    """Remove a data object, into the trash or for good."""
    node = Node.parse(message.body)
    path, keywords = node.get("objPath"), node.keywords()
    zone = session.config.zone
    with session.catalogue.write() as tx:
        data_id = dataobjects.removable(tx, session.user, path, admin_mode="irodsAdminRmTrash" in keywords)
        if "forceFlag" not in keywords and not path.startswith(f"/{zone}/trash/"):
            dataobjects.to_trash(tx, zone, session.user, path, data_id)
            return Reply()
        doomed = dataobjects.replicas(tx, data_id)
    for replica in doomed:
        session.vault(replica.resource).unlink(replica.path)
    with session.catalogue.write() as tx:
        dataobjects.unregister(tx, data_id)
    return Reply()


@api(696, "DATA_OBJ_COPY_AN")
def copy_object(session: Session, message: Message) -> Reply:
    """Copy a data object, with the force keyword over another."""
    source, target = Node.parse(message.body).children("DataObjInp_PI")
    keywords = target.keywords()
    with session.catalogue.read() as tx:
        data_id = dataobjects.existing(tx, session.user, source.get("objPath"), access.READ)
        original = dataobjects.usable(dataobjects.replicas(tx, data_id))
        if access.data_id(tx, target.get("objPath")) is not None and "forceFlag" not in keywords:
            raise IrodsError(Code.OVERWRITE_WITHOUT_FORCE_FLAG)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    opened = _open(session, target.get("objPath"), keywords, flags, original.size)
    opened.file.close()
    copied = copy_bytes(session, original, opened.replica)
    finish_writing(session, opened)
    body = element("TransferStat_PI", leaf("numThreads", 0), leaf("flags", 0), leaf("bytesWritten", copied))
    return Reply(body=body)
