"""Objects of OMERO's model, made of the catalogue's rows, and what is read from those that clients send."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence

import omero
import omero.all
from omero.rtypes import rbool, rlong, rstring, rtime, unwrap

from .accounts import Caller, Group, Person
from .catalogue import Catalogue
from .errors import ApiUsageFault
from .remote import Remote
from .sessions import Session

MAPS = "groupExperimenterMap"
PRIVILEGES = (
    "Chgrp", "Chown", "DeleteFile", "DeleteManagedRepo", "DeleteOwned", "DeleteScriptRepo", "ModifyGroup",
    "ModifyGroupMembership", "ModifyUser", "ReadSession", "Sudo", "WriteFile", "WriteManagedRepo",
    "WriteOwned", "WriteScriptRepo",
)  # fmt: skip
"""What a full administrator may do. Source: the values of `AdminPrivilege`."""


def rtext(value: str | None) -> Remote:
    """A text as the protocol has it; None stays None."""
    return None if value is None else rstring(value)


_FAR = {"child": "parent", "parent": "child"}
"""The other end of a membership."""


class Graph:
    """Experimenters, groups and memberships. What a call gives is read in one go, each object once."""

    def __init__(self, catalogue: Catalogue) -> None:
        """Read nothing yet."""
        self._catalogue = catalogue

    def people(self, ids: Iterable[int], paths: Iterable[str] = (MAPS, f"{MAPS}.parent")) -> list[Remote]:
        """Experimenters with what these paths load."""
        return self._of_kind("child", ids, paths)

    def groups(self, ids: Iterable[int], paths: Iterable[str] = (MAPS, f"{MAPS}.child")) -> list[Remote]:
        """Groups with what these paths load."""
        return self._of_kind("parent", ids, paths)

    def _of_kind(self, near: str, ids: Iterable[int], paths: Iterable[str]) -> list[Remote]:
        """What is at an end of memberships."""
        wanted, loaded = list(ids), set(paths)
        table, make = _kind(near)
        with self._catalogue.transaction() as transaction:
            found = {row["id"]: row for row in _rows(transaction, table, wanted)}
            maps = _rows(transaction, "groupexperimentermap", wanted, near) if MAPS in loaded else []
            far = _ends(transaction, maps, _FAR[near], loaded=f"{MAPS}.{_FAR[near]}" in loaded)
        made = {key: make(found[key]) for key in wanted if key in found}
        if MAPS in loaded:
            _fill(made, near, maps, far)
        return list(made.values())

    def maps(self, ids: Iterable[int], paths: Iterable[str] = ()) -> list[Remote]:
        """Memberships with what these paths load."""
        wanted, loaded = list(ids), set(paths)
        with self._catalogue.transaction() as transaction:
            maps = _rows(transaction, "groupexperimentermap", wanted)
            group = _ends(transaction, maps, "parent", loaded="parent" in loaded)
            person = _ends(transaction, maps, "child", loaded="child" in loaded)
        found = {row["id"]: row for row in maps}
        rows = [found[key] for key in wanted]
        return [_map(row, group(row["parent"]), person(row["child"])) for row in rows]


def _kind(end: str) -> tuple[str, Callable[[sqlite3.Row], Remote]]:
    """The table of what is at an end of memberships, and what makes an object of a row."""
    return ("experimentergroup", _group) if end == "parent" else ("experimenter", _person)


def _rows(
    transaction: sqlite3.Connection, table: str, ids: Iterable[int], column: str = "id"
) -> list[sqlite3.Row]:
    """The rows of a table with these ids in a column; memberships in the order of their experimenters."""
    order = "child, child_index" if table == "groupexperimentermap" else "id"
    sql = f"select * from {table} where {column} in (select value from json_each(?)) order by {order}"  # noqa: S608
    return transaction.execute(sql, (json.dumps(list(ids)),)).fetchall()


def _ends(
    transaction: sqlite3.Connection, maps: Iterable[sqlite3.Row], end: str, *, loaded: bool
) -> Callable[[int], Remote]:
    """Gives an end of memberships, the same object for the same id; None when it is not loaded."""
    if not loaded:
        return lambda _: None
    table, make = _kind(end)
    return {
        row["id"]: make(row) for row in _rows(transaction, table, {found[end] for found in maps})
    }.__getitem__


def _fill(
    made: Mapping[int, Remote], near: str, rows: Iterable[sqlite3.Row], end: Callable[[int], Remote]
) -> None:
    """Give objects their memberships, of which they are the near end."""
    far = _FAR[near]
    for each in made.values():
        each._groupExperimenterMapLoaded, each._groupExperimenterMapSeq = True, []
    for row in rows:
        if (one := made.get(row[near])) is not None:
            ends = {near: one, far: end(row[far])}
            one._groupExperimenterMapSeq.append(_map(row, ends["parent"], ends["child"]))


def person_ids(catalogue: Catalogue, group: int | None = None, name: str | None = None) -> list[int]:
    """The ids of all experimenters, of a group's, or of the one with a name."""
    sql, value = "select id from experimenter order by id", ()  # type: tuple[str, tuple[object, ...]]
    if group is not None:
        sql, value = "select child from groupexperimentermap where parent = ? order by child", (group,)
    elif name is not None:
        sql, value = "select id from experimenter where omename = ?", (name,)
    return _ids(catalogue, sql, value)


def group_ids(catalogue: Catalogue, person: int | None = None, name: str | None = None) -> list[int]:
    """The ids of all groups, of a person's, or of the one with a name."""
    sql, value = "select id from experimentergroup order by id", ()  # type: tuple[str, tuple[object, ...]]
    if person is not None:
        sql, value = "select parent from groupexperimentermap where child = ? order by child_index", (person,)
    elif name is not None:
        sql, value = "select id from experimentergroup where name = ?", (name,)
    return _ids(catalogue, sql, value)


def _ids(catalogue: Catalogue, sql: str, values: Sequence[object]) -> list[int]:
    with catalogue.transaction() as transaction:
        return [int(row[0]) for row in transaction.execute(sql, values)]


def _person(row: sqlite3.Row) -> Remote:
    made = omero.model.ExperimenterI(row["id"], True)
    made.unloadCollections()
    made.omeName, made.firstName, made.lastName = (
        rstring(row[name]) for name in ("omename", "firstname", "lastname")
    )
    made.middleName, made.email, made.institution = (
        rtext(row[name]) for name in ("middlename", "email", "institution")
    )
    made.ldap = rbool(bool(row["ldap"]))
    made.details.permissions = omero.model.PermissionsI("rw----")
    return made


def _group(row: sqlite3.Row) -> Remote:
    made = omero.model.ExperimenterGroupI(row["id"], True)
    made.unloadCollections()
    made.name, made.description = rstring(row["name"]), rtext(row["description"])
    made.ldap = rbool(bool(row["ldap"]))
    made.details.permissions = omero.model.PermissionsI(row["permissions"])
    return made


def _map(row: sqlite3.Row, parent: Remote, child: Remote) -> Remote:
    made = omero.model.GroupExperimenterMapI(row["id"], True)
    made.parent = parent or omero.model.ExperimenterGroupI(row["parent"], False)
    made.child = child or omero.model.ExperimenterI(row["child"], False)
    made.owner = rbool(bool(row["owner"]))
    return made


def session_object(session: Session) -> Remote:
    """An open session as a client gets it."""
    made = omero.model.SessionI(session.id, True)
    made.unloadCollections()
    made.uuid = rstring(session.uuid)
    made.owner = omero.model.ExperimenterI(session.caller.user, False)
    made.details.owner = omero.model.ExperimenterI(session.caller.user, False)
    made.details.group = omero.model.ExperimenterGroupI(session.caller.group, False)
    made.details.permissions = omero.model.PermissionsI("rw----")
    made.sudoer = (
        None if session.caller.sudoer is None else omero.model.ExperimenterI(session.caller.sudoer, False)
    )
    made.timeToIdle, made.timeToLive = rlong(session.idle), rlong(session.live)
    made.started, made.closed = rtime(session.started), None
    made.message, made.defaultEventType = rstring("Initial message."), rstring(session.caller.event_type)
    # The setter warns that the field is out of use; clients read it all the same.
    made.userAgent, made._userIP = rtext(session.agent), rtext(session.address)
    return made


def event_context(caller: Caller, group: sqlite3.Row | None) -> Remote:
    """Who calls, as a client gets it; `group` is the row of the caller's group."""
    made = omero.sys.EventContext()
    made.shareId, made.sessionId, made.sessionUuid = -1, caller.session, caller.uuid
    made.userId, made.userName = caller.user, caller.name
    made.sudoerId = None if caller.sudoer is None else rlong(caller.sudoer)
    made.groupId, made.groupName = caller.group, group["name"] if group else ""
    made.isAdmin = caller.administrator
    made.adminPrivileges = list(PRIVILEGES) if caller.administrator else []
    made.eventId, made.eventType = -1, caller.event_type
    made.memberOfGroups, made.leaderOfGroups = list(caller.member_of), list(caller.leader_of)
    made.groupPermissions = omero.model.PermissionsI(group["permissions"] if group else "rw----")
    return made


def group_row(catalogue: Catalogue, group: int) -> sqlite3.Row | None:
    """The row of a group, or None."""
    with catalogue.transaction() as transaction:
        found: sqlite3.Row | None = transaction.execute(
            "select * from experimentergroup where id = ?", (group,)
        ).fetchone()
    return found


def id_of(thing: Remote) -> int | None:
    """The id of an object that a client sends, or None."""
    key = unwrap(thing.id) if thing is not None else None
    return None if key is None else int(key)


def person_of(thing: Remote) -> Person:
    """What a client says of an experimenter. Raises ApiUsageFault unless it says something."""
    _loaded(thing)
    values = (
        thing.omeName,
        thing.firstName,
        thing.middleName,
        thing.lastName,
        thing.email,
        thing.institution,
    )
    name, first, middle, last, email, institution = map(unwrap, values)
    return Person(id_of(thing), name, first, middle, last, email, institution, unwrap(thing.ldap))


def group_of(thing: Remote) -> Group:
    """What a client says of a group. Raises ApiUsageFault unless it says something."""
    _loaded(thing)
    permissions = thing.details.permissions if thing.details else None
    return Group(
        id_of(thing),
        unwrap(thing.name),
        unwrap(thing.description),
        unwrap(thing.ldap),
        None if permissions is None else str(permissions),
    )


def _loaded(thing: Remote) -> None:
    if thing is None:
        raise ApiUsageFault("Argument may not be null.")
    if not thing.isLoaded():
        raise ApiUsageFault(f"{type(thing).__name__} is not loaded")
