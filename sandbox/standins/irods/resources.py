"""Storage resources: their registration, their hierarchy, and the choice of one for a new data object."""

import re
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .catalogue import Transaction
from .errors import Code, IrodsError

STORAGE_TYPES = ("unixfilesystem",)
COORDINATING_TYPES = ("passthru", "replication", "random", "deferred", "compound", "load_balanced")
OTHER_TYPES = ("univmss", "structfile", "non_blocking", "mockarchive", "mso")
EMPTY_HOST = "EMPTY_RESC_HOST"
EMPTY_PATH = "EMPTY_RESC_PATH"
_NAME = re.compile(r"(?=.{1,63}$)\w+(-\w+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Resource:
    """A storage or coordinating resource."""

    resc_id: int
    name: str
    type: str
    host: str
    vault: str
    status: str
    parent: str

    @property
    def down(self) -> bool:
        """Whether an administrator has taken it out of service."""
        return self.status == "down"


_COLUMNS = "resc_id, resc_name, resc_type_name, resc_net, resc_def_path, resc_status, resc_parent"


def find(tx: Transaction, name: str) -> Resource | None:
    """Return a resource by name, or None."""
    row = tx.row(f"select {_COLUMNS} from r_resc_main where resc_name = ?", (name,))  # noqa: S608
    return None if row is None else Resource(*row)


def by_id(tx: Transaction, resc_id: int) -> Resource:
    """Return a resource by id. Raises -78000 when there is none."""
    row = tx.row(f"select {_COLUMNS} from r_resc_main where resc_id = ?", (resc_id,))  # noqa: S608
    if row is None:
        raise IrodsError(Code.SYS_RESC_DOES_NOT_EXIST)
    return Resource(*row)


def _need(tx: Transaction, name: str, code: Code) -> Resource:
    found = find(tx, name)
    if found is None:
        raise IrodsError(code)
    return found


def children(tx: Transaction, parent: Resource) -> list[Resource]:
    """Return the resources below one, in the order in which they were made."""
    rows = tx.rows(
        f"select {_COLUMNS} from r_resc_main where resc_parent = ? order by resc_id",  # noqa: S608
        (str(parent.resc_id),),
    )
    return [Resource(*row) for row in rows]


def hierarchy(tx: Transaction, leaf: Resource) -> str:
    """Return the names from the root to a resource, joined by semicolons."""
    names, current = [leaf.name], leaf
    while current.parent:
        current = by_id(tx, int(current.parent))
        names.append(current.name)
    return ";".join(reversed(names))


def root(tx: Transaction, leaf: Resource) -> str:
    """Return the name of the root of a resource's tree."""
    return hierarchy(tx, leaf).partition(";")[0]


def split_location(location: str) -> tuple[str, str]:
    """Return host and vault path of `host:path`. Raises -812000 without a host and -813000 without a path."""
    host, _, path = location.partition(":")
    if not host:
        raise IrodsError(Code.CAT_INVALID_RESOURCE_NET_ADDR)
    if not path:
        raise IrodsError(Code.CAT_INVALID_RESOURCE_VAULT_PATH)
    return host, path


def resolution_warning(host: str) -> list[tuple[int, str]]:
    """Return what the error stack says about a host name, which iRODS accepts even if it does not resolve."""
    if host == EMPTY_HOST:
        return []
    if resolves(host):
        return []
    text = (
        f"Warning, resource host address '{host}' is not a valid DNS entry, hostname_resolves_to_ipv4 failed."
    )
    return [(0, text)]


def resolves(host: str) -> bool:
    """Return whether this machine knows an IPv4 address of a host name."""
    try:
        socket.getaddrinfo(host, None, family=socket.AF_INET)
    except OSError:
        return False
    return True


def hosts(tx: Transaction) -> list[str]:
    """Return the hosts of all storage resources."""
    found = tx.rows("select distinct resc_net from r_resc_main where resc_net <> ?", (EMPTY_HOST,))
    return [host for (host,) in found]


class KnownHosts:
    """Hosts that were resolved before; iRODS keeps addresses, but no failures."""

    PAUSE_SECONDS = 0.1

    def __init__(self) -> None:
        self._known: set[str] = set()

    def resolve(self, host: str, attempts: int, interrupted: Callable[[], bool]) -> bool:
        """Return whether a host has an address, asking so often before giving up."""
        for _ in range(attempts):
            if host in self._known or resolves(host):
                self._known.add(host)
                return True
            if interrupted():
                return False
            time.sleep(self.PAUSE_SECONDS)
        return False


def is_own_address(host: str) -> bool:
    """Return whether a host name resolves to an address of this machine."""
    try:
        addresses = {entry[4][0] for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    for address in addresses:
        family = socket.AF_INET6 if ":" in str(address) else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((str(address), 0))
            except OSError:
                continue
            return True
    return False


def create(tx: Transaction, zone: str, request: tuple[str, str, str, str]) -> None:
    """Register a resource: `(name, type, host:path or "", context)`.

    Raises -809000 for a taken name, -810000 for an unknown type, -859000 for a bad name.
    """
    name, resource_type, location, context = request
    if not _NAME.fullmatch(name):
        raise IrodsError(Code.CAT_INVALID_RESOURCE_NAME)
    if resource_type not in STORAGE_TYPES + COORDINATING_TYPES + OTHER_TYPES:
        raise IrodsError(Code.CAT_INVALID_RESOURCE_TYPE)
    host, vault = split_location(location) if location else (EMPTY_HOST, EMPTY_PATH)
    if resource_type in STORAGE_TYPES and not vault.startswith("/"):
        raise IrodsError(Code.CAT_INVALID_RESOURCE_VAULT_PATH)
    if find(tx, name) is not None:
        raise IrodsError(Code.CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME)
    tx.execute(
        "insert into r_resc_main (resc_id, resc_name, zone_name, resc_type_name, resc_net, resc_def_path,"
        " resc_context, create_ts, modify_ts) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (tx.new_id(), name, zone, resource_type, host, vault, context, tx.now, tx.now),
    )


def remove(tx: Transaction, name: str) -> None:
    """Take a resource out of the zone.

    Raises -808000 when there is none, -835000 when it holds data and -1802000 when it has a parent or
    children.
    """
    found = _need(tx, name, Code.CAT_NO_ROWS_FOUND)
    if tx.value("select 1 from r_data_main where resc_id = ?", (found.resc_id,)) is not None:
        raise IrodsError(Code.CAT_RESOURCE_NOT_EMPTY, f"resource '{name}' contains one or more dataObjects")
    if found.parent or children(tx, found):
        raise IrodsError(Code.CHILD_EXISTS, f"resource '{name}' has a parent or child")
    tx.execute("delete from r_objt_metamap where object_id = ?", (found.resc_id,))
    tx.execute("delete from r_quota_main where resc_id = ?", (found.resc_id,))
    tx.execute("delete from r_resc_main where resc_id = ?", (found.resc_id,))


def parents(tx: Transaction) -> dict[str, str]:
    """Return the id of each resource's parent, empty for a root, by the resource's name."""
    return dict(tx.rows("select resc_name, resc_parent from r_resc_main"))


def add_child(
    tx: Transaction, known: Mapping[str, str], parent_name: str, child_name: str, context: str
) -> None:
    """Put a resource below another; doing it again changes nothing.

    `known` are the `parents` when the connection was made: an iRODS agent reads the resources when it starts
    and never again. Raises -831000 or -1804000 for an unknown parent or child, -1812000 for a child of
    another parent, -1803000 when it would close a circle and -130000 for a context that iRODS cannot store.
    """
    if parent_name == child_name:
        raise IrodsError(Code.HIERARCHY_ERROR)
    if child_name not in known:
        raise IrodsError(Code.CHILD_NOT_FOUND)
    if parent_name not in known:
        raise IrodsError(Code.CAT_INVALID_RESOURCE)
    if set(context) & set(";{}"):
        raise IrodsError(Code.SYS_INVALID_INPUT_PARAM)
    child = _need(tx, child_name, Code.CHILD_NOT_FOUND)
    parent = _need(tx, parent_name, Code.CAT_INVALID_RESOURCE)
    if child.parent and child.parent != str(parent.resc_id):
        raise IrodsError(Code.CHILD_HAS_PARENT)
    if child_name in hierarchy(tx, parent).split(";"):
        raise IrodsError(Code.HIERARCHY_ERROR)
    tx.execute(
        "update r_resc_main set resc_parent = ?, resc_parent_context = ?, modify_ts = ? where resc_id = ?",
        (str(parent.resc_id), context, tx.now, child.resc_id),
    )


def remove_child(tx: Transaction, known: Mapping[str, str], parent_name: str, child_name: str) -> None:
    """Take a resource out from below another; `known` as in `add_child`.

    Raises -78000 for an unknown one and -857000 when it is not there.
    """
    if parent_name not in known or child_name not in known:
        raise IrodsError(Code.SYS_RESC_DOES_NOT_EXIST)
    parent = _need(tx, parent_name, Code.SYS_RESC_DOES_NOT_EXIST)
    child = _need(tx, child_name, Code.SYS_RESC_DOES_NOT_EXIST)
    if child.parent != str(parent.resc_id):
        raise IrodsError(Code.CAT_INVALID_CHILD)
    tx.execute(
        "update r_resc_main set resc_parent = '', resc_parent_context = '', modify_ts = ? where resc_id = ?",
        (tx.now, child.resc_id),
    )


_OPTIONS = {
    "comment": "r_comment",
    "info": "resc_info",
    "context": "resc_context",
    "status": "resc_status",
    "free_space": "free_space",
    "freespace": "free_space",
    "path": "resc_def_path",
    "host": "resc_net",
    "name": "resc_name",
    "type": "resc_type_name",
}


def modify(tx: Transaction, name: str, option: str, value: str) -> None:
    """Change one property of a resource.

    Raises -831000 for an unknown resource, -816000 for an unknown option.
    """
    found = _need(tx, name, Code.CAT_INVALID_RESOURCE)
    column = _OPTIONS.get(option)
    if column is None:
        raise IrodsError(Code.CAT_INVALID_ARGUMENT)
    if option == "type" and value not in STORAGE_TYPES + COORDINATING_TYPES + OTHER_TYPES:
        raise IrodsError(Code.CAT_INVALID_RESOURCE_TYPE)
    if option == "name":
        if not _NAME.fullmatch(value):
            raise IrodsError(Code.CAT_INVALID_RESOURCE_NAME)
        if find(tx, value) is not None:
            raise IrodsError(Code.CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME)
    if option == "path" and not value.startswith("/"):
        raise IrodsError(Code.CAT_INVALID_RESOURCE_VAULT_PATH)
    tx.execute(
        f"update r_resc_main set {column} = ?, modify_ts = ? where resc_id = ?",  # noqa: S608
        (value, tx.now, found.resc_id),
    )
    if column == "free_space":
        tx.execute("update r_resc_main set free_space_ts = ? where resc_id = ?", (tx.now, found.resc_id))


def leaves_for_create(tx: Transaction, name: str) -> list[Resource]:
    """Return the storage resources that a new data object goes to when a client names a root resource.

    The first takes the client's bytes; a replication resource adds its other children, which get copies
    when the object is closed. Raises -78000 for an unknown resource, -1816000 for one inside a hierarchy,
    -105000 when everything that could store it is down, and -66000 for a type the stand-in does not store
    on.
    """
    root = _need(tx, name, Code.SYS_RESC_DOES_NOT_EXIST)
    if root.parent:
        raise IrodsError(Code.DIRECT_CHILD_ACCESS)
    return _leaves(tx, root)


def leaf_of(tx: Transaction, path: str) -> Resource:
    """Return the storage resource at the end of a hierarchy such as `root;leaf`.

    Raises -78000 where it is not at that place, -105000 when it is down and -66000 when it stores nothing.
    """
    found = _need(tx, path.rpartition(";")[2], Code.SYS_RESC_DOES_NOT_EXIST)
    if hierarchy(tx, found) != path:
        raise IrodsError(Code.SYS_RESC_DOES_NOT_EXIST)
    if found.type not in STORAGE_TYPES:
        raise IrodsError(Code.SYS_NOT_SUPPORTED)
    return _leaves(tx, found)[0]


def check_room(tx: Transaction, resource: Resource, size: int) -> None:
    """Refuse a new data object that would leave less room on a storage resource than its context demands.

    Raises -311000, also when nobody has written down how much room there is. No size, no check.
    """
    context, free = tx.row(
        "select resc_context, free_space from r_resc_main where resc_id = ?", (resource.resc_id,)
    ) or ("", "")
    settings = dict(pair.split("=", 1) for pair in context.split(";") if "=" in pair)
    minimum = settings.get("minimum_free_space_for_create_in_bytes")
    if minimum is None or size < 0:
        return
    known = minimum.isdecimal() and free.isdecimal()
    if not known or int(free) - int(minimum) < size:
        raise IrodsError(Code.USER_FILE_TOO_LARGE)


def _leaves(tx: Transaction, resource: Resource) -> list[Resource]:
    if resource.down:
        raise IrodsError(Code.SYS_RESC_IS_DOWN)
    if resource.type in STORAGE_TYPES:
        return [resource]
    if resource.type not in ("passthru", "replication", "random", "deferred"):
        raise IrodsError(Code.SYS_NOT_SUPPORTED)
    found: list[Resource] = []
    for child in children(tx, resource):
        try:
            found += _leaves(tx, child)
        except IrodsError as error:
            if error.code != Code.SYS_RESC_IS_DOWN:
                raise
    if not found:
        raise IrodsError(Code.SYS_RESC_IS_DOWN)
    return found if resource.type == "replication" else found[:1]
