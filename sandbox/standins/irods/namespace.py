"""Collections: making, removing and renaming them."""

from . import access
from .access import Client, collection_id, split
from .catalogue import Transaction
from .errors import Code, IrodsError


def register(tx: Transaction, path: str, owner: Client) -> int:
    """Write a collection with its owner's permission, without any check; return its id.

    Raises -809000 when the path is taken.
    """
    if collection_id(tx, path) is not None or access.data_id(tx, path) is not None:
        raise IrodsError(Code.CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME)
    parent, _ = split(path)
    parent_id = collection_id(tx, parent)
    if parent_id is None:
        raise IrodsError(Code.CAT_UNKNOWN_COLLECTION, f"collection '{parent}' is unknown")
    new = tx.new_id()
    tx.execute(
        "insert into r_coll_main (coll_id, coll_name, parent_coll_name, coll_owner_name, coll_owner_zone,"
        " create_ts, modify_ts) values (?, ?, ?, ?, ?, ?, ?)",
        (new, path, parent, owner.name, owner.zone, tx.now, tx.now),
    )
    access.grant(tx, new, owner.user_id, access.OWN)
    if access.inherit(tx, parent_id, new):
        tx.execute("update r_coll_main set coll_inheritance = '1' where coll_id = ?", (new,))
    return new


def unregister(tx: Transaction, coll_id: int) -> None:
    """Take a collection and all that hangs on it out of the catalogue, without any check."""
    tx.execute("delete from r_objt_access where object_id = ?", (coll_id,))
    tx.execute("delete from r_objt_metamap where object_id = ?", (coll_id,))
    tx.execute("delete from r_coll_main where coll_id = ?", (coll_id,))


def is_empty(tx: Transaction, path: str, coll_id: int) -> bool:
    """Return whether a collection holds neither collections nor data objects."""
    held = tx.value(
        "select 1 where exists (select 1 from r_coll_main where parent_coll_name = ?)"
        " or exists (select 1 from r_data_main where coll_id = ?)",
        (path, coll_id),
    )
    return held is None


def check_path(zone: str, path: str) -> None:
    """Refuse paths that are not absolute and clean, or not in the zone, as the real server does."""
    parts = path.split("/")
    if parts[0] or "" in parts[1:] or "." in parts or ".." in parts:
        raise IrodsError(Code.USER_INPUT_PATH_ERR)
    if parts[1] != zone:
        raise _not_in_zone(path)


def _not_in_zone(path: str) -> IrodsError:
    code = Code.SYS_INVALID_INPUT_PARAM
    problem = f"a valid zone name does not appear at the root of the object path [{path}]"
    text = f"{code.name}]  errno [] -- message [{problem}]\n"
    return IrodsError(code, stack=[(code.value, text)])


def create(tx: Transaction, zone: str, client: Client, path: str, *, recursive: bool) -> None:
    """Make a collection for a client, with `recursive` also those above it that the client cannot see.

    Raises -809000 when it is there (not with `recursive`), -814000 without a parent and -818000 without
    permission on it; administrators have no more permission than others.
    """
    check_path(zone, path)
    if recursive:
        existing = collection_id(tx, path)
        if existing is not None and _visible(tx, client, existing):
            return
        parent, _ = split(path)
        parent_id = collection_id(tx, parent)
        if parent_id is None or not _visible(tx, client, parent_id):
            if parent in ("/", f"/{zone}"):
                raise _not_in_zone(parent)
            create(tx, zone, client, parent, recursive=True)
    if collection_id(tx, path) is not None:
        raise IrodsError(Code.CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME)
    parent, _ = split(path)
    parent_id = collection_id(tx, parent)
    if parent_id is None:
        raise IrodsError(Code.CAT_UNKNOWN_COLLECTION, f"collection '{parent}' is unknown")
    if access.level(tx, client, parent_id) < access.MODIFY:
        raise IrodsError(Code.CAT_NO_ACCESS_PERMISSION)
    register(tx, path, client)


def _visible(tx: Transaction, client: Client, coll_id: int) -> bool:
    return client.admin or access.level(tx, client, coll_id) >= access.READ


def trash_path(zone: str, client: Client, path: str) -> str:
    """Return where an object goes when it is removed without force."""
    relative = path.removeprefix(f"/{zone}/")
    relative = relative.removeprefix(f"home/{client.name}/").removeprefix("home/")
    return f"/{zone}/trash/home/{client.name}/{relative}"


def free_name(tx: Transaction, path: str) -> str:
    """Return the path, with a number after it when an object has it already."""
    candidate, number = path, 0
    while collection_id(tx, candidate) is not None or access.data_id(tx, candidate) is not None:
        number += 1
        candidate = f"{path}.{number}"
    return candidate


def ensure_parents(tx: Transaction, owner: Client, path: str) -> None:
    """Make the collections above a path that are missing, owned by `owner`; for trash only."""
    parent, _ = split(path)
    if collection_id(tx, parent) is None:
        ensure_parents(tx, owner, parent)
        register(tx, parent, owner)


def move(tx: Transaction, client: Client, source: str, destination: str) -> None:
    """Give a collection a new path, with all below it.

    Raises -814000 when source or the destination's parent is missing, -818000 without permission and -809000
    when the destination is taken.
    """
    source_id = collection_id(tx, source)
    parent, _ = split(destination)
    parent_id = collection_id(tx, parent)
    if source_id is None or parent_id is None:
        raise IrodsError(Code.CAT_UNKNOWN_COLLECTION)
    if destination == source or destination.startswith(f"{source}/"):
        raise IrodsError(Code.SAME_SRC_DEST_PATHS_ERR)
    if (
        access.level(tx, client, source_id) < access.DELETE
        or access.level(tx, client, parent_id) < access.MODIFY
    ):
        raise IrodsError(Code.CAT_NO_ACCESS_PERMISSION)
    if collection_id(tx, destination) is not None:
        raise IrodsError(Code.CAT_NAME_EXISTS_AS_COLLECTION)
    if access.data_id(tx, destination) is not None:
        raise IrodsError(Code.CAT_NAME_EXISTS_AS_DATAOBJ)
    low, high = access.subtree(source)
    tx.execute(
        "update r_coll_main set coll_name = ?1 || substr(coll_name, ?2),"
        " parent_coll_name = ?1 || substr(parent_coll_name, ?2) where coll_name > ?3 and coll_name < ?4",
        (destination, len(source) + 1, low, high),
    )
    tx.execute(
        "update r_coll_main set coll_name = ?, parent_coll_name = ?, modify_ts = ? where coll_id = ?",
        (destination, parent, tx.now, source_id),
    )


def below(tx: Transaction, path: str) -> list[tuple[int, str]]:
    """Return id and path of a collection and all collections below it, deepest first."""
    low, high = access.subtree(path)
    rows = tx.rows(
        "select coll_id, coll_name from r_coll_main where coll_name = ? or coll_name > ? and coll_name < ?",
        (path, low, high),
    )
    return sorted(((int(row[0]), str(row[1])) for row in rows), key=lambda row: -len(row[1]))
