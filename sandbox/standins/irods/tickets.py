"""Tickets: strings that open an object for reading to whoever has them, until somebody deletes them.

As in iRODS, a connection that has given a ticket has its access and no other; whether the ticket's maker
still has any is never asked. A collection's ticket opens the data objects in it, not those below. Tickets for
writing, whose use is counted in files and bytes, are refused.
"""

from . import access
from .access import Client
from .catalogue import Transaction
from .errors import Code, IrodsError

ADMIN = "irodsAdmin"
"""The keyword by which an administrator deletes the tickets of others."""


def administer(tx: Transaction, client: Client, words: list[str], *, admin_mode: bool) -> None:
    """Carry out what `iticket` does: `create`, `delete`, `mod`.

    Raises `IrodsError`: -816000 for an unknown operation, -890000 for a ticket that the client may not
    change, -809000 for a string that is taken, -66000 for what this server does not do, and what the check of
    ownership raises.
    """
    if admin_mode and not client.admin:
        raise IrodsError(Code.CAT_INSUFFICIENT_PRIVILEGE_LEVEL)
    match words:
        case ["create", string, kind, path, *_]:
            _create(tx, client, string, kind, path)
        case ["delete", string, *_]:
            tx.execute(
                "delete from r_ticket_main where ticket_id = ?", (_own(tx, client, string, admin_mode),)
            )
        case ["mod", string, what, value, *_] if what in ("uses", "expire") and value.isdecimal():
            column = {"uses": "uses_limit", "expire": "ticket_expiry_ts"}[what]
            tx.execute(
                f"update r_ticket_main set {column} = ?, modify_ts = ? where ticket_id = ?",  # noqa: S608
                (
                    int(value) if what == "uses" else f"{int(value):011}",
                    tx.now,
                    _own(tx, client, string, admin_mode),
                ),
            )
        case ["mod", *_]:
            raise IrodsError(Code.SYS_NOT_SUPPORTED)
        case _:
            raise IrodsError(Code.CAT_INVALID_ARGUMENT)


def _create(tx: Transaction, client: Client, string: str, kind: str, path: str) -> None:
    if kind != "read":
        raise IrodsError(Code.SYS_NOT_SUPPORTED)
    data = access.data_id(tx, path)
    found = data if data is not None else access.collection_id(tx, path)
    if found is None:
        raise IrodsError(Code.CAT_UNKNOWN_COLLECTION, f"collection '{path}' is unknown")
    if access.level(tx, client, found) < access.OWN:
        raise IrodsError(Code.CAT_NO_ACCESS_PERMISSION)
    if tx.value("select 1 from r_ticket_main where ticket_string = ?", (string,)):
        raise IrodsError(Code.CATALOG_ALREADY_HAS_ITEM_BY_THAT_NAME)
    tx.execute(
        "insert into r_ticket_main (ticket_id, ticket_string, ticket_type, user_id, object_id, object_type,"
        " uses_limit, uses_count, ticket_expiry_ts, restrictions, create_ts, modify_ts, write_file_count,"
        " write_file_limit, write_byte_count, write_byte_limit)"
        " values (?, ?, 'read', ?, ?, ?, 0, 0, '', '', ?, ?, 0, 10, 0, 0)",
        (
            tx.new_id(),
            string,
            client.user_id,
            found,
            "data" if data is not None else "collection",
            tx.now,
            tx.now,
        ),
    )


def _own(tx: Transaction, client: Client, string: str, admin_mode: bool) -> int:
    """The id of a ticket, by its string or its id, that the client may change."""
    for column in ("ticket_string", "ticket_id"):
        found: int | None = tx.value(
            f"select ticket_id from r_ticket_main where cast({column} as text) = ?"  # noqa: S608
            " and (? or user_id = ?)",
            (string, admin_mode, client.user_id),
        )
        if found is not None:
            return found
    raise IrodsError(Code.CAT_TICKET_INVALID)


def use(tx: Transaction, string: str) -> None:
    """Count that a ticket opens a data object. Raises -892000 when it was used up."""
    ticket, limit, count = tx.row(
        "select ticket_id, uses_limit, uses_count from r_ticket_main where ticket_string = ?", (string,)
    ) or (None, 0, 0)
    if ticket is None:
        raise IrodsError(Code.CAT_TICKET_INVALID)
    if limit and count >= limit:
        raise IrodsError(Code.CAT_TICKET_USES_EXCEEDED)
    tx.execute("update r_ticket_main set uses_count = uses_count + 1 where ticket_id = ?", (ticket,))
