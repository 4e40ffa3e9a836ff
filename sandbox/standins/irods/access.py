"""Who may do what: clients, permission levels, and the access control API."""

from dataclasses import dataclass

from .catalogue import Transaction
from .errors import Code, IrodsError
from .schema import ACCESS_TYPES

READ = ACCESS_TYPES["read_object"]
MODIFY_METADATA = ACCESS_TYPES["modify_metadata"]
MODIFY = ACCESS_TYPES["modify_object"]
DELETE = ACCESS_TYPES["delete_object"]
OWN = ACCESS_TYPES["own"]

_LEVELS = {"read": READ, "write": MODIFY} | {
    name: level for name, level in ACCESS_TYPES.items() if name != "null"
}


@dataclass(frozen=True, slots=True)
class Client:
    """The user in whose name a connection acts."""

    user_id: int
    name: str
    zone: str
    type: str
    ticket: str = ""
    """The ticket that the connection has given: then its access counts instead of the user's."""

    @property
    def admin(self) -> bool:
        """Whether the user administers the zone."""
        return self.type == "rodsadmin"


def find_user(tx: Transaction, name: str, zone: str) -> Client | None:
    """Return a user or group by name and zone, or None."""
    row = tx.row(
        "select user_id, user_name, zone_name, user_type_name from r_user_main"
        " where user_name = ? and zone_name = ?",
        (name, zone),
    )
    return None if row is None else Client(*row)


def level(tx: Transaction, client: Client, object_id: int) -> int:
    """Return the highest permission a client has on an object, itself or by its groups; 0 for none.

    With a ticket it is the ticket's. Raises -890000 for one that does not open the object, -891000 for one
    whose time is over.
    """
    if client.ticket:
        return _level_by_ticket(tx, client.ticket, object_id)
    found = tx.value(
        "select max(a.access_type_id) from r_user_group g join r_objt_access a on a.user_id = g.group_user_id"
        " where g.user_id = ? and a.object_id = ?",
        (client.user_id, object_id),
    )
    return int(found or 0)


def _level_by_ticket(tx: Transaction, ticket: str, object_id: int) -> int:
    row = tx.row(
        "select ticket_expiry_ts from r_ticket_main where ticket_string = ? and (object_id = ?"
        " or object_id in (select coll_id from r_data_main where data_id = ?))",
        (ticket, object_id, object_id),
    )
    if row is None:
        raise IrodsError(Code.CAT_TICKET_INVALID)
    if row[0] and int(row[0]) and int(tx.now) > int(row[0]):
        raise IrodsError(Code.CAT_TICKET_EXPIRED)
    return READ


def split(path: str) -> tuple[str, str]:
    """Return a logical path's collection and last name."""
    parent, _, name = path.rpartition("/")
    return parent or "/", name


def collection_id(tx: Transaction, path: str) -> int | None:
    """Return the id of a collection, or None."""
    found: int | None = tx.value("select coll_id from r_coll_main where coll_name = ?", (path,))
    return found


def data_id(tx: Transaction, path: str) -> int | None:
    """Return the id of a data object, or None."""
    parent, name = split(path)
    found: int | None = tx.value(
        "select d.data_id from r_data_main d join r_coll_main c on c.coll_id = d.coll_id"
        " where c.coll_name = ? and d.data_name = ?",
        (parent, name),
    )
    return found


def grant(tx: Transaction, object_id: int, user_id: int, access_type: int) -> None:
    """Set one user's permission on an object in place of any it had."""
    tx.execute(
        "insert or replace into r_objt_access values (?, ?, ?, ?, ?)",
        (object_id, user_id, access_type, tx.now, tx.now),
    )


def inherit(tx: Transaction, parent_id: int, object_id: int) -> bool:
    """Copy the permissions of a parent collection that passes them on; return whether it does."""
    if tx.value("select coll_inheritance from r_coll_main where coll_id = ?", (parent_id,)) != "1":
        return False
    tx.execute(
        "insert or ignore into r_objt_access select ?, user_id, access_type_id, ?, ? from r_objt_access"
        " where object_id = ?",
        (object_id, tx.now, tx.now, parent_id),
    )
    return True


def subtree(path: str) -> tuple[str, str]:
    """Return the bounds of the names below a collection, for `coll_name > ? and coll_name < ?`."""
    base = "" if path == "/" else path
    return f"{base}/", f"{base}0"


def _object(tx: Transaction, client: Client, path: str, *, admin_mode: bool) -> tuple[int, bool]:
    """Return the id at a path and whether it is a collection, if the client may change its permissions."""
    collection = collection_id(tx, path)
    found = collection if collection is not None else data_id(tx, path)
    if found is None:
        raise IrodsError(
            Code.CAT_INVALID_ARGUMENT, f"Input path is not a collection and not a dataObj: {path}"
        )
    if not admin_mode and level(tx, client, found) < OWN:
        raise IrodsError(Code.CAT_NO_ACCESS_PERMISSION)
    return found, collection is not None


def _change(
    tx: Transaction, where: str, parameters: tuple[object, ...], user_id: int, access_type: int
) -> None:
    """Set or, with level 0, remove a user's permission on all objects that a query lists."""
    delete = f"delete from r_objt_access where user_id = ? and object_id in ({where})"  # noqa: S608
    tx.execute(delete, (user_id, *parameters))
    if access_type:
        tx.execute(
            f"insert into r_objt_access select o.id, ?, ?, ?, ? from ({where}) o",  # noqa: S608
            (user_id, access_type, tx.now, tx.now, *parameters),
        )


def modify(tx: Transaction, client: Client, zone: str, request: tuple[bool, str, str, str, str]) -> None:
    """Carry out the access control API: `(recursive, level, user, user's zone, path)`.

    A level may begin with `admin:`, which only administrators may use and which skips the check of ownership.
    Raises `IrodsError` with the codes and texts of the real server.
    """
    recursive, wanted, user, user_zone, path = request
    admin_mode = wanted.startswith("admin:")
    if admin_mode:
        if not client.admin:
            raise IrodsError(Code.CAT_NO_ACCESS_PERMISSION, "You must be the admin to use the -M admin mode")
        wanted = wanted.removeprefix("admin:")
    if wanted not in ("null", "inherit", "noinherit") and wanted not in _LEVELS:
        raise IrodsError(Code.CAT_INVALID_ARGUMENT, f"access level '{wanted}' is invalid")
    if wanted in ("inherit", "noinherit"):
        _modify_inheritance(tx, client, path, wanted == "inherit", recursive=recursive, admin_mode=admin_mode)
        return
    object_id, is_collection = _object(tx, client, path, admin_mode=admin_mode)
    grantee = find_user(tx, user, user_zone or zone)
    if grantee is None:
        raise IrodsError(Code.CAT_INVALID_USER)
    access_type = 0 if wanted == "null" else _LEVELS[wanted]
    if not recursive:
        _change(tx, "select ? as id", (object_id,), grantee.user_id, access_type)
        return
    if not is_collection:
        raise IrodsError(
            Code.CAT_INVALID_ARGUMENT, f"Input path is not a collection and recursion was requested: {path}"
        )
    low, high = subtree(path)
    collections = (
        "select coll_id as id from r_coll_main where coll_name = ? or coll_name > ? and coll_name < ?"
    )
    _change(tx, collections, (path, low, high), grantee.user_id, access_type)
    objects = f"select distinct data_id as id from r_data_main where coll_id in ({collections})"  # noqa: S608
    _change(tx, objects, (path, low, high), grantee.user_id, access_type)


def _modify_inheritance(
    tx: Transaction, client: Client, path: str, on: bool, *, recursive: bool, admin_mode: bool
) -> None:
    found = collection_id(tx, path)
    if found is None or (not admin_mode and level(tx, client, found) < OWN):
        raise IrodsError(
            Code.CAT_NO_ACCESS_PERMISSION,
            "either the collection does not exist or you do not have sufficient access",
        )
    low, high = subtree(path) if recursive else ("", "")
    tx.execute(
        "update r_coll_main set coll_inheritance = ?, modify_ts = ?"
        " where coll_name = ? or coll_name > ? and coll_name < ?",
        ("1" if on else "0", tx.now, path, low, high),
    )
