"""Zones that this one is federated with: their entries in the catalogue."""

import re

from . import namespace
from .access import Client, collection_id
from .catalogue import Transaction
from .errors import Code, IrodsError

_NAME = re.compile(r"[A-Za-z0-9_.]+")
_COLUMNS = {"comment": "r_comment", "conn": "zone_conn_string"}


def _check_connection(connection: str) -> None:
    """Raise -855000 for `host:port` without a host and -816000 without a usable port; none at all is fine."""
    host, _, port = connection.partition(":")
    if connection and not host:
        raise IrodsError(Code.CAT_HOSTNAME_INVALID)
    if connection and not (port.isdecimal() and 0 < int(port) <= 65535):
        raise IrodsError(Code.CAT_INVALID_ARGUMENT)


def _kind(tx: Transaction, name: str) -> str:
    found = tx.value("select zone_type_name from r_zone_main where zone_name = ?", (name,))
    if found is None:
        raise IrodsError(Code.CAT_INVALID_ZONE)
    return str(found)


def create(tx: Transaction, name: str, kind: str, connection: str, comment: str) -> None:
    """Register a remote zone.

    Raises -816000 for a kind other than `remote`, -130000 for a bad name and -809000 for a taken one.
    """
    if not kind.startswith("remote"):
        raise IrodsError(Code.CAT_INVALID_ARGUMENT, "Currently, only zones of type 'remote' are allowed")
    if not _NAME.fullmatch(name):
        raise IrodsError(Code.SYS_INVALID_INPUT_PARAM)
    _check_connection(connection)
    if tx.value("select 1 from r_zone_main where zone_name = ?", (name,)) is not None:
        raise IrodsError(Code.CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME)
    tx.execute(
        "insert into r_zone_main values (?, ?, 'remote', ?, ?, ?, ?)",
        (tx.new_id(), name, connection, comment, tx.now, tx.now),
    )


def create_root(tx: Transaction, name: str, owner: Client) -> None:
    """Make the collection that stands for a remote zone. Raises -809000 when it is there."""
    namespace.register(tx, f"/{name}", owner)


def modify(tx: Transaction, name: str, option: str, value: str) -> None:
    """Change a zone's comment or connection.

    Raises -828000 for an unknown zone, -816000 for an empty value or an unknown option and -66000 for a new
    name, which the stand-in does not carry through all paths.
    """
    if not (name and option and value):
        raise IrodsError(Code.CAT_INVALID_ARGUMENT)
    _kind(tx, name)
    if option == "name":
        raise IrodsError(Code.SYS_NOT_SUPPORTED)
    if option not in _COLUMNS:
        raise IrodsError(Code.CAT_INVALID_ARGUMENT)
    if option == "conn":
        _check_connection(value)
    tx.execute(
        f"update r_zone_main set {_COLUMNS[option]} = ?, modify_ts = ? where zone_name = ?",  # noqa: S608
        (value, tx.now, name),
    )


def remove(tx: Transaction, name: str) -> None:
    """Forget a remote zone. Raises -828000 for an unknown one and -816000 for the local one."""
    if _kind(tx, name) != "remote":
        raise IrodsError(Code.CAT_INVALID_ARGUMENT, "It is not permitted to remove the local zone")
    tx.execute("delete from r_zone_main where zone_name = ?", (name,))


def remove_root(tx: Transaction, name: str) -> None:
    """Remove the collection of a remote zone. Raises -814000 without one and -821000 for a full one."""
    root = collection_id(tx, f"/{name}")
    if root is None:
        raise IrodsError(Code.CAT_UNKNOWN_COLLECTION)
    if not namespace.is_empty(tx, f"/{name}", root):
        raise IrodsError(Code.CAT_COLLECTION_NOT_EMPTY)
    namespace.unregister(tx, root)
