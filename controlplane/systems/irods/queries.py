"""The bulk queries of an observation: as few as tell all that the control plane needs to know of a zone.

Every query is written for GenQuery1, which all supported servers answer, and for GenQuery2 (iRODS 4.3.2 and
later), whose pages are far longer; both tell the same. Quotas and tickets are asked in GenQuery1 alone.

GenQuery2's `COLL_ACCESS_USER_NAME` names the members of a group beside the group, so ACLs are read by
`COLL_ACCESS_USER_ID`, and only distinct rows: there is one per member otherwise.
"""

from dataclasses import dataclass

from irods.column import Column, Criterion, Like, String
from irods.models import (
    Collection,
    CollectionAccess,
    CollectionMeta,
    Group,
    Quota,
    Resource,
    ResourceMeta,
    User,
    UserMeta,
    Zone,
)
from irods.session import iRODSSession

from controlplane.systems.irods import calls, tickets
from controlplane.systems.irods.calls import Row
from controlplane.systems.irods.resources import MARK

# Columns that the client library does not name.
ZONE_CONNECTION = Column(String, "ZONE_CONNECTION", 104)
ZONE_COMMENT = Column(String, "ZONE_COMMENT", 105)


@dataclass(frozen=True)
class Query:
    """One query in both languages; its rows are texts."""

    columns: tuple[Column, ...]
    where: tuple[Criterion, ...] = ()
    text: str = ""
    """In GenQuery2, without `select`; empty when only GenQuery1 can ask it."""
    order: str = ""
    """In GenQuery2, columns that tell any two rows apart."""

    def rows(self, session: iRODSSession, *, genquery2: bool) -> list[Row]:
        """All rows, by GenQuery2 if wanted and possible."""
        if genquery2 and self.text:
            return calls.rows_2(session, self.text, self.order)
        return calls.rows(session, self.columns, self.where)


TICKETS = {
    "collection_tickets": Query(tickets.COLLECTION_COLUMNS),
    "data_tickets": Query(tickets.DATA_COLUMNS),
}
"""The queries for tickets, by the kind of object that they open; see `tickets.py` for their rows."""


def queries(zone: str, *, genquery2: bool) -> dict[str, Query]:
    """The queries that together tell of a zone, by what their rows are."""
    home = f"/{zone}/home"
    below = Collection.parent_name == home
    literal = home.replace("'", "''")
    wanted = {
        # Id, name, type and zone of each account; groups are accounts too.
        "accounts": Query(
            (User.id, User.name, User.type, User.zone),
            text="USER_ID, USER_NAME, USER_TYPE, USER_ZONE",
            order="USER_ID",
        ),
        # Ids of group and member. Every account is in a group of its own, and in `public`, which GenQuery1
        # can leave out.
        "members": Query(
            (Group.id, User.id),
            (Group.name != "public",),
            "GROUP_ID, GROUP_MEMBER_ID",
            "GROUP_ID, GROUP_MEMBER_ID",
        ),
        # Id of the account, attribute, value, unit.
        "account_avus": Query(
            (User.id, UserMeta.name, UserMeta.value, UserMeta.units),
            (Like(UserMeta.name, "bic:%"),),
            "USER_ID, META_USER_ATTR_NAME, META_USER_ATTR_VALUE, META_USER_ATTR_UNITS"
            " where META_USER_ATTR_NAME like 'bic:%'",
            "USER_ID, META_USER_ATTR_NAME, META_USER_ATTR_VALUE, META_USER_ATTR_UNITS",
        ),
        # Path and inheritance of each home collection, with the id of an account and its level of access.
        "access": Query(
            (Collection.name, Collection.inheritance, CollectionAccess.user_id, CollectionAccess.name),
            (below,),
            "COLL_NAME, COLL_INHERITANCE, COLL_ACCESS_USER_ID, COLL_ACCESS_PERM_NAME"
            f" where COLL_PARENT_NAME = '{literal}'",
            "COLL_NAME, COLL_ACCESS_USER_ID",
        ),
        # Path of the home collection, attribute, value, unit.
        "home_avus": Query(
            (Collection.name, CollectionMeta.name, CollectionMeta.value, CollectionMeta.units),
            (below, CollectionMeta.name == MARK),
            "COLL_NAME, META_COLL_ATTR_NAME, META_COLL_ATTR_VALUE, META_COLL_ATTR_UNITS"
            f" where COLL_PARENT_NAME = '{literal}' and META_COLL_ATTR_NAME = '{MARK}'",
            "COLL_NAME, META_COLL_ATTR_VALUE, META_COLL_ATTR_UNITS",
        ),
        # Id, name, type, host, vault, context, status, id of the parent, context below the parent.
        "storage": Query(
            (
                Resource.id,
                Resource.name,
                Resource.type,
                Resource.location,
                Resource.vault_path,
                Resource.context,
                Resource.status,
                Resource.parent,
                Resource.parent_context,
            ),
            text="RESC_ID, RESC_NAME, RESC_TYPE_NAME, RESC_HOSTNAME, RESC_VAULT_PATH, RESC_CONTEXT,"
            " RESC_STATUS, RESC_PARENT_ID, RESC_PARENT_CONTEXT",
            order="RESC_ID",
        ),
        # Id of the storage resource, attribute, value, unit.
        "storage_avus": Query(
            (Resource.id, ResourceMeta.name, ResourceMeta.value, ResourceMeta.units),
            (ResourceMeta.name == MARK,),
            "RESC_ID, META_RESC_ATTR_NAME, META_RESC_ATTR_VALUE, META_RESC_ATTR_UNITS"
            f" where META_RESC_ATTR_NAME = '{MARK}'",
            "RESC_ID, META_RESC_ATTR_VALUE, META_RESC_ATTR_UNITS",
        ),
        # Name, type, host and port, comment.
        "zones": Query(
            (Zone.name, Zone.type, ZONE_CONNECTION, ZONE_COMMENT),
            text="ZONE_NAME, ZONE_TYPE, ZONE_CONNECTION, ZONE_COMMENT",
            order="ZONE_NAME",
        ),
        # The kinds of objects that there are tickets for; most zones have none.
        "ticketed": Query((tickets.OBJECT_KIND,)),
        # Id of the account, id of the storage resource or 0 for all, bytes.
        "quotas": Query((Quota.user_id, Quota.resc_id, Quota.limit)),
    }
    if not genquery2:
        # GenQuery1 has no row in "access" for a collection that nobody has access to.
        wanted["homes"] = Query((Collection.name, Collection.inheritance), (below,))
    return wanted
