"""The APIs about the replicas of data objects that are there: checksums, further replicas, times."""

from . import access, dataobjects, resources
from .access import Client
from .api import Reply, api
from .api_data import copy_bytes, places
from .catalogue import Transaction
from .dataobjects import GOOD, INTERMEDIATE, STALE, Replica
from .errors import Code, IrodsError
from .handshake import json_body
from .session import Session
from .wire import Message, Node, element, leaf

_TOUCH = 20007
_MINIMUM_COPIES = 2


def _replicas(tx: Transaction, client: Client, node: Node, level: int) -> list[Replica]:
    """Return the replicas of a request's data object, if the client may see it or is its administrator."""
    path, keywords = node.get("objPath"), node.keywords()
    data_id = access.data_id(tx, path)
    if data_id is None or not ("irodsAdmin" in keywords and client.admin):
        data_id = dataobjects.existing(tx, client, path, level)
    return dataobjects.replicas(tx, data_id)


def _chosen(found: list[Replica], keywords: dict[str, str]) -> list[Replica]:
    """Return the replicas that a checksum is asked of. Raises -164000 for a number that none has."""
    if "ChksumAll" in keywords:
        return [replica for replica in found if replica.status in (GOOD, STALE) and not replica.resource.down]
    if "replNum" in keywords:
        chosen = [replica for replica in found if str(replica.number) == keywords["replNum"]]
        if not chosen:
            raise IrodsError(Code.SYS_REPLICA_DOES_NOT_EXIST)
        return chosen
    return [dataobjects.usable(found)]


@api(629, "DATA_OBJ_CHKSUM_AN")
def checksum_object(session: Session, message: Message) -> Reply:
    """Answer a data object's checksum, computing and storing it if there is none or the client insists."""
    node = Node.parse(message.body)
    keywords = node.keywords()
    with session.catalogue.read() as tx:
        chosen = _chosen(_replicas(tx, session.user, node, access.READ), keywords)
    verify = "verifyChksum" in keywords
    answered = ""
    for replica in chosen:
        checksum = replica.checksum
        if not checksum or verify or "forceChksum" in keywords:
            checksum = session.vault(replica.resource).checksum(replica.path, session.config.hash_scheme)
        if verify and replica.checksum and replica.checksum != checksum:
            raise IrodsError(Code.USER_CHKSUM_MISMATCH)
        if not verify and checksum != replica.checksum:
            with session.catalogue.write() as tx:
                dataobjects.set_checksum(tx, replica, checksum)
        answered = answered or checksum
    return Reply(body=element("STR_PI", leaf("myStr", answered)))


@api(695, "DATA_OBJ_REPL_AN")
def replicate_object(session: Session, message: Message) -> Reply:
    """Make a replica on a storage resource, or bring the one that is there up to date."""
    node = Node.parse(message.body)
    path, keywords = node.get("objPath"), node.keywords()
    wanted = keywords.get("destRescName") or keywords.get("defRescName") or session.default_resource(path)
    with session.catalogue.read() as tx:
        found = _replicas(tx, session.user, node, access.READ)
        if hierarchy := keywords.get("dest_resc_hier"):
            leaves = [resources.leaf_of(tx, hierarchy)]
        else:
            leaves = resources.leaves_for_create(tx, wanted)
        source = dataobjects.usable([replica for replica in found if replica.status == GOOD])
    copied = 0
    for leaf_resource in leaves:
        there = next((each for each in found if each.resource.resc_id == leaf_resource.resc_id), None)
        if there is not None and there.status == GOOD:
            continue
        if there is None:
            there = _register(session, source, leaf_resource, path)
        copied += copy_bytes(session, source, there)
        with session.catalogue.write() as tx:
            dataobjects.finish(tx, there, source.size, GOOD, source.checksum)
    body = element("TransferStat_PI", leaf("numThreads", 0), leaf("flags", 0), leaf("bytesWritten", copied))
    return Reply(body=body)


def _register(session: Session, source: Replica, resource: resources.Resource, path: str) -> Replica:
    ((_, physical),) = places(session, [resource], path)
    with session.catalogue.write() as tx:
        return dataobjects.register_further(tx, source, resource, physical)


@api(632, "DATA_OBJ_TRIM_AN")
def trim_object(session: Session, message: Message) -> Reply:
    """Remove one replica, named by its number, of a data object that keeps others; answers 1 when done."""
    node = Node.parse(message.body)
    keywords = node.keywords()
    if "replNum" not in keywords:
        raise IrodsError(Code.SYS_NOT_SUPPORTED, "the stand-in trims one replica, by its number")
    with session.catalogue.read() as tx:
        found = _replicas(tx, session.user, node, access.DELETE)
    # iRODS keeps two unless it is told otherwise, without an error.
    if len(found) <= int(keywords.get("copies", _MINIMUM_COPIES)):
        return Reply()
    (chosen,) = _chosen(found, keywords)
    if INTERMEDIATE in (replica.status for replica in found):
        raise IrodsError(Code.LOCKED_DATA_OBJECT_ACCESS)
    if chosen.status == GOOD and sum(replica.status == GOOD for replica in found) == 1:
        raise IrodsError(Code.USER_INCOMPATIBLE_PARAMS)
    session.vault(chosen.resource).unlink(chosen.path)
    with session.catalogue.write() as tx:
        dataobjects.unregister_replica(tx, chosen)
    return Reply(1)


@api(_TOUCH, "TOUCH_APN")
def touch(session: Session, message: Message) -> Reply:
    """Set the time of a data object's or collection's last change; the stand-in makes no new data objects."""
    request = json_body(message)
    path, options = str(request.get("logical_path", "")), request.get("options") or {}
    if not path:
        raise IrodsError(Code.INPUT_ARG_NOT_WELL_FORMED_ERR)
    with session.catalogue.write() as tx:
        moment = f"{int(options.get('seconds_since_epoch', tx.now)):011d}"
        data_id, coll_id = access.data_id(tx, path), access.collection_id(tx, path)
        found = coll_id if data_id is None else data_id
        if found is None and options.get("no_create"):
            return Reply()
        if found is None:
            raise IrodsError(Code.SYS_NOT_SUPPORTED, "the stand-in touches only what is there")
        if access.level(tx, session.user, found) < access.MODIFY:
            raise IrodsError(Code.CAT_NO_ACCESS_PERMISSION)
        table, key = ("r_coll_main", "coll_id") if data_id is None else ("r_data_main", "data_id")
        tx.execute(f"update {table} set modify_ts = ? where {key} = ?", (moment, found))  # noqa: S608
    return Reply()
