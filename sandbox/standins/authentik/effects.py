"""What follows when an object has been saved or is about to go, whoever did it: the API or a blueprint."""

from . import accounts, outposts
from .models.connections import LDAP, OUTPOST
from .models.core import TOKEN, USER
from .store import Row, Tx


def saved(tx: Tx, row: Row) -> None:
    """Do what follows from a new or changed object."""
    if row["model"] == OUTPOST:
        outposts.settle(tx, tx.require(OUTPOST, row["pk"]))
    elif row["model"] == LDAP:
        for keys in tx.linked_from(OUTPOST, "providers", [row["pk"]]).values():
            for pk in keys:
                outposts.settle(tx, tx.require(OUTPOST, pk))
    elif row["model"] == USER and not tx.require(USER, row["pk"])["is_active"]:
        accounts.end_sessions(tx, row["pk"])


def deleting(tx: Tx, row: Row) -> None:
    """Do what must come before an object goes."""
    if row["model"] == OUTPOST and row["service_account"]:
        for token in tx.select(TOKEN, user=row["service_account"]):
            tx.delete(TOKEN, token["pk"])
        tx.delete(USER, row["service_account"])
